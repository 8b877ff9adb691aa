/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One test for each operation, all of them by the same trial.
 */
#ifndef CRASH_EACH_H
#define CRASH_EACH_H

#include <stdbool.h>

#include "operations.h"

/**
 * struct trial - what every operation is put to
 * @group:    of the tests
 * @sentence: begins their names, which the operation's ends
 * @run:      one operation, in a fresh directory; fails by cmocka
 * @is_traced: whether it needs tracer.h
 */
struct trial {
	const char *group, *sentence;
	void (*run)(const struct operation *operation);
	bool is_traced;
};

/** each_point - one more point was tried: their number is printed at the end */
void each_point(void);

/**
 * each_check_world - that a call has happened whole, once it is cleaned up
 * @after: the picture that it is to be
 * @where: the point, and @said what the call did there; for messages
 */
void each_check_world(const char *after, const char *where, const char *said);

/**
 * each_main - the whole of a program: each operation, in a world_run
 *
 * An argument picks tests by a pattern: '*commit*'.
 *
 * Return: main's.
 */
int each_main(const struct trial *trial, int argc, char **argv);

#endif
