/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * deny SYSCALL[,SYSCALL...] COMMAND [ARG...]
 *
 * Runs a command for which these system calls do not exist (ENOSYS), as on an
 * older kernel: a seccomp filter, which children inherit.  The command keeps
 * its privileges where the caller has CAP_SYS_ADMIN; else it gets no new ones.
 * 77 where this machine has no filters or another architecture, 127 where the
 * command is not found.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXIT_SKIP 77
#define CALLS_MAX 16

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#define OUR_ARCH 0
#endif

/* The same numbers on both: all are younger than the unified table. */
static const struct {
	const char *name;
	uint32_t number;
} calls[] = {
	{ "clone3", SYS_clone3 },
	{ "close_range", SYS_close_range },
	{ "fsopen", SYS_fsopen },
	{ "fsconfig", SYS_fsconfig },
	{ "fsmount", SYS_fsmount },
	{ "mount_setattr", SYS_mount_setattr },
	{ "move_mount", SYS_move_mount },
	{ "open_tree", SYS_open_tree },
	{ "openat2", SYS_openat2 },
};

static int fail(const char *what)
{
	(void)fprintf(stderr, "deny: %s: %s\n", what, strerror(errno));
	return EXIT_SKIP;
}

/* The number of the call whose name is the first @len bytes; -1 for none. */
static int64_t find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (strlen(calls[i].name) == len &&
		    !strncmp(calls[i].name, name, len))
			return calls[i].number;
	return -1;
}

/* One comparison a call: equal goes to the next instruction, which denies. */
static int build(const char *list, struct sock_filter *filter,
		 unsigned short *ret_len)
{
	const struct sock_filter head[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, arch)),
		/* A foreign architecture has other numbers: let it be. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
	};
	unsigned short n = sizeof(head) / sizeof(*head);

	memcpy(filter, head, sizeof(head));
	while (*list) {
		size_t len = strcspn(list, ",");
		int64_t number = find(list, len);

		if (number < 0 || n + 3 > 2 * CALLS_MAX)
			return -1;
		filter[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(
			BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
		list += len + (list[len] == ',');
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						   SECCOMP_RET_ALLOW);
	*ret_len = n;
	return 0;
}

static int install(struct sock_fprog *program)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) == 0)
		return 0;
	if (errno != EACCES || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program);
}

int main(int argc, char **argv)
{
	struct sock_filter filter[2 * CALLS_MAX];
	struct sock_fprog program = { 0, filter };

	if (argc < 3 || build(argv[1], filter, &program.len) < 0) {
		(void)fprintf(stderr,
			      "usage: deny SYSCALL[,...] COMMAND [ARG...]\n");
		return 2;
	}
	if (!OUR_ARCH) {
		errno = ENOSYS;
		return fail("this architecture");
	}
	if (install(&program) < 0)
		return fail("install a filter");
	(void)execvp(argv[2], argv + 2);
	(void)fprintf(stderr, "deny: %s: %s\n", argv[2], strerror(errno));
	return 127;
}
