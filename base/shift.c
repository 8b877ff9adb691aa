/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Giving the files of a tree to others: see shift.h.  chown takes set-ID bits
 * and capabilities away, so they are put back after it.
 */
#include "shift.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <search.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "scope.h"

/* system.posix_acl_access, as the kernel has it (linux/posix_acl_xattr.h). */
struct acl_entry {
	uint16_t tag, permissions;
	uint32_t id;
};

#define ACL_HEADER_SIZE sizeof(uint32_t)
#define ACL_TAG_USER 0x02
#define ACL_TAG_GROUP 0x08
#define XATTR_SIZE 65536

struct shifting {
	const struct shift *shift;
	void *seen; /* of tsearch: inodes with several names */
	char *value;
	struct shale_error *err;
};

static uint32_t shift_id(const struct idmap *map, bool to_inside, uint32_t id)
{
	uint32_t ret;
	bool found = to_inside ? idmap_to_inside(map, id, &ret)
			       : idmap_to_outside(map, id, &ret);

	return found ? ret : SHIFT_NOBODY;
}

uid_t shift_uid(const struct shift *shift, uid_t uid)
{
	return shift_id(shift->maps->uid, shift->to_inside, uid);
}

gid_t shift_gid(const struct shift *shift, gid_t gid)
{
	return shift_id(shift->maps->gid, shift->to_inside, gid);
}

/* ---- one file ---- */

/* 0 where there is none. */
static ssize_t load(const struct shifting *shifting, const char *path,
		    const char *name)
{
	ssize_t n = getxattr(path, name, shifting->value, XATTR_SIZE);

	if (n < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
		return 0;
	return n < 0 ? -errno : n;
}

static int shift_acl(const struct shifting *shifting, const char *path,
		     const char *name)
{
	const ssize_t n = load(shifting, path, name);
	char *at = shifting->value + ACL_HEADER_SIZE;
	bool is_changed = false;

	if (n <= 0)
		return (int)n;
	for (; at + sizeof(struct acl_entry) <= shifting->value + n;
	     at += sizeof(struct acl_entry)) {
		struct acl_entry entry;
		uint16_t tag;
		uint32_t id;

		memcpy(&entry, at, sizeof(entry));
		tag = le16toh(entry.tag);
		id = le32toh(entry.id);
		if (tag == ACL_TAG_USER)
			id = shift_uid(shifting->shift, id);
		else if (tag == ACL_TAG_GROUP)
			id = shift_gid(shifting->shift, id);
		else
			continue;
		entry.id = htole32(id);
		memcpy(at, &entry, sizeof(entry));
		is_changed = true;
	}
	if (is_changed &&
	    setxattr(path, name, shifting->value, (size_t)n, 0) < 0)
		return -errno;
	return 0;
}

/*
 * Version 2 is of whoever is root outside of all, and holds in each namespace
 * below; 3 names the root of the namespace in which it holds.
 */
static size_t shift_capabilities(const struct shifting *shifting, size_t size)
{
	struct vfs_ns_cap_data data;
	uint32_t magic, root;

	if (size != XATTR_CAPS_SZ_3)
		return size;
	memcpy(&data, shifting->value, sizeof(data));
	magic = le32toh(data.magic_etc);
	root = shift_uid(shifting->shift, le32toh(data.rootid));
	data.rootid = htole32(root);
	if (!root) {
		magic = (magic & ~VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_2;
		size = XATTR_CAPS_SZ_2;
	}
	data.magic_etc = htole32(magic);
	memcpy(shifting->value, &data, sizeof(data));
	return size;
}

/* @fd may be O_PATH, so that a link itself is meant. */
static int shift_file(const struct shifting *shifting, int fd,
		      const struct stat *st)
{
	static const char caps_name[] = "security.capability";
	const bool is_link = S_ISLNK(st->st_mode);
	char path[FS_FD_PATH_SIZE];
	ssize_t caps = 0;
	int r;

	fs_fd_path(fd, path);
	if (S_ISREG(st->st_mode))
		caps = load(shifting, path, caps_name);
	if (caps < 0)
		return (int)caps;
	if (fchownat(fd, "", shift_uid(shifting->shift, st->st_uid),
		     shift_gid(shifting->shift, st->st_gid), AT_EMPTY_PATH) < 0)
		return -errno;
	if ((st->st_mode & (S_ISUID | S_ISGID)) && !is_link &&
	    chmod(path, st->st_mode & 07777) < 0)
		return -errno;
	if (caps && setxattr(path, caps_name, shifting->value,
			     shift_capabilities(shifting, (size_t)caps), 0) < 0)
		return -errno;
	r = is_link ? 0 : shift_acl(shifting, path, "system.posix_acl_access");
	if (r == 0 && S_ISDIR(st->st_mode))
		r = shift_acl(shifting, path, "system.posix_acl_default");
	return r;
}

/* ---- all ---- */

static int compare_inodes(const void *a, const void *b)
{
	const ino_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* 1 where another of its names was here before, and it is shifted already. */
static int note(struct shifting *shifting, const struct stat *st)
{
	ino_t *const *found;
	ino_t *ino;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	ino = malloc(sizeof(*ino));
	if (!ino)
		return -ENOMEM;
	*ino = st->st_ino;
	found = tsearch(ino, &shifting->seen, compare_inodes);
	if (found && *found == ino)
		return 0;
	free(ino);
	return found ? 1 : -ENOMEM;
}

/* overlayfs makes its whiteouts as whoever mounted it, and shows no owner. */
static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static int visit(void *ctx, const struct fs_entry *entry)
{
	struct shifting *shifting = ctx;
	const struct shift *shift = shifting->shift;
	auto_fd fd = -1;
	int r = is_whiteout(entry->st) ? 1 : note(shifting, entry->st);

	if (r == 0 && shift->stop && shift->stop(shift->ctx))
		r = -ECANCELED;
	if (r == 0) {
		fd = openat(entry->parent_fd, entry->name,
			    O_PATH | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 ? -errno : shift_file(shifting, fd, entry->st);
	}
	if (r >= 0)
		return 0;
	return error_errno(shifting->err, -r, "change the owner of '%s'",
			   entry->name);
}

static int shift_all(struct shifting *shifting, int dir_fd)
{
	struct stat st;
	int r = fs_walk(dir_fd, visit, shifting);

	if (r == 0 && fstat(dir_fd, &st) < 0)
		r = -errno;
	return r < 0 ? r : shift_file(shifting, dir_fd, &st);
}

int shift_tree(int dir_fd, const struct shift *shift, struct shale_error *err)
{
	struct shale_error own = SHALE_ERROR_INIT;
	auto_free char *value = malloc(XATTR_SIZE);
	struct shifting shifting = { shift, NULL, value, &own };
	int r = value ? shift_all(&shifting, dir_fd) : -ENOMEM;

	tdestroy(shifting.seen, free);
	if (r == 0)
		return 0;
	return own.code ? error_fail(err, -r, "%s", own.msg)
			: error_errno(err, -r, "change the owners of files");
}
