/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The runtime above us: see runtime.h.
 */
#include "runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "number.h"
#include "scope.h"

/* Hook, init, intermediate processes, runtime: more would be its caller. */
#define ANCESTORS_MAX 6
#define CMDLINE_MAX 131072
/* fdinfo of an epoll or inotify descriptor is long; mnt_id comes early. */
#define FDINFO_SIZE 512

/* ---- a command line ---- */

static const char *next_word(const char *word, const char *end)
{
	word += strlen(word) + 1;
	return word < end ? word : NULL;
}

/* The words of a line, and NULL; to be freed. */
static char **split(char *args, size_t len, int *ret_count)
{
	char **words;
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += !args[i];
	words = calloc(count + 1, sizeof(*words));
	if (!words || count > INT_MAX)
		return NULL;
	*ret_count = (int)count;
	for (size_t i = 0; i < count; i++) {
		words[i] = args;
		args += strlen(args) + 1;
	}
	return words;
}

struct runtime_words runtime_parse(char *args, size_t len)
{
	const struct runtime_words none = { RUNTIME_NONE, NULL };
	struct runtime_words words = none;
	auto_free char **argv = NULL;
	struct command command;
	int argc;

	if (!len || args[len - 1])
		return none;
	words.kind = command_kind(args);
	if (words.kind == RUNTIME_ENGINE)
		return words;
	argv = split(args, len, &argc);
	if (!argv)
		return none;
	command_parse(words.kind, &argc, argv, &command);
	words.root = command.value[COMMAND_ROOT];
	if (command_is(&command, argv, "init"))
		return none;
	/* Without its verb this may be a wrapper of ours, with our --root. */
	if (words.kind == RUNTIME_NONE && words.root && command.verb < argc &&
	    command_is_verb(argv[command.verb]))
		words.kind = RUNTIME_OTHER;
	if (words.kind == RUNTIME_NONE)
		return none;
	return words;
}

/* ---- procfs ---- */

static __attribute__((format(printf, 4, 5))) int
read_proc(long pid, char *ret, size_t size, const char *fmt, ...)
{
	char path[128];
	size_t len = 0;
	auto_fd fd = -1;
	va_list args;
	int n = pid ? snprintf(path, sizeof(path), "/proc/%ld/", pid)
		    : snprintf(path, sizeof(path), "/proc/self/");

	va_start(args, fmt);
	(void)vsnprintf(path + n, sizeof(path) - (size_t)n, fmt, args);
	va_end(args);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		ssize_t got = read(fd, ret + len, size - 1 - len);

		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		len += (size_t)got;
	}
	ret[len] = '\0';
	return (int)len;
}

/* The number behind "@name:" at the start of a line. */
static int find_number(const char *text, const char *name, unsigned int column,
		       uint64_t *ret)
{
	const char *line = strstr(text, name);
	char *end;

	while (line && line != text && line[-1] != '\n')
		line = strstr(line + 1, name);
	if (!line)
		return -ENODATA;
	line += strlen(name);
	do {
		errno = 0;
		*ret = strtoull(line, &end, 10);
		if (errno || end == line)
			return -EBADMSG;
		line = end;
	} while (column--);
	return 0;
}

int runtime_parent(long pid, long *ret)
{
	char text[4096];
	uint64_t parent;
	int r = read_proc(pid, text, sizeof(text), "status");

	if (r >= 0)
		r = find_number(text, "PPid:", 0, &parent);
	if (r < 0)
		return r;
	*ret = (long)parent;
	return 0;
}

static int mount_namespace(long pid, struct stat *ret)
{
	char path[64] = "/proc/self/ns/mnt";

	if (pid)
		(void)snprintf(path, sizeof(path), "/proc/%ld/ns/mnt", pid);
	return stat(path, ret) < 0 ? -errno : 0;
}

int runtime_find_init(long *ret, struct shale_error *err)
{
	struct stat ours, theirs;
	long pid = 0, above;
	int r = mount_namespace(0, &ours);

	for (int i = 0; r == 0 && i < ANCESTORS_MAX; i++) {
		r = runtime_parent(pid, &above);
		if (r == 0 && above == 0)
			break;
		if (r == 0)
			r = mount_namespace(above, &theirs);
		if (r < 0)
			break;
		if (theirs.st_ino != ours.st_ino ||
		    theirs.st_dev != ours.st_dev) {
			if (!pid)
				break; /* nobody above us is in it */
			*ret = pid;
			return 0;
		}
		pid = above;
	}
	if (r < 0)
		return error_errno(err, -r,
				   "look at the processes above the hook");
	return error_fail(
		err, ENOENT,
		"the hook does not run in a container's mount namespace: is it in the list of another stage?");
}

/* Each line: first uid inside, first uid outside, how many. */
struct id_range {
	uint64_t inside, outside, count;
};

static const char *next_range(const char *text, struct id_range *ret)
{
	int len = 0;

	if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %n", &ret->inside,
		   &ret->outside, &ret->count, &len) != 3)
		return NULL;
	return text + len;
}

bool runtime_is_mapped(long pid)
{
	char text[4096];
	struct id_range range;

	if (read_proc(pid, text, sizeof(text), "uid_map") < 0 ||
	    !next_range(text, &range))
		return true;
	return range.inside != 0 || range.outside != 0 ||
	       range.count != UINT32_MAX;
}

uid_t runtime_caller(void)
{
	char text[16384];
	const char *rest = text;
	struct id_range range;
	uid_t uid = getuid();

	if (read_proc(0, text, sizeof(text), "uid_map") < 0)
		return uid;
	while ((rest = next_range(rest, &range)) != NULL)
		if (uid >= range.inside && uid - range.inside < range.count)
			return (uid_t)(range.outside + (uid - range.inside));
	return uid;
}

/* ---- where it keeps its containers ---- */

/* The value of @name in /proc/PID/environ; "" where it is not set. */
static int read_env(long pid, const char *name, char *ret, size_t size)
{
	auto_free char *text = malloc(CMDLINE_MAX);
	size_t name_len = strlen(name);
	const char *end;
	int len;

	*ret = '\0';
	if (!text)
		return -ENOMEM;
	len = read_proc(pid, text, CMDLINE_MAX, "environ");
	if (len < 0)
		return len;
	end = text + len;
	for (const char *word = text; word && word < end;
	     word = next_word(word, end))
		if (!strncmp(word, name, name_len) && word[name_len] == '=') {
			const char *value = word + name_len + 1;

			if (strlen(value) >= size)
				return -ENAMETOOLONG;
			(void)snprintf(ret, size, "%s", value);
			return 0;
		}
	return -ENODATA;
}

/* runc honours XDG_RUNTIME_DIR unless it is the real root. */
static bool runc_honours_xdg(long pid)
{
	char text[4096], user[64];
	uint64_t euid;

	if (read_proc(pid, text, sizeof(text), "status") < 0 ||
	    find_number(text, "Uid:", 1, &euid) < 0)
		return false;
	if (euid != 0)
		return true;
	if (!runtime_is_mapped(pid))
		return false;
	return read_env(pid, "USER", user, sizeof(user)) < 0 ||
	       strcmp(user, "root") != 0;
}

void runtime_default_root(long pid, enum runtime_kind kind, char ret[PATH_MAX])
{
	const char *name = kind == RUNTIME_RUNC ? "runc" : "crun";
	char xdg[PATH_MAX - 8];

	/* crun honours it for any user, runc not for all. */
	if ((kind == RUNTIME_CRUN || runc_honours_xdg(pid)) &&
	    read_env(pid, "XDG_RUNTIME_DIR", xdg, sizeof(xdg)) == 0 && *xdg)
		(void)snprintf(ret, PATH_MAX, "%s/%s", xdg, name);
	else
		(void)snprintf(ret, PATH_MAX, "/run/%s", name);
}

/* Takes empty components, "." and ".." out of an absolute path. */
static void straighten(char *path)
{
	char *end = path;

	for (const char *at = path; *at;) {
		size_t len;

		at += strspn(at, "/");
		len = strcspn(at, "/");
		if (len == 2 && !strncmp(at, "..", 2)) {
			while (end > path && *--end != '/')
				;
		} else if (len && !(len == 1 && *at == '.')) {
			*end++ = '/';
			memmove(end, at, len);
			end += len;
		}
		at += len;
	}
	if (end == path)
		*end++ = '/';
	*end = '\0';
}

void runtime_settle_root(const char *path, char ret[PATH_MAX])
{
	char head[PATH_MAX], *slash = NULL;
	const char *tail = "";
	auto_free char *real = NULL;

	ret[0] = '\0';
	if (snprintf(head, sizeof(head), "%s", path) >= (int)sizeof(head))
		return;
	while (!(real = realpath(head, NULL)) && errno == ENOENT) {
		slash = strrchr(head, '/');
		if (!slash || slash == head)
			break;
		*slash = '\0';
		tail = path + (slash - head);
	}
	if (!real || strcmp(real, "/") == 0)
		(void)snprintf(ret, PATH_MAX, "%s",
			       real && *tail ? tail : path);
	else if (snprintf(ret, PATH_MAX, "%s%s", real, tail) >= PATH_MAX)
		ret[0] = '\0';
	if (ret[0] && (real || errno == ENOENT))
		straighten(ret);
}

/* Writes the real path of @path if that is a directory, with @id in it. */
static bool settle(const char *path, const char *id, char ret[PATH_MAX])
{
	auto_fd fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || (id && fstatat(fd, id, &st, AT_SYMLINK_NOFOLLOW) < 0))
		return false;
	if (fs_fd_target(fd, ret) == 0)
		return true;
	ret[0] = '\0';
	return false;
}

/* A relative --root was meant from where the runtime was started. */
static bool settle_relative(long pid, const char *path, const char *id,
			    char ret[PATH_MAX])
{
	char dir[PATH_MAX], joined[2 * PATH_MAX];

	if (read_env(pid, "PWD", dir, sizeof(dir)) == 0 && *dir == '/') {
		(void)snprintf(joined, sizeof(joined), "%s/%s", dir, path);
		if (settle(joined, id, ret))
			return true;
	}
	(void)snprintf(joined, sizeof(joined), "/proc/%ld/cwd/%s", pid, path);
	return settle(joined, id, ret);
}

static void find_root(long pid, const struct runtime_words *words,
		      const char *id, char ret[PATH_MAX])
{
	char path[PATH_MAX];

	ret[0] = '\0';
	if (!words->root)
		runtime_default_root(pid, words->kind, path);
	else if (strlen(words->root) < sizeof(path))
		(void)snprintf(path, sizeof(path), "%s", words->root);
	else
		return;
	if (path[0] == '/')
		(void)settle(path, id, ret);
	else
		(void)settle_relative(pid, path, id, ret);
}

/* Whether this is who called us; its root where it has one. */
static bool is_caller(long pid, const char *id, char ret_root[PATH_MAX])
{
	auto_free char *args = malloc(CMDLINE_MAX);
	struct runtime_words words;
	int len;

	if (!args)
		return false;
	len = read_proc(pid, args, CMDLINE_MAX, "cmdline");
	if (len <= 0)
		return false;
	words = runtime_parse(args, (size_t)len);
	if (words.kind == RUNTIME_NONE)
		return false;
	if (words.kind != RUNTIME_ENGINE)
		find_root(pid, &words, id, ret_root);
	return true;
}

int runtime_find(const char *id, struct runtime *ret, struct shale_error *err)
{
	long pid;
	int r = runtime_parent(0, &pid);

	if (r < 0)
		return error_errno(err, -r, "read /proc/self/status");
	ret->parent = pid;
	ret->root[0] = '\0';
	for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
		if (is_caller(pid, id, ret->root))
			break;
		if (runtime_parent(pid, &pid) < 0)
			break;
	}
	return 0;
}

/* ---- descriptors ---- */

static bool is_in_fdinfo(long pid, const char *fd, uint64_t mnt_id)
{
	char text[FDINFO_SIZE];
	uint64_t found;
	int r = read_proc(pid, text, sizeof(text), "fdinfo/%s", fd);

	if (r == -ENOENT)
		return false; /* closed meanwhile */
	if (r >= 0)
		r = find_number(text, "mnt_id:", 0, &found);
	return r < 0 || found == mnt_id;
}

/*
 * Whether one descriptor is on the mount, or can't be asked.  Through the link
 * it is one call; where the file's own file system refuses that, as FUSE does
 * to others than its owner, it is written down.
 */
static bool is_on_mount(long pid, int dir_fd, const char *fd, uint64_t mnt_id)
{
	struct statx stx;

	if (statx(dir_fd, fd, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		  STATX_MNT_ID, &stx) == 0 &&
	    (stx.stx_mask & STATX_MNT_ID))
		return stx.stx_mnt_id == mnt_id;
	return is_in_fdinfo(pid, fd, mnt_id);
}

bool runtime_holds_mount(long pid, uint64_t mnt_id)
{
	char path[64];
	auto_dir dir = NULL;
	const struct dirent *entry;
	bool seen = false;

	(void)snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
	dir = opendir(path);
	if (!dir)
		return true;
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		seen = true;
		if (is_on_mount(pid, dirfd(dir), entry->d_name, mnt_id))
			return true;
	}
	/* A list that breaks off or is empty proves nothing. */
	return errno != 0 || !seen;
}
