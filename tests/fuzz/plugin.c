/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin's table: nothing past its size is read, and what is accepted can be
 * called.
 */
#include "fuzz.h"

#include <string.h>

#include "plugin.h"
#include "scope.h"

const char fuzz_name[] = "plugin";

#define FIRST_OP offsetof(struct shale_snapshotter, open)

static const size_t optional[] = {
	offsetof(struct shale_snapshotter, use),
	offsetof(struct shale_snapshotter, check),
	offsetof(struct shale_snapshotter, verify),
};

static bool may_miss(size_t offset)
{
	for (size_t i = 0; i < sizeof(optional) / sizeof(*optional); i++)
		if (optional[i] == offset)
			return true;
	return false;
}

static void *op_at(const void *table, size_t offset)
{
	void *op;

	memcpy(&op, (const char *)table + offset, sizeof(op));
	return op;
}

static void check_copy(const struct shale_snapshotter *copy, const void *table,
		       size_t size)
{
	REQUIRE(copy->abi == SHALE_PLUGIN_ABI);
	REQUIRE(copy->name && copy->name[0] && copy->version &&
		copy->description);
	REQUIRE(!copy->name[strspn(copy->name,
				   "abcdefghijklmnopqrstuvwxyz0123456789-")]);
	for (size_t at = FIRST_OP; at < sizeof(*copy); at += sizeof(void *)) {
		REQUIRE(op_at(copy, at) || may_miss(at));
		REQUIRE(op_at(copy, at) ==
			(at < size ? op_at(table, at) : NULL));
	}
}

/*
 * The size as it is told and as it is, the ABI, which pointers are NULL, and
 * the name.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	struct shale_error err = SHALE_ERROR_INIT;
	struct shale_snapshotter copy, whole = { 0 };
	uint32_t told = bytes_take(&bytes) * 2u, abi = bytes_take(&bytes);
	size_t actual = told < 8 ? 8 : told;
	auto_free char *table = calloc(1, actual), *name = NULL;
	int r;

	REQUIRE(table);
	if (bytes_take(&bytes) % 2) /* more than it tells */
		told /= 2;
	for (size_t at = 8; at + sizeof(void *) <= actual;
	     at += sizeof(void *)) {
		/* Any address will do: nothing is called. */
		void *op = bytes_take(&bytes) ? table : NULL;

		memcpy(table + at, &op, sizeof(op));
	}
	name = bytes_word(&bytes);
	memcpy(table, &told, sizeof(told));
	memcpy(table + 4, &abi, sizeof(abi));
	memcpy(&whole, table, actual < sizeof(whole) ? actual : sizeof(whole));
	if (actual >= offsetof(struct shale_snapshotter, features)) {
		const char *text[] = { whole.name ? name : NULL,
				       whole.version ? name : NULL,
				       whole.description ? name : NULL };

		memcpy(table + offsetof(struct shale_snapshotter, name), text,
		       sizeof(text));
	}
	r = plugin_check_table("/p.so", (const void *)table, &copy, &err);
	fuzz_check_result(r, &err);
	if (r == 0)
		check_copy(&copy, table, told);
	return 0;
}
