/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale plugin: show, what a snapshotter says of itself; and test, whether it
 * is true (plugin_test.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "plugin_test.h"
#include "text.h"
#include "verbs.h"

static const struct {
	uint64_t bit;
	const char *name;
} features[] = {
	{ SHALE_FEAT_PARALLEL, "parallel" },
	{ SHALE_FEAT_GLOBAL_SERIAL, "global-serial" },
};

#define OPERATION(member, name)                                  \
	{                                                        \
		name, offsetof(struct shale_snapshotter, member) \
	}

static const struct {
	const char *name;
	size_t offset;
} operations[] = {
	OPERATION(open, "open"),       OPERATION(close, "close"),
	OPERATION(prepare, "prepare"), OPERATION(view, "view"),
	OPERATION(mounts, "mounts"),   OPERATION(commit, "commit"),
	OPERATION(remove, "remove"),   OPERATION(parent, "parent"),
	OPERATION(exists, "exists"),   OPERATION(delete_, "delete"),
	OPERATION(walk, "walk"),       OPERATION(active, "active"),
	OPERATION(stat, "stat"),       OPERATION(update, "update"),
	OPERATION(usage, "usage"),     OPERATION(cleanup, "cleanup"),
	OPERATION(use, "use"),	       OPERATION(check, "check"),
	OPERATION(verify, "verify"),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Pointers to functions have no type in common to be read by. */
static bool has_operation(const struct shale_snapshotter *table, size_t i)
{
	static const char absent[sizeof(void (*)(void))];

	return memcmp((const char *)table + operations[i].offset, absent,
		      sizeof(absent)) != 0;
}

/* What each feature is called; a bit that is not known yet is "bit-N". */
static void feature_name(unsigned int bit, char ret[OUT_WORD_SIZE])
{
	(void)snprintf(ret, OUT_WORD_SIZE, "bit-%u", bit);
	for (size_t i = 0; i < COUNT(features); i++)
		if (features[i].bit == UINT64_C(1) << bit)
			(void)snprintf(ret, OUT_WORD_SIZE, "%s",
				       features[i].name);
}

static void print_json(const struct shale_snapshotter *table)
{
	char feature[OUT_WORD_SIZE];

	out_object(NULL);
	out_string("name", table->name);
	out_string("version", table->version);
	out_string("description", table->description);
	out_number("abi", table->abi);
	out_number("size", table->size);
	out_array("features");
	for (unsigned int bit = 0; bit < 64; bit++)
		if (table->features & UINT64_C(1) << bit) {
			feature_name(bit, feature);
			out_string(NULL, feature);
		}
	out_array_end();
	out_array("operations");
	for (size_t i = 0; i < COUNT(operations); i++)
		if (has_operation(table, i))
			out_string(NULL, operations[i].name);
	out_array_end();
	out_object_end();
}

/* A plugin's own words, which may hold anything. */
static void print_words(const char *field, const char *words)
{
	char safe[1024];

	text_printable(words ? words : "-", safe, sizeof(safe));
	out_text("%-13s%s\n", field, safe);
}

static void print_text(const struct shale_snapshotter *table)
{
	char feature[OUT_WORD_SIZE];

	print_words("Name:", table->name);
	print_words("Version:", table->version);
	print_words("Description:", table->description);
	out_text("%-13s%" PRIu32 "\n", "ABI:", table->abi);
	out_text("%-13s%" PRIu32 " bytes\n", "Size:", table->size);
	out_text("%-12s", "Features:");
	for (unsigned int bit = 0; bit < 64; bit++)
		if (table->features & UINT64_C(1) << bit) {
			feature_name(bit, feature);
			out_text(" %s", feature);
		}
	out_text("\n%-12s", "Operations:");
	for (size_t i = 0; i < COUNT(operations); i++)
		if (has_operation(table, i))
			out_text(" %s", operations[i].name);
	out_text("\n");
}

static bool is_test(const struct cli *cli)
{
	return !strcmp(cli->operands[0], "test");
}

static int check(struct cli *cli)
{
	if (is_test(cli))
		return plugin_test_check(cli);
	if (strcmp(cli->operands[0], "show") != 0)
		return usage_error(cli,
				   "'%s' is not known, only 'show' and 'test'",
				   cli->operands[0]);
	if (cli->operand_count > 2)
		return usage_error(cli, "too many arguments, from '%s' on",
				   cli->operands[2]);
	if (cli->dir || cli->timeout_s)
		return usage_error(cli, "--dir and --timeout belong to 'test'");
	return 0;
}

static int show(struct cli *cli, const char *name)
{
	const struct shale_snapshotter *table;
	int r = shale_plugin_load(name, &cli->plugin, &cli->err);

	if (r < 0)
		return r;
	table = shale_plugin_table(cli->plugin);
	if (cli->json)
		print_json(table);
	else
		print_text(table);
	return 0;
}

static int run(struct cli *cli)
{
	const char *name = options_snapshotter(cli, cli->operands[1]);

	if (!name)
		return -cli->err.code;
	return is_test(cli) ? plugin_test_run(cli, name) : show(cli, name);
}

const struct verb plugin_verb = {
	.name = "plugin",
	.usage =
		"plugin show NAME|PATH | plugin test NAME|PATH [TEST...] [--dir DIR] [--timeout SECONDS]",
	.summary = "show what a snapshotter offers, or test it",
	.details =
		"NAME is overlay, which is built in, or a file of the plugin "
		"directory without .so;\nPATH has a '/' in it. The plugin's code "
		"is loaded.\n\n"
		"test runs the tests that every snapshotter has to pass, or "
		"those that are named,\non new stores below DIR, $TMPDIR or /tmp, "
		"and prints TAP. Some need root.\n",
	.least = 2,
	.most = -1,
	.options = TAKES_DIR,
	.check = check,
	.run = run,
};
