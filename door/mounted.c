/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records of mounts: see mounted.h.
 */
#include "mounted.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "number.h"
#include "process.h"
#include "rundir.h"
#include "scope.h"

#define ROOM "runtime"
#define FORMAT "format"
#define FORMAT_1 "1"
#define MOUNT "mount"

#define WAIT_TRIES 500
#define WAIT_PAUSE_NS 20000000L
/* How often a directory may be removed while we want it. */
#define CREATE_TRIES 100

static const struct {
	const char *name;
	size_t at;
	bool may_be_empty; /* and is then absent: a link leads somewhere */
} facts[] = {
	{ "runtime", offsetof(struct mounted, runtime), false },
	{ "root", offsetof(struct mounted, root), true },
	{ "id", offsetof(struct mounted, id), false },
	{ "bundle", offsetof(struct mounted, bundle), false },
	{ "target", offsetof(struct mounted, target), false },
	{ "key", offsetof(struct mounted, key), false },
	{ "store", offsetof(struct mounted, store), false },
	{ "store-option", offsetof(struct mounted, store_option), true },
	{ "config-option", offsetof(struct mounted, config_option), true },
	{ "boot", offsetof(struct mounted, boot), false },
	{ "namespace", offsetof(struct mounted, space), false },
};

#define FACTS (sizeof(facts) / sizeof(*facts))

static char **fact_slot(struct mounted *mounted, size_t i)
{
	void *slot = (char *)mounted + facts[i].at;

	return slot;
}

void mounted_clear(struct mounted *mounted)
{
	for (size_t i = 0; i < FACTS; i++)
		drop_free(fact_slot(mounted, i));
	drop_locked_fd(&mounted->fd);
	drop_fd(&mounted->room_fd);
	mounted->mount = 0;
	mounted->is_certified = false;
}

/* ---- names ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/*
 * FNV-1a.  Two that meet are told apart by the facts: this needs no library.
 * The runtime counts by its name alone, since it is the same one in another
 * directory after an upgrade.
 */
static uint64_t hash(const char *runtime, const char *root)
{
	const char *const parts[] = { base_name(runtime), root };
	uint64_t value = 0xcbf29ce484222325;

	for (size_t i = 0; i < 2; i++) {
		const char *byte = parts[i];

		do
			value = (value ^ (unsigned char)*byte) * 0x100000001b3;
		while (*byte++);
	}
	return value;
}

/* Behind the id: "@" and 16 digits. */
#define ID_MAX (NAME_MAX - sizeof("0123456789abcdef"))

static int record_name(const char *runtime, const char *root, const char *id,
		       char ret[NAME_MAX + 1])
{
	if (!id || !*id || *id == '.' || strchr(id, '/') || strlen(id) > ID_MAX)
		return -EINVAL;
	(void)snprintf(ret, NAME_MAX + 1, "%s@%016" PRIx64, id,
		       hash(runtime, root));
	return 0;
}

bool mounted_is_on_record(const char *runtime, const char *root, const char *id)
{
	char name[NAME_MAX + 1], below[sizeof(ROOM) + NAME_MAX + 1];
	char path[PATH_MAX];

	if (record_name(runtime, root, id, name) < 0)
		return false;
	(void)snprintf(below, sizeof(below), ROOM "/%s", name);
	return rundir_path(below, path) == 0 && access(path, F_OK) == 0;
}

bool mounted_is_same_runtime(const struct mounted *mounted, const char *runtime,
			     const char *root)
{
	return mounted->is_certified &&
	       !strcmp(base_name(mounted->runtime), base_name(runtime)) &&
	       !strcmp(mounted->root, root);
}

/* ---- facts ---- */

/* To be freed; NULL where it can't be read, with errno. */
static char *read_fact(int fd, const char *name)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(fd, name, text, sizeof(text));

	if (n < 0)
		return NULL;
	if (n == sizeof(text)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return strndup(text, (size_t)n);
}

static int write_fact(const struct mounted *mounted, const char *name,
		      const char *value, struct shale_error *err)
{
	if (symlinkat(value, mounted->fd, name) < 0)
		return error_errno(err, errno,
				   "write '%s' of the record of '%s'", name,
				   mounted->id);
	return 0;
}

static int torn(const struct mounted *mounted, const char *fact,
		struct shale_error *err)
{
	return error_fail(err, EUCLEAN,
			  "the record '%s' below /run/shale has no '%s'",
			  mounted->name, fact);
}

static int load_facts(struct mounted *mounted, struct shale_error *err)
{
	auto_free char *format = read_fact(mounted->fd, FORMAT);
	auto_free char *mount = NULL;

	if (!format && errno == ENOENT)
		return 0;
	if (!format || strcmp(format, FORMAT_1) != 0)
		return error_fail(
			err, EUCLEAN,
			"the record '%s' below /run/shale is of another version",
			mounted->name);
	for (size_t i = 0; i < FACTS; i++) {
		char **slot = fact_slot(mounted, i);

		*slot = read_fact(mounted->fd, facts[i].name);
		if (!*slot && errno == ENOENT && facts[i].may_be_empty)
			*slot = strdup("");
		if (!*slot)
			return torn(mounted, facts[i].name, err);
	}
	mount = read_fact(mounted->fd, MOUNT);
	if ((!mount && errno != ENOENT) ||
	    (mount && number_parse(mount, UINT64_MAX, &mounted->mount) < 0))
		return torn(mounted, MOUNT, err);
	mounted->is_certified = true;
	return 0;
}

/* ---- holding ---- */

/* Opens and locks; -ENOENT also where it was removed under the lock. */
static int hold(struct mounted *mounted, enum mounted_wait wait)
{
	const struct timespec pause = { .tv_nsec = WAIT_PAUSE_NS };
	struct stat held, there;

	mounted->fd = openat(mounted->room_fd, mounted->name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (mounted->fd < 0)
		return -errno;
	for (int try = 0; flock(mounted->fd, LOCK_EX | LOCK_NB) < 0; try++) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (wait == MOUNTED_NOW || try == WAIT_TRIES)
			return -EBUSY;
		(void)nanosleep(&pause, NULL);
	}
	if (fstat(mounted->fd, &held) < 0 ||
	    fstatat(mounted->room_fd, mounted->name, &there,
		    AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return held.st_ino == there.st_ino ? 0 : -ENOENT;
}

static int open_held(struct mounted *mounted, enum mounted_wait wait,
		     struct shale_error *err)
{
	int r = hold(mounted, wait);

	if (r == -EBUSY)
		return error_fail(
			err, EBUSY,
			"another shale-runtime works on the container of record '%s'",
			mounted->name);
	if (r < 0)
		return error_errno(err, -r, "open the record '%s'",
				   mounted->name);
	return load_facts(mounted, err);
}

int mounted_open(const char *runtime, const char *root, const char *id,
		 enum mounted_wait wait, struct mounted *ret,
		 struct shale_error *err)
{
	auto_mounted mounted = MOUNTED_INIT;
	int r = record_name(runtime, root, id, mounted.name);

	if (r < 0)
		return error_fail(err, ENOENT, "no container has the id '%s'",
				  id ? id : "");
	r = rundir_open(ROOM, &mounted.room_fd, err);
	if (r == 0)
		r = open_held(&mounted, wait, err);
	if (r < 0)
		return r;
	if (mounted.is_certified &&
	    (strcmp(mounted.id, id) != 0 ||
	     !mounted_is_same_runtime(&mounted, runtime, root)))
		return error_fail(err, EUCLEAN,
				  "the record '%s' is of another container",
				  mounted.name);
	*ret = mounted;
	mounted = (struct mounted)MOUNTED_INIT;
	return 0;
}

int mounted_walk(int (*fn)(void *ctx, struct mounted *mounted), void *ctx,
		 struct shale_error *err)
{
	const struct dirent *entry;
	auto_dir dir = NULL;
	int fd, r = rundir_open(ROOM, &fd, err);

	if (r < 0)
		return r;
	dir = fdopendir(fd);
	if (!dir) {
		r = error_errno(err, errno, "list the records");
		(void)close(fd);
		return r;
	}
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		auto_mounted mounted = MOUNTED_INIT;

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(mounted.name, sizeof(mounted.name), "%s",
			       entry->d_name);
		mounted.room_fd = fcntl(dirfd(dir), F_DUPFD_CLOEXEC, 0);
		if (mounted.room_fd >= 0 &&
		    open_held(&mounted, MOUNTED_NOW, NULL) == 0)
			r = fn(ctx, &mounted);
	}
	return r;
}

int mounted_check_target(const struct mounted *mounted, struct shale_error *err)
{
	auto_dir dir = NULL;
	const struct dirent *entry;
	int fd = openat(mounted->room_fd, ".",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		dir = fdopendir(fd);
	if (!dir)
		return error_errno(err, errno, "list the records");
	while ((entry = readdir(dir)) != NULL) {
		char fact[NAME_MAX + sizeof("/target")];
		auto_free char *target = NULL;

		if (!strcmp(entry->d_name, mounted->name))
			continue;
		(void)snprintf(fact, sizeof(fact), "%s/target", entry->d_name);
		target = read_fact(fd, fact);
		if (target && !strcmp(target, mounted->target))
			return error_fail(
				err, EEXIST,
				"'%s' is the root of another container, by record '%s'",
				target, entry->d_name);
	}
	return 0;
}

/* ---- create ---- */

static int fill_here(struct mounted *mounted, struct shale_error *err)
{
	char boot[PROCESS_BOOT_ID_SIZE];
	int r = process_boot_id(boot);

	if (r < 0)
		return error_errno(err, -r, "read the boot id");
	mounted->boot = strdup(boot);
	mounted->space = read_fact(AT_FDCWD, "/proc/self/ns/mnt");
	if (!mounted->boot || !mounted->space)
		return error_errno(err, errno, "read '/proc/self/ns/mnt'");
	return 0;
}

/* Makes the directory and holds it, whoever tidies up meanwhile. */
static int make_held(struct mounted *mounted, struct shale_error *err)
{
	int r = -ENOENT;

	for (int try = 0; r == -ENOENT && try < CREATE_TRIES; try++) {
		drop_locked_fd(&mounted->fd);
		if (mkdirat(mounted->room_fd, mounted->name, 0700) < 0)
			return error_errno(err, errno,
					   "create the record of '%s'",
					   mounted->id);
		r = hold(mounted, MOUNTED_WAIT);
	}
	return r < 0 ? error_errno(err, -r, "hold the record of '%s'",
				   mounted->id)
		     : 0;
}

int mounted_create(struct mounted *mounted, struct shale_error *err)
{
	int r = record_name(mounted->runtime, mounted->root, mounted->id,
			    mounted->name);

	if (r < 0)
		return error_fail(
			err, EINVAL,
			"the id '%s' can't be the name of a record: give one of at most %zu bytes without '/' that does not start with '.'",
			mounted->id, ID_MAX);
	r = fill_here(mounted, err);
	if (r == 0)
		r = rundir_open(ROOM, &mounted->room_fd, err);
	if (r == 0)
		r = make_held(mounted, err);
	for (size_t i = 0; r == 0 && i < FACTS; i++) {
		const char *value = *fact_slot(mounted, i);

		if (*value)
			r = write_fact(mounted, facts[i].name, value, err);
	}
	if (r == 0)
		r = write_fact(mounted, FORMAT, FORMAT_1, err);
	if (r == 0)
		mounted->is_certified = true;
	else if (mounted->fd >= 0)
		(void)mounted_remove(mounted, NULL);
	return r;
}

int mounted_remove(struct mounted *mounted, struct shale_error *err)
{
	/* First: what is left after a kill says that all is undone. */
	int r = unlinkat(mounted->fd, FORMAT, 0) < 0 && errno != ENOENT
			? -errno
			: fs_empty(mounted->fd, NULL, NULL);

	if (r == 0 &&
	    unlinkat(mounted->room_fd, mounted->name, AT_REMOVEDIR) < 0)
		r = -errno;
	if (r < 0)
		return error_errno(err, -r, "remove the record '%s'",
				   mounted->name);
	mounted_clear(mounted);
	return 0;
}
