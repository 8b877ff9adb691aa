/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mount of a record, made and taken away: see mounted.h.
 */
#include "mounted.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "lastuse.h"
#include "mountinfo.h"
#include "process.h"
#include "scope.h"

bool mounted_is_of_this_boot(const struct mounted *mounted)
{
	char boot[PROCESS_BOOT_ID_SIZE];

	return process_boot_id(boot) < 0 || !strcmp(boot, mounted->boot);
}

/* Before it is attached, since nothing else would know it then. */
static int note_mount(struct mounted *mounted, int mount_fd,
		      struct shale_error *err)
{
	char text[48];
	struct stat st;
	uint64_t id;
	int r = fs_unique_mnt_id(mount_fd, "", &id);

	if (r == 0 && fstat(mount_fd, &st) < 0)
		r = -errno;
	if (r < 0)
		return error_errno(err, -r, "look at a new mount");
	(void)snprintf(text, sizeof(text), "%" PRIu64 ":%" PRIu64, id,
		       (uint64_t)st.st_dev);
	if (symlinkat(text, mounted->fd, MOUNTED_FACT) < 0)
		return error_errno(err, errno,
				   "write 'mount' of the record of '%s'",
				   mounted->id);
	mounted->mount = id;
	mounted->device = st.st_dev;
	return 0;
}

/* Private, so that no mount in the container comes out of it. */
static int make_private(int fd)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };
	char path[FS_FD_PATH_SIZE];

	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
			  sizeof(attr)) == 0)
		return 0;
	if (errno != ENOSYS) /* until 5.12 */
		return -errno;
	fs_fd_path(fd, path);
	return mount(NULL, path, NULL, MS_PRIVATE | MS_REC, NULL) < 0 ? -errno
								      : 0;
}

/* Whether the mount is what its target's name leads to. */
static bool is_on_top(const struct mounted *mounted)
{
	uint64_t top;

	return mounted->mount &&
	       fs_unique_mnt_id(AT_FDCWD, mounted->target, &top) == 0 &&
	       top == mounted->mount;
}

int mounted_own_target(const struct mounted *mounted, gid_t gid, int *ret_fd,
		       struct shale_error *err)
{
	const mode_t mode = gid == getegid() ? 0700 : 0710;
	auto_fd fd = -1;

	if (fchown(mounted->fd, (uid_t)-1, gid) < 0 ||
	    fchmod(mounted->fd, mode) < 0)
		return error_errno(err, errno,
				   "let group %u into the record of '%s'",
				   (unsigned int)gid, mounted->id);
	if (mkdirat(mounted->fd, MOUNTED_OWN_TARGET, 0700) < 0)
		return error_errno(err, errno, "create '%s'", mounted->target);
	fd = openat(mounted->fd, MOUNTED_OWN_TARGET,
		    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "open '%s'", mounted->target);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Wherever it is by now: its directory may have been renamed. */
static int detach(int mount_fd)
{
	char path[FS_FD_PATH_SIZE];

	fs_fd_path(mount_fd, path);
	return umount2(path, MNT_DETACH);
}

int mounted_attach(struct mounted *mounted, int mount_fd, int target_fd,
		   struct shale_error *err)
{
	int r = note_mount(mounted, mount_fd, err);

	if (r < 0)
		return r;
	if (move_mount(mount_fd, "", target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
		mounted->mount = 0;
		return error_errno(err, errno, "mount on '%s'",
				   mounted->target);
	}
	r = make_private(mount_fd);
	if (r < 0)
		error_errno(err, -r, "make the mount on '%s' private",
			    mounted->target);
	else if (!is_on_top(mounted))
		r = error_fail(err, ESTALE,
			       "mounted, but '%s' shows something else",
			       mounted->target);
	if (r < 0 && detach(mount_fd) == 0)
		mounted->mount = 0;
	return r;
}

static bool is_in_our_namespace(const struct mounted *mounted)
{
	char space[64];
	ssize_t n = readlink("/proc/self/ns/mnt", space, sizeof(space) - 1);

	space[n < 0 ? 0 : n] = '\0';
	return !strcmp(space, mounted->space);
}

/*
 * Whether there is another mount in a directory that is the record's own,
 * where nobody but us has one.  On others it may be the next one's.
 */
static bool is_covered(const struct mounted *mounted)
{
	uint64_t top, below;

	return fs_mnt_id(mounted->fd, "", &below) == 0 &&
	       fs_mnt_id(mounted->fd, MOUNTED_OWN_TARGET, &top) == 0 &&
	       top != below;
}

/* A bind shows the file system of the store, which outlives every container. */
static bool is_of_store_itself(const struct mounted *mounted)
{
	struct stat st;

	return stat(mounted->store, &st) == 0 && st.st_dev == mounted->device;
}

static int take_down(struct mounted *mounted, bool *ret_done,
		     struct shale_error *err)
{
	auto_fd watch_fd = is_of_store_itself(mounted)
				   ? -1
				   : lastuse_watch(mounted->target);

	if (umount2(mounted->target, UMOUNT_NOFOLLOW) < 0 &&
	    (errno != EBUSY ||
	     umount2(mounted->target, UMOUNT_NOFOLLOW | MNT_DETACH) < 0))
		return error_errno(err, errno, "unmount '%s'", mounted->target);
	/* Before 6.8 the number may be another mount's later. */
	(void)unlinkat(mounted->fd, MOUNTED_FACT, 0);
	mounted->mount = 0;
	drop_fd(&mounted->watch_fd);
	mounted->watch_fd = take_fd(&watch_fd);
	*ret_done = true;
	return 0;
}

int mounted_unmount(struct mounted *mounted, bool *ret_done,
		    struct shale_error *err)
{
	*ret_done = false;
	if (!mounted->mount || !mounted_is_of_this_boot(mounted)) {
		*ret_done = true; /* it never was, or is gone with the kernel */
		return 0;
	}
	if (!is_in_our_namespace(mounted))
		return 0;
	if (!is_on_top(mounted))
		return is_covered(mounted)
			       ? error_fail(
					 err, EBUSY,
					 "what is mounted on '%s' is not what its record says: unmount it by hand",
					 mounted->target)
			       : 0;
	return take_down(mounted, ret_done, err);
}

/* ---- who uses it ---- */

typedef bool process_fn(const struct mounted *mounted, int proc_fd,
			const char *pid);

/* Whose @fn is the first that is true; 0 for none. */
static long find_process(const struct mounted *mounted, process_fn *fn)
{
	auto_dir dir = opendir("/proc");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    fn(mounted, dirfd(dir), entry->d_name))
			return strtol(entry->d_name, NULL, 10);
	return 0;
}

static bool has_it_as_root(const struct mounted *mounted, int proc_fd,
			   const char *pid)
{
	char path[NAME_MAX + 16];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/root", pid);
	return fstatat(proc_fd, path, &st, 0) == 0 &&
	       st.st_dev == mounted->device;
}

bool mounted_is_used(const struct mounted *mounted, bool ask_caller)
{
	if (!mounted->is_certified || !mounted_is_of_this_boot(mounted))
		return false;
	return (ask_caller && process_find(mounted->caller, NULL)) ||
	       (mounted->device && find_process(mounted, has_it_as_root));
}

/* ---- where else it is ---- */

/* A bind of a btrfs has another device in its files than here. */
static bool is_its_device(const struct mounted *mounted, const char *dev)
{
	char device[32];

	(void)snprintf(device, sizeof(device), "%u:%u", major(mounted->device),
		       minor(mounted->device));
	return !strcmp(dev, device) || is_of_store_itself(mounted);
}

static bool find_here(const struct mounted *mounted,
		      char ret_place[MOUNTED_PLACE_SIZE])
{
	auto_file file = fopen("/proc/self/mountinfo", "re");
	auto_free char *line = NULL;
	struct mountinfo found;
	uint64_t id;

	if (!file || fs_find_mnt(mounted->mount, &id) < 0 ||
	    mountinfo_find(file, id, false, &line) < 0 ||
	    !mountinfo_parse(line, &found) ||
	    !is_its_device(mounted, found.dev))
		return false;
	(void)snprintf(ret_place, MOUNTED_PLACE_SIZE, "'%.*s'", PATH_MAX,
		       found.target);
	return true;
}

static bool is_its_line(const struct mounted *mounted, char *line)
{
	struct mountinfo found;

	return mountinfo_parse(line, &found) &&
	       !strcmp(found.target, mounted->target) &&
	       is_its_device(mounted, found.dev);
}

static bool has_it_mounted(const struct mounted *mounted, int proc_fd,
			   const char *pid)
{
	char path[NAME_MAX + 32], space[FS_LINK_SIZE];
	auto_free char *line = NULL;
	auto_file file = NULL;
	size_t room = 0;

	(void)snprintf(path, sizeof(path), "%s/ns/mnt", pid);
	if (fs_read_link(proc_fd, path, space) < 0 ||
	    strcmp(space, mounted->space) != 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%s/mountinfo", pid);
	file = fopen(path, "re");
	while (file && getline(&line, &room, file) > 0)
		if (is_its_line(mounted, line))
			return true;
	return false;
}

bool mounted_is_elsewhere(const struct mounted *mounted,
			  char ret_place[MOUNTED_PLACE_SIZE])
{
	long pid;

	if (!mounted->mount || !mounted_is_of_this_boot(mounted))
		return false;
	if (is_in_our_namespace(mounted))
		return find_here(mounted, ret_place);
	pid = find_process(mounted, has_it_mounted);
	if (pid)
		(void)snprintf(ret_place, MOUNTED_PLACE_SIZE,
			       "'%.*s' in the mount namespace of process %ld",
			       PATH_MAX, mounted->target, pid);
	return pid != 0;
}
