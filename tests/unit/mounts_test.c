/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale_mounts: exactly one mount each, with exactly these options in this
 * order.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void an_active_without_parent_is_a_bind(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	check_mount(store, "k", "bind %s rw rbind", of_key("k", "fs"));
}

static void a_view_without_parent_is_a_read_only_bind(void **state)
{
	(void)state;
	MUST(shale_view(store, "v", NULL, NULL, &why));
	check_mount(store, "v", "bind %s ro rbind", of_key("v", "fs"));
}

static void a_view_of_one_layer_binds_the_parent(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_view(store, "v", "base", NULL, &why));
	check_mount(store, "v", "bind %s ro rbind", of_name("base", "fs"));
}

static void an_active_on_one_layer_is_an_overlay(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	check_mount(store, "k",
		    "overlay overlay workdir=%s upperdir=%s lowerdir=%s"
		    " " DEFAULTS,
		    of_key("k", "work"), of_key("k", "fs"),
		    of_name("base", "fs"));
}

static void the_nearest_parent_is_the_topmost_lower(void **state)
{
	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	make_layer("3", "2");
	MUST(shale_prepare(store, "k", "3", NULL, &why));
	check_mount(store, "k",
		    "overlay overlay workdir=%s upperdir=%s lowerdir=%s:%s:%s"
		    " " DEFAULTS,
		    of_key("k", "work"), of_key("k", "fs"), of_name("3", "fs"),
		    of_name("2", "fs"), of_name("1", "fs"));
}

static void a_view_of_several_layers_has_lowers_alone(void **state)
{
	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	MUST(shale_view(store, "v", "2", NULL, &why));
	check_mount(store, "v", "overlay overlay lowerdir=%s:%s " DEFAULTS,
		    of_name("2", "fs"), of_name("1", "fs"));
}

static void configured_options_follow_the_layers_in_their_order(void **state)
{
	struct shale_store *it;

	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	MUST(shale_prepare(store, "k", "1", NULL, &why));
	MUST(shale_view(store, "v", "2", NULL, &why));
	it = open_more(NULL, "mount_option", "xino=off", "mount_option",
		       "metacopy=off", NULL);
	check_mount(it, "k",
		    "overlay overlay workdir=%s upperdir=%s lowerdir=%s"
		    " xino=off metacopy=off index=off redirect_dir=nofollow",
		    of_key("k", "work"), of_key("k", "fs"), of_name("1", "fs"));
	check_mount(it, "v",
		    "overlay overlay lowerdir=%s:%s xino=off metacopy=off"
		    " index=off redirect_dir=nofollow",
		    of_name("2", "fs"), of_name("1", "fs"));
}

static void a_configured_index_is_not_overridden(void **state)
{
	struct shale_store *it;

	(void)state;
	make_layer("1", NULL);
	MUST(shale_prepare(store, "k", "1", NULL, &why));
	it = open_more(NULL, "mount_option", "index=on", NULL);
	check_mount(it, "k",
		    "overlay overlay workdir=%s upperdir=%s lowerdir=%s"
		    " index=on redirect_dir=nofollow metacopy=off",
		    of_key("k", "work"), of_key("k", "fs"), of_name("1", "fs"));
}

static void binds_take_no_overlay_options(void **state)
{
	struct shale_store *it;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	it = open_more(NULL, "mount_option", "xino=off", NULL);
	check_mount(it, "k", "bind %s rw rbind", of_key("k", "fs"));
}

static int write_map(const char *path, unsigned int outside)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	char line[64];
	int len = snprintf(line, sizeof(line), "0 %u 1", outside);
	ssize_t n = fd < 0 ? -1 : write(fd, line, (size_t)len);

	(void)close(fd);
	return n == len ? 0 : -1;
}

#define NO_NAMESPACE 77

static int note_options(void *ctx, const struct shale_mount_spec *spec)
{
	const char *last = "", *but_last = "";

	for (size_t i = 0; spec->options[i]; i++) {
		but_last = last;
		last = spec->options[i];
	}
	*(int *)ctx = !strcmp(last, "userxattr") &&
		      !strcmp(but_last, "metacopy=off");
	return 0;
}

static int map_own_ids(unsigned int uid, unsigned int gid)
{
	int fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);

	(void)!write(fd, "deny", 4);
	(void)close(fd);
	return write_map("/proc/self/uid_map", uid) < 0 ||
			       write_map("/proc/self/gid_map", gid) < 0
		       ? -1
		       : 0;
}

/* From outside, where root may: inside, each id is what it is outside. */
static int enter_with_all_ids(void)
{
	const pid_t us = getpid();
	int entered[2], status, r;
	pid_t writer;
	char path[64];

	if (pipe(entered) < 0)
		return -1;
	writer = fork();
	if (writer == 0) {
		int fd;

		(void)close(entered[1]);
		(void)!read(entered[0], path, 1);
		(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", us);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		_exit(write(fd, "0 0 4294967295", 14) == 14 ? 0 : 1);
	}
	r = unshare(CLONE_NEWUSER);
	(void)close(entered[1]);
	(void)close(entered[0]);
	if (waitpid(writer, &status, 0) != writer || status != 0)
		r = -1;
	return r;
}

static int mounts_in_a_user_namespace(void *ctx)
{
	static const char *const config[] = { "any_filesystem", "yes", NULL };
	const bool has_all_ids = *(const bool *)ctx;
	unsigned int uid = geteuid(), gid = getegid();
	struct shale_store *it;
	int right = 0;

	if (has_all_ids
		    ? enter_with_all_ids() < 0
		    : unshare(CLONE_NEWUSER) < 0 || map_own_ids(uid, gid) < 0)
		return NO_NAMESPACE;
	if (shale_store_open(at("store"), NULL, config, NULL, &it, &why) < 0)
		return 1;
	if (shale_mounts(it, "k", note_options, &right, &why) < 0)
		return 2;
	shale_store_close(it);
	return right ? 0 : 3;
}

static void an_overlay_in_a_user_namespace_has_userxattr(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	for (int i = 0; i < (geteuid() == 0 ? 2 : 1); i++) {
		bool has_all_ids = i;
		int status = in_child(mounts_in_a_user_namespace, &has_all_ids);

		if (status == NO_NAMESPACE)
			skip_because("needs user namespaces");
		assert_int_equal(status, 0);
	}
}

static void a_mapping_is_emitted_behind_the_rest(void **state)
{
	const char *const labels[] = { SHALE_LABEL_GIDMAP, "0:5:1",
				       SHALE_LABEL_UIDMAP, "0:7:1,1:9:1",
				       NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	(void)state;
	make_layer("1", NULL);
	MUST(shale_prepare(store, "k", "1", &opts, &why));
	MUST(shale_prepare(store, "alone", NULL, &opts, &why));
	MUST(shale_view(store, "v", "1", &opts, &why));
	check_mount(store, "k",
		    "overlay overlay workdir=%s upperdir=%s lowerdir=%s"
		    " " DEFAULTS " uidmap=0:7:1,1:9:1 gidmap=0:5:1",
		    of_key("k", "work"), of_key("k", "fs"), of_name("1", "fs"));
	check_mount(store, "alone",
		    "bind %s rw rbind uidmap=0:7:1,1:9:1 gidmap=0:5:1",
		    of_key("alone", "fs"));
	check_mount(store, "v",
		    "bind %s ro rbind uidmap=0:7:1,1:9:1 gidmap=0:5:1",
		    of_name("1", "fs"));
}

static void a_colon_in_a_layers_path_is_escaped(void **state)
{
	static const char *const config[] = { "create", "yes", "any_filesystem",
					      "yes", NULL };
	struct shale_store *it = NULL;
	char escaped[PATH_MAX + 64];

	(void)state;
	make_dir(at("a:b\\c,d"));
	MUST(shale_store_open(at("a:b\\c,d/store"), NULL, config, NULL, &it,
			      &why));
	MUST(shale_prepare(it, "p", NULL, NULL, &why));
	MUST(shale_commit(it, "1", "p", NULL, &why));
	MUST(shale_prepare(it, "p", "1", NULL, &why));
	MUST(shale_commit(it, "2", "p", NULL, &why));
	MUST(shale_view(it, "v", "2", NULL, &why));
	(void)snprintf(escaped, sizeof(escaped),
		       "%s/a\\:b\\\\c,d/store/snapshots", here);
	check_mount(it, "v",
		    "overlay overlay lowerdir=%s/%s/fs:%s/%s/fs " DEFAULTS,
		    escaped, id("2"), escaped, id("1"));
	shale_store_close(it);
}

static void a_chain_of_500_layers_is_computed(void **state)
{
	char name[16], parent[16] = "", *expected = NULL;
	struct shale_store *it;
	size_t len;
	FILE *out;

	(void)state;
	it = open_more(NULL, "durability", "none", NULL);
	for (int i = 1; i <= 500; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		MUST(shale_prepare(it, "p", parent, NULL, &why));
		MUST(shale_commit(it, name, "p", NULL, &why));
		(void)strcpy(parent, name);
	}
	MUST(shale_view(it, "v", parent, NULL, &why));
	out = open_memstream(&expected, &len);
	for (int i = 500; i >= 1; i--) {
		(void)snprintf(name, sizeof(name), "%d", i);
		(void)fprintf(out, "%s%s", of_name(name, "fs"),
			      i > 1 ? ":" : "");
	}
	(void)fclose(out);
	check_mount(it, "v", "overlay overlay lowerdir=%s " DEFAULTS, expected);
	reopen();
	check_mount(store, "v", "overlay overlay lowerdir=%s " DEFAULTS,
		    expected);
	free(expected);
}

static int mount_on_mnt(void *ctx, const struct shale_mount_spec *spec)
{
	(void)ctx;
	return -shale_mount(spec, at("mnt"), &why);
}

/* Its mount is computed, so that flatten can take it apart, and not made. */
static void a_key_on_501_layers_can_not_be_mounted(void **state)
{
	struct shale_store *it;
	char name[16] = "";

	(void)state;
	it = open_more(NULL, "durability", "none", NULL);
	for (int i = 1; i <= 501; i++) {
		MUST(shale_prepare(it, "p", name, NULL, &why));
		(void)snprintf(name, sizeof(name), "%d", i);
		MUST(shale_commit(it, name, "p", NULL, &why));
	}
	make_dir(at("mnt"));
	MUST(shale_prepare(it, "p", name, NULL, &why));
	why = (struct shale_error)SHALE_ERROR_INIT;
	assert_int_equal(shale_mounts(it, "p", mount_on_mnt, NULL, NULL),
			 E2BIG);
	assert_non_null(strstr(why.msg, "501 layers are too many"));
	assert_non_null(strstr(why.msg, "'shale flatten NEW NAME'"));
}

static int stop_with_7(void *ctx, const struct shale_mount_spec *spec)
{
	(void)spec;
	++*(int *)ctx;
	return 7;
}

static void what_emit_returns_comes_back(void **state)
{
	int calls = 0;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(shale_mounts(store, "k", stop_with_7, &calls, &why),
			 7);
	assert_int_equal(calls, 1);
}

static void mounts_of_nothing_is_enoent(void **state)
{
	int calls = 0;

	(void)state;
	REFUSED(ENOENT, "'k'",
		shale_mounts(store, "k", stop_with_7, &calls, &why));
	assert_int_equal(calls, 0);
}

static void mounts_of_a_committed_one_is_ebadfd(void **state)
{
	int calls = 0;

	(void)state;
	make_layer("base", NULL);
	REFUSED(EBADFD, "'base'",
		shale_mounts(store, "base", stop_with_7, &calls, &why));
	assert_int_equal(calls, 0);
}

static void computing_mounts_changes_nothing(void **state)
{
	char *before, *after;
	uint64_t was;
	int calls = 0;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	before = dump();
	was = generation();
	assert_int_equal(shale_mounts(store, "k", stop_with_7, &calls, &why),
			 7);
	after = dump();
	assert_string_equal(before, after);
	assert_int_equal(generation(), was);
	free(before);
	free(after);
}

static int emit_nothing(void *ctx, const struct shale_mount_spec *spec)
{
	(void)ctx;
	(void)spec;
	return 0;
}

/* As another process holds it that is about to mount. */
static int hold(const char *key, int how)
{
	int fd = open(of_key(key, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(flock(fd, how | LOCK_NB), 0);
	return fd;
}

static void an_active_is_mounted_by_one_at_a_time(void **state)
{
	int fd;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	fd = hold("k", LOCK_EX);
	REFUSED(EBUSY, "a mount of it is under way",
		shale_mounts_exclusive(store, "k", emit_nothing, NULL, &why));
	(void)close(fd);
	MUST(shale_mounts_exclusive(store, "k", emit_nothing, NULL, &why));
}

static void a_view_is_mounted_by_many_at_once(void **state)
{
	int fd;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_view(store, "v", "base", NULL, &why));
	fd = hold("v", LOCK_SH);
	MUST(shale_mounts_exclusive(store, "v", emit_nothing, NULL, &why));
	REFUSED(EBUSY, "under way", shale_remove(store, "v", &why));
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(an_active_without_parent_is_a_bind),
		TEST_IN_STORE(a_view_without_parent_is_a_read_only_bind),
		TEST_IN_STORE(a_view_of_one_layer_binds_the_parent),
		TEST_IN_STORE(an_active_on_one_layer_is_an_overlay),
		TEST_IN_STORE(the_nearest_parent_is_the_topmost_lower),
		TEST_IN_STORE(a_view_of_several_layers_has_lowers_alone),
		TEST_IN_STORE(
			configured_options_follow_the_layers_in_their_order),
		TEST_IN_STORE(a_configured_index_is_not_overridden),
		TEST_IN_STORE(binds_take_no_overlay_options),
		TEST_IN_STORE(an_overlay_in_a_user_namespace_has_userxattr),
		TEST_IN_STORE(a_mapping_is_emitted_behind_the_rest),
		TEST_IN_DIR(a_colon_in_a_layers_path_is_escaped),
		TEST_IN_STORE(a_chain_of_500_layers_is_computed),
		TEST_IN_STORE(a_key_on_501_layers_can_not_be_mounted),
		TEST_IN_STORE(what_emit_returns_comes_back),
		TEST_IN_STORE(mounts_of_nothing_is_enoent),
		TEST_IN_STORE(mounts_of_a_committed_one_is_ebadfd),
		TEST_IN_STORE(computing_mounts_changes_nothing),
		TEST_IN_STORE(an_active_is_mounted_by_one_at_a_time),
		TEST_IN_STORE(a_view_is_mounted_by_many_at_once),
	};

	return cmocka_run_group_tests_name("mounts", tests, NULL, NULL);
}
