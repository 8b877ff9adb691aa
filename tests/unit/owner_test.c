/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keys of containers: made, adopted, let go and swept up, and never anybody
 * else's.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "owner.h"

/* A process that stands for a container's init; it dies with the test. */
static pid_t start_init(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)pause();
		_exit(0);
	}
	return pid;
}

static void end_init(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static struct owner owner_of(const char *container)
{
	return (struct owner){ .door = "hook",
			       .runtime_root = at("runtime"),
			       .container = container,
			       .bundle = "/bundle" };
}

static int claim_as(const struct owner *owner, const char *key,
		    const char *parent, const char *onstop, bool is_view,
		    pid_t pid, enum claimed *ret)
{
	const struct claim claim = { .owner = owner,
				     .key = key,
				     .parent = parent,
				     .onstop = onstop,
				     .is_view = is_view,
				     .pid = pid };

	return door_claim(store, &claim, ret, &why);
}

/* Claims as container "c" with a process that has ended since. */
static enum claimed claimed_once(const char *key, const char *onstop)
{
	const struct owner owner = owner_of("c");
	pid_t pid = start_init();
	enum claimed claimed;

	MUST(claim_as(&owner, key, "base", onstop, false, pid, &claimed));
	end_init(pid);
	return claimed;
}

static int release_as(const struct owner *owner, const char *key,
		      const struct policy *policy)
{
	const struct release release = {
		.owner = owner,
		.key = key,
		.root = at("store"),
		.policy = policy,
		.uid = 7,
		.watch_fd = -1,
	};

	return door_release(store, &release, &why);
}

static const struct policy anything = { .anything = true };

struct wanted {
	const char *label;
	char value[1024];
};

static int copy_label(void *ctx, const struct shale_info *info)
{
	struct wanted *wanted = ctx;

	for (size_t i = 0; info->labels[i]; i += 2)
		if (!strcmp(info->labels[i], wanted->label))
			(void)snprintf(wanted->value, sizeof(wanted->value),
				       "%s", info->labels[i + 1]);
	return 0;
}

/* "" where it has none; good until the next call. */
static const char *label_of(const char *key, const char *label)
{
	static struct wanted wanted;

	wanted = (struct wanted){ .label = label };
	MUST(shale_stat(store, key, copy_label, &wanted, &why));
	return wanted.value;
}

static void a_new_key_says_whose_it_is(void **state)
{
	char expected[64];
	const struct owner owner = owner_of("c");
	enum claimed claimed;

	(void)state;
	make_layer("base", "");
	MUST(claim_as(&owner, "k", "base", "keep", false, getpid(), &claimed));
	assert_int_equal(claimed, CLAIMED_MADE);
	assert_int_equal(kind_of("k"), SHALE_KIND_ACTIVE);
	assert_string_equal(label_of("k", OWNER_LABEL_DOOR), "hook");
	assert_string_equal(label_of("k", OWNER_LABEL_RUNTIME_ROOT),
			    at("runtime"));
	assert_string_equal(label_of("k", OWNER_LABEL_CONTAINER), "c");
	assert_string_equal(label_of("k", OWNER_LABEL_BUNDLE), "/bundle");
	assert_string_equal(label_of("k", OWNER_LABEL_ONSTOP), "keep");
	(void)snprintf(expected, sizeof(expected), "%d ", (int)getpid());
	assert_memory_equal(label_of("k", SHALE_LABEL_USER), expected,
			    strlen(expected));
	REFUSED(EBUSY, "'k'", shale_remove(store, "k", &why));
}

static void a_view_is_made_where_one_is_asked_for(void **state)
{
	const struct owner owner = owner_of("c");
	enum claimed claimed;

	(void)state;
	make_layer("base", "");
	MUST(claim_as(&owner, "k", "base", "remove", true, getpid(), &claimed));
	assert_int_equal(kind_of("k"), SHALE_KIND_VIEW);
}

static void its_own_key_is_adopted(void **state)
{
	(void)state;
	make_layer("base", "");
	assert_int_equal(claimed_once("k", "keep"), CLAIMED_MADE);
	make_file(of_key("k", "fs/kept"), "");
	assert_int_equal(claimed_once("k", "remove"), CLAIMED_ADOPTED);
	assert_true(is_there(of_key("k", "fs/kept")));
	assert_string_equal(label_of("k", OWNER_LABEL_ONSTOP), "remove");
}

static void its_own_key_in_use_is_busy(void **state)
{
	const struct owner owner = owner_of("c");
	enum claimed claimed;

	(void)state;
	make_layer("base", "");
	MUST(claim_as(&owner, "k", "base", "keep", false, getpid(), &claimed));
	REFUSED(EBUSY, "'k'",
		claim_as(&owner, "k", "base", "keep", false, getpid(),
			 &claimed));
}

static void anybody_elses_key_is_taken(void **state)
{
	struct owner others[4];
	enum claimed claimed;

	(void)state;
	make_layer("base", "");
	(void)claimed_once("k", "keep");
	for (size_t i = 0; i < 4; i++)
		others[i] = owner_of("c");
	others[0].door = "runtime";
	others[1].runtime_root = "";
	others[2].container = "d";
	others[3].bundle = "/bundle2";
	for (size_t i = 0; i < 4; i++)
		REFUSED(EEXIST, "not of this container",
			claim_as(&others[i], "k", "base", "keep", false,
				 getpid(), &claimed));
	MUST(shale_prepare(store, "bare", "base", NULL, &why));
	REFUSED(EEXIST, "not of this container",
		claim_as(&others[0], "bare", "base", "keep", false, getpid(),
			 &claimed));
	REFUSED(EEXIST, "not of this container",
		claim_as(&others[0], "base", "base", "keep", false, getpid(),
			 &claimed));
}

static void another_parent_or_kind_is_taken(void **state)
{
	const struct owner owner = owner_of("c");
	enum claimed claimed;

	(void)state;
	make_layer("base", "");
	make_layer("two", "base");
	(void)claimed_once("k", "keep");
	REFUSED(EEXIST, "parent 'base', not 'two'",
		claim_as(&owner, "k", "two", "keep", false, getpid(),
			 &claimed));
	REFUSED(EEXIST, "no view",
		claim_as(&owner, "k", "base", "keep", true, getpid(),
			 &claimed));
}

static void a_commit_by_the_name_of_the_key_is_refused(void **state)
{
	const struct owner owner = owner_of("c");
	enum claimed claimed;

	(void)state;
	make_layer("base", "");
	REFUSED(EINVAL, "onstop commits 'k' by the name",
		claim_as(&owner, "k", "base", "commit=k", false, getpid(),
			 &claimed));
	assert_int_equal(shale_exists(store, "k", NULL), -ENOENT);
}

static int claim_mapped(const struct mapping *mapping, enum claimed *ret)
{
	const struct owner owner = owner_of("c");
	const struct claim claim = { .owner = &owner,
				     .key = "k",
				     .parent = "base",
				     .onstop = "keep",
				     .mapping = mapping,
				     .pid = getpid() };

	return door_claim(store, &claim, ret, &why);
}

static void forget_use(void)
{
	MUST(shale_update(
		store, "k", NULL,
		(const char *const[]){ "labels." SHALE_LABEL_USER, NULL },
		&why));
}

static void another_user_namespace_is_taken(void **state)
{
	const struct mapping none = { NULL, NULL, NULL };
	const struct mapping one = { (char *)"0:1:5", (char *)"0:2:5", NULL };
	const struct mapping other = { (char *)"0:1:5", (char *)"0:3:5", NULL };
	enum claimed claimed;

	(void)state;
	make_layer("base", "");
	MUST(claim_mapped(&one, &claimed));
	assert_string_equal(label_of("k", SHALE_LABEL_UIDMAP), "0:1:5");
	assert_string_equal(label_of("k", SHALE_LABEL_GIDMAP), "0:2:5");
	forget_use();
	REFUSED(EEXIST, "another user namespace (uids '0:1:5', gids '0:2:5')",
		claim_mapped(&other, &claimed));
	REFUSED(EEXIST, "another user namespace",
		claim_mapped(&none, &claimed));
	REFUSED(EEXIST, "another user namespace", claim_mapped(NULL, &claimed));
	MUST(claim_mapped(&one, &claimed));
	assert_int_equal(claimed, CLAIMED_ADOPTED);
	forget_use();
	MUST(shale_remove(store, "k", &why));
	MUST(claim_mapped(&none, &claimed));
	assert_string_equal(label_of("k", SHALE_LABEL_UIDMAP), "");
	forget_use();
	REFUSED(EEXIST, "another user namespace", claim_mapped(&one, &claimed));
}

static void set_boot(const char *key, const char *boot)
{
	const char *const labels[] = { OWNER_LABEL_BOOT, boot, NULL };
	const char *const fields[] = { "labels." OWNER_LABEL_BOOT, NULL };

	MUST(shale_update(store, key, labels, fields, &why));
}

static void a_leftover_of_another_boot_is_made_anew(void **state)
{
	(void)state;
	make_layer("base", "");
	(void)claimed_once("k", "remove");
	make_file(of_key("k", "fs/stale"), "");
	set_boot("k", "earlier");
	assert_int_equal(claimed_once("k", "remove"), CLAIMED_MADE);
	assert_false(is_there(of_key("k", "fs/stale")));
}

static void what_is_kept_outlives_a_boot(void **state)
{
	(void)state;
	make_layer("base", "");
	(void)claimed_once("k", "keep");
	make_file(of_key("k", "fs/kept"), "");
	set_boot("k", "earlier");
	assert_int_equal(claimed_once("k", "keep"), CLAIMED_ADOPTED);
	assert_true(is_there(of_key("k", "fs/kept")));
	assert_string_not_equal(label_of("k", OWNER_LABEL_BOOT), "earlier");
}

static void a_process_that_is_gone_claims_nothing(void **state)
{
	const struct owner owner = owner_of("c");
	pid_t pid = start_init();
	enum claimed claimed;

	(void)state;
	make_layer("base", "");
	end_init(pid);
	REFUSED(ESRCH, "process",
		claim_as(&owner, "k", "base", "keep", false, pid, &claimed));
}

static void unclaim_leaves_what_was_there_before(void **state)
{
	const struct owner owner = owner_of("c");
	enum claimed claimed;

	(void)state;
	make_layer("base", "");
	MUST(claim_as(&owner, "k", "base", "keep", false, getpid(), &claimed));
	MUST(door_unclaim_unused(store, "k", claimed, -1, &why));
	assert_int_equal(shale_exists(store, "k", NULL), -ENOENT);
	(void)claimed_once("k", "keep");
	MUST(claim_as(&owner, "k", "base", "keep", false, getpid(), &claimed));
	door_unclaim(store, "k", claimed);
	assert_string_equal(label_of("k", SHALE_LABEL_USER), "");
	MUST(shale_remove(store, "k", &why));
}

/* ---- release ---- */

static void remove_removes_any_number_of_times(void **state)
{
	const struct owner owner = owner_of("c");

	(void)state;
	make_layer("base", "");
	(void)claimed_once("k", "remove");
	for (int i = 0; i < 3; i++) {
		MUST(release_as(&owner, "k", &anything));
		assert_int_equal(shale_exists(store, "k", NULL), -ENOENT);
	}
}

static void keep_keeps(void **state)
{
	const struct owner owner = owner_of("c");

	(void)state;
	make_layer("base", "");
	(void)claimed_once("k", "keep");
	MUST(release_as(&owner, "k", &anything));
	MUST(shale_exists(store, "k", &why));
}

static void commit_commits_any_number_of_times(void **state)
{
	const struct owner owner = owner_of("c");

	(void)state;
	make_layer("base", "");
	(void)claimed_once("k", "commit=out");
	make_file(of_key("k", "fs/new"), "");
	for (int i = 0; i < 3; i++)
		MUST(release_as(&owner, "k", &anything));
	assert_int_equal(kind_of("out"), SHALE_KIND_COMMITTED);
	assert_true(is_there(of_name("out", "fs/new")));
}

static void a_commit_that_fails_keeps_the_key(void **state)
{
	const struct owner owner = owner_of("c");

	(void)state;
	make_layer("base", "");
	(void)claimed_once("k", "commit=base");
	REFUSED(EEXIST, "'base'", release_as(&owner, "k", &anything));
}

static void a_commit_leaves_some_of_the_disk(void **state)
{
	const struct owner owner = owner_of("c");
	char disk[PATH_MAX];
	struct release release = { .owner = &owner,
				   .key = "k",
				   .root = disk,
				   .policy = &anything,
				   .watch_fd = -1 };
	int fd;

	(void)state;
	needs_mounts();
	make_layer("base", "");
	(void)claimed_once("k", "commit=out");
	(void)snprintf(disk, sizeof(disk), "%s", at("disk"));
	make_dir(disk);
	assert_int_equal(mount("none", disk, "tmpfs", 0, "size=1m"), 0);
	fd = open(at("disk/file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(posix_fallocate(fd, 0, 1000L * 1024), 0);
	(void)close(fd);
	REFUSED(ENOSPC, "less than 5 % of the disk of",
		door_release(store, &release, &why));
	assert_int_equal(shale_exists(store, "out", NULL), -ENOENT);
	delete_path(at("disk/file"));
	MUST(door_release(store, &release, &why));
	assert_int_equal(kind_of("out"), SHALE_KIND_COMMITTED);
	assert_int_equal(umount(disk), 0);
}

static void a_commit_asks_the_policy_again(void **state)
{
	const struct owner owner = owner_of("c");
	char *parents[] = { (char *)"", NULL };
	struct policy_rule rule = {
		.user_name = (char *)"7",
		.uid = 7,
		.parents = parents,
		.onstop = { [ONSTOP_COMMIT] = true },
		.commit_prefix = (char *)"in",
	};
	const struct policy policy = { .path = (char *)"/etc/p.json",
				       .rules = &rule,
				       .count = 1 };

	(void)state;
	make_layer("base", "");
	(void)claimed_once("k", "commit=out");
	REFUSED(EPERM, "/etc/p.json", release_as(&owner, "k", &policy));
	rule.commit_prefix = (char *)"o";
	rule.max_bytes = 1;
	make_file(of_key("k", "fs/big"), "more than one byte");
	REFUSED(EFBIG, "max_bytes 1", release_as(&owner, "k", &policy));
	rule.max_bytes = 1 << 20;
	MUST(release_as(&owner, "k", &policy));
	assert_int_equal(kind_of("out"), SHALE_KIND_COMMITTED);
}

static void what_is_not_its_own_is_not_touched(void **state)
{
	const struct owner other = owner_of("d");
	char *before, *after;

	(void)state;
	make_layer("base", "");
	(void)claimed_once("k", "remove");
	MUST(shale_prepare(store, "bare", "base", NULL, &why));
	before = dump();
	MUST(release_as(&other, "k", &anything));
	MUST(release_as(&other, "bare", &anything));
	MUST(release_as(&other, "base", &anything));
	after = dump();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void a_root_unknown_at_creation_contradicts_none(void **state)
{
	const struct owner owner = owner_of("c");
	struct owner unknown = owner;
	pid_t pid = start_init();
	enum claimed claimed;

	(void)state;
	unknown.runtime_root = "";
	make_layer("base", "");
	MUST(claim_as(&unknown, "k", "base", "remove", false, pid, &claimed));
	end_init(pid);
	MUST(release_as(&owner, "k", &anything));
	assert_int_equal(shale_exists(store, "k", NULL), -ENOENT);
}

static void an_unknown_root_at_stop_waits_for_the_runtime(void **state)
{
	struct owner unknown = owner_of("c");

	(void)state;
	unknown.runtime_root = "";
	make_layer("base", "");
	make_dir(at("runtime"));
	make_dir(at("runtime/c"));
	(void)claimed_once("k", "remove");
	MUST(release_as(&unknown, "k", &anything));
	MUST(shale_exists(store, "k", &why));
	delete_tree(at("runtime/c"));
	unknown.bundle = "/bundle2";
	MUST(release_as(&unknown, "k", &anything));
	MUST(shale_exists(store, "k", &why));
	unknown.bundle = "/bundle";
	MUST(release_as(&unknown, "k", &anything));
	assert_int_equal(shale_exists(store, "k", NULL), -ENOENT);
}

/* ---- cleanup ---- */

static void cleanup_removes_what_has_no_container(void **state)
{
	static const char *const stay[] = { "here", "kept", "out-of", "bare",
					    "used" };
	const struct owner here_owner = owner_of("here");
	const struct owner used_owner = owner_of("used");
	pid_t pid = start_init();
	enum claimed claimed;
	uint64_t removed = 0;

	(void)state;
	make_layer("base", "");
	make_dir(at("runtime"));
	make_dir(at("runtime/here"));
	(void)claimed_once("gone", "remove");
	(void)claimed_once("old", "remove");
	set_boot("old", "earlier");
	(void)claimed_once("kept", "keep");
	(void)claimed_once("out-of", "commit=x");
	MUST(claim_as(&here_owner, "here", "base", "remove", false, pid,
		      &claimed));
	end_init(pid);
	MUST(claim_as(&used_owner, "used", "base", "remove", false, getpid(),
		      &claimed));
	MUST(shale_prepare(store, "bare", "base", NULL, &why));
	MUST(door_cleanup(store, &removed, &why));
	assert_int_equal(removed, 2);
	for (size_t i = 0; i < sizeof(stay) / sizeof(*stay); i++)
		MUST(shale_exists(store, stay[i], &why));
	assert_int_equal(shale_exists(store, "gone", NULL), -ENOENT);
	assert_int_equal(shale_exists(store, "old", NULL), -ENOENT);
}

static void a_damaged_key_keeps_no_other_from_cleanup(void **state)
{
	int r;

	(void)state;
	make_layer("base", "");
	make_dir(at("runtime"));
	(void)claimed_once("gone", "remove");
	MUST(shale_prepare(store, "damaged", "base", NULL, &why));
	make_link(of_key("damaged", "key.parent"), "torn");
	reopen();
	r = door_cleanup(store, NULL, &why);
	assert_int_equal(r, -EUCLEAN);
	assert_non_null(strstr(why.msg, "'damaged'"));
	assert_int_equal(shale_exists(store, "gone", NULL), -ENOENT);
}

static void cleanup_needs_a_root_to_say_gone(void **state)
{
	struct owner owners[4];
	static const char *const keys[] = { "a", "b", "c", "d" };
	uint64_t removed = 99;

	(void)state;
	make_layer("base", "");
	make_dir(at("runtime"));
	for (size_t i = 0; i < 4; i++) {
		pid_t pid = start_init();
		enum claimed claimed;

		owners[i] = owner_of("c");
		owners[0].runtime_root = "";
		owners[1].container = "../runtime2";
		owners[2].container = "..";
		owners[3].runtime_root = "relative";
		MUST(claim_as(&owners[i], keys[i], "base", "remove", false, pid,
			      &claimed));
		end_init(pid);
	}
	MUST(door_cleanup(store, &removed, &why));
	assert_int_equal(removed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(a_new_key_says_whose_it_is),
		TEST_IN_STORE(a_view_is_made_where_one_is_asked_for),
		TEST_IN_STORE(its_own_key_is_adopted),
		TEST_IN_STORE(its_own_key_in_use_is_busy),
		TEST_IN_STORE(anybody_elses_key_is_taken),
		TEST_IN_STORE(another_parent_or_kind_is_taken),
		TEST_IN_STORE(a_commit_by_the_name_of_the_key_is_refused),
		TEST_IN_STORE(another_user_namespace_is_taken),
		TEST_IN_STORE(a_leftover_of_another_boot_is_made_anew),
		TEST_IN_STORE(what_is_kept_outlives_a_boot),
		TEST_IN_STORE(a_process_that_is_gone_claims_nothing),
		TEST_IN_STORE(unclaim_leaves_what_was_there_before),
		TEST_IN_STORE(remove_removes_any_number_of_times),
		TEST_IN_STORE(keep_keeps),
		TEST_IN_STORE(commit_commits_any_number_of_times),
		TEST_IN_STORE(a_commit_that_fails_keeps_the_key),
		TEST_IN_STORE(a_commit_leaves_some_of_the_disk),
		TEST_IN_STORE(a_commit_asks_the_policy_again),
		TEST_IN_STORE(what_is_not_its_own_is_not_touched),
		TEST_IN_STORE(a_root_unknown_at_creation_contradicts_none),
		TEST_IN_STORE(an_unknown_root_at_stop_waits_for_the_runtime),
		TEST_IN_STORE(cleanup_removes_what_has_no_container),
		TEST_IN_STORE(a_damaged_key_keeps_no_other_from_cleanup),
		TEST_IN_STORE(cleanup_needs_a_root_to_say_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
