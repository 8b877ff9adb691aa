/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The classic engine: libmount, never handed more than it can carry, and
 * mount(2) itself for what mount(2) carries and libmount does not.
 *
 * mount(2) takes one page, 4095 bytes, and cuts the rest off without a word.
 * libmount from 2.39 on sets options one by one with fsconfig(2), 255 bytes a
 * value; and it splits at commas that a '\' or '"' is near to.
 */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "error.h"
#include "fs.h"
#include "libmount.h"
#include "scope.h"

#define DATA_MAX 4095
#define FSCONFIG_VALUE_MAX 255
#define LIBMOUNT_FSCONFIG 2390

struct libmnt_job {
	const char *source, *target, *type, *data;
	unsigned long flags;
};

static int fail_mount(const struct libmnt_job *job, int code,
		      struct shale_error *err)
{
	return error_errno(err, code, "mount %s%s",
			   job->type ? job->type : job->source,
			   mount_hint(code));
}

static int mount_context(const struct libmount *lib, struct libmnt_context *cxt,
			 const struct libmnt_job *job, struct shale_error *err)
{
	int r, code;

	/* The caller's rights are the kernel's to judge; nothing is noted. */
	lib->mnt_context_force_unrestricted(cxt);
	lib->mnt_context_disable_canonicalize(cxt, 1);
	lib->mnt_context_disable_helpers(cxt, 1);
	lib->mnt_context_disable_mtab(cxt, 1);
	lib->mnt_context_disable_swapmatch(cxt, 1);
	r = lib->mnt_context_set_source(cxt, job->source);
	if (r == 0)
		r = lib->mnt_context_set_target(cxt, job->target);
	if (r == 0 && job->type)
		r = lib->mnt_context_set_fstype(cxt, job->type);
	if (r == 0 && job->data)
		r = lib->mnt_context_set_options(cxt, job->data);
	if (r == 0)
		r = lib->mnt_context_set_mflags(cxt, job->flags);
	if (r < 0)
		return error_errno(err, -r, "set up a mount of %s",
				   job->source);
	r = lib->mnt_context_mount(cxt);
	if (r == 0)
		return 0;
	code = lib->mnt_context_get_syscall_errno(cxt);
	if (!code)
		code = r < 0 ? -r : EIO;
	return fail_mount(job, code, err);
}

static int mount_by_libmount(const struct libmount *lib,
			     const struct libmnt_job *job,
			     struct shale_error *err)
{
	struct libmnt_context *cxt = lib->mnt_new_context();
	int r;

	if (!cxt)
		return error_errno(err, ENOMEM, "mount %s", job->source);
	r = mount_context(lib, cxt, job, err);
	lib->mnt_free_context(cxt);
	return r;
}

static int mount_by_syscall(const struct libmnt_job *job,
			    struct shale_error *err)
{
	if (mount(job->source, job->target, job->type, job->flags, job->data) <
	    0)
		return fail_mount(job, errno, err);
	return 0;
}

static bool libmount_carries(const struct libmount *lib, const char *data)
{
	if (strpbrk(data, "\\\""))
		return false;
	if (lib->mnt_get_library_version(NULL) < LIBMOUNT_FSCONFIG)
		return true;
	while (*data) {
		size_t key = strcspn(data, "=,"), len = strcspn(data, ",");

		if (len > key + 1 + FSCONFIG_VALUE_MAX)
			return false;
		data += len + (data[len] == ',');
	}
	return true;
}

/* @escaped has what overlayfs wants a '\' before, in a path. */
static void put_path(FILE *out, const char *path, const char *escaped)
{
	for (; *path; path++) {
		if (strchr(escaped, *path))
			(void)fputc('\\', out);
		(void)fputc(*path, out);
	}
}

/* Quotes are read by the security modules, for their own options alone. */
static int put_option(FILE *out, const struct spec_option *option,
		      struct shale_error *err)
{
	const char *quote = "";

	if (!option->value) {
		(void)fprintf(out, ",%s", option->key);
		return 0;
	}
	if (strpbrk(option->value, "\\\"") ||
	    (strchr(option->value, ',') && !spec_is_context(option->key)))
		return error_fail(
			err, E2BIG,
			"%s '%s' has a character that mount(2) splits",
			option->key, option->value);
	if (strchr(option->value, ','))
		quote = "\"";
	(void)fprintf(out, ",%s=%s%s%s", option->key, quote, option->value,
		      quote);
	return 0;
}

static int put_options(FILE *out, const struct spec *spec,
		       const struct mount_names *names, struct shale_error *err)
{
	int r = 0;

	for (size_t i = 0; i < spec->lower_count; i++) {
		(void)fputs(i ? ":" : "lowerdir=", out);
		put_path(out, names->lowers[i], "\\:,");
	}
	if (names->upper) {
		(void)fputs(",upperdir=", out);
		put_path(out, names->upper, "\\,");
	}
	if (names->work) {
		(void)fputs(",workdir=", out);
		put_path(out, names->work, "\\,");
	}
	for (size_t i = 0; r == 0 && i < spec->rest_count; i++)
		r = put_option(out, &spec->rest[i], err);
	return r;
}

int mount_classic_data(const struct spec *spec, const struct mount_names *names,
		       char **ret, struct shale_error *err)
{
	auto_free char *data = NULL;
	size_t len;
	FILE *out = open_memstream(&data, &len);
	int r;

	if (!out)
		return error_errno(err, ENOMEM, "write mount options");
	r = put_options(out, spec, names, err);
	if (fclose(out) != 0)
		return error_errno(err, ENOMEM, "write mount options");
	if (r < 0)
		return r;
	if (len > DATA_MAX)
		return error_fail(
			err, E2BIG,
			"mount options of %zu bytes are longer than %d", len,
			DATA_MAX);
	*ret = take_ptr(&data);
	return 0;
}

struct overlay_job {
	const struct spec *spec;
	const char *target;
};

static int mount_overlay(void *ctx, const struct mount_names *names,
			 struct shale_error *err)
{
	const struct overlay_job *overlay = ctx;
	const struct spec *spec = overlay->spec;
	const struct libmount *lib;
	auto_free char *data = NULL;
	struct libmnt_job job = { .source = spec->source,
				  .target = overlay->target,
				  .type = "overlay",
				  .flags = mount_classic_flags(spec) };
	int r = mount_classic_data(spec, names, &data, err);

	if (r == 0)
		r = libmount_load(&lib, err);
	if (r < 0)
		return r;
	job.data = data;
	/* libmount translates contexts, and drops them without SELinux. */
	return !spec_has_context(spec) && libmount_carries(lib, data)
		       ? mount_by_libmount(lib, &job, err)
		       : mount_by_syscall(&job, err);
}

static int mount_bind(const struct spec *spec, const char *target,
		      struct shale_error *err)
{
	const struct libmnt_job job = {
		.source = spec->source,
		.target = target,
		/* Others wait: the kernel ignores them in one call. */
		.flags = MS_BIND | (spec->is_recursive ? MS_REC : 0),
	};
	const struct libmount *lib;
	int r = libmount_load(&lib, err);

	return r < 0 ? r : mount_by_libmount(lib, &job, err);
}

/* By descriptor: a path would be looked up from another directory. */
static int mount_on(const struct spec *spec, int target_fd,
		    struct shale_error *err)
{
	char path[FS_FD_PATH_SIZE];
	struct overlay_job overlay = { spec, path };

	fs_fd_path(target_fd, path);
	if (spec->kind == SPEC_BIND)
		return mount_bind(spec, path, err);
	return mount_with_names(spec, mount_overlay, &overlay, err);
}

/*
 * Opens what was mounted over @target_fd.  If @target shows another mount, it
 * was renamed or covered since, and that mount is not ours to touch.
 */
static int open_new(const char *target, int target_fd, int *ret_fd,
		    struct shale_error *err)
{
	uint64_t before, parent;
	auto_fd fd = -1;
	int r = mount_open_dir(target, "target", &fd, err);

	if (r == 0)
		r = mount_id(target_fd, &before, err);
	if (r == 0)
		r = mount_parent_id(fd, &parent, err);
	if (r < 0)
		return r;
	if (parent != before)
		return error_fail(err, ESTALE,
				  "mounted, but '%s' shows something else",
				  target);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int finish(const struct spec *spec, int fd, struct shale_error *err)
{
	int r = 0;

	if (spec->kind == SPEC_BIND)
		r = mount_set_flags(fd, spec, err);
	else
		r = mount_verify_layers(fd, spec, err);
	if (r == 0)
		r = mount_set_private(fd, err);
	if (r == 0)
		r = mount_verify_mode(fd, spec, err);
	return r;
}

/* Without a descriptor for the new mount there is the one that it covers:
 * through that, umount2 takes the top one.
 */
static void undo_unseen(int target_fd)
{
	char path[FS_FD_PATH_SIZE];

	fs_fd_path(target_fd, path);
	(void)umount2(path, MNT_DETACH);
}

static int libmount_attach(const struct spec *spec, const char *target,
			   int target_fd, int *ret_fd, struct shale_error *err)
{
	auto_fd fd = -1;
	int r = mount_on(spec, target_fd, err);

	if (r < 0)
		return r;
	r = open_new(target, target_fd, &fd, err);
	if (r < 0 && r != -ESTALE)
		undo_unseen(target_fd);
	if (r < 0)
		return r;
	r = finish(spec, fd, err);
	if (r < 0) {
		mount_undo(fd);
		return r;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

struct detached_job {
	const struct spec *spec;
	struct shale_error *err;
	int fd;
};

static int make_and_clone(void *ctx)
{
	struct detached_job *job = ctx;
	const struct spec *spec = job->spec;
	/* Some directory that is there: nobody else will see it covered. */
	const char *target = spec->kind == SPEC_BIND ? spec->source
						     : spec->lowers[0];
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
	auto_fd target_fd = -1;
	auto_fd fd = -1;
	int r = mount_open_dir(target, "layer", &target_fd, job->err);

	if (r == 0)
		r = libmount_attach(spec, target, target_fd, &fd, job->err);
	if (r < 0)
		return r;
	if (spec->is_recursive)
		flags |= AT_RECURSIVE;
	job->fd = open_tree(fd, "", flags);
	if (job->fd < 0 && errno == ENOSYS)
		return error_fail(
			job->err, ENOSYS,
			"no open_tree(2) here, which a mount without a place needs (Linux 5.2)");
	if (job->fd < 0)
		return error_errno(job->err, errno, "detach the mount");
	return 0;
}

static int libmount_detached(const struct spec *spec, int *ret_fd,
			     struct shale_error *err)
{
	struct detached_job job = { spec, err, -1 };
	int r = mount_apart(make_and_clone, &job, err);

	if (r < 0)
		return r;
	*ret_fd = job.fd;
	return 0;
}

const struct mount_engine mount_libmount = {
	.name = "libmount",
	.attach = libmount_attach,
	.detached = libmount_detached,
};
