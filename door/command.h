/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Command lines of OCI runtimes: which runtime, which verb, and the few
 * options that say where its containers and bundles are.  What is not known
 * here is passed over, since the runtime has the last word.
 */
#ifndef DOOR_COMMAND_H
#define DOOR_COMMAND_H

#include <stdbool.h>

enum runtime_kind {
	RUNTIME_NONE,
	RUNTIME_RUNC,
	RUNTIME_CRUN,
	RUNTIME_OTHER, /* by its --root and its verb */
	/* podman calls poststop itself, and its --root is another thing. */
	RUNTIME_ENGINE,
};

/* Options whose value, or whose being there, means something to us. */
enum command_slot {
	COMMAND_NOTHING,
	COMMAND_ROOT,
	COMMAND_LOG,
	COMMAND_LOG_FORMAT,
	COMMAND_BUNDLE,
	COMMAND_CONFIG,
	COMMAND_PID_FILE,
	COMMAND_DETACH,
	COMMAND_REGEX,
	/* shale-runtime's own, before the verb */
	COMMAND_SHALE_RUNTIME,
	COMMAND_SHALE_ROOT,
	COMMAND_SHALE_CONFIG,
	COMMAND_SHALE_HELP,
	COMMAND_SLOTS
};

/**
 * struct command - a command line; strings are the line's
 * @verb:    index of the verb, argc where there is none
 * @value:   by enum command_slot: NULL where the option is absent, "" for one
 *           that takes no value
 * @id:      of the container; NULL where there is not exactly one
 * @missing: an option of shale-runtime's own that has lost its value, or NULL
 */
struct command {
	enum runtime_kind kind;
	int verb;
	const char *value[COMMAND_SLOTS];
	const char *id;
	const char *missing;
};

/**
 * command_kind - the kind of a runtime by the name of its program
 *
 * runc or crun begin it, or -runc or -crun end it.
 */
enum runtime_kind command_kind(const char *program);

/**
 * command_parse - understand a command line
 * @argc, @argv: argv[0] is not looked at; shale-runtime's own options are
 *               taken out
 *
 * The verb is the first word that is no option and no option's value.  runc
 * and others: one dash or two, the value behind '=' or in the next word, in
 * any order; crun: getopt_long's rules, unique prefixes included.  A word
 * behind an unknown option is its value unless it is a verb; behind the verb
 * the last word is the container's.
 */
void command_parse(enum runtime_kind kind, int *argc, char **argv,
		   struct command *ret);

/** command_is - whether the verb of a line is @verb */
bool command_is(const struct command *command, char *const *argv,
		const char *verb);

/** command_is_verb - whether a word is a verb of runtimes */
bool command_is_verb(const char *word);

#endif
