/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a plugin owes the process that it is loaded into.
 */
#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trial.h"

/* Every operation once, refusals included. */
static int pass_over(void *ctx, const struct shale_finding *finding)
{
	(void)ctx;
	(void)finding;
	return 0;
}

static bool use_all(struct trial *t)
{
	char parent[SHALE_NAME_SIZE];
	static const char *const labels[] = { "k", "v", NULL };
	struct shale_usage told;
	struct mount_told mount;
	uint64_t removed;
	const char *before = picture(t);

	if (!before || !trial_ok(t, layer(t, "base", NULL), "layer") ||
	    !trial_ok(t, prepare(t, "key", NULL), "prepare"))
		return false;
	(void)prepare(t, "child", "base");
	(void)prepare(t, "key", "absent");
	(void)view(t, "view", "base");
	(void)mounts(t, "key", &mount);
	(void)mounts(t, "child", &mount);
	(void)mounts(t, "view", &mount);
	(void)usage(t, "key", &told);
	(void)t->ops->parent(t->self, "child", parent, fresh(t));
	(void)t->ops->update(t->self, "key", labels, NULL, fresh(t));
	(void)delete_name(t, "base");
	(void)commit(t, "absent", "view");
	(void)remove_key(t, "view");
	(void)remove_key(t, "child");
	(void)t->ops->cleanup(t->self, &removed, fresh(t));
	if (t->ops->use)
		(void)t->ops->use(t->self, "key", NULL, NULL, fresh(t));
	if (t->ops->check)
		(void)t->ops->check(t->self, SHALE_CHECK_REPAIR, pass_over,
				    NULL, fresh(t));
	if (t->ops->verify)
		(void)t->ops->verify(t->self, "base", pass_over, NULL,
				     fresh(t));
	return trial_ok(t, remove_key(t, "key"), "remove") &&
	       (exists(t, "base") == -ENOENT || /* it had no child */
		trial_ok(t, delete_name(t, "base"), "delete"));
}

static char *namespaces(void)
{
	static const char *const names[] = { "mnt", "user", "net",
					     "uts", "ipc",  "cgroup" };
	char *text = text_new("%s", "");
	char link[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ssize_t n = readlinkat(-1,
				       text_new("/proc/self/ns/%s", names[i]),
				       link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = '\0';
		text = text_new("%s%s ", text, link);
	}
	return text;
}

/* All of the process that rule 7 of shale-plugin(3) is about. */
static char *process_text(void)
{
	char *text = text_new("%s", namespaces());
	struct sigaction action;
	struct rlimit limit;
	sigset_t mask;
	mode_t mode = umask(0);

	(void)umask(mode);
	text = text_new("%s cwd %s umask %o locale %s", text, getcwd(NULL, 0),
			mode, setlocale(LC_ALL, NULL));
	(void)sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int signal = 1; signal < 32; signal++) {
		(void)sigaction(signal, NULL, &action);
		text = text_new("%s %d:%d:%p", text, signal,
				sigismember(&mask, signal),
				(void *)(uintptr_t)action.sa_handler);
	}
	for (int resource = 0; resource < RLIM_NLIMITS; resource++)
		if (getrlimit((__rlimit_resource_t)resource, &limit) == 0)
			text = text_new("%s %llu/%llu", text,
					(unsigned long long)limit.rlim_cur,
					(unsigned long long)limit.rlim_max);
	for (char **name = environ; *name; name++)
		text = text_new("%s %s", text, *name);
	return text;
}

static void the_process_is_left_as_it_was(struct trial *t)
{
	const char *before = process_text(), *after;
	size_t i = 0;

	TRY(use_all(t));
	after = process_text();
	while (before[i] && before[i] == after[i])
		i++;
	CHECK(t, !strcmp(before, after),
	      "cwd, umask, namespaces, signals, limits, locale or environment "
	      "changed: '%.60s', then '%.60s'",
	      before + i, after + i);
}

static void nothing_is_printed(struct trial *t)
{
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	int fd = memfd_create("printed", MFD_CLOEXEC);
	char text[200] = "";
	bool is_done;

	CHECK(t, out >= 0 && err >= 0 && fd >= 0, "make descriptors: %s",
	      strerror(errno));
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	is_done = use_all(t);
	(void)fflush(NULL);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(err, STDERR_FILENO);
	TRY(is_done);
	(void)!pread(fd, text, sizeof(text) - 1, 0);
	CHECK(t, !*text, "it printed: %s", text);
}

static size_t entries_of(const char *path)
{
	DIR *dir = opendir(path);
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		(void)closedir(dir);
	return n;
}

static void no_thread_outlives_a_call(struct trial *t)
{
	const size_t before = entries_of("/proc/self/task");

	TRY(use_all(t));
	CHECK(t, entries_of("/proc/self/task") == before,
	      "%zu threads became %zu", before - 2,
	      entries_of("/proc/self/task") - 2);
}

static void close_gives_back_each_descriptor(struct trial *t)
{
	size_t before;

	t->ops->close(t->self);
	before = entries_of("/proc/self/fd");
	for (int i = 0; i < 3; i++) {
		TRY(trial_open(t, &t->self));
		TRY(use_all(t));
		t->ops->close(t->self);
	}
	CHECK(t, entries_of("/proc/self/fd") == before,
	      "%zu descriptors became %zu", before - 2,
	      entries_of("/proc/self/fd") - 2);
}

/* Those that a program inherits; the caller's own ones are among them. */
static unsigned int inherited(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);

		n += flags >= 0 && !(flags & FD_CLOEXEC);
	}
	return n;
}

static void each_descriptor_closes_on_exec(struct trial *t)
{
	const unsigned int before = inherited();

	TRY(trial_load(t));
	TRY(trial_open(t, &t->self));
	TRY(use_all(t));
	CHECK(t, inherited() == before, "%u of the handle's do not",
	      inherited() - before);
}

static void close_accepts_null(struct trial *t)
{
	t->ops->close(NULL);
}

/* Strings that are gone when the call returns, and overwritten. */
static void what_is_lent_is_not_kept(struct trial *t)
{
	char *root = text_new("%s/lent", t->dir);
	char key[] = "create", value[] = "yes", name[] = "name";
	const char *config[] = { key, value, NULL };
	void *self;
	int fd, r;

	CHECK(t, mkdirat(-1, root, 0700) == 0, "mkdir: %s", strerror(errno));
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = t->ops->open(&t->host, fd, root, config, &self, fresh(t));
	OK(t, r);
	(void)close(fd);
	memset(root, 'x', strlen(root));
	memset(key, 'x', sizeof(key) - 1);
	memset(value, 'x', sizeof(value) - 1);
	config[0] = config[1] = NULL;
	t->self = self;
	OK(t, prepare(t, name, NULL));
	memset(name, 'x', sizeof(name) - 1);
	OK(t, exists(t, "name"));
	REFUSED(t, ENOENT, exists(t, "xxxx"));
	OK(t, commit(t, "committed", "name"));
	TRY(is_told(t, "committed", SHALE_KIND_COMMITTED, ""));
}

static void open_refuses_an_unknown_setting(struct trial *t)
{
	static const char *const config[] = { "no-such-setting", "yes", NULL };
	int fd = open(t->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	void *self = NULL;

	CHECK(t, fd >= 0, "open: %s", strerror(errno));
	REFUSED(t, EINVAL,
		t->ops->open(&t->host, fd, t->root, config, &self, fresh(t)));
	CHECK(t, self == NULL, "it failed and wrote a handle all the same");
}

/* No log, nobody who says stop; and no settings, of a store that is there. */
static void a_host_may_offer_nothing(struct trial *t)
{
	const struct shale_host host = { .size = sizeof(host),
					 .abi = SHALE_PLUGIN_ABI };
	int fd = open(t->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(t, fd >= 0, "open: %s", strerror(errno));
	OK(t, t->ops->open(&host, fd, t->root, NULL, &t->self, fresh(t)));
	TRY(use_all(t));
	t->ops->close(t->self);
}

/* Stopped or done, but never half. */
static void a_stopped_call_changes_nothing(struct trial *t)
{
	const char *before, *after;
	uint64_t removed;
	int r[4];

	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "key", "base"));
	TRY((before = picture(t)) != NULL);
	t->stop = 1;
	r[0] = prepare(t, "stopped", "base");
	r[1] = commit(t, "stopped too", "key");
	r[2] = t->ops->cleanup(t->self, &removed, fresh(t));
	r[3] = remove_key(t, "stopped");
	t->stop = 0;
	for (size_t i = 0; i < 3; i++)
		CHECK(t, r[i] == 0 || r[i] == -ECANCELED,
		      "a stopped call returned %d: %s", r[i], t->err.msg);
	if (r[0] == -ECANCELED)
		REFUSED(t, ENOENT, exists(t, "stopped"));
	else if (r[3] != 0)
		OK(t, remove_key(t, "stopped"));
	if (r[1] == 0) {
		TRY(is_told(t, "stopped too", SHALE_KIND_COMMITTED, "base"));
		return;
	}
	TRY((after = picture(t)) != NULL);
	CHECK(t, !strcmp(before, after), "before: %s after: %s", before, after);
	OK(t, commit(t, "stopped too", "key"));
}

const struct conform_case manner_cases[] = {
	CASE(the_process_is_left_as_it_was, MUST_OFFER),
	CASE(nothing_is_printed, MUST_OFFER),
	CASE(no_thread_outlives_a_call, MUST_OFFER),
	CASE(close_gives_back_each_descriptor, MUST_OFFER),
	CASE(each_descriptor_closes_on_exec, MUST_OFFER | OPENS_ITSELF),
	CASE(close_accepts_null, MUST_OFFER),
	CASE(what_is_lent_is_not_kept, MUST_OFFER),
	CASE(open_refuses_an_unknown_setting, MUST_OFFER),
	CASE(a_host_may_offer_nothing, MUST_OFFER),
	CASE(a_stopped_call_changes_nothing, 0),
	CASES_END,
};
