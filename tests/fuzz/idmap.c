/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mappings of a user namespace, as labels, mount options and the kernel write
 * them: each id has one other, and one mapping one text.
 */
#include "fuzz.h"

#include <string.h>

#include "idmap.h"
#include "scope.h"

const char fuzz_name[] = "idmap";

static void check_id(const struct idmap *map, uint32_t inside)
{
	uint32_t outside, back;

	if (!idmap_to_outside(map, inside, &outside))
		return;
	REQUIRE(outside != UINT32_MAX);
	REQUIRE(idmap_to_inside(map, outside, &back) && back == inside);
}

static void check_ranges(const struct idmap *map)
{
	REQUIRE(map->count && map->count <= IDMAP_RANGES_MAX);
	for (size_t i = 0; i < map->count; i++) {
		const struct idmap_range *range = &map->ranges[i];
		uint32_t last = range->inside + (range->size - 1);

		REQUIRE(range->size && last >= range->inside);
		REQUIRE(!i ||
			map->ranges[i - 1].inside + map->ranges[i - 1].size <=
				range->inside);
		check_id(map, range->inside);
		check_id(map, last);
		check_id(map, last + 1);
	}
	check_id(map, 0);
	(void)idmap_root(map);
}

static void check_text(const struct idmap *map)
{
	auto_free char *text = idmap_format(map);
	auto_free char *kernel = idmap_format_kernel(map);
	auto_free struct idmap *one = NULL;
	auto_free struct idmap *other = NULL;
	auto_free char *again = NULL;

	REQUIRE(text && kernel);
	REQUIRE(idmap_parse(text, "uidmap", &one, NULL) == 0);
	REQUIRE(idmap_parse_kernel(kernel, "uid_map", &other, NULL) == 0);
	REQUIRE(one->count == other->count);
	again = idmap_format(other);
	REQUIRE(again && !strcmp(text, again));
}

/* Text; with a byte 1 before it, the kernel's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	struct shale_error err = SHALE_ERROR_INIT;
	auto_free char *word = bytes_word(&bytes);
	auto_free struct idmap *map = NULL;
	int r = word[0] == 1
			? idmap_parse_kernel(word + 1, "uid_map", &map, &err)
			: idmap_parse(word, "uidmap", &map, &err);

	fuzz_check_result(r, &err);
	if (r < 0)
		return 0;
	check_ranges(map);
	check_text(map);
	return 0;
}
