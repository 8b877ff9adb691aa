/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A reader, and between two of its system calls a whole change by somebody
 * else: what it answers was so before the change or is so after it, or in the
 * middle of it.  Tried between all of its calls, with a new handle and with one
 * that has read the same before.  And a cleanup between any two of a builder.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "fs.h"
#include "operations.h"
#include "tracer.h"

#define ANSWER_SIZE 4096
#define TRASH "00112233445566778899aabbccddeeff"

static unsigned long points;

static const char *const old_labels[] = { "made", "before", NULL };
static const char *const new_labels[] = { "made", "after", NULL };

/* ---- who reads ---- */

static int write_info(void *ctx, const struct shale_info *info)
{
	char *answer = ctx;
	size_t len = strlen(answer);

	len += (size_t)snprintf(answer + len, ANSWER_SIZE - len, "%u %s on %s",
				info->kind, info->name, info->parent);
	for (size_t i = 0; info->labels[i] && len < ANSWER_SIZE; i++)
		len += (size_t)snprintf(answer + len, ANSWER_SIZE - len, " %s",
					info->labels[i]);
	return 0;
}

static int write_mount(void *ctx, const struct shale_mount_spec *mount)
{
	char *answer = ctx;
	size_t len = strlen(answer);

	for (size_t i = 0; mount->options[i] && len < ANSWER_SIZE; i++)
		len += (size_t)snprintf(answer + len, ANSWER_SIZE - len, " %s",
					mount->options[i]);
	return 0;
}

static int stat_it(struct shale_store *it, const char *name, char *answer)
{
	return shale_stat(it, name, write_info, answer, NULL);
}

static int mounts_of_it(struct shale_store *it, const char *name, char *answer)
{
	return shale_mounts(it, name, write_mount, answer, NULL);
}

static int parent_of_it(struct shale_store *it, const char *name, char *answer)
{
	return shale_parent(it, name, answer, NULL);
}

static int usage_of_it(struct shale_store *it, const char *name, char *answer)
{
	struct shale_usage usage = { .size = sizeof(usage) };
	int r = shale_usage(it, name, &usage, NULL);

	(void)snprintf(answer, ANSWER_SIZE, "%llu files",
		       (unsigned long long)usage.inodes);
	return r;
}

static const struct reader {
	const char *what;
	int (*read)(struct shale_store *it, const char *name, char *answer);
} readers[] = {
	{ "stat", stat_it },
	{ "mounts", mounts_of_it },
	{ "parent", parent_of_it },
	{ "usage", usage_of_it },
};

/* ---- what happens meanwhile ---- */

static struct shale_opts with(const char *const *labels)
{
	return (struct shale_opts){ .size = sizeof(struct shale_opts),
				    .labels = labels };
}

/* A committed name with so many files. */
static void commit_new(const char *name, const char *parent, int files,
		       const char *const *labels)
{
	struct shale_opts opts = with(labels);

	MUST(shale_prepare(store, "new", parent, NULL, &why));
	for (int i = 0; i < files; i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "fs/%d", i);
		make_file(of_key("new", path), "");
	}
	MUST(shale_commit(store, name, "new", &opts, &why));
}

static void commit_it(void)
{
	struct shale_opts opts = with(new_labels);

	MUST(shale_commit(store, "n", "k", &opts, &why));
}

static void prepare_it_anew(void)
{
	struct shale_opts opts = with(new_labels);

	MUST(shale_remove(store, "k", &why));
	MUST(shale_prepare(store, "k", "base", &opts, &why));
	make_file(of_key("k", "fs/1"), "");
	make_file(of_key("k", "fs/2"), "");
}

static void label_it(void)
{
	MUST(shale_update(store, "k", new_labels, NULL, &why));
}

static void replace_name(void)
{
	MUST(shale_delete(store, "n", &why));
	commit_new("n", "two", 3, new_labels);
}

static void delete_name(void)
{
	MUST(shale_delete(store, "n", &why));
}

/* Its facts are all there yet, but no longer its parent. */
static void remove_it_half(void)
{
	assert_int_equal(rename(of_key("k", ""), at("store/trash/" TRASH)), 0);
	reopen();
	MUST(shale_delete(store, "two", &why));
}

static const struct change {
	const char *what, *name; /* that is read */
	void (*make)(void);
	bool has_key, has_name;
	bool has_gap; /* it is absent for a moment */
} changes[] = {
	{ "a commit of the key", "k", commit_it, true, false, false },
	{ "a commit as the name", "n", commit_it, true, false, false },
	{ "another key", "k", prepare_it_anew, true, false, true },
	{ "a removal that is cut short", "k", remove_it_half, true, false,
	  false },
	{ "new labels", "k", label_it, true, false, false },
	{ "another layer", "n", replace_name, false, true, true },
	{ "a deletion", "n", delete_name, false, true, false },
};

/* ---- both ---- */

struct trial {
	const struct reader *reader;
	const struct change *change;
	struct shale_store *handle;
	bool has_read;
	bool is_left_odd; /* by a writer that died: read by descriptor alone */
	char *answer;	  /* in shared memory */
};

static void make_world(const struct trial *trial)
{
	struct shale_opts opts = with(old_labels);

	close_handle(store);
	assert_int_equal(fs_remove_tree(AT_FDCWD, at("store"), NULL, NULL), 0);
	store = open_more(NULL, "durability", "none", NULL);
	commit_new("base", NULL, 1, NULL);
	commit_new("two", "base", 1, NULL);
	if (trial->change->has_name)
		commit_new("n", "base", 1, old_labels);
	if (!trial->change->has_key)
		return;
	MUST(shale_prepare(store, "k", "two", &opts, &why));
	make_file(of_key("k", "fs/1"), "");
}

static void ask(const struct trial *trial, struct shale_store *handle)
{
	char text[ANSWER_SIZE] = "";
	int r = trial->reader->read(handle, trial->change->name, text);

	(void)snprintf(trial->answer, ANSWER_SIZE, "%d %.4000s", r,
		       r < 0 ? "" : text);
}

static void begin(void *ctx)
{
	struct trial *trial = ctx;

	trial->handle = world_handle();
	if (trial->has_read)
		ask(trial, trial->handle);
}

static int act(void *ctx)
{
	const struct trial *trial = ctx;

	ask(trial, trial->handle);
	return 0;
}

static int let_it_happen(long call, void *ctx)
{
	const struct trial *trial = ctx;

	(void)call;
	trial->change->make();
	return 0;
}

/* All, but where sanitizers make a fork of this program ten times as dear. */
static unsigned long stride(void)
{
	return world_stride() > 3 ? world_stride() : 1;
}

static void try_between_all_calls(struct trial *trial)
{
	char before[ANSWER_SIZE], after[ANSWER_SIZE], absent[16];
	struct tracer_result result;

	(void)snprintf(absent, sizeof(absent), "%d ", -ENOENT);
	make_world(trial);
	ask(trial, store);
	(void)snprintf(before, sizeof(before), "%s", trial->answer);
	trial->change->make();
	ask(trial, store);
	(void)snprintf(after, sizeof(after), "%s", trial->answer);
	for (unsigned long n = 1;; n += stride()) {
		const struct tracer_plan plan = { .deed = TRACER_FAIL,
						  .at = n,
						  .choose = let_it_happen,
						  .ctx = trial };

		make_world(trial);
		if (trial->is_left_odd)
			set_generation(generation() | 1);
		tracer_run(&plan, begin, act, trial, &result);
		assert_int_equal(result.exited, 0);
		if (result.call < 0)
			break;
		points++;
		if (strcmp(trial->answer, before) != 0 &&
		    strcmp(trial->answer, after) != 0 &&
		    !(trial->change->has_gap && !strcmp(trial->answer, absent)))
			fail_msg("%s before call %lu (number %ld) of %s: '%s', "
				 "neither '%s' nor '%s'",
				 trial->change->what, n, result.call,
				 trial->reader->what, trial->answer, before,
				 after);
	}
}

static void a_reader_sees_before_or_after(void **state)
{
	struct trial trial = { .change = *state };

	if (!tracer_is_here())
		skip_because("the registers of this machine are not known");
	trial.answer = mmap(NULL, ANSWER_SIZE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(trial.answer != MAP_FAILED);
	for (size_t i = 0; i < sizeof(readers) / sizeof(*readers); i++) {
		trial.reader = &readers[i];
		trial.has_read = false;
		try_between_all_calls(&trial);
		trial.has_read = true;
		try_between_all_calls(&trial);
		trial.has_read = false;
		trial.is_left_odd = true;
		try_between_all_calls(&trial);
		trial.is_left_odd = false;
	}
	(void)munmap(trial.answer, ANSWER_SIZE);
}

/* ---- a cleanup, while somebody builds ---- */

static int do_prepare(struct shale_store *it)
{
	return shale_prepare(it, "built", "base", NULL, NULL);
}

static int do_commit(struct shale_store *it)
{
	return shale_commit(it, "built", "k", NULL, NULL);
}

static const struct builder {
	const char *what;
	int (*build)(struct shale_store *it);
} builders[] = {
	{ "prepare", do_prepare },
	{ "commit", do_commit },
};

struct building {
	const struct builder *builder;
	struct shale_store *handle;
};

static void begin_building(void *ctx)
{
	((struct building *)ctx)->handle = world_handle();
}

static int build(void *ctx)
{
	const struct building *building = ctx;

	return building->builder->build(building->handle) < 0;
}

/* Who is stopped may have the lock: then there is no cleanup now. */
static int clean_up(long call, void *ctx)
{
	struct shale_store *it = open_more(NULL, "lock_timeout_ms", "0", NULL);
	int r = shale_cleanup(it, NULL, NULL);

	(void)call;
	(void)ctx;
	assert_true(r == 0 || r == -ETIMEDOUT);
	close_handle(it);
	return 0;
}

static void a_cleanup_takes_nothing_from_a_builder(void **state)
{
	const struct trial world = { .change = &changes[0] };

	(void)state;
	if (!tracer_is_here())
		skip_because("the registers of this machine are not known");
	for (size_t i = 0; i < sizeof(builders) / sizeof(*builders); i++) {
		struct building building = { .builder = &builders[i] };
		struct tracer_result result = { .call = 0 };

		for (unsigned long n = 1; result.call >= 0; n += stride()) {
			const struct tracer_plan plan = { .deed = TRACER_FAIL,
							  .at = n,
							  .choose = clean_up };

			make_world(&world);
			tracer_run(&plan, begin_building, build, &building,
				   &result);
			if (result.exited != 0 ||
			    shale_exists(store, "built", NULL) < 0)
				fail_msg("cleanup before call %lu (number %ld) "
					 "of %s",
					 n, result.call, builders[i].what);
			points += result.call >= 0;
		}
	}
}

static int run_all(const char *filter)
{
	enum { COUNT = sizeof(changes) / sizeof(*changes) };
	struct CMUnitTest tests[COUNT + 1];
	char names[COUNT][128];
	int failed;

	for (size_t i = 0; i < COUNT; i++) {
		(void)snprintf(names[i], sizeof(names[i]),
			       "between two calls of a reader: %s ('%s')",
			       changes[i].what, changes[i].name);
		tests[i] = (struct CMUnitTest){
			names[i], a_reader_sees_before_or_after, setup_dir,
			teardown, (void *)(uintptr_t)&changes[i]
		};
	}
	tests[COUNT] = (struct CMUnitTest)TEST_IN_STORE(
		a_cleanup_takes_nothing_from_a_builder);
	if (filter)
		cmocka_set_test_filter(filter);
	failed = run_group("between", tests, COUNT + 1, NULL, NULL);
	(void)printf("# %lu points\n", points);
	return failed;
}

/* An argument picks tests by a pattern: '*commit*'. */
int main(int argc, char **argv)
{
	return world_run(run_all, argc > 1 ? argv[1] : NULL);
}
