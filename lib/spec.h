/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mount spec taken apart: what the text of struct shale_mount_spec asks for,
 * in a form that both mount engines carry out.  Nothing here touches the disk
 * or the kernel.
 *
 * The text's rules, for who writes one and for who reads one:
 * - lowerdir= holds all layers, topmost first, joined by ':'; in a path a '\'
 *   stands before each ':' and '\' (text_escape_lower) and before nothing
 *   else.
 * - upperdir=, workdir= and a bind's source are paths as they are, with no
 *   escape; each engine adds what its system call wants.
 * - Every path is absolute.
 * - A value may stand in double quotes (context="a,b"): they are taken off
 *   here, and put back by the engine that needs them.
 * - uidmap= and gidmap=, both or neither, hold inside:outside:size[,...]: the
 *   ids of all directories are mapped so.
 * - ro, rw, bind, rbind and the flags of a mount (nosuid, nodev, ...) are
 *   understood here; of contradicting ones the last wins.  All else goes to
 *   overlayfs as key or key=value.
 */
#ifndef LIB_SPEC_H
#define LIB_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "idmap.h"
#include "snapshotter.h"

/* What overlayfs takes (OVL_MAX_STACK); the next one is a bare EINVAL. */
#define SPEC_LOWERS_MAX 500

enum spec_kind { SPEC_BIND, SPEC_OVERLAY };

/* An option that goes to the file system as it is. */
struct spec_option {
	char *key;
	char *value; /* NULL for a flag */
};

struct spec {
	enum spec_kind kind;
	char *source;	   /* bind: the directory; overlay: what is shown */
	bool is_read_only; /* ro, or an overlay without upperdir */
	bool is_recursive; /* rbind; flags and ro then hold for all of it */
	uint64_t attr_set; /* MOUNT_ATTR_*, without RDONLY */
	uint64_t attr_clear;
	size_t lower_count;
	char **lowers;	   /* unescaped, topmost first; in lowers_text */
	char *lowers_text; /* one for all: a chain has 500 */
	char *upper;	   /* NULL for an overlay of lowers alone */
	char *work;
	size_t rest_count;
	struct spec_option *rest;
	struct idmaps maps; /* empty: ids are as they are */
};

/**
 * spec_parse - take a mount spec apart
 * @mount: lent
 * @ret:   taken; freed with spec_free
 *
 * Return: 0, -EINVAL (text that contradicts itself or is no bind or overlay),
 *         -E2BIG (more than SPEC_LOWERS_MAX layers, or a longer struct than is
 *         known here), -ENOMEM.
 */
int spec_parse(const struct shale_mount_spec *mount, struct spec **ret,
	       struct shale_error *err);

/** spec_refuses_option - whether an option has no place in a spec */
bool spec_refuses_option(const char *option);

/** spec_is_flag - whether an option is a flag of a mount: nosuid, noatime, ... */
bool spec_is_flag(const char *option);

/** spec_has_context - whether it asks for an SELinux context of any kind */
bool spec_has_context(const struct spec *spec);

/** spec_is_context - whether an option's key is that of an SELinux context */
bool spec_is_context(const char *key);

/** spec_free - accepts NULL */
void spec_free(struct spec *spec);

static inline void drop_spec(struct spec **spec)
{
	spec_free(*spec);
	*spec = NULL;
}

#define auto_spec __attribute__((cleanup(drop_spec))) struct spec *

#endif
