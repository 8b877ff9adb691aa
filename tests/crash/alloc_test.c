/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every operation, with each allocation that it makes failed once: it says so
 * or does without, the store is as before or as after, nothing leaks, and the
 * same handle does the same operation at the second try.
 *
 * This program's own malloc stands before that of libc and of every library,
 * so that it is built without sanitizers alone, which have their own.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "each.h"
#include "picture.h"

/* ---- malloc ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *memory);

static long countdown; /* 0: nothing fails */
static long made, live;

static bool fails(void)
{
	if (__atomic_add_fetch(&made, 1, __ATOMIC_SEQ_CST) != countdown)
		return false;
	errno = ENOMEM;
	return true;
}

static void *counted(void *memory)
{
	if (memory)
		__atomic_add_fetch(&live, 1, __ATOMIC_SEQ_CST);
	return memory;
}

/* With hidden names, strdup would use libc's. */
#define EVERYBODYS __attribute__((visibility("default")))

EVERYBODYS void *malloc(size_t size)
{
	return fails() ? NULL : counted(__libc_malloc(size));
}

EVERYBODYS void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : counted(__libc_calloc(count, size));
}

EVERYBODYS void *realloc(void *old, size_t size)
{
	void *memory;

	/* To shrink never fails. */
	if ((!old || malloc_usable_size(old) < size) && fails())
		return NULL;
	memory = __libc_realloc(old, size);
	return old ? memory : counted(memory);
}

EVERYBODYS void free(void *memory)
{
	if (memory)
		__atomic_sub_fetch(&live, 1, __ATOMIC_SEQ_CST);
	__libc_free(memory);
}

/* ---- a child ---- */

struct told {
	int r, again;
	long made, leaked;
	struct shale_error error, error_again;
};

static struct shale_store *begin(const struct operation *operation)
{
	return operation->opens ? NULL : world_handle();
}

static void *nothing(void *ctx)
{
	return ctx;
}

/*
 * Once as it is, for what libraries allocate for good at their first use; the
 * operation may find its work done, which is nothing to us here.  A thread as
 * well, of which libc keeps the stack: some only have one after a failure.
 */
static void warm_up(const struct operation *operation)
{
	struct shale_store *handle = begin(operation);
	pthread_t thread;

	if (pthread_create(&thread, NULL, nothing, NULL) == 0)
		(void)pthread_join(thread, NULL);
	(void)operation->act(handle, NULL);
	if (handle)
		close_handle(handle);
}

static void act(const struct operation *operation, long fail_at,
		struct told *told)
{
	long live_before = live;
	struct shale_store *handle = begin(operation);

	told->error = told->error_again = (struct shale_error)SHALE_ERROR_INIT;
	made = 0;
	countdown = fail_at;
	told->r = operation->act(handle, &told->error);
	told->made = made;
	countdown = 0;
	told->again = told->r == 0 ? 0
				   : operation->act(handle, &told->error_again);
	if (handle)
		close_handle(handle);
	told->leaked = live - live_before;
}

static void run_child(const struct operation *operation, long fail_at,
		      struct told *told, const char *where)
{
	int status;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		warm_up(operation);
		world_make(operation);
		act(operation, fail_at, told);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("%s: it crashed (status 0x%x)", where, status);
	world_unmount();
}

/* ---- judging ---- */

static void judge(const struct told *told, const char *after, const char *where)
{
	if (told->r != 0 && (told->error.code != -told->r || !*told->error.msg))
		fail_msg("%s: returned %d, code %d: '%s'", where, told->r,
			 told->error.code, told->error.msg);
	if (told->again != 0)
		fail_msg("%s: %s; and at the second try: %s", where,
			 told->error.msg, told->error_again.msg);
	if (told->leaked != 0)
		fail_msg("%s: %s: %ld allocations leaked", where,
			 told->error.msg, told->leaked);
	each_check_world(after, where, told->error.msg);
}

static void fail_everywhere(const struct operation *operation,
			    struct told *told)
{
	char *after, where[256];

	world_make(operation);
	run_child(operation, 0, told, operation->name);
	if (told->r != 0)
		fail_msg("%s: %s", operation->name, told->error.msg);
	after = picture_take(true);
	for (long n = 1;; n += (long)world_stride()) {
		(void)snprintf(where, sizeof(where), "%s, allocation %ld",
			       operation->name, n);
		world_make(operation);
		run_child(operation, n, told, where);
		if (told->made < n)
			break;
		each_point();
		judge(told, after, where);
	}
	free(after);
}

static void run_operation(const struct operation *operation)
{
	struct told *told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(told != MAP_FAILED);
	fail_everywhere(operation, told);
	(void)munmap(told, sizeof(*told));
}

int main(int argc, char **argv)
{
	static const struct trial trial = { "alloc",
					    "each allocation fails once",
					    run_operation, false };

	return each_main(&trial, argc, argv);
}
