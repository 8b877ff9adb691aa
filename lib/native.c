/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is native's own in a store: an active begins with a copy of all its
 * parent's files.  So it asks of a file system only what the store itself
 * needs, and finds out by trying.
 */
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"
#include "error.h"
#include "fs.h"
#include "scope.h"
#include "staging.h"

static int refuse(struct shale_error *err, int code, const char *what)
{
	return error_errno(err,
			   code == ENOSPC || code == EDQUOT ? code : EOPNOTSUPP,
			   "its file system %s, which a store needs (%s)", what,
			   strerrordesc_np(code));
}

/* Names are the targets of links, and a snapshot must not replace another. */
static int try_links(int dir_fd, const char *name, struct shale_error *err)
{
	char target[FS_LINK_SIZE], other[ID_SIZE];
	int r = id_random(other);

	if (r < 0)
		return error_errno(err, -r, "make a name");
	memset(target, 'x', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	if (symlinkat(target, dir_fd, name) < 0)
		return refuse(err, errno,
			      "has no symbolic links of 1023 bytes");
	if (renameat2(dir_fd, name, dir_fd, other, RENAME_NOREPLACE) < 0) {
		r = refuse(err, errno, "can't rename without replacing");
		(void)unlinkat(dir_fd, name, 0);
		return r;
	}
	(void)unlinkat(dir_fd, other, 0);
	return 0;
}

/* NFS locks a directory only for reading. */
static int try_flock(int dir_fd, struct shale_error *err)
{
	if (flock(dir_fd, LOCK_EX | LOCK_NB) < 0 && errno != EWOULDBLOCK)
		return refuse(err, errno, "can't lock a directory by flock");
	return 0;
}

int native_check_new(const struct overlay *ov, struct shale_error *err)
{
	auto_locked_fd staging_fd = -1;
	char name[ID_SIZE];
	int r;

	if (ov->any_filesystem)
		return 0;
	r = dir_create(ov->root_fd, "staging", 0700, geteuid(), getegid());

	if (r < 0 && r != -EEXIST)
		return error_errno(err, -r, "create 'staging'");
	staging_fd = openat(ov->root_fd, "staging",
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (staging_fd < 0)
		return error_errno(err, errno, "open 'staging'");
	r = id_random(name);
	if (r < 0)
		return error_errno(err, -r, "make a name");
	r = try_links(staging_fd, name, err);
	return r < 0 ? r : try_flock(staging_fd, err);
}

/*
 * The copy is on disk before the key appears: a key that came back after a
 * power cut with half of its parent's files would look whole.
 */
static int copy_parent(struct overlay *ov, const struct record *parent,
		       int parent_fd, int fs_fd, struct shale_error *err)
{
	const struct copy_options options = { .stop = overlay_stop, .ctx = ov };
	auto_fd from_fd =
		openat(parent_fd, "fs",
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (from_fd < 0 && errno == ENOENT) /* it is being deleted */
		return error_fail(err, ENOENT, "parent '%s': no such snapshot",
				  parent->name);
	if (from_fd < 0)
		return error_errno(err, errno, "open 'snapshots/%s/fs'",
				   parent->id);
	r = copy_tree(from_fd, fs_fd, &options, err);
	if (r < 0)
		return error_context(err, r, "copy the files of '%s'",
				     parent->name);
	if (ov->durability != DURABLE_NONE && syncfs(fs_fd) < 0)
		return error_errno(err, errno, "sync the copy of '%s'",
				   parent->name);
	return 0;
}

int native_copy(struct overlay *ov, const struct record *parent, int parent_fd,
		int dir_fd, struct shale_error *err)
{
	auto_fd fs_fd = -1;
	int r = staged_make_fs(dir_fd, 0755, &fs_fd, err);

	return r < 0 ? r : copy_parent(ov, parent, parent_fd, fs_fd, err);
}
