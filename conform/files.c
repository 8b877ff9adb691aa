/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mounting what a snapshotter gives, and looking at the files: see trial.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scope.h"
#include "trial.h"

/* ---- the operation mounts ---- */

static int tell_mount(void *ctx, const struct shale_mount_spec *mount)
{
	struct mount_told *told = ctx;
	size_t n = 0;

	if (told->calls++)
		return 0;
	told->size = mount->size;
	told->flags = mount->flags;
	told->type = text_new("%s", mount->type ? mount->type : "NULL");
	told->source = text_new("%s", mount->source ? mount->source : "NULL");
	while (mount->options && mount->options[n])
		n++;
	told->options = calloc(n + 1, sizeof(*told->options));
	for (size_t i = 0; told->options && i < n; i++)
		told->options[i] = text_new("%s", mount->options[i]);
	if (!told->options)
		abort();
	return 0;
}

int mounts(struct trial *t, const char *key, struct mount_told *ret)
{
	*ret = (struct mount_told){ .calls = 0 };
	return t->ops->mounts(t->self, key, tell_mount, ret, fresh(t));
}

const char *value_of(const struct mount_told *mount, const char *key)
{
	for (char **option = mount->options; *option; option++)
		if (!strncmp(*option, key, strlen(key)))
			return *option + strlen(key);
	return NULL;
}

bool has_option(const struct mount_told *mount, const char *key)
{
	for (char **option = mount->options; *option; option++)
		if (!strcmp(*option, key))
			return true;
	return false;
}

/* ---- real mounts ---- */

static char *place_of(struct trial *t, const char *key)
{
	return text_new("%s/on %s", t->dir, key);
}

struct mounting {
	const char *target;
	struct shale_error *err;
	int r;
};

static int mount_here(void *ctx, const struct shale_mount_spec *spec)
{
	struct mounting *m = ctx;

	m->r = shale_mount(spec, m->target, m->err);
	return 0;
}

int mount_key(struct trial *t, const char *key)
{
	struct shale_error err = SHALE_ERROR_INIT;
	struct mounting m = { .target = place_of(t, key), .err = &err, .r = 1 };
	int fd, r;

	if (mkdirat(AT_FDCWD, m.target, 0755) < 0 && errno != EEXIST) {
		(void)trial_errno(t, "create a mount point");
		return -1;
	}
	r = t->ops->mounts(t->self, key, mount_here, &m, fresh(t));
	if (!trial_ok(t, r, "mounts"))
		return -1;
	if (m.r != 0) {
		(void)trial_fail(t, "mount '%s': %s", key,
				 m.r > 0 ? "mounts gave none" : err.msg);
		return -1;
	}
	fd = open(m.target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		(void)trial_errno(t, "open a mount");
	return fd;
}

bool unmount_key(struct trial *t, const char *key, int fd)
{
	(void)close(fd);
	return trial_ok(t, shale_unmount(place_of(t, key), fresh(t)), "umount");
}

bool layer_with(struct trial *t, const char *name, const char *parent,
		bool (*fill)(struct trial *t, int fd))
{
	const char *key = text_new("making %s", name);
	int fd;

	if (!trial_ok(t, prepare(t, key, parent), "prepare"))
		return false;
	fd = mount_key(t, key);
	return fd >= 0 && fill(t, fd) && unmount_key(t, key, fd) &&
	       trial_ok(t, commit(t, name, key), "commit");
}

bool look_into(struct trial *t, const char *name,
	       bool (*look)(struct trial *t, int fd))
{
	const char *key = text_new("looking at %s", name);
	int fd;

	if (!trial_ok(t, view(t, key, name), "view"))
		return false;
	fd = mount_key(t, key);
	return fd >= 0 && look(t, fd) && unmount_key(t, key, fd) &&
	       trial_ok(t, remove_key(t, key), "remove");
}

/* ---- files ---- */

bool put(struct trial *t, int fd, const char *path, const char *text)
{
	auto_fd file = openat(fd, path,
			      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (file < 0 ||
	    write(file, text, strlen(text)) != (ssize_t)strlen(text))
		return trial_fail(t, "write '%s': %s", path, strerror(errno));
	return true;
}

/* Bytes that no file system compresses away, and on disk when it returns. */
bool put_bytes(struct trial *t, int fd, const char *path, size_t size)
{
	auto_fd file = openat(fd, path,
			      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	uint64_t block[512], x = 88172645463325252u;

	if (file < 0)
		return trial_fail(t, "create '%s': %s", path, strerror(errno));
	for (size_t done = 0; done < size; done += sizeof(block)) {
		for (size_t i = 0; i < 512; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			block[i] = x;
		}
		if (write(file, block, sizeof(block)) != (ssize_t)sizeof(block))
			return trial_fail(t, "write '%s': %s", path,
					  strerror(errno));
	}
	return fsync(file) == 0 || trial_errno(t, "fsync");
}

bool put_dir(struct trial *t, int fd, const char *path)
{
	return mkdirat(fd, path, 0755) == 0 ||
	       trial_fail(t, "mkdir '%s': %s", path, strerror(errno));
}

bool has_text(struct trial *t, int fd, const char *path, const char *text)
{
	auto_fd file = openat(fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char got[256];
	ssize_t n = file < 0 ? -1 : read(file, got, sizeof(got) - 1);

	if (n < 0)
		return trial_fail(t, "read '%s': %s", path, strerror(errno));
	got[n] = '\0';
	return !strcmp(got, text) ||
	       trial_fail(t, "'%s' holds '%s', not '%s'", path, got, text);
}

bool has_not(struct trial *t, int fd, const char *path)
{
	struct stat st;

	return (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
		errno == ENOENT) ||
	       trial_fail(t, "'%s' is there", path);
}
