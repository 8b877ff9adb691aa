/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A container's mounts as a hook reads them: what it accepts is below the root
 * and is what it says.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs.h"
#include "place.h"
#include "scope.h"

const char fuzz_name[] = "place";

/* A stand-in for the root's id, which no corpus can know. */
#define ROOT_ID '@'

static FILE *open_list(const uint8_t *data, size_t size, uint64_t id,
		       char **ret_text)
{
	size_t len;
	FILE *out = open_memstream(ret_text, &len);

	REQUIRE(out);
	for (size_t i = 0; i < size; i++)
		if (data[i] == ROOT_ID)
			(void)fprintf(out, "%llu", (unsigned long long)id);
		else
			(void)fputc(data[i], out);
	REQUIRE(fclose(out) == 0);
	out = fmemopen(*ret_text, len, "r");
	REQUIRE(out);
	return out;
}

static int open_root(uint64_t *ret_id)
{
	int fd;

	(void)mkdirat(fuzz_dir(), "proc", 0755);
	(void)mkdirat(fuzz_dir(), "proc/a b", 0755);
	fd = openat(fuzz_dir(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(fd >= 0 && fs_mnt_id(fd, "", ret_id) == 0);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shale_error err = SHALE_ERROR_INIT;
	uint64_t id;
	int root_fd, r;
	auto_free char *text = NULL;
	auto_file list = NULL;
	auto_place place = NULL;

	if (!size)
		return 0;
	root_fd = open_root(&id);
	list = open_list(data, size, id, &text);
	r = place_read(list, "/r", root_fd, id, &place, &err);
	fuzz_check_result(r, &err);
	if (r < 0) {
		REQUIRE(!place);
		return 0;
	}
	REQUIRE(place_mnt_id(place) == id);
	REQUIRE(!place_has(place, "/proc") || place_covers(place, "/proc/1"));
	REQUIRE(!place_covers(place, "/processes"));
	(void)place_own_bind(place);
	return 0;
}
