/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The org.shale.* annotations of a container.  They are untrusted: they carry
 * names into the store, never paths, options or layer lists.  A name may hold
 * '/', but an absolute one, or one with a "." or ".." between slashes, is
 * refused as the path that it was meant to be.
 */
#ifndef DOOR_ANNOTATIONS_H
#define DOOR_ANNOTATIONS_H

#include <stdbool.h>

#include "json.h"
#include "policy.h"
#include "snapshotter.h"

/**
 * struct annotations - what a container asks for; strings are the JSON's
 * @parent:      org.shale.parent, a committed name
 * @key:         org.shale.key; NULL where absent
 * @is_view:     org.shale.kind is "view"; "active" without it
 * @onstop_text: org.shale.onstop as written; "remove" without it
 * @commit_name: NAME of onstop commit=NAME, else NULL
 */
struct annotations {
	const char *parent, *key;
	bool is_view;
	enum onstop onstop;
	const char *onstop_text, *commit_name;
};

/**
 * annotations_parse - read and check the annotations of a container
 * @json: its "annotations"; lent and must outlive @ret; may be NULL
 *
 * Return: 0 or -EINVAL: no org.shale.parent, an unknown name that starts with
 *         org.shale., a value that is no string or not allowed, a view that
 *         is to be committed.
 */
int annotations_parse(const struct json *json, struct annotations *ret,
		      struct shale_error *err);

/**
 * annotations_key - org.shale.key, whatever else is wrong
 *
 * Return: NULL where it is absent or no string.
 */
const char *annotations_key(const struct json *json);

/**
 * annotations_any - whether there is an annotation of ours, be it wrong
 */
bool annotations_any(const struct json *json);

#endif
