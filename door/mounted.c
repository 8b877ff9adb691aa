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

#define FORMAT "format"
#define FORMAT_1 "1"
#define WAIT_TRIES 500
#define WAIT_PAUSE_NS 20000000L
/* How often a directory may be removed while we want it. */
#define CREATE_TRIES 100

static const struct {
	const char *name;
	size_t at;
	bool may_be_empty; /* and is then absent: a link leads somewhere */
} facts[] = {
	{ "runtime", offsetof(struct mounted, runtime), true },
	{ "root", offsetof(struct mounted, root), true },
	{ "id", offsetof(struct mounted, id), false },
	{ "bundle", offsetof(struct mounted, bundle), true },
	{ "target", offsetof(struct mounted, target), false },
	{ "key", offsetof(struct mounted, key), false },
	{ "store", offsetof(struct mounted, store), false },
	{ "store-option", offsetof(struct mounted, store_option), true },
	{ "config-option", offsetof(struct mounted, config_option), true },
	{ "caller", offsetof(struct mounted, caller), true },
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
	drop_fd(&mounted->watch_fd);
	mounted->mount = mounted->device = 0;
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
	if (!*runtime) /* one of its kind */
		(void)snprintf(ret, NAME_MAX + 1, "%s", id);
	else
		(void)snprintf(ret, NAME_MAX + 1, "%s@%016" PRIx64, id,
			       hash(runtime, root));
	return 0;
}

/* Of what is in a door's room; "" where the path is too long. */
static void path_in(const char *door, const char *name, char ret[PATH_MAX])
{
	char room[PATH_MAX];

	if (rundir_path(door, room) < 0 ||
	    snprintf(ret, PATH_MAX, "%s/%s", room, name) >= PATH_MAX)
		*ret = '\0';
}

void mounted_path(const struct mounted *mounted, char ret[PATH_MAX])
{
	path_in(mounted->door, mounted->name, ret);
}

bool mounted_is_on_record(const char *door, const char *runtime,
			  const char *root, const char *id)
{
	char name[NAME_MAX + 1], path[PATH_MAX];

	if (record_name(runtime, root, id, name) < 0)
		return false;
	path_in(door, name, path);
	return access(path, F_OK) == 0;
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
	char path[PATH_MAX];

	mounted_path(mounted, path);
	return error_fail(err, EUCLEAN, "the record '%s' has no right '%s'",
			  path, fact);
}

static int load_mount(struct mounted *mounted)
{
	auto_free char *text = read_fact(mounted->fd, MOUNTED_FACT);
	char *device;

	if (!text)
		return errno == ENOENT ? 0 : -errno;
	device = strchr(text, ':');
	if (!device)
		return -EINVAL;
	*device++ = '\0';
	if (number_parse(text, UINT64_MAX, &mounted->mount) < 0 ||
	    number_parse(device, UINT64_MAX, &mounted->device) < 0)
		return -EINVAL;
	return 0;
}

static int load_facts(struct mounted *mounted, struct shale_error *err)
{
	auto_free char *format = read_fact(mounted->fd, FORMAT);

	if (!format && errno == ENOENT)
		return 0;
	if (!format || strcmp(format, FORMAT_1) != 0)
		return torn(mounted, FORMAT, err);
	for (size_t i = 0; i < FACTS; i++) {
		char **slot = fact_slot(mounted, i);

		*slot = read_fact(mounted->fd, facts[i].name);
		if (!*slot && errno == ENOENT && facts[i].may_be_empty)
			*slot = strdup("");
		if (!*slot)
			return torn(mounted, facts[i].name, err);
	}
	if (load_mount(mounted) < 0)
		return torn(mounted, MOUNTED_FACT, err);
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
			"another process works on the container of record '%s'",
			mounted->name);
	if (r < 0)
		return error_errno(err, -r, "open the record '%s'",
				   mounted->name);
	return load_facts(mounted, err);
}

int mounted_open(const char *door, const char *runtime, const char *root,
		 const char *id, enum mounted_wait wait, struct mounted *ret,
		 struct shale_error *err)
{
	auto_mounted mounted = MOUNTED_INIT;
	struct shale_error why = SHALE_ERROR_INIT;
	int r = record_name(runtime, root, id, mounted.name);

	if (r < 0)
		return error_fail(err, ENOENT, "no container has the id '%s'",
				  id ? id : "");
	mounted.door = door;
	r = rundir_open(door, false, &mounted.room_fd, err);
	if (r == -ENOENT)
		return error_fail(err, ENOENT, "nothing is on record");
	if (r == 0)
		r = open_held(&mounted, wait, &why);
	if (r == -EUCLEAN)
		return error_fail(err, EUCLEAN,
				  "%s: " MOUNTED_TORN_REMEDY ", and try again",
				  why.msg);
	if (r < 0)
		return *why.msg ? error_fail(err, -r, "%s", why.msg) : r;
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

static int visit(const char *door, int room_fd, const char *name,
		 int (*fn)(void *ctx, struct mounted *mounted,
			   const char *torn),
		 void *ctx, struct shale_error *err)
{
	auto_mounted mounted = MOUNTED_INIT;
	struct shale_error why = SHALE_ERROR_INIT;
	int r;

	mounted.door = door;
	(void)snprintf(mounted.name, sizeof(mounted.name), "%s", name);
	mounted.room_fd = fcntl(room_fd, F_DUPFD_CLOEXEC, 0);
	if (mounted.room_fd < 0)
		return error_errno(err, errno, "open the record '%s'", name);
	r = open_held(&mounted, MOUNTED_NOW, &why);
	/* Somebody is at work in it, or it is gone meanwhile. */
	if (r == -EBUSY || r == -ENOENT)
		return 0;
	/* Short of descriptors or memory: the record may be whole. */
	if (r < 0 && r != -EUCLEAN && r != -ENOTDIR && r != -ELOOP)
		return error_fail(err, -r, "%s", why.msg);
	return fn(ctx, &mounted, r < 0 ? why.msg : NULL);
}

/* -ENOENT is without a sentence. */
static int list_room(const char *door, DIR **ret, struct shale_error *err)
{
	auto_fd fd = -1;
	int r = rundir_open(door, false, &fd, err);

	if (r < 0)
		return r;
	*ret = fdopendir(fd);
	if (!*ret)
		return error_errno(err, errno, "list the records");
	(void)take_fd(&fd);
	return 0;
}

int mounted_walk(const char *door,
		 int (*fn)(void *ctx, struct mounted *mounted,
			   const char *torn),
		 void *ctx, struct shale_error *err)
{
	const struct dirent *entry;
	auto_dir dir = NULL;
	int r = list_room(door, &dir, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	while (r == 0 && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			r = visit(door, dirfd(dir), entry->d_name, fn, ctx,
				  err);
	return r;
}

/* Whether a record's name can be of the id: "ID", or "ID@HASH". */
static bool is_name_of(const char *name, const char *id)
{
	const size_t len = strlen(id);

	return !strncmp(name, id, len) && (!name[len] || name[len] == '@');
}

bool mounted_has_key(const char *door, const char *id, const char *key)
{
	const struct dirent *entry;
	auto_dir dir = NULL;

	if (!*id || *id == '.' ||
	    (strcmp(door, DOOR_RUNTIME) != 0 &&
	     strcmp(door, DOOR_PRECREATE) != 0) ||
	    list_room(door, &dir, NULL) < 0)
		return false;
	while ((entry = readdir(dir)) != NULL) {
		char fact[NAME_MAX + sizeof("/key")];
		auto_free char *found = NULL;

		if (!is_name_of(entry->d_name, id))
			continue;
		(void)snprintf(fact, sizeof(fact), "%s/key", entry->d_name);
		found = read_fact(dirfd(dir), fact);
		if (found && !strcmp(found, key))
			return true;
	}
	return false;
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

/* Our caller, who may be gone already. */
static char *parent_text(void)
{
	char text[PROCESS_NAME_SIZE];

	return strdup(process_name(getppid(), text) == 0 ? text : "");
}

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
	mounted->caller = *mounted->runtime ? strdup("") : parent_text();
	if (!mounted->caller)
		return error_fail(err, ENOMEM, "record '%s': out of memory",
				  mounted->id);
	return 0;
}

static int name_own_target(struct mounted *mounted, struct shale_error *err)
{
	char path[PATH_MAX], target[PATH_MAX + sizeof("/" MOUNTED_OWN_TARGET)];

	mounted_path(mounted, path);
	(void)snprintf(target, sizeof(target), "%s/" MOUNTED_OWN_TARGET, path);
	mounted->target = strdup(target);
	if (!mounted->target)
		return error_fail(err, ENOMEM, "record '%s': out of memory",
				  mounted->id);
	return 0;
}

/*
 * Makes the directory and holds it, whoever tidies up meanwhile.  One that does
 * may want it for himself: then it is certified by the time that it is ours.
 */
static int make_held(struct mounted *mounted, struct shale_error *err)
{
	int r = -ENOENT;

	for (int try = 0; r == -ENOENT && try < CREATE_TRIES; try++) {
		drop_locked_fd(&mounted->fd);
		r = mkdirat(mounted->room_fd, mounted->name, 0700) < 0
			    ? -errno
			    : hold(mounted, MOUNTED_WAIT);
	}
	if (r == 0 &&
	    faccessat(mounted->fd, FORMAT, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = -EEXIST;
	if (r == 0)
		return 0;
	drop_locked_fd(&mounted->fd);
	return r == -EEXIST
		       ? error_fail(
				 err, EEXIST,
				 "another call makes container '%s' just now",
				 mounted->id)
		       : error_errno(err, -r, "create the record of '%s'",
				     mounted->id);
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
	if (r == 0 && !mounted->target)
		r = name_own_target(mounted, err);
	if (r == 0)
		r = rundir_open(mounted->door, true, &mounted->room_fd, err);
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
