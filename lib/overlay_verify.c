/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verify: a committed snapshot against the manifest of its commit.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "manifest.h"
#include "overlay.h"
#include "record.h"
#include "scope.h"

struct verification {
	struct overlay *ov;
	const struct record *record;
	shale_finding_fn *emit;
	void *ctx;
	bool is_gone;
};

/* What a deletion takes away meanwhile is not missing. */
static bool is_there_still(const struct verification *v)
{
	struct stat there;

	return fstatat(v->ov->room_fd[ROOM_SNAPSHOTS], v->record->id, &there,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       there.st_ino == v->record->ino;
}

static int tell(void *ctx, const char *kind, const char *path, const char *what)
{
	struct verification *v = ctx;
	const struct shale_finding finding = {
		.size = sizeof(finding),
		.kind = kind,
		.name = v->record->name,
		.path = *path ? path : ".",
		.what = what,
		.remedy = !strcmp(kind, "manifest")
				  ? "restore the manifest from a backup"
				  : "restore the layer from a backup",
	};

	v->is_gone = !is_there_still(v);
	return v->is_gone ? 1 : v->emit(v->ctx, &finding);
}

static int verify_record(struct verification *v, struct shale_error *err)
{
	auto_fd dir_fd = -1;
	struct stat st;
	int r;

	if (v->record->kind != SHALE_KIND_COMMITTED)
		return error_fail(err, EBADFD, "it is not committed");
	dir_fd = openat(v->ov->room_fd[ROOM_SNAPSHOTS], v->record->id,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd < 0 || fstat(dir_fd, &st) < 0 || st.st_ino != v->record->ino)
		return error_fail(err, ENOENT, "no such snapshot");
	r = manifest_compare(v->ov, dir_fd, v->record->parent_id, tell, v, err);
	if (v->is_gone || (r < 0 && !is_there_still(v))) {
		error_clear(err);
		return error_fail(err, ENOENT, "no such snapshot");
	}
	return r;
}

int overlay_verify(void *self, const char *name, shale_finding_fn *emit,
		   void *ctx, struct shale_error *err)
{
	auto_record record = NULL;
	struct verification v = { .ov = self, .emit = emit, .ctx = ctx };
	int r = name_check(name, "name", err);

	if (r == 0)
		r = record_find_fresh(self, name, &record, err);
	v.record = record;
	if (r == 0)
		r = verify_record(&v, err);
	return r < 0 ? error_context(err, r, "verify '%s'", name ? name : "")
		     : r;
}
