/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The row `cycle`: prepare, mounts and remove by several at once, threads of
 * one handle or processes with a handle each.
 */
#ifndef BENCH_CYCLE_H
#define BENCH_CYCLE_H

#include "contestant.h"

int cycle_set_up(const struct contest *contest);
int cycle(long count, uint64_t *ret_ns);
void cycle_tear_down(void);

#endif
