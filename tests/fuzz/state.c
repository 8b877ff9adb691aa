/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The OCI state on a hook's standard input.
 */
#include "fuzz.h"

#include <limits.h>

#include "scope.h"
#include "state.h"

const char fuzz_name[] = "state";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shale_error err = SHALE_ERROR_INIT;
	auto_fd fd = fuzz_file(data, size);
	auto_state state = { 0 };
	int r = state_read(fd, &state, &err);

	fuzz_check_result(r, &err);
	if (r < 0) {
		REQUIRE(!state.json);
		return 0;
	}
	REQUIRE(state.id[0] && state.status[0]);
	REQUIRE(state.bundle[0] == '/');
	REQUIRE(state.pid >= 0 && state.pid <= INT_MAX);
	return 0;
}
