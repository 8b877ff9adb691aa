/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who uses a snapshot: see inuse.h.
 */
#include "inuse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "holders.h"
#include "labels.h"
#include "probe.h"
#include "process.h"
#include "scope.h"
#include "shale.h"
#include "upper.h"

static const char *user_of(const struct record *record)
{
	return labels_get((const char *const *)record->labels,
			  SHALE_LABEL_USER);
}

long inuse_user_pid(const struct record *record)
{
	const char *user = user_of(record);

	return user ? process_find(user, NULL) : 0;
}

int inuse_check_user(const struct record *record, struct shale_error *err)
{
	const char *user = user_of(record), *container;
	long pid = user ? process_find(user, &container) : 0;

	if (!pid)
		return 0;
	return error_fail(
		err, EBUSY,
		"container '%s' (process %ld) uses it: stop that first",
		container, pid);
}

/* "/active/ID/fs", or "/RANDOM/fs" where its files are elsewhere. */
static void name_mount(const struct record *record, char ret[HOLDER_SIZE])
{
	const char *elsewhere = record->upper ? strchr(record->upper, '/')
					      : NULL;
	char end[PATH_MAX];

	(void)snprintf(end, sizeof(end), "%s%s/fs", elsewhere ? "" : "/active/",
		       elsewhere ? elsewhere : record->id);
	holders_name_upper(end, ret);
}

/*
 * Whether no overlay has ever had it as its upper: each makes `work` in its work
 * directory, which a mount of ours has beside the upper, and since 6.6 gives the
 * upper an attribute, whatever its work directory.  With userxattr another one,
 * which a user may not see, may have been given by root.
 */
static bool is_untouched(const struct overlay *ov, int fs_fd)
{
	static const char mark[] = "trusted.overlay.";
	char path[FS_FD_PATH_SIZE];
	char names[1024];
	struct stat st;
	ssize_t n;

	if (ov->userxattr || process_kernel_before(6, 6) ||
	    fstatat(fs_fd, "../work", &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(fs_fd, "../work/work", &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	    errno != ENOENT)
		return false;
	fs_fd_path(fs_fd, path);
	n = listxattr(path, names, sizeof(names));
	if (n < 0)
		return errno == EOPNOTSUPP;
	for (const char *name = names; name < names + n;
	     name += strlen(name) + 1)
		if (!strncmp(name, mark, sizeof(mark) - 1))
			return false;
	return true;
}

int inuse_check_mounted(const struct overlay *ov, const struct record *record,
			int fs_fd, struct shale_error *err)
{
	struct shale_error error = SHALE_ERROR_INIT;
	char where[HOLDER_SIZE] = "";
	auto_free char *path = NULL;
	int r;

	if (record->kind != SHALE_KIND_ACTIVE || !*record->parent_id ||
	    ov->driver->is_copying || is_untouched(ov, fs_fd))
		return 0;
	path = upper_path(ov, record, "fs");
	if (!path)
		return error_fail(err, ENOMEM, "out of memory");
	r = probe_upper(fs_fd, path);
	if (r == 0)
		return 0;
	if (r == -EBUSY) {
		if (err) /* else nobody wants to know */
			name_mount(record, where);
		return error_fail(
			err, EBUSY,
			"an overlay is mounted on it%s%s: unmount that first",
			*where ? ", " : "", where);
	}
	/* Never without a word: somebody may be writing to it. */
	(void)error_errno(
		&error, -r,
		"'%s': the kernel can't be asked here whether an overlay is mounted on it",
		record->name);
	overlay_warn(ov, &error);
	return 0;
}

int inuse_check_unnamed(const struct overlay *ov, const struct record *record,
			struct shale_error *err)
{
	const char *user = labels_get((const char *const *)record->labels,
				      SHALE_LABEL_USER);
	auto_fd fs_fd = -1;

	if (!user || strncmp(user, "0 ", 2) != 0)
		return 0;
	if (upper_open_fs(ov, record, O_PATH, &fs_fd, NULL) < 0)
		return 0;
	return inuse_check_mounted(ov, record, fs_fd, err);
}

/* A check or a cleanup holds it for microseconds: only a commit, a removal, or
 * a mount of many layers outlasts this.
 */
#define LOCK_TRIES 20

int inuse_lock(const struct overlay *ov, const struct record *record, int how,
	       int *ret_fd, struct shale_error *err)
{
	auto_locked_fd fd =
		openat(ov->room_fd[ROOM_ACTIVE], record->id,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat held, there;
	int r;

	if (fd < 0 && errno == ENOENT)
		return error_fail(err, ENOENT, "no such snapshot");
	if (fd < 0)
		return error_errno(err, errno, "open '%s/active/%s'",
				   ov->root_path, record->id);
	r = fs_flock(fd, how, LOCK_TRIES);
	if (r == -ETIMEDOUT)
		return error_fail(
			err, EBUSY,
			"a commit, a removal or a mount of it is under way");
	if (r < 0)
		return error_errno(err, -r, "lock '%s/active/%s'",
				   ov->root_path, record->id);
	if (fstat(fd, &held) < 0 ||
	    fstatat(ov->room_fd[ROOM_ACTIVE], record->id, &there,
		    AT_SYMLINK_NOFOLLOW) < 0 ||
	    held.st_ino != there.st_ino || held.st_ino != record->ino)
		return error_fail(err, ENOENT, "no such snapshot");
	*ret_fd = take_fd(&fd);
	return 0;
}
