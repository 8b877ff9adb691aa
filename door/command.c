/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Command lines of runtimes: see command.h.
 */
#include "command.h"

#include <stddef.h>
#include <string.h>

static const char *const verbs[] = {
	"create", "run",  "start", "delete", "restore",
	"init",	  "kill", "exec",  "state",  "checkpoint",
};

/* An option; @letter 0 for none. */
struct option_word {
	const char *name;
	char letter;
	bool has_value;
	bool is_exact; /* not by a prefix of its name: it is ours */
	enum command_slot slot;
};

/* Of getopt's candidates for a prefix the first one counts, as in crun. */
static const struct option_word globals[] = {
	{ "root", 0, true, false, COMMAND_ROOT },
	{ "log", 0, true, false, COMMAND_LOG },
	{ "log-format", 0, true, false, COMMAND_LOG_FORMAT },
	{ "criu", 0, true, false, COMMAND_NOTHING },
	{ "rootless", 0, true, false, COMMAND_NOTHING },
	{ "cgroup-manager", 0, true, false, COMMAND_NOTHING },
	{ "debug", 0, false, false, COMMAND_NOTHING },
	{ "systemd-cgroup", 0, false, false, COMMAND_NOTHING },
	{ "help", 'h', false, false, COMMAND_NOTHING },
	{ "usage", '?', false, false, COMMAND_NOTHING },
	{ "version", 'v', false, false, COMMAND_NOTHING },
	{ "Version", 'V', false, true, COMMAND_NOTHING },
	{ "shale-runtime-path", 0, true, true, COMMAND_SHALE_RUNTIME },
	{ "shale-root", 0, true, true, COMMAND_SHALE_ROOT },
	{ "shale-config", 0, true, true, COMMAND_SHALE_CONFIG },
	{ "shale-help", 0, false, true, COMMAND_SHALE_HELP },
	{ NULL, 0, false, false, COMMAND_NOTHING },
};

/* Of create, run and restore, of all runtimes. */
static const struct option_word creating[] = {
	{ "bundle", 'b', true, false, COMMAND_BUNDLE },
	{ "config", 'f', true, false, COMMAND_CONFIG },
	{ "pid-file", 0, true, false, COMMAND_PID_FILE },
	{ "detach", 'd', false, false, COMMAND_DETACH },
	{ "console-socket", 0, true, false, COMMAND_NOTHING },
	{ "preserve-fds", 0, true, false, COMMAND_NOTHING },
	{ "pidfd-socket", 0, true, false, COMMAND_NOTHING },
	{ "image-path", 0, true, false, COMMAND_NOTHING },
	{ "work-path", 0, true, false, COMMAND_NOTHING },
	{ "manage-cgroups-mode", 0, true, false, COMMAND_NOTHING },
	{ "empty-ns", 0, true, false, COMMAND_NOTHING },
	{ "status-fd", 0, true, false, COMMAND_NOTHING },
	{ "lsm-profile", 0, true, false, COMMAND_NOTHING },
	{ "lsm-mount-context", 0, true, false, COMMAND_NOTHING },
	{ "keep", 0, false, false, COMMAND_NOTHING },
	{ "no-pivot", 0, false, false, COMMAND_NOTHING },
	{ "no-new-keyring", 0, false, false, COMMAND_NOTHING },
	{ "no-subreaper", 0, false, false, COMMAND_NOTHING },
	{ "tcp-established", 0, false, false, COMMAND_NOTHING },
	{ "ext-unix-sk", 0, false, false, COMMAND_NOTHING },
	{ "shell-job", 0, false, false, COMMAND_NOTHING },
	{ "file-locks", 0, false, false, COMMAND_NOTHING },
	{ "auto-dedup", 0, false, false, COMMAND_NOTHING },
	{ "lazy-pages", 0, false, false, COMMAND_NOTHING },
	{ "help", 'h', false, false, COMMAND_NOTHING },
	{ NULL, 0, false, false, COMMAND_NOTHING },
};

static const struct option_word deleting[] = {
	{ "force", 'f', false, false, COMMAND_NOTHING },
	{ "regex", 'r', false, false, COMMAND_REGEX },
	{ "help", 'h', false, false, COMMAND_NOTHING },
	{ NULL, 0, false, false, COMMAND_NOTHING },
};

bool command_is_verb(const char *word)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(word, verbs[i]))
			return true;
	return false;
}

bool command_is(const struct command *command, char *const *argv,
		const char *verb)
{
	const char *word = argv[command->verb];

	return word && !strcmp(word, verb);
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && !strcmp(text + len - end_len, end);
}

enum runtime_kind command_kind(const char *program)
{
	const char *name = strrchr(program, '/');

	name = name ? name + 1 : program;
	if (!strcmp(name, "podman"))
		return RUNTIME_ENGINE;
	if (!strncmp(name, "runc", 4) || ends_with(name, "-runc"))
		return RUNTIME_RUNC;
	if (!strncmp(name, "crun", 4) || ends_with(name, "-crun"))
		return RUNTIME_CRUN;
	return RUNTIME_NONE;
}

/* ---- one word ---- */

/* A word that starts with a dash, as the runtime reads it. */
struct reading {
	const struct option_word *option; /* NULL: not known */
	const char *value;		  /* in the same word; NULL: none */
};

static const struct option_word *by_letter(const struct option_word *table,
					   char letter)
{
	for (; table->name; table++)
		if (table->letter && table->letter == letter)
			return table;
	return NULL;
}

static const struct option_word *by_name(const struct option_word *table,
					 const char *name, size_t len,
					 bool takes_prefix)
{
	const struct option_word *found = NULL;

	for (; table->name; table++) {
		if (strncmp(table->name, name, len) != 0)
			continue;
		if (!table->name[len])
			return table;
		if (takes_prefix && !table->is_exact && !found)
			found = table;
	}
	return found;
}

/* Letters after one dash; those before the last one take no value. */
static struct reading read_cluster(const struct option_word *table,
				   const char *letters, struct command *command)
{
	struct reading reading = { NULL, NULL };

	for (; *letters; letters++) {
		reading.option = by_letter(table, *letters);
		if (!reading.option)
			break;
		if (reading.option->has_value) {
			reading.value = letters[1] ? letters + 1 : NULL;
			break;
		}
		command->value[reading.option->slot] = "";
	}
	return reading;
}

static struct reading read_option(const struct option_word *table,
				  const char *word, struct command *command)
{
	size_t dashes = strspn(word, "-");
	const char *name = word + dashes;
	size_t len = strcspn(name, "=");
	const bool is_crun = command->kind == RUNTIME_CRUN;
	struct reading reading = { NULL, NULL };

	if (is_crun && dashes == 1)
		return read_cluster(table, name, command);
	if (dashes > 2 || !len)
		return reading;
	reading.option = by_name(table, name, len, is_crun);
	if (!reading.option && len == 1)
		reading.option = by_letter(table, *name);
	if (name[len])
		reading.value = name + len + 1;
	return reading;
}

/* ---- a line ---- */

struct line {
	int *argc;
	char **argv;
	int at; /* the word to look at */
	struct command *command;
};

static void cut(struct line *line, int from, int count)
{
	char **words = line->argv;

	/* With the NULL at the end. */
	memmove(words + from, words + from + count,
		(size_t)(*line->argc - from - count + 1) * sizeof(*words));
	*line->argc -= count;
	line->at = from;
}

/* Go's flags may say it of a switch: --detach=false. */
static bool is_off(const char *value)
{
	static const char *const words[] = { "0",     "f",     "F",
					     "false", "False", "FALSE" };

	for (size_t i = 0; value && i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(value, words[i]))
			return true;
	return false;
}

/*
 * Passes one option and its value.  Returns whether it was unknown and may
 * have its value in the next word.
 */
static bool pass_option(struct line *line, const struct option_word *table)
{
	const int from = line->at;
	const char *word = line->argv[line->at++];
	struct reading reading = read_option(table, word, line->command);
	const struct option_word *option = reading.option;

	if (!option)
		return !strchr(word, '=');
	if (option->has_value && !reading.value) {
		reading.value = line->argv[line->at];
		line->at += line->at < *line->argc;
	}
	if (!option->has_value)
		reading.value = is_off(reading.value) ? NULL : "";
	if (!reading.value && option->has_value && option->is_exact)
		line->command->missing = option->name;
	line->command->value[option->slot] = reading.value;
	if (option->slot >= COMMAND_SHALE_RUNTIME)
		cut(line, from, line->at - from);
	return false;
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1];
}

static void find_verb(struct line *line)
{
	bool may_be_value = false;

	for (; line->at < *line->argc; line->at++) {
		const char *word = line->argv[line->at];

		if (!strcmp(word, "--")) {
			line->at++;
			break;
		}
		if (is_option(word)) {
			may_be_value = pass_option(line, globals);
			line->at--;
			continue;
		}
		if (!may_be_value || command_is_verb(word))
			break;
		may_be_value = false;
	}
	line->command->verb = line->at;
}

static const struct option_word *table_of(const char *verb)
{
	if (!strcmp(verb, "create") || !strcmp(verb, "run") ||
	    !strcmp(verb, "restore"))
		return creating;
	return !strcmp(verb, "delete") ? deleting : NULL;
}

static void find_id(struct line *line, const struct option_word *table)
{
	const char *id = NULL;
	bool is_unsure = false, all_words = false;
	int count = 0;

	while (line->at < *line->argc) {
		const char *word = line->argv[line->at];

		if (!all_words && !strcmp(word, "--")) {
			all_words = true;
			line->at++;
		} else if (!all_words && is_option(word)) {
			is_unsure |= pass_option(line, table);
		} else {
			id = word;
			count++;
			line->at++;
		}
	}
	if (count == 1 || (count > 1 && is_unsure))
		line->command->id = id;
}

void command_parse(enum runtime_kind kind, int *argc, char **argv,
		   struct command *ret)
{
	struct line line = { argc, argv, 1, ret };
	const struct option_word *table;

	*ret = (struct command){ .kind = kind };
	find_verb(&line);
	if (ret->verb >= *argc)
		return;
	table = table_of(argv[line.at++]);
	if (table)
		find_id(&line, table);
}
