/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A layer with a manifest: whatever is changed in it, or in the manifest, is
 * found and named.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "oddtree.h"

#define FLIPS 64

static const struct shale_opts with_manifest = {
	.size = sizeof(with_manifest), .flags = SHALE_COMMIT_MANIFEST
};

/* Lines of what verify finds in @name; "" for nothing. */
static void check_differs(const char *name, const char *wanted)
{
	struct found found = { .count = 0 };

	MUST(shale_verify(store, name, see_finding, &found, &why));
	assert_string_equal(found.text, wanted);
}

/* The layer "n": small files, a directory, links; or all there can be. */
static void make_layer_with_manifest(bool is_odd)
{
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	if (is_odd) {
		assert_int_equal(oddtree_make(of_key("k", "fs"), true), 0);
	} else {
		make_dir(of_key("k", "fs/d"));
		make_file(of_key("k", "fs/d/f"), "some text in a file");
		make_file(of_key("k", "fs/g"), "more of it");
		make_link(of_key("k", "fs/l"), "target");
		assert_int_equal(link(of_key("k", "fs/g"), of_key("k", "fs/h")),
				 0);
	}
	MUST(shale_commit(store, "n", "k", &with_manifest, &why));
	check_differs("n", "");
}

static void a_layer_as_it_was_committed_has_no_difference(void **state)
{
	(void)state;
	needs_root();
	make_layer_with_manifest(true);
	check_finds(0, "");
}

static void a_layer_without_manifest_can_not_be_verified(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	REFUSED(ENODATA, "'base': it has no manifest",
		shale_verify(store, "base", NULL, NULL, &why));
	REFUSED(EBADFD, "'k': it is not committed",
		shale_verify(store, "k", NULL, NULL, &why));
	REFUSED(ENOENT, "'absent'",
		shale_verify(store, "absent", NULL, NULL, &why));
}

static void each_commit_has_one_where_that_is_configured(void **state)
{
	static const char *const config[] = { "any_filesystem", "yes",
					      "manifest", "sometimes", NULL };
	struct shale_store *always =
		open_more(NULL, "manifest", "always", NULL);
	struct shale_store *bad = NULL;

	(void)state;
	MUST(shale_prepare(always, "k", NULL, NULL, &why));
	MUST(shale_commit(always, "n", "k", NULL, &why));
	check_differs("n", "");
	REFUSED(EINVAL, "manifest: bad value 'sometimes'",
		shale_store_open(at("store"), NULL, config, NULL, &bad, &why));
}

static void a_copy_that_is_kept_has_one_too(void **state)
{
	static const struct shale_opts both = { .size = sizeof(both),
						.flags = SHALE_COMMIT_MANIFEST |
							 SHALE_COMMIT_KEEP };

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_file(of_key("k", "fs/f"), "text");
	MUST(shale_commit(store, "n", "k", &both, &why));
	check_differs("n", "");
	check_list(of_key("k", ""), "fs key key.parent work");
}

static void a_failed_commit_leaves_no_manifest(void **state)
{
	(void)state;
	make_layer("n", NULL);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_file(of_key("k", "manifest"), "of a commit that died");
	MUST(shale_commit(store, "m", "k", NULL, &why));
	assert_false(is_there(of_name("m", "manifest")));
	REFUSED(ENODATA, "'m'", shale_verify(store, "m", NULL, NULL, &why));
}

static void the_same_tree_gives_the_same_lines(void **state)
{
	static const struct shale_opts both = { .size = sizeof(both),
						.flags = SHALE_COMMIT_MANIFEST |
							 SHALE_COMMIT_KEEP };
	char command[3 * PATH_MAX];

	(void)state;
	needs_root();
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(oddtree_make(of_key("k", "fs"), true), 0);
	MUST(shale_commit(store, "a", "k", &both, &why));
	MUST(shale_commit(store, "b", "k", &both, &why));
	(void)snprintf(command, sizeof(command), "cmp '%s' '%s' >&2",
		       of_name("a", "manifest"), of_name("b", "manifest"));
	assert_int_equal(system(command), 0);
}

/* ---- changes by hand ---- */

/* Changes and puts right again what a bit in it is, the times as they were. */
struct spot {
	char path[PATH_MAX];
	struct stat st;
};

static void keep_times(const struct spot *spot)
{
	const struct timespec times[2] = { spot->st.st_atim, spot->st.st_mtim };

	assert_int_equal(
		utimensat(AT_FDCWD, spot->path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static struct spot spot_of(const char *path)
{
	struct spot spot;

	(void)snprintf(spot.path, sizeof(spot.path), "%s", path);
	assert_int_equal(lstat(path, &spot.st), 0);
	return spot;
}

static void flip_content(const struct spot *spot, off_t at, int bit)
{
	int fd = open(spot->path, O_RDWR | O_CLOEXEC);
	unsigned char byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= (unsigned char)(1 << bit);
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	(void)close(fd);
	keep_times(spot);
}

static unsigned int seed_of_now(void)
{
	unsigned int seed = (unsigned int)time(NULL);

	print_message("# seed %u\n", seed);
	return seed;
}

static void any_flipped_bit_of_content_is_found(void **state)
{
	unsigned int seed = seed_of_now();
	struct spot spot;

	(void)state;
	make_layer_with_manifest(false);
	spot = spot_of(of_name("n", "fs/d/f"));
	for (int i = 0; i < FLIPS; i++) {
		off_t at = rand_r(&seed) % spot.st.st_size;
		int bit = rand_r(&seed) % 8;

		flip_content(&spot, at, bit);
		check_differs("n", "changed d/f\n");
		flip_content(&spot, at, bit);
	}
	check_differs("n", "");
}

static void any_flipped_bit_of_a_mode_is_found(void **state)
{
	struct spot file, dir;

	(void)state;
	make_layer_with_manifest(false);
	file = spot_of(of_name("n", "fs/d/f"));
	dir = spot_of(of_name("n", "fs/d"));
	for (int bit = 0; bit < 12; bit++) {
		assert_int_equal(
			chmod(file.path, file.st.st_mode ^ (1u << bit)), 0);
		check_differs("n", "changed d/f\n");
		assert_int_equal(chmod(file.path, file.st.st_mode), 0);
		/* What the owner could not enter any more is for root. */
		if (geteuid() != 0 && bit >= 6 && bit < 9)
			continue;
		assert_int_equal(chmod(dir.path, dir.st.st_mode ^ (1u << bit)),
				 0);
		check_differs("n", "changed d\n");
		assert_int_equal(chmod(dir.path, dir.st.st_mode), 0);
	}
	check_differs("n", "");
}

static void any_flipped_bit_of_an_owner_is_found(void **state)
{
	struct spot spot;

	(void)state;
	needs_root();
	make_layer_with_manifest(false);
	spot = spot_of(of_name("n", "fs/d"));
	for (int bit = 0; bit < 16; bit++) {
		assert_int_equal(chown(spot.path, 1u << bit, 0), 0);
		check_differs("n", "changed d\n");
		assert_int_equal(chown(spot.path, 0, 1u << bit), 0);
		check_differs("n", "changed d\n");
	}
	assert_int_equal(chown(spot.path, spot.st.st_uid, spot.st.st_gid), 0);
	check_differs("n", "");
}

static void any_flipped_bit_of_an_attribute_is_found(void **state)
{
	unsigned int seed = seed_of_now();
	char value[40] = "a value of some length, with 0 in it";
	const char *path;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_file(of_key("k", "fs/f"), "");
	assert_int_equal(setxattr(of_key("k", "fs/f"), "user.one", value,
				  sizeof(value), 0),
			 0);
	MUST(shale_commit(store, "n", "k", &with_manifest, &why));
	path = strdup(of_name("n", "fs/f"));
	for (int i = 0; i < FLIPS; i++) {
		size_t at = (size_t)rand_r(&seed) % sizeof(value);
		char bit = (char)(1 << rand_r(&seed) % 7);

		value[at] ^= bit;
		assert_int_equal(
			setxattr(path, "user.one", value, sizeof(value), 0), 0);
		check_differs("n", "changed f\n");
		value[at] ^= bit;
		assert_int_equal(
			setxattr(path, "user.one", value, sizeof(value), 0), 0);
	}
	check_differs("n", "");
	assert_int_equal(setxattr(path, "user.onf", "", 0, 0), 0);
	check_differs("n", "changed f\n");
	assert_int_equal(removexattr(path, "user.onf"), 0);
	assert_int_equal(removexattr(path, "user.one"), 0);
	check_differs("n", "changed f\n");
	free((void *)(uintptr_t)path);
}

static void any_flipped_bit_of_a_name_is_found(void **state)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct spot dir;

	(void)state;
	make_layer_with_manifest(false);
	dir = spot_of(of_name("n", "fs/d"));
	(void)snprintf(from, sizeof(from), "%s", of_name("n", "fs/d/f"));
	for (int bit = 0; bit < 8; bit++) {
		const char name = (char)('f' ^ (1 << bit));
		struct found found = { .count = 0 };

		(void)snprintf(to, sizeof(to), "%s", of_name("n", "fs/d/"));
		(void)snprintf(to + strlen(to), 2, "%c", name);
		assert_int_equal(rename(from, to), 0);
		keep_times(&dir);
		MUST(shale_verify(store, "n", see_finding, &found, &why));
		assert_int_equal(found.count, 2);
		assert_non_null(strstr(found.text, "missing d/f\n"));
		assert_non_null(strstr(found.text, "added d/"));
		assert_int_equal(rename(to, from), 0);
		keep_times(&dir);
	}
	check_differs("n", "");
}

/* Another name of the file is the first one then, with all that it has. */
static void names_whose_first_is_gone_are_compared(void **state)
{
	struct spot root, file;
	char copy[PATH_MAX];

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_file(of_key("k", "fs/a"), "same");
	assert_int_equal(link(of_key("k", "fs/a"), of_key("k", "fs/m")), 0);
	assert_int_equal(link(of_key("k", "fs/a"), of_key("k", "fs/z")), 0);
	MUST(shale_commit(store, "n", "k", &with_manifest, &why));
	root = spot_of(of_name("n", "fs"));
	file = spot_of(of_name("n", "fs/m"));
	delete_path(of_name("n", "fs/a"));
	keep_times(&root);
	check_differs("n", "missing a\n");
	flip_content(&file, 0, 0);
	check_differs("n", "missing a\nchanged m\n");
	flip_content(&file, 0, 0);
	assert_int_equal(link(of_name("n", "fs/m"), of_name("n", "fs/a")), 0);
	keep_times(&root);
	check_differs("n", "");
	/* With all else the same it is another file. */
	(void)snprintf(copy, sizeof(copy), "%s", of_name("n", "fs/z"));
	delete_path(copy);
	make_file(copy, "same");
	assert_int_equal(chmod(copy, file.st.st_mode & 07777), 0);
	(void)snprintf(file.path, sizeof(file.path), "%s", copy);
	keep_times(&file);
	keep_times(&root);
	check_differs("n", "changed z\n");
}

static void times_targets_devices_and_links_are_compared(void **state)
{
	const struct timespec times[2] = { { 1, 0 }, { 1, 1 } };
	struct spot root, spot;

	(void)state;
	needs_root();
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(
		mknod(of_key("k", "fs/c"), S_IFCHR | 0600, makedev(1, 3)), 0);
	make_link(of_key("k", "fs/l"), "target");
	make_file(of_key("k", "fs/f"), "same");
	assert_int_equal(link(of_key("k", "fs/f"), of_key("k", "fs/g")), 0);
	MUST(shale_commit(store, "n", "k", &with_manifest, &why));
	root = spot_of(of_name("n", "fs"));

	spot = spot_of(of_name("n", "fs/c"));
	delete_path(spot.path);
	assert_int_equal(mknod(spot.path, S_IFCHR | 0600, makedev(1, 2)), 0);
	keep_times(&spot);
	keep_times(&root);
	check_differs("n", "changed c\n");
	spot = spot_of(of_name("n", "fs/l"));
	delete_path(spot.path);
	make_link(spot.path, "targes");
	keep_times(&spot);
	keep_times(&root);
	check_differs("n", "changed c\nchanged l\n");
	/* A file of its own, however equal, is not the hard link. */
	spot = spot_of(of_name("n", "fs/g"));
	delete_path(spot.path);
	make_file(spot.path, "same");
	assert_int_equal(chmod(spot.path, spot.st.st_mode), 0);
	keep_times(&spot);
	keep_times(&root);
	check_differs("n", "changed c\nchanged g\nchanged l\n");
	assert_int_equal(utimensat(AT_FDCWD, root.path, times, 0), 0);
	check_differs("n", "changed .\nchanged c\nchanged g\nchanged l\n");
}

static void added_and_missing_entries_are_named(void **state)
{
	struct spot root;

	(void)state;
	make_layer_with_manifest(false);
	root = spot_of(of_name("n", "fs"));
	make_dir(of_name("n", "fs/a"));
	make_file(of_name("n", "fs/a/b"), "");
	make_file(of_name("n", "fs/zz"), "");
	delete_tree(of_name("n", "fs/d"));
	keep_times(&root);
	check_differs("n", "added a\nadded a/b\nmissing d\nmissing d/f\n"
			   "added zz\n");
}

static void any_flipped_bit_of_the_manifest_is_found(void **state)
{
	unsigned int seed = seed_of_now();
	struct spot spot;

	(void)state;
	make_layer_with_manifest(false);
	spot = spot_of(of_name("n", "manifest"));
	for (int i = 0; i < 4 * FLIPS; i++) {
		off_t at = rand_r(&seed) % spot.st.st_size;
		int bit = rand_r(&seed) % 8;

		flip_content(&spot, at, bit);
		check_differs("n", "manifest manifest\n");
		flip_content(&spot, at, bit);
	}
	check_differs("n", "");
	for (off_t size = spot.st.st_size - 1; size >= 0; size -= 7) {
		assert_int_equal(truncate(spot.path, size), 0);
		check_differs("n", "manifest manifest\n");
	}
}

static void a_changed_parent_is_found(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_layer("other", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_commit(store, "n", "k", &with_manifest, &why));
	make_link(of_name("n", "name.parent"), parent_fact("other"));
	reopen();
	check_differs("n", "parent .\n");
}

static void the_first_difference_is_the_sentence(void **state)
{
	struct spot spot;

	(void)state;
	make_layer_with_manifest(false);
	spot = spot_of(of_name("n", "fs/d/f"));
	flip_content(&spot, 0, 0);
	assert_int_equal(chmod(spot.path, 0600), 0);
	REFUSED(EBADMSG, "'d/f': it differs in mode, content",
		shale_verify(store, "n", NULL, NULL, &why));
}

static void each_attribute_that_differs_is_named(void **state)
{
	char path[PATH_MAX];

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_file(of_key("k", "fs/f"), "");
	assert_int_equal(setxattr(of_key("k", "fs/f"), "user.ab", "1", 1, 0),
			 0);
	MUST(shale_commit(store, "n", "k", &with_manifest, &why));
	(void)snprintf(path, sizeof(path), "%s", of_name("n", "fs/f"));
	assert_int_equal(setxattr(path, "user.ab", "2", 1, 0), 0);
	assert_int_equal(setxattr(path, "user.a", "1", 1, 0), 0);
	assert_int_equal(setxattr(path, "user.ab=", "1", 1, 0), 0);
	REFUSED(EBADMSG,
		"it differs in attribute user.ab, attribute user.a, attribute user.ab=",
		shale_verify(store, "n", NULL, NULL, &why));
}

static int stop(void *ctx, const struct shale_finding *finding)
{
	(void)finding;
	++*(int *)ctx;
	return 1; /* as fs_walk_live says that it found a directory */
}

static void a_callback_stops_a_verify(void **state)
{
	int calls = 0;

	(void)state;
	make_layer_with_manifest(false);
	make_file(of_name("n", "fs/a"), "");
	make_file(of_name("n", "fs/b"), "");
	assert_int_equal(shale_verify(store, "n", stop, &calls, &why), 1);
	assert_int_equal(calls, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(a_layer_as_it_was_committed_has_no_difference),
		TEST_IN_STORE(a_layer_without_manifest_can_not_be_verified),
		TEST_IN_STORE(each_commit_has_one_where_that_is_configured),
		TEST_IN_STORE(a_copy_that_is_kept_has_one_too),
		TEST_IN_STORE(a_failed_commit_leaves_no_manifest),
		TEST_IN_STORE(the_same_tree_gives_the_same_lines),
		TEST_IN_STORE(any_flipped_bit_of_content_is_found),
		TEST_IN_STORE(any_flipped_bit_of_a_mode_is_found),
		TEST_IN_STORE(any_flipped_bit_of_an_owner_is_found),
		TEST_IN_STORE(any_flipped_bit_of_an_attribute_is_found),
		TEST_IN_STORE(any_flipped_bit_of_a_name_is_found),
		TEST_IN_STORE(names_whose_first_is_gone_are_compared),
		TEST_IN_STORE(times_targets_devices_and_links_are_compared),
		TEST_IN_STORE(added_and_missing_entries_are_named),
		TEST_IN_STORE(any_flipped_bit_of_the_manifest_is_found),
		TEST_IN_STORE(a_changed_parent_is_found),
		TEST_IN_STORE(the_first_difference_is_the_sentence),
		TEST_IN_STORE(each_attribute_that_differs_is_named),
		TEST_IN_STORE(a_callback_stops_a_verify),
	};

	return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
