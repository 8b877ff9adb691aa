/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale(1): reads the command line, opens the store, runs one verb, and turns
 * what came of it into a sentence and an exit status.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "config.h"
#include "output.h"
#include "process.h"
#include "verbs.h"

const struct verb *const verbs[] = {
	&prepare_verb, &view_verb,    &mounts_verb, &mount_verb,  &umount_verb,
	&commit_verb,  &flatten_verb, &remove_verb, &delete_verb, &parent_verb,
	&exists_verb,  &stat_verb,    &label_verb,  &usage_verb,  &ls_verb,
	&active_verb,  &tree_verb,    &check_verb,  &verify_verb, &cleanup_verb,
	&plugin_verb,  &unshare_verb, &help_verb,   NULL,
};

static void warn(void *ctx, int level, const char *line)
{
	(void)ctx;
	if (level == SHALE_LOG_WARNING)
		(void)fprintf(stderr, "shale: warning: %s\n", line);
}

static const struct shale_host host = {
	.size = sizeof(host),
	.abi = SHALE_PLUGIN_ABI,
	.log = warn,
};

static int open_store(struct cli *cli)
{
	const char *snapshotter = NULL;
	int r;

	if (cli->snapshotter) {
		snapshotter = options_snapshotter(cli, cli->snapshotter);
		if (!snapshotter)
			return -cli->err.code;
	}
	r = config_load(cli->config_file, &cli->config, &cli->err);
	if (r < 0)
		return r;
	return config_open_store(cli->config, cli->root, snapshotter,
				 cli->verb->needs == MAKES_STORE, &host,
				 &cli->plugin, &cli->store, &cli->err);
}

static int run(struct cli *cli, int argc, char **argv)
{
	int at, r;

	r = options_global(cli, argc, argv, &at);
	if (r)
		return r;
	if (at < argc) {
		cli->verb = verb_find(argv[at]);
		if (!cli->verb)
			return help_unknown(cli, argv[at]);
		r = options_verb(cli, argc - at, argv + at);
		if (r)
			return r;
	}
	if (cli->wants_help) {
		help_print(cli->verb);
		return 0;
	}
	if (cli->wants_version) {
		out_text("shale %s\n", shale_version());
		return 0;
	}
	if (!cli->verb)
		return usage_error(cli, "a verb is missing");
	r = cli->verb->check ? cli->verb->check(cli) : 0;
	if (r)
		return r;
	if (cli->verb->needs != NEEDS_NOTHING) {
		r = open_store(cli);
		if (r < 0)
			return r;
	}
	return cli->verb->run(cli);
}

/* The library's sentences start with the operation, mostly the verb itself. */
static const char *sentence_of(const struct cli *cli)
{
	const char *msg = cli->err.msg;
	size_t len = cli->verb ? strlen(cli->verb->name) : 0;

	if (!*msg)
		return "failed, and nobody said why";
	if (!len || strncmp(msg, cli->verb->name, len) != 0)
		return msg;
	if (msg[len] == ' ')
		return msg + len + 1;
	if (msg[len] == ':' && msg[len + 1] == ' ')
		return msg + len + 2;
	return msg;
}

static void complain(const struct cli *cli, bool is_usage)
{
	const char *verb = cli->verb ? cli->verb->name : NULL;

	(void)fprintf(stderr, "shale: %s%s%s\n", verb ? verb : "",
		      verb ? ": " : "", sentence_of(cli));
	if (is_usage && verb)
		(void)fprintf(stderr, "usage: shale %s\n", cli->verb->usage);
	else if (is_usage)
		(void)fputs("usage: shale [OPTION...] VERB [ARGUMENT...]; "
			    "'shale help' lists the verbs\n",
			    stderr);
}

int main(int argc, char **argv)
{
	struct cli cli = { .err = SHALE_ERROR_INIT };
	int r, status;

	process_fill_streams();
	r = run(&cli, argc, argv);
	status = r < 0 ? CLI_FAILED : r;
	/* What was done before a failure is told also after it. */
	if (out_finish(&cli.err) < 0 && status == CLI_OK)
		status = CLI_FAILED;
	if (status != CLI_OK && (cli.err.code || r < 0))
		complain(&cli, status == CLI_USAGE);
	shale_store_close(cli.store);
	shale_plugin_unload(cli.plugin);
	config_free(cli.config);
	free(cli.snapshotter_path);
	free(cli.operands);
	free(cli.labels);
	return status;
}
