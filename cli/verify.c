/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale verify: a layer against the manifest of its commit.
 */
#include "findings.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	struct findings findings;
	int r, status;

	findings_begin(&findings, cli);
	r = shale_verify(cli->store, cli->operands[0], findings_tell, &findings,
			 &cli->err);
	status = findings_end(&findings);
	return r < 0 ? r : status;
}

const struct verb verify_verb = {
	.name = "verify",
	.usage = "verify NAME",
	.summary = "compare a layer with the manifest of its commit",
	.details = "A line for each entry that differs, and exit status 1. "
		   "'shale commit --manifest'\nrecords a manifest.\n",
	.least = 1,
	.most = 1,
	.needs = NEEDS_STORE,
	.run = run,
};
