/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Command lines of OCI runtimes, as shale-runtime gets them: nothing but its
 * own options is taken out, and what was understood stands in the line.
 */
#include "fuzz.h"

#include <string.h>

#include "command.h"

const char fuzz_name[] = "command";

#define WORDS_MAX 24

/* Whether @s points into one of the words. */
static bool is_of_line(const char *s, char *const *words, int count)
{
	for (int i = 0; i < count; i++)
		if (s >= words[i] && s <= words[i] + strlen(words[i]))
			return true;
	return false;
}

/* What is left is the line, without some of its words. */
static void check_rest(char *const *words, int count, char *const *argv,
		       int argc)
{
	int at = 0;

	for (int i = 0; i < argc; i++) {
		while (at < count && words[at] != argv[i])
			at++;
		REQUIRE(at < count);
		at++;
	}
	REQUIRE(!argv[argc]);
}

static void check(const struct command *command, char *const *words, int count,
		  char *const *argv, int argc)
{
	REQUIRE(argc >= 1 && argc <= count);
	check_rest(words, count, argv, argc);
	REQUIRE(command->verb >= 1 && command->verb <= argc);
	if (command->id)
		REQUIRE(is_of_line(command->id, words, count));
	for (int slot = 0; slot < COMMAND_SLOTS; slot++)
		if (command->value[slot] && command->value[slot][0])
			REQUIRE(is_of_line(command->value[slot], words, count));
	(void)command_is(command, argv, "create");
}

/* Which runtime, and the words behind its name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum runtime_kind kinds[] = { RUNTIME_RUNC, RUNTIME_CRUN,
						   RUNTIME_OTHER };
	struct bytes bytes = { data, size };
	enum runtime_kind kind = kinds[bytes_take(&bytes) % 3];
	char *words[WORDS_MAX + 1] = { NULL };
	char *argv[WORDS_MAX + 1];
	struct command command = { 0 };
	int count = 0, argc;

	words[count++] = strdup("runtime");
	REQUIRE(words[0]);
	while (bytes.left && count < WORDS_MAX)
		words[count++] = bytes_word(&bytes);
	memcpy(argv, words, sizeof(argv));
	argc = count;
	command_parse(kind, &argc, argv, &command);
	check(&command, words, count, argv, argc);
	for (int i = 0; i < count; i++) {
		(void)command_kind(words[i]);
		free(words[i]);
	}
	return 0;
}
