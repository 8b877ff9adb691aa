/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Building unseen and disposing unseen: see staging.h.
 */
#include "staging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cache.h"
#include "children.h"
#include "error.h"
#include "fs.h"
#include "scope.h"

/* How often a cleanup may take our directory before we have locked it. */
#define STAGE_TRIES 100

/* Of a directory that was just made, as it came out. */
static int make_exact(int fd, const struct stat *st, mode_t mode, uid_t uid,
		      gid_t gid)
{
	bool is_exact = (st->st_mode & 07777) == mode;

	if ((st->st_uid != uid || st->st_gid != gid) &&
	    fchown(fd, uid, gid) < 0)
		return -errno;
	/* chown clears set-ID bits, an ACL's mask changes with chmod.  Both ACLs
	 * are inherited together.
	 */
	if (fremovexattr(fd, "system.posix_acl_default") == 0) {
		(void)fremovexattr(fd, "system.posix_acl_access");
		is_exact = false;
	}
	if (is_exact && st->st_uid == uid && st->st_gid == gid)
		return 0;
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

static int open_made(int dir_fd, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir_fd, name, flags);

	if (fd < 0 && errno == EACCES && /* an umask that takes our own bits */
	    fchmodat(dir_fd, name, 0700, 0) == 0)
		fd = openat(dir_fd, name, flags);
	return fd < 0 ? -errno : fd;
}

int dir_create(int dir_fd, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	auto_fd fd = -1;
	struct stat st;

	if (mkdirat(dir_fd, name, 0700) < 0)
		return -errno;
	fd = open_made(dir_fd, name);
	if (fd < 0)
		return fd;
	return fstat(fd, &st) < 0 ? -errno
				  : make_exact(fd, &st, mode, uid, gid);
}

int dir_create_in_ours(int dir_fd, const char *name, mode_t mode, uid_t uid,
		       gid_t gid)
{
	struct stat st;
	auto_fd fd = -1;

	if (mkdirat(dir_fd, name, mode) < 0 ||
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if ((st.st_mode & 07777) == mode && st.st_uid == uid &&
	    st.st_gid == gid)
		return 0;
	fd = open_made(dir_fd, name);
	return fd < 0 ? fd : make_exact(fd, &st, mode, uid, gid);
}

/* Makes one of ours of a directory that was just made in staging/. */
static int open_and_lock(struct overlay *ov, struct staged *staged)
{
	auto_locked_fd fd = open_made(ov->staging_fd, staged->name);
	struct stat there;
	int r;

	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -ENOENT : -errno;
	if (fstat(fd, &staged->st) < 0 ||
	    fstatat(ov->staging_fd, staged->name, &there, AT_SYMLINK_NOFOLLOW) <
		    0)
		return -errno;
	if (staged->st.st_ino != there.st_ino)
		return -ENOENT;
	r = make_exact(fd, &staged->st, 0700, geteuid(), getegid());
	return r < 0 ? r : take_fd(&fd);
}

int staged_new(struct overlay *ov, struct staged *staged,
	       struct shale_error *err)
{
	int r = -EAGAIN;

	for (int try = 0; try < STAGE_TRIES; try++) {
		r = id_random(staged->name);
		if (r < 0)
			break;
		if (mkdirat(ov->staging_fd, staged->name, 0700) < 0) {
			r = -errno;
			break;
		}
		/* -ENOENT: a cleanup came between mkdir and flock. */
		r = open_and_lock(ov, staged);
		if (r >= 0) {
			staged->ov = ov;
			staged->fd = r;
			return 0;
		}
		if (r != -ENOENT) {
			(void)unlinkat(ov->staging_fd, staged->name,
				       AT_REMOVEDIR);
			break;
		}
	}
	return error_errno(err, -r, "create '%s/staging/%s'", ov->root_path,
			   staged->name);
}

void staged_drop(struct staged *staged)
{
	int saved = errno;

	if (staged->fd < 0)
		return;
	(void)fs_remove_tree(staged->ov->staging_fd, staged->name, NULL, NULL);
	drop_locked_fd(&staged->fd);
	errno = saved;
}

int trash_move(struct overlay *ov, int dir_fd, const char *name,
	       char ret_trash[ID_SIZE])
{
	int r = id_random(ret_trash);

	if (r < 0)
		return r;
	if (renameat2(dir_fd, name, ov->trash_fd, ret_trash, RENAME_NOREPLACE) <
	    0) {
		r = -errno;
		ret_trash[0] = '\0';
		return r;
	}
	return 0;
}

int trash_make_room(struct overlay *ov, enum room room, const char *id,
		    char ret_trash[ID_SIZE], struct shale_error *err)
{
	struct stat st;
	int r = 0;

	if (room == ROOM_SNAPSHOTS &&
	    fstatat(ov->room_fd[room], id, &st, AT_SYMLINK_NOFOLLOW) == 0)
		r = children_check_none(ov, id, err);
	if (r < 0)
		return error_context(err, r, "'snapshots/%s' has no name", id);
	r = trash_move(ov, ov->room_fd[room], id, ret_trash);
	if (r == -ENOENT)
		return 0;
	cache_drop(
		ov->cache); /* it may be known from before it lost its name */
	if (r == 0)
		return 0;
	return error_errno(err, -r, "move the uncertified '%s' to trash", id);
}

int staged_rename(struct staged *staged, int dir_fd, const char *name,
		  struct shale_error *err)
{
	struct overlay *ov = staged->ov;

	/* Cleanup looks under the lock, which we hold; once it is published,
	 * our flock would look like a commit's.
	 */
	(void)flock(staged->fd, LOCK_UN);
	if (renameat2(ov->staging_fd, staged->name, dir_fd, name,
		      RENAME_NOREPLACE) < 0)
		return error_errno(err, errno, "rename '%s/staging/%s' to '%s'",
				   ov->root_path, staged->name, name);
	drop_fd(&staged->fd);
	return 0;
}

int staged_publish(struct staged *staged, enum room room, const char *id,
		   char ret_trash[ID_SIZE], struct shale_error *err)
{
	struct overlay *ov = staged->ov;
	int r = staged_rename(staged, ov->room_fd[room], id, err);

	if (r != -EEXIST)
		return r;
	error_clear(err);
	r = trash_make_room(ov, room, id, ret_trash, err);
	return r < 0 ? r : staged_rename(staged, ov->room_fd[room], id, err);
}

void trash_empty(struct overlay *ov, const char *name)
{
	struct shale_error error = SHALE_ERROR_INIT;
	auto_locked_fd fd = -1;
	int r;

	if (!*name)
		return;
	/* Tells a check that somebody is at it; two may be. */
	fd = openat(ov->trash_fd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		(void)flock(fd, LOCK_SH | LOCK_NB);
	r = fs_remove_tree(ov->trash_fd, name, overlay_stop, ov);
	if (r == 0)
		return;
	(void)error_errno(&error, -r, "delete '%s/trash/%s'%s", ov->root_path,
			  name, overlay_ids_hint(r));
	overlay_warn(ov, &error);
}

int staged_make_fs(int dir_fd, mode_t mode, int *ret_fd,
		   struct shale_error *err)
{
	int fd = -1, r = dir_create(dir_fd, "fs", mode, geteuid(), getegid());

	if (r == 0)
		fd = openat(dir_fd, "fs",
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, r < 0 ? -r : errno,
				   "build it in staging");
	*ret_fd = fd;
	return 0;
}
