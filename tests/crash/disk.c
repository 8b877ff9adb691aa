/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk in a file: see disk.h.
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

/* The same number on ext4 and xfs, and in no header of libc. */
#define SHUTDOWN _IOR('X', 125, uint32_t)
#define SHUTDOWN_FLUSH 1u
#define SHUTDOWN_NO_FLUSH 2u

static int run(const char *const *argv)
{
	int status;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(fd, STDIN_FILENO);
		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
		(void)execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void mount_image(const char *type)
{
	const char *const argv[] = { "mount", "-t",	   type,       "-o",
				     "loop",  at("image"), at("disk"), NULL };
	int status = run(argv);

	if (status != 0)
		fail_msg("mount of %s: status %d", type, status);
}

void disk_make(const char *type, unsigned int size)
{
	char mkfs[32];
	const char *quiet = strcmp(type, "ext4") == 0 ? "-qF" : "-qf";
	const char *const argv[] = { mkfs, quiet, at("image"), NULL };
	int fd, status;

	(void)snprintf(mkfs, sizeof(mkfs), "mkfs.%s", type);
	fd = open(at("image"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size << 20), 0);
	(void)close(fd);
	status = run(argv);
	if (status == 127)
		skip_because("no mkfs of that type");
	assert_int_equal(status, 0);
	make_dir(at("disk"));
	mount_image(type);
	make_dir(at("disk/store"));
	make_link(at("store"), "disk/store");
}

static void kill_all(const pid_t *writers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		(void)kill(writers[i], SIGKILL);
		assert_int_equal(waitpid(writers[i], NULL, 0), writers[i]);
	}
}

static void shut_down(bool flush)
{
	uint32_t how = flush ? SHUTDOWN_FLUSH : SHUTDOWN_NO_FLUSH;
	int fd = open(at("disk"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	if (ioctl(fd, SHUTDOWN, &how) < 0)
		fail_msg("shut the file system down: %s", strerror(errno));
	(void)close(fd);
}

/* Stopped ones write nothing while the copy is made. */
static void copy_image(const pid_t *writers, size_t count)
{
	const char *const argv[] = { "cp", "--sparse=always", at("image"),
				     at("image.cut"), NULL };

	for (size_t i = 0; i < count; i++) {
		int status;

		(void)kill(writers[i], SIGSTOP);
		(void)waitpid(writers[i], &status, WUNTRACED);
	}
	assert_int_equal(run(argv), 0);
}

void disk_cut(const char *type, bool flush, const pid_t *writers, size_t count)
{
	bool is_btrfs = strcmp(type, "btrfs") == 0;

	if (is_btrfs)
		copy_image(writers, count);
	else
		shut_down(flush);
	kill_all(writers, count);
	disk_drop();
	if (is_btrfs)
		assert_int_equal(rename(at("image.cut"), at("image")), 0);
}

void disk_return(const char *type)
{
	mount_image(type);
}

void disk_drop(void)
{
	if (umount2(at("disk"), 0) < 0)
		fail_msg("unmount: %s", strerror(errno));
}
