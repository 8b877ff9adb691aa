/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Command lines of runtimes: the verb, the container and the options that
 * shale-runtime has to understand, in each runtime's own spelling.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "command.h"
#include "mark.h"

#define WORDS_MAX 16

/* Words divided by one space each; argv[0] comes first. */
static int split(char *text, char *argv[WORDS_MAX])
{
	int argc = 0;

	for (char *word = text; word; argc++) {
		argv[argc] = word;
		word = strchr(word, ' ');
		if (word)
			*word++ = '\0';
	}
	argv[argc] = NULL;
	return argc;
}

static bool same(const char *a, const char *b)
{
	return !a == !b && (!a || !strcmp(a, b));
}

static void verb_and_container_are_found(void **state)
{
	static const struct {
		const char *line, *verb, *id, *bundle;
	} cases[] = {
		{ "runc create c", "create", "c", NULL },
		{ "runc --root /r create -b /b c", "create", "c", "/b" },
		{ "runc -root /r run --bundle=/b c", "run", "c", "/b" },
		{ "runc -log create run -bundle /b c", "run", "c", "/b" },
		{ "runc --debug run -d c -b /b", "run", "c", "/b" },
		{ "runc -- run -- c", "run", "c", NULL },
		{ "runc run -- -c", "run", "-c", NULL },
		{ "runc run", "run", NULL, NULL },
		{ "runc run a b", "run", NULL, NULL },
		{ "runc run --new-option x c", "run", "c", NULL },
		{ "runc --new-option x run c", "run", "c", NULL },
		{ "runc --new-option run c", "run", "c", NULL },
		{ "runc --new=x run c", "run", "c", NULL },
		{ "runc x run c", "x", NULL, NULL },
		{ "runc delete -f c", "delete", "c", NULL },
		{ "runc delete --force=true c", "delete", "c", NULL },
		{ "runc state c", "state", NULL, NULL },
		{ "runc --version", NULL, NULL, NULL },
		{ "runc", NULL, NULL, NULL },
		{ "runc --root", NULL, NULL, NULL },
		{ "runc run --bundle", "run", NULL, NULL },
		{ "runc restore --image-path /i --bundle /b c", "restore", "c",
		  "/b" },
		{ "crun create -b/b c", "create", "c", "/b" },
		{ "crun create -db /b c", "create", "c", "/b" },
		{ "crun --roo /r create --bund /b c", "create", "c", "/b" },
		{ "crun --cgroup-m x create --bu=/b c", "create", "c", "/b" },
		{ "crun -v create c", "create", "c", NULL },
		{ "crun delete -fr c.*", "delete", "c.*", NULL },
		{ "crun --root=run run c", "run", "c", NULL },
		{ "youki --root /r create --bundle /b c", "create", "c", "/b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char line[128], *argv[WORDS_MAX];
		struct command command;
		int argc;

		(void)snprintf(line, sizeof(line), "%s", cases[i].line);
		argc = split(line, argv);
		command_parse(command_kind(argv[0]), &argc, argv, &command);
		if (!same(argv[command.verb], cases[i].verb))
			fail_msg("%s: verb %s", cases[i].line,
				 argv[command.verb]);
		if (!same(command.id, cases[i].id))
			fail_msg("%s: id %s", cases[i].line, command.id);
		if (!same(command.value[COMMAND_BUNDLE], cases[i].bundle))
			fail_msg("%s: bundle %s", cases[i].line,
				 command.value[COMMAND_BUNDLE]);
	}
}

static void options_that_are_flags_are_seen(void **state)
{
	char line[] = "crun delete -fr x", *argv[WORDS_MAX];
	char other[] = "crun run -d --config=f --pid-file p x";
	struct command command;
	int argc = split(line, argv);

	(void)state;
	command_parse(RUNTIME_CRUN, &argc, argv, &command);
	assert_non_null(command.value[COMMAND_REGEX]);
	argc = split(other, argv);
	command_parse(RUNTIME_CRUN, &argc, argv, &command);
	assert_non_null(command.value[COMMAND_DETACH]);
	assert_string_equal(command.value[COMMAND_CONFIG], "f");
	assert_string_equal(command.value[COMMAND_PID_FILE], "p");
}

static void a_flag_may_be_switched_off(void **state)
{
	static const struct {
		const char *line;
		bool is_on;
	} cases[] = {
		{ "runc run --detach=false x", false },
		{ "runc run -d=0 x", false },
		{ "runc run -d --detach=F x", false },
		{ "runc run --detach=false -d x", true },
		{ "runc run --detach=true x", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char line[64], *argv[WORDS_MAX];
		struct command command;
		int argc;

		(void)snprintf(line, sizeof(line), "%s", cases[i].line);
		argc = split(line, argv);
		command_parse(RUNTIME_RUNC, &argc, argv, &command);
		if (!command.value[COMMAND_DETACH] == cases[i].is_on)
			fail_msg("%s", cases[i].line);
		assert_string_equal(command.id, "x");
	}
}

static void our_options_are_taken_out_before_the_verb(void **state)
{
	char line[] = "runc --shale-root /s --log l --shale-config=/c run "
		      "--shale-root x c";
	char *argv[WORDS_MAX];
	static const char *const rest[] = { "runc",	    "--log", "l", "run",
					    "--shale-root", "x",     "c" };
	struct command command;
	int argc = split(line, argv);

	(void)state;
	command_parse(RUNTIME_RUNC, &argc, argv, &command);
	assert_string_equal(command.value[COMMAND_SHALE_ROOT], "/s");
	assert_string_equal(command.value[COMMAND_SHALE_CONFIG], "/c");
	assert_int_equal(argc, 7);
	for (int i = 0; i < argc; i++)
		assert_string_equal(argv[i], rest[i]);
	assert_null(argv[argc]);
	assert_string_equal(argv[command.verb], "run");
}

static void our_option_without_its_value_is_missed(void **state)
{
	char line[] = "runc --shale-root", *argv[WORDS_MAX];
	struct command command;
	int argc = split(line, argv);

	(void)state;
	command_parse(RUNTIME_RUNC, &argc, argv, &command);
	assert_string_equal(command.missing, "shale-root");
	assert_int_equal(argc, 1);
}

/* ---- the look at a file's bytes ---- */

static bool mark_in(const char *before, size_t padding, const char *text)
{
	FILE *file = fopen(at("config.json"), "we");

	assert_non_null(file);
	(void)fputs(before, file);
	for (size_t i = 0; i < padding; i++)
		(void)fputc(' ', file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
	return mark_is_in(at("config.json"));
}

static void the_mark_is_seen_wherever_it_is(void **state)
{
	(void)state;
	for (size_t padding = 65500; padding < 65560; padding++) {
		assert_true(mark_in("{", padding, "org.shale.parent"));
		assert_true(mark_in("{", padding, "\\u006frg.x"));
		assert_false(mark_in("{", padding, "org.shalom \\u003c"));
	}
	assert_true(mark_in("org.shale.", 0, ""));
	assert_true(mark_in("", 200000, "org\\u002Eshale"));
	assert_false(mark_in("", 0, ""));
	assert_false(mark_in("\\u00", 0, ""));
	assert_false(mark_is_in(at("absent")));
	assert_false(mark_is_in(here));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verb_and_container_are_found),
		cmocka_unit_test(options_that_are_flags_are_seen),
		cmocka_unit_test(a_flag_may_be_switched_off),
		cmocka_unit_test(our_options_are_taken_out_before_the_verb),
		cmocka_unit_test(our_option_without_its_value_is_missed),
		TEST_IN_DIR(the_mark_is_seen_wherever_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
