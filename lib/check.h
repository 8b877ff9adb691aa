/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a whole store for what contradicts itself.  Others work meanwhile:
 * what they build or take away looks like damage for a moment.  So all is
 * looked at twice, and only what a second look still finds is told.
 */
#ifndef LIB_CHECK_H
#define LIB_CHECK_H

#include <stdbool.h>

#include "record.h"

struct lineage;

struct check {
	struct overlay *ov;
	bool repairing;
	bool telling;	/* the second look */
	void *suspects; /* what the first look found: a tree of strings */
	struct lineage *lineage;
	shale_finding_fn *emit;
	void *ctx;
	struct shale_error *err;
};

/**
 * struct trouble - what is wrong, where
 * @kind, @name, @path, @what, @remedy: as of struct shale_finding
 * @repair: 0 and what it did in @ret_done, or a negative errno with what
 *          hindered it in @err; NULL where nothing can be done
 * @ctx:    for @repair
 */
struct trouble {
	const char *kind, *name, *path, *what, *remedy;
	int (*repair)(struct check *c, void *ctx, char *ret_done,
		      struct shale_error *err);
	void *ctx;
};

#define CHECK_DONE_SIZE 512

/**
 * check_suspect - what the first look would have found
 *
 * Return: 0 or -ENOMEM with a sentence.
 */
int check_suspect(struct check *c, const char *kind, const char *path);

/**
 * check_found - count it, or mend and tell it
 *
 * Return: 0, what the host's callback returned, or a negative errno.
 */
int check_found(struct check *c, const struct trouble *trouble);

/* A file whose owner or mode is to be this process's and @mode. */
struct access {
	int dir_fd;
	const char *name; /* "" for @dir_fd itself */
	mode_t mode;
};

/**
 * check_access - tell of a wrong owner or mode
 * @name, @path: of the findings
 *
 * Return: as check_found.
 */
int check_access(struct check *c, struct access *access, const char *name,
		 const char *path);

/**
 * check_each_name - visit the names in a directory, sorted
 * @what: its path below the root, for messages
 * @fn:   nonzero stops
 */
int check_each_name(struct check *c, int dir_fd, const char *what,
		    int (*fn)(struct check *c, void *ctx, int dir_fd,
			      const char *name),
		    void *ctx);

/**
 * check_is_left - whether a directory is old enough, and held by nobody, so
 * that no live process is at work in it; and still there
 */
bool check_is_left(int dir_fd, const char *name);

/* ---- one snapshot: check_snapshot.c ---- */

/**
 * check_snapshot - look at one directory of a room
 *
 * Return: as check_found.
 */
int check_snapshot(struct check *c, enum room room, const char *id);

/* ---- who descends from whom: check_lineage.c ---- */

struct lineage *lineage_new(void);
void lineage_free(struct lineage *lineage); /* accepts NULL */

/** lineage_add - note the parent of a committed snapshot; 0 or -ENOMEM */
int lineage_add(struct lineage *lineage, const char *id, const char *parent_id);

/** lineage_find_circles - after all were added */
void lineage_find_circles(struct lineage *lineage);

/** lineage_has_circle - whether there is one */
bool lineage_has_circle(const struct lineage *lineage);

/** lineage_is_circle - whether an ID is one of a circle */
bool lineage_is_circle(const struct lineage *lineage, const char *id);

/* ---- mounts: check_mounts.c ---- */

/** check_mounts - overlays whose upper is no active of the store any more */
int check_mounts(struct check *c);

/* ---- copies for mappings: check_mapped.c ---- */

/** check_mapped - what is no copy of a layer in mapped/ */
int check_mapped(struct check *c);

/* ---- files of actives that are elsewhere: check_uppers.c ---- */

/** check_uppers - whose they are, and that they are one's alone */
int check_uppers(struct check *c);

/* ---- mending: check_repair.c ---- */

/* What most repairs are about: one directory, and an entry of it. */
struct site {
	enum room room;
	const char *id, *entry;
	int fd;	       /* of the directory */
	ino_t ino;     /* of it */
	uint32_t kind; /* SHALE_KIND_*, 0 without a kind fact */
	const char *parent_id;
	const char *right_id; /* by the name that it has */
	const char *where;    /* before its name in lost+found/; else NULL */
};

/* As struct trouble, repair. */
typedef int repair_fn(struct check *c, void *ctx, char *ret_done,
		      struct shale_error *err);

repair_fn repair_entry;	 /* struct site: to lost+found/ */
repair_fn repair_labels; /* struct site: likewise, if nobody uses it */
repair_fn repair_uncertified, repair_leftovers, repair_usage, repair_work,
	repair_place, repair_lock; /* struct site */
repair_fn repair_access;	   /* struct access */

#endif
