/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the facts of a directory.  The set of facts is the room's (key* in
 * active/, name* in snapshots/), so that a commit in progress is invisible.
 * They are read through a descriptor, which pins the inode, and a second look
 * at the name tells whether what was missing had only moved on; or, where the
 * generation is compared afterwards, by path.
 */
#include "record_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "facts.h"
#include "fs.h"
#include "labels.h"
#include "scope.h"
#include "shale.h"
#include "upper.h"
#include "volatile.h"

/* A directory that is another one each time we look: not for ever. */
#define RELOOK_TRIES 1000

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* The facts that certify a directory in a room; the first that is there. */
static const uint32_t kinds_of[2][3] = {
	[ROOM_ACTIVE] = { SHALE_KIND_ACTIVE, SHALE_KIND_VIEW, 0 },
	[ROOM_SNAPSHOTS] = { SHALE_KIND_COMMITTED, 0, 0 },
};

/*
 * Where facts are read: in an open directory, or by paths below the room, which
 * takes half the calls and holds nothing still.
 */
struct source {
	int fd;
	bool is_path;
	char path[ID_SIZE + 16];
};

static const char *fact_path(struct source *source, const char *fact)
{
	if (!source->is_path)
		return fact;
	source->path[ID_SIZE - 1] = '/';
	(void)stpcpy(source->path + ID_SIZE, fact);
	return source->path;
}

static int contradiction(const struct record *record, struct shale_error *err,
			 const char *what)
{
	if (!record->name)
		return error_fail(
			err, EUCLEAN, "'%s/%s' contradicts itself: %s",
			record_room_name(record->room), record->id, what);
	return error_fail(
		err, EUCLEAN, "'%s' in '%s/%s' contradicts itself: %s",
		record->name, record_room_name(record->room), record->id, what);
}

static int read_kind(struct source *source, struct record *record,
		     struct shale_error *err)
{
	char text[FS_LINK_SIZE], id[ID_SIZE];
	struct stat st;

	for (const uint32_t *kind = kinds_of[record->room]; *kind; kind++) {
		const char *fact = record_kind_fact(*kind);
		int r = facts_read(source->fd, fact_path(source, fact), text);

		if (r == -ENOENT)
			continue;
		if (r == -EUCLEAN)
			return contradiction(record, err,
					     "its kind fact is torn");
		if (r < 0)
			return error_errno(err, -r, "read '%s/%s/%s'",
					   record_room_name(record->room),
					   record->id, fact);
		if (record->kind)
			return contradiction(record, err,
					     "it is an active and a view");
		if (fstatat(source->fd, fact_path(source, fact), &st,
			    AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT
				       ? -ENOENT
				       : error_errno(
						 err, errno, "stat '%s/%s/%s'",
						 record_room_name(record->room),
						 record->id, fact);
		record->kind = *kind;
		record->created_ns = mtime_ns(&st);
		record->name = strdup(text);
		if (!record->name)
			return error_fail(err, ENOMEM,
					  "read '%s': out of memory", text);
	}
	if (!record->kind)
		return -ENOENT;
	id_from_name(record->name, id);
	if (strcmp(id, record->id) != 0)
		return contradiction(record, err,
				     "its name belongs to another directory");
	return 0;
}

/* Reads the parent's own name, which can't change while it has a child. */
static int read_parent_name(const struct overlay *ov, struct record *record,
			    uint64_t generation, struct shale_error *err)
{
	char path[ID_SIZE + sizeof("/name")], text[FS_LINK_SIZE], id[ID_SIZE];
	auto_record known = NULL;
	int r;

	if (!(generation & 1))
		known = cache_get(ov->cache, generation, ROOM_SNAPSHOTS,
				  record->parent_id);
	if (known) {
		record->parent = strdup(known->name);
		return record->parent ? 0
				      : error_fail(err, ENOMEM,
						   "read '%s': out of memory",
						   record->name);
	}
	(void)stpcpy(stpcpy(path, record->parent_id), "/name");
	r = facts_read(ov->room_fd[ROOM_SNAPSHOTS], path, text);
	if (r == -ENOENT)
		return contradiction(record, err, "its parent does not exist");
	if (r == -EUCLEAN)
		return contradiction(record, err,
				     "its parent's kind fact is torn");
	if (r < 0)
		return error_errno(err, -r, "read 'snapshots/%s'", path);
	id_from_name(text, id);
	if (strcmp(id, record->parent_id) != 0)
		return contradiction(record, err,
				     "its parent has another's name");
	record->parent = strdup(text);
	return record->parent ? 0
			      : error_fail(err, ENOMEM,
					   "read '%s': out of memory", text);
}

static int read_parent(const struct overlay *ov, struct source *source,
		       struct record *record, uint64_t generation,
		       struct shale_error *err)
{
	static const char *const facts[] = {
		[ROOM_ACTIVE] = "key.parent",
		[ROOM_SNAPSHOTS] = "name.parent",
	};
	int r = facts_read_link(source->fd,
				fact_path(source, facts[record->room]),
				"snapshots", record->parent_id);

	if (r == -ENOENT) {
		record->parent = strdup("");
		return record->parent ? 0
				      : error_fail(err, ENOMEM,
						   "read '%s': out of memory",
						   record->name);
	}
	if (r == -EUCLEAN)
		return contradiction(record, err, "its parent fact is torn");
	if (r < 0)
		return error_errno(err, -r, "read '%s/%s/%s'",
				   record_room_name(record->room), record->id,
				   facts[record->room]);
	return read_parent_name(ov, record, generation, err);
}

/* Of an active or view whose layers are copies with other owners. */
static int read_map(struct source *source, struct record *record,
		    struct shale_error *err)
{
	int r;

	if (record->room != ROOM_ACTIVE)
		return 0;
	r = facts_read_link(source->fd, fact_path(source, "key.mapped"),
			    "mapped", record->map_id);
	if (r == -EUCLEAN)
		return contradiction(record, err, "its mapping fact is torn");
	if (r < 0 && r != -ENOENT)
		return error_errno(err, -r, "read 'active/%s/key.mapped'",
				   record->id);
	return 0;
}

static int read_labels(struct source *source, struct record *record,
		       struct shale_error *err)
{
	static const char *const facts[] = {
		[ROOM_ACTIVE] = "key.labels",
		[ROOM_SNAPSHOTS] = "name.labels",
	};
	struct stat st;
	int r = labels_load(source->fd, fact_path(source, facts[record->room]),
			    &record->labels, &st);

	if (r == -EUCLEAN)
		return contradiction(record, err, "its labels are torn");
	if (r < 0)
		return error_errno(err, -r, "read '%s/%s/%s'",
				   record_room_name(record->room), record->id,
				   facts[record->room]);
	record->updated_ns = record->created_ns;
	if (st.st_ino && mtime_ns(&st) > record->updated_ns)
		record->updated_ns = mtime_ns(&st);
	return 0;
}

/* Facts that only an active with the label has. */
static int read_placing(int dir_fd, struct record *record,
			struct shale_error *err)
{
	const char *const *labels = (const char *const *)record->labels;
	int r = 0;

	if (record->kind != SHALE_KIND_ACTIVE)
		return 0;
	if (labels_get(labels, SHALE_LABEL_UPPER))
		r = upper_read(dir_fd, &record->upper);
	if (r == -ENOENT || r == -EINVAL)
		return contradiction(record, err, "its upper fact is torn");
	if (r == 0 && labels_get(labels, SHALE_LABEL_VOLATILE))
		r = volatile_read(dir_fd, record->volatile_boot);
	if (r == -ENOENT || r == -EINVAL)
		return contradiction(record, err, "its volatile fact is torn");
	return r < 0 ? error_errno(err, -r, "read 'active/%s'", record->id) : 0;
}

static bool has_kind(int dir_fd, const struct record *record)
{
	struct stat st;

	return fstatat(dir_fd, record_kind_fact(record->kind), &st,
		       AT_SYMLINK_NOFOLLOW) == 0 ||
	       errno != ENOENT;
}

/* A damaged snapshot can be taken away all the same, by its name. */
static int make_removable(struct record *record, struct shale_error *err)
{
	static const char *const none[] = { NULL };
	char id[ID_SIZE];

	id_from_name(record->name, id);
	if (strcmp(id, record->id) != 0)
		return -EUCLEAN;
	error_clear(err);
	if (!record->parent)
		record->parent = strdup("");
	if (!record->labels && labels_new(none, &record->labels, err) < 0)
		return -ENOMEM;
	return record->parent ? 0 : error_fail(err, ENOMEM, "out of memory");
}

/* Into a record that has its room, ID and inode. */
static int read_all(const struct overlay *ov, struct source *source,
		    struct record *record, uint64_t generation,
		    struct shale_error *err)
{
	int r = read_kind(source, record, err);

	if (r == 0)
		r = read_parent(ov, source, record, generation, err);
	if (r == 0)
		r = read_map(source, record, err);
	if (r == 0)
		r = read_labels(source, record, err);
	return r;
}

static struct record *record_new(enum room room, const char *id,
				 const struct stat *st)
{
	struct record *record = calloc(1, sizeof(*record));

	if (!record)
		return NULL;
	atomic_init(&record->refs, 1);
	record->room = room;
	memcpy(record->id, id, ID_SIZE);
	record->dev = st->st_dev;
	record->ino = st->st_ino;
	return record;
}

static int read_facts(const struct overlay *ov, int dir_fd, enum room room,
		      const char *id, bool for_removal, struct record **ret,
		      struct shale_error *err)
{
	struct source source = { .fd = dir_fd };
	auto_record record = NULL;
	struct stat st;
	int r;

	if (fstat(dir_fd, &st) < 0)
		return error_errno(err, errno, "stat '%s/%s'",
				   record_room_name(room), id);
	record = record_new(room, id, &st);
	if (!record)
		return error_fail(err, ENOMEM, "read '%s/%s': out of memory",
				  record_room_name(room), id);
	r = read_all(ov, &source, record, 1, err);
	if (r == 0)
		r = read_placing(dir_fd, record, err);
	/* A removal in place unlinks the kind fact before the others. */
	if ((r == 0 || r == -EUCLEAN) && record->kind &&
	    !has_kind(dir_fd, record)) {
		error_clear(err);
		return -ENOENT;
	}
	if (r == -EUCLEAN && record->name && for_removal)
		r = make_removable(record, err);
	if (r == 0)
		*ret = take_ptr(&record);
	return r;
}

static bool is_still_there(int room_fd, const char *id, int dir_fd)
{
	struct stat held, there;

	return fstat(dir_fd, &held) == 0 &&
	       fstatat(room_fd, id, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

int record_read(struct overlay *ov, enum room room, const char *id,
		bool for_removal, struct record **ret, struct shale_error *err)
{
	for (int try = 0; try < RELOOK_TRIES; try++) {
		auto_fd fd =
			openat(ov->room_fd[room], id,
			       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		auto_record record = NULL;
		int r;

		/* What is no directory is certified by nothing, either. */
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			return -ENOENT;
		if (fd < 0)
			return error_errno(err, errno, "open '%s/%s'",
					   record_room_name(room), id);
		r = read_facts(ov, fd, room, id, for_removal, &record, err);
		if (is_still_there(ov->room_fd[room], id, fd)) {
			if (r == 0)
				*ret = take_ptr(&record);
			return r;
		}
		error_clear(err);
	}
	return error_fail(err, EAGAIN, "read '%s/%s': it changes all the time",
			  record_room_name(room), id);
}

int record_read_by_path(struct overlay *ov, uint64_t generation, enum room room,
			const char *id, struct record **ret)
{
	struct source source = { .fd = ov->room_fd[room], .is_path = true };
	auto_record record = NULL;
	const char *const *labels;
	struct stat st;
	int r;

	if (fstatat(source.fd, id, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ENOENT : -ESTALE;
	if (!S_ISDIR(st.st_mode))
		return -ESTALE;
	record = record_new(room, id, &st);
	if (!record)
		return -ESTALE;
	(void)stpcpy(source.path, id);
	r = read_all(ov, &source, record, generation, NULL);
	if (r < 0)
		return r == -ENOENT && !record->kind ? -ENOENT : -ESTALE;
	/* What they lead to is read by descriptor. */
	labels = (const char *const *)record->labels;
	if (labels_get(labels, SHALE_LABEL_UPPER) ||
	    labels_get(labels, SHALE_LABEL_VOLATILE))
		return -ESTALE;
	*ret = take_ptr(&record);
	return 0;
}

int record_read_parent_id(struct overlay *ov, uint64_t generation,
			  const char *id, char ret[ID_SIZE])
{
	struct source source = { .fd = ov->room_fd[ROOM_SNAPSHOTS],
				 .is_path = true };
	auto_record known =
		cache_get(ov->cache, generation, ROOM_SNAPSHOTS, id);

	if (known) {
		(void)memcpy(ret, known->parent_id, ID_SIZE);
		return 0;
	}
	(void)stpcpy(source.path, id);
	return facts_read_link(source.fd, fact_path(&source, "name.parent"),
			       "snapshots", ret) < 0
		       ? -ESTALE
		       : 0;
}

struct record *record_of_new(const struct stat *st, int dir_fd, const char *id,
			     uint32_t kind, const char *name,
			     const struct record *parent)
{
	static const char *const none[] = { NULL };
	auto_record record = record_new(ROOM_ACTIVE, id, st);
	struct stat fact;

	if (!record || fstatat(dir_fd, record_kind_fact(kind), &fact,
			       AT_SYMLINK_NOFOLLOW) < 0)
		return NULL;
	record->kind = kind;
	record->created_ns = record->updated_ns = mtime_ns(&fact);
	record->name = strdup(name);
	record->parent = strdup(parent ? parent->name : "");
	if (parent)
		(void)stpcpy(record->parent_id, parent->id);
	if (!record->name || !record->parent ||
	    labels_new(none, &record->labels, NULL) < 0)
		return NULL;
	return take_ptr(&record);
}

int record_is_there(struct overlay *ov, enum room room, const char *id,
		    const char *name, struct shale_error *err)
{
	char path[ID_SIZE + sizeof("/name")], text[FS_LINK_SIZE];

	for (const uint32_t *kind = kinds_of[room]; *kind; kind++) {
		int r;

		(void)stpcpy(stpcpy(stpcpy(path, id), "/"),
			     record_kind_fact(*kind));
		r = facts_read(ov->room_fd[room], path, text);
		if (r == -ENOENT || r == -ENOTDIR)
			continue;
		if (r < 0)
			return error_errno(err, -r, "read '%s/%s'",
					   record_room_name(room), path);
		if (strcmp(text, name) != 0)
			return error_fail(err, EUCLEAN,
					  "'%s' and '%s' have the same ID %s",
					  name, text, id);
		return 1;
	}
	return 0;
}
