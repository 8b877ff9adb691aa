/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale_flatten: one layer shows what a chain of them showed, however long.
 */
#include "fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "compare.h"
#include "oddtree.h"

/* PREFIX and a number, as a file's name. */
static const char *numbered(const char *prefix, int i)
{
	static char text[64];

	(void)snprintf(text, sizeof(text), "%s%d", prefix, i);
	return text;
}

static int keep_detached(void *ctx, const struct shale_mount_spec *spec)
{
	return shale_mount_detached(spec, ctx, &why) < 0;
}

/* What @name shows, through a view that is mounted nowhere. */
static int open_view(const char *name)
{
	int fd = -1;

	MUST(shale_view(store, "seen", name, NULL, &why));
	MUST(shale_mounts(store, "seen", keep_detached, &fd, &why));
	MUST(shale_remove(store, "seen", &why));
	return fd;
}

static void check_same_view(const char *a, const char *b)
{
	static const char *const without[] = { "trusted.overlay.", NULL };
	const struct compare_options options = { .without = without,
						 .sparse = true };
	int a_fd = open_view(a), b_fd = open_view(b);

	MUST(compare_trees(a_fd, b_fd, &options, &why));
	(void)close(a_fd);
	(void)close(b_fd);
}

static void whiteout(const char *path)
{
	assert_int_equal(mknod(path, S_IFCHR, makedev(0, 0)), 0);
}

static void opaque(const char *path)
{
	assert_int_equal(setxattr(path, "trusted.overlay.opaque", "y", 1, 0),
			 0);
}

/* Three layers: all of everything, then what hides and replaces parts. */
static void make_chain(void)
{
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(oddtree_make(of_key("k", "fs"), false), 0);
	make_dir(of_key("k", "fs/gone"));
	make_file(of_key("k", "fs/gone/file"), "x");
	make_dir(of_key("k", "fs/hidden"));
	make_file(of_key("k", "fs/hidden/lower"), "x");
	MUST(shale_commit(store, "one", "k", NULL, &why));
	MUST(shale_prepare(store, "k", "one", NULL, &why));
	whiteout(of_key("k", "fs/gone"));
	whiteout(of_key("k", "fs/fifo"));
	make_dir(of_key("k", "fs/hidden"));
	opaque(of_key("k", "fs/hidden"));
	make_file(of_key("k", "fs/hidden/upper"), "x");
	/* Hides nothing: it is listed in the merged view, and not there. */
	whiteout(of_key("k", "fs/hidden/ghost"));
	MUST(shale_commit(store, "two", "k", NULL, &why));
	MUST(shale_prepare(store, "k", "two", NULL, &why));
	make_file(of_key("k", "fs/file"), "changed");
	make_dir(of_key("k", "fs/sticky"));
	make_file(of_key("k", "fs/sticky/more"), "x");
	MUST(shale_commit(store, "three", "k", NULL, &why));
}

static void a_flattened_layer_shows_what_the_chain_shows(void **state)
{
	struct seen seen;
	char value[8];

	(void)state;
	needs_mounts();
	make_chain();
	MUST(shale_flatten(store, "flat", "three", NULL, &why));
	look("flat", &seen);
	assert_int_equal(seen.kind, SHALE_KIND_COMMITTED);
	assert_string_equal(seen.parent, "");
	check_list(of_name("flat", ""), "fs name usage");
	check_visits(shale_active, "");
	check_list(at("store/staging"), "");
	check_same_view("three", "flat");
	/* Looked at without a view: */
	assert_false(is_there(of_name("flat", "fs/gone")));
	assert_false(is_there(of_name("flat", "fs/fifo")));
	check_list(of_name("flat", "fs/hidden"), "upper");
	assert_int_equal(getxattr(of_name("flat", "fs/hidden"),
				  "trusted.overlay.opaque", value,
				  sizeof(value)),
			 -1);
	MUST(shale_check(store, 0, NULL, NULL, &why));
}

static void a_flattened_layer_can_have_a_manifest(void **state)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .flags = SHALE_COMMIT_MANIFEST };

	(void)state;
	needs_mounts();
	make_chain();
	MUST(shale_flatten(store, "flat", "three", &opts, &why));
	MUST(shale_verify(store, "flat", NULL, NULL, &why));
}

static void a_single_layer_is_flattened_too(void **state)
{
	(void)state;
	needs_mounts();
	make_layer("base", NULL);
	MUST(shale_flatten(store, "flat", "base", NULL, &why));
	check_same_view("base", "flat");
	MUST(shale_delete(store, "base", &why));
	check_list(of_name("flat", "fs"), "file");
}

static void flatten_gives_its_labels_and_none_of_the_chain(void **state)
{
	const char *const labels[] = { "a", "1", NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	(void)state;
	needs_mounts();
	make_layer("base", NULL);
	MUST(shale_update(store, "base",
			  (const char *const[]){ "b", "2", NULL }, NULL, &why));
	MUST(shale_flatten(store, "flat", "base", &opts, &why));
	check_labels(store, "flat", "a=1");
}

static void flatten_refuses_what_it_cannot_do(void **state)
{
	struct shale_opts opts = { .size = sizeof(opts) };

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	REFUSED(ENOENT, "flatten 'x' as 'flat'",
		shale_flatten(store, "flat", "x", NULL, &why));
	REFUSED(EINVAL, "not committed",
		shale_flatten(store, "flat", "k", NULL, &why));
	REFUSED(EEXIST, "'k' is taken",
		shale_flatten(store, "k", "base", NULL, &why));
	REFUSED(EEXIST, "'base' is taken",
		shale_flatten(store, "base", "base", NULL, &why));
	REFUSED(EINVAL, "name", shale_flatten(store, "flat", "", NULL, &why));
	REFUSED(EINVAL, "name", shale_flatten(store, "flat", NULL, NULL, &why));
	REFUSED(EINVAL, "name", shale_flatten(store, "", "base", NULL, &why));
	opts.flags = SHALE_COMMIT_KEEP;
	REFUSED(EINVAL, "no flag but manifest",
		shale_flatten(store, "flat", "base", &opts, &why));
	opts.flags = 0;
	opts.parent = "base";
	REFUSED(EINVAL, "and no parent",
		shale_flatten(store, "flat", "base", &opts, &why));
}

/* ---- long chains ---- */

#define NAMES 40

/*
 * Layer @i writes one name, hides another, and some have an opaque directory.
 * By hand, which is faster.
 */
static void make_link_of_chain(int i)
{
	char name[32], parent[32];

	(void)snprintf(name, sizeof(name), "layer %d", i);
	(void)snprintf(parent, sizeof(parent), "layer %d", i - 1);
	make_dir(of_name(name, ""));
	make_dir(of_name(name, "fs"));
	make_file(of_name(name, numbered("fs/f", i % NAMES)), name);
	if (i)
		whiteout(of_name(name, numbered("fs/f", (i + 7) % NAMES)));
	make_dir(of_name(name, "fs/d"));
	if (i % 100 == 99)
		opaque(of_name(name, "fs/d"));
	make_file(of_name(name, numbered("fs/d/", i)), "");
	if (i)
		make_link(of_name(name, "name.parent"), parent_fact(parent));
	make_link(of_name(name, "usage"), "0,0");
	make_link(of_name(name, "name"), name);
}

static void check_chain_of(int count)
{
	char text[32];

	for (int f = 0; f < NAMES; f++) {
		int i = count - 1;
		FILE *file;

		/* The last layer that wrote or hid that name. */
		while (i > 0 && i % NAMES != f && (i + 7) % NAMES != f)
			i--;
		assert_int_equal(is_there(of_name("flat", numbered("fs/f", f))),
				 i % NAMES == f);
		if (i % NAMES != f)
			continue;
		file = fopen(of_name("flat", numbered("fs/f", f)), "re");
		assert_non_null(file);
		assert_non_null(fgets(text, sizeof(text), file));
		(void)fclose(file);
		assert_int_equal(atoi(text + strlen("layer ")), i);
	}
	for (int i = 0; i < count; i++)
		assert_int_equal(
			is_there(of_name("flat", numbered("fs/d/", i))),
			i >= count / 100 * 100 - 1);
}

static void a_chain_that_cannot_be_mounted_is_flattened(void **state)
{
	static const int counts[] = { 2, 500, 501, 1200 };
	int made = 0, fd = -1;

	(void)state;
	needs_mounts();
	assert_int_equal(mount("none", here, "tmpfs", 0, NULL), 0);
	store = open_more(NULL, "durability", "none", NULL);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		char tip[32];

		while (made < counts[i])
			make_link_of_chain(made++);
		(void)snprintf(tip, sizeof(tip), "layer %d", made - 1);
		store = open_more(NULL, "durability", "none", NULL);
		MUST(shale_flatten(store, "flat", tip, NULL, &why));
		check_chain_of(made);
		if (made <= 500)
			check_same_view(tip, "flat");
		check_visits(shale_active, "");
		MUST(shale_delete(store, "flat", &why));
	}
	/* The remedy that the refusal names. */
	MUST(shale_view(store, "v", "layer 1199", NULL, &why));
	assert_int_equal(shale_mounts(store, "v", keep_detached, &fd, &why), 1);
	assert_int_equal(why.code, E2BIG);
	assert_non_null(strstr(why.msg, "flatten"));
	assert_int_equal(umount2(here, MNT_DETACH), 0);
}

/* ---- what goes wrong ---- */

struct stopping {
	int asked, at;
	bool dies;
};

static int stop_at(void *ctx)
{
	struct stopping *stopping = ctx;

	if (++stopping->asked < stopping->at)
		return 0;
	if (stopping->dies)
		(void)kill(getpid(), SIGKILL);
	return 1;
}

static void a_stopped_flatten_leaves_nothing(void **state)
{
	int asked = 1;

	(void)state;
	needs_mounts();
	make_chain();
	for (int when = 1; asked >= when; when += 25) {
		struct stopping stopping = { .at = when };
		const struct shale_host host = { .size = sizeof(host),
						 .abi = SHALE_PLUGIN_ABI,
						 .ctx = &stopping,
						 .cancelled = stop_at };
		struct shale_store *observed = open_more(&host, NULL);
		int r = shale_flatten(observed, "flat", "three", NULL, &why);

		asked = stopping.asked;
		/* Asked at the end only, the host's word may come too late. */
		assert_true(r == -ECANCELED || (r == 0 && asked < when));
		check_visits(shale_active, "");
		check_list(at("store/staging"), "");
		why = (struct shale_error)SHALE_ERROR_INIT;
	}
}

static int flatten_and_die(void *ctx)
{
	struct stopping stopping = { .at = *(int *)ctx, .dies = true };
	const struct shale_host host = { .size = sizeof(host),
					 .abi = SHALE_PLUGIN_ABI,
					 .ctx = &stopping,
					 .cancelled = stop_at };

	return shale_flatten(open_more(&host, NULL), "flat", "three", NULL,
			     NULL);
}

static void a_killed_flatten_is_cleaned_up(void **state)
{
	int at = 20;
	uint64_t removed = 0;

	(void)state;
	needs_mounts();
	make_chain();
	assert_int_equal(in_child(flatten_and_die, &at), 128);
	reopen();
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, 2);
	check_visits(shale_active, "");
	check_visits(shale_walk, "one three two");
	MUST(shale_flatten(store, "flat", "three", NULL, &why));
}

static void cleanup_spares_what_a_live_process_flattens(void **state)
{
	const char *labels[] = { SHALE_LABEL_TEMPORARY, user_text(getpid(), ""),
				 NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };
	uint64_t removed = 1;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, &opts, &why));
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, 0);
	check_visits(shale_active, "k");
}

static void no_room_to_flatten_changes_nothing(void **state)
{
	static char data[700 * 1024];
	int fd;

	(void)state;
	needs_mounts();
	assert_int_equal(mount("none", here, "tmpfs", 0, "size=1m"), 0);
	reopen();
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	(void)memset(data, 'x', sizeof(data));
	fd = open(of_key("k", "fs/large"), O_WRONLY | O_CREAT | O_CLOEXEC,
		  0600);
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	(void)close(fd);
	MUST(shale_commit(store, "base", "k", NULL, &why));
	REFUSED(ENOSPC, "/large'",
		shale_flatten(store, "flat", "base", NULL, &why));
	assert_int_equal(umount2(here, MNT_DETACH), 0);
}

static bool times_are_lost;

int futimens(int fd, const struct timespec times[2])
{
	int (*real)(int, const struct timespec *) = (int (*)(
		int, const struct timespec *))dlsym(RTLD_NEXT, "futimens");

	return times_are_lost ? 0 : real(fd, times);
}

/* It is not believed that a copy is one. */
static void a_copy_that_differs_is_not_committed(void **state)
{
	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	times_are_lost = true;
	REFUSED(EBADMSG, "differs: time of modification",
		shale_flatten(store, "flat", "2", NULL, &why));
	times_are_lost = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(a_flattened_layer_shows_what_the_chain_shows),
		TEST_IN_STORE(a_flattened_layer_can_have_a_manifest),
		TEST_IN_STORE(a_single_layer_is_flattened_too),
		TEST_IN_STORE(flatten_gives_its_labels_and_none_of_the_chain),
		TEST_IN_STORE(flatten_refuses_what_it_cannot_do),
		TEST_IN_DIR(a_chain_that_cannot_be_mounted_is_flattened),
		TEST_IN_STORE(a_copy_that_differs_is_not_committed),
		TEST_IN_STORE(a_stopped_flatten_leaves_nothing),
		TEST_IN_STORE(a_killed_flatten_is_cleaned_up),
		TEST_IN_STORE(cleanup_spares_what_a_live_process_flattens),
		TEST_IN_STORE(no_room_to_flatten_changes_nothing),
	};

	return cmocka_run_group_tests_name("flatten", tests, NULL, teardown);
}
