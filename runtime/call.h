/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call of shale-runtime: the real runtime, the words that it is to get,
 * and what they mean.
 */
#ifndef RUNTIME_CALL_H
#define RUNTIME_CALL_H

#include <limits.h>
#include <stdbool.h>

#include "command.h"
#include "snapshotter.h"

/**
 * struct call - strings are the command line's
 * @path: of the real runtime
 * @argv: of the real runtime, NULL-terminated: argv[0] is its name as the
 *        configuration has it, our own options are taken out
 * @root: where it keeps its containers, without links as far as it exists;
 *        "" where that is not known
 */
struct call {
	const char *path;
	int argc;
	char **argv;
	struct command command;
	char root[PATH_MAX];
};

/**
 * call_init - understand the words of a call
 * @path: of the real runtime; lent
 * @argv: lent; changed
 */
void call_init(struct call *call, const char *path, int argc, char **argv);

/** call_is_creating - create, run and restore */
bool call_is_creating(const struct call *call);

/**
 * call_config - path of the container's configuration, from the working
 * directory: the bundle's config.json, or what crun's --config names
 *
 * Return: 0 or -ENAMETOOLONG.
 */
int call_config(const struct call *call, char ret[PATH_MAX]);

/**
 * call_exec - become the real runtime
 *
 * Return: never, but with a negative errno where that can't be.
 */
int call_exec(const struct call *call, struct shale_error *err);

/**
 * call_tell - say why a call failed
 *
 * On standard error, and in the file of --log, where engines look.
 */
void call_tell(const struct call *call, const char *sentence);

#endif
