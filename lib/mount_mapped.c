/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mounts for user namespaces, in two ways.
 *
 * Where all directories of an overlay are in one mount, as in a store, they
 * are opened in an idmapped clone of it that has no place, and given to the
 * kernel by descriptor (Linux 6.15).
 *
 * Else each directory of the spec is covered, at its own path and in a mount
 * namespace apart, with an idmapped clone of itself; what an engine makes there
 * takes its layers through the clones.  So both engines work as ever, with the
 * same names and the same text in mountinfo, on older kernels as well.
 *
 * The upper is mapped as well.  Files in it are on disk as the container
 * calls their owners, so that what is committed suits everybody.
 */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "error.h"
#include "fs.h"
#include "fsid.h"
#include "joined.h"
#include "scope.h"
#include "userns.h"

struct mapping {
	const struct mount_engine *engine;
	const struct spec *spec;
	int userns_fd;
	int fd; /* of the mount */
	struct shale_error *err;
};

/* ---- a kernel or file system that can't ---- */

static const struct {
	const char *type, *since;
} idmapping_types[] = {
	{ "ext4", "5.12" },  { "xfs", "5.12" },	    { "vfat", "5.12" },
	{ "btrfs", "5.15" }, { "f2fs", "5.18" },    { "erofs", "5.19" },
	{ "tmpfs", "6.3" },  { "squashfs", "6.2" },
};

static const char *since_of(const char *type)
{
	for (size_t i = 0;
	     i < sizeof(idmapping_types) / sizeof(*idmapping_types); i++)
		if (!strcmp(idmapping_types[i].type, type))
			return idmapping_types[i].since;
	return NULL;
}

static bool is_unsupported(int code)
{
	return code == EINVAL || code == EOPNOTSUPP;
}

/* By whom it is asked, or of what: EACCES where a map can't be written. */
static bool is_forbidden(int code)
{
	return code == EPERM || code == EACCES;
}

#define FORBIDDEN_HINT                                                     \
	"the host's root alone maps ids, and not what is mapped already: " \
	"give the container the ids that are here, or see slow_chown in "  \
	"shale.json(5)"

static int fail_setattr(const char *path, int code, struct shale_error *err)
{
	char type[32] = "?";
	const char *since;
	struct utsname name = { .release = "?" };
	auto_fd fd = -1;

	if (is_forbidden(code))
		return error_fail(err, code, "map the ids of '%s': %s", path,
				  FORBIDDEN_HINT);
	if (!is_unsupported(code))
		return error_errno(err, code, "map the ids of '%s'", path);
	(void)uname(&name);
	if (mount_open_dir(path, "directory", &fd, NULL) == 0)
		mount_type(fd, type, sizeof(type));
	since = since_of(type);
	if (!since)
		return error_fail(
			err, EOPNOTSUPP,
			"map the ids of '%s': its file system, %s, is not known to have idmapped mounts: see slow_chown in shale.json(5)",
			path, type);
	return error_fail(
		err, EOPNOTSUPP,
		"map the ids of '%s': idmapped mounts of %s need Linux %s (this is %s): see slow_chown in shale.json(5)",
		path, type, since, name.release);
}

/* The first call that is not here, or NULL; ENOSYS comes before all else. */
static const char *missing_call(const char **ret_since)
{
	struct mount_attr attr = { 0 };

	*ret_since = "5.2";
	if (open_tree(-1, "", 0) < 0 && errno == ENOSYS)
		return "open_tree";
	if (move_mount(-1, "", -1, "", 0) < 0 && errno == ENOSYS)
		return "move_mount";
	*ret_since = "5.12";
	if (mount_setattr(-1, "", 0, &attr, 0) < 0 && errno == ENOSYS)
		return "mount_setattr";
	return NULL;
}

static int check_calls(struct shale_error *err)
{
	const char *since, *call = missing_call(&since);

	if (!call)
		return 0;
	return error_fail(
		err, EOPNOTSUPP,
		"map ids: no %s(2) here (Linux %s): see slow_chown in shale.json(5)",
		call, since);
}

/* Until 5.19 overlayfs took no idmapped layer. */
static bool overlay_takes_mapped(void)
{
	struct utsname name;
	unsigned long major, minor;
	char *next;

	if (uname(&name) < 0)
		return true;
	major = strtoul(name.release, &next, 10);
	minor = *next == '.' ? strtoul(next + 1, NULL, 10) : 0;
	return major > 5 || (major == 5 && minor >= 19);
}

bool mount_can_map(int dir_fd, const struct idmaps *maps)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	auto_fd userns_fd = -1;
	auto_fd fd = -1;
	int r;

	if (!overlay_takes_mapped() || check_calls(NULL) < 0)
		return false;
	/* Any other failure is for the mount to tell. */
	r = userns_open(maps, &userns_fd, NULL);
	if (r < 0)
		return !is_forbidden(-r);
	fd = open_tree(dir_fd, "",
		       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (fd < 0)
		return true;
	attr.userns_fd = (uint64_t)userns_fd;
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0)
		return true;
	return !is_unsupported(errno) && !is_forbidden(errno);
}

/* ---- covering ---- */

/* @deep: AT_RECURSIVE for what is mounted below @path as well, and mapped only
 * in a bind of all that.
 */
static int clone_mapped(const struct mapping *mapping, int dir_fd,
			const char *path, unsigned deep, int *ret_fd,
			struct shale_error *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP,
				   .userns_fd = (uint64_t)mapping->userns_fd };
	const bool is_bind = mapping->spec->kind == SPEC_BIND;
	auto_fd fd = open_tree(dir_fd, "",
			       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
				       AT_EMPTY_PATH | deep);

	if (fd < 0)
		return error_errno(err, errno, "clone '%s'", path);
	if (mount_setattr(fd, "", AT_EMPTY_PATH | (is_bind ? deep : 0), &attr,
			  sizeof(attr)) < 0)
		return fail_setattr(path, errno, err);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Puts an idmapped clone of @path over it; @ret_id is of that mount. */
static int cover(const struct mapping *mapping, const char *path,
		 uint64_t *ret_id, struct shale_error *err)
{
	const struct spec *spec = mapping->spec;
	const bool is_deep = spec->kind != SPEC_BIND || spec->is_recursive;
	auto_fd target_fd = -1;
	auto_fd fd = -1;
	int r = mount_open_dir(path, "directory", &target_fd, err);

	if (r == 0)
		r = clone_mapped(mapping, target_fd, path,
				 is_deep ? AT_RECURSIVE : 0, &fd, err);
	if (r == 0)
		r = mount_id(fd, ret_id, err);
	return r < 0 ? r : mount_move(fd, target_fd, path, err);
}

/* In one call, where the kernel tells ids in it (5.8). */
static int id_of(const char *path, uint64_t *ret, struct shale_error *err)
{
	struct statx stx;
	auto_fd fd = -1;
	int r;

	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		  STATX_MNT_ID, &stx) == 0 &&
	    (stx.stx_mask & STATX_MNT_ID)) {
		*ret = stx.stx_mnt_id;
		return 0;
	}
	r = mount_open_dir(path, "directory", &fd, err);
	return r < 0 ? r : mount_id(fd, ret, err);
}

/* ---- what to cover ---- */

struct dirs {
	const char **paths;
	size_t count;
};

static int dirs_of(const struct spec *spec, struct dirs *ret)
{
	ret->count = 0;
	ret->paths = calloc(spec->lower_count + 2, sizeof(*ret->paths));
	if (!ret->paths)
		return -ENOMEM;
	for (size_t i = 0; i < spec->lower_count; i++)
		ret->paths[ret->count++] = spec->lowers[i];
	if (spec->upper) {
		ret->paths[ret->count++] = spec->upper;
		ret->paths[ret->count++] = spec->work;
	}
	return 0;
}

/* The clones so far; another mount is in none, nor is what a link leads to. */
struct clones {
	uint64_t ids[3];
	size_t count;
};

static int is_mapped(const struct clones *clones, const char *path, bool *ret,
		     struct shale_error *err)
{
	uint64_t id;
	int r = id_of(path, &id, err);

	*ret = false;
	for (size_t i = 0; r == 0 && i < clones->count; i++)
		if (clones->ids[i] == id)
			*ret = true;
	return r;
}

static int cover_common(const struct mapping *mapping, const struct dirs *dirs,
			struct clones *clones, struct shale_error *err)
{
	auto_free char *common = mount_common_dir(dirs->paths, dirs->count);
	int r;

	if (!common)
		return error_errno(err, ENOMEM, "map the layers");
	if (!*common)
		return error_fail(err, EXDEV,
				  "'%s' and '%s' have no directory in common",
				  dirs->paths[0], dirs->paths[dirs->count - 1]);
	r = cover(mapping, common, &clones->ids[clones->count], err);
	if (r == 0)
		clones->count++;
	return r;
}

/* Both have to come by one mount. */
static int cover_upper(const struct mapping *mapping, struct clones *clones)
{
	const struct spec *spec = mapping->spec;
	const char *pair[] = { spec->upper, spec->work };
	const struct dirs upper = { pair, 2 };
	bool is_done;
	int r = is_mapped(clones, spec->upper, &is_done, mapping->err);

	if (r < 0 || is_done)
		return r;
	r = cover_common(mapping, &upper, clones, mapping->err);
	if (r == 0)
		r = is_mapped(clones, spec->upper, &is_done, mapping->err);
	if (r == 0 && !is_done)
		r = error_fail(
			mapping->err, EXDEV,
			"upperdir '%s' and workdir '%s' have no directory of their mount in common",
			spec->upper, spec->work);
	return r;
}

/* Where the upper is on another mount they may have one of their own. */
static int cover_lowers(const struct mapping *mapping, const struct dirs *dirs,
			struct clones *clones)
{
	bool is_done;
	int r = is_mapped(clones, dirs->paths[0], &is_done, mapping->err);

	if (r == 0 && !is_done)
		(void)cover_common(mapping, dirs, clones, NULL);
	return r;
}

static int cover_lower(const struct mapping *mapping,
		       const struct clones *clones, const char *path)
{
	bool is_done;
	uint64_t id;
	int r = is_mapped(clones, path, &is_done, mapping->err);

	return r < 0 || is_done ? r : cover(mapping, path, &id, mapping->err);
}

/* One clone for all where that is possible, as in a store; what it has not
 * gets one of its own.
 */
static int cover_all(const struct mapping *mapping)
{
	const struct spec *spec = mapping->spec;
	auto_free const char **paths = NULL;
	struct clones clones = { .count = 0 };
	struct dirs dirs;
	uint64_t id;
	int r;

	if (spec->kind == SPEC_BIND)
		return cover(mapping, spec->source, &id, mapping->err);
	r = dirs_of(spec, &dirs);
	if (r < 0)
		return error_errno(mapping->err, -r, "map the layers");
	paths = dirs.paths;
	(void)cover_common(mapping, &dirs, &clones, NULL);
	if (spec->upper)
		r = cover_upper(mapping, &clones);
	dirs.count = spec->lower_count;
	if (r == 0 && spec->lower_count > 1)
		r = cover_lowers(mapping, &dirs, &clones);
	for (size_t i = 0; r == 0 && i < spec->lower_count; i++)
		r = cover_lower(mapping, &clones, spec->lowers[i]);
	return r;
}

/* ---- mounting ---- */

static int covered_main(void *ctx)
{
	struct mapping *mapping = ctx;
	const struct idmaps *maps = &mapping->spec->maps;
	int r = cover_all(mapping);

	if (r < 0)
		return r;
	/*
	 * The overlay does its own work as whoever made it.  As the host's
	 * root it could make nothing in the mapped upper, and would come
	 * read-only without a word.
	 */
	r = fsid_become(idmap_root(maps->uid), idmap_root(maps->gid));
	if (r < 0)
		return error_errno(mapping->err, -r,
				   "become the root of the mapping");
	r = mapping->engine->detached(mapping->spec, &mapping->fd,
				      mapping->err);
	fsid_restore();
	return r;
}

/* ---- without a place to cover ---- */

struct direct {
	const struct spec *spec;
	struct mount_base base;
	int fd; /* of the mount */
};

static int direct_main(void *ctx)
{
	struct direct *direct = ctx;

	return mount_fsmount_below(direct->spec, &direct->base, &direct->fd,
				   NULL);
}

/* What is mounted below would be missing in the clone, and what that hides be
 * taken for the layer; in a recursive one as well, where it is unbindable.
 */
static int check_one_mount(const struct dirs *dirs, int common_fd,
			   const char *common)
{
	const int flags = AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
	struct statx all, its;

	if (statx(common_fd, "", flags | AT_EMPTY_PATH, STATX_MNT_ID, &all) < 0)
		return -errno;
	for (size_t i = 0; i < dirs->count; i++) {
		const char *name = mount_name_below(dirs->paths[i], common);

		if (statx(common_fd, name, flags, STATX_MNT_ID, &its) < 0)
			return -errno;
		if (!(all.stx_mask & its.stx_mask & STATX_MNT_ID) ||
		    all.stx_mnt_id != its.stx_mnt_id)
			return -EXDEV;
	}
	return 0;
}

/* An idmapped clone of the directory @common, which is nowhere mounted. */
static int open_base(const struct mapping *mapping, const struct dirs *dirs,
		     const char *common, int *ret_fd)
{
	auto_fd dir_fd = -1;
	int r = mount_open_dir(common, "directory", &dir_fd, NULL);

	if (r == 0)
		r = check_one_mount(dirs, dir_fd, common);
	return r < 0 ? r
		     : clone_mapped(mapping, dir_fd, common, 0, ret_fd, NULL);
}

/*
 * Through the one mount that all directories are in: no namespace, for which
 * the kernel would copy all of the host's mounts.
 */
static int mount_directly(const struct mapping *mapping, int *ret_fd)
{
	const struct idmaps *maps = &mapping->spec->maps;
	struct direct direct = { mapping->spec, { -1, NULL }, -1 };
	auto_free const char **paths = NULL;
	auto_free char *common = NULL;
	auto_fd base_fd = -1;
	struct dirs dirs;
	int r = dirs_of(mapping->spec, &dirs);

	if (r < 0)
		return r;
	paths = dirs.paths;
	common = mount_common_dir(dirs.paths, dirs.count);
	if (!common || !*common)
		return -EXDEV;
	r = open_base(mapping, &dirs, common, &base_fd);
	if (r < 0)
		return r;
	direct.base = (struct mount_base){ base_fd, common };
	r = joined_run_as(idmap_root(maps->uid), idmap_root(maps->gid),
			  direct_main, &direct);
	if (r == 0)
		*ret_fd = direct.fd;
	return r;
}

static int open_mapping(const struct spec *spec, int *ret_fd,
			struct shale_error *err)
{
	int r = userns_open(&spec->maps, ret_fd, err);

	if (r < 0 && is_forbidden(-r)) {
		error_clear(err);
		return error_fail(err, -r, "map ids: " FORBIDDEN_HINT);
	}
	return r;
}

int mount_mapped(const struct mount_engine *engine, const struct spec *spec,
		 int *ret_fd, struct shale_error *err)
{
	struct mapping mapping = { engine, spec, -1, -1, err };
	auto_fd userns_fd = -1;
	int r = check_calls(err);

	if (r == 0)
		r = open_mapping(spec, &userns_fd, err);
	if (r < 0)
		return r;
	mapping.userns_fd = userns_fd;
	/* What that can't do the other way does, or tells why it can't. */
	if (spec->kind == SPEC_OVERLAY && engine == &mount_fsmount &&
	    mount_directly(&mapping, ret_fd) == 0)
		return 0;
	r = mount_apart(covered_main, &mapping, err);
	if (r == 0)
		*ret_fd = mapping.fd;
	return r;
}
