/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directories of a spec: that they are there, and names for them that an
 * engine can carry.
 */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "joined.h"
#include "scope.h"

#define SHORT_NAME_SIZE 12

int mount_open_dir(const char *path, const char *what, int *ret_fd,
		   struct shale_error *err)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, errno, "%s '%s'", what, path);
	*ret_fd = fd;
	return 0;
}

static int check_dir(const char *path, const char *what,
		     struct shale_error *err)
{
	auto_fd fd = -1;

	return mount_open_dir(path, what, &fd, err);
}

/* Upper and work on two mounts are a bare EINVAL. */
static int check_upper(const struct spec *spec, struct shale_error *err)
{
	auto_fd upper = -1;
	auto_fd work = -1;
	uint64_t upper_id, work_id;
	int r = mount_open_dir(spec->upper, "upperdir", &upper, err);

	if (r == 0)
		r = mount_open_dir(spec->work, "workdir", &work, err);
	if (r < 0)
		return r;
	if (fs_mnt_id(upper, "", &upper_id) < 0 ||
	    fs_mnt_id(work, "", &work_id) < 0 || upper_id == work_id)
		return 0;
	return error_fail(err, EXDEV,
			  "workdir '%s' is on another mount than upperdir '%s'",
			  spec->work, spec->upper);
}

int mount_check_dirs(const struct spec *spec, struct shale_error *err)
{
	int r;

	if (spec->kind == SPEC_BIND)
		return check_dir(spec->source, "source", err);
	for (size_t i = 0; i < spec->lower_count; i++) {
		r = check_dir(spec->lowers[i], "layer", err);
		if (r < 0)
			return r;
	}
	return spec->upper ? check_upper(spec, err) : 0;
}

/* Length of the longest path that is above @a, or @a, and also of @b. */
static size_t common_length(const char *a, size_t a_len, const char *b)
{
	size_t length = 0, i = 0;

	while (i < a_len && b[i] && a[i] == b[i]) {
		if (a[i] == '/')
			length = i;
		i++;
	}
	if ((i == a_len || a[i] == '/') && (!b[i] || b[i] == '/'))
		length = i;
	return length;
}

char *mount_common_dir(const char *const *paths, size_t count)
{
	size_t length = strlen(paths[0]);

	for (size_t i = 1; i < count; i++)
		length = common_length(paths[0], length, paths[i]);
	return strndup(paths[0], length);
}

const char *mount_name_below(const char *path, const char *dir)
{
	const char *rest = path + strlen(dir);

	rest += strspn(rest, "/");
	return *rest ? rest : ".";
}

struct short_name {
	int fd;
	char text[SHORT_NAME_SIZE];
};

/* Everything that a joined thread needs to try short names. */
struct attempt {
	const struct spec *spec;
	int (*use)(void *ctx, const struct mount_names *names,
		   struct shale_error *err);
	void *ctx;
	struct shale_error *err;
	struct short_name *lowers;
	const char **texts;
	struct short_name upper, work;
};

static int short_open(struct short_name *name, const char *path,
		      const char *what, struct shale_error *err)
{
	int r = mount_open_dir(path, what, &name->fd, err);

	if (r == 0)
		(void)snprintf(name->text, sizeof(name->text), "%d", name->fd);
	return r;
}

static void attempt_close(struct attempt *attempt)
{
	for (size_t i = 0; attempt->lowers && i < attempt->spec->lower_count;
	     i++)
		drop_fd(&attempt->lowers[i].fd);
	drop_fd(&attempt->upper.fd);
	drop_fd(&attempt->work.fd);
	drop_free(&attempt->lowers);
	drop_free(&attempt->texts);
}

static int open_lowers(struct attempt *attempt)
{
	const struct spec *spec = attempt->spec;
	int r = 0;

	attempt->lowers = calloc(spec->lower_count, sizeof(*attempt->lowers));
	for (size_t i = 0; attempt->lowers && i < spec->lower_count; i++)
		attempt->lowers[i].fd = -1;
	if (!attempt->lowers)
		return error_errno(attempt->err, ENOMEM, "name the layers");
	for (size_t i = 0; r == 0 && i < spec->lower_count; i++) {
		r = short_open(&attempt->lowers[i], spec->lowers[i], "layer",
			       attempt->err);
		attempt->texts[i] = attempt->lowers[i].text;
	}
	return r;
}

static int enter_fds(struct shale_error *err)
{
	auto_fd fd =
		open("/proc/thread-self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fchdir(fd) < 0)
		return error_errno(err, errno, "enter '/proc/thread-self/fd'");
	return 0;
}

/* From the directory that all layers are in: for a store half of a path. */
static int use_relative(struct attempt *attempt)
{
	const struct spec *spec = attempt->spec;
	const struct mount_names names = { attempt->texts, spec->upper,
					   spec->work, NULL };
	auto_free char *common = mount_common_dir(
		(const char *const *)spec->lowers, spec->lower_count);
	auto_fd fd = -1;
	int r;

	if (!common)
		return error_errno(attempt->err, ENOMEM, "name the layers");
	for (size_t i = 0; i < spec->lower_count; i++)
		attempt->texts[i] = mount_name_below(spec->lowers[i], common);
	r = mount_open_dir(*common ? common : "/", "layers in", &fd,
			   attempt->err);
	if (r == 0 && fchdir(fd) < 0)
		r = error_errno(attempt->err, errno, "enter '%s'", common);
	return r < 0 ? r : attempt->use(attempt->ctx, &names, attempt->err);
}

/* Short layers; then, where that is not enough, short all. */
static int use_short(struct attempt *attempt)
{
	const struct spec *spec = attempt->spec;
	struct mount_names names = { attempt->texts, spec->upper, spec->work,
				     NULL };
	int r = attempt->use(attempt->ctx, &names, attempt->err);

	if (r != -E2BIG || !spec->upper)
		return r;
	error_clear(attempt->err);
	r = short_open(&attempt->upper, spec->upper, "upperdir", attempt->err);
	if (r == 0)
		r = short_open(&attempt->work, spec->work, "workdir",
			       attempt->err);
	if (r < 0)
		return r;
	names.upper = attempt->upper.text;
	names.work = attempt->work.text;
	return attempt->use(attempt->ctx, &names, attempt->err);
}

static int attempt_run(void *ctx)
{
	struct attempt *attempt = ctx;
	int r;

	attempt->texts =
		calloc(attempt->spec->lower_count, sizeof(*attempt->texts));
	if (!attempt->texts)
		return error_errno(attempt->err, ENOMEM, "name the layers");
	r = use_relative(attempt);
	if (r == -E2BIG) {
		error_clear(attempt->err);
		r = open_lowers(attempt);
		if (r == 0)
			r = enter_fds(attempt->err);
		if (r == 0)
			r = use_short(attempt);
	}
	attempt_close(attempt);
	return r;
}

int mount_with_names(const struct spec *spec,
		     int (*use)(void *ctx, const struct mount_names *names,
				struct shale_error *err),
		     void *ctx, struct shale_error *err)
{
	struct mount_names names = { (const char *const *)spec->lowers,
				     spec->upper, spec->work, NULL };
	struct attempt attempt = { .spec = spec,
				   .use = use,
				   .ctx = ctx,
				   .err = err,
				   .upper.fd = -1,
				   .work.fd = -1 };
	int r = use(ctx, &names, err);

	if (r != -E2BIG)
		return r;
	error_clear(err);
	r = joined_run(attempt_run, &attempt);
	return r < 0 ? error_context(err, r, "with short names") : r;
}
