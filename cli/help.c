/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale help: the verbs, and who was probably meant by what is none.
 */
#include <string.h>

#include "config.h"
#include "output.h"
#include "verbs.h"

#define WORD_MAX 16

const struct verb *verb_find(const char *name)
{
	for (const struct verb *const *verb = verbs; *verb; verb++)
		if (!strcmp((*verb)->name, name))
			return *verb;
	return NULL;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters to insert, drop, change or swap; rows of the classic table. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], width = strlen(b);
	size_t *above2 = rows[0], *above = rows[1], *row = rows[2];

	if (strlen(a) > WORD_MAX || width > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= width; j++)
		above[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t *turn = above2;

		row[0] = i;
		for (size_t j = 1; j <= width; j++) {
			row[j] = smaller(above[j], row[j - 1]) + 1;
			row[j] = smaller(row[j],
					 above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = smaller(row[j], above2[j - 2] + 1);
		}
		above2 = above;
		above = row;
		row = turn;
	}
	return above[width];
}

static const struct verb *verb_nearest(const char *name)
{
	const struct verb *nearest = NULL;
	size_t least = strlen(name) > 3 ? 3 : 2; /* it must be nearer */

	for (const struct verb *const *verb = verbs; *verb; verb++) {
		size_t d = distance(name, (*verb)->name);

		if (d < least) {
			least = d;
			nearest = *verb;
		}
	}
	return nearest;
}

static void print_all(void)
{
	out_text("shale gives containers a layered root file system, from a "
		 "store on disk.\n\n"
		 "usage: shale [OPTION...] VERB [ARGUMENT...]\n\n");
	for (const struct verb *const *verb = verbs; *verb; verb++)
		out_text("  %-9s %s\n", (*verb)->name, (*verb)->summary);
	out_text("\n"
		 "  --root DIR              the store, instead of that of the "
		 "configuration\n"
		 "  --snapshotter NAME|PATH the snapshotter, likewise\n"
		 "  --config FILE           the configuration, instead of\n"
		 "                          " CONFIG_PATH "\n"
		 "  --json                  results as JSON\n"
		 "  --help, --version\n"
		 "\n"
		 "Options may stand anywhere; '--' ends them, for names that "
		 "start with '-'.\n"
		 "Exit status: 0 done, 1 failed, 'exists' says no, or 'check', "
		 "'verify' or\na test found something, 2 usage.\n"
		 "'shale help VERB' tells more, and shale(1) all.\n");
}

void help_print(const struct verb *verb)
{
	if (!verb) {
		print_all();
		return;
	}
	out_text("usage: shale %s\n\n%s\n", verb->usage, verb->summary);
	if (verb->details)
		out_text("\n%s", verb->details);
}

int help_unknown(struct cli *cli, const char *word)
{
	const struct verb *nearest = verb_nearest(word);

	if (nearest)
		return usage_error(cli, "unknown verb '%s'; perhaps '%s'?",
				   word, nearest->name);
	return usage_error(cli, "unknown verb '%s'", word);
}

static int run(struct cli *cli)
{
	const char *word = cli->operands[0];
	const struct verb *verb = word ? verb_find(word) : NULL;

	if (word && !verb)
		return help_unknown(cli, word);
	help_print(verb);
	return 0;
}

const struct verb help_verb = {
	.name = "help",
	.usage = "help [VERB]",
	.summary = "show this, or more about one verb",
	.most = 1,
	.run = run,
};
