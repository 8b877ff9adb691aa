/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The annotations of a container, which are anybody's: whatever they say, only
 * names come out.
 */
#include "fuzz.h"

#include <string.h>

#include "annotations.h"

const char fuzz_name[] = "annotations";

/* Whether a name could be taken for a path. */
static bool is_path_like(const char *name)
{
	if (*name == '/')
		return true;
	for (;;) {
		size_t len = strcspn(name, "/");

		if ((len == 1 && name[0] == '.') ||
		    (len == 2 && name[0] == '.' && name[1] == '.'))
			return true;
		if (!name[len])
			return false;
		name += len + 1;
	}
}

static void check_name(const char *name)
{
	REQUIRE(name[0] && strlen(name) < SHALE_NAME_SIZE);
	REQUIRE(!is_path_like(name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shale_error err = SHALE_ERROR_INIT;
	struct annotations asked = { 0 };
	auto_json json = NULL;
	int r;

	if (json_parse((const char *)data, size, "annotations", &json, &err) <
	    0)
		return 0;
	(void)annotations_key(json);
	r = annotations_parse(json, &asked, &err);
	fuzz_check_result(r, &err);
	if (r < 0)
		return 0;
	check_name(asked.parent);
	if (asked.key)
		check_name(asked.key);
	if (asked.commit_name)
		check_name(asked.commit_name);
	REQUIRE(!asked.commit_name == (asked.onstop != ONSTOP_COMMIT));
	REQUIRE(!asked.is_view || !asked.commit_name);
	return 0;
}
