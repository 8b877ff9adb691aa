/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check names every contradiction and nothing else, also while others work;
 * repair mends what loses nothing, and deletes nothing that anybody wrote.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "invariants.h"

static bool knows_boot = true;

/* As in a process that has too many files open, for that one alone. */
int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	if (!knows_boot && strstr(path, "/boot_id")) {
		errno = EMFILE;
		return -1;
	}
	if (flags & O_CREAT) {
		va_list args;

		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return openat(AT_FDCWD, path, flags, mode);
}

#define LINES_SIZE 8192

/* Lines for check_finds, with the IDs of names in them. */
static const char *lines(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
static const char *lines(const char *fmt, ...)
{
	static char text[2][LINES_SIZE];
	static int turn;
	va_list args;

	turn = !turn;
	va_start(args, fmt);
	(void)vsnprintf(text[turn], LINES_SIZE, fmt, args);
	va_end(args);
	return text[turn];
}

static void a_whole_store_has_no_finding(void **state)
{
	static char value[2000];
	const char *const labels[] = { "long", value, NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	make_layer("base", NULL);
	make_layer("child", "base");
	MUST(shale_prepare(store, "k", "child", &opts, &why));
	MUST(shale_prepare(store, "alone", NULL, NULL, &why));
	MUST(shale_view(store, "v", "child", NULL, &why));
	MUST(shale_view(store, "empty", NULL, &opts, &why));
	make_dir(at("store/lost+found"));
	assert_int_equal(chmod(at("store/lost+found"), 0700), 0);
	check_finds(0, "");
	check_finds(SHALE_CHECK_REPAIR, "");
}

static void an_unknown_flag_is_refused(void **state)
{
	(void)state;
	REFUSED(EINVAL, "0x2", shale_check(store, 2, see_finding, NULL, &why));
}

static int stop_at_once(void *ctx, const struct shale_finding *finding)
{
	(void)finding;
	++*(int *)ctx;
	return 7;
}

static void a_callback_stops_a_check(void **state)
{
	int calls = 0;

	(void)state;
	make_file(at("store/one"), "");
	make_file(at("store/two"), "");
	assert_int_equal(shale_check(store, 0, stop_at_once, &calls, &why), 7);
	assert_int_equal(calls, 1);
}

static void looking_changes_nothing(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_file(at("store/stray"), "");
	delete_path(of_name("base", "usage"));
	REFUSED(EUCLEAN, "'stray'", shale_check(store, 0, NULL, NULL, &why));
}

/* ---- what has no kind fact ---- */

static void an_uncertified_directory_without_files_is_deleted(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	delete_path(of_key("k", "key"));
	check_finds(0, lines("uncertified active/%s\n", id("k")));
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!uncertified active/%s\n", id("k")));
	check_list(at("store/active"), "");
	assert_false(is_there(at("store/lost+found")));
	check_finds(0, "");
}

static void an_uncertified_directory_with_files_is_kept(void **state)
{
	(void)state;
	make_layer("base", NULL);
	delete_path(of_name("base", "name"));
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!uncertified snapshots/%s\n", id("base")));
	check_list(at("store/lost+found/snapshots-%s/fs", id("base")), "file");
	check_list(at("store/snapshots"), "");
	check_finds(0, "");
}

/* Its children would be without their layers. */
static void an_uncertified_layer_with_children_stays(void **state)
{
	uint64_t removed;

	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	delete_path(of_name("base", "name"));
	reopen();
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, 0);
	check_finds(SHALE_CHECK_REPAIR,
		    lines("uncertified snapshots/%s\n"
			  "parent-missing snapshots/%s/name.parent\n",
			  id("base"), id("child")));
	MUST(shale_prepare(store, "new", NULL, NULL, &why));
	REFUSED(ENOTEMPTY, "it has children: restore its fact 'name'",
		shale_commit(store, "base", "new", NULL, &why));
	check_list(of_name("base", "fs"), "file");
	make_link(of_name("base", "name"), "base");
	check_finds(0, "");
}

/* Neither has a name, and each is still below the next. */
static void a_chain_without_names_stays_while_one_needs_it(void **state)
{
	uint64_t removed;

	(void)state;
	make_layer("a", NULL);
	make_layer("b", "a");
	make_layer("c", "b");
	delete_path(of_name("b", "name"));
	REFUSED(EBUSY, "1 child", shale_delete(store, "a", &why));
	delete_path(of_name("a", "name"));
	reopen();
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, 0);
	check_list(of_name("a", "fs"), "file");
	make_link(of_name("a", "name"), "a");
	make_file(of_name("b", "name"), ""); /* torn */
	REFUSED(EBUSY, "1 child", shale_delete(store, "a", &why));
	delete_path(of_name("b", "name"));
	delete_path(of_name("a", "name"));
	MUST(shale_delete(store, "c", &why));
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, 2);
	check_finds(0, "");
}

static void an_uncertified_directory_that_is_held_is_no_finding(void **state)
{
	char path[PATH_MAX];
	struct helper helper;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	delete_path(of_key("k", "key"));
	(void)snprintf(path, sizeof(path), "%s", of_key("k", ""));
	helper_start(&helper, flock_path, path);
	check_finds(SHALE_CHECK_REPAIR, "");
	helper_stop(&helper);
	check_finds(0, lines("uncertified active/%s\n", id("k")));
}

/* ---- facts ---- */

static void a_kind_fact_that_is_no_link_is_named(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	delete_path(of_key("k", "key"));
	make_file(of_key("k", "key"), "k");
	check_finds(SHALE_CHECK_REPAIR,
		    lines("fact-torn active/%s/key\n", id("k")));
}

static void a_snapshot_of_two_kinds_is_named(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_link(of_key("k", "view"), "k");
	check_finds(SHALE_CHECK_REPAIR,
		    lines("two-kinds active/%s/view\n", id("k")));
}

static void a_renamed_directory_is_put_back(void **state)
{
	char from[PATH_MAX], to[PATH_MAX];

	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	(void)snprintf(from, sizeof(from), "%s", of_name("base", ""));
	(void)snprintf(to, sizeof(to), "%s", of_name("other", ""));
	from[strlen(from) - 1] = to[strlen(to) - 1] = '\0';
	assert_int_equal(rename(from, to), 0);
	reopen();
	check_finds(0, lines("id-mismatch snapshots/%s/name\n"
			     "parent-missing snapshots/%s/name.parent\n",
			     id("other"), id("child")));
	MUST(shale_check(store, SHALE_CHECK_REPAIR, see_finding, NULL, &why));
	check_finds(0, "");
	assert_int_equal(kind_of("base"), SHALE_KIND_COMMITTED);
}

static void a_wrong_name_goes_to_lost_and_found(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_layer("taken", NULL);
	make_link(of_name("base", "name"), "taken");
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!id-mismatch snapshots/%s/name\n", id("base")));
	check_list(at("store/lost+found/snapshots-%s/fs", id("base")), "file");
	check_finds(0, "");
}

static void a_wrong_name_stays_while_it_has_children(void **state)
{
	const char *wanted;

	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	make_link(of_name("base", "name"), "elsewhere");
	reopen();
	wanted = lines("id-mismatch snapshots/%s/name\n", id("base"));
	check_finds(SHALE_CHECK_REPAIR, wanted);
	check_list(of_name("base", "fs"), "file");
}

static void a_torn_and_a_missing_parent_are_named(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_prepare(store, "l", "base", NULL, &why));
	make_link(of_key("k", "key.parent"), "elsewhere");
	delete_tree(of_name("base", ""));
	check_finds(SHALE_CHECK_REPAIR,
		    lines("parent-torn active/%s/key.parent\n"
			  "parent-missing active/%s/key.parent\n",
			  id("k"), id("l")));
}

/* By one byte; xfs has no longer links. */
static void a_fact_too_long_is_torn_and_hinders_nobody(void **state)
{
	char text[1024 + 1];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	make_layer("base", NULL);
	make_layer("other", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_link(of_key("k", "key.labels"), text);
	check_finds(0, lines("labels-torn active/%s/key.labels\n", id("k")));
	REFUSED(EUCLEAN, "labels are torn",
		shale_update(store, "k", NULL, NULL, &why));
	MUST(shale_delete(store, "other", &why));
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!labels-torn active/%s/key.labels\n", id("k")));
	make_link(of_key("k", "key.parent"), text);
	make_link(of_name("base", "usage"), text);
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!usage snapshots/%s/usage\n"
			  "parent-torn active/%s/key.parent\n",
			  id("base"), id("k")));
	MUST(shale_remove(store, "k", &why));
	check_finds(0, "");
	make_layer("third", NULL);
	make_link(of_name("third", "name"), text);
	REFUSED(EUCLEAN, "kind fact is torn",
		shale_delete(store, "third", &why));
}

static void a_circle_is_named_at_each_of_its_members(void **state)
{
	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	make_layer("3", "2");
	make_layer("on it", "3");
	make_link(of_name("1", "name.parent"), parent_fact("3"));
	check_finds(SHALE_CHECK_REPAIR,
		    lines("circle snapshots/%s/name.parent\n"
			  "circle snapshots/%s/name.parent\n"
			  "circle snapshots/%s/name.parent\n",
			  id("1"), id("2"), id("3")));
}

static void a_name_that_is_a_key_too_is_named(void **state)
{
	char from[PATH_MAX], to[PATH_MAX];

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_link(of_key("k", "key"), "base");
	(void)snprintf(from, sizeof(from), "%s", of_key("k", ""));
	(void)snprintf(to, sizeof(to), "%s", of_key("base", ""));
	from[strlen(from) - 1] = to[strlen(to) - 1] = '\0';
	assert_int_equal(rename(from, to), 0);
	check_finds(SHALE_CHECK_REPAIR,
		    lines("name-twice active/%s/key\n", id("base")));
}

static void several_contradictions_of_one_snapshot_are_all_named(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_link(of_key("k", "key.parent"), "torn");
	make_link(of_key("k", "key.labels"), "{");
	delete_path(of_key("k", "fs"));
	delete_path(of_key("k", "work"));
	make_file(of_key("k", "what is this"), "");
	assert_int_equal(chmod(of_key("k", ""), 0755), 0);
	check_finds(0, lines("mode active/%1$s\n"
			     "parent-torn active/%1$s/key.parent\n"
			     "labels-torn active/%1$s/key.labels\n"
			     "fs active/%1$s/fs\n"
			     "work active/%1$s/work\n"
			     "stray active/%1$s/what is this\n",
			     id("k")));
}

/* ---- labels ---- */

static void torn_labels_of_a_layer_are_taken_off(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_link(of_name("base", "name.labels"), "[1]");
	reopen();
	check_finds(
		SHALE_CHECK_REPAIR,
		lines("!labels-torn snapshots/%s/name.labels\n", id("base")));
	check_link(at("store/lost+found/snapshots-%s-name.labels", id("base")),
		   "[1]");
	check_labels(store, "base", "");
	check_finds(0, "");
}

/* Without its labels nobody would know that a container has it. */
static void torn_labels_stay_where_a_user_can_not_be_excluded(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_view(store, "v", "base", NULL, &why));
	MUST(shale_prepare(store, "alone", NULL, NULL, &why));
	make_link(of_key("v", "key.labels"), "x");
	make_link(of_key("alone", "key.labels"), "x");
	check_finds(SHALE_CHECK_REPAIR,
		    lines("labels-torn active/%s/key.labels\n"
			  "labels-torn active/%s/key.labels\n",
			  id("v"), id("alone")));
}

static int mount_spec(void *target, const struct shale_mount_spec *spec)
{
	return shale_mount(spec, target, &why) < 0;
}

/* "k" on a layer "base", mounted on @name of the test's directory, @target. */
static void mount_k(const char *name, char target[PATH_MAX])
{
	needs_mounts();
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	(void)snprintf(target, PATH_MAX, "%s", at("%s", name));
	make_dir(target);
	MUST(shale_mounts(store, "k", mount_spec, target, &why));
}

static void torn_labels_stay_while_an_overlay_is_mounted(void **state)
{
	char target[PATH_MAX];

	(void)state;
	mount_k("mnt", target);
	make_link(of_key("k", "key.labels"), "x");
	check_finds(SHALE_CHECK_REPAIR,
		    lines("labels-torn active/%s/key.labels\n", id("k")));
	MUST(shale_unmount(target, &why));
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!labels-torn active/%s/key.labels\n", id("k")));
	check_finds(0, "");
}

/* Holds the lock until a repair waits for it, and is quicker than that. */
static int mend_labels(void *ctx)
{
	int fd = open(at("store/lock"), O_RDWR | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX) < 0 || write(*(int *)ctx, "x", 1) != 1)
		return 1;
	(void)usleep(300000);
	make_link(of_name("base", "name.labels"), "{\"a\":\"b\"}");
	(void)close(fd);
	return 0;
}

static void labels_that_were_mended_meanwhile_stay(void **state)
{
	struct helper helper;
	int locked[2];
	char byte;

	(void)state;
	make_layer("base", NULL);
	make_link(of_name("base", "name.labels"), "x");
	assert_int_equal(pipe2(locked, O_CLOEXEC), 0);
	helper_begin(&helper, mend_labels, &locked[1]);
	assert_int_equal(read(locked[0], &byte, 1), 1);
	check_finds(SHALE_CHECK_REPAIR, "");
	helper_wait(&helper);
	helper_stop(&helper);
	check_link(of_name("base", "name.labels"), "{\"a\":\"b\"}");
	check_finds(0, "");
	(void)close(locked[0]);
	(void)close(locked[1]);
}

/* ---- what does not belong ---- */

static void strays_are_moved_and_none_is_lost(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_file(at("store/notes"), "in the root");
	make_dir(at("store/active/lost"));
	make_file(at("store/active/lost/file"), "");
	make_file(at("store/snapshots/%s", id("a file")), "");
	make_link(at("store/snapshots/link"), "/etc");
	make_file(of_name("base", "notes"), "of a layer");
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!stray notes\n!stray active/lost\n"
			  "!stray snapshots/%s\n!stray snapshots/link\n"
			  "!stray snapshots/%s/notes\n",
			  id("a file"), id("base")));
	assert_true(is_there(at("store/lost+found/notes")));
	assert_true(is_there(at("store/lost+found/active-lost/file")));
	assert_true(
		is_there(at("store/lost+found/snapshots-%s", id("a file"))));
	check_link(at("store/lost+found/snapshots-link"), "/etc");
	assert_true(is_there(
		at("store/lost+found/snapshots-%s-notes", id("base"))));
	check_finds(0, "");
	/* The same name again takes the place of nothing. */
	make_file(at("store/notes"), "another");
	check_finds(SHALE_CHECK_REPAIR, "!stray notes\n");
	assert_true(is_there(at("store/lost+found/notes")));
	assert_true(is_there(at("store/lost+found/notes.1")));
}

static void a_name_of_255_bytes_is_moved_too(void **state)
{
	char name[256];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[255] = '\0';
	make_file(at("store/%s", name), "");
	check_finds(SHALE_CHECK_REPAIR, lines("!stray %s\n", name));
	check_finds(0, "");
}

/* ---- owners and modes ---- */

static void wrong_modes_are_mended(void **state)
{
	(void)state;
	make_layer("base", NULL);
	assert_int_equal(chmod(at("store/active"), 0755), 0);
	assert_int_equal(chmod(at("store/lock"), 0666), 0);
	assert_int_equal(chmod(of_name("base", ""), 0711), 0);
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!mode active\n!mode lock\n!mode snapshots/%s\n",
			  id("base")));
	check_finds(0, "");
}

static void wrong_owners_are_mended(void **state)
{
	(void)state;
	needs_root();
	make_layer("base", NULL);
	assert_int_equal(chown(at("store/trash"), 1234, 1234), 0);
	assert_int_equal(chown(of_name("base", ""), 1234, 0), 0);
	assert_int_equal(chown(of_name("base", "fs"), 1234, 0), 0);
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!owner trash\n!owner snapshots/%s\n", id("base")));
	check_finds(0, "");
}

/* ---- copies for mappings ---- */

/* Where a mapping's copy of a layer is; the mapping is called "map" here. */
static const char *copy_of(const char *name, const char *file)
{
	return at("store/mapped/%s/%s/%s", id("map"), id(name), file);
}

static void make_copy(const char *name)
{
	char made[32] = "0";

	if (is_there(of_name(name, "")))
		(void)snprintf(made, sizeof(made), "%" PRId64,
			       mtime_ns(of_name(name, "name")));
	make_dir(copy_of(name, ""));
	assert_int_equal(chmod(copy_of(name, ""), 0700), 0);
	make_dir(copy_of(name, "fs"));
	make_file(copy_of(name, "fs/file"), "copied");
	make_link(copy_of(name, "layer"), made);
}

static void make_mapped(void)
{
	make_layer("base", NULL);
	make_layer("half", NULL);
	make_dir(at("store/mapped"));
	make_dir(at("store/mapped/%s", id("map")));
	assert_int_equal(chmod(at("store/mapped"), 0700), 0);
	assert_int_equal(chmod(at("store/mapped/%s", id("map")), 0700), 0);
	make_copy("base");
	check_finds(0, "");
}

static void a_copy_that_is_half_or_of_no_layer_is_removed(void **state)
{
	const char *finds;

	(void)state;
	make_mapped();
	make_copy("gone");
	make_copy("half");
	delete_path(copy_of("half", "layer"));
	finds = lines("leftover mapped/%s/%s\nleftover mapped/%s/%s\n",
		      id("map"), id("gone"), id("map"), id("half"));
	check_finds(0, finds);
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!leftover mapped/%s/%s\n!leftover mapped/%s/%s\n",
			  id("map"), id("gone"), id("map"), id("half")));
	check_list(at("store/mapped/%s", id("map")), id("base"));
	check_list(at("store/trash"), "");
	check_finds(0, "");
}

static void a_copy_of_an_earlier_layer_is_removed(void **state)
{
	(void)state;
	make_mapped();
	delete_path(copy_of("base", "layer"));
	make_link(copy_of("base", "layer"), "1");
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!leftover mapped/%s/%s\n", id("map"), id("base")));
	check_list(at("store/mapped/%s", id("map")), "");
}

static void strays_among_copies_are_moved(void **state)
{
	char map[64];

	(void)state;
	make_mapped();
	(void)snprintf(map, sizeof(map), "%s", id("map"));
	make_link(at("store/mapped/notes"), "one");
	make_link(at("store/mapped/%s/notes", map), "two");
	make_link(copy_of("base", "notes"), "three");
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!stray mapped/notes\n!stray mapped/%s/notes\n"
			  "!stray mapped/%s/%s/notes\n",
			  map, map, id("base")));
	check_link(at("store/lost+found/mapped-notes"), "one");
	check_link(at("store/lost+found/mapped-%s-notes", map), "two");
	check_link(at("store/lost+found/mapped-%s-%s-notes", map, id("base")),
		   "three");
	check_finds(0, "");
}

static void a_file_in_the_place_of_the_copies_is_moved(void **state)
{
	(void)state;
	make_file(at("store/mapped"), "");
	check_finds(SHALE_CHECK_REPAIR, "!stray mapped\n");
	assert_true(is_there(at("store/lost+found/mapped")));
	check_finds(0, "");
}

static void modes_of_copies_are_mended(void **state)
{
	(void)state;
	make_mapped();
	assert_int_equal(chmod(copy_of("base", ""), 0755), 0);
	assert_int_equal(chmod(at("store/mapped/%s", id("map")), 0711), 0);
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!mode mapped/%s\n!mode mapped/%s/%s\n", id("map"),
			  id("map"), id("base")));
	check_finds(0, "");
}

/* ---- leftovers ---- */

/* What is younger than a second may be a live process's. */
static void grow_old(void)
{
	const struct timespec second = { 1, 100000000 };

	(void)nanosleep(&second, NULL);
}

static void leftovers_are_named_unless_somebody_holds_them(void **state)
{
	char path[PATH_MAX];
	struct helper helper;

	(void)state;
	make_dir(at("store/staging/%s", id("s")));
	make_dir(at("store/trash/%s", id("t")));
	make_file(at("store/staging/file"), "");
	check_finds(SHALE_CHECK_REPAIR, "");
	grow_old();
	check_finds(0, lines("leftover staging/%s\nleftover trash/%s\n"
			     "leftover staging/file\n",
			     id("s"), id("t")));
	(void)snprintf(path, sizeof(path), "%s",
		       at("store/staging/%s", id("s")));
	helper_start(&helper, flock_path, path);
	check_finds(
		SHALE_CHECK_REPAIR,
		lines("!leftover trash/%s\n!leftover staging/file\n", id("t")));
	helper_stop(&helper);
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!leftover staging/%s\n", id("s")));
	check_finds(0, "");
}

static void what_commits_left_is_removed(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_link(of_key("k", "usage"), "0,1");
	make_file(of_key("k", "manifest"), "");
	make_link(of_name("base", "key"), "old");
	make_dir(of_name("base", "work"));
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!leftover active/%s\n!leftover snapshots/%s\n",
			  id("k"), id("base")));
	check_list(of_key("k", ""), "fs key key.parent work");
	check_list(of_name("base", ""), "fs name usage");
	check_finds(0, "");
}

static void a_commit_under_way_is_no_finding(void **state)
{
	char path[PATH_MAX];
	struct helper helper;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_link(of_key("k", "usage"), "0,1");
	(void)snprintf(path, sizeof(path), "%s", of_key("k", ""));
	helper_start(&helper, flock_path, path);
	check_finds(SHALE_CHECK_REPAIR, "");
	helper_stop(&helper);
}

/* ---- usage, fs, work, generation ---- */

static void a_lost_or_torn_usage_is_measured_anew(void **state)
{
	struct shale_usage before = { .size = sizeof(before) }, after = before;

	(void)state;
	make_layer("1", NULL);
	make_layer("2", NULL);
	MUST(shale_usage(store, "1", &before, &why));
	delete_path(of_name("1", "usage"));
	make_link(of_name("2", "usage"), "1,2,3");
	check_finds(SHALE_CHECK_REPAIR, lines("!usage snapshots/%s/usage\n"
					      "!usage snapshots/%s/usage\n",
					      id("1"), id("2")));
	MUST(shale_usage(store, "1", &after, &why));
	assert_int_equal(before.bytes, after.bytes);
	assert_int_equal(before.inodes, after.inodes);
	check_finds(0, "");
}

static void what_stands_for_a_usage_is_kept(void **state)
{
	struct shale_usage usage = { .size = sizeof(usage) };

	(void)state;
	make_layer("1", NULL);
	make_layer("2", NULL);
	delete_path(of_name("1", "usage"));
	make_dir(of_name("1", "usage"));
	make_file(of_name("1", "usage/file"), "");
	delete_path(of_name("2", "usage"));
	make_file(of_name("2", "usage"), "");
	check_finds(SHALE_CHECK_REPAIR, lines("!usage snapshots/%s/usage\n"
					      "!usage snapshots/%s/usage\n",
					      id("1"), id("2")));
	check_list(at("store/lost+found/snapshots-%s-usage", id("1")), "file");
	MUST(shale_usage(store, "1", &usage, &why));
	MUST(shale_usage(store, "2", &usage, &why));
	check_finds(0, "");
}

static void lost_files_are_named_and_can_not_be_mended(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_layer("other", NULL);
	delete_tree(of_name("base", "fs"));
	delete_tree(of_name("other", "fs"));
	make_file(of_name("other", "fs"), "");
	check_finds(SHALE_CHECK_REPAIR,
		    lines("fs snapshots/%s/fs\nfs snapshots/%s/fs\n",
			  id("base"), id("other")));
}

static void a_lost_work_is_made_anew(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_prepare(store, "l", "base", NULL, &why));
	delete_path(of_key("k", "work"));
	delete_path(of_key("l", "work"));
	make_file(of_key("l", "work"), "kept");
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!work active/%s/work\n!work active/%s/work\n",
			  id("k"), id("l")));
	assert_true(is_there(at("store/lost+found/active-%s-work", id("l"))));
	assert_int_equal(invariants_check(false), 0);
	check_finds(0, "");
}

static void prepare_volatile(const char *key)
{
	static const char *const labels[] = { SHALE_LABEL_VOLATILE, "true",
					      NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	MUST(shale_prepare(store, key, "base", &opts, &why));
}

/* What its readers refuse, check has to name. */
static void a_fact_that_a_label_wants_is_looked_for(void **state)
{
	static const char other_boot[] = "00000000-0000-4000-8000-000000000000";
	(void)state;
	make_layer("base", NULL);
	prepare_volatile("k");
	MUST(shale_prepare(store, "upper", NULL, NULL, &why));
	check_finds(0, "");
	make_link(of_key("upper", "key.labels"),
		  "{\"" SHALE_LABEL_UPPER "\":\"ram\"}");
	check_finds(0, lines("upper active/%s/upper\n", id("upper")));
	delete_path(of_key("upper", "key.labels"));
	delete_path(of_key("k", "volatile"));
	check_finds(0, lines("volatile active/%s/volatile\n", id("k")));
	make_link(of_key("k", "volatile"), "yesterday");
	check_finds(0, lines("volatile active/%s/volatile\n", id("k")));
	delete_path(of_key("k", "volatile"));
	make_link(of_key("k", "volatile"), other_boot);
	check_finds(SHALE_CHECK_REPAIR,
		    lines("volatile active/%s/volatile\n", id("k")));
	MUST(shale_remove(store, "k", &why));
	check_finds(0, "");
}

/* Or what was written in this boot would be called incomplete. */
static void a_boot_that_can_not_be_known_is_an_error(void **state)
{
	(void)state;
	make_layer("base", NULL);
	prepare_volatile("k");
	knows_boot = false;
	REFUSED(EMFILE, "boot id", shale_check(store, 0, NULL, NULL, &why));
	knows_boot = true;
	check_finds(0, "");
}

static void a_torn_mapping_is_named(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_link(of_key("k", "key.mapped"), "elsewhere");
	check_finds(SHALE_CHECK_REPAIR,
		    lines("mapping-torn active/%s/key.mapped\n", id("k")));
	delete_path(of_key("k", "key.mapped"));
	make_dir(of_key("k", "key.mapped"));
	check_finds(0, lines("mapping-torn active/%s/key.mapped\n", id("k")));
	MUST(shale_remove(store, "k", &why));
	check_finds(0, "");
}

static void an_odd_generation_is_made_even(void **state)
{
	char path[PATH_MAX];
	struct helper helper;

	(void)state;
	set_generation(7);
	(void)snprintf(path, sizeof(path), "%s", at("store/lock"));
	helper_start(&helper, flock_path, path);
	check_finds(0, ""); /* a live writer's */
	helper_stop(&helper);
	check_finds(0, "generation lock\n");
	check_finds(SHALE_CHECK_REPAIR, "!generation lock\n");
	assert_int_equal(generation() % 2, 0);
	assert_int_equal(truncate(path, 3), 0);
	check_finds(SHALE_CHECK_REPAIR, "!generation lock\n");
	check_finds(0, "");
}

/* ---- mounts ---- */

static void a_mount_whose_key_is_gone_is_named(void **state)
{
	char target[PATH_MAX];

	(void)state;
	mount_k("mnt dir", target);
	check_finds(0, "");
	MUST(shale_remove(store, "k", &why));
	check_finds(SHALE_CHECK_REPAIR,
		    lines("mount-without-key active/%s/fs\n", id("k")));
	REFUSED(EUCLEAN, "mnt dir'", shale_check(store, 0, NULL, NULL, &why));
	MUST(shale_unmount(target, &why));
	check_finds(0, "");
}

/* The kernel goes on with the directory, and the mount table with its path. */
static void a_renamed_active_that_is_mounted_stays(void **state)
{
	char from[PATH_MAX], to[PATH_MAX], target[PATH_MAX];

	(void)state;
	mount_k("mnt", target);
	(void)snprintf(from, sizeof(from), "%s",
		       at("store/active/%s", id("k")));
	(void)snprintf(to, sizeof(to), "%s", at("store/active/%s", id("l")));
	assert_int_equal(rename(from, to), 0);
	check_finds(SHALE_CHECK_REPAIR,
		    lines("id-mismatch active/%s/key\n"
			  "mount-without-key active/%s/fs\n",
			  id("l"), id("k")));
	MUST(shale_unmount(target, &why));
	check_finds(SHALE_CHECK_REPAIR,
		    lines("!id-mismatch active/%s/key\n", id("l")));
	assert_int_equal(kind_of("k"), SHALE_KIND_ACTIVE);
	check_finds(0, "");
}

/* mountinfo has the escapes with which the upper was given to the kernel. */
static void a_mount_in_a_store_with_a_backslash_is_named(void **state)
{
	static const char *const config[] = { "create", "yes", "any_filesystem",
					      "yes", NULL };
	struct shale_store *it = NULL;
	char target[PATH_MAX];

	(void)state;
	needs_mounts();
	make_dir(at("a\\b,c:d"));
	MUST(shale_store_open(at("a\\b,c:d/store"), NULL, config, NULL, &it,
			      &why));
	MUST(shale_prepare(it, "p", NULL, NULL, &why));
	MUST(shale_commit(it, "base", "p", NULL, &why));
	MUST(shale_prepare(it, "k", "base", NULL, &why));
	(void)snprintf(target, sizeof(target), "%s", at("mnt"));
	make_dir(target);
	MUST(shale_mounts(it, "k", mount_spec, target, &why));
	MUST(shale_check(it, 0, NULL, NULL, &why));
	MUST(shale_remove(it, "k", &why));
	REFUSED(EUCLEAN, "its key was removed",
		shale_check(it, 0, NULL, NULL, &why));
	MUST(shale_unmount(target, &why));
	MUST(shale_check(it, 0, NULL, NULL, &why));
	shale_store_close(it);
}

/* mountinfo shows its upper as a path below its source. */
static void a_mapped_mount_whose_key_is_gone_is_named(void **state)
{
	static const char *const labels[] = { SHALE_LABEL_UIDMAP,
					      "0:100000:65536",
					      SHALE_LABEL_GIDMAP,
					      "0:100000:65536", NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };
	char one[PATH_MAX], two[PATH_MAX];

	(void)state;
	needs_mounts();
	make_layer("base", NULL);
	make_layer("second", "base");
	MUST(shale_prepare(store, "k", "second", &opts, &why));
	(void)snprintf(one, sizeof(one), "%s", at("one"));
	(void)snprintf(two, sizeof(two), "%s", at("two"));
	make_dir(one);
	make_dir(two);
	MUST(shale_mounts(store, "k", mount_spec, one, &why));
	check_finds(0, "");
	MUST(shale_mounts(store, "k", mount_spec, two, &why));
	check_finds(0, lines("upper-twice active/%s/fs\n", id("k")));
	MUST(shale_unmount(two, &why));
	REFUSED(EBUSY, "/one'", shale_commit(store, "c", "k", NULL, &why));
	MUST(shale_remove(store, "k", &why));
	check_finds(0, lines("mount-without-key active/%s/fs\n", id("k")));
	MUST(shale_unmount(one, &why));
	check_finds(0, "");
}

static void an_upper_that_is_mounted_twice_is_named(void **state)
{
	char one[PATH_MAX], two[PATH_MAX];

	(void)state;
	needs_mounts();
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	(void)snprintf(one, sizeof(one), "%s", at("one"));
	(void)snprintf(two, sizeof(two), "%s", at("two"));
	make_dir(one);
	make_dir(two);
	MUST(shale_mounts(store, "k", mount_spec, one, &why));
	MUST(shale_mounts(store, "k", mount_spec, two, &why));
	check_finds(0, lines("upper-twice active/%s/fs\n", id("k")));
	MUST(shale_unmount(two, &why));
	check_finds(0, "");
	MUST(shale_unmount(one, &why));
}

/* ---- while others work ---- */

#define TURNS 150

static int work(void *ctx)
{
	const char *me = ctx;
	char key[32], name[32];
	struct shale_store *own = open_more(NULL, "durability", "none", NULL);
	int r = own ? 0 : -1;

	(void)snprintf(key, sizeof(key), "key of %s", me);
	(void)snprintf(name, sizeof(name), "name of %s", me);
	for (int i = 0; r == 0 && i < TURNS; i++) {
		const char *const labels[] = { "turn", me, NULL };
		const char *const fields[] = { "labels.turn", NULL };
		const struct shale_opts opts = {
			.size = sizeof(opts), .flags = SHALE_COMMIT_MANIFEST
		};

		r = shale_prepare(own, key, "base", NULL, &why);
		if (r == 0)
			r = shale_update(own, key, labels, fields, &why);
		if (r == 0 && i % 3 == 0)
			r = shale_remove(own, key, &why);
		else if (r == 0)
			r = shale_commit(own, name, key, &opts, &why);
		if (r == 0 && i % 3 != 0)
			r = shale_delete(own, name, &why);
	}
	if (r < 0)
		(void)fprintf(stderr, "# %s: %s\n", me, why.msg);
	return r;
}

static int work_twice(void *ctx)
{
	return work(ctx) < 0 || work(ctx) < 0 ? -1 : 0;
}

static bool is_done(const struct helper *helper)
{
	struct pollfd ready = { .fd = helper->from_fd, .events = POLLIN };

	return poll(&ready, 1, 0) > 0;
}

static void a_repair_beside_writers_finds_nothing_and_hurts_nobody(void **state)
{
	static char one[] = "one", two[] = "two";
	struct helper helpers[2];

	(void)state;
	make_layer("base", NULL);
	helper_begin(&helpers[0], work_twice, one);
	helper_begin(&helpers[1], work_twice, two);
	do
		check_finds(SHALE_CHECK_REPAIR, "");
	while (!is_done(&helpers[0]));
	helper_wait(&helpers[0]);
	helper_wait(&helpers[1]);
	helper_stop(&helpers[0]);
	helper_stop(&helpers[1]);
	assert_false(is_there(at("store/lost+found")));
	assert_int_equal(invariants_check(false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(a_whole_store_has_no_finding),
		TEST_IN_STORE(an_unknown_flag_is_refused),
		TEST_IN_STORE(a_callback_stops_a_check),
		TEST_IN_STORE(looking_changes_nothing),
		TEST_IN_STORE(
			an_uncertified_directory_without_files_is_deleted),
		TEST_IN_STORE(an_uncertified_directory_with_files_is_kept),
		TEST_IN_STORE(an_uncertified_layer_with_children_stays),
		TEST_IN_STORE(a_chain_without_names_stays_while_one_needs_it),
		TEST_IN_STORE(
			an_uncertified_directory_that_is_held_is_no_finding),
		TEST_IN_STORE(a_kind_fact_that_is_no_link_is_named),
		TEST_IN_STORE(a_snapshot_of_two_kinds_is_named),
		TEST_IN_STORE(a_renamed_directory_is_put_back),
		TEST_IN_STORE(a_wrong_name_goes_to_lost_and_found),
		TEST_IN_STORE(a_wrong_name_stays_while_it_has_children),
		TEST_IN_STORE(a_torn_and_a_missing_parent_are_named),
		TEST_IN_STORE(a_fact_too_long_is_torn_and_hinders_nobody),
		TEST_IN_STORE(a_circle_is_named_at_each_of_its_members),
		TEST_IN_STORE(a_name_that_is_a_key_too_is_named),
		TEST_IN_STORE(
			several_contradictions_of_one_snapshot_are_all_named),
		TEST_IN_STORE(torn_labels_of_a_layer_are_taken_off),
		TEST_IN_STORE(
			torn_labels_stay_where_a_user_can_not_be_excluded),
		TEST_IN_STORE(torn_labels_stay_while_an_overlay_is_mounted),
		TEST_IN_STORE(labels_that_were_mended_meanwhile_stay),
		TEST_IN_STORE(strays_are_moved_and_none_is_lost),
		TEST_IN_STORE(a_name_of_255_bytes_is_moved_too),
		TEST_IN_STORE(wrong_modes_are_mended),
		TEST_IN_STORE(wrong_owners_are_mended),
		TEST_IN_STORE(a_copy_that_is_half_or_of_no_layer_is_removed),
		TEST_IN_STORE(a_copy_of_an_earlier_layer_is_removed),
		TEST_IN_STORE(strays_among_copies_are_moved),
		TEST_IN_STORE(a_file_in_the_place_of_the_copies_is_moved),
		TEST_IN_STORE(modes_of_copies_are_mended),
		TEST_IN_STORE(leftovers_are_named_unless_somebody_holds_them),
		TEST_IN_STORE(what_commits_left_is_removed),
		TEST_IN_STORE(a_commit_under_way_is_no_finding),
		TEST_IN_STORE(a_lost_or_torn_usage_is_measured_anew),
		TEST_IN_STORE(what_stands_for_a_usage_is_kept),
		TEST_IN_STORE(lost_files_are_named_and_can_not_be_mended),
		TEST_IN_STORE(a_lost_work_is_made_anew),
		TEST_IN_STORE(a_fact_that_a_label_wants_is_looked_for),
		TEST_IN_STORE(a_boot_that_can_not_be_known_is_an_error),
		TEST_IN_STORE(a_torn_mapping_is_named),
		TEST_IN_STORE(an_odd_generation_is_made_even),
		TEST_IN_STORE(a_mount_whose_key_is_gone_is_named),
		TEST_IN_STORE(a_renamed_active_that_is_mounted_stays),
		TEST_IN_STORE(a_mount_in_a_store_with_a_backslash_is_named),
		TEST_IN_STORE(a_mapped_mount_whose_key_is_gone_is_named),
		TEST_IN_STORE(an_upper_that_is_mounted_twice_is_named),
		TEST_IN_STORE(
			a_repair_beside_writers_finds_nothing_and_hurts_nobody),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
