/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * slow_chown: copies of layers where there are no idmapped mounts.  That the
 * kernel has none is said by a mount_setattr of this test's own;
 * tests/e2e/userns.sh has a file system for which it is true.
 */
#include "fixture.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scope.h"

#define ONE "0:100000:65536"
#define OTHER "0:300000:65536"

static bool can_map;

int mount_setattr(int dir_fd, const char *path, unsigned flags,
		  struct mount_attr *attr, size_t size)
{
	int (*real)(int, const char *, unsigned, struct mount_attr *, size_t) =
		(int (*)(int, const char *, unsigned, struct mount_attr *,
			 size_t))dlsym(RTLD_NEXT, "mount_setattr");

	if (!can_map && (attr->attr_set & MOUNT_ATTR_IDMAP)) {
		errno = EINVAL;
		return -1;
	}
	return real(dir_fd, path, flags, attr, size);
}

/* Called when the copies of a mapping are about to be listed; NULL for none. */
static void (*before_listing)(void);

int scandirat(int fd, const char *dir, struct dirent ***ret,
	      int (*filter)(const struct dirent *),
	      int (*compare)(const struct dirent **, const struct dirent **))
{
	__typeof__(&scandirat) real =
		(__typeof__(&scandirat))dlsym(RTLD_NEXT, "scandirat");
	void (*before)(void) = before_listing;

	if (before && strncmp(dir, "mapped/", 7) == 0) {
		before_listing = NULL;
		before();
	}
	return real(fd, dir, ret, filter, compare);
}

/* As on a full disk, where a name may still be made and another one not. */
static bool can_move_copies = true;

int renameat(int old_fd, const char *old, int new_fd, const char *new)
{
	__typeof__(&renameat) real =
		(__typeof__(&renameat))dlsym(RTLD_NEXT, "renameat");

	if (!can_move_copies && strncmp(old, "mapped/", 7) == 0) {
		errno = ENOSPC;
		return -1;
	}
	return real(old_fd, old, new_fd, new);
}

/* As on a disk that fails: by the name that is used with the lock. */
static bool can_unlink_certificates = true;

int unlinkat(int fd, const char *path, int flags)
{
	__typeof__(&unlinkat) real =
		(__typeof__(&unlinkat))dlsym(RTLD_NEXT, "unlinkat");

	if (!can_unlink_certificates && strncmp(path, "mapped/", 7) == 0) {
		errno = EIO;
		return -1;
	}
	return real(fd, path, flags);
}

static struct shale_store *slow;

static int setup(void **state)
{
	int r = setup_store(state);

	can_map = false;
	can_move_copies = can_unlink_certificates = true;
	make_dir(at("m"));
	slow = open_more(NULL, "slow_chown", "yes", NULL);
	return r;
}

static int end(void **state)
{
	(void)umount2(at("m"), MNT_DETACH);
	return teardown(state);
}

static int prepare(const char *key, const char *parent, const char *map)
{
	const char *const labels[] = { SHALE_LABEL_UIDMAP, map,
				       SHALE_LABEL_GIDMAP, map, NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	return shale_prepare(slow, key, parent, &opts, &why);
}

static const char *copy_of(const char *map, const char *name, const char *file)
{
	char both[64];

	(void)snprintf(both, sizeof(both), "%s %s", map, map);
	return at("store/mapped/%s/%s/%s", id(both), id(name), file);
}

static void check_owner(const char *path, uid_t uid, mode_t mode)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		fail_msg("'%s': %s", path, strerror(errno));
	if (st.st_uid != uid || st.st_gid != uid ||
	    (st.st_mode & 07777) != mode)
		fail_msg("'%s' is %u:%u %o", path, st.st_uid, st.st_gid,
			 st.st_mode & 07777);
}

static int mount_emitted(void *ctx, const struct shale_mount_spec *spec)
{
	(void)ctx;
	return shale_mount(spec, at("m"), &why) < 0;
}

static void each_mapping_has_its_copies(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_layer("two", "base");
	MUST(prepare("k", "two", ONE));
	MUST(prepare("other", "two", OTHER));
	check_owner(copy_of(ONE, "base", "fs"), 100000, 0755);
	check_owner(copy_of(ONE, "two", "fs/file"), 100000, 0644);
	check_owner(copy_of(OTHER, "two", "fs/file"), 300000, 0644);
	check_owner(of_key("k", "fs"), 100000, 0755);
	check_owner(of_key("other", "fs"), 300000, 0755);
	check_owner(of_name("two", "fs/file"), 0, 0644);
	check_mount(slow, "k",
		    "overlay overlay workdir=%s upperdir=%s lowerdir=%s:%s"
		    " " DEFAULTS,
		    of_key("k", "work"), of_key("k", "fs"),
		    copy_of(ONE, "two", "fs"), copy_of(ONE, "base", "fs"));
	MUST(shale_mounts(slow, "k", mount_emitted, NULL, &why));
	check_owner(at("m/file"), 100000, 0644);
	check_list(at("store/staging"), "");
	check_list(at("store/trash"), "");
}

static void a_copy_is_made_once(void **state)
{
	struct stat before, after;

	(void)state;
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	assert_int_equal(stat(copy_of(ONE, "base", "fs"), &before), 0);
	MUST(prepare("again", "base", ONE));
	assert_int_equal(stat(copy_of(ONE, "base", "fs"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void what_can_be_mapped_is_not_copied(void **state)
{
	(void)state;
	can_map = true;
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	assert_false(is_there(at("store/mapped")));
	check_owner(of_key("k", "fs"), 0, 0755);
	check_mount(slow, "k",
		    "overlay overlay workdir=%s upperdir=%s lowerdir=%s"
		    " " DEFAULTS " uidmap=" ONE " gidmap=" ONE,
		    of_key("k", "work"), of_key("k", "fs"),
		    of_name("base", "fs"));
}

static void without_slow_chown_the_mount_is_refused(void **state)
{
	(void)state;
	slow = open_more(NULL, NULL);
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	assert_false(is_there(at("store/mapped")));
	why = (struct shale_error)SHALE_ERROR_INIT;
	assert_int_equal(shale_mounts(slow, "k", mount_emitted, NULL, &why), 1);
	assert_int_equal(why.code, EOPNOTSUPP);
	assert_non_null(strstr(why.msg, "slow_chown"));
}

static void a_view_and_a_parentless_one_are_binds(void **state)
{
	const char *const labels[] = { SHALE_LABEL_UIDMAP, ONE,
				       SHALE_LABEL_GIDMAP, ONE, NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	(void)state;
	make_layer("base", NULL);
	MUST(shale_view(slow, "v", "base", &opts, &why));
	check_mount(slow, "v", "bind %s ro rbind", copy_of(ONE, "base", "fs"));
	MUST(prepare("alone", NULL, ONE));
	check_mount(slow, "alone", "bind %s rw rbind", of_key("alone", "fs"));
	check_owner(of_key("alone", "fs"), 100000, 0755);
}

static void copies_go_with_their_layer(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	MUST(prepare("other", "base", OTHER));
	MUST(shale_remove(slow, "k", &why));
	MUST(shale_remove(slow, "other", &why));
	MUST(shale_delete(slow, "base", &why));
	assert_false(is_there(copy_of(ONE, "base", "")));
	assert_false(is_there(copy_of(OTHER, "base", "")));
	check_list(at("store/trash"), "");
}

static void a_copy_that_is_missing_or_torn_is_made_again(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	delete_tree(copy_of(ONE, "base", ""));
	MUST(shale_mounts(slow, "k", mount_emitted, NULL, &why));
	check_owner(at("m/file"), 100000, 0644);
	MUST(shale_unmount(at("m"), &why));
	delete_path(copy_of(ONE, "base", "layer"));
	delete_path(copy_of(ONE, "base", "fs/file"));
	MUST(shale_mounts(slow, "k", mount_emitted, NULL, &why));
	check_owner(at("m/file"), 100000, 0644);
	check_list(at("store/trash"), "");
}

/* As when the power went while the first one was deleted. */
static void a_later_layer_of_the_name_is_not_served_by_it(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	MUST(shale_remove(slow, "k", &why));
	assert_int_equal(rename(copy_of(ONE, "base", ""), at("kept")), 0);
	MUST(shale_delete(slow, "base", &why));
	make_layer("base", NULL);
	make_file(of_name("base", "fs/later"), "");
	assert_int_equal(rename(at("kept"), copy_of(ONE, "base", "")), 0);
	MUST(prepare("k", "base", ONE));
	assert_true(is_there(copy_of(ONE, "base", "fs/later")));
}

static void cleanup_removes_what_no_key_needs(void **state)
{
	uint64_t removed = 0;

	(void)state;
	make_layer("base", NULL);
	make_layer("two", "base");
	MUST(prepare("k", "two", ONE));
	MUST(prepare("other", "two", OTHER));
	MUST(shale_cleanup(slow, &removed, &why));
	assert_int_equal(removed, 0);
	assert_true(is_there(copy_of(ONE, "base", "layer")));
	MUST(shale_remove(slow, "other", &why));
	MUST(shale_cleanup(slow, &removed, &why));
	assert_int_equal(removed, 2);
	assert_true(is_there(copy_of(ONE, "two", "layer")));
	assert_false(is_there(copy_of(OTHER, "two", "")));
	MUST(shale_remove(slow, "k", &why));
	MUST(shale_cleanup(slow, &removed, &why));
	check_list(at("store/mapped"), "");
	check_list(at("store/trash"), "");
}

static int count_finding(void *ctx, const struct shale_finding *finding)
{
	if (!(finding->flags & SHALE_FINDING_REPAIRED))
		fail_msg("'%s': %s", finding->path, finding->remedy);
	(*(int *)ctx)++;
	return 0;
}

/* What can't go to the trash is deleted where it is, and not only said to be. */
static void a_copy_that_can_not_be_moved_is_deleted_all_the_same(void **state)
{
	uint64_t removed = 0;
	int count = 0;

	(void)state;
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	can_move_copies = false;
	delete_path(copy_of(ONE, "base", "layer"));
	MUST(shale_check(slow, SHALE_CHECK_REPAIR, count_finding, &count,
			 &why));
	assert_int_equal(count, 1);
	assert_false(is_there(copy_of(ONE, "base", "")));
	MUST(prepare("again", "base", ONE));
	MUST(shale_remove(slow, "k", &why));
	MUST(shale_remove(slow, "again", &why));
	MUST(shale_cleanup(slow, &removed, &why));
	assert_int_equal(removed, 1);
	check_list(at("store/mapped"), "");
	check_list(at("store/trash"), "");
}

static void a_copy_that_stays_certified_stays_whole(void **state)
{
	uint64_t removed = 0;

	(void)state;
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	MUST(shale_remove(slow, "k", &why));
	can_move_copies = can_unlink_certificates = false;
	MUST(shale_cleanup(slow, &removed, &why));
	assert_int_equal(removed, 0);
	assert_true(is_there(copy_of(ONE, "base", "layer")));
	check_owner(copy_of(ONE, "base", "fs/file"), 100000, 0644);
}

static void a_commit_has_the_owners_inside(void **state)
{
	struct shale_opts keep = { .size = sizeof(keep),
				   .flags = SHALE_COMMIT_KEEP };

	(void)state;
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	make_file(of_key("k", "fs/user"), "");
	assert_int_equal(chown(of_key("k", "fs/user"), 101000, 101000), 0);
	assert_int_equal(chmod(of_key("k", "fs/user"), 04711), 0);
	make_file(of_key("k", "fs/hosts"), "");
	MUST(shale_commit(slow, "kept", "k", &keep, &why));
	check_owner(of_name("kept", "fs/user"), 1000, 04711);
	check_owner(of_key("k", "fs/user"), 101000, 04711);
	MUST(shale_mounts(slow, "k", mount_emitted, NULL, &why));
	REFUSED(EBUSY, "mounted", shale_commit(slow, "three", "k", NULL, &why));
	MUST(shale_unmount(at("m"), &why));
	MUST(shale_commit(slow, "three", "k", NULL, &why));
	check_owner(of_name("three", "fs"), 0, 0755);
	check_owner(of_name("three", "fs/user"), 1000, 04711);
	check_owner(of_name("three", "fs/hosts"), 65534, 0644);
	check_link(of_name("three", "name.parent"), parent_fact("base"));
	assert_int_equal(shale_exists(slow, "k", NULL), -ENOENT);
	assert_false(is_there(of_key("k", "")));
	assert_false(is_there(of_name("three", "key.mapped")));
	REFUSED(EBUSY, "2 children", shale_delete(slow, "base", &why));
	MUST(shale_delete(slow, "three", &why));
	MUST(shale_delete(slow, "kept", &why));
	MUST(shale_delete(slow, "base", &why));
	check_list(at("store/trash"), "");
	check_list(at("store/staging"), "");
}

static void an_upper_elsewhere_has_other_owners_too(void **state)
{
	const char *const labels[] = { SHALE_LABEL_UIDMAP,
				       ONE,
				       SHALE_LABEL_GIDMAP,
				       ONE,
				       SHALE_LABEL_UPPER,
				       "u",
				       NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };
	char place[PATH_MAX];

	(void)state;
	make_dir(at("uppers"));
	(void)snprintf(place, sizeof(place), "u=%s", at("uppers"));
	slow = open_more(NULL, "slow_chown", "yes", "upper", place, NULL);
	make_layer("base", NULL);
	make_layer("two", "base");
	for (int i = 0; i < 2; i++) {
		can_map = i == 1;
		if (can_map)
			slow = open_more(NULL, "upper", place, NULL);
		MUST(shale_prepare(slow, "k", "two", &opts, &why));
		MUST(shale_mounts(slow, "k", mount_emitted, NULL, &why));
		check_owner(at("m"), 100000, 0755);
		check_owner(at("m/file"), 100000, 0644);
		assert_int_equal(chmod(at("m/file"), 0600), 0);
		MUST(shale_unmount(at("m"), &why));
		MUST(shale_commit(slow, i ? "mapped" : "copied", "k", NULL,
				  &why));
		check_owner(of_name(i ? "mapped" : "copied", "fs/file"), 0,
			    0600);
		check_owner(of_name(i ? "mapped" : "copied", "fs"), 0, 0755);
	}
}

static void its_mapping_stays(void **state)
{
	const char *const labels[] = { SHALE_LABEL_UIDMAP, OTHER,
				       SHALE_LABEL_GIDMAP, OTHER, NULL };

	(void)state;
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	REFUSED(EINVAL, "made with",
		shale_update(slow, "k", labels, NULL, &why));
	REFUSED(EINVAL, "made with", shale_update(slow, "k", NULL, NULL, &why));
}

static void a_torn_fact_is_damage(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	delete_path(of_key("k", "key.mapped"));
	make_link(of_key("k", "key.mapped"), "elsewhere");
	reopen();
	REFUSED(EUCLEAN, "mapping",
		shale_mounts(store, "k", mount_emitted, NULL, &why));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, end)

static void prepare_late(void)
{
	const char *const labels[] = { SHALE_LABEL_UIDMAP, ONE,
				       SHALE_LABEL_GIDMAP, ONE, NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };
	struct shale_store *other = open_more(NULL, "slow_chown", "yes", NULL);

	MUST(shale_prepare(other, "late", "base", &opts, &why));
}

static void cleanup_spares_the_copies_of_who_came_meanwhile(void **state)
{
	uint64_t removed;

	(void)state;
	make_layer("base", NULL);
	MUST(prepare("k", "base", ONE));
	MUST(shale_remove(slow, "k", &why));
	before_listing = prepare_late;
	MUST(shale_cleanup(slow, &removed, &why));
	assert_null(before_listing);
	check_owner(copy_of(ONE, "base", "fs/file"), 100000, 0644);
	MUST(shale_remove(slow, "late", &why));
	MUST(shale_cleanup(slow, &removed, &why));
	assert_false(is_there(copy_of(ONE, "base", "fs")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_mapping_has_its_copies),
		TEST(a_copy_is_made_once),
		TEST(what_can_be_mapped_is_not_copied),
		TEST(without_slow_chown_the_mount_is_refused),
		TEST(a_view_and_a_parentless_one_are_binds),
		TEST(copies_go_with_their_layer),
		TEST(a_copy_that_is_missing_or_torn_is_made_again),
		TEST(a_later_layer_of_the_name_is_not_served_by_it),
		TEST(cleanup_removes_what_no_key_needs),
		TEST(cleanup_spares_the_copies_of_who_came_meanwhile),
		TEST(a_copy_that_can_not_be_moved_is_deleted_all_the_same),
		TEST(a_copy_that_stays_certified_stays_whole),
		TEST(a_commit_has_the_owners_inside),
		TEST(an_upper_elsewhere_has_other_owners_too),
		TEST(its_mapping_stays),
		TEST(a_torn_fact_is_damage),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0) {
		(void)puts("1..0 # SKIP needs root and a mount namespace");
		return 0;
	}
	return cmocka_run_group_tests_name("shifted", tests, NULL, NULL);
}
