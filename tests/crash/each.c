/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One test for each operation: see each.h.
 */
#include "each.h"

#include <stdio.h>
#include <string.h>

#include "invariants.h"
#include "picture.h"
#include "tracer.h"

static const struct trial *the_trial;
static unsigned long points;

void each_point(void)
{
	points++;
}

void each_check_world(const char *after, const char *where, const char *said)
{
	char *now;

	world_clean();
	now = picture_take(true);
	if (strcmp(now, after) != 0)
		fail_msg("%s: %s: it is %s", where, said,
			 picture_difference(now, after));
	if (invariants_check(false))
		fail_msg("%s: the rules above are broken", where);
	free(now);
}

static void run_operation(void **state)
{
	const struct operation *operation = *state;

	if (the_trial->is_traced && !tracer_is_here())
		skip_because("the registers of this machine are not known");
	if (operation->mounts)
		needs_mounts();
	the_trial->run(operation);
}

static int run_all(const char *filter)
{
	struct CMUnitTest tests[64];
	char names[64][128];
	int failed;

	for (size_t i = 0; i < operation_count; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%s: %s",
			       the_trial->sentence, operations[i].name);
		tests[i] = (struct CMUnitTest){ names[i], run_operation,
						setup_dir, teardown,
						(void *)&operations[i] };
	}
	if (filter)
		cmocka_set_test_filter(filter);
	failed =
		run_group(the_trial->group, tests, operation_count, NULL, NULL);
	(void)printf("# %lu points\n", points);
	return failed;
}

int each_main(const struct trial *trial, int argc, char **argv)
{
	the_trial = trial;
	return world_run(run_all, argc > 1 ? argv[1] : NULL);
}
