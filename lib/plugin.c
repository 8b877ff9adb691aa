/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loading a snapshotter: the file is checked before its code runs, the table
 * before anything in it is called.  Each refusal is one sentence with the
 * path.  Where a plugin's operations are called is store.c.
 */
#include "plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "overlay.h"
#include "scope.h"
#include "shale.h"

#define ENTRY_NAME "shale_snapshotter_entry"

/* What each plugin must have; a later table is longer, never shorter. */
#define TABLE_SIZE_1_0                                \
	(offsetof(struct shale_snapshotter, verify) + \
	 sizeof(((struct shale_snapshotter *)0)->verify))
_Static_assert(sizeof(void *) != 8 || TABLE_SIZE_1_0 == 192,
	       "the table of ABI 1.0 never changes its size");

struct shale_plugin {
	struct shale_snapshotter table;
};

/* The operations that no plugin may leave out. */
#define REQUIRED(op)                                        \
	{                                                   \
		offsetof(struct shale_snapshotter, op), #op \
	}
static const struct {
	size_t offset;
	const char *name;
} required[] = {
	REQUIRED(open),
	REQUIRED(close),
	REQUIRED(prepare),
	REQUIRED(view),
	REQUIRED(mounts),
	REQUIRED(commit),
	REQUIRED(remove),
	REQUIRED(parent),
	REQUIRED(exists),
	{ offsetof(struct shale_snapshotter, delete_), "delete" },
	REQUIRED(walk),
	REQUIRED(active),
	REQUIRED(stat),
	REQUIRED(update),
	REQUIRED(usage),
	REQUIRED(cleanup),
};

static void drop_library(void **library)
{
	int saved = errno;

	if (*library)
		(void)dlclose(*library);
	*library = NULL;
	errno = saved;
}

#define auto_library __attribute__((cleanup(drop_library))) void *

static bool is_name(const char *s)
{
	return s[0] &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

/* Owner and mode are the trust: who may write the file runs as the caller. */
static int file_check(const char *path, struct shale_error *err)
{
	auto_fd fd = -1;
	struct stat st;

	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "load snapshotter '%s'", path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "load snapshotter '%s'", path);
	if (!S_ISREG(st.st_mode))
		return error_fail(err, EINVAL,
				  "load snapshotter '%s': not a regular file",
				  path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return error_fail(
			err, EPERM,
			"load snapshotter '%s': owned by user %ju, neither root nor the caller",
			path, (uintmax_t)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return error_fail(
			err, EPERM,
			"load snapshotter '%s': writable by others than its owner (mode %04o)",
			path, (unsigned int)st.st_mode & 07777);
	return 0;
}

/*
 * dlopen maps the segments that the headers speak of, and touches them: where
 * the file ends before they do, that is a SIGBUS in the host.  What is no ELF
 * file of ours is left for dlopen to refuse.
 */
static int length_check(const char *path, struct shale_error *err)
{
	auto_fd fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ElfW(Ehdr) head;
	ElfW(Phdr) part;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "load snapshotter '%s'", path);
	if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_phentsize != sizeof(part))
		return 0;
	for (size_t i = 0; i < head.e_phnum; i++) {
		const off_t at = (off_t)(head.e_phoff + i * sizeof(part));

		if (pread(fd, &part, sizeof(part), at) ==
			    (ssize_t)sizeof(part) &&
		    (part.p_type != PT_LOAD ||
		     (part.p_offset <= (uint64_t)st.st_size &&
		      part.p_filesz <= (uint64_t)st.st_size - part.p_offset)))
			continue;
		return error_fail(
			err, ELIBBAD,
			"load snapshotter '%s': cut short, at %jd bytes", path,
			(intmax_t)st.st_size);
	}
	return 0;
}

/* The loader's reason, without the path that our sentence has already. */
static const char *library_error(const char *path)
{
	const char *reason = dlerror();
	size_t len = strlen(path);

	if (!reason)
		return "unknown reason";
	if (strncmp(reason, path, len) == 0 &&
	    strncmp(reason + len, ": ", 2) == 0)
		return reason + len + 2;
	return reason;
}

static bool has_op(const struct shale_snapshotter *table, size_t offset)
{
	void (*op)(void);

	memcpy(&op, (const char *)table + offset, sizeof(op));
	return op != NULL;
}

int plugin_check_table(const char *path, const struct shale_snapshotter *table,
		       struct shale_snapshotter *ret, struct shale_error *err)
{
	struct shale_snapshotter copy = { 0 };

	if (!table)
		return error_fail(
			err, EINVAL,
			"load snapshotter '%s': its entry returned no table",
			path);
	if (table->size < TABLE_SIZE_1_0)
		return error_fail(
			err, EINVAL,
			"load snapshotter '%s': its table has %u bytes and ABI %u needs %zu",
			path, table->size, SHALE_PLUGIN_ABI, TABLE_SIZE_1_0);
	if (table->abi != SHALE_PLUGIN_ABI)
		return error_fail(
			err, EPROTONOSUPPORT,
			"load snapshotter '%s': it has ABI %u and this libshale has ABI %u",
			path, table->abi, SHALE_PLUGIN_ABI);
	memcpy(&copy, table,
	       table->size < sizeof(copy) ? table->size : sizeof(copy));
	for (size_t i = 0; i < sizeof(required) / sizeof(*required); i++)
		if (!has_op(&copy, required[i].offset))
			return error_fail(
				err, EINVAL,
				"load snapshotter '%s': its table has no %s",
				path, required[i].name);
	if (!copy.name || !is_name(copy.name))
		return error_fail(
			err, EINVAL,
			"load snapshotter '%s': its name '%s' is not made of a-z, 0-9 and -",
			path, copy.name ? copy.name : "");
	if (!copy.version)
		copy.version = "";
	if (!copy.description)
		copy.description = "";
	*ret = copy;
	return 0;
}

static int load_file(const char *path, struct shale_snapshotter *ret,
		     struct shale_error *err)
{
	shale_snapshotter_entry_fn *entry;
	auto_library library = NULL;
	void *symbol;
	int r;

	/* Whoever started a setuid program chooses what it is asked to load. */
	if (getauxval(AT_SECURE))
		return error_fail(
			err, EPERM,
			"load snapshotter '%s': refused in a program that runs with more rights than its caller's",
			path);
	r = file_check(path, err);
	if (r == 0)
		r = length_check(path, err);
	if (r < 0)
		return r;
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return error_fail(
			err, ELIBBAD,
			"load snapshotter '%s': not a shared object that can be loaded: %s",
			path, library_error(path));
	symbol = dlsym(library, ENTRY_NAME);
	if (!symbol)
		return error_fail(err, ELIBBAD,
				  "load snapshotter '%s': it exports no %s",
				  path, ENTRY_NAME);
	memcpy(&entry, &symbol, sizeof(entry));
	r = plugin_check_table(path, entry(SHALE_PLUGIN_ABI), ret, err);
	if (r < 0)
		return r;
	/* The copy points into it; a runtime of its own may have threads. */
	(void)take_ptr(&library);
	return 0;
}

/* A short name is looked for in one directory of root's, nowhere else. */
static int load_named(const char *name, struct shale_snapshotter *ret,
		      struct shale_error *err)
{
	auto_free char *path = NULL;

	if (asprintf(&path, "%s/%s.so", SHALE_PLUGINDIR, name) < 0) {
		path = NULL;
		return error_fail(err, ENOMEM,
				  "load snapshotter '%s': out of memory", name);
	}
	return load_file(path, ret, err);
}

int shale_plugin_load(const char *name_or_path, struct shale_plugin **ret,
		      struct shale_error *err)
{
	auto_free struct shale_plugin *plugin = NULL;
	int r;

	if (!name_or_path || !ret)
		return error_fail(
			err, EINVAL,
			"load snapshotter: no name, or nowhere to return it");
	plugin = calloc(1, sizeof(*plugin));
	if (!plugin)
		return error_fail(err, ENOMEM,
				  "load snapshotter '%s': out of memory",
				  name_or_path);
	if (strcmp(name_or_path, overlay_snapshotter.name) == 0) {
		plugin->table = overlay_snapshotter;
		r = 0;
	} else if (name_or_path[0] == '/') {
		r = load_file(name_or_path, &plugin->table, err);
	} else if (is_name(name_or_path)) {
		r = load_named(name_or_path, &plugin->table, err);
	} else {
		r = error_fail(
			err, EINVAL,
			"load snapshotter '%s': neither a name (a-z, 0-9 and -) nor an absolute path",
			name_or_path);
	}
	if (r < 0)
		return r;
	*ret = take_ptr(&plugin);
	return 0;
}

void shale_plugin_unload(struct shale_plugin *plugin)
{
	free(plugin);
}

const struct shale_snapshotter *
shale_plugin_table(const struct shale_plugin *plugin)
{
	return plugin ? &plugin->table : NULL;
}

const struct shale_snapshotter *shale_overlay_snapshotter(void)
{
	return &overlay_snapshotter;
}

const struct shale_snapshotter *shale_native_snapshotter(void)
{
	return &native_snapshotter;
}
