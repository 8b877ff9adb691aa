/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A layer's manifest: a line an entry, with a digest of all that a file system
 * keeps of it, and a digest of the lines at its end.  shale-store(5) is the
 * manual of the format.
 */
#ifndef LIB_MANIFEST_H
#define LIB_MANIFEST_H

#include "overlay.h"

/**
 * manifest_store - write the file `manifest` of a directory that is built
 * @dir_fd:    where to
 * @fs_fd:     readable; the layer, to which nobody writes any more
 * @parent_id: "" for none
 *
 * Synced as the durability of the store says for a layer.
 *
 * Return: 0, -ECANCELED, -EXDEV (something is mounted in it), or another
 *         errno; with a sentence.
 */
int manifest_store(struct overlay *ov, int dir_fd, int fs_fd,
		   const char *parent_id, struct shale_error *err);

/**
 * manifest_compare - compare a layer with its manifest
 * @dir_fd: the snapshot's directory
 * @found:  called for each difference: a word, the path as it is in the layer
 *          ("" for the manifest itself) and a sentence; nonzero stops
 *
 * Return: 0, what @found returned, -ENODATA (no manifest), or another errno;
 *         with a sentence.
 */
int manifest_compare(struct overlay *ov, int dir_fd, const char *parent_id,
		     int (*found)(void *ctx, const char *kind, const char *path,
				  const char *what),
		     void *ctx, struct shale_error *err);

#endif
