/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volatile actives on a real overlay: used and committed in one boot, and
 * never again in another.  A boot ends here by writing another one's id into
 * the fact: the kernel's mark stays after a clean unmount as after a crash.
 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "owner.h"

#define OTHER_BOOT "00000000-0000-4000-8000-000000000000"
#define MARK "work/work/incompat/volatile"

static int mount_spec(void *ctx, const struct shale_mount_spec *spec)
{
	return -shale_mount(spec, ctx, &why);
}

/* Of "k" on here/m, as `shale mount` does it. */
static int mount_key(void)
{
	char target[PATH_MAX];
	int r;

	(void)snprintf(target, sizeof(target), "%s", at("m"));
	r = shale_mounts_exclusive(store, "k", mount_spec, target, &why);
	return r > 0 ? -r : r;
}

static void unmount_key(void)
{
	assert_int_equal(umount(at("m")), 0);
}

static void prepare_key(void)
{
	static const char *const labels[] = { SHALE_LABEL_VOLATILE, "true",
					      NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	needs_mounts();
	make_dir(at("m"));
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", &opts, &why));
}

/* What a container writes, with nobody left who uses it. */
static void use_key(void)
{
	prepare_key();
	MUST(mount_key());
	make_file(at("m/written"), "text");
	unmount_key();
	assert_true(is_there(of_key("k", MARK)));
}

static void another_boot(void)
{
	delete_path(of_key("k", "volatile"));
	make_link(of_key("k", "volatile"), OTHER_BOOT);
	reopen();
}

static bool kernel_says_volatile(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[8192], place[PATH_MAX];
	bool ret = false;

	(void)snprintf(place, sizeof(place), " %s ", at("m"));
	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, place))
			ret = strstr(line, "volatile") != NULL;
	if (file)
		(void)fclose(file);
	return ret;
}

static void it_mounts_again_in_the_same_boot(void **state)
{
	(void)state;
	use_key();
	for (int i = 0; i < 2; i++) {
		MUST(mount_key());
		assert_true(kernel_says_volatile());
		assert_true(is_there(at("m/written")));
		unmount_key();
	}
}

static void a_live_mount_keeps_the_mark(void **state)
{
	(void)state;
	prepare_key();
	MUST(mount_key());
	REFUSED(EBUSY, "'k'", mount_key());
	REFUSED(EBUSY, "'k'", shale_in_use(store, "k", &why));
	assert_true(is_there(of_key("k", MARK)));
	unmount_key();
}

static void check_makes_it_mountable(void **state)
{
	(void)state;
	use_key();
	MUST(shale_in_use(store, "k", &why));
	assert_false(is_there(of_key("k", MARK)));
	/* A mark of another feature is the kernel's, and stays. */
	assert_true(is_there(of_key("k", "work/work/incompat")));
}

static void it_is_committed_in_the_same_boot(void **state)
{
	(void)state;
	use_key();
	MUST(shale_commit(store, "n", "k", NULL, &why));
	check_list(of_name("n", ""), "fs name name.parent usage");
	check_list(of_name("n", "fs"), "written");
}

static void a_live_one_is_not_committed(void **state)
{
	(void)state;
	prepare_key();
	MUST(mount_key());
	REFUSED(EBUSY, "'k'", shale_commit(store, "n", "k", NULL, &why));
	unmount_key();
}

static void a_live_one_is_kept(void **state)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .flags = SHALE_COMMIT_KEEP };

	(void)state;
	prepare_key();
	MUST(mount_key());
	make_file(at("m/written"), "text");
	MUST(shale_commit(store, "n", "k", &opts, &why));
	check_list(of_name("n", "fs"), "written");
	unmount_key();
	another_boot();
	REFUSED(EBADFD, "earlier boot",
		shale_commit(store, "o", "k", &opts, &why));
}

static int take_none(void *ctx, const struct shale_mount_spec *spec)
{
	(void)ctx;
	fail_msg("mounts gave a spec of type %s", spec->type);
	return 1;
}

static void another_boot_refuses_to_mount_it(void **state)
{
	(void)state;
	use_key();
	another_boot();
	REFUSED(EBADFD, "earlier boot", mount_key());
	REFUSED(EBADFD, "remove it",
		shale_mounts(store, "k", take_none, NULL, &why));
	assert_true(is_there(of_key("k", MARK)));
	/* Also where the crash took the kernel's mark. */
	delete_tree(of_key("k", "work/work"));
	REFUSED(EBADFD, "earlier boot", mount_key());
}

static void another_boot_refuses_to_commit_it(void **state)
{
	(void)state;
	use_key();
	another_boot();
	REFUSED(EBADFD, "earlier boot",
		shale_commit(store, "n", "k", NULL, &why));
}

static void another_boot_lets_it_be_removed(void **state)
{
	(void)state;
	use_key();
	another_boot();
	MUST(shale_in_use(store, "k", &why));
	MUST(shale_remove(store, "k", &why));
	REFUSED(ENOENT, "'k'", shale_exists(store, "k", &why));
}

static void one_that_was_never_said_to_be_volatile_is_refused(void **state)
{
	char options[3 * PATH_MAX + 64];

	(void)state;
	needs_mounts();
	make_dir(at("m"));
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	(void)snprintf(options, sizeof(options),
		       "workdir=%s,upperdir=%s,lowerdir=%s,volatile",
		       of_key("k", "work"), of_key("k", "fs"),
		       of_name("base", "fs"));
	assert_int_equal(mount("overlay", at("m"), "overlay", 0, options), 0);
	unmount_key();
	REFUSED(EBADFD, "not prepared so", mount_key());
	REFUSED(EBADFD, "not prepared so",
		shale_commit(store, "n", "k", NULL, &why));
	MUST(shale_remove(store, "k", &why));
}

static void a_lost_fact_is_damage(void **state)
{
	(void)state;
	prepare_key();
	delete_path(of_key("k", "volatile"));
	reopen();
	REFUSED(EUCLEAN, "volatile fact is torn", mount_key());
	make_link(of_key("k", "volatile"), "yesterday");
	REFUSED(EUCLEAN, "volatile fact is torn", mount_key());
	MUST(shale_remove(store, "k", &why));
}

/* ---- through a door ---- */

/* Claims "k" for a container whose process is this one, and lets it go. */
static int claim_as(const char *onstop, bool is_view, enum claimed *ret)
{
	const struct owner owner = { "hook", at("runtime"), "c", "/bundle" };
	const struct claim it = { .owner = &owner,
				  .key = "k",
				  .parent = "base",
				  .onstop = onstop,
				  .is_view = is_view,
				  .is_volatile = true,
				  .pid = getpid() };
	static const char *const user[] = { "labels." SHALE_LABEL_USER, NULL };
	int r = door_claim(store, &it, ret, &why);

	if (r == 0)
		MUST(shale_update(store, "k", NULL, user, &why));
	return r;
}

static int claim(const char *onstop, enum claimed *ret)
{
	return claim_as(onstop, false, ret);
}

static void door_store(void)
{
	needs_mounts();
	make_dir(at("m"));
	make_layer("base", NULL);
}

static void claim_and_write(const char *onstop)
{
	enum claimed claimed;

	MUST(claim(onstop, &claimed));
	MUST(mount_key());
	make_file(at("m/written"), "text");
	unmount_key();
}

static void set_boot_label(const char *boot)
{
	const char *const labels[] = { OWNER_LABEL_BOOT, boot, NULL };
	static const char *const fields[] = { "labels." OWNER_LABEL_BOOT,
					      NULL };

	MUST(shale_update(store, "k", labels, fields, &why));
}

static void a_door_makes_it_anew_after_a_boot(void **state)
{
	enum claimed claimed;

	(void)state;
	door_store();
	claim_and_write("remove");
	/* Stopped and started again, it is the container's own. */
	MUST(claim("remove", &claimed));
	assert_int_equal(claimed, CLAIMED_ADOPTED);
	MUST(mount_key());
	assert_true(is_there(at("m/written")));
	unmount_key();
	set_boot_label(OTHER_BOOT);
	delete_path(of_key("k", "volatile"));
	make_link(of_key("k", "volatile"), OTHER_BOOT);
	MUST(claim("remove", &claimed));
	assert_int_equal(claimed, CLAIMED_MADE);
	MUST(mount_key());
	assert_false(is_there(at("m/written")));
	unmount_key();
}

static void a_door_does_not_use_a_kept_one_after_a_boot(void **state)
{
	struct shale_store *again;

	(void)state;
	door_store();
	shale_store_close(NULL);
	store = open_more(NULL, "mount_option", "volatile", NULL);
	claim_and_write("keep");
	delete_path(of_key("k", "volatile"));
	make_link(of_key("k", "volatile"), OTHER_BOOT);
	again = open_more(NULL, "mount_option", "volatile", NULL);
	REFUSED(EBADFD, "earlier boot",
		shale_mounts(again, "k", take_none, NULL, &why));
}

/* Only what is to be removed, and is no view. */
static void a_door_makes_what_is_removed_volatile(void **state)
{
	static const struct {
		const char *onstop;
		bool is_view, is_volatile;
	} cases[] = {
		{ "remove", false, true },
		{ "remove", true, false },
		{ "keep", false, false },
		{ "commit=n", false, false },
	};
	enum claimed claimed;

	(void)state;
	make_layer("base", NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		MUST(claim_as(cases[i].onstop, cases[i].is_view, &claimed));
		assert_int_equal(is_there(of_key("k", "volatile")),
				 cases[i].is_volatile);
		MUST(shale_remove(store, "k", &why));
	}
}

/* Its last start never came to its stop, and the next one wants another. */
static void a_door_keeps_none_that_was_to_be_removed(void **state)
{
	static const char *const onstops[] = { "keep", "commit=n" };
	enum claimed claimed;

	(void)state;
	make_layer("base", NULL);
	MUST(claim("remove", &claimed));
	for (size_t i = 0; i < 2; i++)
		REFUSED(EEXIST, "'shale remove' it first",
			claim(onstops[i], &claimed));
	MUST(claim("remove", &claimed));
	assert_int_equal(claimed, CLAIMED_ADOPTED);
}

/* After a boot there is nothing left in it to be kept. */
static void a_door_makes_it_anew_to_be_kept_after_a_boot(void **state)
{
	enum claimed claimed;

	(void)state;
	make_layer("base", NULL);
	MUST(claim("remove", &claimed));
	set_boot_label(OTHER_BOOT);
	another_boot();
	MUST(claim("keep", &claimed));
	assert_int_equal(claimed, CLAIMED_MADE);
	assert_false(is_there(of_key("k", "volatile")));
}

static void cleanup_removes_a_doors_after_a_boot(void **state)
{
	uint64_t removed;

	(void)state;
	door_store();
	claim_and_write("remove");
	set_boot_label(OTHER_BOOT);
	another_boot();
	MUST(door_cleanup(store, &removed, &why));
	assert_int_equal(removed, 1);
	check_list(at("store/active"), "");
	check_list(at("store/trash"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(it_mounts_again_in_the_same_boot),
		TEST_IN_STORE(a_live_mount_keeps_the_mark),
		TEST_IN_STORE(check_makes_it_mountable),
		TEST_IN_STORE(it_is_committed_in_the_same_boot),
		TEST_IN_STORE(a_live_one_is_not_committed),
		TEST_IN_STORE(a_live_one_is_kept),
		TEST_IN_STORE(another_boot_refuses_to_mount_it),
		TEST_IN_STORE(another_boot_refuses_to_commit_it),
		TEST_IN_STORE(another_boot_lets_it_be_removed),
		TEST_IN_STORE(
			one_that_was_never_said_to_be_volatile_is_refused),
		TEST_IN_STORE(a_lost_fact_is_damage),
		TEST_IN_STORE(a_door_makes_it_anew_after_a_boot),
		TEST_IN_STORE(a_door_does_not_use_a_kept_one_after_a_boot),
		TEST_IN_STORE(a_door_makes_what_is_removed_volatile),
		TEST_IN_STORE(a_door_keeps_none_that_was_to_be_removed),
		TEST_IN_STORE(a_door_makes_it_anew_to_be_kept_after_a_boot),
		TEST_IN_STORE(cleanup_removes_a_doors_after_a_boot),
	};

	return cmocka_run_group_tests_name("volatile", tests, NULL, NULL);
}
