/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale-hook(8): one program for the OCI hook stages.  Reads its arguments
 * and the state on standard input, and prints one sentence when it fails.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include "config.h"
#include "confine.h"
#include "error.h"
#include "hook.h"
#include "process.h"
#include "scope.h"
#include "shale.h"
#include "state.h"

#define EXIT_USAGE 2

static const struct {
	const char *name;
	int (*run)(const struct hook *hook, struct shale_error *err);
	bool has_state; /* on standard input; else it reads that itself */
} stages[] = {
	{ "precreate", hook_precreate, false },
	{ "prestart", hook_create, true },
	{ "createRuntime", hook_create, true },
	{ "createContainer", hook_create, true },
	{ "poststop", hook_poststop, true },
};

#define STAGES (sizeof(stages) / sizeof(*stages))

struct arguments {
	const char *root, *config;
	size_t stage;
};

static const char usage_text[] =
	"Usage: shale-hook [--root DIR] [--config FILE] STAGE\n"
	"Gives an OCI container a layered root file system.  STAGE is one of\n"
	"precreate, prestart, createRuntime, createContainer, poststop; the OCI\n"
	"state is read from standard input, for precreate config.json, which\n"
	"goes to standard output with its root replaced.\n"
	"\n"
	"  --root DIR     the store; without --config, its annotations may ask\n"
	"                 for anything\n"
	"  --config FILE  instead of " CONFIG_PATH "\n"
	"  --help, --version\n";

static int usage_error(const char *what, const char *word)
{
	(void)fprintf(stderr, "shale-hook: %s '%s'; see shale-hook --help\n",
		      what, word);
	return EXIT_USAGE;
}

/* What a runtime leaves open would outlive its own care. */
static void leave_the_caller(void)
{
	closefrom(3);
	(void)umask(022);
}

static int parse_stage(char **words, int count, struct arguments *ret)
{
	if (count < 1)
		return usage_error("no stage in", "shale-hook");
	if (count > 1)
		return usage_error("more than one stage:", words[1]);
	for (ret->stage = 0; ret->stage < STAGES; ret->stage++)
		if (!strcmp(stages[ret->stage].name, words[0]))
			return 0;
	return usage_error("unknown stage", words[0]);
}

/* 0 to go on, -1 when all is done, else the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const char **slot;

		if (option == 'h' || option == 'v') {
			if (option == 'h')
				(void)fputs(usage_text, stdout);
			else
				(void)printf("shale-hook %s\n",
					     shale_version());
			return -1;
		}
		if (option != 'r' && option != 'c')
			return EXIT_USAGE; /* getopt has told why */
		slot = option == 'r' ? &ret->root : &ret->config;
		if (optarg[0] != '/')
			return usage_error("no absolute path:", optarg);
		*slot = optarg;
	}
	return parse_stage(argv + optind, argc - optind, ret);
}

static int run(const struct arguments *arguments, struct shale_error *err)
{
	auto_config config = NULL;
	auto_state state = { 0 };
	struct hook hook = {
		.stage = stages[arguments->stage].name,
		.root_option = arguments->root,
		.config_option = arguments->config,
	};
	int r = hook_check_user(&hook, err);

	if (r == 0 && stages[arguments->stage].has_state)
		r = state_read(STDIN_FILENO, &state, err);
	if (r == 0)
		r = config_load_for_hook(arguments->root, arguments->config,
					 &config, err);
	if (r < 0)
		return r;
	hook.config = config;
	hook.state = &state;
	return stages[arguments->stage].run(&hook, err);
}

/* crun gives its hooks /dev/null unless an annotation names a file. */
static bool is_unheard(void)
{
	struct stat st;

	return fstat(STDERR_FILENO, &st) < 0 ||
	       (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

static void tell(const char *stage, const char *sentence)
{
	(void)fprintf(stderr, "shale-hook %s: %s\n", stage, sentence);
	if (!is_unheard())
		return;
	openlog("shale-hook", LOG_PID, LOG_DAEMON);
	syslog(LOG_ERR, "%s: %s", stage, sentence);
	closelog();
}

int main(int argc, char **argv)
{
	struct shale_error err = SHALE_ERROR_INIT;
	struct arguments arguments = { 0 };
	int r;

	leave_the_caller();
	process_fill_streams();
	/* The usual soft limit is for select(2), not for us. */
	process_raise_limit();
	r = confine_environment(&err);
	if (r == 0)
		r = confine_privilege(&err);
	if (r < 0) {
		tell("start", err.msg);
		return 1;
	}
	r = parse_arguments(argc, argv, &arguments);
	if (r != 0)
		return r < 0 ? 0 : r;
	if (chdir("/") < 0)
		r = error_errno(&err, errno, "chdir to '/'");
	else
		r = run(&arguments, &err);
	if (r == 0)
		return 0;
	tell(stages[arguments.stage].name, err.msg);
	return 1;
}
