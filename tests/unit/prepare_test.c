/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale_prepare and shale_view: what they make on disk, exactly, and what
 * they refuse.
 */
#include "fixture.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *const some_labels[] = { "b", "2", "a", "1", NULL };
static const struct shale_opts with_labels = {
	.size = sizeof(struct shale_opts),
	.labels = some_labels,
};

static mode_t mode_of(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		fail_msg("lstat %s: %s", path, strerror(errno));
	return st.st_mode;
}

static void the_id_is_half_of_a_sha256_in_hex(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "abc", NULL, NULL, &why));
	check_list(at("store/active"), "ba7816bf8f01cfea414140de5dae2223");
}

static void prepare_makes_exactly_the_facts_of_an_active(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", &with_labels, &why));
	check_list(of_key("k", ""), "fs key key.labels key.parent work");
	check_link(of_key("k", "key"), "k");
	check_link(of_key("k", "key.parent"), parent_fact("base"));
	check_link(of_key("k", "key.labels"), "{\"a\":\"1\",\"b\":\"2\"}");
	check_list(of_key("k", "fs"), "");
	check_list(of_key("k", "work"), "");
	check_list(at("store/staging"), "");
	check_list(at("store/trash"), "");
}

/* It is a bind and not an overlay: it needs no work either. */
static void an_active_without_parent_and_labels_has_no_such_facts(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	check_list(of_key("k", ""), "fs key");
	MUST(shale_prepare(store, "l", "", NULL, &why));
	check_list(of_key("l", ""), "fs key");
}

static void view_makes_exactly_the_facts_of_a_view(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_view(store, "v", "base", &with_labels, &why));
	check_list(of_key("v", ""), "key.labels key.parent view");
	check_link(of_key("v", "view"), "v");
	check_link(of_key("v", "key.parent"), parent_fact("base"));
	check_link(of_key("v", "key.labels"), "{\"a\":\"1\",\"b\":\"2\"}");
}

static void a_view_without_parent_has_an_fs_of_its_own(void **state)
{
	(void)state;
	MUST(shale_view(store, "v", NULL, NULL, &why));
	check_list(of_key("v", ""), "fs view");
	check_list(of_key("v", "fs"), "");
}

static void check_name_works(const char *name)
{
	struct seen seen;

	MUST(shale_prepare(store, name, NULL, NULL, &why));
	check_link(of_key(name, "key"), name);
	look(name, &seen);
	assert_string_equal(seen.name, name);
	check_mount(store, name, "bind %s rw rbind", of_key(name, "fs"));
	MUST(shale_remove(store, name, &why));
	MUST(shale_prepare(store, "key", NULL, NULL, &why));
	MUST(shale_commit(store, name, "key", NULL, &why));
	check_link(of_name(name, "name"), name);
	MUST(shale_view(store, "v", name, NULL, &why));
	look("v", &seen);
	assert_string_equal(seen.parent, name);
	MUST(shale_remove(store, "v", &why));
	MUST(shale_delete(store, name, &why));
	check_list(at("store/active"), "");
	check_list(at("store/snapshots"), "");
}

static void names_may_hold_every_byte_but_nul(void **state)
{
	static const char *const names[] = {
		"a/b/c",   "/",	 ".",	 "..",		"../../../etc", "a b",
		"a:b,c\\", "\n", "\xff", "\xc3\xa9\n/", "-rf",		"%s%n",
	};
	char all[256];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		check_name_works(names[i]);
	for (size_t i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	check_name_works(all);
}

static void names_of_1_and_of_1023_bytes_work(void **state)
{
	char name[1024];

	(void)state;
	check_name_works("x");
	memset(name, 'n', 1023);
	name[1023] = '\0';
	check_name_works(name);
}

static void names_of_0_and_of_1024_bytes_are_refused(void **state)
{
	char name[1025], parent[SHALE_NAME_SIZE];
	struct shale_usage usage = { .size = sizeof(usage) };
	struct seen seen = { 0 };
	const char *const names[] = { "", name };

	(void)state;
	memset(name, 'n', 1024);
	name[1024] = '\0';
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	for (size_t i = 0; i < 2; i++) {
		const char *bad = names[i];

		REFUSED(EINVAL, "", shale_prepare(store, bad, 0, 0, &why));
		REFUSED(EINVAL, "", shale_view(store, bad, 0, 0, &why));
		REFUSED(EINVAL, "", shale_commit(store, bad, "k", 0, &why));
		REFUSED(EINVAL, "", shale_commit(store, "n", bad, 0, &why));
		REFUSED(EINVAL, "", shale_remove(store, bad, &why));
		REFUSED(EINVAL, "", shale_delete(store, bad, &why));
		REFUSED(EINVAL, "", shale_exists(store, bad, &why));
		REFUSED(EINVAL, "", shale_parent(store, bad, parent, &why));
		REFUSED(EINVAL, "", shale_stat(store, bad, see, &seen, &why));
		REFUSED(EINVAL, "", shale_update(store, bad, 0, 0, &why));
		REFUSED(EINVAL, "", shale_usage(store, bad, &usage, &why));
		REFUSED(EINVAL, "", shale_in_use(store, bad, &why));
	}
	REFUSED(EINVAL, "", shale_prepare(store, "new", name, NULL, &why));
	REFUSED(EINVAL, "", shale_view(store, "new", name, NULL, &why));
}

static void no_name_at_all_is_refused(void **state)
{
	(void)state;
	REFUSED(EINVAL, "", shale_prepare(store, NULL, NULL, NULL, &why));
	REFUSED(EINVAL, "", shale_remove(store, NULL, &why));
	REFUSED(EINVAL, "", shale_exists(store, NULL, &why));
	REFUSED(EINVAL, "", shale_commit(store, NULL, NULL, NULL, &why));
}

static void an_unknown_parent_is_enoent(void **state)
{
	(void)state;
	REFUSED(ENOENT, "'p'", shale_prepare(store, "k", "p", NULL, &why));
	REFUSED(ENOENT, "'p'", shale_view(store, "k", "p", NULL, &why));
}

static void a_parent_that_is_not_committed_is_refused(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "a", NULL, NULL, &why));
	MUST(shale_view(store, "v", "base", NULL, &why));
	REFUSED(EINVAL, "'a'", shale_prepare(store, "k", "a", NULL, &why));
	REFUSED(EINVAL, "'v'", shale_prepare(store, "k", "v", NULL, &why));
	REFUSED(EINVAL, "'a'", shale_view(store, "k", "a", NULL, &why));
	REFUSED(EINVAL, "'v'", shale_view(store, "k", "v", NULL, &why));
}

static void keys_and_names_share_one_space(void **state)
{
	static const char *const taken[] = { "a", "v", "base" };

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "a", "base", NULL, &why));
	MUST(shale_view(store, "v", "base", NULL, &why));
	for (size_t i = 0; i < 3; i++) {
		const char *key = taken[i], *quoted = at("'%s'", key);

		quoted += strlen(here) + 1;
		REFUSED(EEXIST, quoted, shale_prepare(store, key, 0, 0, &why));
		REFUSED(EEXIST, quoted,
			shale_prepare(store, key, "base", NULL, &why));
		REFUSED(EEXIST, quoted,
			shale_view(store, key, "base", NULL, &why));
	}
}

static void the_root_is_0755_of_the_caller_without_a_parent(void **state)
{
	struct stat st;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(lstat(of_key("k", "fs"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_gid, getegid());
	MUST(shale_view(store, "v", NULL, NULL, &why));
	assert_int_equal(mode_of(of_key("v", "fs")), S_IFDIR | 0755);
}

static void the_root_has_the_mode_of_the_parents_root(void **state)
{
	static const mode_t modes[] = { 01777, 0700, 0511, 02750 };

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		MUST(shale_prepare(store, "p", NULL, NULL, &why));
		assert_int_equal(chmod(of_key("p", "fs"), modes[i]), 0);
		MUST(shale_commit(store, "base", "p", NULL, &why));
		MUST(shale_prepare(store, "k", "base", NULL, &why));
		assert_int_equal(mode_of(of_key("k", "fs")),
				 S_IFDIR | modes[i]);
		MUST(shale_remove(store, "k", &why));
		MUST(shale_delete(store, "base", &why));
	}
}

static void the_root_has_the_owner_of_the_parents_root(void **state)
{
	struct stat st;

	(void)state;
	needs_root();
	MUST(shale_prepare(store, "p", NULL, NULL, &why));
	assert_int_equal(chown(of_key("p", "fs"), 1234, 5678), 0);
	assert_int_equal(chmod(of_key("p", "fs"), 06711), 0);
	MUST(shale_commit(store, "base", "p", NULL, &why));
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	assert_int_equal(lstat(of_key("k", "fs"), &st), 0);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 5678);
	assert_int_equal(st.st_mode, S_IFDIR | 06711);
}

static void modes_are_the_same_under_any_umask(void **state)
{
	static const mode_t umasks[] = { 0, 022, 0777 };
	char *dumps[3];

	(void)state;
	make_layer("base", NULL);
	for (size_t i = 0; i < 3; i++) {
		(void)umask(umasks[i]);
		MUST(shale_prepare(store, "k", "base", &with_labels, &why));
		MUST(shale_view(store, "v", NULL, NULL, &why));
		(void)umask(022);
		dumps[i] = dump();
		MUST(shale_remove(store, "k", &why));
		MUST(shale_remove(store, "v", &why));
	}
	assert_string_equal(dumps[0], dumps[1]);
	assert_string_equal(dumps[0], dumps[2]);
	for (size_t i = 0; i < 3; i++)
		free(dumps[i]);
}

static void the_callers_umask_is_not_touched(void **state)
{
	(void)state;
	(void)umask(037);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
	assert_int_equal(umask(022), 037);
}

static void a_setgid_bit_is_not_inherited(void **state)
{
	(void)state;
	make_layer("base", NULL);
	assert_int_equal(chmod(at("store/staging"), 02700), 0);
	assert_int_equal(chmod(at("store/active"), 02700), 0);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	assert_int_equal(mode_of(of_key("k", "fs")), S_IFDIR | 0755);
	assert_int_equal(mode_of(of_key("k", "work")) & 07000, 0);
}

/* A default ACL of five entries, as the kernel reads it. */
static int give_default_acl(const char *path)
{
	static const uint32_t acl[] = {
		2,		  /* version */
		0x00070001, ~0u,  /* user::rwx */
		0x00070002, 1234, /* user:1234:rwx */
		0x00050004, ~0u,  /* group::r-x */
		0x00070010, ~0u,  /* mask::rwx */
		0x00050020, ~0u,  /* other::r-x */
	};

	return setxattr(path, "system.posix_acl_default", acl, sizeof(acl), 0);
}

static void an_acl_is_not_inherited(void **state)
{
	static const char *const dirs[] = { "", "fs", "work" };

	(void)state;
	make_layer("base", NULL);
	if (give_default_acl(at("store/staging")) < 0)
		skip_because("needs ACLs");
	assert_int_equal(give_default_acl(at("store/active")), 0);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	for (size_t i = 0; i < 3; i++) {
		const char *path = of_key("k", dirs[i]);

		assert_int_equal(
			getxattr(path, "system.posix_acl_default", NULL, 0),
			-1);
		assert_int_equal(
			getxattr(path, "system.posix_acl_access", NULL, 0), -1);
	}
	assert_int_equal(mode_of(of_key("k", "fs")), S_IFDIR | 0755);
}

/* Options of a caller that was built against a later header. */
struct longer_opts {
	struct shale_opts opts;
	uint64_t more;
};

static void longer_options_are_taken_while_the_rest_is_zero(void **state)
{
	struct longer_opts longer = { .opts.size = sizeof(longer) };

	(void)state;
	MUST(shale_prepare(store, "k", NULL, &longer.opts, &why));
	MUST(shale_view(store, "v", NULL, &longer.opts, &why));
	MUST(shale_commit(store, "n", "k", &longer.opts, &why));
}

static void longer_options_that_ask_for_more_are_refused(void **state)
{
	struct longer_opts longer = { .opts.size = sizeof(longer) };

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	longer.more = UINT64_C(1) << 63;
	REFUSED(E2BIG, "", shale_prepare(store, "l", NULL, &longer.opts, &why));
	REFUSED(E2BIG, "", shale_view(store, "v", NULL, &longer.opts, &why));
	REFUSED(E2BIG, "", shale_commit(store, "n", "k", &longer.opts, &why));
}

static void unknown_flags_are_refused(void **state)
{
	struct shale_opts opts = { .size = sizeof(opts), .flags = 1u << 31 };

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	REFUSED(EINVAL, "", shale_prepare(store, "l", NULL, &opts, &why));
	REFUSED(EINVAL, "", shale_view(store, "v", NULL, &opts, &why));
	REFUSED(EINVAL, "", shale_commit(store, "n", "k", &opts, &why));
}

static void options_shorter_than_the_first_ones_are_refused(void **state)
{
	static const uint32_t sizes[] = { 0, 4, 8, 16 };
	struct shale_opts opts = {
		.labels = (const char *const *)16,
		.parent = (const char *)16,
	};

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		opts.size = sizes[i];
		REFUSED(EINVAL, "",
			shale_prepare(store, "l", NULL, &opts, &why));
		REFUSED(EINVAL, "", shale_view(store, "v", NULL, &opts, &why));
		REFUSED(EINVAL, "", shale_commit(store, "n", "k", &opts, &why));
	}
}

static void every_durability_makes_the_same_store(void **state)
{
	static const char *const levels[] = { "none", "layer", "all" };
	char *dumps[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct shale_store *it =
			open_more(NULL, "durability", levels[i], NULL);

		MUST(shale_prepare(it, "p", NULL, &with_labels, &why));
		make_file(of_key("p", "fs/file"), "text");
		MUST(shale_commit(it, "base", "p", &with_labels, &why));
		MUST(shale_prepare(it, "k", "base", &with_labels, &why));
		MUST(shale_view(it, "v", "base", NULL, &why));
		MUST(shale_prepare(it, "gone", "base", NULL, &why));
		MUST(shale_remove(it, "gone", &why));
		dumps[i] = dump();
		MUST(shale_remove(it, "v", &why));
		MUST(shale_remove(it, "k", &why));
		MUST(shale_delete(it, "base", &why));
	}
	assert_string_equal(dumps[0], dumps[1]);
	assert_string_equal(dumps[0], dumps[2]);
	for (size_t i = 0; i < 3; i++)
		free(dumps[i]);
}

/* ---- a disk that fails when all is there ---- */

/* Called by the next fsync of active/, which fails then; NULL for none. */
static void (*before_failure)(void);

int fsync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
	void (*before)(void) = before_failure;
	char link[32], path[4096];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (!before || !strstr(path, "/store/active"))
		return real(fd);
	before_failure = NULL;
	before();
	errno = EIO;
	return -1;
}

static void nothing_happens(void)
{
}

static void another_takes_its_place(void)
{
	MUST(shale_remove(store, "k", &why));
	MUST(shale_prepare(store, "k", NULL, &with_labels, &why));
}

static void what_is_not_durable_is_taken_back(void **state)
{
	struct shale_store *all = open_more(NULL, "durability", "all", NULL);

	(void)state;
	before_failure = nothing_happens;
	REFUSED(EIO, "sync '", shale_prepare(all, "k", NULL, NULL, &why));
	REFUSED(ENOENT, "", shale_exists(store, "k", &why));
	check_list(at("store/trash"), "");
	before_failure = another_takes_its_place;
	assert_int_equal(shale_prepare(all, "k", NULL, NULL, &why), -EIO);
	check_link(of_key("k", "key.labels"), "{\"a\":\"1\",\"b\":\"2\"}");
}

static int one_mount(void *ctx, const struct shale_mount_spec *spec)
{
	(void)ctx;
	(void)spec;
	return 0;
}

static int lock_fd = -1;

static void the_lock_is_taken(void)
{
	lock_fd = open(at("store/lock"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(lock_fd, LOCK_EX), 0);
}

static void what_can_not_be_taken_back_keeps_its_files(void **state)
{
	const char *const labels[] = { SHALE_LABEL_UPPER, "ram", NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };
	char upper[PATH_MAX];
	struct shale_store *all;

	(void)state;
	make_dir(at("ram"));
	assert_int_equal(chmod(at("ram"), 0700), 0);
	(void)snprintf(upper, sizeof(upper), "ram=%s", at("ram"));
	all = open_more(NULL, "durability", "all", "lock_timeout_ms", "10",
			"upper", upper, NULL);
	before_failure = the_lock_is_taken;
	assert_int_equal(shale_prepare(all, "k", NULL, &opts, &why), -EIO);
	assert_int_equal(close(lock_fd), 0);
	MUST(shale_mounts(all, "k", one_mount, NULL, &why));
}

/* ---- what another writer does before we have the lock ---- */

/* Whether a snapshot is built in staging/: its kind fact is the last of it. */
static bool is_staged(void)
{
	DIR *dir = opendir(at("store/staging"));
	const struct dirent *entry;
	bool found = false;

	assert_non_null(dir);
	while (!found && (entry = readdir(dir)) != NULL)
		found = is_there(at("store/staging/%s/key", entry->d_name));
	(void)closedir(dir);
	return found;
}

static int prepare_k_and_expect(void *ctx)
{
	struct shale_store *it = open_more(NULL, NULL);

	return shale_prepare(it, "k", "base", NULL, &why) == *(int *)ctx ? 0
									 : 1;
}

/* A prepare of k on base that has looked and built, and @act before it has
 * the lock; it must then return @expected.
 */
static void prepare_after(void (*act)(void), int expected)
{
	struct helper writer, creator;
	char lock[PATH_MAX];

	make_layer("base", NULL);
	(void)snprintf(lock, sizeof(lock), "%s", at("store/lock"));
	helper_start(&writer, flock_path, lock);
	helper_begin(&creator, prepare_k_and_expect, &expected);
	for (int i = 0; i < 3000 && !is_staged(); i++)
		(void)usleep(10000);
	assert_true(is_staged());
	act();
	set_generation(generation() + 2);
	helper_kill(&writer);
	helper_wait(&creator);
	helper_stop(&creator);
	reopen();
	check_list(at("store/staging"), "");
}

static void another_takes_k(void)
{
	make_dir(of_key("k", ""));
	make_dir(of_key("k", "fs"));
	make_file(of_key("k", "fs/theirs"), "");
	make_link(of_key("k", "key"), "k");
}

static void a_key_taken_before_the_lock_is_had_is_refused(void **state)
{
	(void)state;
	prepare_after(another_takes_k, -EEXIST);
	assert_true(is_there(of_key("k", "fs/theirs")));
	check_list(of_key("k", ""), "fs key");
}

static void base_is_deleted(void)
{
	delete_tree(of_name("base", ""));
}

static void a_parent_gone_before_the_lock_is_had_is_refused(void **state)
{
	(void)state;
	prepare_after(base_is_deleted, -ENOENT);
	assert_false(is_there(of_key("k", "")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(the_id_is_half_of_a_sha256_in_hex),
		TEST_IN_STORE(prepare_makes_exactly_the_facts_of_an_active),
		TEST_IN_STORE(
			an_active_without_parent_and_labels_has_no_such_facts),
		TEST_IN_STORE(view_makes_exactly_the_facts_of_a_view),
		TEST_IN_STORE(a_view_without_parent_has_an_fs_of_its_own),
		TEST_IN_STORE(names_may_hold_every_byte_but_nul),
		TEST_IN_STORE(names_of_1_and_of_1023_bytes_work),
		TEST_IN_STORE(names_of_0_and_of_1024_bytes_are_refused),
		TEST_IN_STORE(no_name_at_all_is_refused),
		TEST_IN_STORE(an_unknown_parent_is_enoent),
		TEST_IN_STORE(a_parent_that_is_not_committed_is_refused),
		TEST_IN_STORE(keys_and_names_share_one_space),
		TEST_IN_STORE(the_root_is_0755_of_the_caller_without_a_parent),
		TEST_IN_STORE(the_root_has_the_mode_of_the_parents_root),
		TEST_IN_STORE(the_root_has_the_owner_of_the_parents_root),
		TEST_IN_STORE(modes_are_the_same_under_any_umask),
		TEST_IN_STORE(the_callers_umask_is_not_touched),
		TEST_IN_STORE(a_setgid_bit_is_not_inherited),
		TEST_IN_STORE(an_acl_is_not_inherited),
		TEST_IN_STORE(longer_options_are_taken_while_the_rest_is_zero),
		TEST_IN_STORE(longer_options_that_ask_for_more_are_refused),
		TEST_IN_STORE(unknown_flags_are_refused),
		TEST_IN_STORE(options_shorter_than_the_first_ones_are_refused),
		TEST_IN_STORE(every_durability_makes_the_same_store),
		TEST_IN_STORE(what_is_not_durable_is_taken_back),
		TEST_IN_STORE(what_can_not_be_taken_back_keeps_its_files),
		TEST_IN_STORE(a_key_taken_before_the_lock_is_had_is_refused),
		TEST_IN_STORE(a_parent_gone_before_the_lock_is_had_is_refused),
	};

	return cmocka_run_group_tests_name("prepare", tests, NULL, NULL);
}
