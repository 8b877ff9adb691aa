/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mappings of a user namespace: their text, what is none, and what they say.
 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "idmap.h"
#include "scope.h"

static struct idmap *parsed(const char *text)
{
	struct idmap *map = NULL;

	MUST(idmap_parse(text, "uidmap", &map, &why));
	return map;
}

static void one_mapping_has_one_text(void **state)
{
	static const struct {
		const char *given, *text, *kernel;
	} cases[] = {
		{ "0:100000:65536", "0:100000:65536", "0 100000 65536" },
		{ "1000:7:1,0:100000:1000", "0:100000:1000,1000:7:1",
		  "0 100000 1000\n1000 7 1" },
		{ "0:0:4294967295", "0:0:4294967295", "0 0 4294967295" },
		{ "4294967294:4294967294:1", "4294967294:4294967294:1",
		  "4294967294 4294967294 1" },
		/* They touch, and do not overlap. */
		{ "0:10:10,10:0:10", "0:10:10,10:0:10", "0 10 10\n10 0 10" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		auto_free struct idmap *map = parsed(cases[i].given);
		auto_free char *text = idmap_format(map);
		auto_free char *kernel = idmap_format_kernel(map);

		assert_string_equal(text, cases[i].text);
		assert_string_equal(kernel, cases[i].kernel);
	}
}

static void the_kernels_text_is_read(void **state)
{
	auto_free struct idmap *map = NULL;
	auto_free char *text = NULL;

	(void)state;
	MUST(idmap_parse_kernel("         0     100000       1000\n"
				"      1000     300000          5\n",
				"uid_map", &map, &why));
	text = idmap_format(map);
	assert_string_equal(text, "0:100000:1000,1000:300000:5");
}

static void what_is_no_mapping_is_refused(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{ "", "is not inside:outside:size" },
		{ "0", "is not inside:outside:size" },
		{ "0:1", "is not inside:outside:size" },
		{ "0:1:", "is not inside:outside:size" },
		{ "0:1:1,", "is not inside:outside:size" },
		{ ",0:1:1", "is not inside:outside:size" },
		{ "0:1:1,,5:6:1", "is not inside:outside:size" },
		{ "0:1:1 ", "is not inside:outside:size" },
		{ " 0:1:1", "is not inside:outside:size" },
		{ "0:1:1:1", "is not inside:outside:size" },
		{ "0:-1:1", "is not inside:outside:size" },
		{ "0:+1:1", "is not inside:outside:size" },
		{ "0 1 1", "is not inside:outside:size" },
		{ "0x0:1:1", "is not inside:outside:size" },
		{ "0:1:0", "a size is 0" },
		{ "4294967296:0:1", "past 4294967294" },
		{ "4294967295:0:1", "past 4294967294" },
		{ "0:4294967295:1", "past 4294967294" },
		{ "1:0:4294967295", "past 4294967294" },
		{ "0:1:4294967295", "past 4294967294" },
		{ "0:99999999999999999999999:1", "past 4294967294" },
		{ "0:10:10,9:100:10", "0:10:10 and 9:100:10 overlap inside" },
		{ "0:10:10,10:19:10", "0:10:10 and 10:19:10 overlap outside" },
		{ "0:0:4294967295,5:5:1", "overlap inside" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct idmap *map = NULL;

		REFUSED(EINVAL, cases[i].part,
			idmap_parse(cases[i].text, "uidmap", &map, &why));
		assert_null(map);
	}
}

/* @n ranges of one id each, @step apart from @first on. */
static char *ranges(unsigned n, unsigned first, unsigned step)
{
	char *text = malloc(n * 36 + 1), *end = text;

	assert_non_null(text);
	*text = '\0';
	for (unsigned i = 0; i < n; i++)
		end += sprintf(end, "%s%u:%u:1", i ? "," : "", first + i * step,
			       first + i * step);
	return text;
}

static void the_kernels_two_limits_are_ours(void **state)
{
	auto_free char *most = ranges(340, 0, 2);
	auto_free char *too_many = ranges(341, 0, 2);
	auto_free char *too_long = ranges(340, 1000000000, 2);
	auto_free struct idmap *map = parsed(most);

	(void)state;
	assert_int_equal(map->count, 340);
	drop_free(&map);
	REFUSED(EINVAL, "more than 340 ranges",
		idmap_parse(too_many, "uidmap", &map, &why));
	REFUSED(EINVAL, "340 ranges are longer than the 4095 bytes",
		idmap_parse(too_long, "uidmap", &map, &why));
}

static void ids_go_both_ways(void **state)
{
	static const struct {
		uint32_t inside, outside;
	} pairs[] = { { 0, 100000 },
		      { 999, 100999 },
		      { 1000, 300000 },
		      { 1009, 300009 },
		      { 2000, 7 } };
	static const uint32_t unmapped_inside[] = { 1010, 1999, 2001,
						    UINT32_MAX };
	static const uint32_t unmapped_outside[] = {
		0, 6, 8, 99999, 101000, UINT32_MAX
	};
	auto_free struct idmap *map =
		parsed("2000:7:1,0:100000:1000,1000:300000:10");
	uint32_t id;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		assert_true(idmap_to_outside(map, pairs[i].inside, &id));
		assert_int_equal(id, pairs[i].outside);
		assert_true(idmap_to_inside(map, pairs[i].outside, &id));
		assert_int_equal(id, pairs[i].inside);
	}
	for (size_t i = 0; i < 4; i++)
		assert_false(idmap_to_outside(map, unmapped_inside[i], &id));
	for (size_t i = 0; i < 6; i++)
		assert_false(idmap_to_inside(map, unmapped_outside[i], &id));
	assert_int_equal(idmap_root(map), 100000);
}

static void a_mapping_has_both(void **state)
{
	auto_idmaps maps = { NULL, NULL };

	(void)state;
	MUST(idmaps_parse(NULL, "", &maps, &why));
	assert_null(maps.uid);
	assert_null(maps.gid);
	REFUSED(EINVAL, "a uidmap without a gidmap",
		idmaps_parse("0:1:1", NULL, &maps, &why));
	REFUSED(EINVAL, "a gidmap without a uidmap",
		idmaps_parse("", "0:1:1", &maps, &why));
	REFUSED(EINVAL, "gidmap 'x'", idmaps_parse("0:1:1", "x", &maps, &why));
	assert_null(maps.uid);
	MUST(idmaps_parse("0:1:1", "0:2:2", &maps, &why));
	assert_int_equal(idmap_root(maps.uid), 1);
	assert_int_equal(idmap_root(maps.gid), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(one_mapping_has_one_text),
		TEST_IN_DIR(the_kernels_text_is_read),
		TEST_IN_DIR(what_is_no_mapping_is_refused),
		TEST_IN_DIR(the_kernels_two_limits_are_ours),
		TEST_IN_DIR(ids_go_both_ways),
		TEST_IN_DIR(a_mapping_has_both),
	};

	return cmocka_run_group_tests_name("idmap", tests, NULL, NULL);
}
