/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many threads of many processes do everything to the same few names at once,
 * and processes die at any instruction: no call returns what it is not
 * documented to return, no reader sees a snapshot that never was, and the
 * store keeps every rule of its format.
 */
#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "invariants.h"

#define PROCESSES 2
#define THREADS 8
#define NAMES 10
#define ANCHORS 3
#define KILLS 50

enum op {
	OP_PREPARE,
	OP_VIEW,
	OP_MOUNTS,
	OP_COMMIT,
	OP_REMOVE,
	OP_DELETE,
	OP_PARENT,
	OP_EXISTS,
	OP_WALK,
	OP_ACTIVE,
	OP_STAT,
	OP_UPDATE,
	OP_USAGE,
	OP_CLEANUP,
	OP_CHECK,
	OPS,
};

/* The errors that each may return here, by the manual. */
static const struct {
	const char *name;
	int weight, errors[8];
} ops[OPS] = {
	[OP_PREPARE] = { "prepare", 12, { ENOENT, EEXIST, EINVAL } },
	[OP_VIEW] = { "view", 6, { ENOENT, EEXIST, EINVAL } },
	[OP_MOUNTS] = { "mounts", 6, { ENOENT, EBADFD } },
	[OP_COMMIT] = { "commit",
			10,
			{ ENOENT, EEXIST, EBADFD, EINVAL, EBUSY } },
	[OP_REMOVE] = { "remove", 8, { ENOENT, EBADFD, EBUSY } },
	[OP_DELETE] = { "delete", 8, { ENOENT, EBADFD, EBUSY } },
	[OP_PARENT] = { "parent", 3, { ENOENT } },
	[OP_EXISTS] = { "exists", 3, { ENOENT } },
	[OP_WALK] = { "walk", 3, { 0 } },
	[OP_ACTIVE] = { "active", 3, { 0 } },
	[OP_STAT] = { "stat", 8, { ENOENT } },
	[OP_UPDATE] = { "update", 6, { ENOENT } },
	[OP_USAGE] = { "usage", 3, { ENOENT } },
	[OP_CLEANUP] = { "cleanup", 1, { 0 } },
	[OP_CHECK] = { "check", 2, { ENOENT, EBADFD, EBUSY } },
};

/* What all processes tell the test; in shared memory. */
struct result {
	uint64_t calls[OPS], successes[OPS];
	int failures;
	char failure[2048];
};

struct worker {
	struct shale_store *store;
	struct result *result;
	uint64_t random;
	int64_t end_ms;
	bool with_anchors;
};

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static uint32_t draw(struct worker *worker, uint32_t below)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return (uint32_t)(worker->random >> 32) % below;
}

static void draw_name(struct worker *worker, char ret[16])
{
	(void)snprintf(ret, 16, "name %u", draw(worker, NAMES));
}

__attribute__((format(printf, 2, 3))) static void
complain(struct worker *worker, const char *fmt, ...)
{
	va_list args;

	/* The first is enough to understand; all are counted. */
	if (__atomic_fetch_add(&worker->result->failures, 1,
			       __ATOMIC_SEQ_CST) != 0)
		return;
	va_start(args, fmt);
	(void)vsnprintf(worker->result->failure,
			sizeof(worker->result->failure), fmt, args);
	va_end(args);
}

/* ---- what a reader may see ---- */

struct view {
	struct worker *worker;
	const char *asked; /* NULL in a walk */
	uint32_t kind;
	int calls, anchors[ANCHORS];
};

/*
 * Each snapshot is made with the label made=NAME and one that tells its
 * parent: a reader that mixes two of them, or two moments of one, is found.
 */
static int inspect(void *ctx, const struct shale_info *info)
{
	struct view *view = ctx;
	const char *made = NULL, *on = NULL;
	unsigned int number;

	view->calls++;
	view->kind = info->kind;
	for (size_t i = 0; info->labels[i]; i += 2) {
		if (!strcmp(info->labels[i], "made"))
			made = info->labels[i + 1];
		if (!strcmp(info->labels[i], "on"))
			on = info->labels[i + 1];
	}
	if (view->asked && strcmp(info->name, view->asked) != 0)
		complain(view->worker, "asked for '%s', got '%s'", view->asked,
			 info->name);
	if (!made || strcmp(made, info->name) != 0)
		complain(view->worker, "'%s' has the labels of '%s'",
			 info->name, made ? made : "nobody");
	if (on && strcmp(on, info->parent) != 0)
		complain(view->worker, "'%s' is on '%s', labels say '%s'",
			 info->name, info->parent, on);
	if (info->updated_ns < info->created_ns || info->created_ns <= 0)
		complain(view->worker, "'%s' was updated before created",
			 info->name);
	if (sscanf(info->name, "anchor %u", &number) == 1 && number < ANCHORS)
		view->anchors[number]++;
	return 0;
}

static int walk_all(struct worker *worker, enum op op)
{
	struct view view = { .worker = worker };
	int r = op == OP_WALK
			? shale_walk(worker->store, inspect, &view, &why)
			: shale_active(worker->store, inspect, &view, &why);

	for (int i = 0;
	     r == 0 && op == OP_WALK && worker->with_anchors && i < ANCHORS;
	     i++)
		if (view.anchors[i] != 1)
			complain(worker, "walk visited anchor %d %d times", i,
				 view.anchors[i]);
	return r;
}

static int inspect_mount(void *ctx, const struct shale_mount_spec *spec)
{
	struct view *view = ctx;
	size_t count = 0;

	view->calls++;
	while (spec->options[count])
		count++;
	if (strcmp(spec->type, "bind") == 0) {
		if (count != 2 || strcmp(spec->options[1], "rbind") != 0)
			complain(view->worker, "a bind of %zu options", count);
	} else if (strcmp(spec->type, "overlay") != 0 || count < 2) {
		complain(view->worker, "a mount of type '%s'", spec->type);
	}
	return 0;
}

/* ---- calls ---- */

/* Any parent: none, an anchor, or a name that may not be there. */
static const char *draw_parent(struct worker *worker, char ret[16])
{
	uint32_t kind = draw(worker, 4);

	if (kind == 0)
		return NULL;
	if (kind == 1 && worker->with_anchors)
		(void)snprintf(ret, 16, "anchor %u", draw(worker, ANCHORS));
	else
		draw_name(worker, ret);
	return ret;
}

static int call_create(struct worker *worker, enum op op, const char *key)
{
	char buffer[16];
	const char *parent = draw_parent(worker, buffer);
	const char *const labels[] = { "made", key, "on", parent ? parent : "",
				       NULL };
	struct shale_opts opts = { .size = sizeof(opts), .labels = labels };

	return op == OP_PREPARE
		       ? shale_prepare(worker->store, key, parent, &opts, &why)
		       : shale_view(worker->store, key, parent, &opts, &why);
}

static int call_commit(struct worker *worker, const char *key)
{
	char name[16], buffer[16];
	const char *const labels[] = { "made", name, NULL };
	struct shale_opts opts = { .size = sizeof(opts), .labels = labels };

	draw_name(worker, name);
	if (draw(worker, 4) == 0)
		opts.parent = draw_parent(worker, buffer);
	return shale_commit(worker->store, name, key, &opts, &why);
}

/* Sets a label of any length: mostly in a link, now and then in a file. */
static int call_update(struct worker *worker, const char *name)
{
	static const char *const fields[] = { "labels.text", NULL };
	char text[2048];
	const char *const labels[] = { "text", text, NULL };
	size_t len = draw(worker, draw(worker, 8) ? 256 : sizeof(text));

	memset(text, 't', len);
	text[len] = '\0';
	return shale_update(worker->store, name,
			    draw(worker, 4) ? labels : NULL, fields, &why);
}

static int call(struct worker *worker, enum op op)
{
	struct shale_usage usage = { .size = sizeof(usage) };
	char name[16], parent[SHALE_NAME_SIZE];
	struct view view = { .worker = worker, .asked = name };
	int r;

	draw_name(worker, name);
	switch (op) {
	case OP_PREPARE:
	case OP_VIEW:
		return call_create(worker, op, name);
	case OP_MOUNTS:
		r = shale_mounts(worker->store, name, inspect_mount, &view,
				 &why);
		if (view.calls != (r == 0))
			complain(worker, "mounts returned %d, %d calls", r,
				 view.calls);
		return r;
	case OP_COMMIT:
		return call_commit(worker, name);
	case OP_REMOVE:
		return shale_remove(worker->store, name, &why);
	case OP_DELETE:
		return shale_delete(worker->store, name, &why);
	case OP_PARENT:
		return shale_parent(worker->store, name, parent, &why);
	case OP_EXISTS:
		return shale_exists(worker->store, name, &why);
	case OP_WALK:
	case OP_ACTIVE:
		return walk_all(worker, op);
	case OP_STAT:
		r = shale_stat(worker->store, name, inspect, &view, &why);
		if (view.calls != (r == 0))
			complain(worker, "stat returned %d, %d calls", r,
				 view.calls);
		return r;
	case OP_UPDATE:
		return call_update(worker, name);
	case OP_USAGE:
		return shale_usage(worker->store, name, &usage, &why);
	case OP_CLEANUP:
		return shale_cleanup(worker->store, NULL, &why);
	case OP_CHECK:
		return shale_in_use(worker->store, name, &why);
	case OPS:
		break;
	}
	return 0;
}

static bool is_documented(enum op op, int r)
{
	if (r == 0)
		return true;
	for (size_t i = 0; i < 8 && ops[op].errors[i]; i++)
		if (r == -ops[op].errors[i])
			return true;
	return false;
}

static enum op draw_op(struct worker *worker)
{
	int sum = 0, drawn;

	for (int op = 0; op < OPS; op++)
		sum += ops[op].weight;
	drawn = (int)draw(worker, (uint32_t)sum);
	for (int op = 0; op < OPS; op++) {
		drawn -= ops[op].weight;
		if (drawn < 0)
			return (enum op)op;
	}
	return OP_STAT;
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;

	while (now_ms() < worker->end_ms) {
		enum op op = draw_op(worker);
		int r;

		why = (struct shale_error)SHALE_ERROR_INIT;
		r = call(worker, op);
		__atomic_fetch_add(&worker->result->calls[op], 1,
				   __ATOMIC_RELAXED);
		if (r == 0)
			__atomic_fetch_add(&worker->result->successes[op], 1,
					   __ATOMIC_RELAXED);
		if (!is_documented(op, r))
			complain(worker, "%s: %s (%d): %s", ops[op].name,
				 r < 0 ? strerrorname_np(-r) : "positive", r,
				 why.msg);
		else if (r < 0 && (why.code != -r || !why.msg[0]))
			complain(worker, "%s: %d with code %d: '%s'",
				 ops[op].name, r, why.code, why.msg);
	}
	return NULL;
}

/* ---- processes ---- */

struct plan {
	struct result *result;
	int64_t length_ms;
	int threads;
	bool own_handles; /* one a thread */
	bool with_anchors;
	uint64_t seed;
};

static int open_for_stress(const char *durability, struct shale_store **ret)
{
	const char *const config[] = { "any_filesystem", "yes", "durability",
				       durability, NULL };

	return shale_store_open(at("store"), NULL, config, NULL, ret, NULL);
}

/* Runs @plan's threads to their end; in a child. */
static int run_process(const struct plan *plan)
{
	const char *durability = plan->seed % 2 ? "none" : "layer";
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	struct shale_store *shared = NULL;
	int64_t end_ms = now_ms() + plan->length_ms;

	if (!plan->own_handles && open_for_stress(durability, &shared) < 0)
		return 1;
	for (int i = 0; i < plan->threads; i++) {
		workers[i] = (struct worker){
			.store = shared,
			.result = plan->result,
			.random = plan->seed * 1000003 + (uint64_t)i * 7919 + 1,
			.end_ms = end_ms,
			.with_anchors = plan->with_anchors,
		};
		if (plan->own_handles &&
		    open_for_stress(durability, &workers[i].store) < 0)
			return 2;
		for (int k = 0; k < 20; k++)
			(void)draw(&workers[i], 2);
		if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
			return 3;
	}
	for (int i = 0; i < plan->threads; i++) {
		(void)pthread_join(threads[i], NULL);
		if (plan->own_handles)
			shale_store_close(workers[i].store);
	}
	shale_store_close(shared);
	return 0;
}

static int run_plan(void *ctx)
{
	return run_process(ctx);
}

static struct result *new_result(void)
{
	struct result *result = mmap(NULL, sizeof(*result),
				     PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(result != MAP_FAILED);
	return result;
}

static int64_t stress_ms(void)
{
	const char *text = getenv("SHALE_STRESS_SECONDS");
	double seconds = text ? strtod(text, NULL) : 20;

	return seconds > 0 ? (int64_t)(seconds * 1000) : 20000;
}

static void make_anchors(void)
{
	for (int i = 0; i < ANCHORS; i++) {
		char name[24];
		const char *const labels[] = { "made", name, NULL };
		struct shale_opts opts = { .size = sizeof(opts),
					   .labels = labels };

		(void)snprintf(name, sizeof(name), "anchor %d", i);
		MUST(shale_prepare(store, "name 0", NULL, NULL, &why));
		make_file(of_key("name 0", "fs/file"), name);
		MUST(shale_commit(store, name, "name 0", &opts, &why));
	}
}

static void check_result(const struct result *result, bool all_ops)
{
	for (int op = 0; op < OPS; op++)
		print_message("# %-8s %8llu calls, %8llu successes\n",
			      ops[op].name,
			      (unsigned long long)result->calls[op],
			      (unsigned long long)result->successes[op]);
	if (result->failures)
		fail_msg("%d failures, the first: %s", result->failures,
			 result->failure);
	for (int op = 0; all_ops && op < OPS; op++)
		if (!result->successes[op])
			fail_msg("%s never succeeded", ops[op].name);
}

static int delete_one(void *ctx, const struct shale_info *info)
{
	char name[SHALE_NAME_SIZE];
	int r;

	(void)strcpy(name, info->name);
	r = shale_delete(store, name, &why);
	if (r == 0)
		++*(int *)ctx;
	return r == 0 || r == -EBUSY ? 0 : 1;
}

static int remove_one(void *ctx, const struct shale_info *info)
{
	char name[SHALE_NAME_SIZE];

	(void)ctx;
	(void)strcpy(name, info->name);
	return shale_remove(store, name, &why) == 0 ? 0 : 1;
}

/* Nothing that is left is beyond its owner's reach. */
static void check_all_can_go(void)
{
	int deleted;

	MUST(shale_active(store, remove_one, NULL, &why));
	do {
		deleted = 0;
		MUST(shale_walk(store, delete_one, &deleted, &why));
	} while (deleted);
	check_list(at("store/active"), "");
	check_list(at("store/snapshots"), "");
	check_list(at("store/trash"), "");
	check_list(at("store/staging"), "");
}

static void check_store(bool after_kill)
{
	int r;

	MUST(shale_cleanup(store, NULL, &why));
	/* A dead writer's odd generation stays until the next writer. */
	if (after_kill) {
		MUST(shale_prepare(store, "a writer", NULL, NULL, &why));
		MUST(shale_remove(store, "a writer", &why));
	}
	assert_int_equal(invariants_check(after_kill), 0);
	why = (struct shale_error)SHALE_ERROR_INIT;
	r = shale_check(store, 0, NULL, NULL, &why);
	if (r != 0 && r != -EOPNOTSUPP)
		fail_msg("verify: %d: %s", r, why.msg);
}

static void stress(bool own_handles, int64_t length_ms)
{
	struct helper helpers[PROCESSES];
	struct plan plans[PROCESSES];
	struct result *result = new_result();

	make_anchors();
	for (int i = 0; i < PROCESSES; i++) {
		plans[i] = (struct plan){
			.result = result,
			.length_ms = length_ms,
			.threads = THREADS,
			.own_handles = own_handles,
			.with_anchors = true,
			.seed = (uint64_t)time(NULL) * PROCESSES + (uint64_t)i,
		};
		helper_begin(&helpers[i], run_plan, &plans[i]);
	}
	for (int i = 0; i < PROCESSES; i++)
		helper_wait(&helpers[i]);
	for (int i = 0; i < PROCESSES; i++)
		helper_stop(&helpers[i]);
	check_result(result, length_ms >= 2000);
	check_store(false);
	check_all_can_go();
	(void)munmap(result, sizeof(*result));
}

static void threads_on_one_handle_a_process_keep_every_rule(void **state)
{
	(void)state;
	stress(false, stress_ms());
}

static void threads_on_a_handle_each_keep_every_rule(void **state)
{
	(void)state;
	stress(true, stress_ms() / 4 + 1);
}

/* ---- death ---- */

static void a_process_killed_at_any_moment_breaks_no_rule(void **state)
{
	struct result *result = new_result();
	uint64_t seed = (uint64_t)time(NULL);

	(void)state;
	for (int i = 0; i < KILLS; i++) {
		struct plan plan = {
			.result = result,
			.length_ms = 60000,
			.threads = 1 + i % 4,
			.own_handles = i % 2,
			.seed = ++seed,
		};
		struct timespec pause = {
			.tv_nsec = 5000000 + (long)(seed * 7919 % 60) * 1000000
		};
		struct helper helper;

		helper_begin(&helper, run_plan, &plan);
		(void)nanosleep(&pause, NULL);
		helper_kill(&helper);
		if (result->failures)
			fail_msg("round %d: %s", i, result->failure);
		reopen();
		check_store(true);
	}
	check_result(result, false);
	check_all_can_go();
	(void)munmap(result, sizeof(*result));
}

static void the_death_of_one_does_not_disturb_the_other(void **state)
{
	struct result *result = new_result();
	int64_t length_ms = stress_ms() / 4 + 1, end_ms = now_ms() + length_ms;
	uint64_t seed = (uint64_t)time(NULL);
	struct plan lives = {
		.result = result,
		.length_ms = length_ms,
		.threads = 4,
		.with_anchors = true,
		.seed = seed,
	};
	struct helper survivor;

	(void)state;
	make_anchors();
	helper_begin(&survivor, run_plan, &lives);
	while (now_ms() < end_ms) {
		struct plan dies = lives;
		struct timespec pause = {
			.tv_nsec = 3000000 + (long)(seed * 7919 % 40) * 1000000
		};
		struct helper victim;

		dies.length_ms = 60000;
		dies.seed = ++seed;
		helper_begin(&victim, run_plan, &dies);
		(void)nanosleep(&pause, NULL);
		helper_kill(&victim);
	}
	helper_wait(&survivor);
	helper_stop(&survivor);
	check_result(result, false);
	reopen();
	check_store(true);
	check_all_can_go();
	(void)munmap(result, sizeof(*result));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(threads_on_one_handle_a_process_keep_every_rule),
		TEST_IN_STORE(threads_on_a_handle_each_keep_every_rule),
		TEST_IN_STORE(a_process_killed_at_any_moment_breaks_no_rule),
		TEST_IN_STORE(the_death_of_one_does_not_disturb_the_other),
	};

	return cmocka_run_group_tests_name("stress", tests, NULL, NULL);
}
