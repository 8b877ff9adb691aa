/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mounts on the host and their records: see attachment.h.  Whatever is found
 * there was made by us or is refused: the directories belong to the caller
 * and nobody else may write them.
 */
#include "attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "error.h"
#include "fs.h"
#include "json.h"
#include "number.h"
#include "process.h"
#include "runtime.h"

#define RUN_DIR "/run/shale"
#define RECORD_MAX_BYTES 65536
#define LOCK_TRIES 100

/* ---- directories ---- */

/*
 * What is on the way has SHARED, so that a mapped root comes through to what
 * is its own; the container's directory has OWN: nobody else may run what its
 * image has as setuid root.
 */
#define SHARED 0711
#define OWN 0700

static int enter(int parent_fd, const char *name, const char *path, bool create,
		 mode_t mode, int *ret_fd, struct shale_error *err)
{
	auto_fd fd = -1;
	struct stat st;

	if (create && mkdirat(parent_fd, name, mode) < 0 && errno != EEXIST)
		return error_errno(err, errno, "create '%s'", path);
	fd = openat(parent_fd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && !create)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "open '%s'", path);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return error_fail(
			err, EPERM,
			"'%s' belongs to uid %u with mode %o: it should be uid %u's, whom alone it lets write",
			path, (unsigned int)st.st_uid, st.st_mode & 07777,
			(unsigned int)geteuid());
	/* Another door may have made it for itself alone. */
	if (create && mode == SHARED && !(st.st_mode & S_IXOTH) &&
	    fchmod(fd, SHARED) < 0)
		return error_errno(err, errno, "let others search '%s'", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* podman gives its hooks no XDG_RUNTIME_DIR: what it would be by default. */
static void run_path(char ret[PATH_MAX / 4])
{
	const uid_t uid = runtime_caller();

	if (uid == 0)
		(void)snprintf(ret, PATH_MAX / 4, RUN_DIR);
	else
		(void)snprintf(ret, PATH_MAX / 4, "/run/user/%u/shale",
			       (unsigned int)uid);
}

/* The directory of a door, whose path is in @ret_path. */
static int enter_door(const char *door, bool create,
		      char ret_path[PATH_MAX / 3], int *ret_fd,
		      struct shale_error *err)
{
	char run[PATH_MAX / 4];
	auto_fd run_fd = -1;
	int r;

	run_path(run);
	(void)snprintf(ret_path, PATH_MAX / 3, "%s/%s", run, door);
	r = enter(AT_FDCWD, run, run, create, SHARED, &run_fd, err);
	return r < 0 ? r
		     : enter(run_fd, door, ret_path, create, SHARED, ret_fd,
			     err);
}

static bool is_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_.-");

	return len && len <= NAME_MAX && !text[len] && text[0] != '.';
}

/* Opens and locks it; starts again where it was removed meanwhile. */
static int enter_locked(int door_fd, const char *name, const char *path,
			bool create, bool wait, int *ret_fd,
			struct shale_error *err)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		auto_fd fd = -1;
		struct stat held, there;
		int r = enter(door_fd, name, path, create, OWN, &fd, err);

		if (r < 0)
			return r;
		while (flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0) {
			if (errno == EWOULDBLOCK)
				return -EBUSY;
			if (errno != EINTR)
				return error_errno(err, errno, "lock '%s'",
						   path);
		}
		if (fstat(fd, &held) == 0 &&
		    fstatat(door_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		    held.st_ino == there.st_ino) {
			*ret_fd = take_fd(&fd);
			return 0;
		}
	}
	return error_fail(err, EBUSY, "'%s' comes and goes", path);
}

/* ---- the record ---- */

static char *copy(const struct json *json, const char *key)
{
	const char *text = json_string(json_get(json, key));

	return strdup(text ? text : "");
}

static uint64_t number(const struct json *json, const char *key)
{
	const char *text = json_string(json_get(json, key));
	uint64_t value = 0;

	if (text)
		(void)number_parse(text, UINT64_MAX, &value);
	return value;
}

static int record_read(struct attachment *a, struct shale_error *err)
{
	char what[PATH_MAX];
	auto_json json = NULL;
	auto_fd fd = openat(a->dir_fd, "record",
			    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r;

	(void)snprintf(what, sizeof(what), "'%s/record'", a->path);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_errno(err, errno, "open %s", what);
	r = json_read(fd, RECORD_MAX_BYTES, what, &json, err);
	if (r < 0)
		return r;
	a->store = copy(json, "store");
	a->key = copy(json, "key");
	a->boot = copy(json, "boot");
	if (!a->store || !a->key || !a->boot)
		return error_fail(err, ENOMEM, "read %s: out of memory", what);
	a->pid = number(json, "pid");
	a->started = number(json, "started");
	a->mnt_id = number(json, "mnt_id");
	a->dev = number(json, "dev");
	a->has_record = true;
	return 0;
}

int attachment_open(const char *door, const char *container, bool create,
		    bool wait, struct attachment *ret, struct shale_error *err)
{
	auto_attachment a = ATTACHMENT_INIT;
	char door_path[PATH_MAX / 3];
	auto_fd door_fd = -1;
	int r;

	if (!is_name(container))
		return error_fail(err, EINVAL, "'%s' is no container's id",
				  container);
	a.door = door;
	a.container = strdup(container);
	if (!a.container)
		return error_fail(err, ENOMEM, "read a record: out of memory");
	r = enter_door(door, create, door_path, &door_fd, err);
	if (r < 0)
		return r;
	(void)snprintf(a.path, sizeof(a.path), "%s/%s", door_path, container);
	(void)snprintf(a.target, sizeof(a.target), "%s/rootfs", a.path);
	r = enter_locked(door_fd, container, a.path, create, wait, &a.dir_fd,
			 err);
	if (r == 0)
		r = record_read(&a, err);
	if (r < 0)
		return r;
	*ret = a;
	a = (struct attachment)ATTACHMENT_INIT;
	return 0;
}

void attachment_close(struct attachment *a)
{
	drop_locked_fd(&a->dir_fd);
	free(a->container);
	free(a->store);
	free(a->key);
	free(a->boot);
	*a = (struct attachment)ATTACHMENT_INIT;
}

static int set_text(char **slot, const char *text)
{
	char *bigger = strdup(text);

	if (!bigger)
		return -ENOMEM;
	free(*slot);
	*slot = bigger;
	return 0;
}

/* Who called, and what is mounted, if it is already. */
static int record_fill(struct attachment *a, const char *store, const char *key,
		       int mount_fd, struct shale_error *err)
{
	char boot[PROCESS_BOOT_ID_SIZE];
	const long parent = getppid();
	struct stat st;
	int r = process_boot_id(boot);

	if (r < 0)
		return error_errno(err, -r, "read the boot id");
	if (set_text(&a->store, store) < 0 || set_text(&a->key, key) < 0 ||
	    set_text(&a->boot, boot) < 0)
		return error_fail(err, ENOMEM, "record '%s': out of memory",
				  a->path);
	a->pid = (uint64_t)parent;
	if (process_start_time(parent, &a->started) < 0)
		a->pid = a->started = 0; /* it is gone already */
	a->mnt_id = a->dev = 0;
	if (mount_fd < 0)
		return 0;
	r = fs_mnt_id(mount_fd, "", &a->mnt_id);
	if (r == 0 && fstat(mount_fd, &st) < 0)
		r = -errno;
	if (r < 0)
		return error_errno(err, -r, "look at the mount of '%s'", key);
	a->dev = st.st_dev;
	return 0;
}

static int record_publish(const struct attachment *a, const char *text,
			  struct shale_error *err)
{
	const size_t len = strlen(text);
	auto_fd fd = openat(
		a->dir_fd, "record.new",
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_errno(err, errno, "create '%s/record.new'",
				   a->path);
	if (write(fd, text, len) != (ssize_t)len ||
	    renameat(a->dir_fd, "record.new", a->dir_fd, "record") < 0)
		return error_errno(err, errno, "write '%s/record'", a->path);
	return 0;
}

int attachment_record(struct attachment *a, const char *store, const char *key,
		      int mount_fd, struct shale_error *err)
{
	char numbers[4][24];
	auto_free char *text = NULL;
	int r = record_fill(a, store, key, mount_fd, err);
	const uint64_t values[4] = { a->pid, a->started, a->mnt_id, a->dev };
	const char *const pairs[] = {
		"store",  a->store,   "key",	  a->key,     "boot",
		a->boot,  "pid",      numbers[0], "started",  numbers[1],
		"mnt_id", numbers[2], "dev",	  numbers[3], NULL,
	};

	if (r < 0)
		return r;
	for (int i = 0; i < 4; i++)
		(void)snprintf(numbers[i], sizeof(numbers[i]), "%" PRIu64,
			       values[i]);
	if (json_write_strings(pairs, &text) < 0)
		return error_fail(err, ENOMEM, "record '%s': out of memory",
				  a->path);
	r = record_publish(a, text, err);
	a->has_record |= r == 0;
	return r;
}

/* ---- the mount ---- */

static void fd_path(int fd, char ret[32])
{
	(void)snprintf(ret, 32, "/proc/self/fd/%d", fd);
}

int attachment_let_in(const struct attachment *a, gid_t gid,
		      struct shale_error *err)
{
	if (fchown(a->dir_fd, (uid_t)-1, gid) == 0 &&
	    fchmod(a->dir_fd, gid == getegid() ? OWN : OWN | S_IXGRP) == 0)
		return 0;
	return error_errno(err, errno, "let group %u into '%s'",
			   (unsigned int)gid, a->path);
}

int attachment_put(const struct attachment *a, int mount_fd,
		   struct shale_error *err)
{
	uint64_t dir_id, target_id;
	auto_fd target_fd = -1;
	char path[32];
	int r = enter(a->dir_fd, "rootfs", a->target, true, OWN, &target_fd,
		      err);

	if (r == 0)
		r = fs_mnt_id(a->dir_fd, "", &dir_id);
	if (r == 0)
		r = fs_mnt_id(target_fd, "", &target_id);
	if (r < 0)
		return r;
	if (dir_id != target_id)
		return error_fail(err, EBUSY, "'%s' is a mount point already",
				  a->target);
	if (move_mount(mount_fd, "", target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_errno(err, errno, "attach to '%s'", a->target);
	/* On a shared mount it has become one of a group. */
	fd_path(mount_fd, path);
	if (mount(NULL, path, NULL, MS_PRIVATE | MS_REC, NULL) == 0)
		return 0;
	r = error_errno(err, errno, "make '%s' private", a->target);
	(void)attachment_take_down(a, NULL);
	return r;
}

int attachment_take_down(const struct attachment *a, struct shale_error *err)
{
	char boot[PROCESS_BOOT_ID_SIZE];
	uint64_t dir_id, mnt_id;
	int r = fs_mnt_id(a->dir_fd, "", &dir_id);

	if (r == 0)
		r = fs_mnt_id(a->dir_fd, "rootfs", &mnt_id);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_errno(err, -r, "look at '%s'", a->target);
	if (mnt_id == dir_id)
		return 0; /* no mount point */
	if (!a->has_record || mnt_id != a->mnt_id ||
	    process_boot_id(boot) < 0 || strcmp(boot, a->boot) != 0)
		return error_fail(
			err, EBUSY,
			"what is mounted on '%s' is not what its record says: unmount it by hand",
			a->target);
	if (umount2(a->target, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return error_errno(err, errno, "unmount '%s'", a->target);
	return 0;
}

int attachment_forget(struct attachment *a, struct shale_error *err)
{
	if ((unlinkat(a->dir_fd, "rootfs", AT_REMOVEDIR) < 0 &&
	     errno != ENOENT) ||
	    (unlinkat(a->dir_fd, "record.new", 0) < 0 && errno != ENOENT) ||
	    (unlinkat(a->dir_fd, "record", 0) < 0 && errno != ENOENT) ||
	    rmdir(a->path) < 0)
		return error_errno(err, errno, "remove '%s'", a->path);
	a->has_record = false;
	return 0;
}

/* ---- who uses it ---- */

static bool has_process(uint64_t dev)
{
	auto_dir dir = opendir("/proc");
	struct dirent *entry;
	char path[NAME_MAX + 16];
	struct stat st;

	while (dir && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		(void)snprintf(path, sizeof(path), "%s/root", entry->d_name);
		if (fstatat(dirfd(dir), path, &st, 0) == 0 && st.st_dev == dev)
			return true;
	}
	return false;
}

bool attachment_is_used(const struct attachment *a, bool ask_caller)
{
	char boot[PROCESS_BOOT_ID_SIZE];
	uint64_t started;

	if (!a->has_record || process_boot_id(boot) < 0 ||
	    strcmp(boot, a->boot) != 0)
		return false;
	if (ask_caller && a->pid &&
	    process_start_time((long)a->pid, &started) == 0 &&
	    started == a->started)
		return true;
	return a->dev && has_process(a->dev);
}

/* ---- all of a door ---- */

static int visit(const char *door, const char *name,
		 int (*fn)(void *ctx, struct attachment *a,
			   struct shale_error *err),
		 void *ctx, struct shale_error *err)
{
	auto_attachment a = ATTACHMENT_INIT;
	int r = attachment_open(door, name, false, false, &a, err);

	/* It is gone meanwhile, or somebody is at work in it. */
	if (r == -ENOENT || r == -EBUSY)
		return 0;
	return r < 0 ? r : fn(ctx, &a, err);
}

int attachment_each(const char *door,
		    int (*fn)(void *ctx, struct attachment *a,
			      struct shale_error *err),
		    void *ctx, struct shale_error *err)
{
	char path[PATH_MAX / 3];
	struct dirent *entry;
	auto_dir dir = NULL;
	auto_fd fd = -1;
	int first = 0, r = enter_door(door, false, path, &fd, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	dir = fdopendir(fd);
	if (!dir)
		return error_errno(err, errno, "read '%s'", path);
	(void)take_fd(&fd);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		r = visit(door, entry->d_name, fn, ctx, err);
		first = first ? first : r;
	}
	return first;
}
