/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * prepare and view: a directory is built in staging/, its kind fact last, and
 * appears in active/ by one rename.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "facts.h"
#include "labels.h"
#include "lock.h"
#include "native.h"
#include "options.h"
#include "overlay.h"
#include "record.h"
#include "record_read.h"
#include "scope.h"
#include "shale.h"
#include "shift.h"
#include "shifted.h"
#include "staging.h"
#include "upper.h"
#include "volatile.h"

struct creation {
	struct overlay *ov;
	uint32_t kind;
	const char *key;
	char id[ID_SIZE];
	struct record *parent; /* NULL for none */
	int parent_fd;	       /* its directory, until the key is published */
	struct record *made;   /* what a reader would read of it; or NULL */
	/* For which it was seen that the parent is there and the key is free;
	 * odd: for none.
	 */
	uint64_t generation;
	char **labels;
	struct idmaps maps;
	char map_id[ID_SIZE]; /* "": files belong to whom they belong */
	char *upper; /* what upper_create made, as long as nobody has it */
};

static void creation_drop(struct creation *creation)
{
	drop_record(&creation->parent);
	drop_record(&creation->made);
	drop_fd(&creation->parent_fd);
	drop_labels(&creation->labels);
	idmaps_clear(&creation->maps);
	upper_remove(creation->ov, creation->upper);
	free(creation->upper);
}

#define auto_creation __attribute__((cleanup(creation_drop))) struct creation

static int check_parent(struct creation *creation, const char *parent,
			struct shale_error *err)
{
	int r;

	if (!parent || !*parent) {
		creation->generation = generation_read(creation->ov);
		return 0;
	}
	r = name_check(parent, "parent", err);
	if (r == 0)
		r = record_find_at(creation->ov, parent, &creation->generation,
				   &creation->parent, err);
	if (r < 0)
		return error_context(err, r, "parent '%s'", parent);
	if (creation->parent->kind != SHALE_KIND_COMMITTED)
		return error_fail(err, EINVAL,
				  "the parent '%s' is not committed", parent);
	return 0;
}

/* With slow_chown, where there is no other way. */
static int check_maps(struct creation *creation, struct shale_error *err)
{
	int r = labels_maps((const char *const *)creation->labels,
			    &creation->maps, err);

	if (r < 0 || !shifted_is_needed(creation->ov, &creation->maps))
		return r;
	r = shifted_map_id(&creation->maps, creation->map_id);
	return r < 0 ? error_fail(err, -r, "hash the mapping: out of memory")
		     : 0;
}

static bool is_bind(const struct creation *creation)
{
	if (creation->ov->driver->is_copying)
		return true;
	if (creation->kind == SHALE_KIND_ACTIVE)
		return !creation->parent;
	return !creation->parent || !*creation->parent->parent_id;
}

static const char *label(const struct creation *creation, const char *key)
{
	return labels_get((const char *const *)creation->labels, key);
}

/* What the configuration says of all is on record with each. */
static int add_volatile(struct creation *creation, struct shale_error *err)
{
	static const char *const pair[] = { SHALE_LABEL_VOLATILE, "true",
					    NULL };
	static const char *const field[] = { "labels." SHALE_LABEL_VOLATILE,
					     NULL };
	auto_labels before = NULL;

	if (!creation->ov->is_volatile || creation->kind != SHALE_KIND_ACTIVE ||
	    is_bind(creation) || label(creation, SHALE_LABEL_VOLATILE))
		return 0;
	before = take_ptr(&creation->labels);
	return labels_merge((const char *const *)before, pair, field,
			    &creation->labels, err);
}

static int check_labels(struct creation *creation, struct shale_error *err)
{
	int r = add_volatile(creation, err);

	return r < 0 ? r
		     : options_check_labels(
			       creation->ov,
			       (const char *const *)creation->labels,
			       creation->kind, is_bind(creation), err);
}

static int check_arguments(struct creation *creation, const char *key,
			   const char *parent, const struct shale_opts *opts,
			   struct shale_error *err)
{
	int r = name_check(key, "key", err);

	if (r == 0)
		r = overlay_opts_check(opts, false, err);
	if (r == 0)
		r = labels_new(opts ? opts->labels : NULL, &creation->labels,
			       err);
	if (r == 0)
		r = check_maps(creation, err);
	if (r < 0)
		return r;
	id_from_name(key, creation->id);
	r = check_parent(creation, parent, err);
	return r < 0 ? r : check_labels(creation, err);
}

/* Asked twice: early, to build nothing in vain, and under the lock. */
static int check_free(const struct creation *creation, struct shale_error *err)
{
	return facts_check_free(creation->ov, creation->id, creation->key, err);
}

static int no_parent(const struct creation *creation, struct shale_error *err)
{
	return error_fail(err, ENOENT, "parent '%s': no such snapshot",
			  creation->parent->name);
}

/* While it is open no other directory gets its inode number. */
static int open_parent(struct creation *creation, struct shale_error *err)
{
	if (!creation->parent)
		return 0;
	creation->parent_fd = openat(
		creation->ov->room_fd[ROOM_SNAPSHOTS], creation->parent->id,
		(creation->ov->driver->is_copying ? O_RDONLY : O_PATH) |
			O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (creation->parent_fd < 0 && errno == ENOENT)
		return no_parent(creation, err);
	return creation->parent_fd < 0
		       ? error_errno(err, errno, "open 'snapshots/%s'",
				     creation->parent->id)
		       : 0;
}

/* The root directory looks like the parent's; 0755 and ours without one. */
static int make_fs(const struct creation *creation, int dir_fd)
{
	struct stat st = { .st_mode = 0755,
			   .st_uid = geteuid(),
			   .st_gid = getegid() };

	if (creation->parent &&
	    fstatat(creation->parent_fd, "fs", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (*creation->map_id) {
		const struct shift shift = { .maps = &creation->maps };

		st.st_uid = shift_uid(&shift, st.st_uid);
		st.st_gid = shift_gid(&shift, st.st_gid);
	}
	return dir_create_in_ours(dir_fd, "fs", st.st_mode & 07777, st.st_uid,
				  st.st_gid);
}

/* Where fs/ and work/ go where they are kept elsewhere. */
static int open_upper(struct creation *creation, const struct staged *staged,
		      const char *name, int *ret_fd, struct shale_error *err)
{
	int r = upper_create(creation->ov, name, staged->name, staged->fd,
			     ret_fd, err);

	if (r == 0 && upper_read(staged->fd, &creation->upper) < 0)
		r = error_fail(err, ENOMEM, "out of memory");
	return r;
}

static int make_dirs(const struct creation *creation, int dir_fd,
		     struct shale_error *err)
{
	int r = 0;

	if (creation->ov->driver->is_copying && creation->parent)
		return creation->kind == SHALE_KIND_ACTIVE
			       ? native_copy(creation->ov, creation->parent,
					     creation->parent_fd, dir_fd, err)
			       : 0;
	if (creation->kind == SHALE_KIND_ACTIVE || !creation->parent)
		r = make_fs(creation, dir_fd);
	if (r == 0 && creation->kind == SHALE_KIND_ACTIVE && creation->parent)
		r = dir_create_in_ours(dir_fd, "work", 0700, geteuid(),
				       getegid());
	if (r == 0 && creation->upper &&
	    creation->ov->durability == DURABLE_ALL && fsync(dir_fd) < 0)
		r = -errno;
	return r;
}

static int build(struct creation *creation, const struct staged *staged,
		 struct shale_error *err)
{
	const char *upper = label(creation, SHALE_LABEL_UPPER);
	auto_fd upper_fd = -1;
	int r = open_parent(creation, err);

	if (r == 0 && upper)
		r = open_upper(creation, staged, upper, &upper_fd, err);
	if (r < 0)
		return r;
	r = make_dirs(creation, upper ? upper_fd : staged->fd, err);
	if (r == 0 && label(creation, SHALE_LABEL_VOLATILE))
		r = volatile_write(staged->fd);
	if (r == 0 && *creation->map_id)
		r = facts_write_map(staged->fd, creation->map_id);
	if (r == 0)
		r = facts_write(staged->fd, creation->kind, creation->key,
				creation->parent ? creation->parent->id : "",
				(const char *const *)creation->labels);
	/* Else the sync of active/ takes it along. */
	if (r == 0 && creation->ov->durability == DURABLE_ALL &&
	    !overlay_is_ordered(creation->ov) && fsync(staged->fd) < 0)
		r = -errno;
	return r < 0 ? error_errno(err, -r, "build it in staging%s",
				   overlay_ids_hint(r))
		     : 0;
}

static int check_under_lock(const struct creation *creation,
			    const struct writer *writer,
			    struct shale_error *err)
{
	struct stat held, there;
	int r;

	/* Nobody has changed anything since. */
	if (writer->generation == creation->generation)
		return 0;
	r = check_free(creation, err);
	if (r < 0 || !creation->parent)
		return r;
	r = record_is_there(creation->ov, ROOM_SNAPSHOTS, creation->parent->id,
			    creation->parent->name, err);
	if (r < 0)
		return r;
	/* Another one of that name is not what was copied. */
	if (r == 0 || fstat(creation->parent_fd, &held) < 0 ||
	    fstatat(creation->ov->room_fd[ROOM_SNAPSHOTS], creation->parent->id,
		    &there, AT_SYMLINK_NOFOLLOW) < 0 ||
	    held.st_ino != there.st_ino)
		return no_parent(creation, err);
	return 0;
}

static int publish(const struct creation *creation, struct staged *staged,
		   char trash[ID_SIZE], struct shale_error *err)
{
	struct overlay *ov = creation->ov;
	auto_writer writer = WRITER_INIT;
	int r = writer_begin(ov, &writer, err);

	if (r == 0)
		r = check_under_lock(creation, &writer, err);
	if (r == 0)
		r = writer_change(&writer, err);
	if (r == 0)
		r = staged_publish(staged, ROOM_ACTIVE, creation->id, trash,
				   err);
	if (r == 0 && creation->made)
		cache_add(ov->cache, creation->made);
	if (r == 0 && creation->parent)
		cache_count(ov->cache, creation->parent->id, 1);
	return r;
}

/* Or it was removed meanwhile, or committed, and may be somebody else's. */
static bool is_still_ours(const struct creation *creation, int made_fd)
{
	struct stat made, there;

	return fstat(made_fd, &made) == 0 &&
	       fstatat(creation->ov->room_fd[ROOM_ACTIVE], creation->id, &there,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       made.st_ino == there.st_ino;
}

/*
 * What can't be made durable is not to be there: a failed call changes
 * nothing.  @made_fd is of what was published: while it is open nothing else
 * gets its inode number.  Returns whether it was taken away.
 */
static bool retract(const struct creation *creation, int made_fd)
{
	struct overlay *ov = creation->ov;
	char trash[ID_SIZE] = "";
	{
		auto_writer writer = WRITER_INIT;

		if (writer_begin(ov, &writer, NULL) < 0 ||
		    !is_still_ours(creation, made_fd) ||
		    writer_change(&writer, NULL) < 0 ||
		    trash_move(ov, ov->room_fd[ROOM_ACTIVE], creation->id,
			       trash) < 0)
			return false;
		cache_forget(ov->cache, ROOM_ACTIVE, creation->id);
		if (creation->parent)
			cache_count(ov->cache, creation->parent->id, -1);
	}
	trash_empty(ov, trash);
	return true;
}

/* Before anything else is built: it takes the time of a copy. */
static int copy_layers(const struct creation *creation, struct shale_error *err)
{
	auto_chain chain = { NULL, 0, 0 };
	int r;

	if (!*creation->map_id || !creation->parent)
		return 0;
	r = chain_load(creation->ov, creation->parent->id, &chain, err);
	return r < 0 ? r
		     : shifted_make(creation->ov, &creation->maps,
				    creation->map_id, &chain, err);
}

static int create(struct creation *creation, struct shale_error *err)
{
	struct overlay *ov = creation->ov;
	auto_staged staged = STAGED_INIT;
	auto_fd made_fd = -1;
	char trash[ID_SIZE] = "";
	bool is_there;
	int r = check_free(creation, err);

	/* What was seen holds for one generation where nobody came between. */
	if (r == 0 && generation_read(ov) != creation->generation)
		creation->generation |= 1;
	if (r == 0)
		r = copy_layers(creation, err);
	if (r == 0)
		r = staged_new(ov, &staged, err);
	if (r == 0)
		r = build(creation, &staged, err);
	if (r == 0 && ov->durability == DURABLE_ALL) {
		made_fd = fcntl(staged.fd, F_DUPFD_CLOEXEC, 0);
		if (made_fd < 0)
			r = error_errno(err, errno, "build it in staging");
	}
	if (r == 0 && !*creation->labels)
		creation->made = record_of_new(&staged.st, staged.fd,
					       creation->id, creation->kind,
					       creation->key, creation->parent);
	if (r == 0)
		r = publish(creation, &staged, trash, err);
	trash_empty(ov, trash);
	is_there = r == 0;
	if (r == 0 && ov->durability == DURABLE_ALL &&
	    fsync(ov->room_fd[ROOM_ACTIVE]) < 0) {
		r = error_errno(err, errno, "sync '%s/active'", ov->root_path);
		is_there = !retract(creation, made_fd);
	}
	if (is_there)
		drop_free(&creation->upper); /* the active's now */
	return r;
}

int overlay_prepare(void *self, const char *key, const char *parent,
		    const struct shale_opts *opts, struct shale_error *err)
{
	auto_creation creation = { .ov = self,
				   .kind = SHALE_KIND_ACTIVE,
				   .key = key,
				   .parent_fd = -1 };
	int r = check_arguments(&creation, key, parent, opts, err);

	if (r == 0)
		r = create(&creation, err);
	return r < 0 ? error_context(err, r, "prepare '%s'", key ? key : "")
		     : r;
}

int overlay_view(void *self, const char *key, const char *parent,
		 const struct shale_opts *opts, struct shale_error *err)
{
	auto_creation creation = {
		.ov = self, .kind = SHALE_KIND_VIEW, .key = key, .parent_fd = -1
	};
	int r = check_arguments(&creation, key, parent, opts, err);

	if (r == 0)
		r = create(&creation, err);
	return r < 0 ? error_context(err, r, "view '%s'", key ? key : "") : r;
}
