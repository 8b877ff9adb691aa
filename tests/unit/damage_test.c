/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stores that a power cut or a hand has damaged: what has no kind fact is not
 * there, what contradicts itself is EUCLEAN, and neither is ever served.
 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int emit_nothing(void *ctx, const struct shale_mount_spec *spec)
{
	(void)ctx;
	(void)spec;
	return 0;
}

static void check_key_is_nowhere(const char *key)
{
	char parent[SHALE_NAME_SIZE];
	struct shale_usage usage = { .size = sizeof(usage) };
	struct seen seen = { 0 };

	REFUSED(ENOENT, "'k'", shale_exists(store, key, &why));
	REFUSED(ENOENT, "'k'", shale_stat(store, key, see, &seen, &why));
	REFUSED(ENOENT, "'k'", shale_parent(store, key, parent, &why));
	REFUSED(ENOENT, "'k'", shale_usage(store, key, &usage, &why));
	REFUSED(ENOENT, "'k'", shale_update(store, key, NULL, NULL, &why));
	REFUSED(ENOENT, "'k'",
		shale_mounts(store, key, emit_nothing, NULL, &why));
	REFUSED(ENOENT, "'k'", shale_commit(store, "n", key, NULL, &why));
	REFUSED(ENOENT, "'k'", shale_remove(store, key, &why));
	REFUSED(ENOENT, "'k'", shale_in_use(store, key, &why));
	REFUSED(ENOENT, "'k'", shale_delete(store, key, &why));
	REFUSED(ENOENT, "'k'", shale_prepare(store, "l", key, NULL, &why));
	check_visits(shale_active, "");
}

static void an_active_without_its_kind_fact_is_not_there(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	delete_path(of_key("k", "key"));
	reopen();
	check_key_is_nowhere("k");
}

static void a_view_without_its_kind_fact_is_not_there(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_view(store, "k", "base", NULL, &why));
	delete_path(of_key("k", "view"));
	reopen();
	check_key_is_nowhere("k");
}

static void an_empty_directory_is_not_there(void **state)
{
	(void)state;
	make_dir(of_key("k", ""));
	reopen();
	check_key_is_nowhere("k");
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
}

static void a_committed_one_without_its_kind_fact_is_not_there(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	make_layer("base", NULL);
	delete_path(of_name("base", "name"));
	reopen();
	REFUSED(ENOENT, "'base'", shale_exists(store, "base", &why));
	REFUSED(ENOENT, "'base'", shale_stat(store, "base", see, &seen, &why));
	REFUSED(ENOENT, "'base'", shale_delete(store, "base", &why));
	REFUSED(ENOENT, "'base'",
		shale_prepare(store, "k", "base", NULL, &why));
	check_visits(shale_walk, "");
}

static void prepare_replaces_what_is_not_certified(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_file(of_key("k", "fs/old"), "");
	delete_path(of_key("k", "key"));
	reopen();
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	check_list(of_key("k", ""), "fs key");
	check_list(of_key("k", "fs"), "");
	MUST(shale_cleanup(store, NULL, &why));
	check_list(at("store/trash"), "");
}

static void view_replaces_what_is_not_certified(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	delete_path(of_key("k", "key"));
	reopen();
	MUST(shale_view(store, "k", "base", NULL, &why));
	check_list(of_key("k", ""), "key.parent view");
}

static void commit_replaces_what_is_not_certified(void **state)
{
	(void)state;
	make_layer("n", NULL);
	delete_path(of_name("n", "name"));
	reopen();
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_file(of_key("k", "fs/new"), "");
	MUST(shale_commit(store, "n", "k", NULL, &why));
	check_list(of_name("n", "fs"), "new");
}

static void an_uncertified_name_does_not_take_the_key(void **state)
{
	(void)state;
	make_layer("k", NULL);
	delete_path(of_name("k", "name"));
	reopen();
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(kind_of("k"), SHALE_KIND_ACTIVE);
}

static void check_is_unclean(const char *name)
{
	char parent[SHALE_NAME_SIZE];
	struct seen seen = { 0 };

	REFUSED(EUCLEAN, name, shale_stat(store, name, see, &seen, &why));
	REFUSED(EUCLEAN, name, shale_parent(store, name, parent, &why));
	assert_int_equal(seen.calls, 0);
}

static void an_active_that_names_another_key_is_unclean(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_link(of_key("k", "key"), "another");
	reopen();
	check_is_unclean("k");
	REFUSED(EUCLEAN, "k", shale_exists(store, "k", &why));
	REFUSED(EUCLEAN, "k",
		shale_mounts(store, "k", emit_nothing, NULL, &why));
	REFUSED(EUCLEAN, "k", shale_commit(store, "n", "k", NULL, &why));
	REFUSED(EUCLEAN, "", shale_check(store, 0, NULL, NULL, &why));
}

static void a_committed_one_that_names_another_is_unclean(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_link(of_name("base", "name"), "another");
	reopen();
	check_is_unclean("base");
	REFUSED(EUCLEAN, "'k'", shale_prepare(store, "k", "base", NULL, &why));
	REFUSED(EUCLEAN, "", shale_check(store, 0, NULL, NULL, &why));
}

/* As if SHA-256 had given two keys one ID. */
static void a_key_is_never_served_as_another(void **state)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct seen seen = { 0 };

	(void)state;
	MUST(shale_prepare(store, "one", NULL, NULL, &why));
	(void)snprintf(from, sizeof(from), "%s", of_key("one", ""));
	(void)snprintf(to, sizeof(to), "%s", of_key("two", ""));
	from[strlen(from) - 1] = '\0';
	to[strlen(to) - 1] = '\0';
	assert_int_equal(rename(from, to), 0);
	reopen();
	assert_true(shale_stat(store, "two", see, &seen, &why) < 0);
	assert_int_equal(seen.calls, 0);
	assert_true(shale_prepare(store, "two", NULL, NULL, &why) < 0);
	assert_true(shale_remove(store, "two", &why) < 0);
	assert_true(is_there(of_key("two", "fs")));
	check_link(of_key("two", "key"), "one");
}

static void a_parent_that_is_gone_is_unclean(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	delete_tree(of_name("base", ""));
	reopen();
	check_is_unclean("k");
	check_is_unclean("child");
	REFUSED(EUCLEAN, "k",
		shale_mounts(store, "k", emit_nothing, NULL, &why));
	REFUSED(EUCLEAN, "", shale_check(store, 0, NULL, NULL, &why));
}

static void a_grandparent_that_is_gone_gives_no_mount(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	MUST(shale_prepare(store, "k", "child", NULL, &why));
	delete_tree(of_name("base", ""));
	reopen();
	REFUSED(EUCLEAN, "k",
		shale_mounts(store, "k", emit_nothing, NULL, &why));
}

static void a_malformed_parent_is_unclean(void **state)
{
	static const char *const facts[] = {
		"",
		"x",
		"/etc",
		"../../snapshots/",
		"../../snapshots/..",
		"../../snapshots/0123456789abcdef0123456789abcde",
		"../../snapshots/0123456789abcdef0123456789abcdefx",
		"../../snapshots/0123456789ABCDEF0123456789ABCDEF",
		"../../active/0123456789abcdef0123456789abcdef",
	};

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	/* The first is no link that can be made: a file instead. */
	delete_path(of_key("k", "key.parent"));
	make_file(of_key("k", "key.parent"), "");
	reopen();
	check_is_unclean("k");
	for (size_t i = 1; i < sizeof(facts) / sizeof(*facts); i++) {
		make_link(of_key("k", "key.parent"), facts[i]);
		reopen();
		check_is_unclean("k");
	}
}

static void a_parent_link_is_parsed_and_never_followed(void **state)
{
	struct seen seen;

	(void)state;
	make_layer("base", NULL);
	make_layer("evil", NULL);
	/* From staging or a moved directory it would lead elsewhere. */
	make_layer("child", "base");
	make_link(at("store/snapshots/%s/name.parent", id("child")),
		  parent_fact("evil"));
	reopen();
	look("child", &seen);
	assert_string_equal(seen.parent, "evil");
	make_dir(at("elsewhere"));
	make_link(at("store/snapshots/%s/name.parent", id("child")),
		  at("elsewhere"));
	reopen();
	check_is_unclean("child");
}

static void a_circle_of_parents_is_unclean_and_ends(void **state)
{
	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	MUST(shale_prepare(store, "k", "2", NULL, &why));
	make_link(of_name("1", "name.parent"), parent_fact("2"));
	reopen();
	REFUSED(EUCLEAN, "",
		shale_mounts(store, "k", emit_nothing, NULL, &why));
	REFUSED(EUCLEAN, "", shale_check(store, 0, NULL, NULL, &why));
}

static void labels_that_are_no_json_are_unclean(void **state)
{
	static const char *const texts[] = { "{", "[]", "x", "{\"a\":1}",
					     "{\"a\":\"1\",\"a\":\"2\"}" };

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct seen seen = { 0 };

		make_link(of_key("k", "key.labels"), texts[i]);
		reopen();
		REFUSED(EUCLEAN, "k", shale_stat(store, "k", see, &seen, &why));
	}
	delete_path(of_key("k", "key.labels"));
	make_file(of_key("k", "key.labels"), "");
	reopen();
	REFUSED(EUCLEAN, "k",
		shale_stat(store, "k", see, &(struct seen){ 0 }, &why));
}

static void a_malformed_usage_is_unclean(void **state)
{
	static const char *const texts[] = { "x",     "1",    "1,",  ",1",
					     "1,1,1", "-1,1", "1,1x" };
	struct shale_usage usage = { .size = sizeof(usage) };

	(void)state;
	make_layer("base", NULL);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		make_link(of_name("base", "usage"), texts[i]);
		reopen();
		REFUSED(EUCLEAN, "base",
			shale_usage(store, "base", &usage, &why));
	}
}

static void a_kind_fact_that_is_no_link_is_never_served(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	delete_path(of_key("k", "key"));
	make_file(of_key("k", "key"), "k");
	reopen();
	assert_true(shale_stat(store, "k", see, &seen, &why) < 0);
	assert_int_equal(seen.calls, 0);
}

static void a_missing_work_directory_decides_nothing(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	delete_path(of_key("k", "work"));
	reopen();
	assert_int_equal(kind_of("k"), SHALE_KIND_ACTIVE);
	MUST(shale_remove(store, "k", &why));
}

static void one_damaged_snapshot_does_not_hide_the_others(void **state)
{
	struct seen seen;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_prepare(store, "l", NULL, NULL, &why));
	make_link(of_key("k", "key"), "another");
	reopen();
	look("l", &seen);
	MUST(shale_prepare(store, "m", "base", NULL, &why));
	MUST(shale_remove(store, "l", &why));
	MUST(shale_remove(store, "m", &why));
}

static int count_infos(void *ctx, const struct shale_info *info)
{
	(void)info;
	++*(int *)ctx;
	return 0;
}

static void a_listing_visits_all_others_and_names_the_damaged(void **state)
{
	int visited = 0;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_prepare(store, "l", "base", NULL, &why));
	MUST(shale_prepare(store, "m", "base", NULL, &why));
	make_link(of_key("k", "key.parent"), "torn");
	/* Passed over in silence, whichever of the others it comes after. */
	delete_path(of_key("l", "key"));
	make_dir(at("store/active/00000000000000000000000000000000"));
	make_dir(at("store/active/ffffffffffffffffffffffffffffffff"));
	reopen();
	REFUSED(EUCLEAN, "'k' in 'active/",
		shale_active(store, count_infos, &visited, &why));
	assert_int_equal(visited, 1);
}

static void strange_entries_are_not_served_as_snapshots(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_dir(at("store/snapshots/lost+found"));
	make_file(at("store/active/.nfs0001"), "");
	reopen();
	check_visits(shale_walk, "base");
	check_visits(shale_active, "");
	MUST(shale_delete(store, "base", &why));
}

static void a_leftover_in_staging_does_not_stop_anybody(void **state)
{
	(void)state;
	make_dir(at("store/staging/%s", id("k")));
	make_dir(at("store/trash/%s", id("k")));
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_remove(store, "k", &why));
	MUST(shale_delete(store, "base", &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(an_active_without_its_kind_fact_is_not_there),
		TEST_IN_STORE(a_view_without_its_kind_fact_is_not_there),
		TEST_IN_STORE(an_empty_directory_is_not_there),
		TEST_IN_STORE(
			a_committed_one_without_its_kind_fact_is_not_there),
		TEST_IN_STORE(prepare_replaces_what_is_not_certified),
		TEST_IN_STORE(view_replaces_what_is_not_certified),
		TEST_IN_STORE(commit_replaces_what_is_not_certified),
		TEST_IN_STORE(an_uncertified_name_does_not_take_the_key),
		TEST_IN_STORE(an_active_that_names_another_key_is_unclean),
		TEST_IN_STORE(a_committed_one_that_names_another_is_unclean),
		TEST_IN_STORE(a_key_is_never_served_as_another),
		TEST_IN_STORE(a_parent_that_is_gone_is_unclean),
		TEST_IN_STORE(a_grandparent_that_is_gone_gives_no_mount),
		TEST_IN_STORE(a_malformed_parent_is_unclean),
		TEST_IN_STORE(a_parent_link_is_parsed_and_never_followed),
		TEST_IN_STORE(a_circle_of_parents_is_unclean_and_ends),
		TEST_IN_STORE(labels_that_are_no_json_are_unclean),
		TEST_IN_STORE(a_malformed_usage_is_unclean),
		TEST_IN_STORE(a_kind_fact_that_is_no_link_is_never_served),
		TEST_IN_STORE(a_missing_work_directory_decides_nothing),
		TEST_IN_STORE(one_damaged_snapshot_does_not_hide_the_others),
		TEST_IN_STORE(
			a_listing_visits_all_others_and_names_the_damaged),
		TEST_IN_STORE(strange_entries_are_not_served_as_snapshots),
		TEST_IN_STORE(a_leftover_in_staging_does_not_stop_anybody),
	};

	return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
