/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Command lines of processes above a hook, as /proc shows them.
 */
#include "fuzz.h"

#include <string.h>

#include "runtime.h"
#include "scope.h"

const char fuzz_name[] = "cmdline";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *args = malloc(size ? size : 1);
	struct runtime_words words;

	REQUIRE(args);
	memcpy(args, data, size);
	words = runtime_parse(args, size);
	REQUIRE(words.kind != RUNTIME_NONE || !words.root);
	REQUIRE(!size || !args[size - 1] || words.kind == RUNTIME_NONE);
	if (!words.root)
		return 0;
	REQUIRE(words.root > args && words.root < args + size);
	(void)strlen(words.root);
	return 0;
}
