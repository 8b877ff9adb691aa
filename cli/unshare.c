/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale unshare: a command where its user may mount.
 *
 * The process itself enters the namespaces and becomes the command, so that
 * pid, signals and exit status are the command's own.  A child that stays
 * outside has newuidmap(1) and newgidmap(1) write the maps, since only they
 * may map subordinate ids.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "number.h"
#include "output.h"
#include "process.h"
#include "scope.h"
#include "verbs.h"

/* Arguments of newuidmap: itself, pid, three a range, NULL. */
#define RANGES_MAX 64
#define ARGS_MAX (2 + 3 * (RANGES_MAX + 1) + 1)

/* ---- subordinate ids ---- */

struct map {
	const char *helper, *file; /* "newuidmap", "/etc/subuid" */
	char *args[ARGS_MAX];
	size_t count;
	uint64_t next; /* first id inside that is free */
};

static int map_add(struct map *map, uint64_t outside, uint64_t count)
{
	const uint64_t ids[] = { map->next, outside, count };

	for (size_t i = 0; i < 3; i++)
		if (asprintf(&map->args[map->count++], "%" PRIu64, ids[i]) < 0)
			return -ENOMEM;
	map->next += count;
	return 0;
}

static bool map_has_ranges(const struct map *map)
{
	return map->next > 1;
}

/* A line is NAME:FIRST:COUNT, where NAME may be the uid. */
static int read_line(struct map *map, char *line, const char *user,
		     const char *uid)
{
	char *name = strsep(&line, ":"), *first = strsep(&line, ":");
	uint64_t from, count;

	if (!line || (strcmp(name, uid) && (!user || strcmp(name, user))))
		return 0;
	line[strcspn(line, "\n")] = '\0';
	if (number_parse(first, UINT32_MAX, &from) < 0 ||
	    number_parse(line, UINT32_MAX, &count) < 0 || !count ||
	    map->count + 3 >= ARGS_MAX)
		return 0;
	return map_add(map, from, count);
}

static int read_ranges(struct map *map, uid_t id, const char *user)
{
	auto_file file = fopen(map->file, "re");
	auto_free char *line = NULL;
	size_t size = 0;
	char uid[16];
	int r = map_add(map, id, 1);

	(void)snprintf(uid, sizeof(uid), "%u", (unsigned int)getuid());
	while (r == 0 && file && getline(&line, &size, file) > 0)
		r = read_line(map, line, user, uid);
	return r;
}

/* ---- the child that stays outside ---- */

static int run_helper(struct map *map, const char *pid)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child == 0) {
		map->args[0] = (char *)map->helper;
		map->args[1] = (char *)pid;
		(void)execvp(map->helper, map->args);
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* Waits for the namespace, then maps; its exit status tells how it went. */
static _Noreturn void map_main(struct map maps[2], int go_fd, pid_t pid)
{
	char text[16], byte;

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	if (read(go_fd, &byte, 1) != 1)
		_exit(1);
	_exit(run_helper(&maps[0], text) < 0 || run_helper(&maps[1], text) < 0);
}

/* ---- the namespaces ---- */

static int enter(unsigned int flags, struct shale_error *err)
{
	if (unshare((int)flags) == 0)
		return 0;
	if (errno == EPERM || errno == ENOSPC || errno == EINVAL)
		return error_errno(
			err, errno,
			"make a user namespace (user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns of sysctl(8) may forbid it)");
	return error_errno(err, errno, "make a user and a mount namespace");
}

static int enter_beside_child(struct map maps[2], struct shale_error *err)
{
	pid_t pid = getpid(), child;
	int go[2], status, r;

	if (pipe2(go, O_CLOEXEC) < 0)
		return error_errno(err, errno, "make a pipe");
	child = fork();
	if (child == 0) {
		(void)close(go[1]);
		map_main(maps, go[0], pid);
	}
	(void)close(go[0]);
	r = child < 0 ? error_errno(err, errno, "fork")
		      : enter(CLONE_NEWUSER | CLONE_NEWNS, err);
	if (r == 0 && write(go[1], "", 1) != 1)
		r = error_errno(err, errno, "start newuidmap");
	(void)close(go[1]);
	if (child < 0)
		return r;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "wait for newuidmap");
	if (r == 0 && status != 0)
		return error_fail(
			err, EPERM,
			"newuidmap or newgidmap failed: see whether /etc/subuid and /etc/subgid are right");
	return r;
}

static int enter_mapped(struct map maps[2], struct shale_error *err)
{
	struct sigaction inherited;
	int r;

	process_hear_children(&inherited);
	r = enter_beside_child(maps, err);
	(void)sigaction(SIGCHLD, &inherited, NULL);
	return r;
}

static int write_text(const char *path, const char *text,
		      struct shale_error *err)
{
	auto_fd fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return error_errno(err, errno, "write '%s' to '%s'", text,
				   path);
	return 0;
}

/* What the kernel lets anybody map: himself. */
static int enter_alone(struct shale_error *err)
{
	char uid[32], gid[32];
	int r;

	(void)snprintf(uid, sizeof(uid), "0 %u 1", (unsigned int)geteuid());
	(void)snprintf(gid, sizeof(gid), "0 %u 1", (unsigned int)getegid());
	r = enter(CLONE_NEWUSER | CLONE_NEWNS, err);
	if (r == 0)
		r = write_text("/proc/self/uid_map", uid, err);
	if (r == 0)
		r = write_text("/proc/self/setgroups", "deny", err);
	return r < 0 ? r : write_text("/proc/self/gid_map", gid, err);
}

static bool is_in_path(const char *program)
{
	const char *path = getenv("PATH");
	auto_free char *dirs = strdup(path ? path : "/usr/bin:/bin");
	char *rest = dirs, *dir;

	while (rest && (dir = strsep(&rest, ":")) != NULL) {
		auto_free char *file = NULL;

		/* An empty word is the directory one is in, as for execvp. */
		if (asprintf(&file, "%s/%s", *dir ? dir : ".", program) < 0)
			file = NULL;
		else if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}

static void warn(const char *why)
{
	(void)fprintf(stderr,
		      "shale: warning: only your own ids are mapped, %s\n",
		      why);
}

static int enter_as_user(struct cli *cli)
{
	struct map maps[2] = {
		{ .helper = "newuidmap", .file = "/etc/subuid", .count = 2 },
		{ .helper = "newgidmap", .file = "/etc/subgid", .count = 2 },
	};
	const struct passwd *user = getpwuid(getuid());
	int r = read_ranges(&maps[0], geteuid(), user ? user->pw_name : NULL);

	if (r == 0)
		r = read_ranges(&maps[1], getegid(),
				user ? user->pw_name : NULL);
	if (r < 0)
		r = error_fail(&cli->err, ENOMEM, "out of memory");
	else if (!map_has_ranges(&maps[0]) || !map_has_ranges(&maps[1])) {
		warn("since /etc/subuid or /etc/subgid has no range for you");
		r = enter_alone(&cli->err);
	} else if (!is_in_path("newuidmap") || !is_in_path("newgidmap")) {
		warn("since newuidmap(1) is not installed (Debian: uidmap)");
		r = enter_alone(&cli->err);
	} else {
		r = enter_mapped(maps, &cli->err);
	}
	for (size_t i = 2; i < ARGS_MAX; i++) {
		free(maps[0].args[i]);
		free(maps[1].args[i]);
	}
	return r;
}

/* ---- the command ---- */

static int become(struct cli *cli)
{
	char *shell = getenv("SHELL");
	char *alone[] = { shell && *shell ? shell : (char *)"/bin/sh", NULL };
	char **argv = cli->operand_count ? cli->operands : alone;

	(void)execvp(argv[0], argv);
	return error_errno(&cli->err, errno, "run '%s'", argv[0]);
}

static int run(struct cli *cli)
{
	int r = 0;

	if (!process_is_admin())
		r = enter_as_user(cli);
	else if (unshare(CLONE_NEWNS) < 0)
		r = error_errno(&cli->err, errno, "make a mount namespace");
	if (r < 0)
		return r;
	/* What the machine mounts later is seen, what we mount is ours. */
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_errno(&cli->err, errno,
				   "cut the mounts off from the machine's");
	return become(cli);
}

const struct verb unshare_verb = {
	.name = "unshare",
	.usage = "unshare [COMMAND [ARGUMENT ...]]",
	.summary = "run COMMAND, or a shell, where you may mount",
	.details =
		"In a user namespace of your own, where you are root, with your "
		"subordinate ids;\nand in a mount namespace, whose mounts end "
		"with the command.\n",
	.most = -1,
	.options = TAKES_COMMAND,
	.run = run,
};
