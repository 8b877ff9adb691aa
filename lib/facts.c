/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See facts.h.
 */
#include "facts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "labels.h"
#include "record_read.h"

#define UP "../../"

/* Relative, so that a store can be moved. */
static int write_link(int dir_fd, const char *fact, const char *room,
		      const char *id)
{
	char target[sizeof(UP "snapshots/") + ID_SIZE];

	(void)stpcpy(stpcpy(stpcpy(stpcpy(target, UP), room), "/"), id);
	return symlinkat(target, dir_fd, fact) < 0 ? -errno : 0;
}

int facts_read(int dir_fd, const char *path, char *ret)
{
	int r = fs_read_link(dir_fd, path, ret);

	return r == -EINVAL || r == -ENAMETOOLONG ? -EUCLEAN : r;
}

int facts_read_link(int dir_fd, const char *path, const char *room,
		    char ret[ID_SIZE])
{
	const size_t up_len = sizeof(UP) - 1, room_len = strlen(room);
	char text[FS_LINK_SIZE];
	int r = facts_read(dir_fd, path, text);

	if (r < 0)
		return r;
	if (strncmp(text, UP, up_len) != 0 ||
	    strncmp(text + up_len, room, room_len) != 0 ||
	    text[up_len + room_len] != '/' ||
	    !id_is_valid(text + up_len + room_len + 1))
		return -EUCLEAN;
	(void)stpcpy(ret, text + up_len + room_len + 1);
	return 0;
}

int facts_write(int dir_fd, uint32_t kind, const char *name,
		const char *parent_id, const char *const *labels)
{
	const bool is_committed = kind == SHALE_KIND_COMMITTED;
	int r = 0;

	if (*parent_id)
		r = write_link(dir_fd,
			       is_committed ? "name.parent" : "key.parent",
			       "snapshots", parent_id);
	if (r < 0)
		return r;
	r = labels_store(dir_fd, is_committed ? "name.labels" : "key.labels",
			 labels);
	if (r < 0)
		return r;
	/* Last: it certifies the rest. */
	if (symlinkat(name, dir_fd, record_kind_fact(kind)) < 0)
		return -errno;
	return 0;
}

int facts_write_map(int dir_fd, const char *map_id)
{
	return write_link(dir_fd, "key.mapped", "mapped", map_id);
}

static void remove_all(int dir_fd, const char *const *facts)
{
	for (; *facts; facts++)
		(void)unlinkat(dir_fd, *facts, 0);
}

void facts_remove_key(int dir_fd)
{
	/* The kind fact first: without it the others mean nothing. */
	static const char *const facts[] = { "key",	   "view",
					     "key.parent", "key.mapped",
					     "key.labels", "volatile",
					     NULL };

	remove_all(dir_fd, facts);
}

void facts_remove_name(int dir_fd)
{
	static const char *const facts[] = { "name",	    "name.parent",
					     "name.labels", "usage",
					     "manifest",    NULL };

	remove_all(dir_fd, facts);
}

int facts_check_free(struct overlay *ov, const char *id, const char *name,
		     struct shale_error *err)
{
	static const char *const taken[] = {
		[ROOM_ACTIVE] = "by an active or view",
		[ROOM_SNAPSHOTS] = "by a committed snapshot",
	};

	for (enum room room = ROOM_ACTIVE; room <= ROOM_SNAPSHOTS; room++) {
		int r = record_is_there(ov, room, id, name, err);

		if (r < 0)
			return r;
		if (r > 0)
			return error_fail(err, EEXIST, "'%s' is taken, %s",
					  name, taken[room]);
	}
	return 0;
}
