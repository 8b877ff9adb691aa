/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The generation and the memory of a handle: no answer is ever stale, whoever
 * changed the store and wherever a writer died.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAIRS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static struct shale_store *other;

static int setup_two(void **state)
{
	if (setup_store(state) < 0)
		return -1;
	other = open_more(NULL, NULL);
	return 0;
}

#define TEST_OF_TWO(f) cmocka_unit_test_setup_teardown(f, setup_two, teardown)

/* Reads all of a snapshot with @store, so that it may remember. */
static void learn(const char *name)
{
	struct seen seen;

	for (int i = 0; i < 3; i++)
		look(name, &seen);
}

static void labels_changed_by_another_handle_are_seen(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	for (int i = 0; i < 50; i++) {
		char value[16], expected[24];

		(void)snprintf(value, sizeof(value), "%d", i);
		(void)snprintf(expected, sizeof(expected), "a=%d", i);
		MUST(shale_update(other, "k", PAIRS("a", value), NULL, &why));
		check_labels(store, "k", expected);
		check_labels(other, "k", expected);
	}
}

static int update_elsewhere(void *ctx)
{
	static const char *const config[] = { "any_filesystem", "yes", NULL };

	if (shale_store_open(at("store"), NULL, config, NULL, &store, &why) < 0)
		return 1;
	if (shale_update(store, "k", PAIRS("a", ctx), NULL, &why) < 0)
		return 2;
	return 0;
}

static void labels_changed_by_another_process_are_seen(void **state)
{
	char first[] = "1", second[] = "2";

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	learn("k");
	assert_int_equal(in_child(update_elsewhere, first), 0);
	check_labels(store, "k", "a=1");
	assert_int_equal(in_child(update_elsewhere, second), 0);
	check_labels(store, "k", "a=2");
}

static void removal_by_another_handle_is_seen(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	learn("k");
	learn("base");
	MUST(shale_remove(other, "k", &why));
	REFUSED(ENOENT, "'k'", shale_exists(store, "k", &why));
	MUST(shale_delete(other, "base", &why));
	REFUSED(ENOENT, "'base'", shale_exists(store, "base", &why));
	REFUSED(ENOENT, "'base'",
		shale_prepare(store, "k", "base", NULL, &why));
}

static void creation_by_another_handle_is_seen(void **state)
{
	(void)state;
	REFUSED(ENOENT, "'k'", shale_exists(store, "k", &why));
	REFUSED(ENOENT, "'k'", shale_exists(store, "k", &why));
	MUST(shale_prepare(other, "k", NULL, NULL, &why));
	MUST(shale_exists(store, "k", &why));
	REFUSED(EEXIST, "'k'", shale_prepare(store, "k", NULL, NULL, &why));
}

static void a_key_made_anew_with_another_parent_is_seen(void **state)
{
	static const char *const parents[] = { "1", "2", "" };
	struct seen seen;

	(void)state;
	make_layer("1", NULL);
	make_layer("2", NULL);
	for (int i = 0; i < 30; i++) {
		MUST(shale_prepare(other, "k", parents[i % 3], NULL, &why));
		look("k", &seen);
		assert_string_equal(seen.parent, parents[i % 3]);
		assert_int_equal(seen.kind, SHALE_KIND_ACTIVE);
		MUST(shale_remove(other, "k", &why));
		MUST(shale_view(other, "k", parents[i % 3], NULL, &why));
		look("k", &seen);
		assert_int_equal(seen.kind, SHALE_KIND_VIEW);
		MUST(shale_remove(other, "k", &why));
	}
}

static void a_parent_made_anew_with_another_parent_is_seen(void **state)
{
	(void)state;
	make_layer("1", NULL);
	make_layer("2", NULL);
	make_layer("top", "1");
	MUST(shale_view(store, "v", "top", NULL, &why));
	check_mount(store, "v", "overlay overlay lowerdir=%s:%s " DEFAULTS,
		    of_name("top", "fs"), of_name("1", "fs"));
	MUST(shale_remove(other, "v", &why));
	MUST(shale_delete(other, "top", &why));
	MUST(shale_prepare(other, "k", "2", NULL, &why));
	MUST(shale_commit(other, "top", "k", NULL, &why));
	MUST(shale_view(other, "v", "top", NULL, &why));
	check_mount(store, "v", "overlay overlay lowerdir=%s:%s " DEFAULTS,
		    of_name("top", "fs"), of_name("2", "fs"));
}

static void keys_on_one_parent_have_its_layers_from_memory(void **state)
{
	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	make_layer("3", "2");
	MUST(shale_view(store, "v", "3", NULL, &why));
	check_mount(store, "v", "overlay overlay lowerdir=%s:%s:%s " DEFAULTS,
		    of_name("3", "fs"), of_name("2", "fs"), of_name("1", "fs"));
	delete_path(of_name("2", "name.parent"));
	MUST(shale_view(store, "w", "3", NULL, &why));
	check_mount(store, "w", "overlay overlay lowerdir=%s:%s:%s " DEFAULTS,
		    of_name("3", "fs"), of_name("2", "fs"), of_name("1", "fs"));
}

static void
a_parent_made_anew_by_the_same_handle_has_its_own_layers(void **state)
{
	(void)state;
	make_layer("1", NULL);
	make_layer("2", NULL);
	make_layer("p", "1");
	MUST(shale_view(store, "v", "p", NULL, &why));
	check_mount(store, "v", "overlay overlay lowerdir=%s:%s " DEFAULTS,
		    of_name("p", "fs"), of_name("1", "fs"));
	MUST(shale_remove(store, "v", &why));
	MUST(shale_delete(store, "p", &why));
	make_layer("p", "2");
	MUST(shale_view(store, "w", "p", NULL, &why));
	check_mount(store, "w", "overlay overlay lowerdir=%s:%s " DEFAULTS,
		    of_name("p", "fs"), of_name("2", "fs"));
	MUST(shale_remove(store, "w", &why));
	MUST(shale_delete(store, "p", &why));
	make_layer("p", NULL);
	MUST(shale_view(store, "w", "p", NULL, &why));
	check_mount(store, "w", "bind %s ro rbind", of_name("p", "fs"));
	MUST(shale_prepare(store, "k", "p", NULL, &why));
	MUST(shale_view(store, "x", "p", NULL, &why));
	check_mount(store, "x", "bind %s ro rbind", of_name("p", "fs"));
}

static void a_commit_by_another_handle_is_seen(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	learn("k");
	REFUSED(ENOENT, "'n'", shale_exists(store, "n", &why));
	MUST(shale_commit(other, "n", "k", NULL, &why));
	REFUSED(ENOENT, "'k'", shale_exists(store, "k", &why));
	assert_int_equal(kind_of("n"), SHALE_KIND_COMMITTED);
	check_visits(shale_walk, "n");
	check_visits(shale_active, "");
	MUST(shale_delete(other, "n", &why));
	MUST(shale_prepare(other, "n", NULL, NULL, &why));
	assert_int_equal(kind_of("n"), SHALE_KIND_ACTIVE);
}

static void children_made_by_another_handle_are_counted(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_layer("x", NULL);
	MUST(shale_delete(store, "x", &why)); /* counts all children */
	MUST(shale_prepare(other, "k", "base", NULL, &why));
	REFUSED(EBUSY, "'base'", shale_delete(store, "base", &why));
	MUST(shale_remove(other, "k", &why));
	MUST(shale_delete(store, "base", &why));
}

static void children_gone_by_another_handle_are_forgotten(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_prepare(store, "l", "base", NULL, &why));
	REFUSED(EBUSY, "'base'", shale_delete(store, "base", &why));
	MUST(shale_remove(other, "k", &why));
	REFUSED(EBUSY, "'base'", shale_delete(store, "base", &why));
	MUST(shale_remove(store, "l", &why));
	MUST(shale_delete(store, "base", &why));
}

static void a_rebase_by_another_handle_is_counted(void **state)
{
	struct shale_opts opts = { .size = sizeof(opts), .parent = "base" };

	(void)state;
	make_layer("base", NULL);
	make_layer("x", NULL);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_delete(store, "x", &why));
	MUST(shale_commit(other, "n", "k", &opts, &why));
	REFUSED(EBUSY, "'base'", shale_delete(store, "base", &why));
	MUST(shale_delete(other, "n", &why));
	MUST(shale_delete(store, "base", &why));
}

static void many_deletes_by_two_handles_leave_nothing(void **state)
{
	char name[16], parent[16];

	(void)state;
	make_layer("0", NULL);
	for (int i = 1; i < 60; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		(void)snprintf(parent, sizeof(parent), "%d", (i - 1) / 2);
		make_layer(name, parent);
	}
	for (int i = 59; i >= 0; i--) {
		(void)snprintf(name, sizeof(name), "%d", i);
		(void)snprintf(parent, sizeof(parent), "%d", (i - 1) / 2);
		if (i > 0)
			assert_int_equal(shale_delete(i % 2 ? store : other,
						      parent, &why),
					 -EBUSY);
		MUST(shale_delete(i % 2 ? other : store, name, &why));
	}
	check_visits(shale_walk, "");
}

static void a_user_set_by_another_handle_blocks(void **state)
{
	const char *const user[] = { SHALE_LABEL_USER,
				     user_text(getpid(), "c1"), NULL };

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	learn("k");
	MUST(shale_update(other, "k", user, NULL, &why));
	REFUSED(EBUSY, "'k'", shale_remove(store, "k", &why));
	MUST(shale_update(other, "k", NULL, NULL, &why));
	MUST(shale_remove(store, "k", &why));
}

/* A layer with a child, both of which go again; and what is in use then. */
static size_t bytes_after_layers(int first, int last)
{
	for (int i = first; i < last; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "layer %d", i);
		make_layer(name, NULL);
		MUST(shale_prepare(store, "k", name, NULL, &why));
		MUST(shale_remove(store, "k", &why));
		MUST(shale_delete(store, name, &why));
	}
	return mallinfo2().uordblks;
}

static void what_is_gone_takes_no_memory(void **state)
{
	size_t before;

	(void)state;
	before = bytes_after_layers(0, 20);
	assert_true(bytes_after_layers(20, 220) < before + 4096);
}

/* ---- the generation ---- */

/* Checks that the last change has moved the generation, to an even one. */
static void check_moved(uint64_t *last, const char *what)
{
	uint64_t now = generation();

	if (now <= *last || now % 2)
		fail_msg("%s: generation %llu after %llu", what,
			 (unsigned long long)now, (unsigned long long)*last);
	*last = now;
}

static void every_change_moves_the_generation_to_an_even_one(void **state)
{
	uint64_t last = generation();

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	check_moved(&last, "prepare");
	MUST(shale_update(store, "k", PAIRS("a", "1"), NULL, &why));
	check_moved(&last, "update");
	MUST(shale_commit(store, "n", "k", NULL, &why));
	check_moved(&last, "commit");
	MUST(shale_view(store, "v", "n", NULL, &why));
	check_moved(&last, "view");
	MUST(shale_remove(store, "v", &why));
	check_moved(&last, "remove");
	MUST(shale_delete(store, "n", &why));
	check_moved(&last, "delete");
}

static void a_refused_change_leaves_the_generation_even(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	REFUSED(EEXIST, "", shale_prepare(store, "k", NULL, NULL, &why));
	REFUSED(ENOENT, "", shale_prepare(store, "l", "p", NULL, &why));
	REFUSED(EEXIST, "", shale_commit(store, "base", "k", NULL, &why));
	REFUSED(EBUSY, "", shale_delete(store, "base", &why));
	REFUSED(ENOENT, "", shale_remove(store, "l", &why));
	REFUSED(EBADFD, "", shale_remove(store, "base", &why));
	assert_int_equal(generation() % 2, 0);
}

static void an_odd_generation_of_a_dead_writer_is_left_behind(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	for (int i = 0; i < 5; i++) {
		uint64_t odd = generation() + 1;

		set_generation(odd);
		MUST(shale_update(store, "k", PAIRS("a", "1"), NULL, &why));
		assert_true(generation() > odd);
		assert_int_equal(generation() % 2, 0);
	}
}

static void nothing_is_remembered_under_an_odd_generation(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	set_generation(generation() + 1);
	make_link(of_key("k", "key.labels"), "{\"a\":\"1\"}");
	check_labels(store, "k", "a=1");
	make_link(of_key("k", "key.labels"), "{\"a\":\"2\"}");
	check_labels(store, "k", "a=2");
	delete_path(of_key("k", "key"));
	REFUSED(ENOENT, "'k'", shale_exists(store, "k", &why));
}

static void what_was_known_before_an_odd_generation_is_read_anew(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	learn("k");
	set_generation(generation() + 1);
	make_link(of_key("k", "key.labels"), "{\"a\":\"1\"}");
	check_labels(store, "k", "a=1");
	MUST(shale_prepare(other, "l", NULL, NULL, &why));
	check_labels(store, "k", "a=1");
}

static void delete_works_under_an_odd_generation(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	set_generation(generation() + 1);
	REFUSED(EBUSY, "'base'", shale_delete(store, "base", &why));
	MUST(shale_delete(store, "child", &why));
	set_generation(generation() + 1);
	MUST(shale_delete(store, "base", &why));
	assert_int_equal(generation() % 2, 0);
}

/* Else no reader may remember anything until somebody writes. */
static void cleanup_leaves_an_even_generation(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	set_generation(generation() + 1);
	MUST(shale_cleanup(store, NULL, &why));
	assert_int_equal(generation() % 2, 0);
}

static void a_truncated_lock_file_is_no_crash(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(truncate(at("store/lock"), 0), 0);
	learn("k");
	MUST(shale_prepare(store, "l", NULL, NULL, &why));
	assert_int_equal(generation() % 2, 0);
	assert_true(generation() > 0);
	assert_int_equal(truncate(at("store/lock"), 3), 0);
	MUST(shale_remove(store, "l", &why));
	assert_int_equal(generation() % 2, 0);
	check_visits(shale_active, "k");
}

static int ignore_finding(void *ctx, const struct shale_finding *finding)
{
	(void)ctx;
	(void)finding;
	return 0;
}

/* As where a backup of it is written back: what is remembered was of another
 * time that had the same number.
 */
static void a_generation_that_went_back_comes_never_again(void **state)
{
	uint64_t known;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_prepare(store, "l", NULL, NULL, &why));
	MUST(shale_prepare(store, "m", NULL, NULL, &why));
	learn("k");
	known = generation();
	set_generation(known - 4);
	MUST(shale_update(other, "k", PAIRS("a", "1"), NULL, &why));
	check_labels(store, "k", "a=1");
	MUST(shale_update(other, "k", PAIRS("a", "2"), NULL, &why));
	check_labels(store, "k", "a=2");
	assert_true(generation() > known);
}

/* Its number stands still, but is nobody's any more. */
static void a_lock_file_moved_aside_says_nothing(void **state)
{
	struct shale_store *third;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	learn("k");
	assert_int_equal(rename(at("store/lock"), at("store/lock.old")), 0);
	MUST(shale_check(store, SHALE_CHECK_REPAIR, ignore_finding, NULL,
			 &why));
	third = open_more(NULL, NULL);
	MUST(shale_update(third, "k", PAIRS("a", "1"), NULL, &why));
	check_labels(store, "k", "a=1");
	MUST(shale_remove(third, "k", &why));
	REFUSED(ENOENT, "'k'", shale_exists(store, "k", &why));
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	check_visits(shale_active, "k");
}

static void the_last_generation_is_followed_by_the_first(void **state)
{
	(void)state;
	set_generation(UINT64_MAX - 1);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(generation() % 2, 0);
	MUST(shale_prepare(other, "l", NULL, NULL, &why));
	check_visits(shale_active, "k l");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_OF_TWO(labels_changed_by_another_handle_are_seen),
		TEST_IN_STORE(labels_changed_by_another_process_are_seen),
		TEST_OF_TWO(removal_by_another_handle_is_seen),
		TEST_OF_TWO(creation_by_another_handle_is_seen),
		TEST_OF_TWO(a_key_made_anew_with_another_parent_is_seen),
		TEST_OF_TWO(a_parent_made_anew_with_another_parent_is_seen),
		TEST_IN_STORE(keys_on_one_parent_have_its_layers_from_memory),
		TEST_IN_STORE(
			a_parent_made_anew_by_the_same_handle_has_its_own_layers),
		TEST_OF_TWO(a_commit_by_another_handle_is_seen),
		TEST_OF_TWO(children_made_by_another_handle_are_counted),
		TEST_OF_TWO(children_gone_by_another_handle_are_forgotten),
		TEST_OF_TWO(a_rebase_by_another_handle_is_counted),
		TEST_OF_TWO(many_deletes_by_two_handles_leave_nothing),
		TEST_OF_TWO(a_user_set_by_another_handle_blocks),
		TEST_IN_STORE(what_is_gone_takes_no_memory),
		TEST_IN_STORE(every_change_moves_the_generation_to_an_even_one),
		TEST_IN_STORE(a_refused_change_leaves_the_generation_even),
		TEST_IN_STORE(
			an_odd_generation_of_a_dead_writer_is_left_behind),
		TEST_IN_STORE(nothing_is_remembered_under_an_odd_generation),
		TEST_OF_TWO(
			what_was_known_before_an_odd_generation_is_read_anew),
		TEST_IN_STORE(delete_works_under_an_odd_generation),
		TEST_IN_STORE(cleanup_leaves_an_even_generation),
		TEST_IN_STORE(a_truncated_lock_file_is_no_crash),
		TEST_OF_TWO(a_generation_that_went_back_comes_never_again),
		TEST_IN_STORE(a_lock_file_moved_aside_says_nothing),
		TEST_OF_TWO(the_last_generation_is_followed_by_the_first),
	};

	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
