/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A store's root: see format.h.  The symlink `format` is made last and
 * certifies the rest, as a kind fact does for a snapshot.
 */
#include "format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "lock.h"
#include "native.h"
#include "scope.h"
#include "staging.h"

#define LOCK_FILE_SIZE 4096

static const char *const dirs[] = { "snapshots", "active", "staging", "trash" };

/* File systems that can't hold an overlay's upper, or not safely. */
static const struct {
	long type;
	const char *name, *why;
	bool is_remote;
} refused[] = {
	{ OVERLAYFS_SUPER_MAGIC, "overlayfs",
	  "an overlay can't have its upper there", false },
	{ NFS_SUPER_MAGIC, "NFS", "it has no trusted attributes or whiteouts",
	  true },
	{ FUSE_SUPER_MAGIC, "FUSE",
	  "whiteouts and locks depend on a server there", true },
	{ V9FS_MAGIC, "9p", "an overlay can't have its upper there", true },
	{ 0x517b /* SMB_SUPER_MAGIC */, "SMB", "it has no whiteouts", true },
	{ 0xff534d42 /* CIFS_MAGIC */, "CIFS", "it has no whiteouts", true },
	{ 0xfe534d42 /* SMB2_MAGIC */, "SMB2", "it has no whiteouts", true },
	{ MSDOS_SUPER_MAGIC, "FAT", "it has neither links nor owners", false },
	{ 0x2011bab0 /* EXFAT_SUPER_MAGIC */, "exFAT",
	  "it has neither links nor owners", false },
	{ ECRYPTFS_SUPER_MAGIC, "eCryptfs",
	  "an overlay can't have its upper there", false },
};

#define STORE_REMEDY "put the store on ext4, xfs or btrfs"
#define UPPER_REMEDY "use one on ext4, xfs, btrfs or a tmpfs"

bool format_is_remote(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return true;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if ((unsigned long)fs.f_type == (unsigned long)refused[i].type)
			return refused[i].is_remote;
	return false;
}

/* ext4 may have been made without a journal, as ext2 always is: the kernel says
 * so in /sys.  What can't be known is no.
 */
static bool has_journal(int fd)
{
	char path[PATH_MAX + sizeof("/sys/fs/ext4//journal_task")];
	char target[PATH_MAX];
	char said = '<'; /* "<none>", or the number of the journal's thread */
	struct stat st;
	auto_fd file = -1;

	if (fstat(fd, &st) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u",
		       major(st.st_dev), minor(st.st_dev));
	if (fs_read_link(AT_FDCWD, path, target) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/sys/fs/ext4/%s/journal_task",
		       basename(target));
	file = open(path, O_RDONLY | O_CLOEXEC);
	return file >= 0 && read(file, &said, 1) == 1 && said != '<';
}

bool format_is_ordered(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	return fs.f_type == XFS_SUPER_MAGIC ||
	       (fs.f_type == EXT4_SUPER_MAGIC && has_journal(fd));
}

static int check_filesystem(const struct overlay *ov, int fd,
			    const char *remedy, struct shale_error *err)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return error_errno(err, errno, "statfs");
	if (ov->any_filesystem)
		return 0;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if ((unsigned long)fs.f_type == (unsigned long)refused[i].type)
			return error_fail(
				err, EOPNOTSUPP, "it is on %s, and %s: %s",
				refused[i].name, refused[i].why, remedy);
	return 0;
}

int format_check_root(const struct overlay *ov, struct shale_error *err)
{
	struct stat st;

	if (fstat(ov->root_fd, &st) < 0)
		return error_errno(err, errno, "stat");
	if (st.st_uid != geteuid())
		return error_fail(err, EPERM,
				  "it belongs to uid %u, not to uid %u",
				  st.st_uid, geteuid());
	if (ov->driver->is_copying) /* a new store tries it: native.h */
		return 0;
	return check_filesystem(ov, ov->root_fd, STORE_REMEDY, err);
}

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (!strcmp(name, dirs[i]))
			return true;
	return !strcmp(name, ".") || !strcmp(name, "..") ||
	       !strcmp(name, "format") || !strcmp(name, "lock") ||
	       !strcmp(name, "lost+found"); /* a fresh ext4 has it */
}

static int check_empty(const struct overlay *ov, struct shale_error *err)
{
	int fd = openat(ov->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		int r = error_errno(err, errno, "list it");

		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	while (errno = 0, (entry = readdir(dir)) != NULL)
		if (!is_ours(entry->d_name))
			return error_fail(
				err, EMEDIUMTYPE,
				"it is not a store and not empty: it has '%s'",
				entry->d_name);
	return errno ? error_errno(err, errno, "list it") : 0;
}

/*
 * Writing the generation must succeed on a full disk, or nothing could be
 * removed there: so the file has its block from the start, and btrfs is asked
 * to write in place.
 */
static int fill_lock(int fd)
{
	static const char zeros[LOCK_FILE_SIZE];
	int flags = FS_NOCOW_FL;
	ssize_t n;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fchmod(fd, 0600) < 0)
		return -errno;
	(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	n = pwrite(fd, zeros, sizeof(zeros), 0);
	if (n != (ssize_t)sizeof(zeros))
		return n < 0 ? -errno : -ENOSPC;
	return fsync(fd) < 0 ? -errno : 0;
}

/* The lock appears whole, or not at all. */
int format_make_lock(const struct overlay *ov)
{
	auto_fd staging_fd =
		openat(ov->root_fd, "staging",
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char name[ID_SIZE];
	auto_locked_fd fd = -1;
	int r;

	if (staging_fd < 0)
		return -errno;
	r = id_random(name);
	if (r < 0)
		return r;
	fd = openat(staging_fd, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = fill_lock(fd);
	if (r == 0 && renameat2(staging_fd, name, ov->root_fd, "lock",
				RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(staging_fd, name, 0);
	return r == -EEXIST ? 0 : r;
}

/* What no magic number tells: does it have the attributes of an upper? */
static int check_attributes(const struct overlay *ov, int fd,
			    const char *remedy, struct shale_error *err)
{
	const char *name = ov->userxattr ? "user.overlay.shale"
					 : "trusted.overlay.shale";

	if (ov->any_filesystem)
		return 0;
	if (fsetxattr(fd, name, "y", 1, 0) < 0 && errno != EPERM)
		return error_fail(
			err, EOPNOTSUPP,
			"its file system takes no attribute %s.*, which an overlay's upper needs: %s",
			*name == 'u' ? "user" : "trusted", remedy);
	(void)fremovexattr(fd, name);
	return 0;
}

int format_check_upper(const struct overlay *ov, int fd, const char *path,
		       struct shale_error *err)
{
	int r = check_filesystem(ov, fd, UPPER_REMEDY, err);

	if (r == 0)
		r = check_attributes(ov, fd, UPPER_REMEDY, err);
	return r < 0 ? error_context(err, r, "'%s'", path) : 0;
}

static int create_all(struct overlay *ov, struct shale_error *err)
{
	int r;

	if (fchmod(ov->root_fd, 0700) < 0)
		return error_errno(err, errno, "chmod 0700");
	(void)fremovexattr(ov->root_fd, "system.posix_acl_default");
	(void)fremovexattr(ov->root_fd, "system.posix_acl_access");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		r = dir_create(ov->root_fd, dirs[i], 0700, geteuid(),
			       getegid());
		if (r < 0 && r != -EEXIST)
			return error_errno(err, -r, "create '%s'", dirs[i]);
	}
	r = format_make_lock(ov);
	if (r < 0)
		return error_errno(err, -r, "create 'lock'");
	if (fsync(ov->root_fd) < 0)
		return error_errno(err, errno, "sync it");
	if (symlinkat(ov->driver->format, ov->root_fd, "format") < 0 &&
	    errno != EEXIST)
		return error_errno(err, errno, "create 'format'");
	return fsync(ov->root_fd) < 0 ? error_errno(err, errno, "sync it") : 0;
}

int format_create(struct overlay *ov, struct shale_error *err)
{
	char text[FS_LINK_SIZE];
	int r;

	if (fs_read_link(ov->root_fd, "format", text) >= 0)
		return 0;
	r = check_empty(ov, err);
	if (r == 0)
		r = ov->driver->is_copying
			    ? native_check_new(ov, err)
			    : check_attributes(ov, ov->root_fd, STORE_REMEDY,
					       err);
	return r < 0 ? r : create_all(ov, err);
}

static int check_format(const struct overlay *ov, struct shale_error *err)
{
	char text[FS_LINK_SIZE];
	struct stat st;
	int r = fs_read_link(ov->root_fd, "format", text);

	if (r == -ENOENT || r == -EINVAL)
		return error_fail(
			err, EMEDIUMTYPE,
			"it is not a store: it has no symlink 'format'; prepare or view makes one of an empty directory");
	if (r < 0)
		return error_errno(err, -r, "read 'format'");
	if (strcmp(text, ov->driver->format) != 0)
		return error_fail(
			err, EMEDIUMTYPE,
			"its format is '%s', and the snapshotter '%s' knows '%s' alone",
			text, ov->driver->name, ov->driver->format);
	if (fstat(ov->root_fd, &st) < 0)
		return error_errno(err, errno, "stat");
	if (st.st_mode & 077)
		return error_fail(
			err, EPERM,
			"its mode is %03o, which lets others in: chmod 0700",
			st.st_mode & 0777);
	return 0;
}

static int open_dir(const struct overlay *ov, const char *name, int *ret,
		    struct shale_error *err)
{
	*ret = openat(ov->root_fd, name,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret < 0 && errno == ENOENT)
		return error_fail(
			err, ENOENT,
			"its directory '%s' is lost: make it anew, with mode 0700",
			name);
	return *ret < 0 ? error_errno(err, errno, "open '%s'", name) : 0;
}

int format_open(struct overlay *ov, struct shale_error *err)
{
	int r = check_format(ov, err);

	if (r == 0)
		r = open_dir(ov, "active", &ov->room_fd[ROOM_ACTIVE], err);
	if (r == 0)
		r = open_dir(ov, "snapshots", &ov->room_fd[ROOM_SNAPSHOTS],
			     err);
	if (r == 0)
		r = open_dir(ov, "staging", &ov->staging_fd, err);
	if (r == 0)
		r = open_dir(ov, "trash", &ov->trash_fd, err);
	if (r < 0)
		return r;
	/* Without it all can be read, and check can make it anew. */
	ov->lock_fd = openat(ov->root_fd, "lock",
			     O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	r = ov->lock_fd < 0 ? -errno : 0;
	return r < 0 && r != -ENOENT && !lock_is_lost(ov)
		       ? error_errno(err, -r, "open 'lock'")
		       : 0;
}
