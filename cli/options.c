/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line: global options before and after the verb, the verb's own
 * ones, operands anywhere, and "--" before a name that starts with '-'.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "number.h"
#include "scope.h"

/* A day, in seconds. */
#define TIMEOUT_MAX 86400

enum {
	OPTION_ROOT = 256,
	OPTION_SNAPSHOTTER,
	OPTION_CONFIG,
	OPTION_JSON,
	OPTION_VERSION,
	OPTION_LABEL,
	OPTION_PARENT,
	OPTION_KIND,
	OPTION_KEEP,
	OPTION_FREEZE,
	OPTION_DIR,
	OPTION_TIMEOUT,
	OPTION_MANIFEST,
	OPTION_REPAIR,
};

static const struct option long_options[] = {
	{ "root", required_argument, NULL, OPTION_ROOT },
	{ "snapshotter", required_argument, NULL, OPTION_SNAPSHOTTER },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "label", required_argument, NULL, OPTION_LABEL },
	{ "parent", required_argument, NULL, OPTION_PARENT },
	{ "kind", required_argument, NULL, OPTION_KIND },
	{ "keep", no_argument, NULL, OPTION_KEEP },
	{ "freeze", no_argument, NULL, OPTION_FREEZE },
	{ "dir", required_argument, NULL, OPTION_DIR },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "manifest", no_argument, NULL, OPTION_MANIFEST },
	{ "repair", no_argument, NULL, OPTION_REPAIR },
	{ NULL, 0, NULL, 0 },
};

static const struct {
	const char *name;
	unsigned int kind;
} kinds[] = {
	{ "committed", SHALE_KIND_COMMITTED },
	{ "active", SHALE_KIND_ACTIVE },
	{ "view", SHALE_KIND_VIEW },
};

const char *const *options_labels(const struct cli *cli)
{
	return cli->label_count ? cli->labels : NULL;
}

const char *options_snapshotter(struct cli *cli, const char *name_or_path)
{
	auto_free char *cwd = NULL;

	if (*name_or_path == '/' || !strchr(name_or_path, '/'))
		return name_or_path;
	cwd = getcwd(NULL, 0);
	if (!cwd) {
		(void)error_errno(&cli->err, errno, "find snapshotter '%s'",
				  name_or_path);
		return NULL;
	}
	free(cli->snapshotter_path);
	if (asprintf(&cli->snapshotter_path, "%s/%s", cwd, name_or_path) < 0) {
		cli->snapshotter_path = NULL;
		(void)error_fail(&cli->err, ENOMEM, "out of memory");
	}
	return cli->snapshotter_path;
}

/* Only a filter may do without a value, or say a key twice. */
int options_label(struct cli *cli, char *word)
{
	bool is_filter = (cli->verb->options & TAKES_KINDS) != 0;
	char *equals = strchr(word, '=');

	if (equals == word || !*word || (!equals && !is_filter))
		return usage_error(cli, "a label is K=V, not '%s'", word);
	if (equals)
		*equals = '\0';
	for (size_t i = 0; !is_filter && i < cli->label_count; i++)
		if (!strcmp(cli->labels[2 * i], word))
			return usage_error(cli, "label '%s' is given twice",
					   word);
	cli->labels[2 * cli->label_count] = word;
	cli->labels[2 * cli->label_count + 1] = equals ? equals + 1 : NULL;
	cli->label_count++;
	return 0;
}

static int read_kind(struct cli *cli, const char *word)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, word)) {
			cli->kinds |= 1u << kinds[i].kind;
			return 0;
		}
	return usage_error(cli, "a kind is committed, active or view, not '%s'",
			   word);
}

static int read_timeout(struct cli *cli, const char *word)
{
	if (number_parse(word, TIMEOUT_MAX, &cli->timeout_s) < 0 ||
	    !cli->timeout_s)
		return usage_error(cli,
				   "a timeout is 1 to %d seconds, not '%s'",
				   TIMEOUT_MAX, word);
	return 0;
}

static const char *option_name(int option)
{
	const struct option *o = long_options;

	while (o->name && o->val != option)
		o++;
	return o->name;
}

/* getopt leaves 0 for an unknown word, a character, or an option's value. */
static int refuse_option(struct cli *cli, const char *word)
{
	if (!optopt)
		return usage_error(cli, "unknown option '%s'", word);
	if (word[0] == '-' && word[1] == '-' && option_name(optopt))
		return usage_error(cli, "option '--%s' takes no argument",
				   option_name(optopt));
	return usage_error(cli, "unknown option '-%c'", optopt);
}

static bool is_taken(const struct cli *cli, int option)
{
	unsigned int options = cli->verb ? cli->verb->options : 0;

	switch (option) {
	case OPTION_LABEL:
		return (options & TAKES_LABELS) != 0;
	case OPTION_PARENT:
		return (options & TAKES_PARENT) != 0;
	case OPTION_KIND:
		return (options & TAKES_KINDS) != 0;
	case OPTION_KEEP:
	case OPTION_FREEZE:
		return (options & TAKES_KEEP) != 0;
	case OPTION_DIR:
	case OPTION_TIMEOUT:
		return (options & TAKES_DIR) != 0;
	case OPTION_MANIFEST:
		return (options & TAKES_MANIFEST) != 0;
	case OPTION_REPAIR:
		return (options & TAKES_REPAIR) != 0;
	default:
		return true;
	}
}

static int read_option(struct cli *cli, int option, char **argv)
{
	if (!is_taken(cli, option))
		return usage_error(cli, "option '--%s' does not belong here",
				   option_name(option));
	switch (option) {
	case OPTION_ROOT:
		cli->root = optarg;
		return 0;
	case OPTION_SNAPSHOTTER:
		cli->snapshotter = optarg;
		return 0;
	case OPTION_CONFIG:
		cli->config_file = optarg;
		return 0;
	case OPTION_JSON:
		cli->json = true;
		return 0;
	case 'h':
		cli->wants_help = true;
		return 0;
	case OPTION_VERSION:
		cli->wants_version = true;
		return 0;
	case OPTION_LABEL:
		return options_label(cli, optarg);
	case OPTION_PARENT:
		cli->parent = optarg;
		return 0;
	case OPTION_KIND:
		return read_kind(cli, optarg);
	case OPTION_KEEP:
		cli->flags |= SHALE_COMMIT_KEEP;
		return 0;
	case OPTION_FREEZE:
		cli->flags |= SHALE_COMMIT_FREEZE;
		return 0;
	case OPTION_DIR:
		cli->dir = optarg;
		return 0;
	case OPTION_TIMEOUT:
		return read_timeout(cli, optarg);
	case OPTION_MANIFEST:
		cli->flags |= SHALE_COMMIT_MANIFEST;
		return 0;
	case OPTION_REPAIR:
		cli->repair = true;
		return 0;
	case ':':
		return usage_error(cli, "option '--%s' needs an argument",
				   option_name(optopt));
	default:
		return refuse_option(cli, argv[optind - 1]);
	}
}

int options_global(struct cli *cli, int argc, char **argv, int *ret_verb)
{
	int option, r;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:h", long_options, NULL)) !=
	       -1) {
		r = read_option(cli, option, argv);
		if (r)
			return r;
	}
	*ret_verb = optind;
	return 0;
}

/* '-' gives operands in their order, whatever POSIXLY_CORRECT says. */
int options_verb(struct cli *cli, int argc, char **argv)
{
	const char *letters = cli->verb->options & TAKES_COMMAND ? "+:h"
								 : "-:h";
	int option, r;

	cli->operands = calloc((size_t)argc + 1, sizeof(*cli->operands));
	cli->labels = calloc(2 * (size_t)argc + 1, sizeof(*cli->labels));
	if (!cli->operands || !cli->labels)
		return error_fail(&cli->err, ENOMEM, "out of memory");
	optind = 0; /* start again, on another argv */
	while ((option = getopt_long(argc, argv, letters, long_options,
				     NULL)) != -1) {
		if (option == 1) {
			cli->operands[cli->operand_count++] = optarg;
			continue;
		}
		r = read_option(cli, option, argv);
		if (r)
			return r;
	}
	while (optind < argc)
		cli->operands[cli->operand_count++] = argv[optind++];
	if (cli->wants_help || cli->wants_version)
		return 0;
	if (cli->operand_count < cli->verb->least)
		return usage_error(cli, "too few arguments");
	if (cli->verb->most >= 0 && cli->operand_count > cli->verb->most)
		return usage_error(cli, "too many arguments, from '%s' on",
				   cli->operands[cli->verb->most]);
	return 0;
}
