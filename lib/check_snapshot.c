/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every contradiction of one snapshot's directory.  What others read, the
 * record, ends at the first; here each fact is looked at by itself.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "error.h"
#include "facts.h"
#include "fs.h"
#include "labels.h"
#include "scope.h"
#include "shale.h"
#include "upper.h"
#include "usage.h"
#include "volatile.h"

/* What a directory of each kind may hold, and what a commit may leave. */
static const char *const of_active[] = {
	"key",	 "key.parent", "key.labels", "key.mapped", "volatile",
	"upper", "fs",	       "work",	     NULL
};
static const char *const of_view[] = { "view", "key.parent", "key.labels",
				       "key.mapped", NULL };
static const char *const of_committed[] = {
	"name", "name.parent", "name.labels", "usage", "manifest", "fs", NULL
};
static const char *const left_in_active[] = { "name",	     "name.parent",
					      "name.labels", "usage",
					      "manifest",    NULL };
static const char *const left_in_committed[] = { "key",	       "view",
						 "key.parent", "key.labels",
						 "key.mapped", "volatile",
						 "work",       NULL };

struct look {
	struct check *c;
	struct site site;
	int fd;
	bool is_busy; /* somebody holds its flock: a commit, a removal */
	bool has_parent;
	bool is_volatile, is_elsewhere; /* by its labels */
	char name[FS_LINK_SIZE], parent_id[ID_SIZE], right_id[ID_SIZE];
	char path[FS_LINK_SIZE]; /* of what is looked at now */
};

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

static const char *path_of(struct look *look, const char *entry)
{
	(void)snprintf(look->path, sizeof(look->path), "%s/%s%s%s",
		       record_room_name(look->site.room), look->site.id,
		       *entry ? "/" : "", entry);
	return look->path;
}

static const char *prefix_of(const struct look *look)
{
	return look->site.room == ROOM_ACTIVE ? "key" : "name";
}

/* How to take it away, in words. */
static const char *removal(const struct look *look)
{
	return look->site.room == ROOM_ACTIVE
		       ? "'shale remove' takes it away"
		       : "'shale delete' takes it away, once it has no children";
}

/* It was not taken away, committed or half deleted under our eyes. */
static bool is_there_still(const struct look *look)
{
	struct stat there;

	return fstatat(look->c->ov->room_fd[look->site.room], look->site.id,
		       &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       there.st_ino == look->site.ino &&
	       (!look->site.kind ||
		fstatat(look->fd, record_kind_fact(look->site.kind), &there,
			AT_SYMLINK_NOFOLLOW) == 0);
}

static int found(struct look *look, const char *kind, const char *entry,
		 const char *what, const char *remedy, repair_fn *repair)
{
	struct site site = look->site;
	const struct trouble trouble = {
		.kind = kind,
		.name = look->name,
		.path = path_of(look, entry),
		.what = what,
		.remedy = remedy,
		.repair = repair,
		.ctx = &site,
	};

	if (!is_there_still(look))
		return 0;
	site.entry = entry;
	return check_found(look->c, &trouble);
}

/* The others may be told all the same; what is no fault of a disk ends it. */
static int cannot_read(struct look *look, const char *fact, int r)
{
	struct shale_error why = SHALE_ERROR_INIT;

	if (r != -EIO && r != -EBADMSG)
		return error_errno(look->c->err, -r, "read '%s'",
				   path_of(look, fact));
	(void)error_errno(&why, -r, "it can't be read");
	return found(look, "unreadable", fact, why.msg,
		     "see what the kernel's log says of the disk", NULL);
}

static int check_directory(struct look *look)
{
	struct access access = { look->fd, "", 0700 };

	return check_access(look->c, &access, look->name, path_of(look, ""));
}

static int check_kind(struct look *look)
{
	static const struct {
		enum room room;
		uint32_t kind;
	} kinds[] = { { ROOM_ACTIVE, SHALE_KIND_ACTIVE },
		      { ROOM_ACTIVE, SHALE_KIND_VIEW },
		      { ROOM_SNAPSHOTS, SHALE_KIND_COMMITTED } };
	bool is_torn = false;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *fact = record_kind_fact(kinds[i].kind);
		char text[FS_LINK_SIZE];
		int r;

		if (kinds[i].room != look->site.room)
			continue;
		r = facts_read(look->fd, fact, text);
		if (r == -ENOENT)
			continue;
		if (r == -EUCLEAN) {
			is_torn = true;
			/* What has no name can't be removed by it. */
			r = found(
				look, "fact-torn", fact,
				"its kind fact is no symbolic link, or too long",
				"restore the fact, or take the directory away by hand",
				NULL);
		} else if (r < 0) {
			is_torn = true;
			r = cannot_read(look, fact, r);
		} else if (look->site.kind) {
			r = found(look, "two-kinds", fact,
				  "it is an active and a view",
				  "remove one of 'key' and 'view' by hand",
				  NULL);
		} else {
			look->site.kind = kinds[i].kind;
			(void)stpcpy(look->name, text);
			r = 0;
		}
		if (r != 0)
			return r;
	}
	if (look->site.kind || is_torn || look->is_busy)
		return 0;
	return found(
		look, "uncertified", "",
		"it has no kind fact, so that it is not there",
		"'shale cleanup' deletes it, and 'shale check --repair' keeps what is in it, unless it has children",
		repair_uncertified);
}

static int check_id(struct look *look)
{
	struct stat st;
	int r = 0;

	if (!look->site.kind)
		return 0;
	id_from_name(look->name, look->right_id);
	look->site.right_id = look->right_id;
	if (strcmp(look->right_id, look->site.id) != 0)
		r = found(look, "id-mismatch",
			  record_kind_fact(look->site.kind),
			  "its name belongs to another directory",
			  "rename the directory, if its name is right",
			  repair_place);
	if (r != 0 || look->site.room != ROOM_ACTIVE)
		return r;
	(void)snprintf(look->path, sizeof(look->path), "%s/name",
		       look->site.id);
	if (fstatat(look->c->ov->room_fd[ROOM_SNAPSHOTS], look->path, &st,
		    AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return found(look, "name-twice", record_kind_fact(look->site.kind),
		     "a committed snapshot has the same name",
		     "remove this one or delete that one", NULL);
}

/* No look at one snapshot can see it: all of the first look together did. */
static int check_circle(struct look *look, const char *fact)
{
	int r = check_suspect(look->c, "circle", path_of(look, fact));

	return r < 0 ? r
		     : found(look, "circle", fact,
			     "its parents run in a circle",
			     "one of their parent facts was changed: restore that from a backup",
			     NULL);
}

static int check_parent(struct look *look)
{
	char fact[sizeof("name.parent")];
	struct stat st;
	int r;

	(void)stpcpy(stpcpy(fact, prefix_of(look)), ".parent");
	r = facts_read_link(look->fd, fact, "snapshots", look->parent_id);
	if (r == -ENOENT)
		return 0;
	look->has_parent = true;
	if (r < 0 && r != -EUCLEAN)
		return cannot_read(look, fact, r);
	if (r < 0)
		return found(look, "parent-torn", fact,
			     "its parent fact is torn", removal(look), NULL);
	(void)snprintf(look->path, sizeof(look->path), "%s/name",
		       look->parent_id);
	if (fstatat(look->c->ov->room_fd[ROOM_SNAPSHOTS], look->path, &st,
		    AT_SYMLINK_NOFOLLOW) < 0)
		return found(
			look, "parent-missing", fact,
			"its parent does not exist",
			"restore the parent from a backup; without it this one can't be mounted",
			NULL);
	if (look->site.room == ROOM_SNAPSHOTS && look->c->telling &&
	    lineage_is_circle(look->c->lineage, look->site.id))
		return check_circle(look, fact);
	return 0;
}

/* Of those that mean something in an active alone. */
static bool has_label(const struct look *look, char *const *labels,
		      const char *key)
{
	return look->site.kind == SHALE_KIND_ACTIVE && labels &&
	       labels_get((const char *const *)labels, key);
}

static int check_labels(struct look *look)
{
	char fact[sizeof("name.labels")];
	auto_labels labels = NULL;
	struct stat st;
	int r;

	(void)stpcpy(stpcpy(fact, prefix_of(look)), ".labels");
	r = labels_load(look->fd, fact, &labels, &st);
	look->is_volatile = has_label(look, labels, SHALE_LABEL_VOLATILE);
	look->is_elsewhere = has_label(look, labels, SHALE_LABEL_UPPER);
	if (r < 0 && r != -EUCLEAN && r != -ENOENT)
		return cannot_read(look, fact, r);
	return r != -EUCLEAN
		       ? 0
		       : found(look, "labels-torn", fact, "its labels are torn",
			       "'shale check --repair' takes them off, where nobody uses it",
			       repair_labels);
}

/* The layers are then copies with other owners: shifted.h. */
static int check_mapping(struct look *look)
{
	char map_id[ID_SIZE];
	int r = look->site.room == ROOM_ACTIVE
			? facts_read_link(look->fd, "key.mapped", "mapped",
					  map_id)
			: -ENOENT;

	if (r == 0 || r == -ENOENT)
		return 0;
	if (r != -EUCLEAN)
		return cannot_read(look, "key.mapped", r);
	return found(look, "mapping-torn", "key.mapped",
		     "its mapping fact is torn", removal(look), NULL);
}

static int check_volatile(struct look *look)
{
	struct record record = { .room = ROOM_ACTIVE };
	int r;

	if (!look->is_volatile)
		return 0;
	r = volatile_read(look->fd, record.volatile_boot);
	if (r < 0 && r != -ENOENT && r != -EINVAL)
		return cannot_read(look, "volatile", r);
	if (r < 0)
		return found(look, "volatile", "volatile",
			     "its volatile fact is torn", removal(look), NULL);
	r = volatile_check(&record, look->c->err);
	/* What this boot is may not be known. */
	if (r != -EBADFD)
		return r;
	error_clear(look->c->err);
	return found(
		look, "volatile", "volatile",
		"it was volatile in an earlier boot, so that what was written may be incomplete",
		"'shale remove' takes it away, and 'shale cleanup' where its container is gone",
		NULL);
}

static bool is_dir(const struct look *look, const char *entry)
{
	struct stat st;

	return fstatat(look->fd, entry, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

static bool has_entry(const struct look *look, const char *entry)
{
	struct stat st;

	return fstatat(look->fd, entry, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int check_work(struct look *look, int upper_fd)
{
	struct stat st;

	if (look->site.kind != SHALE_KIND_ACTIVE || !look->has_parent ||
	    look->c->ov->driver->is_copying ||
	    (fstatat(upper_fd, "work", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	     S_ISDIR(st.st_mode)))
		return 0;
	return found(
		look, "work", "work",
		"it has no directory 'work', without which it can't be mounted",
		"make one, with mode 0700", repair_work);
}

/* Its files are elsewhere, as on a tmpfs or a disk that may not be there. */
static int check_upper(struct look *look)
{
	struct record record = { .room = ROOM_ACTIVE, .kind = look->site.kind };
	struct shale_error error = SHALE_ERROR_INIT;
	auto_free char *upper = NULL;
	auto_fd fd = -1, fs_fd = -1;
	int r = upper_read(look->fd, &upper);

	(void)stpcpy(record.id, look->site.id);
	record.upper = upper;
	if (r == -ENOENT || r == -EINVAL)
		(void)error_fail(&error, EUCLEAN, "its fact 'upper' is torn");
	else if (r < 0)
		(void)error_errno(&error, -r, "read its fact 'upper'");
	else
		r = upper_open(look->c->ov, &record, &fd, &error);
	if (r == 0)
		r = upper_open_fs(look->c->ov, &record, O_PATH, &fs_fd, &error);
	return r == 0 ? check_work(look, fd)
		      : found(look, "upper", "upper", error.msg,
			      "bring that back; else 'shale remove' takes it away",
			      NULL);
}

static int check_fs(struct look *look)
{
	int r = 0;

	if (look->site.kind == SHALE_KIND_VIEW && look->has_parent)
		return 0; /* has none */
	if (look->site.room == ROOM_ACTIVE &&
	    (look->is_elsewhere || has_entry(look, "upper")))
		return check_upper(look);
	if (!is_dir(look, "fs"))
		r = found(
			look, "fs", "fs",
			"its files are gone: it has no directory 'fs'",
			look->site.room == ROOM_ACTIVE
				? "'shale remove' takes it away"
				: "restore them from a backup, or delete it and its children",
			NULL);
	return r != 0 ? r : check_work(look, look->fd);
}

static int check_usage(struct look *look)
{
	struct usage usage;
	int r;

	if (look->site.room != ROOM_SNAPSHOTS)
		return 0;
	r = usage_load(look->fd, &usage);
	if (r == 0)
		return 0;
	if (r != -ENOENT && r != -EUCLEAN)
		return cannot_read(look, "usage", r);
	return found(look, "usage", "usage",
		     "its usage is not on record, or torn",
		     "'shale check --repair' measures it anew", repair_usage);
}

static int check_entry(struct look *look, const char *entry, bool *left)
{
	const bool is_committed = look->site.room == ROOM_SNAPSHOTS;
	const char *const *known = of_view;

	if (is_committed)
		known = of_committed;
	else if (look->site.kind == SHALE_KIND_ACTIVE)
		known = of_active;
	if (is_one_of(entry, known))
		return 0;
	if (known == of_view && !look->has_parent && !strcmp(entry, "fs"))
		return 0;
	if (is_one_of(entry,
		      is_committed ? left_in_committed : left_in_active)) {
		*left = true;
		return 0;
	}
	/* Two kinds: that was told already. */
	if (!is_committed && (!strcmp(entry, "view") || !strcmp(entry, "key")))
		return 0;
	return found(look, "stray", entry, "a snapshot has no such entry",
		     "'shale check --repair' moves it to lost+found",
		     repair_entry);
}

static int check_entries(struct look *look)
{
	struct dirent **entries = NULL;
	int r = 0, n = scandirat(look->fd, ".", &entries, NULL, alphasort);
	bool left = false;

	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (r == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			r = check_entry(look, name, &left);
		free(entries[i]);
	}
	free(entries);
	if (r != 0 || !left || look->is_busy)
		return r;
	return found(look, "leftover", "",
		     look->site.room == ROOM_ACTIVE
			     ? "a commit that failed left its facts"
			     : "a commit that finished left the key's",
		     "'shale cleanup' removes them", repair_leftovers);
}

static int look_at(struct look *look)
{
	static int (*const checks[])(struct look *) = {
		check_directory, check_kind,	 check_parent, check_labels,
		check_mapping,	 check_volatile, check_fs,     check_usage,
		check_entries,	 check_id, /* last, since it may move the directory */
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(checks) / sizeof(checks[0]);
	     i++) {
		/* What nothing certifies has no facts to be wrong. */
		if (i > 1 && !look->site.kind)
			break;
		r = checks[i](look);
	}
	return r;
}

int check_snapshot(struct check *c, enum room room, const char *id)
{
	struct look look = { .c = c,
			     .site = { .room = room, .id = id, .fd = -1 } };
	auto_fd fd = openat(c->ov->room_fd[room], id,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(c->err, errno, "open '%s/%s'",
				   record_room_name(room), id);
	look.fd = look.site.fd = fd;
	look.site.ino = st.st_ino;
	look.site.parent_id = look.parent_id;
	/* Only asked, not held: nobody shall find it busy because of us. */
	look.is_busy = flock(fd, LOCK_SH | LOCK_NB) < 0;
	(void)flock(fd, LOCK_UN);
	r = look_at(&look);
	if (r == 0 && !c->telling && room == ROOM_SNAPSHOTS &&
	    lineage_add(c->lineage, id, look.parent_id) < 0)
		return error_fail(c->err, ENOMEM, "check: out of memory");
	return r;
}
