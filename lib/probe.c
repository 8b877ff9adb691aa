/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The question whether an upper is in use: see probe.h.
 *
 * It is asked twice.  First by an overlay without upper, of which the directory
 * is a layer: where nobody has it, that comes about without a word, writes
 * nothing, and is dropped.  Whatever else comes of it, the answer is that to a
 * request for an overlay that can't be, since its work directory is its upper.
 * The kernel looks first whether the upper is in use, which index=on makes an
 * EBUSY, and finds the nonsense, EINVAL, before it creates anything; but it
 * writes a line into its log either way.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs.h"
#include "process.h"
#include "scope.h"

struct setting {
	const char *key, *value;
};

static int set_all(int fs_fd, const struct setting *settings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fsconfig(fs_fd, FSCONFIG_SET_STRING, settings[i].key,
			     settings[i].value, 0) < 0)
			return -errno;
	return 0;
}

/* ---- without a word ---- */

/* Whether its file handles can be opened again, as only nfs_export allows. */
static bool has_handles(int fs_fd)
{
	struct file_handle none = { .handle_bytes = 0 };
	auto_fd fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	int mount_id;

	return fd >= 0 &&
	       name_to_handle_at(fd, "", &none, &mount_id, AT_EMPTY_PATH) < 0 &&
	       errno == EOVERFLOW;
}

/*
 * Without an upper the kernel takes no index=on, but nfs_export=on turns it on
 * behind that (ovl_fs_params_verify), and with it a layer that somebody has as
 * his upper is an EBUSY (ovl_get_layers).  What can't have it after all is made
 * without both, so that an overlay which still has nfs_export has had the
 * layers looked at.  An overlay wants two layers: the other one is the work
 * directory, which is beside an upper.  lowerdir+ came with 6.8.
 */
static bool is_surely_free(const char *upper)
{
	char work[FS_FD_PATH_SIZE + sizeof("/../work")];
	const struct setting settings[] = {
		{ "lowerdir+", upper }, { "lowerdir+", work },
		{ "metacopy", "off" },	{ "redirect_dir", "nofollow" },
		{ "nfs_export", "on" },
	};
	auto_fd fs_fd = -1;

	/* There no overlay has nfs_export, and the kernel says so in its log. */
	if (process_in_user_namespace())
		return false;
	fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);
	(void)snprintf(work, sizeof(work), "%s/../work", upper);
	return fs_fd >= 0 &&
	       set_all(fs_fd, settings,
		       sizeof(settings) / sizeof(settings[0])) == 0 &&
	       fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0 &&
	       has_handles(fs_fd);
}

/* ---- with a line in the log ---- */

static int ask_by_fsopen(const char *upper)
{
	const struct setting settings[] = {
		{ "lowerdir", upper },
		{ "upperdir", upper },
		{ "workdir", upper },
		{ "index", "on" },
	};
	auto_fd fd = fsopen("overlay", FSOPEN_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = set_all(fd, settings, sizeof(settings) / sizeof(settings[0]));
	if (r == 0 && fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = -errno;
	return r < 0 ? r : -EINVAL;
}

/* Until 5.2 there is no fsopen.  The target stays as it is. */
static int ask_by_mount(const char *upper)
{
	char data[3 * FS_FD_PATH_SIZE + 64];

	(void)snprintf(data, sizeof(data),
		       "lowerdir=%s,upperdir=%s,workdir=%s,index=on", upper,
		       upper, upper);
	return mount("overlay", upper, "overlay", 0, data) < 0 ? -errno
							       : -EINVAL;
}

/* EINVAL is the nonsense found: nobody has the upper. */
static int ask(int fd)
{
	char upper[FS_FD_PATH_SIZE];
	int r;

	fs_fd_path(fd, upper);
	if (is_surely_free(upper))
		return 0;
	r = ask_by_fsopen(upper);
	if (r == -ENOSYS)
		r = ask_by_mount(upper);
	return r == -EINVAL ? 0 : r;
}

/*
 * In the child, which shares no memory with the caller but may hold locks
 * that other threads of his have left: nothing but system calls.  It opens
 * the path anew, since an overlay takes only what is mounted in its own mount
 * namespace.
 */
static int ask_apart(const char *path, const struct stat *st)
{
	struct stat seen;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &seen) < 0)
		return -errno;
	if (seen.st_ino != st->st_ino || seen.st_dev != st->st_dev)
		return -ESTALE;
	return ask(fd);
}

/* Overlays of unprivileged users came with 5.11, so clone3 (5.3) is there.
 * Without an exit signal the child is nobody's but ours.
 */
static int ask_from_child(int fd, const char *path)
{
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWNS };
	struct stat st;
	int status = 0;
	pid_t pid;

	if (fstat(fd, &st) < 0)
		return -errno;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(-ask_apart(path, &st));
	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

int probe_upper(int fd, const char *path)
{
	int r = ask(fd);

	return r == -EPERM ? ask_from_child(fd, path) : r;
}
