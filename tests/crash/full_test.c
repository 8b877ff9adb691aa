/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks without a block left, of each type: what frees goes on, by any way;
 * what would take more is refused, and changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "fixture.h"
#include "invariants.h"
#include "operations.h"
#include "scope.h"

/* The smallest that its mkfs makes, about. */
static const struct {
	const char *type;
	unsigned int size;
} disks[] = { { "ext4", 16 }, { "xfs", 300 }, { "btrfs", 128 } };

#define DISKS (sizeof(disks) / sizeof(*disks))

/* How many dead builders, dead deleters and halves of snapshots. */
#define DEAD 3
#define LEFT (3 * DEAD + 1)

/* ---- a full disk ---- */

/* Not below the store, where cleanup would find it. */
static const char *next_fill(void)
{
	static unsigned int n;

	return at("disk/fill/%u", n++);
}

static void fill_blocks(void)
{
	auto_fd fd = open(next_fill(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	off_t at_byte = 0;

	if (fd < 0) {
		assert_int_equal(errno, ENOSPC);
		return;
	}
	for (off_t step = 64 << 20; step >= 4096;) {
		if (fallocate(fd, 0, at_byte, step) == 0)
			at_byte += step;
		else if (errno == ENOSPC)
			step /= 2;
		else
			fail_msg("fallocate: %s", strerror(errno));
	}
}

/* Small files, which btrfs keeps with its names. */
static void fill_names(void)
{
	static const char text[2000];
	ssize_t n = sizeof(text);

	while (n == sizeof(text)) {
		auto_fd fd =
			open(next_fill(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		n = fd < 0 ? -1 : write(fd, text, sizeof(text));
	}
	while (mkdir(next_fill(), 0700) == 0)
		;
	assert_int_equal(errno, ENOSPC);
}

static void fill_disk(void)
{
	int fd;

	if (!is_there(at("disk/fill")))
		make_dir(at("disk/fill"));
	/* What was deleted is free once it is on disk. */
	fd = open(at("disk"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(syncfs(fd), 0);
		fill_blocks();
		fill_names();
	}
	(void)close(fd);
}

/* ---- a store on it ---- */

static void make_store(const char *type, unsigned int size)
{
	needs_mounts();
	disk_make(type, size);
	store = open_more(NULL, NULL);
	make_layer("base", NULL);
	make_layer("two", "base");
	MUST(shale_prepare(store, "k", "two", NULL, &why));
	for (int i = 0; i < 50; i++)
		make_file(at("store/active/%s/fs/%d", id("k"), i), "written");
	MUST(shale_view(store, "v", "two", NULL, &why));
	MUST(shale_prepare(store, "alone", NULL, NULL, &why));
}

static void make_private(const char *path)
{
	make_dir(path);
	assert_int_equal(chmod(path, 0700), 0);
}

static void make_leftovers(void)
{
	for (int i = 0; i < DEAD; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "dead %d", i);
		make_dir(at("store/staging/%s", id(name)));
		make_file(at("store/staging/%s/file", id(name)), "x");
		make_dir(at("store/trash/%s", id(name)));
		make_dir(at("store/trash/%s/dir", id(name)));
		MUST(shale_prepare(store, name, NULL, NULL, &why));
		delete_path(of_key(name, "key"));
	}
	/* A copy for a mapping that was not finished. */
	make_private(at("store/mapped"));
	make_private(at("store/mapped/%s", id("map")));
	make_private(at("store/mapped/%s/%s", id("map"), id("base")));
	make_dir(at("store/mapped/%s/%s/fs", id("map"), id("base")));
}

/* A file system may still have room for a name or two. */
static void fill_store(void)
{
	int r = 0;

	for (int i = 0; r == 0; i++) {
		char name[16];

		assert_true(i < 10000);
		(void)snprintf(name, sizeof(name), "more %d", i);
		why = (struct shale_error)SHALE_ERROR_INIT;
		r = shale_prepare(store, name, "two", NULL, &why);
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(why.code, ENOSPC);
	assert_non_null(strstr(why.msg, "No space left on device"));
}

static void make_full(const char *type, unsigned int size, bool with_leftovers)
{
	make_store(type, size);
	if (with_leftovers)
		make_leftovers();
	fill_disk();
	fill_store();
}

/* ---- what frees ---- */

static void remove_and_delete(void)
{
	assert_int_equal(shale_delete(store, "two", NULL), -EBUSY);
	MUST(shale_remove(store, "k", &why));
	MUST(shale_remove(store, "v", &why));
	MUST(shale_remove(store, "alone", &why));
	assert_false(is_there(of_key("k", "")));
	assert_int_equal(shale_exists(store, "alone", NULL), -ENOENT);
	for (int i = 0;; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "more %d", i);
		if (shale_exists(store, name, NULL) != 0)
			break;
		MUST(shale_remove(store, name, &why));
	}
	fill_disk();
	MUST(shale_delete(store, "two", &why));
	MUST(shale_delete(store, "base", &why));
	check_list(at("store/snapshots"), "");
	assert_int_equal(invariants_check(false), 0);
}

static void clean(void)
{
	uint64_t removed = 0;

	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, LEFT);
	check_list(at("store/staging"), "");
	check_list(at("store/trash"), "");
	check_list(at("store/mapped"), "");
	assert_int_equal(invariants_check(true), 0);
}

/* With all that a repair may do but build: a usage is measured anew there. */
static void repair(void)
{
	static struct found found;
	const struct timespec second = { 1, 100000000 };

	assert_int_equal(chmod(at("store/active"), 0755), 0);
	(void)nanosleep(&second, NULL);
	found = (struct found){ .count = 0 };
	MUST(shale_check(store, SHALE_CHECK_REPAIR, see_finding, &found, &why));
	assert_int_equal(found.count, LEFT + 1);
	if (found.repaired != found.count)
		fail_msg("not all is repaired:\n%s", found.text);
	check_finds(0, "");
}

/* ---- each on each ---- */

static void (*const deeds[])(void) = { remove_and_delete, clean, repair };
static const char *const names[] = { "remove and delete", "cleanup",
				     "check with repair" };

#define DEEDS (sizeof(deeds) / sizeof(*deeds))

struct trial {
	size_t disk, deed;
};

static void run_trial(void **state)
{
	const struct trial *trial = *state;

	make_full(disks[trial->disk].type, disks[trial->disk].size,
		  deeds[trial->deed] != remove_and_delete);
	deeds[trial->deed]();
	close_handle(store);
	store = NULL;
	disk_drop();
}

static int end(void **state)
{
	if (is_there(at("disk/store")))
		(void)umount2(at("disk"), MNT_DETACH);
	return teardown(state);
}

static int run_all(const char *filter)
{
	static struct trial trials[DISKS * DEEDS];
	static char sentences[DISKS * DEEDS][64];
	struct CMUnitTest tests[DISKS * DEEDS];

	for (size_t i = 0; i < DISKS * DEEDS; i++) {
		trials[i] = (struct trial){ i / DEEDS, i % DEEDS };
		(void)snprintf(sentences[i], sizeof(sentences[i]),
			       "on a full %s: %s", disks[i / DEEDS].type,
			       names[i % DEEDS]);
		tests[i] = (struct CMUnitTest){ sentences[i], run_trial,
						setup_dir, end, &trials[i] };
	}
	if (filter)
		cmocka_set_test_filter(filter);
	return cmocka_run_group_tests_name("full", tests, NULL, NULL);
}

/* An argument picks tests by a pattern: '*xfs*'. */
int main(int argc, char **argv)
{
	return world_run(run_all, argc > 1 ? argv[1] : NULL);
}
