/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The org.shale.* annotations: see annotations.h.
 */
#include "annotations.h"

#include <errno.h>
#include <string.h>

#include "error.h"

#define PREFIX "org.shale."

/* Names may hold '/', but who writes these means a file, not a name. */
static bool is_path(const char *name)
{
	const char *end;

	if (*name == '/')
		return true;
	for (;; name = end + 1) {
		end = strchrnul(name, '/');
		if (end - name <= 2 &&
		    !strncmp(name, "..", (size_t)(end - name)) && end != name)
			return true;
		if (!*end)
			return false;
	}
}

static int check_name(const char *name, const char *value,
		      struct shale_error *err)
{
	if (!*value || strlen(value) >= SHALE_NAME_SIZE)
		return error_fail(err, EINVAL,
				  "annotation %s has no name of 1 to %u bytes",
				  name, SHALE_NAME_SIZE - 1);
	if (is_path(value))
		return error_fail(err, EINVAL,
				  "annotation %s has the path '%s', not a name",
				  name, value);
	return 0;
}

static int take_name(const char *name, const char *value, const char **slot,
		     struct shale_error *err)
{
	int r = check_name(name, value, err);

	if (r < 0)
		return r;
	*slot = value;
	return 0;
}

static int take_kind(const char *value, struct annotations *ret,
		     struct shale_error *err)
{
	ret->is_view = !strcmp(value, "view");
	if (!ret->is_view && strcmp(value, "active") != 0)
		return error_fail(err, EINVAL,
				  "annotation " PREFIX
				  "kind is '%s', neither active nor view",
				  value);
	return 0;
}

static int take_onstop(const char *value, struct annotations *ret,
		       struct shale_error *err)
{
	if (onstop_parse(value, &ret->onstop, &ret->commit_name) < 0)
		return error_fail(
			err, EINVAL,
			"annotation " PREFIX
			"onstop is '%s', none of remove, keep, commit=NAME",
			value);
	ret->onstop_text = value;
	return ret->commit_name
		       ? check_name(PREFIX "onstop", ret->commit_name, err)
		       : 0;
}

static int take(const char *name, const char *value, struct annotations *ret,
		struct shale_error *err)
{
	if (!strcmp(name, PREFIX "parent"))
		return take_name(name, value, &ret->parent, err);
	if (!strcmp(name, PREFIX "key"))
		return take_name(name, value, &ret->key, err);
	if (!strcmp(name, PREFIX "kind"))
		return take_kind(value, ret, err);
	if (!strcmp(name, PREFIX "onstop"))
		return take_onstop(value, ret, err);
	return error_fail(err, EINVAL, "unknown annotation %s", name);
}

int annotations_parse(const struct json *json, struct annotations *ret,
		      struct shale_error *err)
{
	struct annotations found = { .onstop = ONSTOP_REMOVE,
				     .onstop_text = "remove" };

	if (json && json->type != JSON_OBJECT)
		return error_fail(err, EINVAL, "annotations are no object");
	for (size_t i = 0; json && i < json->count; i++) {
		const char *name = json->keys[i];
		const char *value = json_string(json->items[i]);
		int r;

		if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0)
			continue;
		if (!value)
			return error_fail(err, EINVAL,
					  "annotation %s is no string", name);
		r = take(name, value, &found, err);
		if (r < 0)
			return r;
	}
	if (!found.parent)
		return error_fail(err, EINVAL,
				  "config.json has no annotation " PREFIX
				  "parent");
	if (found.is_view && found.onstop == ONSTOP_COMMIT)
		return error_fail(err, EINVAL,
				  "annotation " PREFIX
				  "onstop commits a view, which holds nothing");
	*ret = found;
	return 0;
}

const char *annotations_key(const struct json *json)
{
	return json_string(json_get(json, PREFIX "key"));
}

bool annotations_any(const struct json *json)
{
	for (size_t i = 0; json && i < json->count; i++)
		if (json->type == JSON_OBJECT &&
		    !strncmp(json->keys[i], PREFIX, sizeof(PREFIX) - 1))
			return true;
	return false;
}
