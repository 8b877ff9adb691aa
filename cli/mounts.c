/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale mounts: what to mount, for whoever mounts it himself.
 */
#include "output.h"
#include "text.h"
#include "verbs.h"

static bool is_all_utf8(const char *const *strings)
{
	while (*strings)
		if (!text_is_utf8(*strings++))
			return false;
	return true;
}

/* One "options", and beside it "options_hex" where a path is no UTF-8. */
static void print_json(const struct shale_mount_spec *mount)
{
	out_array(NULL);
	out_object(NULL);
	out_string("type", mount->type);
	out_name("source", mount->source);
	out_array("options");
	for (const char *const *o = mount->options; *o; o++)
		out_string(NULL, *o);
	out_array_end();
	if (!is_all_utf8(mount->options)) {
		out_array("options_hex");
		for (const char *const *o = mount->options; *o; o++)
			out_hex(NULL, *o);
		out_array_end();
	}
	out_object_end();
	out_array_end();
}

static int print(void *ctx, const struct shale_mount_spec *mount)
{
	const struct cli *cli = ctx;

	if (cli->json) {
		print_json(mount);
		return 0;
	}
	out_text("%s ", mount->type);
	out_quoted(mount->source, 0);
	out_text("\n");
	for (const char *const *o = mount->options; *o; o++) {
		out_text("  ");
		out_quoted(*o, 0);
		out_text("\n");
	}
	return 0;
}

static int run(struct cli *cli)
{
	return shale_mounts(cli->store, cli->operands[0], print, cli,
			    &cli->err);
}

const struct verb mounts_verb = {
	.name = "mounts",
	.usage = "mounts KEY",
	.summary = "show how KEY is mounted, and mount nothing",
	.details = "The first line is the type and the source, each line after "
		   "it one option,\nas words that a shell reads back.\n",
	.least = 1,
	.most = 1,
	.needs = NEEDS_STORE,
	.run = run,
};
