/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A root under a runtime's mounts: see place.h.
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "fsid.h"
#include "mountinfo.h"
#include "scope.h"
#include "target.h"

/* A mount whose parent is R. */
struct child {
	uint64_t mnt_id;
	char *path;			/* on R, with a slash first */
	bool is_strict, is_dir, is_own; /* own: a bind of R's tree */
	int fd, target_fd;
};

struct place {
	int ns_fd;  /* -1: our own */
	int top_fd; /* what the container's init has for / */
	char *rootfs;
	int fd;
	uint64_t mnt_id;
	uint64_t attrs; /* MOUNT_ATTR_* of R to copy */
	struct child *children;
	size_t count;
};

void place_close(struct place *place)
{
	if (!place)
		return;
	for (size_t i = 0; i < place->count; i++) {
		drop_fd(&place->children[i].fd);
		drop_fd(&place->children[i].target_fd);
		free(place->children[i].path);
	}
	free(place->children);
	drop_fd(&place->ns_fd);
	drop_fd(&place->top_fd);
	drop_fd(&place->fd);
	free(place->rootfs);
	free(place);
}

uint64_t place_mnt_id(const struct place *place)
{
	return place->mnt_id;
}

static bool is_at_or_below(const char *path, const char *above)
{
	size_t len = strlen(above);

	return !strncmp(path, above, len) && (!path[len] || path[len] == '/');
}

bool place_has(const struct place *place, const char *path)
{
	for (size_t i = 0; i < place->count; i++)
		if (!strcmp(place->children[i].path, path))
			return true;
	return false;
}

static bool goes_up(const char *path)
{
	for (const char *at = path; (at = strstr(at, "..")); at += 2)
		if ((at == path || at[-1] == '/') && (!at[2] || at[2] == '/'))
			return true;
	return false;
}

bool place_covers(const struct place *place, const char *path)
{
	if (goes_up(path))
		return false;
	for (size_t i = 0; i < place->count; i++)
		if (is_at_or_below(path, place->children[i].path))
			return true;
	return false;
}

const char *place_own_bind(const struct place *place)
{
	for (size_t i = 0; i < place->count; i++)
		if (place->children[i].is_own)
			return place->children[i].path;
	return NULL;
}

static int move(int from_fd, int to_fd)
{
	return syscall(SYS_move_mount, from_fd, "", to_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

/* ---- looking ---- */

static int open_namespace(long pid, int *ret, struct shale_error *err)
{
	char path[64];
	struct stat theirs, ours;
	auto_fd fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%ld/ns/mnt", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &theirs) < 0 ||
	    stat("/proc/self/ns/mnt", &ours) < 0)
		return error_errno(err, errno,
				   "open the mount namespace of process %ld",
				   pid);
	if (theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev)
		return error_fail(
			err, EINVAL,
			"process %ld of the container has no mount namespace of its own",
			pid);
	*ret = take_fd(&fd);
	return 0;
}

/* All of the namespace can be looked at from here; only who moves a mount has
 * to be in it.
 */
static int open_top(long pid, int *ret, struct shale_error *err)
{
	char path[64] = "/";

	if (pid)
		(void)snprintf(path, sizeof(path), "/proc/%ld/root", pid);
	*ret = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? error_errno(err, errno, "open '%s'", path) : 0;
}

static int open_mountinfo(long pid, FILE **ret, struct shale_error *err)
{
	char path[64] = "/proc/thread-self/mountinfo";

	if (pid)
		(void)snprintf(path, sizeof(path), "/proc/%ld/mountinfo", pid);
	*ret = fopen(path, "re");
	return *ret ? 0 : error_errno(err, errno, "open '%s'", path);
}

static int open_root(struct place *place, struct shale_error *err)
{
	struct statx stx;

	place->fd = fs_open_in_root(place->top_fd, place->rootfs,
				    O_PATH | O_DIRECTORY, 0);
	if (place->fd < 0)
		return error_errno(
			err, -place->fd,
			"open the bundle's rootfs '%s' in the container's mount namespace",
			place->rootfs);
	if (statx(place->fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_MNT_ID,
		  &stx) < 0)
		return error_errno(err, errno, "statx '%s'", place->rootfs);
	if (!(stx.stx_mask & STATX_MNT_ID))
		return error_fail(
			err, ENOSYS,
			"the kernel tells no mount ids; Linux 5.8 does");
	if (!(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return error_fail(
			err, EINVAL,
			"'%s' is no mount: is this hook in the list of another stage?",
			place->rootfs);
	place->mnt_id = stx.stx_mnt_id;
	return 0;
}

static const struct {
	const char *option;
	uint64_t attr;
} copied[] = {
	{ "ro", MOUNT_ATTR_RDONLY },
	{ "nosuid", MOUNT_ATTR_NOSUID },
	{ "nodev", MOUNT_ATTR_NODEV },
	{ "noexec", MOUNT_ATTR_NOEXEC },
};

static uint64_t attrs_of(const struct mountinfo *mount)
{
	uint64_t attrs = 0;

	for (size_t i = 0; i < sizeof(copied) / sizeof(*copied); i++)
		if (mountinfo_has(mount->options, copied[i].option))
			attrs |= copied[i].attr;
	return attrs;
}

/* An image could lead these elsewhere, and its masks with them. */
static bool is_strict(const struct mountinfo *mount, const char *path)
{
	return !strcmp(mount->type, "proc") || !strcmp(mount->type, "sysfs") ||
	       !strcmp(path, "/proc") || !strcmp(path, "/sys") ||
	       !strcmp(path, "/dev");
}

static int hidden(const struct child *child, struct shale_error *err)
{
	return error_fail(
		err, EBUSY,
		"the mount at '%s' would be hidden by another: use 'shale mount KEY DIR' before the runtime",
		child->path);
}

/* Opens the child by its name and sees that it is that mount, and its root. */
static int open_child(const struct place *place, struct child *child,
		      struct shale_error *err)
{
	struct stat st;
	uint64_t mnt_id;
	int r;

	if (child->path[0] != '/' || !child->path[1])
		return hidden(child, err);
	child->fd = target_look(place->fd, child->path,
				RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (child->fd == -ENOENT || child->fd == -ELOOP ||
	    child->fd == -ENOTDIR)
		return hidden(child, err);
	if (child->fd < 0)
		return error_errno(err, -child->fd, "open the mount at '%s'",
				   child->path);
	r = fs_mnt_id(child->fd, "", &mnt_id);
	if (r < 0 || fstat(child->fd, &st) < 0)
		return error_errno(err, r < 0 ? -r : errno,
				   "look at the mount at '%s'", child->path);
	if (mnt_id != child->mnt_id)
		return hidden(child, err);
	child->is_dir = S_ISDIR(st.st_mode);
	return 0;
}

/* Whether a mount shows what R itself has at that place, as crun makes for a
 * read-only path.
 */
static bool is_own_bind(const struct mountinfo *mount,
			const struct mountinfo *root, const char *path)
{
	size_t len = strlen(root->root);

	if (strcmp(mount->dev, root->dev) != 0)
		return false;
	if (len == 1) /* "/" */
		len = 0;
	return !strncmp(mount->root, root->root, len) &&
	       !strcmp(mount->root + len, path);
}

static int add_child(struct place *place, const struct mountinfo *mount,
		     const struct mountinfo *root, struct shale_error *err)
{
	struct child *child;

	if (!is_at_or_below(mount->target, root->target))
		return error_fail(err, EBUSY,
				  "mount '%s' is on '%s' and not below it",
				  mount->target, root->target);
	child = realloc(place->children, (place->count + 1) * sizeof(*child));
	if (!child)
		return error_fail(err, ENOMEM, "look at mounts: out of memory");
	place->children = child;
	child += place->count++;
	*child = (struct child){ .fd = -1, .target_fd = -1 };
	child->mnt_id = mount->id;
	child->path = strdup(mount->target + strlen(root->target));
	if (!child->path)
		return error_fail(err, ENOMEM, "look at mounts: out of memory");
	child->is_strict = is_strict(mount, child->path);
	child->is_own = is_own_bind(mount, root, child->path);
	return open_child(place, child, err);
}

/* A whole table of mounts, in the kernel's order. */
struct mount_list {
	struct listed {
		char *line;
		struct mountinfo mount;
	} * items;
	size_t count;
};

static void drop_mount_list(struct mount_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].line);
	free(list->items);
}

/* Takes @line. */
static int mount_list_add(struct mount_list *list, char *line,
			  struct shale_error *err)
{
	auto_free char *taken = line;
	struct listed *items =
		reallocarray(list->items, list->count + 1, sizeof(*items));

	if (!items)
		return error_fail(err, ENOMEM, "look at mounts: out of memory");
	list->items = items;
	if (!mountinfo_parse(line, &items[list->count].mount))
		return error_fail(
			err, EBADMSG,
			"the container's mountinfo has a line without sense: '%s'",
			line);
	items[list->count++].line = take_ptr(&taken);
	return 0;
}

static int mount_list_read(struct mount_list *list, FILE *mountinfo,
			   struct shale_error *err)
{
	char *line = NULL;
	size_t room = 0;
	int r = 0;

	while (r == 0 && getline(&line, &room, mountinfo) > 0) {
		r = mount_list_add(list, line, err);
		line = NULL;
		room = 0;
	}
	free(line);
	return r;
}

static int find_children(struct place *place, const struct mount_list *list,
			 struct shale_error *err)
{
	const struct mountinfo *root = NULL;
	int r = 0;

	for (size_t i = 0; !root && i < list->count; i++)
		if (list->items[i].mount.id == place->mnt_id)
			root = &list->items[i].mount;
	if (!root)
		return error_fail(
			err, ENOENT,
			"the mount of '%s' is not in the container's mountinfo",
			place->rootfs);
	place->attrs = attrs_of(root);
	for (size_t i = 0; r == 0 && i < list->count; i++)
		if (list->items[i].mount.parent == place->mnt_id)
			r = add_child(place, &list->items[i].mount, root, err);
	return r;
}

static int look_at_children(struct place *place, FILE *mountinfo,
			    struct shale_error *err)
{
	__attribute__((
		cleanup(drop_mount_list))) struct mount_list list = { NULL, 0 };
	int r = mount_list_read(&list, mountinfo, err);

	return r < 0 ? r : find_children(place, &list, err);
}

static int place_new(const char *rootfs, int root_fd, struct place **ret,
		     struct shale_error *err)
{
	auto_fd fd = root_fd;
	auto_place place = calloc(1, sizeof(*place));

	if (!place)
		return error_fail(err, ENOMEM, "look at mounts: out of memory");
	place->ns_fd = place->top_fd = -1;
	place->fd = take_fd(&fd);
	place->rootfs = strdup(rootfs);
	if (!place->rootfs)
		return error_fail(err, ENOMEM, "look at mounts: out of memory");
	*ret = take_ptr(&place);
	return 0;
}

int place_read(FILE *mountinfo, const char *rootfs, int root_fd,
	       uint64_t mnt_id, struct place **ret, struct shale_error *err)
{
	auto_place place = NULL;
	int r = place_new(rootfs, root_fd, &place, err);

	if (r < 0)
		return r;
	place->mnt_id = mnt_id;
	r = look_at_children(place, mountinfo, err);
	if (r < 0)
		return r;
	*ret = take_ptr(&place);
	return 0;
}

/* Before anything is done that they are wanted for. */
static int check_kernel(struct shale_error *err)
{
	int r = target_check(err);

	if (r < 0 || move(-1, -1) != -ENOSYS)
		return r;
	return error_fail(
		err, ENOTSUP,
		"no move_mount(2) here (Linux 5.2), which alone puts a root under the mounts of a runtime: use 'shale mount KEY DIR' before the runtime");
}

int place_open(long pid, const char *rootfs, struct place **ret,
	       struct shale_error *err)
{
	auto_place place = NULL;
	auto_file mountinfo = NULL;
	int r = place_new(rootfs, -1, &place, err);

	if (r == 0)
		r = check_kernel(err);
	if (r == 0 && pid)
		r = open_namespace(pid, &place->ns_fd, err);
	if (r == 0)
		r = open_top(pid, &place->top_fd, err);
	if (r == 0)
		r = open_mountinfo(pid, &mountinfo, err);
	if (r == 0)
		r = open_root(place, err);
	if (r == 0)
		r = look_at_children(place, mountinfo, err);
	if (r < 0)
		return r;
	*ret = take_ptr(&place);
	return 0;
}

/* ---- putting ---- */

static int find_targets(struct place *place, int root_fd,
			const struct place_wish *wish, struct shale_error *err)
{
	for (size_t i = 0; i < place->count; i++) {
		struct child *child = &place->children[i];
		const struct target target = {
			.path = child->path,
			.is_dir = child->is_dir,
			.is_strict = child->is_strict,
			.may_create = !wish->is_view,
		};

		child->target_fd = target_open(root_fd, &target, err);
		if (child->target_fd < 0)
			return child->target_fd;
	}
	return 0;
}

static int make_cwd(const struct place *place, int root_fd,
		    const struct place_wish *wish, struct shale_error *err)
{
	const struct target target = { .path = wish->cwd,
				       .is_dir = true,
				       .may_create = true };
	auto_fd fd = -1;

	if (!wish->cwd || wish->is_view || place_covers(place, wish->cwd))
		return 0;
	fd = target_open(root_fd, &target, err);
	return fd < 0 ? error_context(err, fd, "make process.cwd") : 0;
}

static int find_all(struct place *place, int root_fd,
		    const struct place_wish *wish, struct shale_error *err)
{
	int r = fsid_become(wish->uid, wish->gid);

	if (r < 0)
		return error_errno(err, -r, "become the root of the container");
	r = find_targets(place, root_fd, wish, err);
	if (r == 0)
		r = make_cwd(place, root_fd, wish, err);
	fsid_restore();
	return r;
}

static int set_attrs(int fd, uint64_t attrs, struct shale_error *err)
{
	struct mount_attr attr = { .attr_set = attrs };

	if (!attrs)
		return 0;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr,
		    sizeof(attr)) < 0)
		return error_errno(
			err, errno,
			"set the flags of the new root (Linux 5.12)");
	return 0;
}

static int move_all(const struct place *place, int root_fd,
		    struct shale_error *err)
{
	int r = move(root_fd, place->fd);

	if (r < 0)
		return error_errno(err, -r, "move the new root onto '%s'",
				   place->rootfs);
	for (size_t i = 0; i < place->count; i++) {
		const struct child *child = &place->children[i];

		r = move(child->fd, child->target_fd);
		if (r < 0)
			return error_errno(
				err, -r,
				"move the mount at '%s' to the new root",
				child->path);
	}
	return 0;
}

static bool is_mount(int fd, uint64_t expected)
{
	uint64_t mnt_id;

	return fd >= 0 && fs_mnt_id(fd, "", &mnt_id) == 0 && mnt_id == expected;
}

/* Each by its name again, as the container is going to see it. */
static int verify_all(const struct place *place, int root_fd,
		      struct shale_error *err)
{
	auto_fd seen = fs_open_in_root(place->top_fd, place->rootfs,
				       O_PATH | O_DIRECTORY, 0);
	uint64_t root_id;
	int r = fs_mnt_id(root_fd, "", &root_id);

	if (r < 0)
		return error_errno(err, -r, "look at the new root");
	if (!is_mount(seen, root_id))
		return error_fail(err, EBUSY,
				  "the new root does not show at '%s'",
				  place->rootfs);
	for (size_t i = 0; i < place->count; i++) {
		const struct child *child = &place->children[i];
		auto_fd fd = fs_open_in_root(
			root_fd, child->path, O_PATH,
			child->is_strict ? RESOLVE_NO_SYMLINKS : 0);

		if (!is_mount(fd, child->mnt_id))
			return hidden(child, err);
	}
	return 0;
}

static int put(const struct place *place, int root_fd, struct shale_error *err)
{
	int r = move_all(place, root_fd, err);

	return r < 0 ? r : verify_all(place, root_fd, err);
}

/* Not in a thread: on a busy machine that waits its turn for milliseconds. */
static int put_inside(const struct place *place, int root_fd,
		      struct shale_error *err)
{
	auto_fd home = -1;
	int r;

	if (place->ns_fd < 0)
		return put(place, root_fd, err);
	home = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return error_errno(err, errno, "open our own mount namespace");
	/* setns wants a root and working directory that nobody shares. */
	if (unshare(CLONE_FS) < 0 || setns(place->ns_fd, CLONE_NEWNS) < 0)
		return error_errno(
			err, errno,
			"enter the mount namespace of the container");
	r = put(place, root_fd, err);
	if (setns(home, CLONE_NEWNS) < 0 && r == 0)
		r = error_errno(err, errno,
				"come back to our own mount namespace");
	return r;
}

int place_put(struct place *place, int root_fd, const struct place_wish *wish,
	      struct shale_error *err)
{
	uint64_t attrs = place->attrs;
	int r = find_all(place, root_fd, wish, err);

	if (wish->read_only)
		attrs |= MOUNT_ATTR_RDONLY;
	if (r == 0)
		r = set_attrs(root_fd, attrs, err);
	if (r == 0)
		r = put_inside(place, root_fd, err);
	return r;
}
