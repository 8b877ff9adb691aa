/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One run of shale(1): what the command line said, and the store it is about.
 * A verb is a file with one `struct verb` in it and a line in main.c's table.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "shale.h"

/* Exit statuses. */
#define CLI_OK 0
#define CLI_FAILED 1
#define CLI_USAGE 2

/* Options of a verb, besides those that all have. */
#define TAKES_LABELS 1u
#define TAKES_PARENT 2u
#define TAKES_KINDS 4u
#define TAKES_KEEP 8u
#define TAKES_DIR 16u /* and --timeout */
#define TAKES_MANIFEST 32u
#define TAKES_REPAIR 64u
#define TAKES_COMMAND 128u /* all from the first operand on is that */

/* What a verb wants of the store. */
enum needs {
	NEEDS_NOTHING,
	NEEDS_STORE,
	MAKES_STORE, /* where there is none yet */
};

struct cli;
struct config;

/**
 * struct verb - what comes after `shale`
 * @name:    the word
 * @usage:   the line that shows its arguments, from the word on
 * @summary: what it does, in a line without full stop
 * @details: more lines for `shale help VERB`; may be NULL
 * @least:   operands it needs
 * @most:    operands it takes; -1 for any number
 * @options: TAKES_*
 * @check:   looks at the operands before the store is opened; may be NULL;
 *           returns as @run
 * @run:     0; a negative errno with cli->err filled; or an exit status
 */
struct verb {
	const char *name, *usage, *summary, *details;
	int least, most;
	unsigned int options;
	enum needs needs;
	int (*check)(struct cli *cli);
	int (*run)(struct cli *cli);
};

/* The table, with NULL at its end. */
extern const struct verb *const verbs[];

/**
 * struct cli - one run
 * @root, @snapshotter, @config_file: NULL where not said
 * @parent: of --parent; NULL where not said
 * @dir:    of --dir; NULL where not said
 * @timeout_s: of --timeout; 0 where not said
 * @flags:  of --keep, --freeze and --manifest, SHALE_COMMIT_*
 * @repair: of --repair
 * @kinds:  of --kind, a bit 1 << SHALE_KIND_*; 0 where not said
 * @labels: of options_label: key, value, ..., NULL; a value is NULL where there was
 *          no '='
 * @label_count: number of pairs
 * @operands: what is no option
 * @snapshotter_path: of options_snapshotter
 */
struct cli {
	const struct verb *verb; /* NULL before it is known */
	const char *root, *snapshotter, *config_file;
	bool json, wants_help, wants_version, repair;
	const char *parent;
	const char *dir;
	uint64_t timeout_s;
	unsigned int kinds, flags;
	const char **labels;
	size_t label_count;
	char **operands;
	int operand_count;
	char *snapshotter_path;
	struct config *config;
	struct shale_plugin *plugin;
	struct shale_store *store;
	struct shale_error err;
};

/* A verb's `return usage_error(cli, "what is wrong with the arguments");` */
#define usage_error(cli, ...) \
	((void)error_fail(&(cli)->err, EINVAL, __VA_ARGS__), CLI_USAGE)

/* ---- help.c ---- */

/**
 * verb_find - the verb of that name, or NULL
 */
const struct verb *verb_find(const char *name);

/**
 * help_print - the help of one verb, or, where @verb is NULL, of all
 */
void help_print(const struct verb *verb);

/**
 * help_unknown - refuse a verb that is none, naming the nearest that is one
 */
int help_unknown(struct cli *cli, const char *word);

/* ---- options.c ---- */

/**
 * options_global - read the options before the verb
 * @ret_verb: index of the verb in @argv, or @argc
 *
 * Return: 0, -ENOMEM or CLI_USAGE.
 */
int options_global(struct cli *cli, int argc, char **argv, int *ret_verb);

/**
 * options_verb - read a verb's options and operands
 * @argv: from the verb on
 *
 * Return: 0, -ENOMEM or CLI_USAGE.
 */
int options_verb(struct cli *cli, int argc, char **argv);

/**
 * options_label - add "K=V" to cli->labels
 * @word: cut in two, in place
 *
 * Return: 0 or CLI_USAGE.
 */
int options_label(struct cli *cli, char *word);

/**
 * options_labels - the labels to create a snapshot with
 *
 * Return: cli->labels, or NULL without any.
 */
const char *const *options_labels(const struct cli *cli);

/**
 * options_snapshotter - a snapshotter as the library wants it
 *
 * A relative path, one with a '/' in it, is made absolute.
 *
 * Return: lent until the run ends; NULL with cli->err filled.
 */
const char *options_snapshotter(struct cli *cli, const char *name_or_path);

#endif
