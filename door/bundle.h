/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a door needs of a bundle's config.json.  The file is the runtime's
 * input, already believed by it; its annotations are not (annotations.h).
 */
#ifndef DOOR_BUNDLE_H
#define DOOR_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "annotations.h"
#include "json.h"
#include "mapping.h"
#include "snapshotter.h"

#define BUNDLE_SIZE_MAX 4194304

/**
 * struct bundle - strings live as long as @json, but for @rootfs
 * @rootfs:      root.path, absolute
 * @cwd:         process.cwd; NULL where there is no process
 * @mount_label: linux.mountLabel; NULL where absent or empty
 * @masked, @readonly: linux.maskedPaths and linux.readonlyPaths, lists of
 *               strings; NULL where absent
 * @devices:     linux.devices, objects that each have a path
 * @mapping:     of its user namespace (mapping.h)
 * @copy_up:     a mount's destination whose content the runtime copies out of
 *               the bundle's rootfs (tmpcopyup), NULL for none
 */
struct bundle {
	struct json *json;
	char *rootfs;
	bool root_readonly;
	const char *cwd, *mount_label, *copy_up;
	const struct json *masked, *readonly, *devices;
	struct mapping mapping;
	struct annotations annotations;
};

/**
 * bundle_load - read config.json
 * @path: of the bundle
 * @ret:  cleared with bundle_clear
 *
 * config.json is opened below the bundle's descriptor, without following a
 * link, and must be a regular file of at most BUNDLE_SIZE_MAX bytes.
 *
 * Return: 0, -EBADMSG, -EFBIG, -EINVAL (named), -ENOENT, or another errno.
 */
int bundle_load(const char *path, struct bundle *ret, struct shale_error *err);

/** bundle_clear - free what a bundle holds */
void bundle_clear(struct bundle *bundle);

/**
 * bundle_parse - the same from a document that was read already
 * @json: taken, also on failure
 */
int bundle_parse(const char *path, struct json *json, struct bundle *ret,
		 struct shale_error *err);

/**
 * bundle_load_json - config.json as it is
 * @ret: taken; freed with json_free
 */
int bundle_load_json(const char *path, struct json **ret,
		     struct shale_error *err);

/**
 * bundle_load_file - the same from a file of another name
 * @file: from the bundle's directory, or absolute
 */
int bundle_load_file(const char *path, const char *file, struct json **ret,
		     struct shale_error *err);

/**
 * bundle_with_root - config.json with another root.path, each other byte as
 * it was
 * @text: the document that @bundle was parsed from, @len bytes
 * @root: UTF-8
 * @ret:  taken; freed with free; @ret_len bytes
 *
 * Return: 0 or -ENOMEM.
 */
int bundle_with_root(const struct bundle *bundle, const char *text, size_t len,
		     const char *root, char **ret, size_t *ret_len);

#define auto_bundle __attribute__((cleanup(bundle_clear))) struct bundle

#endif
