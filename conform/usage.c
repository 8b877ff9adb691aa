/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * usage: what a snapshot's own files take.
 */
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "trial.h"

#define MIB UINT64_C(1048576)

/* Directories and the file system's own blocks. */
#define SLACK (UINT64_C(512) * 1024)

/* What a key's usage grows by when @fill has written into it. */
static bool grows(struct trial *t, const char *key,
		  bool (*fill)(struct trial *t, int fd), uint64_t bytes,
		  uint64_t inodes)
{
	struct shale_usage before, after;
	int fd;

	if (!trial_ok(t, usage(t, key, &before), "usage"))
		return false;
	fd = mount_key(t, key);
	if (fd < 0 || !fill(t, fd) || !unmount_key(t, key, fd))
		return false;
	if (!trial_ok(t, usage(t, key, &after), "usage"))
		return false;
	if (after.inodes != before.inodes + inodes)
		return trial_fail(t, "%llu inodes became %llu, not %llu more",
				  (unsigned long long)before.inodes,
				  (unsigned long long)after.inodes,
				  (unsigned long long)inodes);
	return (after.bytes >= before.bytes + bytes &&
		after.bytes <= before.bytes + bytes + SLACK) ||
	       trial_fail(t, "%llu bytes became %llu, where %llu were written",
			  (unsigned long long)before.bytes,
			  (unsigned long long)after.bytes,
			  (unsigned long long)bytes);
}

static bool write_two(struct trial *t, int fd)
{
	return put_bytes(t, fd, "one", MIB) && put_dir(t, fd, "d") &&
	       put_bytes(t, fd, "d/two", 2 * MIB);
}

static void usage_counts_what_is_written(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	TRY(grows(t, "key", write_two, 3 * MIB, 3));
}

static bool write_linked(struct trial *t, int fd)
{
	if (!put_bytes(t, fd, "file", MIB))
		return false;
	for (int i = 0; i < 5; i++)
		if (linkat(fd, "file", fd, text_new("link %d", i), 0) < 0)
			return trial_errno(t, "link");
	return true;
}

static void usage_counts_a_hard_link_once(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	TRY(grows(t, "key", write_linked, MIB, 1));
}

static bool write_sparse(struct trial *t, int fd)
{
	int file = openat(fd, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	return (ftruncate(file, 64 * MIB) == 0 && close(file) == 0) ||
	       trial_errno(t, "make a sparse file");
}

static void usage_counts_blocks_and_not_lengths(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	TRY(grows(t, "key", write_sparse, 0, 1));
}

static void usage_of_a_committed_one_is_what_its_key_had(struct trial *t)
{
	struct shale_usage before, after;

	OK(t, prepare(t, "key", NULL));
	TRY(grows(t, "key", write_two, 3 * MIB, 3));
	OK(t, usage(t, "key", &before));
	OK(t, commit(t, "name", "key"));
	OK(t, usage(t, "name", &after));
	CHECK(t, after.inodes == before.inodes, "%llu inodes became %llu",
	      (unsigned long long)before.inodes,
	      (unsigned long long)after.inodes);
	CHECK(t, after.bytes >= 3 * MIB && after.bytes <= before.bytes + SLACK,
	      "%llu bytes became %llu", (unsigned long long)before.bytes,
	      (unsigned long long)after.bytes);
}

static void usage_of_a_view_is_told(struct trial *t)
{
	struct shale_usage told;

	OK(t, layer(t, "base", NULL));
	OK(t, view(t, "view", "base"));
	OK(t, usage(t, "view", &told));
}

static void usage_refuses_an_absent_name(struct trial *t)
{
	struct shale_usage told;

	OK(t, prepare(t, "key", NULL));
	OK(t, usage(t, "key", &told));
	REFUSED(t, ENOENT, usage(t, "absent", &told));
	CHECK(t, told.bytes == 0 && told.inodes == 0,
	      "it failed and wrote something all the same");
}

/* Whoever fills a struct touches nothing past the smaller of both sizes. */
static void usage_fills_no_more_than_it_was_given(struct trial *t)
{
	struct shale_usage old = { .size = offsetof(struct shale_usage, inodes),
				   .inodes = 4711 };
	struct {
		struct shale_usage usage;
		uint64_t later;
	} newer = { .usage = { .size = sizeof(newer) }, .later = 4711 };

	OK(t, prepare(t, "key", NULL));
	OK(t, t->ops->usage(t->self, "key", &old, fresh(t)));
	CHECK(t, old.inodes == 4711,
	      "it wrote past the end of an older struct");
	OK(t, t->ops->usage(t->self, "key", &newer.usage, fresh(t)));
	CHECK(t, newer.later == 4711,
	      "it wrote past the end of its own struct");
	CHECK(t, newer.usage.size == sizeof(newer), "it changed the size");
}

const struct conform_case usage_cases[] = {
	CASE(usage_counts_what_is_written, NEEDS_ROOT),
	CASE(usage_counts_a_hard_link_once, NEEDS_ROOT),
	CASE(usage_counts_blocks_and_not_lengths, NEEDS_ROOT),
	CASE(usage_of_a_committed_one_is_what_its_key_had, NEEDS_ROOT),
	CASE(usage_of_a_view_is_told, 0),
	CASE(usage_refuses_an_absent_name, 0),
	CASE(usage_fills_no_more_than_it_was_given, 0),
	CASES_END,
};
