/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a hook sees of a container: see container.h.
 */
#include "container.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contestant.h"
#include "spawned.h"

#define CONFIG_SIZE 65536

/* ---- the bundle ---- */

static int annotate(const char *path, const char *parent)
{
	static char text[CONFIG_SIZE];
	FILE *file = fopen(path, "r+e");
	size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (!len || text[0] != '{')
		return contest_fail("'%s' is no configuration", path);
	text[len] = '\0';
	rewind(file);
	(void)fprintf(file,
		      "{\n\t\"annotations\": {\"org.shale.parent\": \"%s\"},%s",
		      parent, text + 1);
	return fclose(file) ? contest_fail_errno("write '%s'", path) : 0;
}

int container_bundle(const char *dir, const char *parent)
{
	char *argv[] = { (char *)"runc", (char *)"spec", (char *)"--bundle",
			 (char *)dir, NULL };
	char path[PATH_MAX];
	uint64_t ns;

	(void)snprintf(path, sizeof(path), "%s/rootfs", dir);
	if (mkdir(dir, 0755) < 0 || mkdir(path, 0755) < 0)
		return contest_fail_errno("make '%s'", path);
	if (spawned_run(argv, NULL, &ns, NULL) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/config.json", dir);
	return annotate(path, parent);
}

/* ---- the process ---- */

static const struct {
	const char *path, *type;
} mounts[] = {
	{ "proc", "proc" },	      { "dev", "tmpfs" },
	{ "dev/pts", "tmpfs" },	      { "dev/shm", "tmpfs" },
	{ "dev/mqueue", "tmpfs" },    { "sys", "sysfs" },
	{ "sys/fs/cgroup", "tmpfs" },
};

static int enter(const char *bundle)
{
	char path[PATH_MAX];

	if (contest_alone() < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/rootfs", bundle);
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    chdir(path) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		(void)mkdir(mounts[i].path, 0755);
		if (mount(mounts[i].type, mounts[i].path, mounts[i].type, 0,
			  NULL) < 0)
			return -1;
	}
	return chdir("/");
}

static __attribute__((noreturn)) void live(const char *bundle, int ready_fd)
{
	const int status = enter(bundle) < 0 ? 'n' : 'y';

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)!write(ready_fd, &(char){ (char)status }, 1);
	(void)close(ready_fd);
	for (;;)
		(void)pause();
}

pid_t container_start(const char *bundle)
{
	char ready = 'n';
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return contest_fail_errno("make a pipe");
	pid = fork();
	if (pid == 0)
		live(bundle, ends[1]);
	(void)close(ends[1]);
	if (pid < 0)
		(void)contest_fail_errno("fork");
	else
		(void)!read(ends[0], &ready, 1);
	(void)close(ends[0]);
	if (pid < 0 || ready == 'y')
		return pid;
	container_end(pid);
	return contest_fail("the mounts of a container in '%s' failed", bundle);
}

void container_end(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

char *container_state(const char *bundle, const char *id, pid_t pid)
{
	char *text;

	if (asprintf(&text,
		     "{\"ociVersion\":\"1.0.2-dev\",\"id\":\"%s\","
		     "\"status\":\"creating\",\"pid\":%ld,\"bundle\":\"%s\"}",
		     id, (long)pid, bundle) < 0)
		return NULL;
	return text;
}

void container_pose_as_runtime(int *argc, char **argv)
{
	char *words[] = { (char *)"runc", (char *)"--root", argv[*argc - 1],
			  (char *)"run",  (char *)"bench",  NULL };

	if (*argc == 2 && argv[1][0] == '/')
		(void)execv("/proc/self/exe", words);
	if (*argc == 5 && !strcmp(argv[0], "runc")) {
		argv[1] = argv[2];
		*argc = 2;
	}
}
