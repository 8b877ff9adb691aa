/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every operation, with each system call that it makes failed once, by each
 * errno that fits the call: it returns an error that names what failed, or
 * has done its work all the same; the store is as before or as after; nothing
 * leaks; and the same handle does the same operation at the second try.
 *
 * SHALE_LONG=1 tries every call with every errno; the short form every third
 * call, with one of them in turn.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "each.h"
#include "picture.h"
#include "text.h"
#include "tracer.h"

#define ERRORS_MAX 6

/*
 * What may fail how.  What is not here is left alone: close and munmap would
 * leak by the very injection, and a failing futex is a broken libc.
 */
static const struct {
	long call;
	int errors[ERRORS_MAX];
} faults[] = {
	{ SYS_openat, { EMFILE, EIO, ENOMEM, ENFILE } },
	{ SYS_mkdirat, { ENOSPC, EDQUOT, EIO, EROFS } },
	{ SYS_symlinkat, { ENOSPC, EDQUOT, EIO, EROFS } },
	{ SYS_linkat, { ENOSPC, EDQUOT, EIO, EROFS } },
	{ SYS_renameat, { ENOSPC, EDQUOT, EIO, EROFS } },
	{ SYS_renameat2, { ENOSPC, EDQUOT, EIO, EROFS } },
	{ SYS_unlinkat, { EIO, EROFS } },
	{ SYS_fchmod, { EIO, EROFS } },
	{ SYS_fchmodat, { EIO, EROFS } },
	{ SYS_fchown, { EIO, EROFS, EDQUOT } },
	{ SYS_fsync, { EIO, ENOSPC, EDQUOT } },
	{ SYS_syncfs, { EIO, ENOSPC, EDQUOT } },
	{ SYS_flock, { EINTR, ENOLCK } },
	{ SYS_pread64, { EIO } },
	{ SYS_pwrite64, { EIO, ENOSPC, EDQUOT } },
	{ SYS_read, { EIO } },
	{ SYS_write, { ENOSPC, EIO, EDQUOT } },
	{ SYS_getdents64, { EIO } },
	{ SYS_readlinkat, { EIO, ENOMEM } },
	{ SYS_newfstatat, { EIO, ENOMEM } },
	{ SYS_fstat, { EIO } },
	{ SYS_statx, { EIO, ENOMEM } },
	{ SYS_fstatfs, { EIO } },
	{ SYS_getrandom, { EAGAIN } },
	{ SYS_fremovexattr, { EIO } },
	{ SYS_fsetxattr, { ENOSPC, EDQUOT } },
	{ SYS_fcntl, { EMFILE } },
#if !defined(__SANITIZE_ADDRESS__) /* it does not survive that itself */
	{ SYS_mmap, { ENOMEM } },
	{ SYS_brk, { ENOMEM } },
#endif
	{ SYS_clone, { EAGAIN, ENOSPC } },
	{ SYS_clone3, { EAGAIN } },
	{ SYS_unshare, { ENOMEM } },
	{ SYS_openat2, { EMFILE, ENOMEM, EAGAIN } },
	{ SYS_fchdir, { EIO } },
	{ SYS_fsopen, { EMFILE, ENOMEM } },
	{ SYS_fsconfig, { ENOMEM, EIO } },
	{ SYS_fsmount, { ENOMEM, EMFILE } },
	{ SYS_move_mount, { ENOMEM, EIO } },
	{ SYS_open_tree, { ENOMEM, EMFILE } },
	{ SYS_mount_setattr, { ENOMEM } },
	{ SYS_mount, { ENOMEM, EIO } },
};

/* What the child tells; in shared memory. */
struct told {
	int r, again, fds_before, fds_after;
	struct shale_error error, error_again;
};

struct child {
	const struct operation *operation;
	struct shale_store *handle;
	struct told *told;
	int turn; /* which errno of several */
};

/* Twice where the first time is what fails. */
static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		dir = opendir("/proc/self/fd");
	while (dir && (errno = 0, readdir(dir)))
		n++;
	if (errno)
		n = -1;
	(void)closedir(dir);
	return n < 0 ? count_fds() : n;
}

static void begin(void *ctx)
{
	struct child *child = ctx;

	if (!child->operation->opens)
		child->handle = world_handle();
	child->told->fds_before = count_fds();
}

/* Only the first call number @at fails: the second try has none. */
static int act(void *ctx)
{
	const struct child *child = ctx;
	struct told *told = child->told;

	told->error = told->error_again = (struct shale_error)SHALE_ERROR_INIT;
	told->r = child->operation->act(child->handle, &told->error);
	told->fds_after = count_fds();
	if (told->r != 0)
		told->again = child->operation->act(child->handle,
						    &told->error_again);
	return 0;
}

static int choose(long call, void *ctx)
{
	const struct child *child = ctx;
	int n = 0;

	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		if (faults[i].call != call)
			continue;
		while (n < ERRORS_MAX && faults[i].errors[n])
			n++;
		return faults[i].errors[child->turn % n];
	}
	return 0;
}

/* ---- judging ---- */

static void check_sentence(const struct told *told, const char *where)
{
	const char *msg = told->error.msg;
	size_t len = strlen(msg);

	if (told->r > 0 || told->error.code != -told->r)
		fail_msg("%s: returned %d, code %d: %s", where, told->r,
			 told->error.code, msg);
	if (!len || strchr(msg, '\n') || msg[len - 1] == '.' ||
	    !text_is_utf8(msg))
		fail_msg("%s: no sentence: '%s'", where, msg);
}

/* With durability all, no failed sync is passed over. */
static bool must_be_told(const struct operation *operation, long call)
{
	return (call == SYS_fsync || call == SYS_syncfs) &&
	       !operation->has_temporary;
}

/* The one exception of the manual: what has happened and is not synced. */
static bool has_happened_all_the_same(const struct told *told)
{
	return strstr(told->error.msg, ", but to sync ") != NULL;
}

static void judge(const struct told *told, const char *after, const char *where)
{
	bool happened = told->r == 0 || has_happened_all_the_same(told);

	if (told->r != 0)
		check_sentence(told, where);
	if (told->fds_before != told->fds_after)
		fail_msg("%s: %d descriptors before, %d after", where,
			 told->fds_before, told->fds_after);
	/* Done by the second try at the latest. */
	if (told->r != 0 && !happened && told->again != 0)
		fail_msg("%s: %s; and at the second try: %s", where,
			 told->error.msg, told->error_again.msg);
	each_check_world(after, where, told->error.msg);
}

static bool fail_once(const struct operation *operation, unsigned long n,
		      int turn, struct told *told, struct tracer_result *result)
{
	struct child child = { .operation = operation,
			       .told = told,
			       .turn = turn };
	const struct tracer_plan plan = {
		.deed = TRACER_FAIL, .at = n, .choose = choose, .ctx = &child
	};

	world_make(operation);
	tracer_run(&plan, begin, act, &child, result);
	world_unmount();
	return result->calls >= n;
}

static int errors_of(long call)
{
	int n = 0;

	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		while (faults[i].call == call && n < ERRORS_MAX &&
		       faults[i].errors[n])
			n++;
	return n;
}

static void fail_everywhere(const struct operation *operation,
			    struct told *told)
{
	struct tracer_result result;
	char *after, where[256];
	bool is_long = getenv("SHALE_LONG") != NULL;

	world_make(operation);
	(void)fail_once(operation, 0, 0, told, &result);
	if (told->r != 0)
		fail_msg("%s: %s", operation->name, told->error.msg);
	after = picture_take(true);
	for (unsigned long n = 1;; n += world_stride()) {
		int turn = is_long ? 0 : (int)n, last = turn;

		do {
			if (!fail_once(operation, n, turn, told, &result)) {
				free(after);
				return;
			}
			if (!result.error)
				break;
			each_point();
			(void)snprintf(where, sizeof(where),
				       "%s, call %lu (number %ld) fails: %s",
				       operation->name, n, result.call,
				       strerrorname_np(result.error));
			if (result.exited != 0)
				fail_msg("%s: it crashed", where);
			if (told->r == 0 &&
			    must_be_told(operation, result.call))
				fail_msg("%s: nobody was told", where);
			judge(told, after, where);
			if (is_long)
				last = errors_of(result.call) - 1;
		} while (turn++ < last);
	}
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
	static const struct trial trial = { "fail", "each call fails once",
					    run_operation, true };

	return each_main(&trial, argc, argv);
}
