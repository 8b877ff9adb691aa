/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing manifests: see manifest.h.
 */
#include "manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "manifest_walk.h"
#include "scope.h"

struct writing {
	FILE *file;
	struct digest digest;
};

static int write_line(void *ctx, const char *path, const char *line)
{
	struct writing *w = ctx;
	const size_t len = strlen(line);

	(void)path;
	digest_add(&w->digest, line, len);
	digest_add(&w->digest, "\n", 1);
	return fwrite(line, 1, len, w->file) != len ||
			       putc('\n', w->file) == EOF
		       ? -EIO
		       : 0;
}

static int write_all(struct manifest_walk *m, struct writing *w, int fs_fd,
		     const char *parent_id)
{
	char head[sizeof(MANIFEST_HEAD) + sizeof(" parent ") + ID_SIZE];
	char hex[MANIFEST_DIGEST_SIZE];
	int r;

	digest_begin(&w->digest);
	(void)snprintf(head, sizeof(head), MANIFEST_HEAD " parent %s",
		       *parent_id ? parent_id : "-");
	r = write_line(w, "", head);
	if (r == 0)
		r = manifest_walk(m, fs_fd);
	if (r < 0)
		return r;
	manifest_digest(&w->digest, hex);
	if (fprintf(w->file, "sha256 %s\n", hex) < 0 || fflush(w->file) != 0 ||
	    (m->ov->durability != DURABLE_NONE && fsync(fileno(w->file)) < 0))
		return error_errno(m->err, errno, "write 'manifest'");
	return 0;
}

int manifest_store(struct overlay *ov, int dir_fd, int fs_fd,
		   const char *parent_id, struct shale_error *err)
{
	auto_fd fd = openat(
		dir_fd, "manifest",
		O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	auto_file file = NULL;
	struct writing w = { .file = NULL };
	auto_manifest_walk m = {
		.ov = ov, .emit = write_line, .ctx = &w, .err = err
	};
	int r = manifest_walk_begin(&m);

	if (r < 0)
		return r;
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return error_errno(err, errno, "create 'manifest'");
	file = fdopen(fd, "w");
	if (!file)
		return manifest_out_of_memory(&m);
	(void)take_fd(&fd);
	w.file = file;
	return write_all(&m, &w, fs_fd, parent_id);
}
