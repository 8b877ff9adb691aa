/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many processes with many threads work on the same few keys, and die: all
 * answers together fit an order in which they could have been given one after
 * the other, nobody waits for ever, and the store is whole afterwards.
 *
 * Short: 8 processes of 4 threads for 5 seconds.  SHALE_LONG=1: 64 of 8 for
 * three minutes.  SHALE_MANY_SECONDS: so long.
 */
#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "history.h"
#include "invariants.h"

#define PROCESSES_MAX 64
#define THREADS_MAX 8
#define SLOTS_MAX (PROCESSES_MAX * THREADS_MAX)
#define EVENTS_MAX 16384
#define OBJECTS_MAX 64
/* Of how many objects one may have more calls at once than can be searched. */
#define GIVEN_UP_ONE_IN 50
#define THREADS_PER_OBJECT 8
#define KILL_EVERY_MS 100

/* What one thread did, and those that took its place after it died. */
struct slot {
	size_t count;
	struct history_event events[EVENTS_MAX];
};

struct shared {
	uint64_t tickets[OBJECTS_MAX];
	int complaints;
	char complaint[1024];
	struct slot slots[SLOTS_MAX];
};

struct plan {
	int processes, threads, objects;
	int64_t length_ms, wait_max_ms;
};

static struct plan plan;
static struct shared *shared;
static int64_t end_ns;
static pid_t pids[PROCESSES_MAX];

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static uint32_t draw(uint64_t *random, uint32_t below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (uint32_t)(*random >> 32) % below;
}

__attribute__((format(printf, 1, 2))) static void complain(const char *fmt, ...)
{
	va_list args;

	if (__atomic_fetch_add(&shared->complaints, 1, __ATOMIC_SEQ_CST))
		return;
	va_start(args, fmt);
	(void)vsnprintf(shared->complaint, sizeof(shared->complaint), fmt,
			args);
	va_end(args);
}

/* ---- one call ---- */

struct words {
	char key[48], name[48], child[48], version[24];
};

static void name_all(const struct history_event *event, struct words *ret)
{
	unsigned long long o = event->object;

	(void)snprintf(ret->key, sizeof(ret->key), "key %llx", o);
	(void)snprintf(ret->name, sizeof(ret->name), "name %llx", o);
	(void)snprintf(ret->child, sizeof(ret->child), "child %llx", o);
	(void)snprintf(ret->version, sizeof(ret->version), "%llu",
		       (unsigned long long)event->version);
}

static int read_version(void *ctx, const struct shale_info *info)
{
	struct history_event *event = ctx;

	if (strcmp(info->parent, "base") != 0)
		complain("'%s' is on '%s'", info->name, info->parent);
	event->version = 0;
	for (size_t i = 0; info->labels[i]; i += 2)
		if (!strcmp(info->labels[i], "version"))
			event->version =
				strtoull(info->labels[i + 1], NULL, 10);
	return 0;
}

static int call(struct shale_store *handle, struct history_event *event)
{
	struct words w;
	const char *const labels[] = { "version", w.version, NULL };
	struct shale_opts opts = { .size = sizeof(opts), .labels = labels };

	name_all(event, &w);
	switch ((enum history_op)event->op) {
	case HISTORY_PREPARE:
		return shale_prepare(handle, w.key, "base", &opts, &why);
	case HISTORY_UPDATE_KEY:
		return shale_update(handle, w.key, labels, NULL, &why);
	case HISTORY_STAT_KEY:
		return shale_stat(handle, w.key, read_version, event, &why);
	case HISTORY_COMMIT:
		return shale_commit(handle, w.name, w.key, &opts, &why);
	case HISTORY_REMOVE:
		return shale_remove(handle, w.key, &why);
	case HISTORY_UPDATE_NAME:
		return shale_update(handle, w.name, labels, NULL, &why);
	case HISTORY_STAT_NAME:
		return shale_stat(handle, w.name, read_version, event, &why);
	case HISTORY_DELETE:
		return shale_delete(handle, w.name, &why);
	case HISTORY_PREPARE_CHILD:
		return shale_prepare(handle, w.child, w.name, NULL, &why);
	case HISTORY_EXISTS_CHILD:
		return shale_exists(handle, w.child, &why);
	case HISTORY_REMOVE_CHILD:
		return shale_remove(handle, w.child, &why);
	case HISTORY_OPS:
		break;
	}
	return 0;
}

/* An object's last calls take away what the others have left of it. */
static enum history_op choose_op(uint64_t *random, uint64_t step)
{
	static const uint8_t drawn[] = {
		HISTORY_PREPARE,       HISTORY_PREPARE,
		HISTORY_PREPARE,       HISTORY_UPDATE_KEY,
		HISTORY_STAT_KEY,      HISTORY_STAT_KEY,
		HISTORY_COMMIT,	       HISTORY_COMMIT,
		HISTORY_REMOVE,	       HISTORY_UPDATE_NAME,
		HISTORY_STAT_NAME,     HISTORY_STAT_NAME,
		HISTORY_DELETE,	       HISTORY_DELETE,
		HISTORY_PREPARE_CHILD, HISTORY_PREPARE_CHILD,
		HISTORY_EXISTS_CHILD,  HISTORY_REMOVE_CHILD,
		HISTORY_REMOVE_CHILD,
	};

	switch (HISTORY_MAX - 1 - step) {
	case 0:
		return HISTORY_DELETE;
	case 1:
		return HISTORY_REMOVE;
	case 2:
		return HISTORY_REMOVE_CHILD;
	default:
		return (enum history_op)drawn[draw(random, sizeof(drawn))];
	}
}

/* ---- a process ---- */

struct worker {
	struct shale_store *handle;
	struct shale_store *cleaner; /* of one thread alone; else NULL */
	struct slot *slot;
	uint64_t random;
};

static void do_one(struct worker *worker)
{
	uint32_t which = draw(&worker->random, (uint32_t)plan.objects);
	uint64_t ticket = __atomic_fetch_add(&shared->tickets[which], 1,
					     __ATOMIC_RELAXED);
	size_t slot = (size_t)(worker->slot - shared->slots);
	struct history_event *event =
		&worker->slot->events[worker->slot->count];
	struct history_event after = {
		.object = ticket / HISTORY_MAX << 8 | which,
		.version = (uint64_t)slot << 32 | (worker->slot->count + 1),
		.op = choose_op(&worker->random, ticket % HISTORY_MAX),
		.is_lost = true,
	};

	why = (struct shale_error)SHALE_ERROR_INIT;
	after.invoked_ns = now_ns();
	*event = after;
	/* Whoever looks after our death sees the call or sees no event. */
	__atomic_store_n(&worker->slot->count, worker->slot->count + 1,
			 __ATOMIC_RELEASE);
	after.result = call(worker->handle, &after);
	after.returned_ns = now_ns();
	event->version = after.version;
	event->result = after.result;
	event->returned_ns = after.returned_ns;
	__atomic_store_n(&event->is_lost, false, __ATOMIC_RELEASE);
	if (worker->cleaner && draw(&worker->random, 20) == 0)
		(void)shale_cleanup(worker->cleaner, NULL, NULL);
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;

	while (now_ns() < end_ns && worker->slot->count < EVENTS_MAX)
		do_one(worker);
	return NULL;
}

static int is_over(void *ctx)
{
	(void)ctx;
	return now_ns() >= end_ns;
}

static int run_process(int number, uint64_t seed)
{
	/* The dead leave thousands of directories: that is no wait for one. */
	static const struct shale_host host = { .size = sizeof(host),
						.abi = SHALE_PLUGIN_ABI,
						.cancelled = is_over };
	const char *const config[] = { "any_filesystem", "yes", "durability",
				       number % 4 ? "none" : "layer", NULL };
	struct worker workers[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	struct shale_store *handle, *cleaner = NULL;

	if (shale_store_open(at("store"), NULL, config, NULL, &handle, &why) <
		    0 ||
	    (number == 0 && shale_store_open(at("store"), NULL, config, &host,
					     &cleaner, &why) < 0))
		return 1;
	for (int i = 0; i < plan.threads; i++) {
		workers[i] = (struct worker){
			.handle = handle,
			.cleaner = i == 0 ? cleaner : NULL,
			.slot = &shared->slots[number * plan.threads + i],
			.random = seed * 1000003 + (uint64_t)i * 7919 + 1,
		};
		for (int k = 0; k < 20; k++)
			(void)draw(&workers[i].random, 2);
		if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
			return 2;
	}
	for (int i = 0; i < plan.threads; i++)
		(void)pthread_join(threads[i], NULL);
	shale_store_close(cleaner);
	shale_store_close(handle);
	return 0;
}

static void start_process(int number)
{
	static uint64_t seed;
	pid_t parent = getpid();

	if (!seed)
		seed = (uint64_t)time(NULL) << 16;
	seed++;
	(void)fflush(NULL);
	pids[number] = fork();
	if (pids[number] != 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(getppid() == parent ? run_process(number, seed) : 1);
}

/* ---- death ---- */

/* Nothing that the dead began can take effect after this. */
static void note_death(int number)
{
	int64_t now = now_ns();

	for (int i = 0; i < plan.threads; i++) {
		struct slot *slot = &shared->slots[number * plan.threads + i];
		struct history_event *last;

		if (!slot->count)
			continue;
		last = &slot->events[slot->count - 1];
		if (last->is_lost && !last->returned_ns)
			last->returned_ns = now;
	}
}

static void kill_process(int number)
{
	if (pids[number] <= 0)
		return;
	(void)kill(pids[number], SIGKILL);
	(void)waitpid(pids[number], NULL, 0);
	pids[number] = 0;
	note_death(number);
}

static void kill_now_and_then(void)
{
	const struct timespec pause = { .tv_nsec = KILL_EVERY_MS * 1000000 };
	uint64_t random = (uint64_t)time(NULL);
	int killed = 0;

	for (;;) {
		int number;

		(void)nanosleep(&pause, NULL);
		if (now_ns() + 1000000000 >= end_ns)
			break;
		number = (int)draw(&random, (uint32_t)plan.processes);
		kill_process(number);
		start_process(number);
		killed++;
	}
	print_message("# %d of %d processes were killed\n", killed,
		      killed + plan.processes);
}

/* Returns the number of those that do not come to their end. */
static int wait_for_all(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int64_t until = end_ns + plan.wait_max_ms * INT64_C(1000000);
	int left = 0;

	for (int i = 0; i < plan.processes; i++) {
		int status = 0;

		while (waitpid(pids[i], &status, WNOHANG) == 0 &&
		       now_ns() < until)
			(void)nanosleep(&pause, NULL);
		if (waitpid(pids[i], NULL, WNOHANG) == 0) {
			left++;
			kill_process(i);
		} else if (status != 0) {
			complain("process %d ended with status %x", i,
				 (unsigned int)status);
		}
		pids[i] = 0;
	}
	return left;
}

/* ---- the verdict ---- */

static int compare_events(const void *a, const void *b)
{
	const struct history_event *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return (x->invoked_ns > y->invoked_ns) -
	       (x->invoked_ns < y->invoked_ns);
}

static struct history_event *collect(size_t *ret_count)
{
	size_t count = 0;
	struct history_event *all;

	for (int i = 0; i < plan.processes * plan.threads; i++)
		count += shared->slots[i].count;
	all = calloc(count + 1, sizeof(*all));
	assert_non_null(all);
	*ret_count = count;
	count = 0;
	for (int i = 0; i < plan.processes * plan.threads; i++) {
		const struct slot *slot = &shared->slots[i];

		memcpy(all + count, slot->events,
		       slot->count * sizeof(*slot->events));
		count += slot->count;
	}
	qsort(all, count, sizeof(*all), compare_events);
	return all;
}

static int judge(const struct history_event *all, size_t count)
{
	int broken = 0, given_up = 0, objects = 0;

	for (size_t from = 0, to; from < count; from = to) {
		int r;

		for (to = from; to < count; to++)
			if (all[to].object != all[from].object)
				break;
		r = history_is_linear(all + from, to - from);
		objects++;
		given_up += r < 0;
		if (r == 0 && broken++ == 0) {
			print_message("# no order for object %llx:\n",
				      (unsigned long long)all[from].object);
			history_print(all + from, to - from);
		}
	}
	print_message("# %zu calls on %d objects, %d without an order\n", count,
		      objects, broken);
	if (given_up)
		print_message("# %d searches were given up\n", given_up);
	/* No verdict is none: the others speak, unless those are many. */
	return broken + (given_up * GIVEN_UP_ONE_IN > objects ? given_up : 0);
}

static bool has_answer(const struct slot *slot)
{
	for (size_t i = 0; i < slot->count; i++)
		if (!slot->events[i].is_lost)
			return true;
	return false;
}

/* The longest and the usual wait, by what was called. */
static void print_waits(const struct history_event *all, size_t count)
{
	for (int op = 0; op < HISTORY_OPS; op++) {
		int64_t longest = 0, sum = 0, calls = 0;

		for (size_t i = 0; i < count; i++) {
			int64_t wait = all[i].returned_ns - all[i].invoked_ns;

			if (all[i].op != op || all[i].is_lost)
				continue;
			calls++;
			sum += wait;
			longest = wait > longest ? wait : longest;
		}
		print_message("# %-13s %7lld calls, %6lld ms, at most %lld\n",
			      history_op_name((enum history_op)op),
			      (long long)calls,
			      (long long)(calls ? sum / calls / 1000000 : 0),
			      (long long)longest / 1000000);
	}
}

static void check_waits(const struct history_event *all, size_t count)
{
	int64_t longest = 0;
	size_t which = 0, lost = 0, last = 0;

	for (size_t i = 0; i < count; i++) {
		int64_t wait = all[i].returned_ns - all[i].invoked_ns;

		lost += all[i].is_lost;
		last += all[i].is_lost && all[i].returned_ns > end_ns;
		if (!all[i].is_lost && wait > longest) {
			longest = wait;
			which = i;
		}
	}
	print_message("# longest wait %lld ms, in %s; %zu calls were lost\n",
		      (long long)longest / 1000000,
		      count ? history_op_name(all[which].op) : "nothing", lost);
	print_waits(all, count);
	if (last)
		print_message("# %zu calls were still going on at the end\n",
			      last);
	assert_true(longest < plan.wait_max_ms * INT64_C(1000000));
	for (int i = 0; i < plan.processes * plan.threads; i++)
		if (!has_answer(&shared->slots[i]))
			fail_msg("thread %d never got an answer", i);
}

static int remove_one(void *ctx, const struct shale_info *info)
{
	char name[SHALE_NAME_SIZE];

	(void)ctx;
	(void)snprintf(name, sizeof(name), "%s", info->name);
	return shale_remove(store, name, &why) == 0 ? 0 : 1;
}

static void check_store(void)
{
	reopen();
	MUST(shale_cleanup(store, NULL, &why));
	/* A dead writer's odd generation stays until the next writer. */
	MUST(shale_prepare(store, "a writer", NULL, NULL, &why));
	MUST(shale_remove(store, "a writer", &why));
	assert_int_equal(invariants_check(true), 0);
	MUST(shale_check(store, 0, NULL, NULL, &why));
	MUST(shale_active(store, remove_one, NULL, &why));
	check_list(at("store/active"), "");
	check_list(at("store/staging"), "");
	check_list(at("store/trash"), "");
}

static void make_plan(void)
{
	const char *seconds = getenv("SHALE_MANY_SECONDS");
	bool is_long = getenv("SHALE_LONG") != NULL;

	plan.processes = is_long ? 64 : 8;
	plan.threads = is_long ? 8 : 4;
	plan.objects = plan.processes * plan.threads / THREADS_PER_OBJECT;
	plan.length_ms = is_long ? 180000 : 5000;
	/*
	 * Who waits is served in turn: after all that came before it, 2 ms
	 * each.  A deletion or an update may need some turns.  Of 512 threads
	 * on two shared cores the last had waited 13 s, and 3.7 s for a
	 * prepare, which has one turn; with flock(2) alone 39 s, and more.
	 */
	plan.wait_max_ms = is_long ? 40000 : 5000;
	if (seconds)
		plan.length_ms = 1000 * strtol(seconds, NULL, 10);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(shared != MAP_FAILED);
}

static void all_answers_fit_one_order(void **state)
{
	struct history_event *all;
	size_t count;
	int left;

	(void)state;
	make_plan();
	make_layer("base", NULL);
	end_ns = now_ns() + plan.length_ms * INT64_C(1000000);
	for (int i = 0; i < plan.processes; i++)
		start_process(i);
	kill_now_and_then();
	left = wait_for_all();
	all = collect(&count);
	if (judge(all, count))
		fail_msg("answers that fit no order");
	if (shared->complaints)
		fail_msg("%d complaints, the first: %s", shared->complaints,
			 shared->complaint);
	check_waits(all, count);
	if (left)
		fail_msg("%d processes wait for ever", left);
	free(all);
	check_store();
	(void)munmap(shared, sizeof(*shared));
}

/* ---- the judge itself ---- */

#define EVENT(o, v, from, to, r)                                     \
	{                                                            \
		.op = HISTORY_##o, .version = v, .invoked_ns = from, \
		.returned_ns = to, .result = r                       \
	}
#define LOST(o, v, from, to)                                         \
	{                                                            \
		.op = HISTORY_##o, .version = v, .invoked_ns = from, \
		.returned_ns = to, .is_lost = true                   \
	}

struct judged {
	const char *what;
	struct history_event events[8];
};

static size_t count_events(const struct judged *judged)
{
	size_t n = 0;

	while (n < 8 && judged->events[n].returned_ns)
		n++;
	return n;
}

static const struct judged good[] = {
	{ "nothing", { { 0 } } },
	{ "two at once, one wins",
	  { EVENT(PREPARE, 1, 1, 9, -EEXIST), EVENT(PREPARE, 2, 2, 8, 0) } },
	{ "a read of what is being written",
	  { EVENT(PREPARE, 1, 1, 2, 0), EVENT(UPDATE_KEY, 2, 3, 9, 0),
	    EVENT(STAT_KEY, 2, 4, 5, 0), EVENT(STAT_KEY, 2, 6, 7, 0) } },
	{ "a lost call that happened",
	  { LOST(PREPARE, 1, 1, 9), EVENT(STAT_KEY, 1, 2, 3, 0) } },
	{ "a lost call that did not happen",
	  { LOST(PREPARE, 1, 1, 2), EVENT(PREPARE, 2, 3, 4, 0) } },
	{ "a commit between two reads",
	  { EVENT(PREPARE, 1, 1, 2, 0), EVENT(COMMIT, 2, 3, 9, 0),
	    EVENT(STAT_KEY, 1, 4, 5, 0), EVENT(STAT_NAME, 2, 6, 7, 0) } },
	{ "busy with a commit at the same time",
	  { EVENT(PREPARE, 1, 1, 2, 0), EVENT(COMMIT, 2, 3, 9, 0),
	    EVENT(REMOVE, 3, 4, 5, -EBUSY) } },
};

static const struct judged bad[] = {
	{ "two winners",
	  { EVENT(PREPARE, 1, 1, 9, 0), EVENT(PREPARE, 2, 2, 8, 0) } },
	{ "a stale read",
	  { EVENT(PREPARE, 1, 1, 2, 0), EVENT(UPDATE_KEY, 2, 3, 4, 0),
	    EVENT(STAT_KEY, 1, 5, 6, 0) } },
	{ "back in time",
	  { EVENT(PREPARE, 1, 1, 2, 0), EVENT(UPDATE_KEY, 2, 3, 9, 0),
	    EVENT(STAT_KEY, 2, 4, 5, 0), EVENT(STAT_KEY, 1, 6, 7, 0) } },
	{ "a lost update",
	  { EVENT(PREPARE, 1, 1, 2, 0), EVENT(UPDATE_KEY, 2, 3, 4, 0),
	    EVENT(UPDATE_KEY, 3, 5, 6, 0), EVENT(STAT_KEY, 2, 7, 8, 0) } },
	{ "removed and still there",
	  { EVENT(PREPARE, 1, 1, 2, 0), EVENT(REMOVE, 2, 3, 4, 0),
	    EVENT(STAT_KEY, 1, 5, 6, 0) } },
	{ "key and name at once",
	  { EVENT(PREPARE, 1, 1, 2, 0), EVENT(COMMIT, 2, 3, 9, 0),
	    EVENT(STAT_NAME, 2, 4, 5, 0), EVENT(STAT_KEY, 1, 6, 7, 0) } },
	{ "deleted under a child",
	  { EVENT(PREPARE, 1, 1, 2, 0), EVENT(COMMIT, 2, 3, 4, 0),
	    EVENT(PREPARE_CHILD, 3, 5, 6, 0), EVENT(DELETE, 4, 7, 8, 0) } },
	{ "a child of nothing", { EVENT(PREPARE_CHILD, 1, 1, 2, 0) } },
	{ "busy with nobody",
	  { EVENT(PREPARE, 1, 1, 2, 0), EVENT(REMOVE, 2, 3, 4, -EBUSY) } },
	{ "a lost call that happened after its death",
	  { LOST(PREPARE, 1, 1, 2), EVENT(STAT_KEY, 0, 3, 4, -ENOENT),
	    EVENT(STAT_KEY, 1, 5, 6, 0) } },
	{ "a version that nobody wrote",
	  { EVENT(PREPARE, 1, 1, 2, 0), EVENT(STAT_KEY, 7, 3, 4, 0) } },
};

static void the_judge_accepts_what_has_an_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (history_is_linear(good[i].events, count_events(&good[i])) !=
		    1)
			fail_msg("refused: %s", good[i].what);
}

static void the_judge_refuses_what_has_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (history_is_linear(bad[i].events, count_events(&bad[i])) !=
		    0)
			fail_msg("accepted: %s", bad[i].what);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_judge_accepts_what_has_an_order),
		cmocka_unit_test(the_judge_refuses_what_has_none),
		TEST_IN_STORE(all_answers_fit_one_order),
	};

	return cmocka_run_group_tests_name("many", tests, NULL, NULL);
}
