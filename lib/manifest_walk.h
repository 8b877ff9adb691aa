/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lines of a manifest, made of a layer in the order of its walk.  For who
 * writes them, and for who compares them with what was written: both walk in
 * the same order, so that comparing is merging two sorted lists.
 */
#ifndef LIB_MANIFEST_WALK_H
#define LIB_MANIFEST_WALK_H

#include <sys/types.h>

#include "digest.h"
#include "growing.h"
#include "overlay.h"

#define MANIFEST_HEAD "shale-manifest 1"
#define MANIFEST_DIGEST_SIZE (2 * DIGEST_BYTES + 1)

struct manifest_walk {
	struct overlay *ov;
	char *buffer, *xattrs, *value;
	void *linked; /* struct named, by inode */
	struct growing path, line;
	dev_t dev;
	/* Gets each line, without newline, and the path, "" for the root. */
	int (*emit)(void *ctx, const char *path, const char *line);
	/* Gets instead what can't be read, with all below it where @is_tree, and
	 * the walk goes on; NULL: it ends there.
	 */
	int (*lose)(void *ctx, const char *path, bool is_tree, int r);
	void *ctx;
	int stopped; /* with what the host's callback did it */
	struct shale_error *err;
};

/** manifest_walk_begin - get its memory; 0 or -ENOMEM with a sentence */
int manifest_walk_begin(struct manifest_walk *m);

void manifest_walk_end(struct manifest_walk *m);

#define auto_manifest_walk \
	__attribute__((cleanup(manifest_walk_end))) struct manifest_walk

/**
 * manifest_walk - make the lines of a layer
 *
 * Return: 0, -ECANCELED (@stopped, or the host said so), -EXDEV, or another
 *         errno; with a sentence.
 */
int manifest_walk(struct manifest_walk *m, int fs_fd);

/** manifest_digest - end a digest, in hex */
void manifest_digest(struct digest *digest, char ret[MANIFEST_DIGEST_SIZE]);

/** manifest_out_of_memory - say so; returns -ENOMEM */
int manifest_out_of_memory(const struct manifest_walk *m);

#endif
