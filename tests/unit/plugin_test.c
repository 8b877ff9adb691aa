/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loader: what it takes, and each of its refusals by code and sentence.
 * The plugins are those of tests/plugins; the copy of the loader that is
 * tested here has their directory for its plugin directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "scope.h"

/* A user that owns nothing. */
#define STRANGER 65534

static char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *format(const char *fmt, ...)
{
	va_list args;
	char *ret;

	va_start(args, fmt);
	assert_true(vasprintf(&ret, fmt, args) >= 0);
	va_end(args);
	return ret;
}

/* Loading fails with this code and this sentence, and returns nothing. */
static void assert_refused(const char *name, int code, const char *sentence)
{
	struct shale_plugin *const untouched = (void *)here;
	struct shale_error err = SHALE_ERROR_INIT;
	struct shale_plugin *plugin = untouched;

	assert_int_equal(shale_plugin_load(name, &plugin, &err), -code);
	assert_int_equal(err.code, code);
	assert_string_equal(err.msg, sentence);
	assert_ptr_equal(plugin, untouched);
}

static void assert_path_refused(const char *path, int code, const char *cause)
{
	auto_free char *sentence =
		format("load snapshotter '%s': %s", path, cause);

	assert_refused(path, code, sentence);
}

static void assert_zoo_refused(const char *name, int code, const char *cause)
{
	auto_free char *path = format("%s/%s.so", SHALE_PLUGINDIR, name);

	assert_path_refused(path, code, cause);
}

static struct shale_plugin *load(const char *name)
{
	struct shale_error err = SHALE_ERROR_INIT;
	struct shale_plugin *plugin = NULL;

	if (shale_plugin_load(name, &plugin, &err) < 0)
		fail_msg("%s", err.msg);
	assert_non_null(plugin);
	return plugin;
}

static void copy(const char *from, const char *to, mode_t mode)
{
	char buffer[65536];
	auto_fd in = open(from, O_RDONLY | O_CLOEXEC);
	auto_fd out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		assert_int_equal(write(out, buffer, (size_t)n), n);
	assert_int_equal(n, 0);
	assert_int_equal(fchmod(out, mode), 0);
}

/* A copy of the good plugin with a mode of its own. */
static char *good_copy(const char *name, mode_t mode)
{
	char *path = format("%s/%s", here, name);

	copy(SHALE_PLUGINDIR "/good.so", path, mode);
	return path;
}

/* ---- taken ---- */

static void overlay_needs_no_file(void **state)
{
	struct shale_plugin *plugin = load("overlay");

	(void)state;
	assert_string_equal(shale_plugin_table(plugin)->name, "overlay");
	assert_memory_equal(shale_plugin_table(plugin),
			    shale_overlay_snapshotter(),
			    sizeof(struct shale_snapshotter));
	shale_plugin_unload(plugin);
}

static void built_in_table_has_every_operation(void **state)
{
	const struct shale_snapshotter *table = shale_overlay_snapshotter();
	void (*op)(void);

	(void)state;
	assert_int_equal(table->size, sizeof(*table));
	assert_int_equal(table->abi, SHALE_PLUGIN_ABI);
	for (size_t at = offsetof(struct shale_snapshotter, open);
	     at < sizeof(*table); at += sizeof(op)) {
		memcpy(&op, (const char *)table + at, sizeof(op));
		assert_true(op != NULL);
	}
}

static void short_name_is_found_in_the_plugin_directory(void **state)
{
	struct shale_plugin *plugin = load("good");

	(void)state;
	assert_string_equal(shale_plugin_table(plugin)->name, "stub");
	assert_string_equal(shale_plugin_table(plugin)->version, "1");
	shale_plugin_unload(plugin);
}

static void path_is_taken_as_it_is(void **state)
{
	auto_free char *path = good_copy("any.name", 0644);
	struct shale_plugin *plugin = load(path);

	(void)state;
	assert_string_equal(shale_plugin_table(plugin)->name, "stub");
	shale_plugin_unload(plugin);
}

static void newer_and_longer_table_loses_its_tail(void **state)
{
	struct shale_plugin *plugin = load("newer");
	const struct shale_snapshotter *table = shale_plugin_table(plugin);

	(void)state;
	assert_true(table->size > sizeof(*table));
	assert_true(table->features & SHALE_FEAT_PARALLEL);
	assert_non_null(table->cleanup);
	shale_plugin_unload(plugin);
}

static void absent_optional_operation_is_null(void **state)
{
	struct shale_plugin *plugin = load("good");

	(void)state;
	assert_null(shale_plugin_table(plugin)->use);
	assert_null(shale_plugin_table(plugin)->check);
	assert_null(shale_plugin_table(plugin)->verify);
	shale_plugin_unload(plugin);
}

static void unload_takes_null(void **state)
{
	(void)state;
	shale_plugin_unload(NULL);
	assert_null(shale_plugin_table(NULL));
}

static void error_may_be_null(void **state)
{
	struct shale_plugin *plugin = NULL;

	(void)state;
	assert_int_equal(shale_plugin_load("no-entry", &plugin, NULL),
			 -ELIBBAD);
	assert_null(plugin);
}

/* ---- names and files refused ---- */

static void relative_path_is_refused(void **state)
{
	static const char *const names[] = {
		"plugins/good.so", "./good.so", "good.so", "../good", "Good", ""
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		auto_free char *sentence = format(
			"load snapshotter '%s': neither a name (a-z, 0-9 and -) nor an absolute path",
			names[i]);

		assert_refused(names[i], EINVAL, sentence);
	}
}

static void absent_file_is_refused(void **state)
{
	(void)state;
	assert_refused("nobody", ENOENT,
		       "load snapshotter '" SHALE_PLUGINDIR
		       "/nobody.so': No such file or directory");
}

static void symlink_is_refused(void **state)
{
	auto_free char *path = format("%s/link", here);

	(void)state;
	assert_int_equal(symlink(SHALE_PLUGINDIR "/good.so", path), 0);
	assert_path_refused(path, EINVAL, "not a regular file");
}

static void directory_and_fifo_are_refused(void **state)
{
	auto_free char *fifo = format("%s/fifo", here);

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_path_refused(fifo, EINVAL, "not a regular file");
	assert_path_refused(here, EINVAL, "not a regular file");
}

static void file_that_others_may_write_is_refused(void **state)
{
	auto_free char *all = good_copy("all", 0666);
	auto_free char *group = good_copy("group", 0664);

	(void)state;
	assert_path_refused(all, EPERM,
			    "writable by others than its owner (mode 0666)");
	assert_path_refused(group, EPERM,
			    "writable by others than its owner (mode 0664)");
}

static void file_of_a_stranger_is_refused(void **state)
{
	auto_free char *path = good_copy("stranger", 0644);

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(path, STRANGER, STRANGER), 0);
	assert_path_refused(path, EPERM,
			    "owned by user 65534, neither root nor the caller");
}

static void text_file_is_refused(void **state)
{
	auto_free char *path = format("%s/text", here);
	auto_file file = fopen(path, "we");

	(void)state;
	assert_non_null(file);
	assert_true(fputs("this is no shared object\n", file) >= 0);
	assert_int_equal(fflush(file), 0);
	assert_int_equal(chmod(path, 0644), 0);
	assert_path_refused(
		path, ELIBBAD,
		"not a shared object that can be loaded: file too short");
}

/* As a copy that a full disk ended: dlopen would die of it. */
static void file_that_is_cut_short_is_refused(void **state)
{
	auto_free char *path = good_copy("cut", 0644);
	auto_free char *cause = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	for (off_t part = 1; part <= 4; part++) {
		off_t size = st.st_size * (5 - part) / 10;

		assert_int_equal(truncate(path, size), 0);
		drop_free(&cause);
		cause = format("cut short, at %jd bytes", (intmax_t)size);
		assert_path_refused(path, ELIBBAD, cause);
	}
}

static void unresolved_symbol_is_refused(void **state)
{
	(void)state;
	assert_zoo_refused(
		"unresolved", ELIBBAD,
		"not a shared object that can be loaded: undefined symbol: function_of_the_host");
}

/* ---- tables refused ---- */

static void missing_entry_is_refused(void **state)
{
	(void)state;
	assert_zoo_refused("no-entry", ELIBBAD,
			   "it exports no shale_snapshotter_entry");
}

static void missing_table_is_refused(void **state)
{
	(void)state;
	assert_zoo_refused("no-table", EINVAL, "its entry returned no table");
}

static void short_table_is_refused(void **state)
{
	auto_free char *cause =
		format("its table has 16 bytes and ABI 1 needs %zu",
		       sizeof(struct shale_snapshotter));

	(void)state;
	assert_zoo_refused("short-table", EINVAL, cause);
}

static void other_abi_is_refused(void **state)
{
	(void)state;
	assert_zoo_refused("wrong-abi", EPROTONOSUPPORT,
			   "it has ABI 2 and this libshale has ABI 1");
}

static void bad_name_is_refused(void **state)
{
	(void)state;
	assert_zoo_refused("bad-name", EINVAL,
			   "its name 'Bad/Name' is not made of a-z, 0-9 and -");
	assert_zoo_refused("no-name", EINVAL,
			   "its name '' is not made of a-z, 0-9 and -");
}

static void each_missing_operation_is_named(void **state)
{
	static const char *const ops[] = {
		"open",	  "close",  "prepare", "view",	  "mounts", "commit",
		"remove", "parent", "exists",  "delete",  "walk",   "active",
		"stat",	  "update", "usage",   "cleanup",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		auto_free char *cause = format("its table has no %s", ops[i]);
		auto_free char *number = format("%zu", i);

		assert_int_equal(setenv("SHALE_TEST_MISSING", number, 1), 0);
		assert_zoo_refused("missing-op", EINVAL, cause);
	}
	/* The two behind them are optional. */
	assert_int_equal(setenv("SHALE_TEST_MISSING", "16", 1), 0);
	shale_plugin_unload(load("missing-op"));
	assert_int_equal(unsetenv("SHALE_TEST_MISSING"), 0);
}

/* ---- operations that misbehave ---- */

static int count(void *ctx, const struct shale_info *info)
{
	(void)info;
	++*(int *)ctx;
	return 0;
}

static void positive_return_is_the_plugins_bug(void **state)
{
	static const char *const config[] = { "create", "yes", NULL };
	struct shale_plugin *plugin = load("positive");
	struct shale_store *stub = NULL;
	uint64_t removed = 1;
	int calls = 0;

	(void)state;
	MUST(shale_store_open(at("stub"), plugin, config, NULL, &stub, &why));
	REFUSED(EPROTO, "'stub' returned 7, which is a bug of it",
		shale_remove(stub, "key", &why));
	REFUSED(EPROTO, "'stub' returned 7, which is a bug of it",
		shale_walk(stub, count, &calls, &why));
	assert_int_equal(calls, 0);
	/* And the host carries on. */
	MUST(shale_active(stub, count, &calls, &why));
	MUST(shale_cleanup(stub, &removed, &why));
	assert_int_equal(removed, 0);
	shale_store_close(stub);
	shale_plugin_unload(plugin);
}

static void absent_operation_is_told(void **state)
{
	static const char *const config[] = { "create", "yes", NULL };
	struct shale_plugin *plugin = load("good");
	struct shale_store *stub = NULL;

	(void)state;
	MUST(shale_store_open(at("stub"), plugin, config, NULL, &stub, &why));
	REFUSED(EOPNOTSUPP, "'stub' does not offer",
		shale_in_use(stub, "key", &why));
	REFUSED(EOPNOTSUPP, "'stub' does not offer",
		shale_verify(stub, "name", NULL, NULL, &why));
	REFUSED(EOPNOTSUPP, "'stub' does not offer",
		shale_check(stub, 0, NULL, NULL, &why));
	shale_store_close(stub);
	shale_plugin_unload(plugin);
}

/* ---- setuid ---- */

/* What this program does instead of its tests where it is told to load. */
static int load_and_tell(const char *name)
{
	struct shale_error err = SHALE_ERROR_INIT;
	struct shale_plugin *plugin;

	if (shale_plugin_load(name, &plugin, &err) == 0) {
		shale_plugin_unload(plugin);
		return 0;
	}
	fprintf(stderr, "%s\n", err.msg);
	return err.code == EPERM ? 3 : 4;
}

static int run(const char *program, const char *name, char *said, size_t size)
{
	int out[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)dup2(out[1], STDERR_FILENO);
		(void)execl(program, "plugin_test", "--load", name, NULL);
		_exit(99);
	}
	(void)close(out[1]);
	n = read(out[0], said, size - 1);
	said[n > 0 ? n : 0] = '\0';
	(void)close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void setuid_program_loads_no_file(void **state)
{
	auto_free char *program = format("%s/setuid", here);
	char said[1024];

	(void)state;
	if (geteuid() != 0)
		skip();
	copy("/proc/self/exe", program, 0755);
	assert_int_equal(run(program, "good", said, sizeof(said)), 0);
	assert_int_equal(chown(program, STRANGER, STRANGER), 0);
	assert_int_equal(chmod(program, 04755), 0);
	assert_int_equal(run(program, "good", said, sizeof(said)), 3);
	assert_string_equal(
		said,
		"load snapshotter '" SHALE_PLUGINDIR
		"/good.so': refused in a program that runs with more rights than its caller's\n");
	assert_int_equal(run(program, "overlay", said, sizeof(said)), 0);
}

/* ---- */

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(overlay_needs_no_file),
		TEST_IN_DIR(built_in_table_has_every_operation),
		TEST_IN_DIR(short_name_is_found_in_the_plugin_directory),
		TEST_IN_DIR(path_is_taken_as_it_is),
		TEST_IN_DIR(newer_and_longer_table_loses_its_tail),
		TEST_IN_DIR(absent_optional_operation_is_null),
		TEST_IN_DIR(unload_takes_null),
		TEST_IN_DIR(error_may_be_null),
		TEST_IN_DIR(relative_path_is_refused),
		TEST_IN_DIR(absent_file_is_refused),
		TEST_IN_DIR(symlink_is_refused),
		TEST_IN_DIR(directory_and_fifo_are_refused),
		TEST_IN_DIR(file_that_others_may_write_is_refused),
		TEST_IN_DIR(file_of_a_stranger_is_refused),
		TEST_IN_DIR(text_file_is_refused),
		TEST_IN_DIR(file_that_is_cut_short_is_refused),
		TEST_IN_DIR(unresolved_symbol_is_refused),
		TEST_IN_DIR(missing_entry_is_refused),
		TEST_IN_DIR(missing_table_is_refused),
		TEST_IN_DIR(short_table_is_refused),
		TEST_IN_DIR(other_abi_is_refused),
		TEST_IN_DIR(bad_name_is_refused),
		TEST_IN_DIR(each_missing_operation_is_named),
		TEST_IN_DIR(positive_return_is_the_plugins_bug),
		TEST_IN_DIR(absent_operation_is_told),
		TEST_IN_DIR(setuid_program_loads_no_file),
	};

	if (argc == 3 && strcmp(argv[1], "--load") == 0)
		/* No exit handlers: a leak check fails in a setuid program. */
		_exit(load_and_tell(argv[2]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
