/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale stat: all that is known of one snapshot.
 */
#include "output.h"
#include "verbs.h"

static void print_time(const char *field, int64_t ns)
{
	char when[OUT_WORD_SIZE];

	out_time(ns, when);
	out_text("%-10s%s\n", field, when);
}

static int print(void *ctx, const struct shale_info *info)
{
	const char *field = "Labels:";

	(void)ctx;
	out_text("%-10s", "Name:");
	out_quoted(info->name, 0);
	out_text("\n%-10s%s\n%-10s", "Kind:", out_kind(info->kind), "Parent:");
	if (*info->parent)
		out_quoted(info->parent, 0);
	else
		out_text("-");
	out_text("\n");
	print_time("Created:", info->created_ns);
	print_time("Updated:", info->updated_ns);
	for (const char *const *pair = info->labels; *pair; pair += 2) {
		out_text("%-10s", field);
		out_quoted(pair[0], 0);
		out_text("=");
		if (*pair[1])
			out_quoted(pair[1], 0);
		out_text("\n");
		field = "";
	}
	return 0;
}

static int run(struct cli *cli)
{
	const char *name = cli->operands[0];

	if (cli->json)
		return out_result(cli, name);
	return shale_stat(cli->store, name, print, NULL, &cli->err);
}

const struct verb stat_verb = {
	.name = "stat",
	.usage = "stat NAME",
	.summary = "show kind, parent, times and labels of NAME",
	.least = 1,
	.most = 1,
	.needs = NEEDS_STORE,
	.run = run,
};
