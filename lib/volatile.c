/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volatile actives: see volatile.h.
 */
#include "volatile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "scope.h"

#define FACT "volatile"
/* A directory with a file in it (ovl_create_volatile_dirty). */
#define MARK_ROOM "work/work/incompat"
#define MARK "volatile"

int volatile_write(int dir_fd)
{
	char boot[PROCESS_BOOT_ID_SIZE];
	int r = process_boot_id(boot);

	if (r == 0 && symlinkat(boot, dir_fd, FACT) < 0)
		r = -errno;
	return r;
}

int volatile_read(int dir_fd, char ret_boot[PROCESS_BOOT_ID_SIZE])
{
	char text[FS_LINK_SIZE];
	int r = fs_read_link(dir_fd, FACT, text);

	if (r < 0)
		return r == -ENAMETOOLONG ? -EINVAL : r;
	if (strlen(text) != PROCESS_BOOT_ID_SIZE - 1)
		return -EINVAL;
	memcpy(ret_boot, text, PROCESS_BOOT_ID_SIZE);
	return 0;
}

int volatile_check(const struct record *record, struct shale_error *err)
{
	char boot[PROCESS_BOOT_ID_SIZE];
	int r;

	if (!*record->volatile_boot)
		return 0;
	r = process_boot_id(boot);
	if (r < 0)
		return error_errno(err, -r, "read the boot id");
	if (!strcmp(record->volatile_boot, boot))
		return 0;
	return error_fail(
		err, EBADFD,
		"it is volatile and of an earlier boot, so what was written may be incomplete: remove it and prepare it anew");
}

static bool has_mark(int upper_fd)
{
	struct stat st;

	return fstatat(upper_fd, MARK_ROOM "/" MARK, &st,
		       AT_SYMLINK_NOFOLLOW) == 0;
}

int volatile_look(const struct record *record, int upper_fd,
		  struct shale_error *err)
{
	if (*record->volatile_boot)
		return volatile_check(record, err);
	if (!has_mark(upper_fd))
		return 0;
	return error_fail(
		err, EBADFD,
		"its upper was mounted volatile though it was not prepared so, and may be incomplete: remove it and prepare it anew");
}

int volatile_settle(const struct record *record, int upper_fd,
		    struct shale_error *err)
{
	auto_fd room_fd = -1;
	int r;

	if (!has_mark(upper_fd))
		return 0;
	r = volatile_look(record, upper_fd, err);
	if (r < 0)
		return r;
	room_fd = openat(upper_fd, MARK_ROOM,
			 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = room_fd < 0 ? -errno : fs_remove_tree(room_fd, MARK, NULL, NULL);
	if (r == 0 || r == -ENOENT)
		return 0;
	return error_errno(err, -r,
			   "remove the mark of an earlier volatile mount");
}
