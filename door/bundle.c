/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config.json of a bundle: see bundle.h.
 */
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "scope.h"

int bundle_load_file(const char *path, const char *file, struct json **ret,
		     struct shale_error *err)
{
	char what[2 * PATH_MAX];
	auto_fd dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd fd = -1;
	struct stat st;

	if (dir_fd < 0)
		return error_errno(err, errno, "open bundle '%s'", path);
	if (*file == '/')
		(void)snprintf(what, sizeof(what), "'%s'", file);
	else
		(void)snprintf(what, sizeof(what), "'%s/%s'", path, file);
	/* Not blocked by a fifo, not led elsewhere by a link. */
	fd = openat(dir_fd, file,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "open %s", what);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "open %s", what);
	if (!S_ISREG(st.st_mode))
		return error_fail(err, EINVAL, "open %s: it is no regular file",
				  what);
	return json_read(fd, BUNDLE_SIZE_MAX, what, ret, err);
}

int bundle_load_json(const char *path, struct json **ret,
		     struct shale_error *err)
{
	return bundle_load_file(path, "config.json", ret, err);
}

/* The member @key of @object, of type @type; NULL where absent. */
static int take(const struct json *object, const char *key, const char *name,
		enum json_type type, const struct json **ret,
		struct shale_error *err)
{
	static const char *const types[] = {
		[JSON_NULL] = "null",	  [JSON_BOOL] = "boolean",
		[JSON_NUMBER] = "number", [JSON_STRING] = "string",
		[JSON_ARRAY] = "list",	  [JSON_OBJECT] = "object",
	};
	const struct json *value = json_get(object, key);

	*ret = NULL;
	/* null is how Go's encoders write an absent list. */
	if (!value || value->type == JSON_NULL)
		return 0;
	if (value->type != type)
		return error_fail(err, EINVAL, "config.json: %s is no %s", name,
				  types[type]);
	*ret = value;
	return 0;
}

static int take_root(const char *path, const struct json *json,
		     struct bundle *bundle, struct shale_error *err)
{
	const struct json *root, *value;
	int r = take(json, "root", "root", JSON_OBJECT, &root, err);

	if (r < 0)
		return r;
	r = take(root, "readonly", "root.readonly", JSON_BOOL, &value, err);
	if (r < 0)
		return r;
	bundle->root_readonly = value && value->boolean;
	r = take(root, "path", "root.path", JSON_STRING, &value, err);
	if (r < 0)
		return r;
	if (!value || !*value->text)
		return error_fail(err, EINVAL, "config.json has no root.path");
	if (value->text[0] == '/')
		bundle->rootfs = strdup(value->text);
	else if (asprintf(&bundle->rootfs, "%s/%s", path, value->text) < 0)
		bundle->rootfs = NULL;
	return bundle->rootfs ? 0
			      : error_fail(err, ENOMEM,
					   "read config.json: out of memory");
}

static int take_process(const struct json *json, struct bundle *bundle,
			struct shale_error *err)
{
	const struct json *process, *cwd;
	int r = take(json, "process", "process", JSON_OBJECT, &process, err);

	if (r == 0)
		r = take(process, "cwd", "process.cwd", JSON_STRING, &cwd, err);
	if (r == 0)
		bundle->cwd = json_string(cwd);
	return r;
}

static int take_strings(const struct json *object, const char *key,
			const char *name, const struct json **ret,
			struct shale_error *err)
{
	const struct json *list;
	int r = take(object, key, name, JSON_ARRAY, &list, err);

	for (size_t i = 0; r == 0 && list && i < list->count; i++)
		if (!json_string(list->items[i]))
			r = error_fail(err, EINVAL,
				       "config.json: %s is no list of strings",
				       name);
	if (r == 0)
		*ret = list;
	return r;
}

static int take_devices(const struct json *object, struct bundle *bundle,
			struct shale_error *err)
{
	int r = take(object, "devices", "linux.devices", JSON_ARRAY,
		     &bundle->devices, err);

	for (size_t i = 0;
	     r == 0 && bundle->devices && i < bundle->devices->count; i++)
		if (!json_string(json_get(bundle->devices->items[i], "path")))
			r = error_fail(
				err, EINVAL,
				"config.json: a device of linux.devices has no path");
	return r;
}

static int take_linux(const struct json *json, struct bundle *bundle,
		      struct shale_error *err)
{
	const struct json *object, *label;
	int r = take(json, "linux", "linux", JSON_OBJECT, &object, err);

	if (r == 0)
		r = take(object, "mountLabel", "linux.mountLabel", JSON_STRING,
			 &label, err);
	if (r == 0)
		r = take_strings(object, "maskedPaths", "linux.maskedPaths",
				 &bundle->masked, err);
	if (r == 0)
		r = take_strings(object, "readonlyPaths", "linux.readonlyPaths",
				 &bundle->readonly, err);
	if (r == 0)
		r = take_devices(object, bundle, err);
	if (r == 0)
		r = mapping_of_config(object, &bundle->mapping, err);
	if (r == 0 && label && *label->text)
		bundle->mount_label = label->text;
	return r;
}

static int take_mount(const struct json *mount, struct bundle *bundle,
		      struct shale_error *err)
{
	const struct json *destination, *options;
	int r;

	if (mount->type != JSON_OBJECT)
		return error_fail(err, EINVAL,
				  "config.json: mounts is no list of objects");
	r = take(mount, "destination", "destination of a mount", JSON_STRING,
		 &destination, err);
	if (r == 0 && !destination)
		return error_fail(err, EINVAL,
				  "config.json: a mount has no destination");
	if (r == 0)
		r = take_strings(mount, "options", "options of a mount",
				 &options, err);
	for (size_t i = 0; r == 0 && options && i < options->count; i++)
		if (!strcmp(options->items[i]->text, "tmpcopyup"))
			bundle->copy_up = destination->text;
	return r;
}

static int take_mounts(const struct json *json, struct bundle *bundle,
		       struct shale_error *err)
{
	const struct json *mounts;
	int r = take(json, "mounts", "mounts", JSON_ARRAY, &mounts, err);

	for (size_t i = 0; r == 0 && mounts && i < mounts->count; i++)
		r = take_mount(mounts->items[i], bundle, err);
	return r;
}

static int take_all(const char *path, struct bundle *bundle,
		    struct shale_error *err)
{
	const struct json *json = bundle->json;
	const struct json *annotations;
	int r;

	if (json->type != JSON_OBJECT)
		return error_fail(err, EINVAL, "config.json is no object");
	r = take(json, "annotations", "annotations", JSON_OBJECT, &annotations,
		 err);
	if (r == 0)
		r = annotations_parse(annotations, &bundle->annotations, err);
	if (r == 0)
		r = take_root(path, json, bundle, err);
	if (r == 0)
		r = take_process(json, bundle, err);
	if (r == 0)
		r = take_linux(json, bundle, err);
	if (r == 0)
		r = take_mounts(json, bundle, err);
	return r;
}

int bundle_parse(const char *path, struct json *json, struct bundle *ret,
		 struct shale_error *err)
{
	struct bundle bundle = { .json = json };
	int r = take_all(path, &bundle, err);

	if (r < 0) {
		bundle_clear(&bundle);
		return r;
	}
	*ret = bundle;
	return 0;
}

int bundle_load(const char *path, struct bundle *ret, struct shale_error *err)
{
	struct json *json;
	int r = bundle_load_json(path, &json, err);

	return r < 0 ? r : bundle_parse(path, json, ret, err);
}

void bundle_clear(struct bundle *bundle)
{
	json_free(bundle->json);
	mapping_clear(&bundle->mapping);
	free(bundle->rootfs);
	*bundle = (struct bundle){ 0 };
}

int bundle_with_root(const struct bundle *bundle, const char *text, size_t len,
		     const char *root, char **ret, size_t *ret_len)
{
	const struct json *old =
		json_get(json_get(bundle->json, "root"), "path");
	auto_free char *value = NULL;
	size_t value_len;
	char *out;

	if (json_write_string(root, &value) < 0)
		return -ENOMEM;
	value_len = strlen(value);
	*ret_len = old->start + value_len + (len - old->end);
	out = *ret = malloc(*ret_len);
	if (!out)
		return -ENOMEM;
	out = mempcpy(out, text, old->start);
	out = mempcpy(out, value, value_len);
	(void)mempcpy(out, text + old->end, len - old->end);
	return 0;
}
