/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See cycle.h.
 */
#include "cycle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shelf.h"

#define WORKERS_MAX 64

static struct contest here;
static struct shale_store *store;
static long threads, processes;
static pthread_barrier_t start_line;

struct worker {
	struct shale_store *store;
	long number, count;
	int result;
	struct shale_error err;
};

int cycle_set_up(const struct contest *contest)
{
	here = *contest;
	threads = contest_number(contest, "threads", 1);
	processes = contest_number(contest, "processes", 1);
	if (threads < 1 || threads > WORKERS_MAX || processes < 1 ||
	    processes > WORKERS_MAX)
		return contest_fail("too many at once");
	if (shelf_fill(contest, "cycle", SHELF_CHAIN) < 0)
		return -1;
	store = shelf_open(contest, "cycle");
	return store ? 0 : -1;
}

void cycle_tear_down(void)
{
	shale_store_close(store);
	store = NULL;
}

static int see(void *ctx, const struct shale_mount_spec *spec)
{
	(void)ctx;
	return strcmp(spec->type, "overlay") != 0;
}

static int turn(struct worker *worker, const char *key, const char *parent)
{
	int r = shale_prepare(worker->store, key, parent, NULL, &worker->err);

	if (r == 0)
		r = shale_mounts(worker->store, key, see, NULL, &worker->err);
	if (r == 0)
		r = shale_remove(worker->store, key, &worker->err);
	return r;
}

static void work(struct worker *worker)
{
	char key[SHELF_NAME_SIZE], parent[SHELF_NAME_SIZE];

	(void)snprintf(key, sizeof(key), "worker-%ld", worker->number);
	shelf_name(SHELF_CHAIN - 1, parent);
	for (long i = 0; worker->result == 0 && i < worker->count; i++)
		worker->result = turn(worker, key, parent);
}

static void *work_in_thread(void *arg)
{
	(void)pthread_barrier_wait(&start_line);
	work(arg);
	return NULL;
}

static long share(long count, long workers, long number)
{
	return count / workers + (number < count % workers);
}

static int with_threads(long count, uint64_t *ret_ns)
{
	struct worker workers[WORKERS_MAX];
	pthread_t ids[WORKERS_MAX];
	uint64_t start;

	(void)pthread_barrier_init(&start_line, NULL, (unsigned)threads + 1);
	for (long i = 0; i < threads; i++) {
		workers[i] = (struct worker){ .store = store,
					      .number = i,
					      .count = share(count, threads, i),
					      .err = SHALE_ERROR_INIT };
		if (pthread_create(&ids[i], NULL, work_in_thread, &workers[i]))
			abort();
	}
	(void)pthread_barrier_wait(&start_line);
	start = contest_now();
	for (long i = 0; i < threads; i++)
		(void)pthread_join(ids[i], NULL);
	*ret_ns = contest_now() - start;
	(void)pthread_barrier_destroy(&start_line);
	for (long i = 0; i < threads; i++)
		if (workers[i].result < 0)
			return contest_fail("%s", workers[i].err.msg);
	return 0;
}

/* A handle of its own; waits for the start, which is the end of a pipe. */
static int work_in_process(int start_fd, long number, long count)
{
	struct worker worker = { .store = shelf_open(&here, "cycle"),
				 .number = number,
				 .count = count,
				 .err = SHALE_ERROR_INIT };
	char byte;

	if (!worker.store || read(start_fd, &byte, 1) < 0)
		return 1;
	work(&worker);
	if (worker.result < 0)
		(void)fprintf(stderr, "cycle: %s\n", worker.err.msg);
	return worker.result < 0;
}

static int with_processes(long count, uint64_t *ret_ns)
{
	int start_line_fd[2], failures = 0, status;
	uint64_t start;

	if (pipe(start_line_fd) < 0)
		return contest_fail_errno("a pipe");
	for (long i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)close(start_line_fd[1]);
			_exit(work_in_process(start_line_fd[0], i,
					      share(count, processes, i)));
		}
		failures += pid < 0;
	}
	(void)close(start_line_fd[0]);
	(void)usleep(20000); /* until all have opened the store */
	start = contest_now();
	(void)close(start_line_fd[1]);
	while (wait(&status) > 0)
		failures += status != 0;
	*ret_ns = contest_now() - start;
	return failures ? contest_fail("%d processes failed", failures) : 0;
}

int cycle(long count, uint64_t *ret_ns)
{
	return processes > 1 ? with_processes(count, ret_ns)
			     : with_threads(count, ret_ns);
}
