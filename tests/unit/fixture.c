/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the unit tests share: see fixture.h.
 */
#include "fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "text.h"

#define HANDLES_MAX 64
#define HELPERS_MAX 64

char here[PATH_MAX];
struct shale_store *store;
_Thread_local struct shale_error why = SHALE_ERROR_INIT;

static struct shale_store *handles[HANDLES_MAX];
static pid_t helpers[HELPERS_MAX];

/* ---- tests that may end without a verdict ---- */

/* A test as it was given, and its name with room for a directive. */
struct test_case {
	const struct CMUnitTest *test;
	char name[256];
};

static struct test_case *current;
static jmp_buf past_test;

void skip_because(const char *reason)
{
	size_t len = strlen(current->name);

	(void)snprintf(current->name + len, sizeof(current->name) - len,
		       " # SKIP %s", reason);
	longjmp(past_test, 1);
}

static int set_up(void **state)
{
	current = *state;
	*state = current->test->initial_state;
	return current->test->setup_func ? current->test->setup_func(state) : 0;
}

static void run_case(void **state)
{
	if (setjmp(past_test) == 0)
		current->test->test_func(state);
}

int run_group(const char *group, const struct CMUnitTest *tests, size_t count,
	      CMFixtureFunction setup, CMFixtureFunction group_teardown)
{
	struct test_case *cases = calloc(count, sizeof(*cases));
	struct CMUnitTest *wrapped = calloc(count, sizeof(*wrapped));
	int failed = -1;

	for (size_t i = 0; cases && wrapped && i < count; i++) {
		cases[i].test = &tests[i];
		(void)snprintf(cases[i].name, sizeof(cases[i].name), "%s",
			       tests[i].name);
		wrapped[i] = (struct CMUnitTest){
			.name = cases[i].name,
			.test_func = run_case,
			.setup_func = set_up,
			.teardown_func = tests[i].teardown_func,
			.initial_state = &cases[i],
		};
	}
	if (cases && wrapped)
		failed = _cmocka_run_group_tests(group, wrapped, count, setup,
						 group_teardown);
	free(wrapped);
	free(cases);
	return failed;
}

bool is_denied(const char *call)
{
	const char *denied = getenv("SHALE_TEST_DENIED");

	return denied && !strcmp(denied, call);
}

void needs_root(void)
{
	if (geteuid() != 0)
		skip_because("needs root");
}

void needs_mounts(void)
{
	needs_root();
	make_dir(at("probe"));
	if (mount("probe", at("probe"), "tmpfs", 0, NULL) < 0)
		skip_because("needs to mount");
	(void)umount2(at("probe"), MNT_DETACH);
	delete_path(at("probe"));
}

/* ---- a directory for each test ---- */

static void run(const char *command, const char *options, const char *arg,
		const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)execlp(command, command, options, arg, path,
			     (char *)NULL);
		_exit(127);
	}
	(void)waitpid(pid, NULL, 0);
}

/* Mounts that a failed test left; the last one first. */
static void unmount_below(const char *dir)
{
	char line[8192], points[64][512];
	size_t count = 0, len = strlen(dir);
	FILE *file;

	if (geteuid() != 0)
		return;
	file = fopen("/proc/self/mountinfo", "re");
	if (!file)
		return;
	while (count < 64 && fgets(line, sizeof(line), file))
		if (sscanf(line, "%*d %*d %*s %*s %511s", points[count]) == 1 &&
		    strncmp(points[count], dir, len) == 0 &&
		    points[count][len] == '/')
			count++;
	(void)fclose(file);
	while (count)
		(void)umount2(points[--count], MNT_DETACH);
	(void)umount2(dir, MNT_DETACH);
}

int setup_dir(void **state)
{
	(void)state;
	(void)umask(022);
	if (!getcwd(here, sizeof(here) - 16))
		return -1;
	(void)strcat(here, "/tmp.XXXXXX");
	return mkdtemp(here) ? 0 : -1;
}

int setup_store(void **state)
{
	if (setup_dir(state) < 0)
		return -1;
	store = open_more(NULL, NULL);
	return 0;
}

int teardown(void **state)
{
	(void)state;
	(void)umask(022);
	for (size_t i = 0; i < HELPERS_MAX; i++) {
		if (helpers[i] <= 0)
			continue;
		(void)kill(helpers[i], SIGKILL);
		(void)waitpid(helpers[i], NULL, 0);
		helpers[i] = 0;
	}
	for (size_t i = 0; i < HANDLES_MAX; i++) {
		shale_store_close(handles[i]);
		handles[i] = NULL;
	}
	store = NULL;
	unmount_below(here);
	run("rm", "-rf", "--", here);
	if (access(here, F_OK) == 0)
		delete_tree(here);
	return access(here, F_OK) < 0 ? 0 : -1;
}

struct shale_store *open_more(const struct shale_host *host, ...)
{
	const char *config[32] = { "create", "yes", "any_filesystem", "yes" };
	size_t count = 4, i = 0;
	va_list args;

	va_start(args, host);
	while (count < 31 && (config[count] = va_arg(args, const char *)))
		count++;
	va_end(args);
	while (handles[i])
		assert_in_range(++i, 0, HANDLES_MAX - 1);
	MUST(shale_store_open(at("store"), NULL, config, host, &handles[i],
			      &why));
	return handles[i];
}

void close_handle(struct shale_store *handle)
{
	for (size_t i = 0; i < HANDLES_MAX; i++) {
		if (handles[i] != handle)
			continue;
		handles[i] = NULL;
		break;
	}
	shale_store_close(handle);
}

void reopen(void)
{
	close_handle(store);
	store = open_more(NULL, NULL);
}

/* ---- refusals ---- */

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void dump_entry(FILE *out, const FTSENT *entry)
{
	const struct stat *st = entry->fts_statp;
	char target[PATH_MAX];
	ssize_t n = 0;

	if (S_ISLNK(st->st_mode))
		n = readlink(entry->fts_path, target, sizeof(target));
	(void)fprintf(out, "%06o %u:%u %s", st->st_mode, st->st_uid, st->st_gid,
		      entry->fts_path + strlen(here));
	if (S_ISREG(st->st_mode))
		(void)fprintf(out, " %lld", (long long)st->st_size);
	if (n > 0)
		(void)fprintf(out, " -> %.*s", (int)n, target);
	(void)fputc('\n', out);
}

char *dump(void)
{
	char *const paths[] = { here, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	const FTSENT *entry;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(fts);
	assert_non_null(out);
	while ((entry = fts_read(fts)) != NULL)
		if (entry->fts_info != FTS_DP)
			dump_entry(out, entry);
	(void)fts_close(fts);
	(void)fclose(out);
	return text;
}

/* A sentence: one line of UTF-8 without a full stop. */
static bool is_sentence(const char *msg)
{
	size_t len = strlen(msg);

	return len && text_is_utf8(msg) && !strchr(msg, '\n') &&
	       msg[len - 1] != '.';
}

void check_refusal(int r, int number, const char *part, char *before,
		   const char *call, const char *file, int line)
{
	char *after = dump();

	if (r == -number && why.code == number && strstr(why.msg, part) &&
	    is_sentence(why.msg) && !strcmp(before, after)) {
		free(before);
		free(after);
		return;
	}
	print_error("%s\nreturned %d, code %d: \"%s\"\n", call, r, why.code,
		    why.msg);
	print_error("expected %d (%s) and a sentence with \"%s\"\n", -number,
		    strerrorname_np(number), part);
	if (strcmp(before, after))
		print_error("store before:\n%s\nand after:\n%s", before, after);
	free(before);
	free(after);
	_fail(file, line);
}

/* ---- paths ---- */

static char *next_buffer(void)
{
	static char buffers[16][PATH_MAX];
	static unsigned int turn;

	return buffers[turn++ % 16];
}

const char *at(const char *fmt, ...)
{
	char *ret = next_buffer();
	int len = snprintf(ret, PATH_MAX, "%s/", here);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(ret + len, PATH_MAX - (size_t)len, fmt, args);
	va_end(args);
	return ret;
}

const char *id(const char *name)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char *ret = next_buffer();

	(void)SHA256((const unsigned char *)name, strlen(name), digest);
	text_hex(digest, 16, ret);
	return ret;
}

const char *of_key(const char *key, const char *file)
{
	return at("store/active/%s/%s", id(key), file);
}

const char *of_name(const char *name, const char *file)
{
	return at("store/snapshots/%s/%s", id(name), file);
}

const char *parent_fact(const char *name)
{
	char *ret = next_buffer();

	(void)stpcpy(stpcpy(ret, "../../snapshots/"), id(name));
	return ret;
}

/* ---- files ---- */

void make_dir(const char *path)
{
	if (mkdir(path, 0755) < 0)
		fail_msg("mkdir %s: %s", path, strerror(errno));
}

void make_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t len = strlen(text);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		fail_msg("write %s: %s", path, strerror(errno));
	(void)close(fd);
}

void make_link(const char *path, const char *target)
{
	(void)unlink(path);
	if (symlink(target, path) < 0)
		fail_msg("symlink %s: %s", path, strerror(errno));
}

void delete_path(const char *path)
{
	if (remove(path) < 0)
		fail_msg("remove %s: %s", path, strerror(errno));
}

void delete_tree(const char *path)
{
	run("chmod", "-R", "u+rwX", path);
	run("rm", "-rf", "--", path);
}

void check_link(const char *path, const char *target)
{
	char text[PATH_MAX];
	ssize_t n = readlink(path, text, sizeof(text) - 1);

	if (n < 0)
		fail_msg("readlink %s: %s", path, strerror(errno));
	text[n] = '\0';
	assert_string_equal(text, target);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts @count strings, joins them by ' ' and frees them. */
static char *join_sorted(char **names, size_t count)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (count)
		qsort(names, count, sizeof(*names), compare_strings);
	for (size_t i = 0; i < count; i++) {
		(void)fprintf(out, "%s%s", i ? " " : "", names[i]);
		free(names[i]);
	}
	(void)fclose(out);
	return text;
}

void check_list(const char *path, const char *expected)
{
	char *names[256], *text;
	const struct dirent *entry;
	size_t count = 0;
	DIR *dir = opendir(path);

	if (!dir)
		fail_msg("opendir %s: %s", path, strerror(errno));
	while (count < 256 && (entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			names[count++] = strdup(entry->d_name);
	(void)closedir(dir);
	text = join_sorted(names, count);
	assert_string_equal(text, expected);
	free(text);
}

bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

int64_t mtime_ns(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		fail_msg("lstat %s: %s", path, strerror(errno));
	return st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
}

uint64_t generation(void)
{
	int fd = open(at("store/lock"), O_RDONLY | O_CLOEXEC);
	uint64_t ret = 0;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &ret, sizeof(ret), 0), sizeof(ret));
	(void)close(fd);
	return ret;
}

void set_generation(uint64_t value)
{
	int fd = open(at("store/lock"), O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &value, sizeof(value), 0), sizeof(value));
	(void)close(fd);
}

/* ---- snapshots ---- */

void make_layer(const char *name, const char *parent)
{
	MUST(shale_prepare(store, "key of a layer", parent, NULL, &why));
	make_file(of_key("key of a layer", "fs/file"), name);
	MUST(shale_commit(store, name, "key of a layer", NULL, &why));
}

int see(void *ctx, const struct shale_info *info)
{
	struct seen *seen = ctx;
	size_t len;
	FILE *out;

	seen->calls++;
	seen->size = info->size;
	seen->kind = info->kind;
	seen->created_ns = info->created_ns;
	seen->updated_ns = info->updated_ns;
	(void)snprintf(seen->name, sizeof(seen->name), "%s", info->name);
	(void)snprintf(seen->parent, sizeof(seen->parent), "%s", info->parent);
	free(seen->labels);
	out = open_memstream(&seen->labels, &len);
	for (size_t i = 0; info->labels[i]; i += 2)
		(void)fprintf(out, "%s%s=%s", i ? "," : "", info->labels[i],
			      info->labels[i + 1]);
	(void)fclose(out);
	return 0;
}

void look(const char *name, struct seen *ret)
{
	*ret = (struct seen){ 0 };
	MUST(shale_stat(store, name, see, ret, &why));
	assert_int_equal(ret->calls, 1);
	free(ret->labels);
	ret->labels = NULL;
}

uint32_t kind_of(const char *name)
{
	struct seen seen;

	look(name, &seen);
	return seen.kind;
}

void check_labels(struct shale_store *of, const char *name, const char *labels)
{
	struct seen seen = { 0 };

	MUST(shale_stat(of, name, see, &seen, &why));
	assert_string_equal(seen.labels, labels);
	free(seen.labels);
}

struct visits {
	char *names[1024];
	size_t count;
};

static int note_visit(void *ctx, const struct shale_info *info)
{
	struct visits *visits = ctx;

	if (visits->count == 1024)
		return 1;
	visits->names[visits->count++] = strdup(info->name);
	return 0;
}

void check_visits(int (*op)(struct shale_store *, shale_walk_fn *, void *,
			    struct shale_error *),
		  const char *names)
{
	struct visits visits = { .count = 0 };
	char *text;

	MUST(op(store, note_visit, &visits, &why));
	text = join_sorted(visits.names, visits.count);
	assert_string_equal(text, names);
	free(text);
}

static int note_mount(void *ctx, const struct shale_mount_spec *spec)
{
	char **text = ctx;
	size_t len;
	FILE *out;

	if (*text)
		return 99; /* once, no more */
	out = open_memstream(text, &len);
	(void)fprintf(out, "%s %s", spec->type, spec->source);
	for (size_t i = 0; spec->options[i]; i++)
		(void)fprintf(out, " %s", spec->options[i]);
	(void)fclose(out);
	return spec->size == sizeof(*spec) && spec->flags == 0 ? 0 : 98;
}

void check_mount(struct shale_store *of, const char *key, const char *fmt, ...)
{
	char *expected = NULL, *text = NULL;
	va_list args;

	va_start(args, fmt);
	assert_true(vasprintf(&expected, fmt, args) >= 0);
	va_end(args);
	MUST(shale_mounts(of, key, note_mount, &text, &why));
	assert_non_null(text);
	assert_string_equal(text, expected);
	free(expected);
	free(text);
}

const char *user_text(pid_t pid, const char *container)
{
	char path[64], text[1024] = "", boot[64] = "", *past_comm;
	unsigned long long start = 0;
	char *ret = next_buffer();
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	(void)fclose(file);
	past_comm = strrchr(text, ')');
	assert_non_null(past_comm);
	/* Field 22; state is field 3. */
	assert_int_equal(sscanf(past_comm + 1,
				" %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
				" %*s %*s %*s %*s %*s %*s %*s %*s %llu",
				&start),
			 1);
	file = fopen("/proc/sys/kernel/random/boot_id", "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%63s", boot), 1);
	(void)fclose(file);
	(void)snprintf(ret, PATH_MAX, "%d %llu %s %s", (int)pid, start, boot,
		       container);
	return ret;
}

/* ---- another process ---- */

static pid_t child_start(void)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		return 0;
	}
	for (size_t i = 0; i < HELPERS_MAX; i++) {
		if (helpers[i])
			continue;
		helpers[i] = pid;
		break;
	}
	return pid;
}

static int child_wait(pid_t pid)
{
	int status = 0;

	for (size_t i = 0; i < HELPERS_MAX; i++)
		if (helpers[i] == pid)
			helpers[i] = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void helper_begin(struct helper *ret, int (*act)(void *ctx), void *ctx)
{
	int to[2], from[2];
	char byte = 0;

	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	ret->pid = child_start();
	if (ret->pid == 0) {
		(void)close(to[1]);
		if (act(ctx) != 0 || write(from[1], "r", 1) != 1)
			_exit(1);
		(void)!read(to[0], &byte, 1);
		_exit(0);
	}
	(void)close(to[0]);
	(void)close(from[1]);
	ret->to_fd = to[1];
	ret->from_fd = from[0];
}

void helper_wait(struct helper *helper)
{
	char byte;

	if (read(helper->from_fd, &byte, 1) != 1)
		fail_msg("the helper process failed");
}

void helper_start(struct helper *ret, int (*act)(void *ctx), void *ctx)
{
	helper_begin(ret, act, ctx);
	helper_wait(ret);
}

void helper_stop(struct helper *helper)
{
	assert_int_equal(write(helper->to_fd, "s", 1), 1);
	(void)close(helper->to_fd);
	(void)close(helper->from_fd);
	assert_int_equal(child_wait(helper->pid), 0);
}

void helper_kill(struct helper *helper)
{
	(void)kill(helper->pid, SIGKILL);
	(void)close(helper->to_fd);
	(void)close(helper->from_fd);
	(void)child_wait(helper->pid);
}

int in_child(int (*act)(void *ctx), void *ctx)
{
	pid_t pid = child_start();

	if (pid == 0)
		_exit(act(ctx));
	return child_wait(pid);
}

int flock_path(void *ctx)
{
	int fd = open(ctx, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : flock(fd, LOCK_EX | LOCK_NB);
}

/* ---- check and verify ---- */

int see_finding(void *ctx, const struct shale_finding *finding)
{
	struct found *found = ctx;
	const bool repaired = finding->flags & SHALE_FINDING_REPAIRED;
	char line[PATH_MAX + 64];

	assert_int_equal(finding->size, sizeof(*finding));
	assert_true(*finding->kind && *finding->what && *finding->remedy);
	if (!found)
		return 0;
	(void)snprintf(line, sizeof(line), "%s%s %s\n", repaired ? "!" : "",
		       finding->kind, finding->path);
	assert_true(strlen(found->text) + strlen(line) < sizeof(found->text));
	(void)strcat(found->text, line);
	found->count++;
	found->repaired += repaired;
	return 0;
}

void check_finds(uint32_t flags, const char *lines)
{
	static struct found found;
	size_t length = 0;

	found = (struct found){ .count = 0 };
	MUST(shale_check(store, flags, see_finding, &found, &why));
	for (const char *line = lines; *line; line += strcspn(line, "\n") + 1) {
		char one[PATH_MAX];
		size_t len = strcspn(line, "\n") + 1;

		(void)snprintf(one, sizeof(one), "%.*s", (int)len, line);
		if (!strstr(found.text, one))
			fail_msg("not found: %sfound are:\n%s", one,
				 found.text);
		length += len;
	}
	if (length != strlen(found.text))
		fail_msg("more was found:\n%swanted:\n%s", found.text, lines);
}
