/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a contestant measures where a row is a whole process: from before it
 * is started until it has been waited for.
 */
#ifndef BENCH_SPAWNED_H
#define BENCH_SPAWNED_H

#include <stdint.h>
#include <sys/types.h>

/**
 * spawned_run - run a program and wait for it
 * @argv:    its words; argv[0] is looked up in PATH
 * @input:   its standard input; NULL for none
 * @ret_ns:  what it took
 * @ret_kib: the most memory it had resident; may be NULL
 *
 * Its standard output is thrown away, its errors are ours.
 *
 * Return: 0, or -1 with a sentence, also where its exit status is not 0.
 */
int spawned_run(char *const argv[], const char *input, uint64_t *ret_ns,
		long *ret_kib);

#endif
