/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Command lines of shale(1): what is accepted has the operands that the verb
 * asks for, and what is refused has a sentence.
 */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "cli.h"
#include "scope.h"

const char fuzz_name[] = "options";

#define WORDS_MAX 16

static void drop_cli(struct cli *cli)
{
	free(cli->labels);
	free(cli->operands);
	free(cli->snapshotter_path);
}

static void check(const struct cli *cli, int r)
{
	REQUIRE(r == 0 || r == CLI_USAGE);
	if (r) {
		fuzz_check_result(-EINVAL, &cli->err);
		return;
	}
	if (!cli->wants_help && !cli->wants_version) {
		REQUIRE(cli->operand_count >= cli->verb->least);
		REQUIRE(cli->verb->most < 0 ||
			cli->operand_count <= cli->verb->most);
	}
	for (int i = 0; i < cli->operand_count; i++)
		REQUIRE(cli->operands[i]);
	for (size_t i = 0; i < cli->label_count; i++) {
		REQUIRE(cli->labels[2 * i][0]);
		REQUIRE(cli->labels[2 * i + 1] ||
			(cli->verb->options & TAKES_KINDS));
	}
}

/* What the verb takes, how many operands, and the words. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	struct verb verb = { .options = bytes_take(&bytes) };
	uint8_t operands = bytes_take(&bytes);
	__attribute__((cleanup(drop_cli))) struct cli cli = {
		.err = SHALE_ERROR_INIT,
	};
	char *words[WORDS_MAX + 2] = { NULL };
	char *argv[WORDS_MAX + 2];
	int argc = 0, first, r;

	verb.least = operands % 4;
	verb.most = operands & 128 ? -1 : verb.least + operands / 4 % 4;
	words[argc++] = strdup("shale");
	REQUIRE(words[0]);
	while (bytes.left && argc <= WORDS_MAX)
		words[argc++] = bytes_word(&bytes);
	memcpy(argv, words, sizeof(argv)); /* getopt moves them about */
	optind = 0;
	r = options_global(&cli, argc, argv, &first);
	REQUIRE(r || (first > 0 && first <= argc));
	if (r == 0 && first < argc) {
		cli.verb = &verb;
		r = options_verb(&cli, argc - first, argv + first);
		check(&cli, r);
	}
	for (int i = 0; i < argc; i++)
		free(words[i]);
	return 0;
}
