/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Least privilege: see confine.h.
 */
#include "confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"
#include "scope.h"

#define FIXED_PATH "/usr/sbin:/usr/bin:/sbin:/bin"
#define ENGINE "SHALE_MOUNT_ENGINE"

/* The leak checker looks into its own process with ptrace. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_LEAK_CHECKER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_LEAK_CHECKER 1
#endif
#endif
#ifndef HAS_LEAK_CHECKER
#define HAS_LEAK_CHECKER 0
#endif

int confine_environment(struct shale_error *err)
{
	const char *engine = getenv(ENGINE);
	auto_free char *kept = engine ? strdup(engine) : NULL;

	if ((engine && !kept) || clearenv() != 0 ||
	    setenv("PATH", FIXED_PATH, 1) < 0 ||
	    (kept && setenv(ENGINE, kept, 1) < 0))
		return error_fail(err, ENOMEM,
				  "reset the environment: out of memory");
	return 0;
}

/* ---- capabilities ---- */

/*
 * An overlay does everything in its layers with the credentials of who
 * mounted it, as long as it lives: what is missing here is missing to every
 * container.  So all that a file system asks for stays, but for
 * CAP_SYS_RESOURCE, which an overlay itself lays down.
 */
static const unsigned char kept[] = {
	/* asked for by file systems */
	CAP_CHOWN,
	CAP_DAC_OVERRIDE,
	CAP_DAC_READ_SEARCH,
	CAP_FOWNER,
	CAP_FSETID,
	CAP_LINUX_IMMUTABLE,
	CAP_MAC_ADMIN, /* labels that the policy does not know */
	CAP_MAC_OVERRIDE,
	CAP_MKNOD,
	CAP_SETFCAP,
	/* mounts, setns, trusted.* attributes */
	CAP_SYS_ADMIN,
	CAP_SYS_CHROOT, /* setns into a mount namespace */
	CAP_SYS_PTRACE, /* descriptors and namespaces of init */
	/* to write the maps of a user namespace */
	CAP_SETGID,
	CAP_SETUID,
};

static uint64_t kept_mask(void)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < sizeof(kept); i++)
		mask |= UINT64_C(1) << kept[i];
	return mask;
}

/* Who has no CAP_SETPCAP keeps the bounding set, which only exec asks. */
static int drop_bounding(uint64_t mask)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (mask >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL || errno == EPERM)
			break; /* past the last one */
		return -errno;
	}
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3,
						   0 };
	struct __user_cap_data_struct sets[2];
	const uint64_t mask = kept_mask();
	int r = drop_bounding(mask);

	if (r < 0)
		return r;
	if (syscall(SYS_capget, &header, sets) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		const uint32_t half = (uint32_t)(mask >> 32 * i);

		sets[i].permitted &= half;
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0; /* the ambient set goes with it */
	}
	return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}

/* ---- system calls ---- */

static const int denied[] = {
	/* other programs */
	SYS_execve,
	SYS_execveat,
	/* other processes */
	SYS_kcmp,
	SYS_pidfd_getfd,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
#if !HAS_LEAK_CHECKER
	SYS_ptrace,
#endif
	/* code in the kernel */
	SYS_bpf,
	SYS_delete_module,
	SYS_finit_module,
	SYS_init_module,
	SYS_kexec_file_load,
	SYS_kexec_load,
	/* doors that exploits like */
	SYS_add_key,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_io_uring_setup,
	SYS_keyctl,
	SYS_open_by_handle_at,
	SYS_perf_event_open,
	SYS_request_key,
	SYS_userfaultfd,
	/* the machine */
	SYS_acct,
	SYS_adjtimex,
	SYS_chroot,
	SYS_clock_adjtime,
	SYS_clock_settime,
	SYS_pivot_root,
	SYS_reboot,
	SYS_setdomainname,
	SYS_sethostname,
	SYS_settimeofday,
	SYS_swapoff,
	SYS_swapon,
	SYS_syslog,
	SYS_vhangup,
#ifdef SYS_ioperm
	SYS_ioperm,
	SYS_iopl,
#endif
};

#define DENIED (sizeof(denied) / sizeof(*denied))

/* Numbers mean something else to another architecture's calls. */
#if defined(__x86_64__) && defined(__ILP32__)
#define OWN_ARCH 0
#elif defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#define FOREIGN_BIT 0x40000000U /* of x32 */
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OWN_ARCH AUDIT_ARCH_RISCV64
#elif defined(__s390x__)
#define OWN_ARCH AUDIT_ARCH_S390X
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ARCH AUDIT_ARCH_PPC64LE
#else
#define OWN_ARCH 0 /* the filter trusts the numbers */
#endif
#ifndef FOREIGN_BIT
#define FOREIGN_BIT 0x80000000U /* of none */
#endif

/* Only what may be called in a handler: the heap may be anybody's by now. */
static void end_with_a_sentence(int signal_number, siginfo_t *info,
				void *context)
{
	static const char head[] = "shale-hook: ended by its own seccomp "
				   "filter: system call ";
	char text[sizeof(head) + 16];
	size_t len = sizeof(head) - 1, digits = 1;
	unsigned int number = (unsigned int)info->si_syscall;

	(void)signal_number;
	(void)context;
	memcpy(text, head, len);
	for (unsigned int rest = number; rest >= 10; rest /= 10)
		digits++;
	for (size_t i = digits; i--; number /= 10)
		text[len + i] = (char)('0' + number % 10);
	len += digits;
	text[len++] = '\n';
	(void)!write(STDERR_FILENO, text, len);
	_exit(1);
}

static int catch_denied(void)
{
	struct sigaction action = {
		.sa_sigaction = end_with_a_sentence,
		.sa_flags = SA_SIGINFO,
	};
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGSYS);
	if (sigaction(SIGSYS, &action, NULL) < 0 ||
	    sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
		return -errno;
	return 0;
}

static int filter_calls(void)
{
	const struct sock_filter head[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1,
			 OWN_ARCH ? 0 : 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FOREIGN_BIT, DENIED + 1, 0),
	};
	const struct sock_filter tail[] = {
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	};
	const size_t head_len = sizeof(head) / sizeof(*head);
	struct sock_filter filter[sizeof(head) / sizeof(*head) + DENIED +
				  sizeof(tail) / sizeof(*tail)];
	const struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(*filter),
		.filter = filter,
	};

	_Static_assert(DENIED + 1 <= UINT8_MAX, "a jump is 8 bits");
	memcpy(filter, head, sizeof(head));
	for (size_t i = 0; i < DENIED; i++)
		filter[head_len + i] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)denied[i],
			(unsigned char)(DENIED - i), 0);
	memcpy(filter + head_len + DENIED, tail, sizeof(tail));
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 &&
			       errno != EINVAL
		       ? -errno
		       : 0;
}

int confine_privilege(struct shale_error *err)
{
	int r = drop_capabilities();

	if (r < 0)
		return error_errno(err, -r, "drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    (!HAS_LEAK_CHECKER && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
		return error_errno(err, errno, "give up privileges");
	r = catch_denied();
	if (r == 0)
		r = filter_calls();
	return r < 0 ? error_errno(err, -r, "install the seccomp filter") : 0;
}
