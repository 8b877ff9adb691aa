/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * native: what is its own.  All that it shares with every snapshotter is
 * tested by `shale plugin test`.
 */
#include "fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct shale_snapshotter *native;

static int setup(void **state)
{
	native = shale_native_snapshotter();
	why = (struct shale_error)SHALE_ERROR_INIT;
	return setup_dir(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static int open_as(const struct shale_snapshotter *as, const char *root,
		   const struct shale_host *host, const char *key,
		   const char *value, void **ret)
{
	const char *config[] = { "create",
				 "yes",
				 "any_filesystem",
				 "yes",
				 "lock_timeout_ms",
				 "5000",
				 key,
				 value,
				 NULL };
	int fd, r;

	(void)mkdirat(AT_FDCWD, root, 0700);
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	r = as->open(host, fd, root, config, ret, &why);
	(void)close(fd);
	return r;
}

static void *opened(const struct shale_host *host)
{
	void *self = NULL;

	MUST(open_as(native, at("store"), host, NULL, NULL, &self));
	return self;
}

static const char *at_file(int i)
{
	char file[32];

	(void)snprintf(file, sizeof(file), "fs/file %d", i);
	return of_key("making", file);
}

/* A committed layer of some files, and one to look at. */
static void make_base(void *self, const char *name)
{
	MUST(native->prepare(self, "making", NULL, NULL, &why));
	for (int i = 0; i < 20; i++)
		make_file(at_file(i), name);
	MUST(native->commit(self, name, "making", NULL, &why));
}

/* What was asked for the moment a copy is under way. */
struct moment {
	void *other; /* another handle */
	int (*act)(struct moment *moment);
	int asked, r;
};

static int cancelled(void *ctx)
{
	struct moment *moment = ctx;

	if (!moment->act || moment->asked++ != 3)
		return 0;
	return moment->act(moment);
}

static struct shale_host host_of(struct moment *moment)
{
	return (struct shale_host){ .size = sizeof(struct shale_host),
				    .abi = SHALE_PLUGIN_ABI,
				    .ctx = moment,
				    .cancelled = cancelled };
}

/* ---- the tree ---- */

static void prepare_copies_the_parents_files(void **state)
{
	void *self = opened(NULL);

	(void)state;
	make_base(self, "base");
	MUST(native->prepare(self, "k", "base", NULL, &why));
	check_list(of_key("k", ""), "fs key key.parent");
	assert_true(is_there(of_key("k", "fs/file 19")));
	delete_path(of_key("k", "fs/file 19"));
	make_file(of_key("k", "fs/new"), "new");
	assert_true(is_there(of_name("base", "fs/file 19")));
	assert_false(is_there(of_name("base", "fs/new")));
	native->close(self);
}

static void a_view_has_no_files_of_its_own(void **state)
{
	void *self = opened(NULL);

	(void)state;
	make_base(self, "base");
	MUST(native->view(self, "v", "base", NULL, &why));
	check_list(of_key("v", ""), "key.parent view");
	native->close(self);
}

static int note_mount(void *ctx, const struct shale_mount_spec *mount)
{
	(void)snprintf(ctx, PATH_MAX, "%s %s %s,%s%s", mount->type,
		       mount->source, mount->options[0], mount->options[1],
		       mount->options[2] ? " and more" : "");
	return 0;
}

static void check_bind(const char *text, const char *source,
		       const char *options)
{
	char want[2 * PATH_MAX];

	(void)snprintf(want, sizeof(want), "bind %s %s", source, options);
	assert_string_equal(text, want);
}

static void each_mount_is_a_bind(void **state)
{
	void *self = opened(NULL);
	char text[PATH_MAX];

	(void)state;
	make_base(self, "base");
	MUST(native->prepare(self, "k", "base", NULL, &why));
	MUST(native->mounts(self, "k", note_mount, text, &why));
	check_bind(text, of_key("k", "fs"), "rw,rbind");
	MUST(native->commit(self, "second", "k", NULL, &why));
	MUST(native->view(self, "v", "second", NULL, &why));
	MUST(native->mounts(self, "v", note_mount, text, &why));
	check_bind(text, of_name("second", "fs"), "ro,rbind");
	native->close(self);
}

/* An overlay takes 500 layers; here a chain is only on record. */
static void a_chain_has_no_limit(void **state)
{
	void *self = NULL;
	char name[32], parent[32] = "";

	(void)state;
	MUST(open_as(native, at("store"), NULL, "durability", "none", &self));
	for (int i = 0; i < 502; i++) {
		(void)snprintf(name, sizeof(name), "layer %d", i);
		MUST(native->prepare(self, "k", parent, NULL, &why));
		MUST(native->commit(self, name, "k", NULL, &why));
		(void)stpcpy(parent, name);
	}
	MUST(native->view(self, "v", name, NULL, &why));
	MUST(native->mounts(self, "v", note_mount, (char[PATH_MAX]){ "" },
			    &why));
	native->close(self);
}

/* ---- a copy that takes its time ---- */

static int stop(struct moment *moment)
{
	(void)moment;
	return 1;
}

static void a_copy_can_be_stopped(void **state)
{
	struct moment moment = { .act = NULL };
	const struct shale_host host = host_of(&moment);
	void *self = opened(&host);

	(void)state;
	make_base(self, "base");
	moment.act = stop;
	REFUSED(ECANCELED, "prepare 'k'",
		native->prepare(self, "k", "base", NULL, &why));
	check_list(at("store/staging"), "");
	check_list(at("store/active"), "");
	moment.act = NULL;
	MUST(native->prepare(self, "k", "base", NULL, &why));
	native->close(self);
}

/* Prepares k on a layer base, and at its first look at the host does @act,
 * which has to succeed.
 */
static int prepare_beside(int (*act)(struct moment *moment))
{
	struct moment moment = { .act = NULL, .r = 1 };
	const struct shale_host host = host_of(&moment);
	void *self = opened(&host);
	int r;

	make_base(self, "base");
	moment.other = opened(NULL);
	moment.act = act;
	r = native->prepare(self, "k", "base", NULL, &why);
	assert_int_equal(moment.r, 0);
	native->close(moment.other);
	native->close(self);
	return r;
}

/* Would wait for ever, or for the lock's timeout, if the copy held the lock. */
static int work_meanwhile(struct moment *moment)
{
	moment->r = native->prepare(moment->other, "other", NULL, NULL, NULL);
	if (moment->r == 0)
		moment->r = native->remove(moment->other, "other", NULL);
	return 0;
}

static void others_work_while_a_copy_is_made(void **state)
{
	(void)state;
	assert_int_equal(prepare_beside(work_meanwhile), 0);
}

static int clean_meanwhile(struct moment *moment)
{
	uint64_t removed;

	moment->r = native->cleanup(moment->other, &removed, NULL);
	return 0;
}

static void a_cleanup_leaves_a_copy_alone(void **state)
{
	(void)state;
	assert_int_equal(prepare_beside(clean_meanwhile), 0);
	assert_true(is_there(of_key("k", "fs/file 19")));
}

static int delete_parent(struct moment *moment)
{
	moment->r = native->delete_(moment->other, "base", NULL);
	return 0;
}

static void a_parent_that_goes_meanwhile_is_enoent(void **state)
{
	(void)state;
	assert_int_equal(prepare_beside(delete_parent), -ENOENT);
	assert_non_null(strstr(why.msg, "parent 'base': no such snapshot"));
	check_list(at("store/active"), "");
	check_list(at("store/staging"), "");
}

/* The same name, and perhaps the very inode number: still not what was copied.
 */
static int replace_parent(struct moment *moment)
{
	moment->r = native->delete_(moment->other, "base", NULL);
	if (moment->r == 0)
		moment->r = native->prepare(moment->other, "making", NULL, NULL,
					    NULL);
	if (moment->r == 0)
		moment->r = native->commit(moment->other, "base", "making",
					   NULL, NULL);
	return 0;
}

static void a_parent_that_is_replaced_meanwhile_is_enoent(void **state)
{
	(void)state;
	assert_int_equal(prepare_beside(replace_parent), -ENOENT);
	assert_non_null(strstr(why.msg, "parent 'base': no such snapshot"));
	check_list(at("store/active"), "");
}

static int die(struct moment *moment)
{
	(void)moment;
	(void)raise(SIGKILL);
	return 0;
}

static int copy_and_die(void *ctx)
{
	struct moment moment = { .act = die };
	const struct shale_host host = host_of(&moment);
	void *self = NULL;

	(void)ctx;
	if (open_as(native, at("store"), &host, NULL, NULL, &self) < 0)
		return 1;
	return native->prepare(self, "k", "base", NULL, NULL) ? 2 : 3;
}

static void who_is_killed_while_copying_leaves_no_key(void **state)
{
	void *self = opened(NULL);
	uint64_t removed = 0;

	(void)state;
	make_base(self, "base");
	assert_int_not_equal(in_child(copy_and_die, NULL), 3);
	assert_int_equal(native->exists(self, "k", NULL), -ENOENT);
	check_list(at("store/active"), "");
	MUST(native->cleanup(self, &removed, &why));
	assert_int_equal(removed, 1);
	check_list(at("store/staging"), "");
	MUST(native->prepare(self, "k", "base", NULL, &why));
	native->close(self);
}

/* ---- what is refused ---- */

static void a_parent_can_not_be_given_later(void **state)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .parent = "base" };
	void *self = opened(NULL);

	(void)state;
	make_base(self, "base");
	MUST(native->prepare(self, "k", NULL, NULL, &why));
	REFUSED(EOPNOTSUPP, "'native' gives no parent",
		native->commit(self, "name", "k", &opts, &why));
	native->close(self);
}

static void a_store_belongs_to_one_snapshotter(void **state)
{
	void *self = opened(NULL), *other = NULL;

	(void)state;
	native->close(self);
	check_link(at("store/format"), "native-1");
	REFUSED(EMEDIUMTYPE,
		"its format is 'native-1', and the snapshotter 'overlay' knows '1' alone",
		open_as(shale_overlay_snapshotter(), at("store"), NULL, NULL,
			NULL, &other));
	MUST(open_as(shale_overlay_snapshotter(), at("other"), NULL, NULL, NULL,
		     &other));
	shale_overlay_snapshotter()->close(other);
	REFUSED(EMEDIUMTYPE,
		"its format is '1', and the snapshotter 'native' knows 'native-1' alone",
		open_as(native, at("other"), NULL, NULL, NULL, &other));
}

static void a_mount_option_is_refused(void **state)
{
	void *self = NULL;

	(void)state;
	assert_int_equal(open_as(native, at("store"), NULL, "mount_option",
				 "metacopy=on", &self),
			 -EINVAL);
	assert_non_null(strstr(why.msg, "'native' knows no 'mount_option'"));
}

/* ---- on overlayfs ---- */

/*
 * The lock is copied up when it is first written to, and who has it open from
 * before must see that; a directory from below can't be renamed.
 */
static void a_store_may_come_from_a_lower_layer(void **state)
{
	char options[4 * PATH_MAX];
	void *self, *first = NULL, *second = NULL;

	(void)state;
	needs_mounts();
	make_dir(at("lower"));
	make_dir(at("merged"));
	make_dir(at("tmpfs"));
	assert_int_equal(mount("none", at("tmpfs"), "tmpfs", 0, NULL), 0);
	make_dir(at("tmpfs/upper"));
	make_dir(at("tmpfs/work"));
	MUST(open_as(native, at("lower/store"), NULL, NULL, NULL, &self));
	MUST(native->prepare(self, "k", NULL, NULL, &why));
	MUST(native->commit(self, "base", "k", NULL, &why));
	MUST(native->prepare(self, "from below", "base", NULL, &why));
	native->close(self);
	(void)snprintf(options, sizeof(options),
		       "lowerdir=%s,upperdir=%s,workdir=%s", at("lower"),
		       at("tmpfs/upper"), at("tmpfs/work"));
	assert_int_equal(mount("none", at("merged"), "overlay", 0, options), 0);
	MUST(open_as(native, at("merged/store"), NULL, NULL, NULL, &first));
	MUST(open_as(native, at("merged/store"), NULL, NULL, NULL, &second));
	MUST(native->exists(first, "base", &why));
	MUST(native->prepare(second, "k", "base", NULL, &why));
	MUST(native->commit(second, "new", "k", NULL, &why));
	MUST(native->exists(first, "new", &why));
	MUST(native->prepare(second, "new child", "new", NULL, &why));
	assert_int_equal(native->delete_(first, "new", NULL), -EBUSY);
	MUST(native->remove(second, "new child", &why));
	MUST(native->delete_(second, "new", &why));
	assert_int_equal(native->exists(first, "new", NULL), -ENOENT);
	assert_int_equal(
		native->commit(first, "name", "from below", NULL, &why),
		-EXDEV);
	MUST(native->remove(first, "from below", &why));
	assert_int_equal(native->exists(second, "from below", NULL), -ENOENT);
	MUST(native->delete_(second, "base", &why));
	assert_int_equal(native->exists(first, "base", NULL), -ENOENT);
	check_list(at("merged/store/active"), "");
	check_list(at("merged/store/snapshots"), "");
	native->close(first);
	native->close(second);
	assert_int_equal(umount2(at("merged"), 0), 0);
	assert_int_equal(umount2(at("tmpfs"), 0), 0);
}

static bool disk_fails;

int syncfs(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "syncfs");

	if (!disk_fails)
		return real(fd);
	errno = EIO;
	return -1;
}

/* A key whose files may not be on disk would be mounted after a power cut. */
static void a_copy_that_is_not_synced_is_no_key(void **state)
{
	void *self = opened(NULL);

	(void)state;
	make_base(self, "base");
	disk_fails = true;
	assert_int_equal(native->prepare(self, "k", "base", NULL, &why), -EIO);
	disk_fails = false;
	assert_non_null(strstr(why.msg, "sync the copy of 'base'"));
	assert_false(is_there(of_key("k", "")));
	native->close(self);
}

/* What can't be had must not be called a matter of the configuration. */
static void labels_of_an_overlay_are_refused(void **state)
{
	static const struct {
		const char *label, *value, *part;
	} cases[] = {
		{ SHALE_LABEL_UPPER, "ram",
		  "the snapshotter 'native' has no uppers elsewhere" },
		{ SHALE_LABEL_VOLATILE, "true",
		  "this snapshot is mounted as a bind" },
		{ SHALE_LABEL_SELINUX_CONTEXT, "a:b:c",
		  "this snapshot is mounted as a bind" },
	};
	void *self = opened(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *const labels[] = { cases[i].label, cases[i].value,
					       NULL };
		const struct shale_opts opts = { .size = sizeof(opts),
						 .labels = labels };

		why = (struct shale_error)SHALE_ERROR_INIT;
		assert_int_equal(native->prepare(self, "k", NULL, &opts, &why),
				 -EINVAL);
		assert_non_null(strstr(why.msg, cases[i].part));
	}
	native->close(self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(prepare_copies_the_parents_files),
		TEST(a_view_has_no_files_of_its_own),
		TEST(each_mount_is_a_bind),
		TEST(a_chain_has_no_limit),
		TEST(a_copy_can_be_stopped),
		TEST(others_work_while_a_copy_is_made),
		TEST(a_copy_that_is_not_synced_is_no_key),
		TEST(a_cleanup_leaves_a_copy_alone),
		TEST(a_parent_that_goes_meanwhile_is_enoent),
		TEST(a_parent_that_is_replaced_meanwhile_is_enoent),
		TEST(who_is_killed_while_copying_leaves_no_key),
		TEST(a_parent_can_not_be_given_later),
		TEST(a_store_belongs_to_one_snapshotter),
		TEST(a_mount_option_is_refused),
		TEST(labels_of_an_overlay_are_refused),
		TEST(a_store_may_come_from_a_lower_layer),
	};

	return cmocka_run_group_tests_name("native", tests, NULL, NULL);
}
