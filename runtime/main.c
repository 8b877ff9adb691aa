/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale-runtime(8): an OCI runtime that gives a container its root file
 * system before the real one sees it.
 *
 * Most calls are none of our business: this loads next to nothing, has a look,
 * and becomes the real runtime.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "conffile.h"
#include "door.h"
#include "error.h"
#include "find.h"
#include "home.h"
#include "json.h"
#include "mark.h"
#include "mounted.h"
#include "scope.h"

static const char usage_text[] =
	"Usage: shale-runtime [OPTION]... [RUNTIME-OPTION]... VERB ...\n"
	"An OCI runtime: mounts layers for containers that ask for them, and\n"
	"leaves everything else to the real runtime.\n"
	"\n"
	"  --shale-runtime-path PATH  the real runtime, or its name in PATH\n"
	"  --shale-root DIR           the store; without --shale-config, its\n"
	"                             annotations may ask for anything\n"
	"  --shale-config FILE        instead of " SHALE_CONFIG_FILE "\n"
	"  --shale-help               this text; --help is the real runtime's\n";

/* Words of a call, and NULL. */
static char **copy_words(int argc, char **argv)
{
	char **words = calloc((size_t)argc + 1, sizeof(*words));

	if (words)
		memcpy(words, argv, (size_t)argc * sizeof(*words));
	return words;
}

/* "runtime" of shale.json: the whole file is for who opens the store. */
static int configured_runtime(const char *config, struct json **ret_json,
			      const char **ret, struct shale_error *err)
{
	const bool is_own = !config && home_is_users();
	auto_free char *own = is_own ? home_config() : NULL;
	const struct json *value;
	int r = is_own && !own
			? 0
			: conffile_read(own ? own : config, ret_json, err);

	if (r == -ENOENT && own) { /* as may be with the machine's */
		error_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	value = json_get(*ret_json, "runtime");
	*ret = json_string(value);
	if (value && (!*ret || !**ret))
		return error_fail(err, EINVAL,
				  "read '%s': runtime is no string, or empty",
				  own	   ? own
				  : config ? config
					   : SHALE_CONFIG_FILE);
	return 0;
}

static bool wants_door(const struct call *call)
{
	char path[PATH_MAX];

	if (command_is(&call->command, call->argv, "delete"))
		return call->command.value[COMMAND_REGEX] ||
		       mounted_is_on_record(DOOR_RUNTIME, call->path,
					    call->root, call->command.id);
	if (!call_is_creating(call) || !call->command.id)
		return false;
	return (call_config(call, path) == 0 && mark_is_in(path)) ||
	       mounted_is_on_record(DOOR_RUNTIME, call->path, call->root,
				    call->command.id);
}

/* Comes back only where it could not do it. */
static int go_through_door(const struct call *call, struct shale_error *err)
{
	struct ending ending = { 0 };
	int r = command_is(&call->command, call->argv, "delete")
			? door_delete(call, &ending, err)
			: door_create(call, &ending, err);

	if (r < 0)
		return r;
	child_end_as(&ending);
}

static int check_options(const struct command *own, struct shale_error *err)
{
	static const enum command_slot paths[] = { COMMAND_SHALE_ROOT,
						   COMMAND_SHALE_CONFIG };

	if (own->missing)
		return error_fail(err, EINVAL, "option '--%s' has no value",
				  own->missing);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (own->value[paths[i]] && own->value[paths[i]][0] != '/')
			return error_fail(err, EINVAL, "no absolute path: '%s'",
					  own->value[paths[i]]);
	return 0;
}

static int run(struct call *call, int argc, char **argv,
	       struct shale_error *err)
{
	auto_free char **first = copy_words(argc, argv);
	auto_free char **words = copy_words(argc, argv);
	auto_json json = NULL;
	char path[PATH_MAX];
	const char *asked, *name;
	struct command own;
	int count = argc, r;

	if (!first || !words)
		return error_fail(err, ENOMEM, "out of memory");
	/* Ours are known before we know whose the others are. */
	command_parse(RUNTIME_NONE, &count, first, &call->command);
	own = call->command;
	if (own.value[COMMAND_SHALE_HELP]) {
		(void)fputs(usage_text, stdout);
		return 0;
	}
	r = check_options(&own, err);
	asked = own.value[COMMAND_SHALE_RUNTIME];
	if (r == 0 && !asked)
		r = configured_runtime(own.value[COMMAND_SHALE_CONFIG], &json,
				       &asked, err);
	if (r == 0)
		r = find_runtime(asked, path, &name, err);
	if (r < 0)
		return r;
	words[0] = (char *)name;
	call_init(call, path, argc, words);
	return wants_door(call) ? go_through_door(call, err)
				: call_exec(call, err);
}

int main(int argc, char **argv)
{
	struct shale_error err = SHALE_ERROR_INIT;
	struct call call = { 0 };

	if (argc < 1)
		return EXIT_FAILURE;
	if (run(&call, argc, argv, &err) == 0)
		return EXIT_SUCCESS;
	call_tell(&call, err.msg);
	return EXIT_FAILURE;
}
