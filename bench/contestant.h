/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A contestant of the benchmark: a program on a pipe that sets up one row,
 * does the measured thing as often as it is told, and says how long each took.
 * Started as `CONTESTANT DIR`, DIR being empty and its own:
 *
 *	setup ROW KEY=VALUE...	ok
 *	round COUNT		NS NS NS ...	or	wall NS COUNT
 *	info KEY		VALUE
 *	end
 *
 * Anything may be answered `error SENTENCE`.
 */
#ifndef BENCH_CONTESTANT_H
#define BENCH_CONTESTANT_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct contest - what a row is told
 * @dir:  empty, on the measured file system; absolute
 * @args: KEY=VALUE, ..., NULL
 */
struct contest {
	const char *dir;
	char **args;
};

/**
 * struct contest_row - one row that a contestant takes part in
 * @setup:    makes what @once needs; not measured
 * @once:     does it once; what it takes is stored in @ret_ns
 * @teardown: undoes @setup, also a half of it
 * @together: instead of @once: does it @count times, several at once, and
 *            stores what all of it took
 */
struct contest_row {
	const char *name;
	int (*setup)(const struct contest *contest);
	int (*once)(uint64_t *ret_ns);
	void (*teardown)(void);
	int (*together)(long count, uint64_t *ret_ns);
};

/** contest_main - serve standard input; returns the exit status */
int contest_main(int argc, char **argv, const struct contest_row *rows,
		 size_t count);

/** contest_fail - fill the sentence of the next `error`; returns -1 */
int contest_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** contest_fail_errno - the same with errno's words behind it */
int contest_fail_errno(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

/** contest_arg - value of KEY=VALUE; @fallback where it is not given */
const char *contest_arg(const struct contest *contest, const char *key,
			const char *fallback);

/** contest_number - the same of a number */
long contest_number(const struct contest *contest, const char *key,
		    long fallback);

/** contest_now - nanoseconds of a clock that nobody sets */
uint64_t contest_now(void);

/** contest_alone - a mount namespace of our own, all private */
int contest_alone(void);

#endif
