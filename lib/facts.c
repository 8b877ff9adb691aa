/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See facts.h.
 */
#include "facts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "labels.h"

int facts_write(int dir_fd, uint32_t kind, const char *name,
		const char *parent_id, const char *const *labels)
{
	const bool is_committed = kind == SHALE_KIND_COMMITTED;
	char target[sizeof("../../snapshots/") + ID_SIZE];
	int r;

	(void)stpcpy(stpcpy(target, "../../snapshots/"), parent_id);
	if (*parent_id &&
	    symlinkat(target, dir_fd,
		      is_committed ? "name.parent" : "key.parent") < 0)
		return -errno;
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
	char target[sizeof("../../mapped/") + ID_SIZE];

	(void)stpcpy(stpcpy(target, "../../mapped/"), map_id);
	return symlinkat(target, dir_fd, "key.mapped") < 0 ? -errno : 0;
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
