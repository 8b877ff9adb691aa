/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What /proc says of a process, and our own streams: see process.h.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "number.h"
#include "scope.h"

#define START_FIELD 22
/* Of /proc/PID/ns/user, for ever (PROC_USER_INIT_INO). */
#define INITIAL_USER_NAMESPACE 0xEFFFFFFDU

static int read_file(const char *path, char *ret, size_t size)
{
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	return 0;
}

void process_hear_children(struct sigaction *ret_inherited)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };

	(void)sigaction(SIGCHLD, &standard, ret_inherited);
}

int process_boot_id(char ret[PROCESS_BOOT_ID_SIZE])
{
	char text[PROCESS_BOOT_ID_SIZE];
	int r = read_file("/proc/sys/kernel/random/boot_id", text,
			  sizeof(text));

	if (r < 0)
		return r;
	if (strlen(text) != PROCESS_BOOT_ID_SIZE - 1)
		return -EBADMSG;
	memcpy(ret, text, sizeof(text));
	return 0;
}

/* Field 22 of the line; field 3, the state, stands at @fields. */
static int parse_start(const char *fields, uint64_t *ret)
{
	char number[24] = "";
	size_t len;

	for (int field = 3; field < START_FIELD; field++) {
		fields += strcspn(fields, " ");
		fields += strspn(fields, " ");
	}
	len = strcspn(fields, " ");
	if (len >= sizeof(number))
		return -EBADMSG;
	memcpy(number, fields, len);
	return number_parse(number, UINT64_MAX, ret) < 0 ? -EBADMSG : 0;
}

int process_start_time(long pid, uint64_t *ret)
{
	char path[64], text[1024];
	const char *past_comm;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	r = read_file(path, text, sizeof(text));
	if (r == -ENOENT)
		return -ESRCH;
	if (r < 0)
		return r;
	/* The command, field 2, may hold anything, also ") R 1 1". */
	past_comm = strrchr(text, ')');
	if (!past_comm || past_comm[1] != ' ')
		return -EBADMSG;
	if (past_comm[2] == 'Z' || past_comm[2] == 'X')
		return -ESRCH;
	return parse_start(past_comm + 2, ret);
}

void process_fill_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

void process_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int process_name(long pid, char ret[PROCESS_NAME_SIZE])
{
	char boot[PROCESS_BOOT_ID_SIZE];
	uint64_t start;
	int r = process_boot_id(boot);

	if (r == 0)
		r = process_start_time(pid, &start);
	if (r == 0)
		(void)snprintf(ret, PROCESS_NAME_SIZE, "%ld %" PRIu64 " %s",
			       pid, start, boot);
	return r;
}

long process_find(const char *name, const char **ret_rest)
{
	const size_t boot_len = PROCESS_BOOT_ID_SIZE - 1;
	char boot[PROCESS_BOOT_ID_SIZE];
	unsigned long long pid, start;
	uint64_t started;
	char *rest;

	pid = strtoull(name, &rest, 10);
	start = strtoull(rest, &rest, 10);
	rest += strspn(rest, " ");
	if (process_boot_id(boot) < 0 || strncmp(rest, boot, boot_len) != 0 ||
	    process_start_time((long)pid, &started) < 0 || started != start)
		return 0;
	rest += boot_len;
	if (ret_rest)
		*ret_rest = rest + strspn(rest, " ");
	return (long)pid;
}

bool process_in_user_namespace(void)
{
	struct stat st;

	return fstatat(AT_FDCWD, "/proc/self/ns/user", &st, 0) == 0 &&
	       st.st_ino != INITIAL_USER_NAMESPACE;
}

bool process_is_admin(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };
	struct __user_cap_data_struct data[2] = { 0 };

	return syscall(SYS_capget, &head, data) == 0 &&
	       data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &
		       CAP_TO_MASK(CAP_SYS_ADMIN);
}

bool process_kernel_before(unsigned long major, unsigned long minor)
{
	struct utsname name;
	unsigned long has_major, has_minor;
	char *next;

	if (uname(&name) < 0)
		return false;
	has_major = strtoul(name.release, &next, 10);
	has_minor = *next == '.' ? strtoul(next + 1, NULL, 10) : 0;
	return has_major < major || (has_major == major && has_minor < minor);
}
