/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a case works with: a store, the snapshotter's own table, and checks.
 * The table is called as it is, since the host would hide what a plugin does
 * wrong.  A case returns at its first failure; it owns its process, so it
 * frees nothing.
 */
#ifndef CONFORM_TRIAL_H
#define CONFORM_TRIAL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "conform.h"
#include "error.h"
#include "shale.h"

/* struct conform_case, flags */
#define NEEDS_ROOT 1u	/* mounts */
#define MUST_OFFER 2u	/* -EOPNOTSUPP is a failure, and else skips the case */
#define OPENS_ITSELF 4u /* begins without a loaded plugin */

struct trial;

struct conform_case {
	const char *name;
	void (*run)(struct trial *t);
	unsigned int flags;
};

#define CASE(function, flags_)                                          \
	{                                                               \
		.name = #function, .run = (function), .flags = (flags_) \
	}
#define CASES_END            \
	{                    \
		.name = NULL \
	}

/* One table a file. */
extern const struct conform_case abi_cases[], commit_cases[], content_cases[],
	handle_cases[], kind_cases[], label_cases[], look_cases[],
	manner_cases[], mounts_cases[], name_cases[], removal_cases[],
	survival_cases[], usage_cases[];

/**
 * struct trial - one run of a case
 * @dir:     the case's own directory
 * @root:    of its store
 * @ops, @self: the table and an open handle
 * @stop:    what the host's `cancelled` says
 * @outcome: the first failure or skip; passed while there is none
 */
struct trial {
	const struct conform_case *c;
	const char *snapshotter, *dir;
	char *root;
	struct shale_plugin *plugin;
	const struct shale_snapshotter *ops;
	void *self;
	struct shale_host host;
	int stop;
	struct shale_error err;
	struct conform_outcome *outcome;
};

/* ---- checks ---- */

/** trial_fail - the case failed, for this reason; false */
bool trial_fail(struct trial *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** trial_skip - the case can't be run, for this reason; false */
bool trial_skip(struct trial *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** trial_is_over - whether one of both was called */
bool trial_is_over(const struct trial *t);

/** trial_ok - whether a call returned 0; else the case is over */
bool trial_ok(struct trial *t, int r, const char *call);

/** trial_refused - whether a call failed with that errno */
bool trial_refused(struct trial *t, int code, int r, const char *call);

/** trial_errno - a system call of the case itself failed; false */
bool trial_errno(struct trial *t, const char *what);

#define CHECK(t, condition, ...)                    \
	do {                                        \
		if (!(condition)) {                 \
			trial_fail(t, __VA_ARGS__); \
			return;                     \
		}                                   \
	} while (0)

/* What says itself why it failed. */
#define TRY(call)               \
	do {                    \
		if (!(call))    \
			return; \
	} while (0)

#define OK(t, call) TRY(trial_ok(t, call, #call))
#define REFUSED(t, code, call) TRY(trial_refused(t, code, call, #call))

/* ---- the store ---- */

/** trial_load - load the snapshotter */
bool trial_load(struct trial *t);

/** trial_open - another handle of the store, made where it is not there */
bool trial_open(struct trial *t, void **ret_self);

/** trial_reopen - close the handle and open another one */
bool trial_reopen(struct trial *t);

/** trial_store - the store as a host opens it; NULL: the case is over */
struct shale_store *trial_store(struct trial *t);

/** fresh - t->err, empty */
struct shale_error *fresh(struct trial *t);

/** text_new - printf into memory that nobody frees */
char *text_new(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* ---- the operations, on t->self ---- */

int prepare(struct trial *t, const char *key, const char *parent);
int view(struct trial *t, const char *key, const char *parent);
int commit(struct trial *t, const char *name, const char *key);
int commit_onto(struct trial *t, const char *name, const char *key,
		const char *parent);
int remove_key(struct trial *t, const char *key);
int delete_name(struct trial *t, const char *name);
int exists(struct trial *t, const char *name);
int usage(struct trial *t, const char *name, struct shale_usage *ret);

/** keep - commit a copy; where the flag is refused, the case is skipped */
bool keep(struct trial *t, const char *name, const char *key,
	  const char *parent);

/** layer - prepare and commit an empty committed snapshot */
int layer(struct trial *t, const char *name, const char *parent);

/* What a callback was told, copied; "" or 0 before it is called. */
struct told {
	unsigned int calls;
	uint32_t kind;
	int64_t created_ns, updated_ns;
	const char *name, *parent;
	const char *labels; /* "k=v;k=v;" in the order told */
};

/** stat_of - the operation stat */
int stat_of(struct trial *t, const char *name, struct told *ret);

/** is_told - whether stat tells that kind and parent */
bool is_told(struct trial *t, const char *name, uint32_t kind,
	     const char *parent);

struct list {
	size_t count, room;
	struct told *items;
};

/** list_add - a shale_walk_fn that copies into a struct list */
int list_add(void *ctx, const struct shale_info *info);

int walk(struct trial *t, struct list *ret);
int active(struct trial *t, struct list *ret);

/** list_count - how often a name is in it */
size_t list_count(const struct list *list, const char *name);

/** picture - all that walk and active tell, in one text; NULL: it is over */
char *picture(struct trial *t);

/* ---- mounts ---- */

struct mount_told {
	unsigned int calls;
	char *type, *source, **options;
	uint32_t size, flags;
};

/** mounts - the operation, with what it gave copied */
int mounts(struct trial *t, const char *key, struct mount_told *ret);

/** has_option - one that is @key, or begins with @key and ends in '=' */
bool has_option(const struct mount_told *mount, const char *key);

/** value_of - what follows @key, which ends in '='; NULL where it is not */
const char *value_of(const struct mount_told *mount, const char *key);

/**
 * mount_key - mount a key on a new directory
 *
 * Return: a descriptor of its root; -1: the case is over.
 */
int mount_key(struct trial *t, const char *key);

/** unmount_key - undo that; closes @fd */
bool unmount_key(struct trial *t, const char *key, int fd);

/** layer_with - a layer with what @fill makes, from a real mount */
bool layer_with(struct trial *t, const char *name, const char *parent,
		bool (*fill)(struct trial *t, int fd));

/** look_into - mount a view of @name, call @look, and remove it again */
bool look_into(struct trial *t, const char *name,
	       bool (*look)(struct trial *t, int fd));

/* ---- files below a descriptor ---- */

bool put(struct trial *t, int fd, const char *path, const char *text);
bool put_bytes(struct trial *t, int fd, const char *path, size_t size);
bool put_dir(struct trial *t, int fd, const char *path);
bool has_text(struct trial *t, int fd, const char *path, const char *text);
bool has_not(struct trial *t, int fd, const char *path);

#endif
