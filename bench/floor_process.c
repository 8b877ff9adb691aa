/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Contestant: the same processes with nothing in them but what the job can't
 * do without, linked to the libraries that shale's own are linked to (of the
 * static libcrypto what SHA-256 needs, which asks the processor what it can do
 * before main).  It starts itself: `floor_process +stat DIR`,
 * `floor_process +prestart DIR`.
 *
 *	stat		hashes a snapshot's name, opens its directory, reads its
 *			facts, prints
 *	prestart	reads the state and the configuration; makes an active
 *			by a rename; makes the overlay; enters the container's
 *			mount namespace; moves the overlay onto the root, and
 *			onto it the three mounts that were there
 *	prestart-memory	what that has resident, in KiB
 *
 * No lock, no look at who calls, no check of anything.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <openssl/sha.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container.h"
#include "contestant.h"
#include "spawned.h"

#define ID_OF_LAYER "%032ld"

/* Of the name "layer", which all have: the half of its digest, in hex. */
static char id[33];

static char dir[PATH_MAX - 256], bundle[PATH_MAX];
static long layers;

/* ---- the processes themselves, below the directory of the contestant ---- */

static void hash_name(void)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256_CTX context;

	(void)SHA256_Init(&context);
	(void)SHA256_Update(&context, "layer", 5);
	(void)SHA256_Final(digest, &context);
	for (size_t i = 0; i < sizeof(id) / 2; i++)
		(void)snprintf(id + 2 * i, 3, "%02x", digest[i]);
}

/* ROOM/ID and what is below it; there are a few such paths at a time. */
static const char *at(const char *room, const char *below)
{
	static char paths[4][128];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(*paths), "%s/%s%s", room, id, below);
	return path;
}

static int stat_main(void)
{
	static const char *const facts[] = { "name", "name.parent",
					     "name.labels" };
	const int fd = open(at("snapshots", ""),
			    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	for (size_t i = 0; i < sizeof(facts) / sizeof(*facts); i++) {
		char text[1024];
		ssize_t n = readlinkat(fd, facts[i], text, sizeof(text));

		(void)printf("%s %.*s\n", facts[i], n < 0 ? 0 : (int)n, text);
	}
	if (fstatat(fd, "name", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 1;
	(void)printf("created %lld\n", (long long)st.st_mtime);
	return 0;
}

static size_t slurp(int fd, char *ret, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, ret + len, size - 1 - len)) > 0)
		len += (size_t)n;
	ret[len] = '\0';
	return len;
}

static int make_active(void)
{
	if (mkdir(at("staging", ""), 0700) < 0 ||
	    mkdir(at("staging", "/fs"), 0755) < 0 ||
	    mkdir(at("staging", "/work"), 0700) < 0 ||
	    symlink(at("../../snapshots", ""), at("staging", "/key.parent")) <
		    0 ||
	    symlink("{}", at("staging", "/key.labels")) < 0 ||
	    symlink("bench", at("staging", "/key")) < 0)
		return -1;
	return (int)syscall(SYS_renameat2, AT_FDCWD, at("staging", ""),
			    AT_FDCWD, at("active", ""),
			    1 /* RENAME_NOREPLACE */);
}

static int configure(int fs_fd, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_STRING, key,
			    value, 0);
}

static int make_overlay(long count)
{
	const int fs_fd = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	char path[64];
	int r = 0;

	for (long i = count; i > 0; i--) {
		(void)snprintf(path, sizeof(path),
			       "snapshots/" ID_OF_LAYER "/fs", i);
		r |= configure(fs_fd, "lowerdir+", path);
	}
	r |= configure(fs_fd, "upperdir", at("active", "/fs"));
	r |= configure(fs_fd, "workdir", at("active", "/work"));
	r |= (int)syscall(SYS_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL,
			  0);
	return r < 0 ? -1
		     : (int)syscall(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC, 0);
}

static int move(int from_fd, int to_fd, const char *to)
{
	return (int)syscall(SYS_move_mount, from_fd, "", to_fd, to,
			    MOVE_MOUNT_F_EMPTY_PATH |
				    (*to ? 0 : MOVE_MOUNT_T_EMPTY_PATH));
}

/* What runc has mounted right on the root. */
static int put_root(int overlay_fd, const char *pid)
{
	static const char *const children[] = { "proc", "dev", "sys" };
	int fds[3], root_fd, r;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%ld/ns/mnt",
		       strtol(pid, NULL, 10));
	for (size_t i = 0; i < 3; i++)
		(void)mkdirat(overlay_fd, children[i], 0755);
	root_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (setns(root_fd, CLONE_NEWNS) < 0)
		return -1;
	(void)close(root_fd);
	root_fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < 3; i++)
		fds[i] = openat(root_fd, children[i],
				O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = move(overlay_fd, root_fd, "");
	for (size_t i = 0; i < 3; i++)
		r |= move(fds[i], overlay_fd, children[i]);
	return r;
}

static int prestart_main(const char *above)
{
	static char state[65536], config[65536];
	const char *pid;
	int fd;

	(void)snprintf(bundle, sizeof(bundle), "%s/../bundle/config.json",
		       above);
	if (!slurp(STDIN_FILENO, state, sizeof(state)))
		return 1;
	fd = open(bundle, O_RDONLY | O_CLOEXEC);
	(void)slurp(fd, config, sizeof(config));
	(void)close(fd);
	(void)snprintf(bundle, sizeof(bundle), "%s/../bundle/rootfs", above);
	pid = strstr(state, "\"pid\":");
	if (!pid || make_active() < 0)
		return 1;
	fd = make_overlay(strtol(getenv("LAYERS"), NULL, 10));
	return fd < 0 || put_root(fd, pid + strlen("\"pid\":")) < 0;
}

/* ---- the contestant ---- */

static int make(const char *path)
{
	char full[PATH_MAX];

	(void)snprintf(full, sizeof(full), "%s/%s", dir, path);
	if (mkdir(full, 0755) < 0 && errno != EEXIST)
		return contest_fail_errno("make '%s'", full);
	return 0;
}

static int make_snapshot(const char *its_id)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "snapshots/%s", its_id);
	if (make(path) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "snapshots/%s/fs", its_id);
	return make(path);
}

static int make_store(void)
{
	static const char *const rooms[] = { "", "snapshots", "active",
					     "staging" };
	char its_id[64], path[PATH_MAX];

	for (size_t i = 0; i < sizeof(rooms) / sizeof(*rooms); i++)
		if (make(rooms[i]) < 0)
			return -1;
	for (long i = 1; i <= layers; i++) {
		(void)snprintf(its_id, sizeof(its_id), ID_OF_LAYER, i);
		if (make_snapshot(its_id) < 0)
			return -1;
	}
	(void)snprintf(path, sizeof(path), "%s/%s", dir,
		       at("snapshots", "/name"));
	if (make_snapshot(id) < 0 || symlink("layer", path) < 0)
		return contest_fail_errno("make '%s'", path);
	(void)snprintf(path, sizeof(path), "%s/%s", dir,
		       at("snapshots", "/name.parent"));
	return symlink(at("../../snapshots", ""), path);
}

static int set_up_stat(const struct contest *contest)
{
	char text[24];

	layers = contest_number(contest, "layers", 10);
	(void)snprintf(text, sizeof(text), "%ld", layers);
	(void)setenv("LAYERS", text, 1);
	(void)snprintf(dir, sizeof(dir), "%s/store", contest->dir);
	return make_store();
}

static int set_up_prestart(const struct contest *contest)
{
	if (contest_alone() < 0 || set_up_stat(contest) < 0)
		return -1;
	(void)snprintf(bundle, sizeof(bundle), "%s/bundle", contest->dir);
	return container_bundle(bundle, "layer");
}

static int start(const char *what, const char *input, uint64_t *ret_ns,
		 long *ret_kib)
{
	char *argv[] = { (char *)"/proc/self/exe", (char *)(uintptr_t)what, dir,
			 NULL };

	return spawned_run(argv, input, ret_ns, ret_kib);
}

static int once_stat(uint64_t *ret_ns)
{
	return start("+stat", NULL, ret_ns, NULL);
}

static void remove_active(void)
{
	static const char *const below[] = { "fs/proc", "fs/dev",    "fs/sys",
					     "fs",	"work/work", "work",
					     "",	NULL };
	static const char *const facts[] = { "key", "key.parent", "key.labels",
					     NULL };
	char path[PATH_MAX];

	for (const char *const *name = facts; *name; name++) {
		(void)snprintf(path, sizeof(path), "%s/%s/%s", dir,
			       at("active", ""), *name);
		(void)unlink(path);
	}
	for (const char *const *name = below; *name; name++) {
		(void)snprintf(path, sizeof(path), "%s/%s/%s", dir,
			       at("active", ""), *name);
		(void)rmdir(path);
	}
}

static int in_container(uint64_t *ret_ns, long *ret_kib)
{
	pid_t pid = container_start(bundle);
	char *state = pid < 0 ? NULL : container_state(bundle, "bench", pid);
	int r = state ? start("+prestart", state, ret_ns, ret_kib) : -1;

	free(state);
	container_end(pid);
	remove_active();
	return r;
}

static int once_prestart(uint64_t *ret_ns)
{
	return in_container(ret_ns, NULL);
}

static int once_memory(uint64_t *ret_kib)
{
	uint64_t ns;
	long kib;
	int r = in_container(&ns, &kib);

	*ret_kib = (uint64_t)kib;
	return r;
}

int main(int argc, char **argv)
{
	static const struct contest_row rows[] = {
		{ "stat", set_up_stat, once_stat, NULL, NULL },
		{ "prestart", set_up_prestart, once_prestart, NULL, NULL },
		{ "prestart-memory", set_up_prestart, once_memory, NULL, NULL },
	};

	hash_name();
	container_pose_as_runtime(&argc, argv);
	if (argc == 3 && argv[1][0] == '+') {
		if (chdir(argv[2]) < 0)
			return 1;
		return !strcmp(argv[1], "+stat") ? stat_main()
						 : prestart_main(argv[2]);
	}
	return contest_main(argc, argv, rows, sizeof(rows) / sizeof(*rows));
}
