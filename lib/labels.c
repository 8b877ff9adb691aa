/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Labels in memory and on disk: see labels.h.
 */
#include "labels.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "json.h"
#include "scope.h"
#include "shale.h"
#include "text.h"

#define LOAD_TRIES 100

static size_t count_of(const char *const *pairs)
{
	size_t n = 0;

	while (pairs && pairs[n])
		n++;
	return n;
}

void labels_free(char **labels)
{
	for (char **p = labels; p && *p; p++)
		free(*p);
	free(labels);
}

const char *labels_get(const char *const *labels, const char *key)
{
	for (; *labels; labels += 2)
		if (!strcmp(labels[0], key))
			return labels[1];
	return NULL;
}

/* What an overlay makes in its upper it makes as this id. */
static int check_root(const struct idmap *map, const char *what,
		      struct shale_error *err)
{
	uint32_t id;

	if (!map || idmap_to_outside(map, 0, &id))
		return 0;
	return error_fail(
		err, EINVAL,
		"%s gives 0 inside no id, and the directories of a store belong to it: add a range with it",
		what);
}

int labels_maps(const char *const *labels, struct idmaps *ret,
		struct shale_error *err)
{
	auto_idmaps maps = { NULL, NULL };
	int r = idmaps_parse(labels_get(labels, SHALE_LABEL_UIDMAP),
			     labels_get(labels, SHALE_LABEL_GIDMAP), &maps,
			     err);

	if (r == 0)
		r = check_root(maps.uid, "uidmap", err);
	if (r == 0)
		r = check_root(maps.gid, "gidmap", err);
	if (r < 0)
		return error_context(err, r,
				     "labels " SHALE_LABEL_UIDMAP
				     " and " SHALE_LABEL_GIDMAP);
	*ret = maps;
	maps = (struct idmaps){ NULL, NULL };
	return 0;
}

static int compare_pairs(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A sorted copy without any check. */
static int copy_sorted(const char *const *pairs, char ***ret)
{
	size_t n = count_of(pairs);
	auto_labels copy = calloc(n + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		copy[i] = strdup(pairs[i]);
		if (!copy[i])
			return -ENOMEM;
	}
	qsort(copy, n / 2, 2 * sizeof(*copy), compare_pairs);
	*ret = take_ptr(&copy);
	return 0;
}

static int check_pairs(char **sorted, struct shale_error *err)
{
	size_t size = 0;

	for (char **p = sorted; *p; p += 2) {
		if (!**p)
			return error_fail(err, EINVAL, "a label has no key");
		if (!text_is_utf8(p[0]) || !text_is_utf8(p[1]))
			return error_fail(err, EINVAL, "label '%s': not UTF-8",
					  p[0]);
		if (p != sorted && !strcmp(p[0], p[-2]))
			return error_fail(err, EINVAL,
					  "label '%s' is given twice", p[0]);
		size += strlen(p[0]) + strlen(p[1]);
	}
	if (size > LABELS_SIZE_MAX)
		return error_fail(err, EINVAL,
				  "the labels have more than %d bytes",
				  LABELS_SIZE_MAX);
	return 0;
}

int labels_new(const char *const *pairs, char ***ret, struct shale_error *err)
{
	auto_labels sorted = NULL;
	int r;

	if (count_of(pairs) % 2)
		return error_fail(err, EINVAL, "label '%s' has no value",
				  pairs[count_of(pairs) - 1]);
	r = copy_sorted(pairs, &sorted);
	if (r < 0)
		return error_fail(err, -r, "copy labels: out of memory");
	r = check_pairs(sorted, err);
	if (r < 0)
		return r;
	*ret = take_ptr(&sorted);
	return 0;
}

static const char *single_field(const char *field)
{
	static const char prefix[] = "labels.";

	if (strncmp(field, prefix, sizeof(prefix) - 1) ||
	    !field[sizeof(prefix) - 1])
		return NULL;
	return field + sizeof(prefix) - 1;
}

static bool is_touched(const char *const *fields, const char *key)
{
	for (; *fields; fields++) {
		const char *single = single_field(*fields);

		if (single && !strcmp(single, key))
			return true;
	}
	return false;
}

int labels_merge(const char *const *old, const char *const *pairs,
		 const char *const *fields, char ***ret,
		 struct shale_error *err)
{
	auto_labels given = NULL;
	auto_free const char **merged = NULL;
	bool is_all = !fields;
	size_t n = 0;
	int r = labels_new(pairs, &given, err);

	if (r < 0)
		return r;
	for (const char *const *f = fields; f && *f; f++) {
		if (!strcmp(*f, "labels"))
			is_all = true;
		else if (!single_field(*f))
			return error_fail(err, EINVAL,
					  "field '%s' can't be changed", *f);
	}
	if (is_all) {
		*ret = take_ptr(&given);
		return 0;
	}
	merged = calloc(count_of(old) + count_of((const char **)given) + 1,
			sizeof(*merged));
	if (!merged)
		return error_fail(err, ENOMEM, "merge labels: out of memory");
	for (; *old; old += 2) {
		if (is_touched(fields, old[0]))
			continue;
		merged[n++] = old[0];
		merged[n++] = old[1];
	}
	for (char **p = given; *p; p += 2) {
		if (!is_touched(fields, p[0]))
			continue;
		merged[n++] = p[0];
		merged[n++] = p[1];
	}
	return labels_new(merged, ret, err);
}

static int from_json(const char *text, size_t len, char ***ret)
{
	auto_json json = NULL;
	auto_free const char **pairs = NULL;
	int r = json_parse(text, len, "labels", &json, NULL);

	if (r < 0)
		return r == -EBADMSG ? -EUCLEAN : r;
	if (json->type != JSON_OBJECT)
		return -EUCLEAN;
	pairs = calloc(2 * json->count + 1, sizeof(*pairs));
	if (!pairs)
		return -ENOMEM;
	for (size_t i = 0; i < json->count; i++) {
		pairs[2 * i] = json->keys[i];
		pairs[2 * i + 1] = json_string(json->items[i]);
		if (!pairs[2 * i + 1])
			return -EUCLEAN;
	}
	return copy_sorted(pairs, ret);
}

static int load_file(int dir_fd, const char *name, char ***ret)
{
	/* Each byte may need six in JSON, and each pair six more. */
	const size_t room = 12 * LABELS_SIZE_MAX;
	auto_fd fd = openat(dir_fd, name,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	auto_free char *text = malloc(room);
	size_t len = 0;

	if (fd < 0)
		return -errno;
	if (!text)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(fd, text + len, room - len);

		if (n < 0)
			return -errno;
		if (n == 0)
			return from_json(text, len, ret);
		len += (size_t)n;
		if (len == room)
			return -EUCLEAN;
	}
}

static int load_once(int dir_fd, const char *name, char ***ret,
		     struct stat *ret_st)
{
	static const char *const none[] = { NULL };
	char text[FS_LINK_SIZE];
	int r;

	*ret_st = (struct stat){ 0 };
	if (fstatat(dir_fd, name, ret_st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? copy_sorted(none, ret) : -errno;
	if (S_ISREG(ret_st->st_mode))
		return load_file(dir_fd, name, ret);
	if (!S_ISLNK(ret_st->st_mode))
		return -EUCLEAN;
	r = fs_read_link(dir_fd, name, text);
	if (r == -ENAMETOOLONG)
		return -EUCLEAN;
	return r < 0 ? r : from_json(text, (size_t)r, ret);
}

int labels_load(int dir_fd, const char *name, char ***ret, struct stat *ret_st)
{
	int r;

	/* An update may turn a link into a file between two of our calls. */
	for (int try = 0; try < LOAD_TRIES; try++) {
		r = load_once(dir_fd, name, ret, ret_st);
		if (r != -ENOENT && r != -EINVAL && r != -ELOOP)
			break;
	}
	return r;
}

static int store_file(int dir_fd, const char *name, const char *text)
{
	auto_fd fd = openat(
		dir_fd, name,
		O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t left = strlen(text);

	if (fd < 0 || fchmod(fd, 0600) < 0)
		return -errno;
	while (left) {
		ssize_t n = write(fd, text, left);

		if (n < 0)
			return -errno;
		text += n;
		left -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int labels_store(int dir_fd, const char *name, const char *const *labels)
{
	auto_free char *text = NULL;
	int r;

	if (!*labels)
		return 0;
	r = json_write_strings(labels, &text);
	if (r < 0)
		return r;
	if (strlen(text) >= FS_LINK_SIZE)
		return store_file(dir_fd, name, text);
	return symlinkat(text, dir_fd, name) < 0 ? -errno : 0;
}
