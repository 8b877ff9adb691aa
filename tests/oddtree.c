/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tree with one of everything: see oddtree.h.
 */
#include "oddtree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TRY(call)                                                \
	do {                                                     \
		if ((call) < 0) {                                \
			(void)fprintf(stderr, "%s: %s\n", #call, \
				      strerror(errno));          \
			return -1;                               \
		}                                                \
	} while (0)

/* An access ACL: owner rwx, user 1000 r-x, group r--, mask r-x, other ---. */
static const unsigned char acl[] = {
	2,  0, 0, 0,			  /* version */
	1,  0, 7, 0, 255,  255, 255, 255, /* owner */
	2,  0, 5, 0, 0xe8, 3,	0,   0,	  /* user 1000 */
	4,  0, 4, 0, 255,  255, 255, 255, /* group */
	16, 0, 5, 0, 255,  255, 255, 255, /* mask */
	32, 0, 0, 0, 255,  255, 255, 255, /* other */
};

/* cap_net_bind_service=ep, revision 2. */
static const unsigned char capability[] = { 1, 0, 0, 2, 0, 4, 0, 0, 0, 0,
					    0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };

static int make(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			0644);
	int r = 0;

	TRY(fd);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		r = -1;
	(void)close(fd);
	return r;
}

/* Data, 8 MiB of nothing, data, 1 MiB of nothing. */
static int make_sparse(int dir)
{
	int fd = openat(dir, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	TRY(fd);
	TRY(pwrite(fd, "begin", 5, 0));
	TRY(pwrite(fd, "end", 3, 8 << 20));
	TRY(ftruncate(fd, 9 << 20));
	(void)close(fd);
	fd = openat(dir, "nothing", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	TRY(fd);
	TRY(ftruncate(fd, 1 << 20));
	(void)close(fd);
	return 0;
}

static int make_large(int dir)
{
	char piece[4096];
	int fd = openat(dir, "large", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

	TRY(fd);
	for (int i = 0; i < 300; i++) {
		(void)memset(piece, i, sizeof(piece));
		if (write(fd, piece, sizeof(piece)) != sizeof(piece))
			return -1;
	}
	(void)close(fd);
	return 0;
}

static int make_socket(int dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	TRY(fd);
	(void)snprintf(address.sun_path, sizeof(address.sun_path),
		       "/proc/self/fd/%d/socket", dir);
	TRY(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	(void)close(fd);
	return 0;
}

static int make_kinds(int dir)
{
	TRY(make(dir, "file", "text\n"));
	TRY(make(dir, "empty", ""));
	TRY(make_sparse(dir));
	TRY(make_large(dir));
	TRY(symlinkat("/etc/passwd", dir, "link"));
	TRY(symlinkat("nowhere", dir, "dangling"));
	TRY(mkfifoat(dir, "fifo", 0620));
	TRY(make_socket(dir));
	TRY(mknodat(dir, "null", S_IFCHR | 0666, makedev(1, 3)));
	TRY(mknodat(dir, "loop", S_IFBLK | 0660, makedev(7, 300)));
	return 0;
}

/* What overlayfs keeps of its own in an upper, and lets nobody make in it. */
static int make_overlays_own(int dir)
{
	int fd;

	TRY(mknodat(dir, "whiteout", S_IFCHR, makedev(0, 0)));
	TRY(linkat(dir, "whiteout", dir, "whiteout.2", 0));
	fd = openat(dir, "opaque", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	TRY(fd);
	TRY(fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0));
	(void)close(fd);
	return 0;
}

static int make_names(int dir)
{
	char name[256];

	(void)memset(name, 'n', 255);
	name[255] = '\0';
	TRY(make(dir, name, name));
	name[0] = 'd';
	TRY(mkdirat(dir, name, 0711));
	TRY(make(dir, "line\nbreak", ""));
	TRY(make(dir, "\377\001", ""));
	TRY(make(dir, ".shale-links", ""));
	return 0;
}

static int make_modes(int dir)
{
	TRY(make(dir, "setuid", "x"));
	TRY(fchownat(dir, "setuid", 12, 34, 0));
	TRY(fchmodat(dir, "setuid", 06755, 0));
	TRY(make(dir, "unreadable", "x"));
	TRY(fchmodat(dir, "unreadable", 0, 0));
	TRY(mkdirat(dir, "closed", 0700));
	TRY(mkdirat(dir, "closed/in", 0700));
	TRY(fchmodat(dir, "closed", 0, 0));
	TRY(mkdirat(dir, "sticky", 0700));
	TRY(fchownat(dir, "sticky", 5, 6, 0));
	TRY(fchmodat(dir, "sticky", 03777, 0));
	TRY(make(dir, "sticky/file", "x"));
	TRY(fchownat(dir, "link", 1000, 1000, AT_SYMLINK_NOFOLLOW));
	return 0;
}

static int make_links(int dir)
{
	TRY(make(dir, "hard", "hard"));
	TRY(linkat(dir, "hard", dir, "hard.2", 0));
	TRY(linkat(dir, "hard", dir, "sticky/hard.3", 0));
	TRY(make(dir, "other", "hard"));
	TRY(linkat(dir, "other", dir, "other.2", 0));
	TRY(linkat(dir, "link", dir, "link.2", 0));
	TRY(linkat(dir, "fifo", dir, "fifo.2", 0));
	return 0;
}

static int make_attributes(int dir)
{
	static const char many[500] = "many";
	int fd = openat(dir, "file", O_RDWR | O_CLOEXEC);

	TRY(fd);
	TRY(fsetxattr(fd, "user.many", many, sizeof(many), 0));
	TRY(fsetxattr(fd, "user.empty", "", 0, 0));
	TRY(fsetxattr(fd, "trusted.t", "t", 1, 0));
	TRY(fsetxattr(fd, "system.posix_acl_access", acl, sizeof(acl), 0));
	(void)close(fd);
	fd = openat(dir, "setuid", O_RDONLY | O_CLOEXEC);
	TRY(fd);
	TRY(fsetxattr(fd, "security.capability", capability, sizeof(capability),
		      0));
	(void)close(fd);
	TRY(mkdirat(dir, "opaque", 0750));
	TRY(make(dir, "opaque/file", "x"));
	fd = openat(dir, "opaque", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	TRY(fd);
	TRY(fsetxattr(fd, "system.posix_acl_default", acl, sizeof(acl), 0));
	TRY(fsetxattr(fd, "user.u", "u", 1, 0));
	(void)close(fd);
	return 0;
}

static int attribute_of(int dir, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	return lsetxattr(path, "trusted.name", name, strlen(name), 0);
}

/* Times last: all else changes them. */
static int set_times(int dir)
{
	static const char *const names[] = { "file",   "link",	 "fifo",
					     "socket", "sparse", "null",
					     "opaque", "large",	 "closed" };
	struct timespec times[2] = { { 1, 1 }, { 1234567890, 123456789 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		times[1].tv_sec++;
		times[1].tv_nsec++;
		TRY(utimensat(dir, names[i], times, AT_SYMLINK_NOFOLLOW));
	}
	times[1].tv_sec = 77;
	TRY(futimens(dir, times));
	return 0;
}

int oddtree_make(const char *path, bool is_upper)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	TRY(dir);
	r = make_kinds(dir) < 0 || make_names(dir) < 0 || make_modes(dir) < 0 ||
			    make_links(dir) < 0 || make_attributes(dir) < 0 ||
			    (is_upper && make_overlays_own(dir) < 0) ||
			    attribute_of(dir, "link") < 0 ||
			    attribute_of(dir, "null") < 0 ||
			    fchmod(dir, 02751) < 0 || set_times(dir) < 0
		    ? -1
		    : 0;
	(void)close(dir);
	return r;
}
