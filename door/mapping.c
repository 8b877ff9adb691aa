/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The user namespace of a container: see mapping.h.
 */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "idmap.h"
#include "number.h"
#include "runtime.h"
#include "scope.h"

void mapping_clear(struct mapping *mapping)
{
	drop_free(&mapping->uid);
	drop_free(&mapping->gid);
	mapping->path = NULL;
}

static bool is_identity(const struct idmap *map)
{
	for (size_t i = 0; i < map->count; i++)
		if (map->ranges[i].inside != map->ranges[i].outside)
			return false;
	return true;
}

/*
 * In a user namespace of ours nothing can be mounted mapped, and what a
 * runtime without root makes by default, 0 to 0, needs no mapping.
 */
static bool is_none(const struct idmaps *maps)
{
	return runtime_is_mapped(0) && is_identity(maps->uid) &&
	       is_identity(maps->gid);
}

/* Each in the one form that a mapping has. */
static int settle(const struct idmaps *maps, struct mapping *ret,
		  struct shale_error *err)
{
	if (!maps->uid || is_none(maps))
		return 0;
	ret->uid = idmap_format(maps->uid);
	ret->gid = idmap_format(maps->gid);
	if (ret->uid && ret->gid)
		return 0;
	mapping_clear(ret);
	return error_fail(err, ENOMEM, "read a mapping: out of memory");
}

/* ---- config.json ---- */

static int bad_list(const char *name, struct shale_error *err)
{
	return error_fail(err, EINVAL,
			  "linux.%s is no list of containerID, hostID and size",
			  name);
}

static int put_number(FILE *out, const struct json *range, const char *key)
{
	const struct json *value = json_get(range, key);
	uint64_t number = 0; /* Go's encoders may leave out a 0 */

	if (value && (value->type != JSON_NUMBER ||
		      number_parse(value->text, UINT32_MAX, &number) < 0))
		return -EINVAL;
	(void)fprintf(out, "%u", (unsigned)number);
	return 0;
}

static int put_range(FILE *out, const struct json *range)
{
	static const char *const keys[] = { "containerID", "hostID", "size" };
	int r = range->type == JSON_OBJECT ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < 3; i++) {
		if (i)
			(void)fputc(':', out);
		r = put_number(out, range, keys[i]);
	}
	return r;
}

/* "" where the list is absent or empty; to be freed. */
static int text_of(const struct json *object, const char *name, char **ret,
		   struct shale_error *err)
{
	const struct json *list = json_get(object, name);
	auto_free char *text = NULL;
	size_t size;
	FILE *out;
	int r = 0;

	if (list && list->type != JSON_ARRAY && list->type != JSON_NULL)
		return bad_list(name, err);
	out = open_memstream(&text, &size);
	if (!out)
		return error_fail(err, ENOMEM, "read a mapping: out of memory");
	for (size_t i = 0; r == 0 && list && i < list->count; i++) {
		if (i)
			(void)fputc(',', out);
		r = put_range(out, list->items[i]);
	}
	if (fclose(out) != 0)
		return error_fail(err, ENOMEM, "read a mapping: out of memory");
	if (r < 0)
		return bad_list(name, err);
	*ret = take_ptr(&text);
	return 0;
}

/* The entry of linux.namespaces that is a user namespace. */
static const struct json *find_namespace(const struct json *object)
{
	const struct json *list = json_get(object, "namespaces");

	for (size_t i = 0; list && list->type == JSON_ARRAY && i < list->count;
	     i++) {
		const char *type =
			json_string(json_get(list->items[i], "type"));

		if (type && !strcmp(type, "user"))
			return list->items[i];
	}
	return NULL;
}

int mapping_of_config(const struct json *object, struct mapping *ret,
		      struct shale_error *err)
{
	const struct json *space = find_namespace(object);
	auto_idmaps maps = { NULL, NULL };
	auto_free char *uid = NULL;
	auto_free char *gid = NULL;
	const char *path;
	int r;

	*ret = (struct mapping){ NULL, NULL, NULL };
	if (!space)
		return 0;
	path = json_string(json_get(space, "path"));
	if (path && *path)
		ret->path = path;
	r = text_of(object, "uidMappings", &uid, err);
	if (r == 0)
		r = text_of(object, "gidMappings", &gid, err);
	if (r == 0)
		r = idmaps_parse(uid, gid, &maps, err);
	if (r == 0)
		r = settle(&maps, ret, err);
	return r < 0 ? error_context(err, r, "config.json") : 0;
}

int mapping_check_known(const struct mapping *mapping, struct shale_error *err)
{
	if (!mapping->path || mapping->uid)
		return 0;
	return error_fail(
		err, ENOTSUP,
		"config.json does not tell the mapping of the user namespace '%s': give it there as well, or use 'shale mount KEY DIR' before the runtime",
		mapping->path);
}

/* ---- a process ---- */

static int read_map(long pid, const char *name, struct idmap **ret,
		    struct shale_error *err)
{
	/* A line of three numbers, each padded to ten. */
	char text[IDMAP_RANGES_MAX * 34];
	char path[48];
	size_t used = 0;
	auto_fd fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%ld/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && used < sizeof(text) - 1 &&
	       (n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	if (fd < 0)
		return error_errno(err, errno, "open '%s'", path);
	text[used] = '\0';
	if (!used)
		return error_fail(err, EINVAL, "'%s' is empty: nothing maps",
				  path);
	return idmap_parse_kernel(text, path, ret, err);
}

static int is_in_ours(long pid, bool *ret, struct shale_error *err)
{
	struct stat ours, theirs;
	char path[48];

	(void)snprintf(path, sizeof(path), "/proc/%ld/ns/user", pid);
	if (stat("/proc/self/ns/user", &ours) < 0 || stat(path, &theirs) < 0)
		return error_errno(err, errno, "look at '%s'", path);
	*ret = ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
	return 0;
}

int mapping_of_process(long pid, struct mapping *ret, struct shale_error *err)
{
	auto_idmaps maps = { NULL, NULL };
	bool is_ours;
	int r = is_in_ours(pid, &is_ours, err);

	*ret = (struct mapping){ NULL, NULL, NULL };
	if (r < 0 || is_ours)
		return r;
	r = read_map(pid, "uid_map", &maps.uid, err);
	if (r == 0)
		r = read_map(pid, "gid_map", &maps.gid, err);
	return r < 0 ? r : settle(&maps, ret, err);
}

/* ---- asking ---- */

static bool is_equal(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool mapping_is_same(const struct mapping *a, const struct mapping *b)
{
	return is_equal(a->uid, b->uid) && is_equal(a->gid, b->gid);
}

void mapping_root(const struct mapping *mapping, uid_t *ret_uid, gid_t *ret_gid)
{
	auto_idmaps maps = { NULL, NULL };

	*ret_uid = geteuid();
	*ret_gid = getegid();
	if (idmaps_parse(mapping->uid, mapping->gid, &maps, NULL) < 0 ||
	    !maps.uid)
		return;
	*ret_uid = idmap_root(maps.uid);
	*ret_gid = idmap_root(maps.gid);
}
