/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale check: what the store and the doors say that can't be true.
 */
#include "config.h"
#include "findings.h"
#include "owner.h"
#include "reap.h"
#include "verbs.h"

static int check_all(struct cli *cli, struct findings *findings)
{
	const char *root = cli->root ? cli->root : cli->config->root;
	int r = shale_check(cli->store, cli->repair ? SHALE_CHECK_REPAIR : 0,
			    findings_tell, findings, &cli->err);

	if (r == 0)
		r = door_check(cli->store, findings_tell, findings, &cli->err);
	if (r == 0)
		r = reap_check(cli->store, root, cli->repair, findings_tell,
			       findings, &cli->err);
	return r;
}

static int run(struct cli *cli)
{
	struct findings findings;
	int r, status;

	findings_begin(&findings, cli);
	r = check_all(cli, &findings);
	status = findings_end(&findings);
	return r < 0 ? r : status;
}

const struct verb check_verb = {
	.name = "check",
	.usage = "check [--repair]",
	.summary = "find every contradiction in the store",
	.details =
		"A line for each, with its remedy; exit status 1 where there "
		"is one.\n--repair mends what loses nothing, and moves what it "
		"can't explain to lost+found\n"
		"in the store. Nothing that "
		"anybody wrote is deleted. Safe at any time.\n",
	.options = TAKES_REPAIR,
	.needs = NEEDS_STORE,
	.run = run,
};
