/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a mount has become: its flags, and what the kernel does not tell.
 */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "error.h"
#include "fs.h"
#include "mountinfo.h"
#include "scope.h"

/* What statvfs(3) tells of a mount's flags, in the words of mount(2). */
static const struct {
	unsigned long st, ms;
} kept_flags[] = {
	{ ST_RDONLY, MS_RDONLY },	  { ST_NOSUID, MS_NOSUID },
	{ ST_NODEV, MS_NODEV },		  { ST_NOEXEC, MS_NOEXEC },
	{ ST_NOATIME, MS_NOATIME },	  { ST_RELATIME, MS_RELATIME },
	{ ST_NODIRATIME, MS_NODIRATIME },
};

/* MOUNT_ATTR_* in the words of mount(2). */
static const struct {
	uint64_t attr;
	unsigned long ms;
} attr_flags[] = {
	{ MOUNT_ATTR_RDONLY, MS_RDONLY },
	{ MOUNT_ATTR_NOSUID, MS_NOSUID },
	{ MOUNT_ATTR_NODEV, MS_NODEV },
	{ MOUNT_ATTR_NOEXEC, MS_NOEXEC },
	{ MOUNT_ATTR_NODIRATIME, MS_NODIRATIME },
	{ MOUNT_ATTR_NOATIME, MS_NOATIME },
	{ MOUNT_ATTR_STRICTATIME, MS_STRICTATIME },
	{ MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW },
};

#define ATIME_FLAGS (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)

static FILE *open_text(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (fd >= 0 && !file)
		drop_fd(&fd);
	return file;
}

/* Until 5.8: statx does not know it. */
static int id_from_fdinfo(int fd, uint64_t *ret)
{
	char path[48], line[128];
	auto_file file = NULL;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = open_text(path);
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, "mnt_id:", 7) == 0) {
			*ret = strtoull(line + 7, NULL, 10);
			return 0;
		}
	return -ENOSYS;
}

int mount_id(int fd, uint64_t *ret, struct shale_error *err)
{
	int r = fs_mnt_id(fd, "", ret);

	if (r == -ENOSYS)
		r = id_from_fdinfo(fd, ret);
	return r < 0 ? error_errno(err, -r, "read a mount's id") : 0;
}

/* By the file system that comes with it, wherever that is mounted. */
static bool kernel_has_selinux(void)
{
	auto_file file = open_text("/proc/filesystems");
	auto_free char *line = NULL;
	size_t room = 0;

	if (!file) /* it will tell itself */
		return true;
	while (getline(&line, &room, file) > 0)
		if (strstr(line, "\tselinuxfs\n"))
			return true;
	return false;
}

int mount_check_context(const struct spec *spec, struct shale_error *err)
{
	const struct spec_option *option = spec->rest;

	if (!spec_has_context(spec) || kernel_has_selinux())
		return 0;
	while (!spec_is_context(option->key))
		option++;
	return error_fail(
		err, EOPNOTSUPP,
		"%s='%s' is asked, and this kernel has no SELinux: leave it out",
		option->key, option->value ? option->value : "");
}

const char *mount_hint(int code)
{
	switch (code) {
	case ELOOP:
		return " (a layer is there twice, or below another)";
	case EPERM:
		return " (it needs a mount namespace of your own user namespace: 'shale unshare' makes both)";
	case EBUSY:
		return " (upperdir or workdir is in use by another mount)";
	case ENOSPC:
		return " (the disk of its workdir is full, or there are sysctl fs.mount-max mounts)";
	case EINVAL:
	case ESTALE:
		return " (the kernel's own log may tell why)";
	default:
		return "";
	}
}

unsigned long mount_classic_flags(const struct spec *spec)
{
	uint64_t attrs = spec->attr_set;
	unsigned long ret = 0;

	if (spec->is_read_only)
		attrs |= MOUNT_ATTR_RDONLY;
	for (size_t i = 0; i < sizeof(attr_flags) / sizeof(*attr_flags); i++)
		if (attrs & attr_flags[i].attr)
			ret |= attr_flags[i].ms;
	return ret;
}

/* Finds the line of a mount, or of one below it; the line is the caller's. */
static int find_line(uint64_t id, bool is_below, char **ret,
		     struct shale_error *err)
{
	auto_file file = open_text("/proc/thread-self/mountinfo");

	if (!file)
		return error_errno(err, errno,
				   "open '/proc/thread-self/mountinfo'");
	return mountinfo_find(file, id, is_below, ret);
}

void mount_type(int fd, char *ret, size_t size)
{
	auto_free char *line = NULL;
	const char *type = NULL;
	uint64_t id;

	if (mount_id(fd, &id, NULL) == 0 &&
	    find_line(id, false, &line, NULL) == 0)
		type = strstr(line, " - ");
	if (type)
		type += strlen(" - ");
	else
		type = "?";
	(void)snprintf(ret, size, "%.*s", (int)strcspn(type, " \n"), type);
}

int mount_parent_id(int fd, uint64_t *ret, struct shale_error *err)
{
	auto_free char *line = NULL;
	uint64_t id;
	int r = mount_id(fd, &id, err);

	if (r == 0)
		r = find_line(id, false, &line, err);
	if (r < 0)
		return error_context(err, r, "find the mount in mountinfo");
	*ret = mountinfo_parent(line);
	return 0;
}

/* Until 5.12: only the mount itself, so there may be none below it. */
static int remount(int fd, const struct spec *spec, struct shale_error *err)
{
	unsigned long flags = mount_classic_flags(spec), kept = 0, clear = 0;
	char path[FS_FD_PATH_SIZE];
	auto_free char *line = NULL;
	struct statvfs st;
	uint64_t id;
	int r = mount_id(fd, &id, err);

	if (r < 0)
		return r;
	r = spec->is_recursive ? find_line(id, true, &line, err) : -ENOENT;
	if (r == 0)
		return error_fail(
			err, EOPNOTSUPP,
			"flags for a bind with mounts below it need Linux 5.12");
	if (r != -ENOENT)
		return r;
	if (fstatvfs(fd, &st) < 0)
		return error_errno(err, errno, "read the flags of a mount");
	for (size_t i = 0; i < sizeof(kept_flags) / sizeof(*kept_flags); i++)
		if (st.f_flag & kept_flags[i].st)
			kept |= kept_flags[i].ms;
	for (size_t i = 0; i < sizeof(attr_flags) / sizeof(*attr_flags); i++)
		if (spec->attr_clear & attr_flags[i].attr)
			clear |= attr_flags[i].ms;
	if (spec->attr_clear & MOUNT_ATTR__ATIME)
		clear |= ATIME_FLAGS;
	fs_fd_path(fd, path);
	if (mount(NULL, path, NULL,
		  MS_REMOUNT | MS_BIND | (kept & ~clear) | flags, NULL) < 0)
		return error_errno(err, errno, "set the flags of a mount");
	return 0;
}

int mount_set_flags(int fd, const struct spec *spec, struct shale_error *err)
{
	struct mount_attr attr = { .attr_set = spec->attr_set,
				   .attr_clr = spec->attr_clear };

	if (spec->is_read_only)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (!attr.attr_set && !attr.attr_clr)
		return 0;
	if (mount_setattr(fd, "",
			  AT_EMPTY_PATH |
				  (spec->is_recursive ? AT_RECURSIVE : 0),
			  &attr, sizeof(attr)) == 0)
		return 0;
	if (errno == ENOSYS)
		return remount(fd, spec, err);
	return error_errno(err, errno, "set the flags of a mount");
}

int mount_check_setattr(struct shale_error *err)
{
	struct mount_attr attr = { 0 };

	if (mount_setattr(-1, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0 ||
	    errno != ENOSYS)
		return 0;
	return error_fail(
		err, ENOSYS,
		"no mount_setattr(2) here, which a bind without a place needs (Linux 5.12)");
}

int mount_set_private(int fd, struct shale_error *err)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };
	char path[FS_FD_PATH_SIZE];

	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
			  sizeof(attr)) == 0)
		return 0;
	if (errno == ENOSYS) { /* until 5.12 */
		fs_fd_path(fd, path);
		if (mount(NULL, path, NULL, MS_PRIVATE | MS_REC, NULL) == 0)
			return 0;
	}
	return error_errno(err, errno, "make a mount private");
}

int mount_verify_mode(int fd, const struct spec *spec, struct shale_error *err)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0)
		return error_errno(err, errno, "read the flags of a mount");
	if (spec->is_read_only) {
		if (st.f_flag & ST_RDONLY)
			return 0;
		return error_fail(err, EIO,
				  "came read-write though asked read-only");
	}
	if (!(st.f_flag & ST_RDONLY))
		return 0;
	if (spec->kind == SPEC_BIND)
		return error_fail(
			err, EROFS,
			"came read-only though asked read-write: '%s' is on a read-only mount",
			spec->source);
	return error_fail(
		err, EROFS,
		"came read-only though asked read-write: the kernel could not write to workdir '%s'",
		spec->work);
}

int mount_verify_layers(int fd, const struct spec *spec,
			struct shale_error *err)
{
	auto_free char *line = NULL;
	uint64_t id;
	size_t n;
	int r = mount_id(fd, &id, err);

	if (r == 0)
		r = find_line(id, false, &line, err);
	if (r < 0)
		return error_context(err, r, "count the layers");
	n = mountinfo_count_layers(line);
	if (n != spec->lower_count)
		return error_fail(err, EIO,
				  "came with %zu layers, not with %zu", n,
				  spec->lower_count);
	return 0;
}

/* The mount and the inode that a directory is, in one call where that does. */
static int place_of(int fd, const char *path, uint64_t ret[2],
		    struct shale_error *err)
{
	struct statx stx;
	auto_fd dir = -1;
	int r;

	if (statx(fd, path, *path ? AT_NO_AUTOMOUNT : AT_EMPTY_PATH,
		  STATX_MNT_ID | STATX_INO, &stx) < 0)
		return error_errno(err, errno, "look at '%s'", path);
	ret[1] = stx.stx_ino;
	ret[0] = stx.stx_mnt_id;
	if (stx.stx_mask & STATX_MNT_ID)
		return 0;
	if (!*path)
		return mount_id(fd, &ret[0], err);
	r = mount_open_dir(path, "target", &dir, err); /* until 5.8 */
	return r < 0 ? r : place_of(dir, "", ret, err);
}

int mount_verify_place(int fd, const char *target, struct shale_error *err)
{
	uint64_t seen[2], ours[2];
	int r = place_of(AT_FDCWD, target, seen, err);

	if (r == 0)
		r = place_of(fd, "", ours, err);
	if (r < 0)
		return r;
	if (seen[0] == ours[0] && seen[1] == ours[1])
		return 0;
	return error_fail(err, ESTALE, "mounted, but '%s' shows something else",
			  target);
}

void mount_undo(int fd)
{
	char path[FS_FD_PATH_SIZE];
	auto_file mountinfo = NULL;
	uint64_t id;

	if (mount_id(fd, &id, NULL) < 0)
		return;
	mountinfo = open_text("/proc/thread-self/mountinfo");
	if (mountinfo && mountinfo_is_covered(mountinfo, id))
		return;
	fs_fd_path(fd, path);
	(void)umount2(path, MNT_DETACH);
}
