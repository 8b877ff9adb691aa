/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a container sees: each case mounts, writes, unmounts, commits and looks
 * from above.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "scope.h"
#include "trial.h"

static bool fill_base(struct trial *t, int fd)
{
	return put(t, fd, "kept", "base") && put(t, fd, "changed", "base") &&
	       put(t, fd, "deleted", "base") && put_dir(t, fd, "dir") &&
	       put(t, fd, "dir/lower", "base") && put_dir(t, fd, "gone") &&
	       put(t, fd, "gone/file", "base");
}

static bool is_base(struct trial *t, int fd)
{
	return has_text(t, fd, "kept", "base") &&
	       has_text(t, fd, "changed", "base") &&
	       has_text(t, fd, "deleted", "base") &&
	       has_text(t, fd, "dir/lower", "base") &&
	       has_text(t, fd, "gone/file", "base");
}

static bool take(struct trial *t, int fd, const char *path, int flags)
{
	return unlinkat(fd, path, flags) == 0 ||
	       trial_fail(t, "delete '%s': %s", path, strerror(errno));
}

/* Changes, deletes, and puts a new directory where an old one was. */
static bool fill_second(struct trial *t, int fd)
{
	return put(t, fd, "changed", "second") &&
	       put(t, fd, "added", "second") && take(t, fd, "deleted", 0) &&
	       take(t, fd, "gone/file", 0) &&
	       take(t, fd, "gone", AT_REMOVEDIR) &&
	       take(t, fd, "dir/lower", 0) &&
	       take(t, fd, "dir", AT_REMOVEDIR) && put_dir(t, fd, "dir") &&
	       put(t, fd, "dir/upper", "second");
}

static bool is_second(struct trial *t, int fd)
{
	return has_text(t, fd, "kept", "base") &&
	       has_text(t, fd, "changed", "second") &&
	       has_text(t, fd, "added", "second") &&
	       has_not(t, fd, "deleted") && has_not(t, fd, "gone") &&
	       has_not(t, fd, "dir/lower") &&
	       has_text(t, fd, "dir/upper", "second");
}

static void what_is_written_is_in_the_layer(struct trial *t)
{
	int fd;

	TRY(layer_with(t, "base", NULL, fill_base));
	OK(t, prepare(t, "key", "base"));
	TRY((fd = mount_key(t, "key")) >= 0);
	TRY(is_base(t, fd));
	TRY(unmount_key(t, "key", fd));
}

static void changes_and_deletions_are_in_the_layer(struct trial *t)
{
	int fd;

	TRY(layer_with(t, "base", NULL, fill_base));
	TRY(layer_with(t, "second", "base", fill_second));
	OK(t, prepare(t, "key", "second"));
	TRY((fd = mount_key(t, "key")) >= 0);
	TRY(is_second(t, fd));
	TRY(unmount_key(t, "key", fd));
	TRY(look_into(t, "second", is_second));
}

static void the_base_is_not_changed_by_its_child(struct trial *t)
{
	TRY(layer_with(t, "base", NULL, fill_base));
	TRY(layer_with(t, "second", "base", fill_second));
	TRY(look_into(t, "base", is_base));
	OK(t, delete_name(t, "second"));
	TRY(look_into(t, "base", is_base));
}

static bool add_again(struct trial *t, int fd)
{
	return put(t, fd, "deleted", "third") && put_dir(t, fd, "gone");
}

static bool is_third(struct trial *t, int fd)
{
	return has_text(t, fd, "deleted", "third") &&
	       has_not(t, fd, "gone/file") &&
	       has_text(t, fd, "added", "second") &&
	       has_text(t, fd, "dir/upper", "second") &&
	       has_not(t, fd, "dir/lower");
}

static void what_was_deleted_can_be_made_anew(struct trial *t)
{
	TRY(layer_with(t, "base", NULL, fill_base));
	TRY(layer_with(t, "second", "base", fill_second));
	TRY(layer_with(t, "third", "second", add_again));
	TRY(look_into(t, "third", is_third));
	TRY(look_into(t, "second", is_second));
}

static void siblings_do_not_see_each_other(struct trial *t)
{
	int a, b;

	TRY(layer_with(t, "base", NULL, fill_base));
	OK(t, prepare(t, "a", "base"));
	OK(t, prepare(t, "b", "base"));
	TRY((a = mount_key(t, "a")) >= 0);
	TRY((b = mount_key(t, "b")) >= 0);
	TRY(fill_second(t, a));
	TRY(put(t, a, "of a", "a"));
	TRY(is_base(t, b));
	TRY(has_not(t, b, "of a"));
	TRY(unmount_key(t, "a", a));
	TRY(unmount_key(t, "b", b));
}

static void a_view_can_not_be_written_to(struct trial *t)
{
	int fd;

	TRY(layer_with(t, "base", NULL, fill_base));
	OK(t, view(t, "view", "base"));
	TRY((fd = mount_key(t, "view")) >= 0);
	CHECK(t, openat(fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0,
	      "a file was created in a view");
	CHECK(t, errno == EROFS, "creating a file: %s, not EROFS",
	      strerror(errno));
	CHECK(t, openat(fd, "kept", O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS,
	      "a file of a view was opened for writing");
	TRY(unmount_key(t, "view", fd));
}

static void a_view_of_several_layers_can_not_be_written_to(struct trial *t)
{
	int fd;

	TRY(layer_with(t, "base", NULL, fill_base));
	TRY(layer_with(t, "second", "base", fill_second));
	OK(t, view(t, "view", "second"));
	TRY((fd = mount_key(t, "view")) >= 0);
	CHECK(t,
	      openat(fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0 &&
		      errno == EROFS,
	      "a file was created in a view, or: %s", strerror(errno));
	TRY(unmount_key(t, "view", fd));
}

static void an_active_is_found_as_it_was_left(struct trial *t)
{
	int fd;

	TRY(layer_with(t, "base", NULL, fill_base));
	OK(t, prepare(t, "key", "base"));
	TRY((fd = mount_key(t, "key")) >= 0);
	TRY(fill_second(t, fd));
	TRY(unmount_key(t, "key", fd));
	TRY(trial_reopen(t));
	TRY((fd = mount_key(t, "key")) >= 0);
	TRY(is_second(t, fd));
	TRY(unmount_key(t, "key", fd));
}

static bool put_level(struct trial *t, int fd)
{
	static int level;

	level++;
	return put(t, fd, "level", text_new("%d", level)) &&
	       put(t, fd, text_new("of %d", level), "x");
}

static bool is_level_20(struct trial *t, int fd)
{
	for (int i = 1; i <= 20; i++)
		if (!has_text(t, fd, text_new("of %d", i), "x"))
			return false;
	return has_text(t, fd, "level", "20");
}

static void of_20_layers_the_topmost_wins(struct trial *t)
{
	const char *parent = "";

	for (int i = 1; i <= 20; i++) {
		const char *name = text_new("layer %d", i);

		TRY(layer_with(t, name, parent, put_level));
		parent = name;
	}
	TRY(look_into(t, parent, is_level_20));
}

static void a_layer_given_a_parent_is_seen_on_it(struct trial *t)
{
	int fd;

	TRY(layer_with(t, "base", NULL, fill_base));
	OK(t, prepare(t, "key", NULL));
	TRY((fd = mount_key(t, "key")) >= 0);
	TRY(put(t, fd, "changed", "rebased"));
	TRY(unmount_key(t, "key", fd));
	OK(t, commit_onto(t, "name", "key", "base"));
	OK(t, prepare(t, "above", "name"));
	TRY((fd = mount_key(t, "above")) >= 0);
	TRY(has_text(t, fd, "changed", "rebased"));
	TRY(has_text(t, fd, "kept", "base"));
	TRY(unmount_key(t, "above", fd));
}

static bool is_kept(struct trial *t, int fd)
{
	return has_text(t, fd, "kept", "base") &&
	       has_text(t, fd, "before", "x") && has_not(t, fd, "after") &&
	       has_not(t, fd, "deleted");
}

static void a_copy_that_is_kept_has_what_was_there(struct trial *t)
{
	int fd;

	TRY(layer_with(t, "base", NULL, fill_base));
	OK(t, prepare(t, "key", "base"));
	TRY((fd = mount_key(t, "key")) >= 0);
	TRY(put(t, fd, "before", "x"));
	TRY(take(t, fd, "deleted", 0));
	TRY(keep(t, "copy", "key", NULL));
	TRY(put(t, fd, "after", "x"));
	TRY(put(t, fd, "before", "changed"));
	TRY(look_into(t, "copy", is_kept));
	TRY(has_text(t, fd, "before", "changed"));
	TRY(unmount_key(t, "key", fd));
}

/* ---- what a file is, besides its bytes ---- */

static bool same_inode(struct trial *t, int fd)
{
	struct stat a, b;

	if (fstatat(fd, "a", &a, 0) < 0 || fstatat(fd, "d/b", &b, 0) < 0)
		return trial_errno(t, "stat the two names");
	if (a.st_ino != b.st_ino || a.st_nlink != 2)
		return trial_fail(t, "two names of a file are two files");
	return has_text(t, fd, "a", "linked") &&
	       has_text(t, fd, "d/b", "linked");
}

static bool link_two(struct trial *t, int fd)
{
	if (!put(t, fd, "a", "linked") || !put_dir(t, fd, "d"))
		return false;
	return linkat(fd, "a", fd, "d/b", 0) == 0 || trial_errno(t, "link");
}

static bool add_nothing(struct trial *t, int fd)
{
	return put(t, fd, "other", "x");
}

static void hard_links_stay_one_file(struct trial *t)
{
	TRY(layer_with(t, "base", NULL, link_two));
	TRY(look_into(t, "base", same_inode));
	TRY(layer_with(t, "second", "base", add_nothing));
	TRY(look_into(t, "second", same_inode));
}

static const struct timespec long_ago[2] = { { 1000000000, 0 },
					     { 1000000001, 0 } };

static bool make_odd_files(struct trial *t, int fd)
{
	if (!put(t, fd, "suid", "x"))
		return false;
	if (fchownat(fd, "suid", 1234, 5678, 0) < 0 ||
	    fchmodat(fd, "suid", 04755, 0) < 0 ||
	    symlinkat("to nowhere", fd, "symlink") < 0 ||
	    fchownat(fd, "symlink", 7, 8, AT_SYMLINK_NOFOLLOW) < 0 ||
	    mknodat(fd, "fifo", S_IFIFO | 0600, 0) < 0 ||
	    fchmodat(fd, "fifo", 0620, 0) < 0 ||
	    mkdirat(fd, "sticky", 0700) < 0 ||
	    fchmodat(fd, "sticky", 01777, 0) < 0 ||
	    utimensat(fd, "sticky", long_ago, 0) < 0 ||
	    utimensat(fd, "suid", long_ago, 0) < 0 ||
	    utimensat(fd, "symlink", long_ago, AT_SYMLINK_NOFOLLOW) < 0)
		return trial_errno(t, "make odd files");
	return true;
}

static bool is_like(struct trial *t, int fd, const char *path, mode_t mode,
		    uid_t uid, gid_t gid)
{
	struct stat st;

	if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return trial_fail(t, "stat '%s': %s", path, strerror(errno));
	if (st.st_mode != mode || st.st_uid != uid || st.st_gid != gid)
		return trial_fail(t, "'%s' is %o %u:%u, not %o %u:%u", path,
				  st.st_mode, st.st_uid, st.st_gid, mode, uid,
				  gid);
	return (mode & S_IFMT) == S_IFIFO ||
	       st.st_mtim.tv_sec == long_ago[1].tv_sec ||
	       trial_fail(t, "'%s' has another time", path);
}

static bool are_odd_files(struct trial *t, int fd)
{
	char target[32] = "";

	if (readlinkat(fd, "symlink", target, sizeof(target) - 1) < 0)
		return trial_errno(t, "read the symlink");
	if (strcmp(target, "to nowhere") != 0)
		return trial_fail(t, "the symlink leads to '%s'", target);
	return is_like(t, fd, "suid", S_IFREG | 04755, 1234, 5678) &&
	       is_like(t, fd, "symlink", S_IFLNK | 0777, 7, 8) &&
	       is_like(t, fd, "fifo", S_IFIFO | 0620, 0, 0) &&
	       is_like(t, fd, "sticky", S_IFDIR | 01777, 0, 0);
}

static void owners_modes_times_and_types_survive(struct trial *t)
{
	TRY(layer_with(t, "base", NULL, make_odd_files));
	TRY(look_into(t, "base", are_odd_files));
	TRY(layer_with(t, "second", "base", add_nothing));
	TRY(look_into(t, "second", are_odd_files));
}

#define ATTRIBUTE "trusted.conform"

static bool set_attributes(struct trial *t, int fd)
{
	auto_fd file = -1;

	if (!put(t, fd, "file", "x"))
		return false;
	file = openat(fd, "file", O_RDONLY | O_CLOEXEC);
	if (fsetxattr(file, ATTRIBUTE, "a\0b", 3, 0) == 0)
		return true;
	return errno == EOPNOTSUPP
		       ? trial_skip(t, "no %s on this file system", ATTRIBUTE)
		       : trial_errno(t, "set " ATTRIBUTE);
}

static bool has_attributes(struct trial *t, int fd)
{
	auto_fd file = openat(fd, "file", O_RDONLY | O_CLOEXEC);
	char value[8];

	if (fgetxattr(file, ATTRIBUTE, value, sizeof(value)) != 3)
		return trial_errno(t, "read " ATTRIBUTE);
	return !memcmp(value, "a\0b", 3) ||
	       trial_fail(t, ATTRIBUTE " has another value");
}

static void attributes_survive(struct trial *t)
{
	TRY(layer_with(t, "base", NULL, set_attributes));
	TRY(look_into(t, "base", has_attributes));
	TRY(layer_with(t, "second", "base", add_nothing));
	TRY(look_into(t, "second", has_attributes));
}

static bool mark_root(struct trial *t, int fd)
{
	return (fchown(fd, 12, 34) == 0 && fchmod(fd, 0711) == 0) ||
	       trial_errno(t, "change the root directory");
}

static bool is_marked(struct trial *t, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return trial_errno(t, "stat the root directory");
	return (st.st_mode == (S_IFDIR | 0711) && st.st_uid == 12 &&
		st.st_gid == 34) ||
	       trial_fail(t, "the root directory is %o %u:%u, not 40711 12:34",
			  st.st_mode, st.st_uid, st.st_gid);
}

static void the_root_directory_is_as_its_parents(struct trial *t)
{
	int fd;

	TRY(layer_with(t, "base", NULL, mark_root));
	OK(t, prepare(t, "key", "base"));
	TRY((fd = mount_key(t, "key")) >= 0);
	TRY(is_marked(t, fd));
	TRY(unmount_key(t, "key", fd));
	OK(t, commit(t, "second", "key"));
	TRY(look_into(t, "second", is_marked));
}

static void a_first_root_directory_is_0755(struct trial *t)
{
	struct stat st;
	int fd;

	(void)umask(077);
	OK(t, prepare(t, "key", NULL));
	TRY((fd = mount_key(t, "key")) >= 0);
	CHECK(t, fstat(fd, &st) == 0 && st.st_mode == (S_IFDIR | 0755),
	      "it is %o, not 40755", st.st_mode);
	TRY(unmount_key(t, "key", fd));
}

const struct conform_case content_cases[] = {
	CASE(what_is_written_is_in_the_layer, NEEDS_ROOT),
	CASE(changes_and_deletions_are_in_the_layer, NEEDS_ROOT),
	CASE(the_base_is_not_changed_by_its_child, NEEDS_ROOT),
	CASE(what_was_deleted_can_be_made_anew, NEEDS_ROOT),
	CASE(siblings_do_not_see_each_other, NEEDS_ROOT),
	CASE(a_view_can_not_be_written_to, NEEDS_ROOT),
	CASE(a_view_of_several_layers_can_not_be_written_to, NEEDS_ROOT),
	CASE(an_active_is_found_as_it_was_left, NEEDS_ROOT),
	CASE(of_20_layers_the_topmost_wins, NEEDS_ROOT),
	CASE(a_layer_given_a_parent_is_seen_on_it, NEEDS_ROOT),
	CASE(a_copy_that_is_kept_has_what_was_there, NEEDS_ROOT),
	CASE(hard_links_stay_one_file, NEEDS_ROOT),
	CASE(owners_modes_times_and_types_survive, NEEDS_ROOT),
	CASE(attributes_survive, NEEDS_ROOT),
	CASE(the_root_directory_is_as_its_parents, NEEDS_ROOT),
	CASE(a_first_root_directory_is_0755, NEEDS_ROOT | MUST_OFFER),
	CASES_END,
};
