/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the unit tests share: a fresh directory and a store in it for each
 * test, both gone afterwards, and the words in which a test speaks of them.
 * Paths of the store's files are built here, from the manual and not from the
 * library.
 */
#ifndef UNIT_FIXTURE_H
#define UNIT_FIXTURE_H

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#include <cmocka.h>

#include "shale.h"

/* The test's directory, absolute, and the store that setup_store made. */
extern char here[PATH_MAX];
extern struct shale_store *store;
/* Why the last call of this thread was refused. */
extern _Thread_local struct shale_error why;

int setup_dir(void **state);
int setup_store(void **state);
int teardown(void **state);

#define TEST_IN_DIR(f) cmocka_unit_test_setup_teardown(f, setup_dir, teardown)
#define TEST_IN_STORE(f) \
	cmocka_unit_test_setup_teardown(f, setup_store, teardown)

/*
 * Ends the test without a verdict.  cmocka's own skip() writes "not ok", which
 * is a failure to whoever reads TAP.
 */
void skip_because(const char *reason) __attribute__((noreturn));
/* Whether `make check-denied` has taken this system call away. */
bool is_denied(const char *call);
void needs_root(void);
void needs_mounts(void);
#undef skip
#define skip() skip_because("not here")

int run_group(const char *group, const struct CMUnitTest *tests, size_t count,
	      CMFixtureFunction setup, CMFixtureFunction teardown);
#undef cmocka_run_group_tests_name
#define cmocka_run_group_tests_name(group, tests, setup, teardown)       \
	run_group(group, tests, sizeof(tests) / sizeof(*(tests)), setup, \
		  teardown)

/* ---- calls and what becomes of them ---- */

/* Checks that @call succeeds. */
#define MUST(call)                                                       \
	do {                                                             \
		int must_r_;                                             \
		why = (struct shale_error)SHALE_ERROR_INIT;              \
		must_r_ = (call);                                        \
		if (must_r_ != 0)                                        \
			fail_msg("%s: %d: %s", #call, must_r_, why.msg); \
	} while (0)

/*
 * Checks that @call is refused with -@number, by a sentence that holds @part,
 * and leaves everything below the test's directory as it was.
 */
#define REFUSED(number, part, call)                                      \
	do {                                                             \
		char *refused_before_ = dump();                          \
		int refused_r_;                                          \
		why = (struct shale_error)SHALE_ERROR_INIT;              \
		refused_r_ = (call);                                     \
		check_refusal(refused_r_, number, part, refused_before_, \
			      #call, __FILE__, __LINE__);                \
	} while (0)

void check_refusal(int r, int number, const char *part, char *before,
		   const char *call, const char *file, int line);

/* All below the test's directory, one line an entry; to be freed. */
char *dump(void);

/* Opens here/store with a configuration besides create and any_filesystem. */
struct shale_store *open_more(const struct shale_host *host, ...);
/* Closes what open_more has opened. */
void close_handle(struct shale_store *handle);
/* A handle of @store that has read nothing yet. */
void reopen(void);

/* ---- paths, in a few buffers that are used in turn ---- */

/* Below the test's directory. */
const char *at(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The first 128 bits of SHA-256, in hex. */
const char *id(const char *name);
/* A file of an active or view, of a committed snapshot; "" for itself. */
const char *of_key(const char *key, const char *file);
const char *of_name(const char *name, const char *file);
/* The parent fact's text for @name. */
const char *parent_fact(const char *name);

/* ---- files; each fails the test where it can't ---- */

void make_dir(const char *path);
void make_file(const char *path, const char *text);
void make_link(const char *path, const char *target);
void delete_path(const char *path);
void delete_tree(const char *path);
void check_link(const char *path, const char *target);
void check_list(const char *dir, const char *names);
bool is_there(const char *path);
int64_t mtime_ns(const char *path);
uint64_t generation(void);
/* What a writer does besides its change, where a test plays one. */
void set_generation(uint64_t value);

/* ---- snapshots ---- */

/* A committed layer with one file, whose text is the layer's name. */
void make_layer(const char *name, const char *parent);
uint32_t kind_of(const char *name);

/*
 * Findings of check and verify as lines: "kind path", with a '!' before one
 * that was repaired.
 */
struct found {
	char text[16384];
	int count, repaired;
};
int see_finding(void *found, const struct shale_finding *finding); /* or NULL */
/* Checks, or repairs, the store; all lines must be these, in any order. */
void check_finds(uint32_t flags, const char *lines);

/* What a callback saw, kept beyond it. */
struct seen {
	uint32_t size, kind;
	int64_t created_ns, updated_ns;
	char name[SHALE_NAME_SIZE], parent[SHALE_NAME_SIZE];
	char *labels; /* k=v, joined by ',' */
	int calls;
};
int see(void *ctx, const struct shale_info *info);
void look(const char *name, struct seen *ret);
void check_labels(struct shale_store *of, const char *name, const char *labels);
/* Names that walk or active visit, sorted and joined by ' '. */
void check_visits(int (*op)(struct shale_store *, shale_walk_fn *, void *,
			    struct shale_error *),
		  const char *names);
/* What every overlay gets where nothing else is configured. */
#define DEFAULTS "index=off redirect_dir=nofollow metacopy=off"
/* Type, source and options of a mount, joined by ' '. */
void check_mount(struct shale_store *of, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The text of SHALE_LABEL_USER for a process. */
const char *user_text(pid_t pid, const char *container);

/* ---- another process ---- */

struct helper {
	pid_t pid;
	int to_fd, from_fd;
};

/*
 * Runs @act in a child, and returns when it has returned 0; the child then
 * stays until helper_stop.  The child dies with the test.
 */
void helper_start(struct helper *ret, int (*act)(void *ctx), void *ctx);
/* The same in two steps: start it; wait until it has returned 0. */
void helper_begin(struct helper *ret, int (*act)(void *ctx), void *ctx);
void helper_wait(struct helper *helper);
void helper_stop(struct helper *helper);
void helper_kill(struct helper *helper);
/* Runs @act in a child to its end and returns its exit status. */
int in_child(int (*act)(void *ctx), void *ctx);
/* For helper_start: flock the path in @ctx, for ever. */
int flock_path(void *ctx);

#endif
