/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mount of a key as a container's root: see rootmount.h.
 */
#include "rootmount.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "rundir.h"
#include "scope.h"

struct emission {
	const char *label; /* linux.mountLabel; NULL for none */
	bool has_selinux, is_view;
	int fd;
	struct shale_error *err;
};

static bool has_selinux(void)
{
	struct stat st;

	return stat("/sys/fs/selinux/enforce", &st) == 0;
}

/* The context that the spec has already, and its length without quotes. */
static const char *context_of(const struct shale_mount_spec *spec,
			      size_t *ret_len)
{
	static const char key[] = "context=";

	for (const char *const *option = spec->options; *option; option++) {
		const char *value = *option + sizeof(key) - 1;

		if (strncmp(*option, key, sizeof(key) - 1) != 0)
			continue;
		value += *value == '"';
		*ret_len = strcspn(value, "\"");
		return value;
	}
	return NULL;
}

/* Who prepared the snapshot and who starts the container must mean the same. */
static int check_context(const struct shale_mount_spec *spec, const char *label,
			 struct shale_error *err)
{
	size_t len;
	const char *context = context_of(spec, &len);

	if (!context || (strlen(label) == len && !strncmp(context, label, len)))
		return 0;
	return error_fail(
		err, EINVAL,
		"the snapshot has the context '%.*s' and the container linux.mountLabel '%s': give it one of them",
		(int)len, context, label);
}

/* Options of the spec, and context= behind them; *@ret_context to be freed. */
static int add_context(const struct shale_mount_spec *spec, const char *label,
		       char **ret_context, const char ***ret,
		       struct shale_error *err)
{
	size_t count = 0, len;
	const char **options;

	if (context_of(spec, &len))
		return 0;
	while (spec->options[count])
		count++;
	options = calloc(count + 2, sizeof(*options));
	if (!options || asprintf(ret_context, "context=%s", label) < 0) {
		free(options);
		return error_fail(err, ENOMEM, "mount: out of memory");
	}
	memcpy(options, spec->options, count * sizeof(*options));
	options[count] = *ret_context;
	*ret = options;
	return 0;
}

/* A directory in which nothing is ever made. */
static int empty_dir(char ret[PATH_MAX], struct shale_error *err)
{
	auto_fd fd = -1;
	auto_dir dir = NULL;
	const struct dirent *entry;
	int r = rundir_open("empty", true, &fd, err);

	if (r == 0)
		r = rundir_path("empty", ret);
	if (r < 0)
		return r;
	dir = fdopendir(fd);
	if (!dir)
		return error_errno(err, errno, "list '%s'", ret);
	(void)take_fd(&fd);
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			return error_fail(
				err, ENOTEMPTY,
				"'%s' is not empty: views would show what is in it",
				ret);
	return 0;
}

/* lowerdir= of a layer and a directory below it; to be freed. */
static char *sealed_layers(const char *source, const char *empty)
{
	char *lowerdir = malloc(sizeof("lowerdir=:") + strlen(empty) +
				2 * strlen(source));
	char *out;

	if (!lowerdir)
		return NULL;
	/* The layer's own root on top: its mode and owner are the view's. */
	out = stpcpy(lowerdir, "lowerdir=");
	for (; *source; source++) {
		if (*source == ':' || *source == '\\')
			*out++ = '\\';
		*out++ = *source;
	}
	(void)stpcpy(stpcpy(out, ":"), empty);
	return lowerdir;
}

static bool is_mapping(const char *option)
{
	return !strncmp(option, "uidmap=", 7) || !strncmp(option, "gidmap=", 7);
}

/*
 * A read-only bind is read-only as long as the container leaves it so: whoever
 * has CAP_SYS_ADMIN in there remounts it and writes into the layer.  Below an
 * overlay without upper nothing can be written.  It wants two layers: the
 * other one is empty.  A directory for this call alone would be left by who is
 * killed.
 */
static int mount_sealed(const struct shale_mount_spec *bind, int *ret_fd,
			struct shale_error *err)
{
	char empty[PATH_MAX];
	auto_free char *lowerdir = NULL;
	/* lowerdir, those, two of a mapping, NULL */
	const char *options[7] = { NULL, "index=off", "redirect_dir=nofollow",
				   "metacopy=off" };
	const struct shale_mount_spec spec = {
		.size = sizeof(spec),
		.type = "overlay",
		.source = "overlay",
		.options = options,
	};
	size_t n = 4;
	int r = empty_dir(empty, err);

	if (r < 0)
		return r;
	lowerdir = sealed_layers(bind->source, empty);
	if (!lowerdir)
		return error_fail(err, ENOMEM, "out of memory");
	options[0] = lowerdir;
	for (size_t i = 0; bind->options[i] && n < 6; i++)
		if (is_mapping(bind->options[i]))
			options[n++] = bind->options[i];
	return shale_mount_detached(&spec, ret_fd, err);
}

static int mount_spec(struct emission *e, const struct shale_mount_spec *spec)
{
	auto_free const char **options = NULL;
	auto_free char *context = NULL;
	struct shale_mount_spec labelled = *spec;
	int r = 0;

	if (e->label)
		r = check_context(spec, e->label, e->err);
	/* A bind mount shows the labels that the files have. */
	if (r == 0 && e->label && e->has_selinux &&
	    !strcmp(spec->type, "overlay"))
		r = add_context(spec, e->label, &context, &options, e->err);
	if (r < 0)
		return r;
	if (options)
		labelled.options = options;
	if (e->is_view && !strcmp(spec->type, "bind"))
		return mount_sealed(spec, &e->fd, e->err);
	return shale_mount_detached(&labelled, &e->fd, e->err);
}

/* A callback stops with a positive number; the sentence is in @err. */
static int on_mount(void *ctx, const struct shale_mount_spec *spec)
{
	int r = mount_spec(ctx, spec);

	return r < 0 ? -r : 0;
}

int rootmount_make(struct shale_store *store, const char *key,
		   const char *label, bool is_view, int *ret_fd,
		   struct shale_error *err)
{
	struct emission e = { label, has_selinux(), is_view, -1, err };
	int r;

	r = shale_mounts(store, key, on_mount, &e, err);
	if (r == 0 && e.fd < 0)
		r = error_fail(err, EPROTO, "the snapshotter gave no mount");
	if (r != 0) {
		if (e.fd >= 0)
			(void)close(e.fd);
		r = r > 0 ? -r : r;
		return error_context(err, r, "mount '%s'", key);
	}
	*ret_fd = e.fd;
	return 0;
}
