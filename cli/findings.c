/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See findings.h.
 */
#include "findings.h"

#include "output.h"

void findings_begin(struct findings *findings, struct cli *cli)
{
	*findings = (struct findings){ .cli = cli };
	if (!cli->json)
		return;
	out_object(NULL);
	out_array("findings");
}

static void tell_json(const struct shale_finding *finding)
{
	out_object(NULL);
	out_string("kind", finding->kind);
	out_name("name", finding->name);
	out_name("path", finding->path);
	out_string("what", finding->what);
	out_string("remedy", finding->remedy);
	out_bool("repaired", finding->flags & SHALE_FINDING_REPAIRED);
	out_object_end();
}

/* "kind: PATH (NAME): what: remedy" */
static void tell_text(const struct shale_finding *finding)
{
	const char *path = finding->path;

	out_text("%s: ", finding->kind);
	if (*path)
		out_quoted(path, 0);
	if (*path && *finding->name)
		out_text(" (");
	if (*finding->name)
		out_quoted(finding->name, 0);
	out_text("%s: %s: %s%s\n", *path && *finding->name ? ")" : "",
		 finding->what,
		 finding->flags & SHALE_FINDING_REPAIRED ? "repaired: " : "",
		 finding->remedy);
}

int findings_tell(void *ctx, const struct shale_finding *finding)
{
	struct findings *findings = ctx;

	findings->count++;
	if (finding->flags & SHALE_FINDING_REPAIRED)
		findings->repaired++;
	if (findings->cli->json)
		tell_json(finding);
	else
		tell_text(finding);
	return 0;
}

int findings_end(const struct findings *findings)
{
	if (findings->cli->json) {
		out_array_end();
		out_number("found", findings->count);
		out_number("repaired", findings->repaired);
		out_object_end();
	}
	return findings->count ? CLI_FAILED : CLI_OK;
}
