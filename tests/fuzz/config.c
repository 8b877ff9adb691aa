/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale.json.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "scope.h"

const char fuzz_name[] = "config";

static const char *const known[] = {
	"durability", "mount_option",	 "allow_mount_option",
	"upper",      "lock_timeout_ms", "any_filesystem",
};

static bool is_known(const char *key)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(key, known[i]))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shale_error err = SHALE_ERROR_INIT;
	auto_fd fd = fuzz_file(data, size);
	auto_config config = NULL;
	char path[64];
	int r;

	REQUIRE(fchmod(fd, 0600) == 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = config_load(path, &config, &err);
	fuzz_check_result(r, &err);
	if (r < 0) {
		REQUIRE(!config);
		return 0;
	}
	REQUIRE(config->root[0] == '/');
	REQUIRE(config->snapshotter[0]);
	REQUIRE(!config->policy.anything);
	for (char **pair = config->store_config; *pair; pair += 2)
		REQUIRE(is_known(pair[0]) && pair[1]);
	return 0;
}
