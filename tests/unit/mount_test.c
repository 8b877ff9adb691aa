/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mount engines: each test runs with both, in a mount namespace of its
 * own and in a fresh directory below the current one.
 *
 * Where this kernel has not all that the fsmount engine needs, or a filter
 * has taken it away (SHALE_TEST_DENIED), its tests run with no engine forced:
 * the other one must then do the same.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libmount.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs.h"
#include "mount.h"
#include "scope.h"
#include "shale.h"
#include "text.h"

static char here[PATH_MAX]; /* this test's directory */
static struct shale_error why;

/* ---- what the tests bend in the system below ---- */

static int libmount_version; /* 0: as it is */
static int libmount_calls;
static bool has_no_setattr;
static bool is_covered_at_once;

/* What this kernel has, or SHALE_TEST_DENIED leaves of it. */
static bool is_denied(const char *call)
{
	const char *denied = getenv("SHALE_TEST_DENIED");

	return denied && !strcmp(denied, call);
}

/* Whether overlays on a target are made by fsmount where nothing is forced. */
static bool fsmount_is_first(void)
{
	return mount_fsmount_is_here() && !is_denied("move_mount");
}

/* The engine that an overlay of this test goes to. */
static bool by_fsmount(void **state)
{
	return !strcmp(*state, "fsmount") && fsmount_is_first();
}

static bool fsmount_can_all(void)
{
	return fsmount_is_first() && !is_denied("mount_setattr");
}

static const char *at(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

static void cover_target(void)
{
	if (is_covered_at_once)
		(void)mount("cover", at("m"), "tmpfs", 0, NULL);
}

/* The library is loaded later, and finds these first. */
#define SEEN __attribute__((visibility("default")))

SEEN int mnt_get_library_version(const char **ret)
{
	int (*real)(const char **) = (int (*)(const char **))dlsym(
		RTLD_NEXT, "mnt_get_library_version");

	return libmount_version ? libmount_version : real(ret);
}

SEEN int mnt_context_mount(struct libmnt_context *cxt)
{
	int (*real)(struct libmnt_context *) = (int (*)(
		struct libmnt_context *))dlsym(RTLD_NEXT, "mnt_context_mount");
	int r = real(cxt);

	libmount_calls++;
	cover_target();
	return r;
}

int mount_setattr(int dir_fd, const char *path, unsigned flags,
		  struct mount_attr *attr, size_t size)
{
	int (*real)(int, const char *, unsigned, struct mount_attr *, size_t) =
		(int (*)(int, const char *, unsigned, struct mount_attr *,
			 size_t))dlsym(RTLD_NEXT, "mount_setattr");

	if (has_no_setattr) {
		errno = ENOSYS;
		return -1;
	}
	return real(dir_fd, path, flags, attr, size);
}

int move_mount(int from_fd, const char *from, int to_fd, const char *to,
	       unsigned flags)
{
	int (*real)(int, const char *, int, const char *, unsigned) =
		(int (*)(int, const char *, int, const char *, unsigned))dlsym(
			RTLD_NEXT, "move_mount");
	int r = real(from_fd, from, to_fd, to, flags);

	cover_target();
	return r;
}

/* How a context came to the kernel: fsconfig's value, or mount's options. */
static char context_seen[1024];

int fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
	int (*real)(int, unsigned, const char *, const void *, int) =
		(int (*)(int, unsigned, const char *, const void *, int))dlsym(
			RTLD_NEXT, "fsconfig");

	if (key && !strcmp(key, "context"))
		(void)snprintf(context_seen, sizeof(context_seen), "%s",
			       (const char *)value);
	return real(fd, cmd, key, value, aux);
}

int mount(const char *source, const char *target, const char *type,
	  unsigned long flags, const void *data)
{
	int (*real)(const char *, const char *, const char *, unsigned long,
		    const void *) =
		(int (*)(const char *, const char *, const char *,
			 unsigned long, const void *))dlsym(RTLD_NEXT, "mount");
	const char *context = data ? strstr(data, ",context=") : NULL;

	if (context)
		(void)snprintf(context_seen, sizeof(context_seen), "%s",
			       context);
	return real(source, target, type, flags, data);
}

/* ---- files ---- */

/* A path below the test's directory; a few live at a time. */
static const char *at(const char *fmt, ...)
{
	static char ring[8][PATH_MAX];
	static unsigned next;
	char *ret = ring[next++ % 8];
	int used = snprintf(ret, PATH_MAX, "%s/", here);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(ret + used, (size_t)(PATH_MAX - used), fmt, args);
	va_end(args);
	return ret;
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) < 0)
		fail_msg("mkdir '%s': %s", path, strerror(errno));
}

static int write_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static int delete_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void unmount_below(const char *dir)
{
	struct libmnt_table *table =
		mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_BACKWARD);
	struct libmnt_fs *fs;

	while (table && iter && mnt_table_next_fs(table, iter, &fs) == 0) {
		const char *target = mnt_fs_get_target(fs);

		if (strncmp(target, dir, strlen(dir)) == 0)
			(void)umount2(target, MNT_DETACH);
	}
	mnt_free_iter(iter);
	mnt_unref_table(table);
}

static int setup(void **state)
{
	char name[] = "tmp.XXXXXX";

	why = (struct shale_error)SHALE_ERROR_INIT;
	libmount_calls = 0;
	context_seen[0] = '\0';
	if (strcmp(*state, "fsmount") || fsmount_can_all())
		(void)setenv("SHALE_MOUNT_ENGINE", *state, 1);
	if (!mkdtemp(name) || !realpath(name, here))
		return -1;
	/* Thousands of files: a tmpfs is the fastest place for them. */
	if (mount("test", here, "tmpfs", 0, NULL) < 0)
		return -1;
	make_dir(at("m"));
	make_dir(at("u"));
	make_dir(at("w"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	libmount_version = 0;
	has_no_setattr = false;
	is_covered_at_once = false;
	(void)unsetenv("SHALE_MOUNT_ENGINE");
	(void)umount("/proc/filesystems");
	unmount_below(here);
	return nftw(here, delete_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* ---- mounts ---- */

/* Layers l0 .. with @pad behind their names, each with a file of its own. */
static void make_layers(unsigned n, const char *pad)
{
	for (unsigned i = 0; i < n; i++) {
		make_dir(at("l%u%s", i, pad));
		assert_int_equal(write_file(at("l%u%s/f%u", i, pad, i)), 0);
	}
}

static char *lowerdir_of(unsigned n, const char *pad)
{
	char *ret = malloc(n * 2 * PATH_MAX + 16), *end;

	assert_non_null(ret);
	end = stpcpy(ret, "lowerdir=");
	for (unsigned i = 0; i < n; i++) {
		if (i)
			*end++ = ':';
		end = text_escape_lower(end, at("l%u%s", i, pad));
	}
	return ret;
}

static const char *option(const char *key, const char *path)
{
	static char ring[4][PATH_MAX + 16];
	static unsigned next;
	char *ret = ring[next++ % 4];

	(void)snprintf(ret, sizeof(ring[0]), "%s=%s", key, path);
	return ret;
}

static int mount_spec(const char *type, const char *source,
		      const char *const *options, int *ret_fd)
{
	struct shale_mount_spec spec = { sizeof(spec), 0, type, source,
					 options };

	why = (struct shale_error)SHALE_ERROR_INIT;
	return ret_fd ? shale_mount_detached(&spec, ret_fd, &why)
		      : shale_mount(&spec, at("m"), &why);
}

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static int mount_rw(unsigned n, const char *pad, const char *more, int *ret_fd)
{
	auto_free char *lowerdir = lowerdir_of(n, pad);

	return mount_spec("overlay", "overlay",
			  OPTIONS("index=off", option("workdir", at("w")),
				  option("upperdir", at("u")), lowerdir, more),
			  ret_fd);
}

static int mount_view(unsigned n, const char *pad, int *ret_fd)
{
	auto_free char *lowerdir = lowerdir_of(n, pad);

	return mount_spec("overlay", "overlay", OPTIONS(lowerdir), ret_fd);
}

#define MUST(call)                                            \
	do {                                                  \
		int must_r_ = (call);                         \
		if (must_r_ != 0)                             \
			fail_msg("%d: %s", must_r_, why.msg); \
	} while (0)

static void assert_refused(int r, int code, const char *part)
{
	assert_int_equal(r, -code);
	assert_int_equal(why.code, code);
	if (!strstr(why.msg, part))
		fail_msg("'%s' is not in '%s'", part, why.msg);
}

/* The top mount's line in mountinfo; NULL where nothing is mounted. */
static char *line_of(const char *target)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *ret = NULL;
	size_t room = 0;

	assert_non_null(file);
	while (getline(&line, &room, file) > 0) {
		char mounted[PATH_MAX];

		if (sscanf(line, "%*s %*s %*s %*s %s", mounted) == 1 &&
		    strcmp(mounted, target) == 0) {
			free(ret);
			ret = strdup(line);
		}
	}
	free(line);
	(void)fclose(file);
	return ret;
}

static void assert_nothing_mounted(void)
{
	auto_free char *line = line_of(at("m"));

	assert_null(line);
}

static void assert_all_layers(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!is_there(at("m/f%u", i)))
			fail_msg("layer %u of %u is not there", i, n);
}

static void assert_writable(void)
{
	assert_int_equal(write_file(at("m/new")), 0);
	assert_true(is_there(at("u/new")));
}

/* ---- overlays ---- */

static void overlay_shows_layers_and_writes_to_upper(void **state)
{
	static const unsigned counts[] = { 1, 2, 128, 500 };

	(void)state;
	make_layers(500, "");
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		MUST(mount_rw(counts[i], "", NULL, NULL));
		assert_all_layers(counts[i]);
		assert_writable();
		assert_false(is_there(at("l0/new")));
		MUST(shale_unmount(at("m"), &why));
		assert_nothing_mounted();
	}
}

static void more_than_500_layers_are_refused(void **state)
{
	(void)state;
	assert_refused(mount_rw(501, "", NULL, NULL), E2BIG,
		       "501 layers are too many: an overlay takes at most 500");
}

static void missing_directory_is_named(void **state)
{
	(void)state;
	make_layers(3, "");
	assert_int_equal(remove(at("l1/f1")), 0);
	assert_int_equal(remove(at("l1")), 0);
	assert_refused(mount_rw(3, "", NULL, NULL), ENOENT, at("l1'"));
	assert_refused(mount_view(3, "", NULL), ENOENT, at("l1'"));
	assert_int_equal(write_file(at("l1")), 0);
	assert_refused(mount_rw(3, "", NULL, NULL), ENOTDIR, at("l1'"));
	assert_int_equal(remove(at("w")), 0);
	assert_refused(mount_rw(1, "", NULL, NULL), ENOENT, "workdir");
	assert_int_equal(remove(at("u")), 0);
	assert_refused(mount_rw(1, "", NULL, NULL), ENOENT, "upperdir");
	assert_refused(mount_spec("bind", at("no"), OPTIONS("rbind"), NULL),
		       ENOENT, "/no'");
	assert_nothing_mounted();
}

static void target_must_be_a_directory(void **state)
{
	(void)state;
	make_layers(1, "");
	assert_int_equal(remove(at("m")), 0);
	assert_refused(mount_rw(1, "", NULL, NULL), ENOENT, "target '");
	assert_int_equal(write_file(at("m")), 0);
	assert_refused(mount_rw(1, "", NULL, NULL), ENOTDIR, "/m'");
}

static void upper_and_work_on_two_mounts_are_refused(void **state)
{
	(void)state;
	make_layers(1, "");
	assert_int_equal(mount("t", at("w"), "tmpfs", 0, NULL), 0);
	assert_refused(mount_rw(1, "", NULL, NULL), EXDEV, at("w"));
}

static void same_layer_twice_is_explained(void **state)
{
	char lowerdir[2 * PATH_MAX];

	(void)state;
	make_layers(1, "");
	(void)snprintf(lowerdir, sizeof(lowerdir), "lowerdir=%s:%s", at("l0"),
		       at("l0"));
	assert_refused(
		mount_spec("overlay", "overlay", OPTIONS(lowerdir), NULL),
		ELOOP, "a layer is there twice");
	assert_nothing_mounted();
}

static void unknown_option_is_refused(void **state)
{
	(void)state;
	make_layers(1, "");
	assert_refused(mount_rw(1, "", "nonsense=1", NULL), EINVAL,
		       by_fsmount(state) ? "nonsense" : "kernel");
	assert_nothing_mounted();
}

/* The kernel seems to have these file systems; gone with the test. */
static void pretend_filesystems(const char *lines)
{
	int fd = open(at("filesystems"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_int_equal(write(fd, lines, strlen(lines)), strlen(lines));
	(void)close(fd);
	assert_int_equal(mount(at("filesystems"), "/proc/filesystems", NULL,
			       MS_BIND, NULL),
			 0);
}

#define CONTEXT "u:r:t:s0:c1,c2"

static void context_without_selinux_is_refused(void **state)
{
	(void)state;
	make_layers(2, "");
	pretend_filesystems("nodev\ttmpfs\nnodev\tnotselinuxfs\n");
	assert_int_equal(mount_rw(2, "", "context=\"" CONTEXT "\"", NULL),
			 -EOPNOTSUPP);
	assert_non_null(strstr(why.msg, "context='" CONTEXT "'"));
	assert_non_null(strstr(why.msg, "no SELinux"));
	assert_string_equal(context_seen, "");
}

/* Where the kernel has SELinux, or seems to: quotes are for mount(2) alone. */
static void context_reaches_the_kernel_in_its_own_form(void **state)
{
	static const struct {
		const char *asked, *fsmount, *libmount;
	} cases[] = {
		{ "context=\"" CONTEXT "\"", CONTEXT,
		  ",context=\"" CONTEXT "\"" },
		{ "context=" CONTEXT, CONTEXT, ",context=\"" CONTEXT "\"" },
		{ "context=\"u:r:t\"", "u:r:t", ",context=u:r:t" },
	};

	make_layers(2, "");
	pretend_filesystems("nodev\tselinuxfs\nnodev\ttmpfs\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		context_seen[0] = '\0';
		/* A kernel that has none says so, and mounts nothing. */
		if (mount_rw(2, "", cases[i].asked, NULL) == 0)
			assert_int_equal(umount(at("m")), 0);
		assert_string_equal(context_seen, by_fsmount(state)
							  ? cases[i].fsmount
							  : cases[i].libmount);
	}
	assert_int_equal(libmount_calls, 0);
}

static void safe_defaults_mount_with_and_without_userxattr(void **state)
{
	static const char *const more[] = { "userxattr", "xino=off",
					    "volatile" };

	(void)state;
	make_layers(2, "");
	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
		auto_free char *lowerdir = lowerdir_of(2, "");

		MUST(mount_spec("overlay", "overlay",
				OPTIONS(option("workdir", at("w")),
					option("upperdir", at("u")), lowerdir,
					"index=off", "redirect_dir=nofollow",
					"metacopy=off", more[i]),
				NULL));
		assert_int_equal(umount(at("m")), 0);
		MUST(mount_spec("overlay", "overlay",
				OPTIONS(lowerdir, "index=off",
					"redirect_dir=nofollow", "metacopy=off",
					more[i]),
				NULL));
		assert_int_equal(umount(at("m")), 0);
	}
}

static void read_only_result_is_refused(void **state)
{
	(void)state;
	make_layers(1, "");
	/* More than overlayfs cleans: it says so and mounts read-only. */
	make_dir(at("w/work"));
	make_dir(at("w/work/1"));
	make_dir(at("w/work/1/2"));
	make_dir(at("w/work/1/2/3"));
	assert_refused(mount_rw(1, "", NULL, NULL), EROFS,
		       "came read-only though asked read-write");
	assert_nothing_mounted();
	MUST(mount_rw(1, "", "ro", NULL));
	assert_all_layers(1);
}

static void view_is_read_only(void **state)
{
	(void)state;
	make_layers(3, "");
	MUST(mount_view(3, "", NULL));
	assert_all_layers(3);
	assert_int_equal(write_file(at("m/new")), -EROFS);
}

static void odd_bytes_in_paths_work(void **state)
{
	static const char *const odd[] = {
		"a:b", "a,b",  "a\\b", "a\\",	  "a b",
		"\"",  "\\,:", "::",   "a\n\t\\", "\xff=\\134",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		char lowerdir[4 * PATH_MAX] = "lowerdir=", *end;
		const char *dir = at("d%s", odd[i]);
		char sub[4][PATH_MAX];

		make_dir(dir);
		for (int k = 0; k < 4; k++) {
			(void)snprintf(sub[k], PATH_MAX, "%s/%d%s", dir, k,
				       odd[i]);
			make_dir(sub[k]);
		}
		assert_int_equal(write_file(at("d%s/0%s/f0", odd[i], odd[i])),
				 0);
		assert_int_equal(write_file(at("d%s/1%s/f1", odd[i], odd[i])),
				 0);
		end = text_escape_lower(lowerdir + 9, sub[0]);
		*end++ = ':';
		(void)text_escape_lower(end, sub[1]);
		MUST(mount_spec("overlay", "overlay",
				OPTIONS(lowerdir, option("upperdir", sub[2]),
					option("workdir", sub[3])),
				NULL));
		assert_all_layers(2);
		assert_int_equal(write_file(at("m/new")), 0);
		assert_true(is_there(at("d%s/2%s/new", odd[i], odd[i])));
		MUST(shale_unmount(at("m"), &why));
	}
}

/* ---- what an engine can carry ---- */

static void pad_to(char *pad, size_t path_len)
{
	size_t used = strlen(at("l000"));

	assert_true(path_len > used && path_len - used < 240);
	memset(pad, 'x', path_len - used);
	pad[path_len - used] = '\0';
}

static void no_layer_is_cut_off(void **state)
{
	static const unsigned counts[] = { 20, 128, 500 };
	char pad[256];

	(void)state;
	pad_to(pad, 200);
	make_layers(500, pad);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		MUST(mount_rw(counts[i], pad, NULL, NULL));
		assert_all_layers(counts[i]);
		assert_writable();
		MUST(shale_unmount(at("m"), &why));
	}
}

static void mountinfo_line_stays_readable(void **state)
{
	char pad[256];

	(void)state;
	pad_to(pad, 200);
	make_layers(500, pad);
	MUST(mount_rw(500, pad, NULL, NULL));
	auto_free char *line = line_of(at("m"));
	assert_non_null(line);
	assert_true(strlen(line) < (size_t)60 * 1024);
	/* Who looks for the owner of an upper finds it all the same. */
	assert_non_null(strstr(line, option("upperdir", at("u"))));
}

static void paths_past_255_bytes_work(void **state)
{
	char pad[256], lowerdir[4 * PATH_MAX];
	const char *deep;

	(void)state;
	memset(pad, 'y', 250);
	pad[250] = '\0';
	make_dir(at("%s", pad));
	deep = at("%s/%s", pad, pad);
	make_dir(deep);
	for (const char *const *s = OPTIONS("l", "k", "u", "w"); *s; s++)
		make_dir(at("%s/%s/%s", pad, pad, *s));
	(void)snprintf(lowerdir, sizeof(lowerdir), "lowerdir=%s:%s",
		       at("%s/%s/l", pad, pad), at("%s/%s/k", pad, pad));
	MUST(mount_spec("overlay", "overlay",
			OPTIONS(lowerdir,
				option("upperdir", at("%s/%s/u", pad, pad)),
				option("workdir", at("%s/%s/w", pad, pad))),
			NULL));
	assert_int_equal(write_file(at("m/new")), 0);
	assert_true(is_there(at("%s/%s/u/new", pad, pad)));
}

static void libmount_gets_only_what_it_carries(void **state)
{
	char pad[256];

	(void)state;
	pad_to(pad, 100);
	make_layers(20, pad);
	libmount_version = 2380;
	MUST(mount_rw(20, pad, NULL, NULL));
	assert_int_equal(libmount_calls, 1);
	MUST(shale_unmount(at("m"), &why));
	libmount_version = 2390;
	MUST(mount_rw(20, pad, NULL, NULL));
	assert_int_equal(libmount_calls, 1);
	assert_all_layers(20);
	MUST(shale_unmount(at("m"), &why));
	MUST(mount_rw(1, pad, NULL, NULL));
	assert_int_equal(libmount_calls, 2);
}

static void other_engine_is_used_past_the_limit(void **state)
{
	char source[301];

	(void)state;
	(void)unsetenv("SHALE_MOUNT_ENGINE");
	memset(source, 's', 300);
	source[300] = '\0';
	make_layers(2, "");
	auto_free char *lowerdir = lowerdir_of(2, "");
	MUST(mount_spec("overlay", source, OPTIONS(lowerdir), NULL));
	assert_all_layers(2);
	assert_int_equal(libmount_calls, 1);
	MUST(shale_unmount(at("m"), &why));
	assert_refused(mount_spec("overlay", source,
				  OPTIONS(lowerdir, "xino=a,b"), NULL),
		       E2BIG,
		       mount_fsmount_is_here()
			       ? "no mount engine can: fsmount: "
			       : "a character that mount(2) splits");
	(void)setenv("SHALE_MOUNT_ENGINE", "fsmount", 1);
	assert_refused(mount_spec("overlay", source, OPTIONS(lowerdir), NULL),
		       fsmount_is_first() ? E2BIG : ENOSYS,
		       fsmount_is_first() ? "is longer than 255 bytes"
		       : mount_fsmount_is_here()
			       ? "no move_mount(2) here (Linux 5.2)"
			       : "SHALE_MOUNT_ENGINE is 'fsmount'");
}

static void unknown_engine_is_refused(void **state)
{
	(void)state;
	(void)setenv("SHALE_MOUNT_ENGINE", "fuse", 1);
	make_layers(2, "");
	assert_refused(mount_view(2, "", NULL), EINVAL,
		       "SHALE_MOUNT_ENGINE is 'fuse'");
}

/* ---- binds ---- */

static void bind_shows_and_writes_its_source(void **state)
{
	(void)state;
	make_layers(1, "");
	MUST(mount_spec("bind", at("l0"), OPTIONS("rw", "rbind"), NULL));
	assert_all_layers(1);
	assert_int_equal(write_file(at("m/new")), 0);
	assert_true(is_there(at("l0/new")));
}

/* l0 with a tmpfs on l0/t. */
static void make_layer_with_mount(void)
{
	make_layers(1, "");
	make_dir(at("l0/t"));
	assert_int_equal(mount("t", at("l0/t"), "tmpfs", 0, NULL), 0);
	assert_int_equal(write_file(at("l0/t/in")), 0);
}

static void read_only_rbind_is_so_all_the_way(void **state)
{
	(void)state;
	make_layer_with_mount();
	if (is_denied("mount_setattr")) {
		assert_refused(mount_spec("bind", at("l0"),
					  OPTIONS("ro", "rbind"), NULL),
			       EOPNOTSUPP, "need Linux 5.12");
		assert_nothing_mounted();
		return;
	}
	MUST(mount_spec("bind", at("l0"), OPTIONS("ro", "rbind"), NULL));
	assert_true(is_there(at("m/t/in")));
	assert_int_equal(write_file(at("m/new")), -EROFS);
	assert_int_equal(write_file(at("m/t/new")), -EROFS);
	assert_int_equal(write_file(at("l0/new")), 0);
	assert_int_equal(write_file(at("l0/t/new")), 0);
}

static void plain_bind_leaves_mounts_below_out(void **state)
{
	(void)state;
	make_layer_with_mount();
	MUST(mount_spec("bind", at("l0"), OPTIONS("bind", "rw"), NULL));
	assert_true(is_there(at("m/t")));
	assert_false(is_there(at("m/t/in")));
}

static void bind_of_a_read_only_mount_is_not_read_write(void **state)
{
	(void)state;
	make_dir(at("t"));
	assert_int_equal(mount("t", at("t"), "tmpfs", MS_RDONLY, NULL), 0);
	assert_refused(
		mount_spec("bind", at("t"), OPTIONS("rw", "rbind"), NULL),
		EROFS, at("t"));
	assert_nothing_mounted();
}

static void flags_work_without_mount_setattr(void **state)
{
	(void)state;
	has_no_setattr = true;
	make_layers(1, "");
	make_dir(at("t"));
	assert_int_equal(mount("t", at("t"), "tmpfs", MS_NODEV, NULL), 0);
	MUST(mount_spec("bind", at("t"), OPTIONS("ro", "rbind", "noexec"),
			NULL));
	auto_free char *line = line_of(at("m"));
	assert_non_null(strstr(line, " ro,nodev,noexec,relatime - "));
	MUST(shale_unmount(at("m"), &why));
	make_dir(at("l0/t"));
	assert_int_equal(mount("t", at("l0/t"), "tmpfs", 0, NULL), 0);
	assert_refused(
		mount_spec("bind", at("l0"), OPTIONS("ro", "rbind"), NULL),
		EOPNOTSUPP, "Linux 5.12");
	assert_nothing_mounted();
}

static void other_engine_binds_without_mount_setattr(void **state)
{
	(void)state;
	has_no_setattr = true;
	make_layers(1, "");
	(void)unsetenv("SHALE_MOUNT_ENGINE");
	MUST(mount_spec("bind", at("l0"), OPTIONS("ro", "rbind"), NULL));
	assert_int_equal(libmount_calls, 1);
	assert_int_equal(write_file(at("m/new")), -EROFS);
	(void)setenv("SHALE_MOUNT_ENGINE", "fsmount", 1);
	if (fsmount_is_first())
		assert_refused(
			mount_spec("bind", at("l0"), OPTIONS("rbind"), NULL),
			ENOSYS, "no mount_setattr(2) here");
}

/* ---- the same from both ---- */

/* Flags, propagation, type, source and options; a layer's text is the same. */
static char *shown(const char *engine, const char *type, const char *source,
		   const char *const *options)
{
	char *line, *ret, *s;

	if (strcmp(engine, "fsmount") || fsmount_can_all())
		(void)setenv("SHALE_MOUNT_ENGINE", engine, 1);
	else
		(void)unsetenv("SHALE_MOUNT_ENGINE");
	MUST(mount_spec(type, source, options, NULL));
	line = line_of(at("m"));
	MUST(shale_unmount(at("m"), &why));
	ret = strdup(strstr(line, at("m")));
	free(line);
	while ((s = strstr(ret, ",lowerdir+=")) != NULL) {
		bool is_first = !strstr(ret, "lowerdir=");

		(void)memmove(s + (is_first ? 10 : 1), s + 11,
			      strlen(s + 11) + 1);
		(void)memcpy(s, is_first ? ",lowerdir=" : ":",
			     is_first ? 10 : 1);
	}
	return ret;
}

static void both_engines_show_the_same(void **state)
{
	const char *more[][8] = {
		{ NULL },
		{ "ro", NULL },
		{ "nosuid", "nodev", "noexec", "noatime", NULL },
		{ "nodiratime", "strictatime", "nosymfollow", NULL },
	};

	(void)state;
	make_layers(4, "");
	/* An upper that was used before shows other options than a fresh one. */
	MUST(mount_rw(4, "", "redirect_dir=on", NULL));
	MUST(shale_unmount(at("m"), &why));
	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
		const char *options[16] = { NULL };
		auto_free char *lowerdir = lowerdir_of(4, "");
		size_t n = 0;

		for (; more[i][n]; n++)
			options[n] = more[i][n];
		auto_free char *bind1 =
			shown("fsmount", "bind", at("l0"), options);
		auto_free char *bind2 =
			shown("libmount", "bind", at("l0"), options);
		assert_string_equal(bind1, bind2);
		options[n++] = lowerdir;
		options[n++] = option("upperdir", at("u"));
		options[n++] = option("workdir", at("w"));
		options[n++] = "index=off";
		options[n++] = "redirect_dir=on";
		auto_free char *overlay1 =
			shown("fsmount", "overlay", "overlay", options);
		auto_free char *overlay2 =
			shown("libmount", "overlay", "overlay", options);
		assert_string_equal(overlay1, overlay2);
		assert_non_null(strstr(overlay1, " - overlay overlay "));
	}
}

static void mount_is_private_on_a_shared_one(void **state)
{
	(void)state;
	make_layers(2, "");
	assert_int_equal(mount("t", at("m"), "tmpfs", 0, NULL), 0);
	assert_int_equal(mount(NULL, at("m"), NULL, MS_SHARED, NULL), 0);
	MUST(mount_rw(2, "", NULL, NULL));
	auto_free char *overlay = line_of(at("m"));
	assert_null(strstr(overlay, "shared:"));
	MUST(shale_unmount(at("m"), &why));
	MUST(mount_spec("bind", at("m"), OPTIONS("rbind"), NULL));
	auto_free char *bind = line_of(at("m"));
	assert_null(strstr(bind, "shared:"));
}

static void covered_mount_is_not_undone(void **state)
{
	(void)state;
	make_layers(2, "");
	is_covered_at_once = true;
	assert_refused(mount_rw(2, "", NULL, NULL), ESTALE,
		       "shows something else");
	auto_free char *line = line_of(at("m"));
	assert_non_null(strstr(line, " - tmpfs cover "));
}

/* ---- detached ---- */

/* Without move_mount a link to the descriptor shows it, too. */
static void place(int fd)
{
	char path[FS_FD_PATH_SIZE];

	if (!is_denied("move_mount")) {
		assert_int_equal(move_mount(fd, "", AT_FDCWD, at("m"),
					    MOVE_MOUNT_F_EMPTY_PATH),
				 0);
		return;
	}
	fs_fd_path(fd, path);
	assert_int_equal(remove(at("m")), 0);
	assert_int_equal(symlink(path, at("m")), 0);
}

static void detached_mount_can_be_placed(void **state)
{
	auto_fd fd = -1;

	(void)state;
	make_layers(3, "");
	MUST(mount_rw(3, "", NULL, &fd));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_nothing_mounted();
	auto_free char *lower = line_of(at("l0"));
	assert_null(lower);
	place(fd);
	assert_all_layers(3);
	assert_writable();
}

static void detached_mount_of_500_long_layers_is_whole(void **state)
{
	char pad[256];
	auto_fd fd = -1;

	(void)state;
	pad_to(pad, 200);
	make_layers(500, pad);
	MUST(mount_rw(500, pad, NULL, &fd));
	place(fd);
	assert_all_layers(500);
}

static void detached_bind_keeps_its_flags(void **state)
{
	auto_fd fd = -1;

	(void)state;
	make_layer_with_mount();
	if (is_denied("mount_setattr")) {
		assert_refused(mount_spec("bind", at("l0"),
					  OPTIONS("ro", "rbind"), &fd),
			       EOPNOTSUPP, "need Linux 5.12");
		return;
	}
	MUST(mount_spec("bind", at("l0"), OPTIONS("ro", "rbind"), &fd));
	place(fd);
	assert_all_layers(1);
	assert_int_equal(write_file(at("m/new")), -EROFS);
	assert_int_equal(write_file(at("m/t/new")), -EROFS);
}

static void closed_detached_mount_is_gone_at_once(void **state)
{
	int fd = -1;

	(void)state;
	make_layers(1, "");
	auto_free char *lowerdir = lowerdir_of(1, "");
	/* With index=on an upper that anything still holds is EBUSY. */
	for (int i = 0; i < 50; i++) {
		MUST(mount_spec("overlay", "overlay",
				OPTIONS("index=on", lowerdir,
					option("upperdir", at("u")),
					option("workdir", at("w"))),
				&fd));
		(void)close(fd);
	}
}

/* ---- the caller stays as it is ---- */

static atomic_bool is_over;

static void *watch_cwd(void *arg)
{
	const char *before = arg;
	char now[PATH_MAX];

	while (!atomic_load(&is_over))
		if (!getcwd(now, sizeof(now)) || strcmp(now, before) != 0)
			return arg;
	return NULL;
}

/* A thread that was joined is listed for a moment longer: the kernel wakes
 * who waits for it before it takes it out of its process. */
static bool is_alone(void)
{
	struct stat task;

	for (int i = 0; i < 5000; i++) {
		assert_int_equal(stat("/proc/self/task", &task), 0);
		if (task.st_nlink == 3)
			return true;
		usleep(1000);
	}
	return false;
}

static void caller_keeps_its_directory_and_namespace(void **state)
{
	char before[PATH_MAX], after[PATH_MAX], pad[256];
	struct stat ns_before, ns_after;
	pthread_t thread;
	void *moved;
	int fd;

	(void)state;
	pad_to(pad, 200);
	make_layers(300, pad);
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(stat("/proc/self/ns/mnt", &ns_before), 0);
	atomic_store(&is_over, false);
	assert_int_equal(pthread_create(&thread, NULL, watch_cwd, before), 0);
	for (int i = 0; i < 3; i++) {
		MUST(mount_rw(300, pad, NULL, NULL));
		MUST(shale_unmount(at("m"), &why));
		MUST(mount_view(300, pad, &fd));
		(void)close(fd);
	}
	atomic_store(&is_over, true);
	assert_int_equal(pthread_join(thread, &moved), 0);
	assert_null(moved);
	assert_non_null(getcwd(after, sizeof(after)));
	assert_string_equal(before, after);
	assert_int_equal(stat("/proc/self/ns/mnt", &ns_after), 0);
	assert_int_equal(ns_before.st_ino, ns_after.st_ino);
	assert_true(is_alone());
}

static void relative_target_is_the_callers(void **state)
{
	auto_free char *lowerdir = NULL;
	char before[PATH_MAX], pad[256];
	int r;

	(void)state;
	pad_to(pad, 200);
	make_layers(300, pad);
	lowerdir = lowerdir_of(300, pad);
	struct shale_mount_spec spec = { sizeof(spec), 0, "overlay", "overlay",
					 OPTIONS(lowerdir) };
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(here), 0);
	r = shale_mount(&spec, "m", &why);
	assert_int_equal(chdir(before), 0);
	MUST(r);
	assert_all_layers(300);
}

static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static void descriptors_are_given_back(void **state)
{
	char pad[256];
	int before;

	(void)state;
	pad_to(pad, 200);
	make_layers(300, pad);
	before = count_descriptors();
	MUST(mount_rw(300, pad, NULL, NULL));
	assert_refused(mount_rw(300, pad, "nonsense", NULL), EINVAL, "");
	assert_int_equal(count_descriptors(), before);
}

/* ---- unmount ---- */

static void unmount_takes_the_top_mount_alone(void **state)
{
	(void)state;
	make_layers(2, "");
	MUST(mount_spec("bind", at("l0"), OPTIONS("rbind"), NULL));
	MUST(mount_spec("bind", at("l1"), OPTIONS("rbind"), NULL));
	assert_true(is_there(at("m/f1")));
	assert_int_equal(symlink("m", at("link")), 0);
	assert_refused(shale_unmount(at("link"), &why), EINVAL,
		       "symbolic link: name the directory");
	MUST((why = (struct shale_error)SHALE_ERROR_INIT,
	      shale_unmount(at("m"), &why)));
	assert_true(is_there(at("m/f0")));
	auto_fd busy = open(at("m/f0"), O_RDONLY | O_CLOEXEC);
	assert_refused(shale_unmount(at("m"), &why), EBUSY, at("m"));
	drop_fd(&busy);
	MUST((why = (struct shale_error)SHALE_ERROR_INIT,
	      shale_unmount(at("m"), &why)));
	assert_refused(shale_unmount(at("m"), &why), EINVAL,
		       "it is not a mount point");
	why = (struct shale_error)SHALE_ERROR_INIT;
	assert_refused(shale_unmount(at("no"), &why), ENOENT, "/no'");
}

#define WITH(engine, f)                                                \
	{                                                              \
#f " with " engine, f, setup, teardown, (void *)engine \
	}
#define BOTH(f) WITH("fsmount", f), WITH("libmount", f)
#define ONCE(f) WITH("libmount", f)
/* Needs both at once. */
#define TOGETHER(f)                                                  \
	{                                                            \
#f " with libmount and fsmount", f, setup, teardown, \
			(void *)"libmount"                           \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(overlay_shows_layers_and_writes_to_upper),
		BOTH(more_than_500_layers_are_refused),
		BOTH(missing_directory_is_named),
		BOTH(target_must_be_a_directory),
		BOTH(upper_and_work_on_two_mounts_are_refused),
		BOTH(same_layer_twice_is_explained),
		BOTH(unknown_option_is_refused),
		BOTH(context_without_selinux_is_refused),
		BOTH(context_reaches_the_kernel_in_its_own_form),
		BOTH(safe_defaults_mount_with_and_without_userxattr),
		BOTH(read_only_result_is_refused),
		BOTH(view_is_read_only),
		BOTH(odd_bytes_in_paths_work),
		BOTH(no_layer_is_cut_off),
		BOTH(mountinfo_line_stays_readable),
		BOTH(paths_past_255_bytes_work),
		ONCE(libmount_gets_only_what_it_carries),
		TOGETHER(other_engine_is_used_past_the_limit),
		ONCE(unknown_engine_is_refused),
		BOTH(bind_shows_and_writes_its_source),
		BOTH(read_only_rbind_is_so_all_the_way),
		BOTH(plain_bind_leaves_mounts_below_out),
		BOTH(bind_of_a_read_only_mount_is_not_read_write),
		ONCE(flags_work_without_mount_setattr),
		ONCE(other_engine_binds_without_mount_setattr),
		TOGETHER(both_engines_show_the_same),
		BOTH(mount_is_private_on_a_shared_one),
		BOTH(covered_mount_is_not_undone),
		BOTH(detached_mount_can_be_placed),
		BOTH(detached_mount_of_500_long_layers_is_whole),
		BOTH(detached_bind_keeps_its_flags),
		BOTH(closed_detached_mount_is_gone_at_once),
		BOTH(caller_keeps_its_directory_and_namespace),
		BOTH(relative_target_is_the_callers),
		BOTH(descriptors_are_given_back),
		BOTH(unmount_takes_the_top_mount_alone),
	};

	/* Whatever fails, the machine's own mounts stay as they are. */
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0) {
		(void)puts("1..0 # SKIP needs root and a mount namespace");
		return 0;
	}
	if (!fsmount_can_all())
		(void)puts(
			"# fsmount is not forced: this kernel lacks some of it");
	return cmocka_run_group_tests_name("mount", tests, NULL, NULL);
}
