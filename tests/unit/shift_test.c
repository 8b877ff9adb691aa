/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Giving the files of a tree to others, and back.
 */
#include "fixture.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "scope.h"
#include "shift.h"

static struct idmaps maps;

static int setup(void **state)
{
	int r = setup_dir(state);

	if (r == 0)
		r = idmaps_parse("0:100000:1000,1000:300000:10",
				 "0:200000:65536", &maps, NULL);
	if (r == 0)
		make_dir(at("tree"));
	return r;
}

static int end(void **state)
{
	idmaps_clear(&maps);
	return teardown(state);
}

static int shift_to(bool to_inside, int (*stop)(void *ctx))
{
	const struct shift shift = { &maps, to_inside, stop, NULL };
	auto_fd fd = open(at("tree"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return shift_tree(fd, &shift, &why);
}

static void make_owned(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	make_file(path, "text");
	assert_int_equal(chown(path, uid, gid), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void check(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;

	if (lstat(at("tree/%s", name), &st) < 0)
		fail_msg("'%s': %s", name, strerror(errno));
	if (st.st_uid != uid || st.st_gid != gid || st.st_mode != mode)
		fail_msg("'%s' is %u:%u %o", name, st.st_uid, st.st_gid,
			 st.st_mode);
}

static void every_kind_of_file_is_shifted_and_back(void **state)
{
	int64_t written;

	(void)state;
	needs_root();
	make_owned(at("tree/root"), 0, 0, 06755);
	make_owned(at("tree/user"), 1000, 1000, 0600);
	assert_int_equal(link(at("tree/user"), at("tree/user2")), 0);
	make_link(at("tree/link"), "/etc/shadow");
	make_dir(at("tree/dir"));
	assert_int_equal(chmod(at("tree/dir"), 03777), 0);
	assert_int_equal(mkfifo(at("tree/dir/fifo"), 0644), 0);
	assert_int_equal(mknod(at("tree/whiteout"), S_IFCHR, 0), 0);
	written = mtime_ns(at("tree/user"));
	MUST(shift_to(false, NULL));
	check("", 100000, 200000, S_IFDIR | 0755);
	check("root", 100000, 200000, S_IFREG | 06755);
	check("user", 300000, 201000, S_IFREG | 0600);
	check("user2", 300000, 201000, S_IFREG | 0600);
	check("link", 100000, 200000, S_IFLNK | 0777);
	check("dir", 100000, 200000, S_IFDIR | 03777);
	check("dir/fifo", 100000, 200000, S_IFIFO | 0644);
	check("whiteout", 0, 0, S_IFCHR);
	assert_true(mtime_ns(at("tree/user")) == written);
	MUST(shift_to(true, NULL));
	check("", 0, 0, S_IFDIR | 0755);
	check("root", 0, 0, S_IFREG | 06755);
	check("user", 1000, 1000, S_IFREG | 0600);
	check("user2", 1000, 1000, S_IFREG | 0600);
	check("link", 0, 0, S_IFLNK | 0777);
	check("whiteout", 0, 0, S_IFCHR);
}

/* 100005 would otherwise be the container's 5. */
static void what_is_not_mapped_is_nobodys(void **state)
{
	(void)state;
	needs_root();
	make_owned(at("tree/far"), 100005, 70000, 0600);
	MUST(shift_to(false, NULL));
	check("far", SHIFT_NOBODY, SHIFT_NOBODY, S_IFREG | 0600);
	make_owned(at("tree/hosts"), 0, 0, 0600);
	MUST(shift_to(true, NULL));
	check("hosts", SHIFT_NOBODY, SHIFT_NOBODY, S_IFREG | 0600);
}

struct acl {
	uint32_t version;
	struct {
		uint16_t tag, permissions;
		uint32_t id;
	} entries[6];
};

static const struct acl acl = {
	2,
	{ { 0x01, 6, UINT32_MAX },
	  { 0x02, 4, 1000 },
	  { 0x04, 4, UINT32_MAX },
	  { 0x08, 6, 50 },
	  { 0x10, 6, UINT32_MAX },
	  { 0x20, 0, UINT32_MAX } },
};

static void check_acl(const char *path, const char *name, uint32_t uid,
		      uint32_t gid)
{
	struct acl got;

	assert_int_equal(getxattr(path, name, &got, sizeof(got)), sizeof(got));
	assert_int_equal(got.entries[1].id, uid);
	assert_int_equal(got.entries[3].id, gid);
	assert_int_equal(got.entries[1].permissions, 4);
	assert_int_equal(got.entries[4].permissions, 6);
}

static void the_ids_of_an_acl_are_shifted(void **state)
{
	static const char access[] = "system.posix_acl_access";
	static const char inherited[] = "system.posix_acl_default";

	(void)state;
	needs_root();
	make_file(at("tree/file"), "");
	make_dir(at("tree/dir"));
	if (setxattr(at("tree/file"), access, &acl, sizeof(acl), 0) < 0)
		skip_because("needs ACLs");
	assert_int_equal(
		setxattr(at("tree/dir"), inherited, &acl, sizeof(acl), 0), 0);
	MUST(shift_to(false, NULL));
	check_acl(at("tree/file"), access, 300000, 200050);
	check_acl(at("tree/dir"), inherited, 300000, 200050);
	check("file", 100000, 200000, S_IFREG | 0660);
	MUST(shift_to(true, NULL));
	check_acl(at("tree/file"), access, 1000, 50);
}

static void check_capability(uint32_t magic, size_t size, uint32_t root)
{
	struct vfs_ns_cap_data got = { 0 };

	assert_int_equal(getxattr(at("tree/file"), "security.capability", &got,
				  sizeof(got)),
			 size);
	assert_int_equal(le32toh(got.magic_etc), magic | 1);
	assert_int_equal(le32toh(got.data[0].permitted), 1 << CAP_NET_RAW);
	if (size == XATTR_CAPS_SZ_3)
		assert_int_equal(le32toh(got.rootid), root);
}

static void capabilities_hold(void **state)
{
	struct vfs_ns_cap_data data = {
		.magic_etc = htole32(VFS_CAP_REVISION_2 | 1),
		.data[0].permitted = htole32(1 << CAP_NET_RAW),
	};

	(void)state;
	needs_root();
	make_file(at("tree/file"), "");
	assert_int_equal(setxattr(at("tree/file"), "security.capability", &data,
				  XATTR_CAPS_SZ_2, 0),
			 0);
	MUST(shift_to(false, NULL));
	check_capability(VFS_CAP_REVISION_2, XATTR_CAPS_SZ_2, 0);
	/* As a container sets one in a file system that is not mapped. */
	data.magic_etc = htole32(VFS_CAP_REVISION_3 | 1);
	data.rootid = htole32(300003);
	assert_int_equal(setxattr(at("tree/file"), "security.capability", &data,
				  XATTR_CAPS_SZ_3, 0),
			 0);
	check_capability(VFS_CAP_REVISION_3, XATTR_CAPS_SZ_3, 300003);
	MUST(shift_to(true, NULL));
	check_capability(VFS_CAP_REVISION_3, XATTR_CAPS_SZ_3, 1003);
	MUST(shift_to(false, NULL));
	data.rootid = htole32(100000);
	assert_int_equal(setxattr(at("tree/file"), "security.capability", &data,
				  XATTR_CAPS_SZ_3, 0),
			 0);
	MUST(shift_to(true, NULL));
	check_capability(VFS_CAP_REVISION_2, XATTR_CAPS_SZ_2, 0);
}

static int stop_at_once(void *ctx)
{
	(void)ctx;
	return 1;
}

static void a_host_may_stop_it(void **state)
{
	(void)state;
	make_file(at("tree/file"), "");
	why = (struct shale_error)SHALE_ERROR_INIT;
	assert_int_equal(shift_to(false, stop_at_once), -ECANCELED);
	assert_int_equal(why.code, ECANCELED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_kind_of_file_is_shifted_and_back),
		TEST(what_is_not_mapped_is_nobodys),
		TEST(the_ids_of_an_acl_are_shifted),
		TEST(capabilities_hold),
		TEST(a_host_may_stop_it),
	};

	return cmocka_run_group_tests_name("shift", tests, NULL, NULL);
}
