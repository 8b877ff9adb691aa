/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's list of mounts, whose paths are anybody's.
 */
#include "fuzz.h"

#include <string.h>

#include "mountinfo.h"
#include "scope.h"

const char fuzz_name[] = "mountinfo";

static FILE *open_bytes(const struct bytes *bytes)
{
	FILE *file = fmemopen((void *)bytes->at, bytes->left, "r");

	REQUIRE(file);
	return file;
}

static void look(const struct bytes *bytes, uint64_t id, bool is_below)
{
	auto_file file = open_bytes(bytes);
	auto_free char *line = NULL;
	uint64_t self;

	if (mountinfo_find(file, id, is_below, &line) < 0) {
		REQUIRE(!line);
		return;
	}
	self = is_below ? mountinfo_parent(line) : strtoull(line, NULL, 10);
	REQUIRE(self == id);
	REQUIRE(mountinfo_count_layers(line) <= strlen(line));
}

static void take_apart(const struct bytes *bytes)
{
	auto_file file = open_bytes(bytes);
	auto_free char *line = NULL;
	struct mountinfo mount;
	size_t room = 0;

	while (getline(&line, &room, file) > 0)
		if (mountinfo_parse(line, &mount)) {
			REQUIRE(!strchr(mount.options, ' '));
			REQUIRE(!mountinfo_has(mount.options, ","));
			REQUIRE(!strchr(mount.super, '\n'));
		}
}

/* An id, and the list. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	uint64_t id = bytes_take(&bytes);
	auto_file file = NULL;

	if (!bytes.left)
		return 0;
	look(&bytes, id, false);
	look(&bytes, id, true);
	take_apart(&bytes);
	file = open_bytes(&bytes);
	(void)mountinfo_is_covered(file, id);
	return 0;
}
