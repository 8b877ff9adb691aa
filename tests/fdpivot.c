/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A runtime as small as a test can bear, that opens the root file system
 * before the hooks run and pivots through that descriptor, as new runc does.
 * With --by-path it opens it after them, as runc did before: nothing else is
 * different, so a test can tell what the descriptor does.
 *
 *	fdpivot [--root DIR] [--by-path] run --bundle DIR ID
 *
 * Left out: user namespaces, cgroups, masked paths, capabilities, terminals.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "json.h"
#include "scope.h"

#define CONFIG_MAX_BYTES (1024 * 1024)

struct container {
	const char *id, *bundle, *root;
	bool by_path;
	struct json *config;
	char rootfs[4096];
};

static __attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt,
								...)
{
	int code = errno;
	va_list args;

	fputs("fdpivot: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(code));
	exit(1);
}

/* ---- hooks ---- */

/* The state that a hook gets on its stdin; to be freed. */
static char *state_write(const struct container *c, const char *status, int pid)
{
	const struct json *notes = json_get(c->config, "annotations");
	const char *fixed[] = { "ociVersion", "1.0.2",	 "id",
				c->id,	      "status",	 status,
				"bundle",     c->bundle, NULL };
	auto_free const char **pairs = NULL;
	auto_free char *head = NULL, *tail = NULL;
	size_t n = notes ? notes->count : 0;
	char *ret;

	pairs = calloc(2 * n + 1, sizeof(*pairs));
	for (size_t i = 0; pairs && i < n; i++) {
		pairs[2 * i] = notes->keys[i];
		pairs[2 * i + 1] = json_string(notes->items[i]);
	}
	if (!pairs || json_write_strings(fixed, &head) < 0 ||
	    json_write_strings(pairs, &tail) < 0)
		die("write state");
	*strrchr(head, '}') = '\0';
	if (asprintf(&ret, "%s,\"pid\":%d,\"annotations\":%s}", head, pid,
		     tail) < 0)
		die("write state");
	return ret;
}

/* A JSON array of strings as argv or envp; never freed. */
static char **strings(const struct json *array)
{
	size_t n = array ? array->count : 0;
	char **ret = calloc(n + 1, sizeof(*ret));

	for (size_t i = 0; ret && i < n; i++)
		ret[i] = array->items[i]->text;
	if (!ret)
		die("read strings");
	return ret;
}

static int hook_run(const struct json *hook, const char *state)
{
	const char *path = json_string(json_get(hook, "path"));
	int in[2], status;
	pid_t pid;

	if (!path || pipe2(in, O_CLOEXEC) < 0)
		die("hook '%s'", path ? path : "");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		dup2(in[0], 0);
		signal(SIGPIPE, SIG_DFL);
		execve(path, strings(json_get(hook, "args")),
		       strings(json_get(hook, "env")));
		die("exec '%s'", path);
	}
	close(in[0]);
	if (write(in[1], state, strlen(state)) < 0 && errno != EPIPE)
		die("give state to '%s'", path);
	close(in[1]);
	if (waitpid(pid, &status, 0) < 0)
		die("wait for '%s'", path);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int stage_run(const struct container *c, const char *stage,
		     const char *status, int pid)
{
	const struct json *hooks =
		json_get(json_get(c->config, "hooks"), stage);

	for (size_t i = 0; hooks && i < hooks->count; i++) {
		auto_free char *state = state_write(c, status, pid);

		if (hook_run(hooks->items[i], state) < 0) {
			fprintf(stderr, "fdpivot: %s hook failed\n", stage);
			return -1;
		}
	}
	return 0;
}

/* ---- inside the container ---- */

/* One entry of `mounts`; what needs more than a type is left out. */
static void mount_one(const struct container *c, const struct json *mount_)
{
	const char *type = json_string(json_get(mount_, "type"));
	const char *source = json_string(json_get(mount_, "source"));
	const char *dest = json_string(json_get(mount_, "destination"));
	auto_free char *target = NULL;
	struct stat st;

	if (!type || !source || !dest || strcmp(type, "cgroup") == 0)
		return;
	if (asprintf(&target, "%s%s", c->rootfs, dest) < 0)
		die("mount '%s'", dest);
	if (strcmp(type, "bind") == 0 && stat(source, &st) == 0 &&
	    !S_ISDIR(st.st_mode)) {
		auto_fd fd = open(target, O_CREAT | O_CLOEXEC, 0644);

		if (fd < 0)
			die("create '%s'", target);
	} else if (mkdir(target, 0755) < 0 && errno != EEXIST) {
		die("mkdir '%s'", target);
	}
	if (strcmp(type, "bind") == 0)
		type = NULL;
	if (mount(source, target, type, type ? 0 : MS_BIND | MS_REC, NULL) < 0)
		die("mount '%s'", target);
}

static int root_open(const struct container *c)
{
	int fd = open(c->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		die("open '%s'", c->rootfs);
	return fd;
}

static __attribute__((noreturn)) void child(const struct container *c, int sync)
{
	const struct json *mounts = json_get(c->config, "mounts");
	const struct json *process = json_get(c->config, "process");
	const char *cwd = json_string(json_get(process, "cwd"));
	const struct json *readonly =
		json_get(json_get(c->config, "root"), "readonly");
	auto_fd root = -1, old = -1;
	char **argv = strings(json_get(process, "args"));
	char go;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(c->rootfs, c->rootfs, NULL, MS_BIND | MS_REC, NULL) < 0)
		die("bind '%s'", c->rootfs);
	for (size_t i = 0; mounts && i < mounts->count; i++)
		mount_one(c, mounts->items[i]);
	if (!c->by_path)
		root = root_open(c);
	if (write(sync, "r", 1) != 1 || read(sync, &go, 1) != 1)
		exit(1);
	if (stage_run(c, "createContainer", "creating", getpid()) < 0)
		exit(1);
	if (c->by_path)
		root = root_open(c);
	old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    fchdir(old) < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		die("pivot to '%s'", c->rootfs);
	if (readonly && readonly->boolean &&
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		die("make the root read-only");
	if (chdir(cwd ? cwd : "/") < 0)
		die("chdir '%s'", cwd);
	signal(SIGPIPE, SIG_DFL);
	if (argv[0])
		execve(argv[0], argv, strings(json_get(process, "env")));
	die("exec '%s'", argv[0] ? argv[0] : "");
}

/* ---- outside of it ---- */

/* Returns the exit code of the container, 1 where it never ran. */
static int container_run(const struct container *c)
{
	int sync[2], status = 0;
	bool started = false;
	char ready;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sync) < 0)
		die("socketpair");
	pid = (pid_t)syscall(SYS_clone,
			     CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS |
				     CLONE_NEWIPC | SIGCHLD,
			     NULL, NULL, NULL, NULL);
	if (pid < 0)
		die("clone");
	if (pid == 0) {
		close(sync[0]);
		child(c, sync[1]);
	}
	close(sync[1]);
	if (read(sync[0], &ready, 1) == 1 &&
	    stage_run(c, "prestart", "creating", pid) == 0 &&
	    stage_run(c, "createRuntime", "creating", pid) == 0)
		started = write(sync[0], "g", 1) == 1;
	close(sync[0]);
	if (waitpid(pid, &status, 0) < 0)
		die("wait");
	(void)stage_run(c, "poststop", "stopped", 0);
	return started && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Reads the bundle and makes the directory that reserves the id. */
static void container_load(struct container *c)
{
	struct shale_error err = SHALE_ERROR_INIT;
	auto_free char *path = NULL, *bundle = realpath(c->bundle, NULL);
	const char *rootfs;
	auto_fd fd = -1;

	if (!bundle || asprintf(&path, "%s/config.json", bundle) < 0)
		die("bundle '%s'", c->bundle);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("open '%s'", path);
	if (json_read(fd, CONFIG_MAX_BYTES, path, &c->config, &err) < 0)
		die("%s", err.msg);
	rootfs = json_string(json_get(json_get(c->config, "root"), "path"));
	snprintf(c->rootfs, sizeof(c->rootfs), "%s/%s", bundle,
		 rootfs ? rootfs : "rootfs");
	c->bundle = take_ptr(&bundle);
}

int main(int argc, char **argv)
{
	struct container c = { .root = "/run/fdpivot" };
	auto_free char *dir = NULL;
	bool run = false;
	int code;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--root") == 0 && i + 1 < argc)
			c.root = argv[++i];
		else if (strcmp(argv[i], "--bundle") == 0 && i + 1 < argc)
			c.bundle = argv[++i];
		else if (strcmp(argv[i], "--by-path") == 0)
			c.by_path = true;
		else if (strcmp(argv[i], "run") == 0 && !run)
			run = true;
		else
			c.id = argv[i];
	}
	if (!run || !c.bundle || !c.id) {
		fputs("usage: fdpivot [--root DIR] [--by-path] run --bundle DIR ID\n",
		      stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	container_load(&c);
	if (mkdir(c.root, 0711) < 0 && errno != EEXIST)
		die("mkdir '%s'", c.root);
	if (asprintf(&dir, "%s/%s", c.root, c.id) < 0 || mkdir(dir, 0711) < 0)
		die("mkdir '%s/%s'", c.root, c.id);
	code = container_run(&c);
	if (rmdir(dir) < 0)
		die("rmdir '%s'", dir);
	json_free(c.config);
	free((char *)c.bundle);
	return code;
}
