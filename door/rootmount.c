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
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "rundir.h"
#include "scope.h"
#include "target.h"
#include "text.h"

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
	out = text_escape_lower(stpcpy(lowerdir, "lowerdir="), source);
	(void)stpcpy(stpcpy(out, ":"), empty);
	return lowerdir;
}

/* What a bind has, and an overlay without upper has by itself or not at all. */
static bool is_of_bind(const char *option)
{
	return !strcmp(option, "ro") || !strcmp(option, "rbind");
}

/* The options of @bind behind those that make it an overlay; to be freed. */
static const char **sealed_options(const struct shale_mount_spec *bind,
				   const char *lowerdir)
{
	const char *const first[] = { lowerdir, "index=off",
				      "redirect_dir=nofollow", "metacopy=off" };
	size_t n = sizeof(first) / sizeof(*first), count = 0;
	const char **options;

	while (bind->options[count])
		count++;
	options = calloc(n + count + 1, sizeof(*options));
	if (!options)
		return NULL;
	memcpy(options, first, sizeof(first));
	for (size_t i = 0; i < count; i++)
		if (!is_of_bind(bind->options[i]))
			options[n++] = bind->options[i];
	return options;
}

/* An overlay, with the label of the container where the host has SELinux. */
static int mount_overlay(struct emission *e,
			 const struct shale_mount_spec *spec)
{
	auto_free const char **options = NULL;
	auto_free char *context = NULL;
	struct shale_mount_spec labelled = *spec;
	int r = 0;

	if (e->label && e->has_selinux)
		r = add_context(spec, e->label, &context, &options, e->err);
	if (r < 0)
		return r;
	if (options)
		labelled.options = options;
	return shale_mount_detached(&labelled, &e->fd, e->err);
}

/*
 * A read-only bind is read-only as long as the container leaves it so: whoever
 * has CAP_SYS_ADMIN in there remounts it and writes into the layer.  Below an
 * overlay without upper nothing can be written.  It wants two layers: the
 * other one is empty.  A directory for this call alone would be left by who is
 * killed.
 */
static int mount_sealed(struct emission *e, const struct shale_mount_spec *bind)
{
	char empty[PATH_MAX];
	auto_free char *lowerdir = NULL;
	auto_free const char **options = NULL;
	struct shale_mount_spec spec = {
		.size = sizeof(spec),
		.type = "overlay",
		.source = "overlay",
	};
	int r = empty_dir(empty, e->err);

	if (r < 0)
		return r;
	lowerdir = sealed_layers(bind->source, empty);
	if (lowerdir)
		options = sealed_options(bind, lowerdir);
	if (!options)
		return error_fail(e->err, ENOMEM, "out of memory");
	spec.options = options;
	return mount_overlay(e, &spec);
}

static int mount_spec(struct emission *e, const struct shale_mount_spec *spec)
{
	const bool is_bind = !strcmp(spec->type, "bind");
	int r = e->label ? check_context(spec, e->label, e->err) : 0;

	if (r < 0)
		return r;
	if (is_bind && e->is_view)
		return mount_sealed(e, spec);
	/* A bind mount shows the labels that the files have. */
	return is_bind ? shale_mount_detached(spec, &e->fd, e->err)
		       : mount_overlay(e, spec);
}

/* A callback stops with a positive number; the sentence is in @err. */
static int on_mount(void *ctx, const struct shale_mount_spec *spec)
{
	int r = mount_spec(ctx, spec);

	return r < 0 ? -r : 0;
}

/* The calls that every door needs, where the command needs none of them. */
static int check_kernel(struct shale_error *err)
{
	int r = target_check(err);

	if (r < 0 || move_mount(-1, "", -1, "", 0) == 0 || errno != ENOSYS)
		return r;
	return error_fail(
		err, ENOTSUP,
		"no move_mount(2) here (Linux 5.2), which alone puts a mount in its place: use 'shale mount KEY DIR' before the runtime");
}

int rootmount_make(struct shale_store *store, const char *key,
		   const char *label, bool is_view, int *ret_fd,
		   struct shale_error *err)
{
	struct emission e = { label, has_selinux(), is_view, -1, err };
	int r = check_kernel(err);

	if (r == 0)
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
