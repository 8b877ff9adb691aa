/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Actives whose files are in another directory: where, who removes them, and
 * what a process that died or a reboot leaves.
 */
#include "fixture.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "invariants.h"

static struct shale_store *open_with(const char *name, const char *dir)
{
	char value[PATH_MAX + 64];

	(void)snprintf(value, sizeof(value), "%s=%s", name, dir);
	return open_more(NULL, "upper", value, NULL);
}

/* A store with the layers 1 and 2, and here/ram as its upper "ram". */
static void start(void)
{
	make_layer("1", NULL);
	make_layer("2", "1");
	make_dir(at("ram"));
	store = open_with("ram", at("ram"));
}

static int prepare_on(struct shale_store *it, const char *key,
		      const char *parent, const char *upper)
{
	const char *const labels[] = { SHALE_LABEL_UPPER, upper, NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	return shale_prepare(it, key, parent, &opts, &why);
}

/* The files of @key, from its fact; the manual has the rule. */
static const char *placed(const char *key, const char *file)
{
	char fact[128] = "";
	ssize_t n = readlink(of_key(key, "upper"), fact, sizeof(fact) - 1);

	assert_in_range(n, 34, sizeof(fact) - 1);
	return at("ram/%s/%s/%s", id(at("store")), strchr(fact, '/') + 1, file);
}

static int count_placed(void)
{
	DIR *dir = opendir(at("ram/%s", id(at("store"))));
	const struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.';
	if (dir)
		(void)closedir(dir);
	return n;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void its_files_are_there_and_not_in_the_store(void **state)
{
	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	assert_false(is_there(of_key("k", "fs")));
	assert_false(is_there(of_key("k", "work")));
	assert_int_equal(mode_of(at("ram/%s", id(at("store")))), 0700);
	assert_int_equal(mode_of(placed("k", "")), 0700);
	assert_int_equal(mode_of(placed("k", "fs")), 0755);
	check_mount(store, "k",
		    "overlay overlay workdir=%s upperdir=%s lowerdir=%s:%s"
		    " " DEFAULTS,
		    placed("k", "work"), placed("k", "fs"), of_name("2", "fs"),
		    of_name("1", "fs"));
	assert_int_equal(invariants_check(false), 0);
}

static void a_bind_is_of_that_directory(void **state)
{
	(void)state;
	start();
	MUST(prepare_on(store, "k", NULL, "ram"));
	check_mount(store, "k", "bind %s rw rbind", placed("k", "fs"));
}

static void usage_is_that_of_its_files(void **state)
{
	struct shale_usage usage = { .size = sizeof(usage) };

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	make_file(at("%s", placed("k", "fs/a") + strlen(here) + 1), "text");
	MUST(shale_usage(store, "k", &usage, &why));
	assert_int_equal(usage.inodes, 2);
}

static void remove_deletes_them(void **state)
{
	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	MUST(prepare_on(store, "other", "2", "ram"));
	assert_int_equal(count_placed(), 2);
	MUST(shale_remove(store, "k", &why));
	assert_int_equal(count_placed(), 1);
	assert_true(is_there(placed("other", "fs")));
}

static void what_can_not_be_is_refused(void **state)
{
	static const char *const labels[] = { SHALE_LABEL_UPPER, "ram", NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	(void)state;
	start();
	REFUSED(EINVAL, "label '" SHALE_LABEL_UPPER "': a view",
		shale_view(store, "v", "2", &opts, &why));
	REFUSED(EINVAL, "add \"disk\": \"/DIRECTORY\" to uppers",
		prepare_on(store, "k", "2", "disk"));
	REFUSED(EINVAL, "'' can't be the name of an upper",
		prepare_on(store, "k", "2", ""));
}

static void a_prepare_that_fails_leaves_nothing(void **state)
{
	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	REFUSED(EEXIST, "'k'", prepare_on(store, "k", "2", "ram"));
	assert_int_equal(count_placed(), 1);
	/* Late: the facts can't be written into it. */
	make_dir(at("gone"));
	store = open_with("ram", at("gone"));
	assert_int_equal(rmdir(at("gone")), 0);
	REFUSED(ENOENT, "gone", prepare_on(store, "l", "2", "ram"));
}

static void a_directory_that_others_may_write_is_refused(void **state)
{
	(void)state;
	start();
	assert_int_equal(chmod(at("ram"), 01777), 0);
	REFUSED(EPERM, "nobody else's", prepare_on(store, "k", "2", "ram"));
	assert_int_equal(chmod(at("ram"), 0755), 0);
	MUST(prepare_on(store, "k", "2", "ram"));
}

static int try_open(const char *value)
{
	const char *const config[] = {
		"any_filesystem", "yes",      "upper", value,
		"upper",	  "taken=/a", NULL
	};
	struct shale_store *it = NULL;
	int r = shale_store_open(at("store"), NULL, config, NULL, &it, &why);

	shale_store_close(it);
	return r;
}

static void a_bad_setting_is_refused(void **state)
{
	static const char *const bad[] = { "",	      "=",     "=/a",
					   "a",	      "a=",    "a=b",
					   "a/b=/c",  ".a=/b", "a b=/c",
					   "taken=/b" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		REFUSED(EINVAL, "configuration upper: bad value",
			try_open(bad[i]));
	MUST(try_open("A-z_0.9=/a=b"));
}

/* ---- commit ---- */

/* "k" with a file, a second name of it and a whiteout. */
static void fill(void)
{
	char file[PATH_MAX], second[PATH_MAX];

	(void)snprintf(file, sizeof(file), "%s", placed("k", "fs/a"));
	(void)snprintf(second, sizeof(second), "%s", placed("k", "fs/b"));
	make_file(file, "text");
	assert_int_equal(link(file, second), 0);
	(void)snprintf(file, sizeof(file), "%s", placed("k", "fs/1"));
	if (geteuid() == 0)
		assert_int_equal(mknod(file, S_IFCHR, 0), 0);
}

static void commit_brings_them_into_the_store(void **state)
{
	struct stat a, b, whiteout;
	struct seen seen;

	(void)state;
	needs_root();
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	fill();
	MUST(shale_commit(store, "n", "k", NULL, &why));
	check_list(of_name("n", ""), "fs name name.parent usage");
	check_list(of_name("n", "fs"), "1 a b");
	assert_int_equal(lstat(of_name("n", "fs/a"), &a), 0);
	assert_int_equal(lstat(of_name("n", "fs/b"), &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(lstat(of_name("n", "fs/1"), &whiteout), 0);
	assert_true(S_ISCHR(whiteout.st_mode) && !whiteout.st_rdev);
	REFUSED(ENOENT, "'k'", shale_exists(store, "k", &why));
	assert_int_equal(count_placed(), 0);
	look("n", &seen);
	assert_string_equal(seen.parent, "2");
	assert_int_equal(invariants_check(false), 0);
	/* The counts of children are right, too. */
	REFUSED(EBUSY, "1 child", shale_delete(store, "2", &why));
	MUST(shale_delete(store, "n", &why));
	MUST(shale_delete(store, "2", &why));
}

static void a_kept_commit_copies_them(void **state)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .flags = SHALE_COMMIT_KEEP };

	(void)state;
	needs_root();
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	fill();
	MUST(shale_commit(store, "n", "k", &opts, &why));
	check_list(of_name("n", "fs"), "1 a b");
	check_list(placed("k", "fs"), "1 a b");
	assert_int_equal(invariants_check(false), 0);
}

static void commit_can_give_a_parent(void **state)
{
	const struct shale_opts opts = { .size = sizeof(opts), .parent = "2" };
	struct seen seen;

	(void)state;
	start();
	MUST(prepare_on(store, "k", NULL, "ram"));
	MUST(shale_commit(store, "n", "k", &opts, &why));
	look("n", &seen);
	assert_string_equal(seen.parent, "2");
	REFUSED(EBUSY, "1 child", shale_delete(store, "2", &why));
}

static void all_of_it_can_be_made_durable(void **state)
{
	char value[PATH_MAX + 64];

	(void)state;
	start();
	(void)snprintf(value, sizeof(value), "ram=%s", at("ram"));
	store = open_more(NULL, "durability", "all", "upper", value, NULL);
	MUST(prepare_on(store, "k", "2", "ram"));
	MUST(shale_commit(store, "n", "k", NULL, &why));
	MUST(prepare_on(store, "k", "n", "ram"));
	MUST(shale_remove(store, "k", &why));
	assert_int_equal(count_placed(), 0);
	assert_int_equal(invariants_check(false), 0);
}

static void commit_that_is_refused_leaves_them(void **state)
{
	const char *const labels[] = { SHALE_LABEL_USER,
				       user_text(getpid(), "c"), NULL };
	static const char *const field[] = { "labels." SHALE_LABEL_USER, NULL };

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	REFUSED(EEXIST, "'1' is taken",
		shale_commit(store, "1", "k", NULL, &why));
	MUST(shale_update(store, "k", labels, field, &why));
	REFUSED(EBUSY, "'k'", shale_commit(store, "n", "k", NULL, &why));
	MUST(shale_update(store, "k", NULL, field, &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
}

/* Killed after its copy is published and before the key is gone. */
static void a_commit_that_died_leaves_both(void **state)
{
	uint64_t removed;

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	make_layer("n", "2");
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(count_placed(), 1);
	REFUSED(EEXIST, "'n' is taken",
		shale_commit(store, "n", "k", NULL, &why));
	MUST(shale_remove(store, "k", &why));
	assert_int_equal(count_placed(), 0);
}

/* ---- what is gone ---- */

static void files_that_are_gone_are_told(void **state)
{
	struct shale_usage usage = { .size = sizeof(usage) };

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	delete_tree(at("ram/%s", id(at("store"))));
	REFUSED(EBADFD, "remove it and prepare it anew",
		shale_mounts(store, "k", NULL, NULL, &why));
	REFUSED(EBADFD, "are not in",
		shale_commit(store, "n", "k", NULL, &why));
	REFUSED(EBADFD, "are not in", shale_usage(store, "k", &usage, &why));
	/* In nobody's use, so a door may remove it. */
	MUST(shale_in_use(store, "k", &why));
	REFUSED(EUCLEAN, "are not in", shale_check(store, 0, NULL, NULL, &why));
	MUST(shale_remove(store, "k", &why));
	MUST(prepare_on(store, "k", "2", "ram"));
}

static void a_name_that_is_no_longer_configured_is_told(void **state)
{
	struct shale_store *without;
	uint64_t removed;

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	without = open_more(NULL, NULL);
	REFUSED(EBADFD, "add \"ram\": \"/DIRECTORY\" to uppers",
		shale_mounts(without, "k", NULL, NULL, &why));
	MUST(shale_remove(without, "k", &why));
	/* Its files wait for who can find them. */
	assert_int_equal(count_placed(), 1);
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, 1);
	assert_int_equal(count_placed(), 0);
}

static void a_lost_fact_is_damage(void **state)
{
	static const char *const torn[] = { "ram", "ram/", "ram/../x",
					    "/etc/passwd", NULL };

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	for (size_t i = 0; torn[i]; i++) {
		delete_path(of_key("k", "upper"));
		make_link(of_key("k", "upper"), torn[i]);
		store = open_with("ram", at("ram"));
		REFUSED(EUCLEAN, "upper fact is torn",
			shale_mounts(store, "k", NULL, NULL, &why));
	}
	MUST(shale_remove(store, "k", &why));
}

/* ---- cleanup ---- */

/* As a prepare leaves it that was killed between two of its steps. */
static void make_orphan(const char *name)
{
	make_dir(at("ram/%s/%s", id(at("store")), name));
	make_dir(at("ram/%s/%s/fs", id(at("store")), name));
	make_file(at("ram/%s/%s/fs/a", id(at("store")), name), "a");
}

#define ORPHAN "0123456789abcdef0123456789abcdef"

static void cleanup_removes_what_nobody_refers_to(void **state)
{
	uint64_t removed;

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	make_orphan(ORPHAN);
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, 1);
	assert_int_equal(count_placed(), 1);
	assert_true(is_there(placed("k", "fs")));
}

static void cleanup_spares_what_is_being_built(void **state)
{
	struct helper builder;
	char path[PATH_MAX];
	uint64_t removed;

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	make_orphan(ORPHAN);
	make_dir(at("store/staging/" ORPHAN));
	(void)snprintf(path, sizeof(path), "%s", at("store/staging/" ORPHAN));
	helper_start(&builder, flock_path, path);
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, 0);
	assert_int_equal(count_placed(), 2);
	/* Its builder dies: both go. */
	helper_kill(&builder);
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, 2);
	assert_int_equal(count_placed(), 1);
}

static void cleanup_spares_what_is_not_shales(void **state)
{
	uint64_t removed;

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	make_dir(at("ram/%s/mine", id(at("store"))));
	make_dir(at("ram/" ORPHAN));
	make_dir(at("ram/" ORPHAN "/" ORPHAN));
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, 0);
	assert_true(is_there(at("ram/%s/mine", id(at("store")))));
	assert_true(is_there(at("ram/" ORPHAN "/" ORPHAN)));
}

static void cleanup_spares_what_a_torn_active_refers_to(void **state)
{
	uint64_t removed;

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	delete_path(of_key("k", "key.labels"));
	make_link(of_key("k", "key.labels"), "{");
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(count_placed(), 1);
	delete_path(of_key("k", "upper"));
	make_link(of_key("k", "upper"), "torn");
	REFUSED(EINVAL, "/upper'", shale_cleanup(store, &removed, &why));
	assert_int_equal(count_placed(), 1);
}

/* ---- check ---- */

static const char *orphan_line(const char *mark)
{
	static char line[PATH_MAX];

	(void)snprintf(line, sizeof(line), "%supper-without-key %s\n", mark,
		       at("ram/%s/" ORPHAN, id(at("store"))));
	return line;
}

/* What is younger than a second may be a live process's. */
static void grow_old(void)
{
	const struct timespec second = { 1, 100000000 };

	(void)nanosleep(&second, NULL);
}

static void check_names_what_nobody_refers_to(void **state)
{
	struct helper remover;
	char path[PATH_MAX];

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	make_orphan(ORPHAN);
	check_finds(SHALE_CHECK_REPAIR, "");
	grow_old();
	check_finds(SHALE_CHECK_REPAIR, orphan_line(""));
	(void)snprintf(path, sizeof(path), "%s",
		       at("ram/%s/" ORPHAN, id(at("store"))));
	helper_start(&remover, flock_path, path);
	check_finds(0, "");
	helper_stop(&remover);
	delete_path(at("ram/%s/" ORPHAN "/fs/a", id(at("store"))));
	grow_old();
	check_finds(SHALE_CHECK_REPAIR, orphan_line("!"));
	assert_int_equal(count_placed(), 1);
	check_finds(0, "");
}

/* A removal that died after its rename: its entry in trash/ says whose. */
static void what_trash_refers_to_is_no_orphan(void **state)
{
	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	assert_int_equal(rename(of_key("k", ""), at("store/trash/" ORPHAN)), 0);
	grow_old();
	check_finds(0, "leftover trash/" ORPHAN "\n");
	MUST(shale_cleanup(store, NULL, &why));
	assert_int_equal(count_placed(), 0);
	check_finds(0, "");
}

static void check_names_an_upper_of_two(void **state)
{
	char fact[128] = "", lines[256];

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	MUST(prepare_on(store, "l", "2", "ram"));
	assert_true(readlink(of_key("k", "upper"), fact, sizeof(fact) - 1) > 0);
	delete_tree(placed("l", ""));
	delete_path(of_key("l", "upper"));
	make_link(of_key("l", "upper"), fact);
	(void)snprintf(lines, sizeof(lines),
		       "upper-twice active/%s/upper\n"
		       "upper-twice active/%s/upper\n",
		       id("k"), id("l"));
	check_finds(SHALE_CHECK_REPAIR, lines);
}

static void check_names_what_is_not_shales(void **state)
{
	char lines[3 * PATH_MAX];

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	make_dir(at("ram/%s/mine", id(at("store"))));
	make_file(placed("k", "notes"), "");
	assert_int_equal(chmod(placed("k", ""), 0755), 0);
	(void)snprintf(lines, sizeof(lines), "stray %s\n",
		       at("ram/%s/mine", id(at("store"))));
	(void)snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines),
		       "stray %s\n", placed("k", "notes"));
	(void)snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines),
		       "!mode %.*s\n", (int)strlen(placed("k", "")) - 1,
		       placed("k", ""));
	check_finds(SHALE_CHECK_REPAIR, lines);
	assert_int_equal(mode_of(placed("k", "")), 0700);
	assert_true(is_there(placed("k", "notes")));
}

/* Keys that come and go, by removal and by commit. */
static int work(void *ctx)
{
	struct shale_store *own = open_with("ram", at("ram"));
	int r = 0;

	(void)ctx;
	for (int i = 0; r == 0 && i < 150; i++) {
		r = prepare_on(own, "busy", "2", "ram");
		if (r == 0 && i % 2 == 0)
			r = shale_remove(own, "busy", &why);
		else if (r == 0)
			r = shale_commit(own, "done", "busy", NULL, &why);
		if (r == 0 && i % 2 != 0)
			r = shale_delete(own, "done", &why);
	}
	if (r < 0)
		(void)fprintf(stderr, "# %s\n", why.msg);
	return r;
}

static void a_repair_beside_writers_finds_nothing(void **state)
{
	struct helper helper;

	(void)state;
	start();
	helper_begin(&helper, work, NULL);
	for (int i = 0; i < 20; i++)
		check_finds(SHALE_CHECK_REPAIR, "");
	helper_wait(&helper);
	helper_stop(&helper);
	check_finds(0, "");
	assert_int_equal(count_placed(), 0);
}

static void a_lost_work_is_made_anew(void **state)
{
	char line[256];

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	delete_path(placed("k", "work"));
	(void)snprintf(line, sizeof(line), "!work active/%s/work\n", id("k"));
	check_finds(0, line + 1);
	check_finds(SHALE_CHECK_REPAIR, line);
	assert_int_equal(mode_of(placed("k", "work")), 0700);
	check_finds(0, "");
}

/* A copy of a store has another path, and leaves the original's alone. */
static void a_copy_of_a_store_touches_nothing(void **state)
{
	char value[PATH_MAX + 64], command[2 * PATH_MAX + 64];
	const char *config[] = { "any_filesystem", "yes", "upper", value,
				 NULL };
	struct shale_store *copy = NULL;
	uint64_t removed;

	(void)state;
	start();
	MUST(prepare_on(store, "k", "2", "ram"));
	(void)snprintf(command, sizeof(command), "cp -a '%s' '%s'", at("store"),
		       at("copy"));
	assert_int_equal(system(command), 0);
	MUST(prepare_on(store, "later", "2", "ram"));
	(void)snprintf(value, sizeof(value), "ram=%s", at("ram"));
	MUST(shale_store_open(at("copy"), NULL, config, NULL, &copy, &why));
	MUST(shale_cleanup(copy, &removed, &why));
	assert_int_equal(count_placed(), 2);
	assert_int_equal(shale_mounts(copy, "k", NULL, NULL, &why), -EBADFD);
	MUST(shale_remove(copy, "k", &why));
	assert_int_equal(count_placed(), 2);
	shale_store_close(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(its_files_are_there_and_not_in_the_store),
		TEST_IN_STORE(a_bind_is_of_that_directory),
		TEST_IN_STORE(usage_is_that_of_its_files),
		TEST_IN_STORE(remove_deletes_them),
		TEST_IN_STORE(what_can_not_be_is_refused),
		TEST_IN_STORE(a_prepare_that_fails_leaves_nothing),
		TEST_IN_STORE(a_directory_that_others_may_write_is_refused),
		TEST_IN_STORE(a_bad_setting_is_refused),
		TEST_IN_STORE(commit_brings_them_into_the_store),
		TEST_IN_STORE(a_kept_commit_copies_them),
		TEST_IN_STORE(commit_can_give_a_parent),
		TEST_IN_STORE(all_of_it_can_be_made_durable),
		TEST_IN_STORE(commit_that_is_refused_leaves_them),
		TEST_IN_STORE(a_commit_that_died_leaves_both),
		TEST_IN_STORE(files_that_are_gone_are_told),
		TEST_IN_STORE(a_name_that_is_no_longer_configured_is_told),
		TEST_IN_STORE(a_lost_fact_is_damage),
		TEST_IN_STORE(cleanup_removes_what_nobody_refers_to),
		TEST_IN_STORE(cleanup_spares_what_is_being_built),
		TEST_IN_STORE(cleanup_spares_what_is_not_shales),
		TEST_IN_STORE(cleanup_spares_what_a_torn_active_refers_to),
		TEST_IN_STORE(check_names_what_nobody_refers_to),
		TEST_IN_STORE(what_trash_refers_to_is_no_orphan),
		TEST_IN_STORE(check_names_an_upper_of_two),
		TEST_IN_STORE(check_names_what_is_not_shales),
		TEST_IN_STORE(a_lost_work_is_made_anew),
		TEST_IN_STORE(a_repair_beside_writers_finds_nothing),
		TEST_IN_STORE(a_copy_of_a_store_touches_nothing),
	};

	return cmocka_run_group_tests_name("upper", tests, NULL, NULL);
}
