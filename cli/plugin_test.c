/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale plugin test: the conformance tests on one snapshotter, told as TAP or
 * as one JSON object.
 */
#include "plugin_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform.h"
#include "fs.h"
#include "output.h"
#include "scope.h"
#include "text.h"

/* A test takes milliseconds; this is for one that waits for ever. */
#define DEFAULT_TIMEOUT_S 120

struct testing {
	struct cli *cli;
	const char *snapshotter;
	const char *dir;  /* of this run, below --dir */
	bool is_hopeless; /* no store can be opened */
	size_t count[3];  /* by enum conform_result */
};

static const char *const words[] = {
	[CONFORM_PASSED] = "passed",
	[CONFORM_FAILED] = "failed",
	[CONFORM_SKIPPED] = "skipped",
};

static size_t number_of(const struct testing *testing)
{
	size_t n = 0;

	for (size_t i = 0; i < 3; i++)
		n += testing->count[i];
	return n;
}

static void print_text(const struct testing *testing, const char *name,
		       const struct conform_outcome *outcome)
{
	char reason[4 * sizeof(outcome->reason) + 1];

	text_printable(outcome->reason, reason, sizeof(reason));
	out_text("%s %zu - %s%s%s\n",
		 outcome->result == CONFORM_FAILED ? "not ok" : "ok",
		 number_of(testing), name,
		 outcome->result == CONFORM_SKIPPED ? " # SKIP " : "",
		 outcome->result == CONFORM_SKIPPED ? reason : "");
	if (outcome->result == CONFORM_FAILED)
		out_text("# %s\n", reason);
	(void)fflush(stdout);
}

static void print_json(const char *name, const struct conform_outcome *outcome)
{
	out_object(NULL);
	out_string("name", name);
	out_string("result", words[outcome->result]);
	out_string("reason", *outcome->reason ? outcome->reason : NULL);
	out_object_end();
}

static int run_one(struct testing *testing, const struct conform_case *c)
{
	struct conform_outcome outcome = { .result = CONFORM_PASSED };
	const uint64_t timeout_s = testing->cli->timeout_s
					   ? testing->cli->timeout_s
					   : DEFAULT_TIMEOUT_S;
	int r = conform_run(c, testing->snapshotter, testing->dir,
			    (int)timeout_s * 1000, &outcome,
			    &testing->cli->err);

	if (r < 0)
		return error_context(&testing->cli->err, r, "test %s",
				     conform_name(c));
	testing->count[outcome.result]++;
	testing->is_hopeless = c == conform_next(NULL) &&
			       outcome.result == CONFORM_FAILED;
	if (testing->cli->json)
		print_json(conform_name(c), &outcome);
	else
		print_text(testing, conform_name(c), &outcome);
	return 0;
}

/* The cases that were asked for by name, or all of them. */
static int run_cases(struct testing *testing)
{
	const struct cli *cli = testing->cli;
	const struct conform_case *c = NULL;
	int r = 0;

	for (int i = 2; i < cli->operand_count && r == 0; i++)
		r = run_one(testing, conform_find(cli->operands[i]));
	if (cli->operand_count > 2)
		return r;
	while (r == 0 && !testing->is_hopeless && (c = conform_next(c)) != NULL)
		r = run_one(testing, c);
	return r;
}

static size_t planned(const struct cli *cli)
{
	const struct conform_case *c = NULL;
	size_t n = 0;

	if (cli->operand_count > 2)
		return (size_t)cli->operand_count - 2;
	while ((c = conform_next(c)) != NULL)
		n++;
	return n;
}

static int run_and_print(struct testing *testing)
{
	int r;

	if (testing->cli->json) {
		out_object(NULL);
		out_string("snapshotter", testing->cli->operands[1]);
		out_array("cases");
	} else {
		out_text("1..%zu\n", planned(testing->cli));
	}
	r = run_cases(testing);
	if (testing->cli->json) {
		out_array_end();
		for (size_t i = 0; i < 3; i++)
			out_number(words[i], testing->count[i]);
		out_object_end();
	} else if (testing->is_hopeless) {
		out_text("Bail out! no store can be opened\n");
	} else if (r == 0) {
		out_text("# %zu passed, %zu failed, %zu skipped\n",
			 testing->count[CONFORM_PASSED],
			 testing->count[CONFORM_FAILED],
			 testing->count[CONFORM_SKIPPED]);
	} else {
		out_text("Bail out! %s\n", testing->cli->err.msg);
	}
	return r;
}

/* A directory of this run's own; absolute and without links. */
static int make_dir(struct cli *cli, char **ret)
{
	const char *tmpdir = getenv("TMPDIR");
	const char *below = cli->dir		? cli->dir
			    : tmpdir && *tmpdir ? tmpdir
						: "/tmp";
	auto_free char *whole = realpath(below, NULL);

	if (!whole)
		return error_errno(&cli->err, errno, "find '%s'", below);
	if (asprintf(ret, "%s/shale-test.XXXXXX", whole) < 0) {
		*ret = NULL;
		return error_fail(&cli->err, ENOMEM, "out of memory");
	}
	if (!mkdtemp(*ret))
		return error_errno(&cli->err, errno, "make a directory in '%s'",
				   whole);
	return 0;
}

int plugin_test_check(struct cli *cli)
{
	for (int i = 2; i < cli->operand_count; i++)
		if (!conform_find(cli->operands[i]))
			return usage_error(cli, "'%s' is no test",
					   cli->operands[i]);
	return 0;
}

int plugin_test_run(struct cli *cli, const char *snapshotter)
{
	struct testing testing = { .cli = cli, .snapshotter = snapshotter };
	auto_free char *dir = NULL;
	int r, removed;

	conform_catch_signals();
	r = make_dir(cli, &dir);
	if (r < 0)
		return r;
	testing.dir = dir;
	r = run_and_print(&testing);
	removed = fs_remove_tree(AT_FDCWD, dir, NULL, NULL);
	if (removed < 0 && r == 0)
		r = error_errno(&cli->err, -removed, "delete '%s'", dir);
	if (r < 0)
		return r;
	return testing.count[CONFORM_FAILED] ? CLI_FAILED : CLI_OK;
}
