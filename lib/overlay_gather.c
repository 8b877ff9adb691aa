/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * commit of an active whose files are elsewhere (see upper.h) or have the owners
 * outside of a mapping (see shifted.h): no rename can bring them into the store,
 * or to the owners inside at once, so a copy is built in staging/ and published, and
 * under the same lock the key disappears.  Who is killed between the two
 * leaves both, as if the key had been prepared anew with the same files.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cache.h"
#include "commitment.h"
#include "copy.h"
#include "error.h"
#include "inuse.h"
#include "lock.h"
#include "removal.h"
#include "scope.h"
#include "shifted.h"
#include "staging.h"
#include "upper.h"

static int build(const struct commitment *c, int dir_fd,
		 struct shale_error *err)
{
	const struct copy_options options = { .stop = overlay_stop,
					      .ctx = c->ov };
	auto_fd fs_fd = -1;
	int r = staged_make_fs(dir_fd, 0700, &fs_fd, err);

	if (r == 0)
		r = copy_tree(c->fs_fd, fs_fd, &options, err);
	if (r == 0)
		r = shifted_give_back(c->ov, c->active, fs_fd, err);
	return r < 0 ? r : commitment_certify(c, dir_fd, fs_fd, err);
}

/* Once it is published the key may go: what it held is in the store. */
static int publish(const struct commitment *c, struct staged *staged,
		   char trash[ID_SIZE], struct remains *remains,
		   struct shale_error *err)
{
	struct overlay *ov = c->ov;
	auto_writer writer = WRITER_INIT;
	int r = writer_begin(ov, &writer, err);

	if (r == 0)
		r = commitment_check_again(c, false, err);
	if (r == 0)
		r = writer_change(&writer, err);
	if (r == 0)
		r = staged_publish(staged, ROOM_SNAPSHOTS, c->id, trash, err);
	if (r < 0)
		return r;
	cache_count(ov->cache, c->rebase ? c->rebase->id : c->active->parent_id,
		    1);
	r = removal_take_away(&writer, c->active, c->dir_fd, remains, err);
	return r < 0 ? error_context(err, r, "it is committed, but") : 0;
}

int commitment_gather(struct commitment *c, struct shale_error *err)
{
	struct remains remains = { .in_place = false };
	auto_staged staged = STAGED_INIT;
	char trash[ID_SIZE] = "";
	int r = staged_new(c->ov, &staged, err);

	if (r == 0)
		r = build(c, staged.fd, err);
	if (r == 0) /* copying may have taken minutes */
		r = inuse_check_mounted(c->ov, c->active, c->fs_fd, err);
	if (r == 0)
		r = publish(c, &staged, trash, &remains, err);
	trash_empty(c->ov, trash);
	if (r < 0)
		return r;
	r = commitment_sync_rooms(c->ov, false, err);
	/* In this order: what is in trash/ tells a check whose it is. */
	upper_remove(c->ov, c->active->upper);
	removal_finish(c->ov, c->active, c->dir_fd, &remains);
	return r;
}
