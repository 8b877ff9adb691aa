/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every operation, killed at every system call that it makes: the next process
 * finds the store as it was before or as it is after, cleanup leaves nothing,
 * and every rule of the format holds.
 *
 * The short form kills after every third call.  SHALE_LONG=1 kills after and
 * before each, which differs where threads are at work.
 */
#include <stdio.h>
#include <string.h>

#include "each.h"
#include "invariants.h"
#include "picture.h"
#include "tracer.h"

struct child {
	const struct operation *operation;
	struct shale_store *handle;
};

static void begin(void *ctx)
{
	struct child *child = ctx;

	if (!child->operation->opens)
		child->handle = world_handle();
}

static int act(void *ctx)
{
	const struct child *child = ctx;
	struct shale_error error = SHALE_ERROR_INIT;

	return child->operation->act(child->handle, &error) == 0 ? 0 : 1;
}

static void run_once(const struct operation *operation, enum tracer_deed deed,
		     unsigned long at_call, struct tracer_result *ret)
{
	const struct tracer_plan plan = { .deed = deed, .at = at_call };
	struct child child = { .operation = operation };

	tracer_run(&plan, begin, act, &child, ret);
}

/* The next process's view; the store may not be there yet. */
static void check_after_death(const char *before, const char *after,
			      const char *where)
{
	char *now = picture_take(false);
	char *cleaned;

	if (strcmp(now, before) != 0 && strcmp(now, after) != 0) {
		print_error("%s: it is not as before: %s\n", where,
			    picture_difference(now, before));
		fail_msg("nor as after: %s", picture_difference(now, after));
	}
	if (!strcmp(now, "no store")) {
		/* Made anew by whoever comes next. */
		store = open_more(NULL, NULL);
		free(now);
		now = strdup(after);
	}
	world_clean();
	cleaned = picture_take(true);
	if (strcmp(now, cleaned) != 0)
		fail_msg("%s: cleanup changed it: %s", where,
			 picture_difference(cleaned, now));
	if (invariants_check(false))
		fail_msg("%s: the rules above are broken", where);
	free(now);
	free(cleaned);
}

static void kill_everywhere(const struct operation *operation,
			    enum tracer_deed deed)
{
	struct tracer_result result;
	char *before, *after, where[256];

	world_make(operation);
	before = picture_take(true);
	run_once(operation, TRACER_COUNT, 0, &result);
	if (result.exited != 0)
		fail_msg("%s does not succeed", operation->name);
	after = picture_take(true);
	for (unsigned long n = 1;; n += world_stride()) {
		world_make(operation);
		run_once(operation, deed, n, &result);
		if (!result.killed)
			break;
		each_point();
		(void)snprintf(where, sizeof(where),
			       "%s, killed %s call %lu (number %ld)",
			       operation->name,
			       deed == TRACER_KILL_AFTER ? "after" : "before",
			       n, result.call);
		world_unmount();
		check_after_death(before, after, where);
	}
	/* It got past its last call: it has happened. */
	check_after_death(after, after, operation->name);
	free(before);
	free(after);
}

static void run_operation(const struct operation *operation)
{
	kill_everywhere(operation, TRACER_KILL_AFTER);
	if (getenv("SHALE_LONG"))
		kill_everywhere(operation, TRACER_KILL_BEFORE);
}

int main(int argc, char **argv)
{
	static const struct trial trial = { "kill", "killed at every call",
					    run_operation, true };

	return each_main(&trial, argc, argv);
}
