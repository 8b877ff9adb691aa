/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engine on the new mount API: any path, 500 layers, no escaping of
 * layers, and detached until it is complete.  Needs lowerdir+ (Linux 6.8; some
 * 6.7).
 */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "scope.h"

/* fsconfig(2): 256 with the NUL; more is a bare EINVAL. */
#define VALUE_MAX 255

/* The kernel's own words on what went wrong, "" where it has none. */
static void read_log(int fs_fd, char *ret, size_t size)
{
	char line[256];
	size_t used = 0;
	ssize_t n;

	ret[0] = '\0';
	/* One message a read, "e overlay: ..." an error; ENODATA at the end. */
	while ((n = read(fs_fd, line, sizeof(line) - 1)) > 0) {
		if (n < 3 || line[0] != 'e')
			continue;
		if (line[n - 1] == '\n')
			n--;
		line[n] = '\0';
		used += (size_t)snprintf(ret + used, size - used, "%s%s",
					 used ? "; " : " (", line + 2);
		if (used >= size - 1)
			return;
	}
	if (used)
		(void)snprintf(ret + used, size - used, ")");
}

static int fail_fs(int fs_fd, int code, const char *what, const char *value,
		   struct shale_error *err)
{
	char log[512];

	read_log(fs_fd, log, sizeof(log));
	return error_errno(err, code, "%s%s%s%s%s", what, value ? " '" : "",
			   value ? value : "", value ? "'" : "",
			   *log ? log : mount_hint(code));
}

static int set_string(int fs_fd, const char *key, const char *value,
		      struct shale_error *err)
{
	if (fsconfig(fs_fd, FSCONFIG_SET_STRING, key, value, 0) < 0)
		return fail_fs(fs_fd, errno, key, value, err);
	return 0;
}

static int set_option(int fs_fd, const struct spec_option *option,
		      struct shale_error *err)
{
	if (option->value)
		return set_string(fs_fd, option->key, option->value, err);
	if (fsconfig(fs_fd, FSCONFIG_SET_FLAG, option->key, NULL, 0) < 0)
		return fail_fs(fs_fd, errno, option->key, NULL, err);
	return 0;
}

/* Characters of @value as mountinfo shows it. */
static size_t shown_length(const char *value)
{
	size_t n = 0;

	for (; *value; value++)
		switch (*value) {
		case ' ':
		case '\t':
		case '\n':
		case '\\':
		case ',':
			n += 4;
			break;
		default:
			n++;
		}
	return n;
}

static int check_value(const char *key, const char *value, size_t extra,
		       size_t *total, struct shale_error *err)
{
	if (strlen(value) + extra > VALUE_MAX)
		return error_fail(err, E2BIG, "%s '%s' is longer than %d bytes",
				  key, value, VALUE_MAX);
	*total += strlen(key) + shown_length(value) + extra + 2;
	return 0;
}

static size_t count_backslashes(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += *path == '\\';
	return n;
}

static const char *source_of(const struct spec *spec,
			     const struct mount_names *names)
{
	return names->base ? names->base->path : spec->source;
}

/* -E2BIG where fsconfig(2) or a reader of mountinfo can't take it. */
static int check_lengths(const struct spec *spec,
			 const struct mount_names *names,
			 struct shale_error *err)
{
	size_t total = 0;
	int r = check_value("source", source_of(spec, names), 0, &total, err);

	for (size_t i = 0; r == 0 && i < spec->lower_count; i++)
		r = check_value("lowerdir+", names->lowers[i], 0, &total, err);
	if (r == 0 && names->upper)
		r = check_value("upperdir", names->upper,
				count_backslashes(names->upper), &total, err);
	if (r == 0 && names->work)
		r = check_value("workdir", names->work,
				count_backslashes(names->work), &total, err);
	for (size_t i = 0; r == 0 && i < spec->rest_count; i++)
		r = check_value(spec->rest[i].key,
				spec->rest[i].value ? spec->rest[i].value : "",
				0, &total, err);
	if (r == 0 && total > MOUNT_OPTIONS_MAX)
		return error_fail(err, E2BIG,
				  "options are longer than %d bytes",
				  MOUNT_OPTIONS_MAX);
	return r;
}

/* overlayfs unescapes these two, and only these, in a string. */
static int set_escaped(int fs_fd, const char *key, const char *path,
		       struct shale_error *err)
{
	char value[VALUE_MAX + 1];
	char *out = value;

	for (; *path; path++) {
		if (*path == '\\')
			*out++ = '\\';
		*out++ = *path;
	}
	*out = '\0';
	return set_string(fs_fd, key, value, err);
}

/* In the base's mount alone, whatever links are on the way. */
static int set_by_fd(int fs_fd, const char *key, int base_fd, const char *path,
		     struct shale_error *err)
{
	auto_fd fd = fs_open_in_root(base_fd, path, O_PATH | O_DIRECTORY,
				     RESOLVE_BENEATH | RESOLVE_NO_XDEV);

	if (fd < 0)
		return error_errno(err, -fd, "%s '%s'", key, path);
	if (fsconfig(fs_fd, FSCONFIG_SET_FD, key, NULL, fd) < 0)
		return fail_fs(fs_fd, errno, key, path, err);
	return 0;
}

static int set_lower(int fs_fd, const struct mount_names *names, size_t i,
		     struct shale_error *err)
{
	const char *key = "lowerdir+", *path = names->lowers[i];

	return names->base ? set_by_fd(fs_fd, key, names->base->fd, path, err)
			   : set_string(fs_fd, key, path, err);
}

static int set_upper(int fs_fd, const struct mount_names *names,
		     const char *key, const char *path, struct shale_error *err)
{
	return names->base ? set_by_fd(fs_fd, key, names->base->fd, path, err)
			   : set_escaped(fs_fd, key, path, err);
}

static int configure(int fs_fd, const struct spec *spec,
		     const struct mount_names *names, struct shale_error *err)
{
	static const struct spec_option ro = { (char *)"ro", NULL };
	int r = set_string(fs_fd, "source", source_of(spec, names), err);

	if (r == 0 && spec->is_read_only)
		r = set_option(fs_fd, &ro, err);
	for (size_t i = 0; r == 0 && i < spec->lower_count; i++)
		r = set_lower(fs_fd, names, i, err);
	if (r == 0 && names->upper)
		r = set_upper(fs_fd, names, "upperdir", names->upper, err);
	if (r == 0 && names->work)
		r = set_upper(fs_fd, names, "workdir", names->work, err);
	for (size_t i = 0; r == 0 && i < spec->rest_count; i++)
		r = set_option(fs_fd, &spec->rest[i], err);
	return r;
}

struct creation {
	const struct spec *spec;
	int fd;
};

static int create_overlay(void *ctx, const struct mount_names *names,
			  struct shale_error *err)
{
	struct creation *creation = ctx;
	const struct spec *spec = creation->spec;
	uint64_t attrs = spec->attr_set;
	auto_fd fs_fd = -1;
	int r = check_lengths(spec, names, err);

	if (r < 0)
		return r;
	fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs_fd < 0)
		return error_errno(err, errno, "open an overlay context");
	r = configure(fs_fd, spec, names, err);
	if (r < 0)
		return r;
	if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_fs(fs_fd, errno, "create the overlay", NULL, err);
	if (spec->is_read_only)
		attrs |= MOUNT_ATTR_RDONLY;
	creation->fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, (unsigned)attrs);
	if (creation->fd < 0)
		return fail_fs(fs_fd, errno, "mount the overlay", NULL, err);
	return 0;
}

static int clone_bind(const struct spec *spec, int *ret_fd,
		      struct shale_error *err)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	auto_fd fd = -1;
	int r = mount_check_setattr(err);

	if (r < 0)
		return r;
	if (spec->is_recursive)
		flags |= AT_RECURSIVE;
	fd = open_tree(AT_FDCWD, spec->source, flags);
	if (fd < 0)
		return error_errno(err, errno, "clone '%s'", spec->source);
	r = mount_set_flags(fd, spec, err);
	if (r == 0) /* it has the peers of what it was cloned from */
		r = mount_set_private(fd, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static int fsmount_detached(const struct spec *spec, int *ret_fd,
			    struct shale_error *err)
{
	struct creation creation = { spec, -1 };
	auto_fd fd = -1;
	int r;

	if (spec->kind == SPEC_BIND) {
		r = clone_bind(spec, &fd, err);
	} else {
		r = mount_with_names(spec, create_overlay, &creation, err);
		fd = creation.fd;
	}
	if (r == 0)
		r = mount_verify_mode(fd, spec, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

int mount_fsmount_below(const struct spec *spec, const struct mount_base *base,
			int *ret_fd, struct shale_error *err)
{
	struct creation creation = { spec, -1 };
	struct mount_names names = { .base = base };
	auto_free const char **lowers =
		calloc(spec->lower_count, sizeof(*lowers));
	auto_fd fd = -1;
	int r;

	if (!lowers)
		return error_errno(err, ENOMEM, "name the layers");
	for (size_t i = 0; i < spec->lower_count; i++)
		lowers[i] = mount_name_below(spec->lowers[i], base->path);
	names.lowers = lowers;
	if (spec->upper) {
		names.upper = mount_name_below(spec->upper, base->path);
		names.work = mount_name_below(spec->work, base->path);
	}
	r = create_overlay(&creation, &names, err);
	fd = creation.fd;
	if (r == 0)
		r = mount_verify_mode(fd, spec, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

/* Asked first, so that nothing was tried when the other engine begins. */
static int check_move_mount(struct shale_error *err)
{
	if (syscall(SYS_move_mount, -1, "", -1, "", 0) == 0 || errno != ENOSYS)
		return 0;
	return error_fail(err, ENOSYS, "no move_mount(2) here (Linux 5.2)");
}

static int fsmount_attach(const struct spec *spec, const char *target,
			  int target_fd, int *ret_fd, struct shale_error *err)
{
	auto_fd fd = -1;
	int r = check_move_mount(err);

	if (r == 0)
		r = fsmount_detached(spec, &fd, err);
	if (r < 0)
		return r;
	r = mount_move(fd, target_fd, target, err);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

const struct mount_engine mount_fsmount = {
	.name = "fsmount",
	.attach = fsmount_attach,
	.detached = fsmount_detached,
};

bool mount_fsmount_is_here(void)
{
	static atomic_int known; /* 0 not yet, 1 yes, -1 no */
	int answer = atomic_load(&known);
	auto_fd fs_fd = -1;

	if (answer)
		return answer > 0;
	fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);
	/* Without privilege now is no answer for later. */
	if (fs_fd < 0 && errno != ENOSYS)
		return false;
	/* Any directory will do: an older kernel does not know the key. */
	if (fs_fd >= 0 &&
	    fsconfig(fs_fd, FSCONFIG_SET_STRING, "lowerdir+", "/", 0) == 0)
		answer = 1;
	else if (errno == EINVAL || errno == ENOSYS)
		answer = -1;
	else
		return false;
	atomic_store(&known, answer);
	return answer > 0;
}
