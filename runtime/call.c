/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A call of shale-runtime: see call.h.
 */
#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "json.h"
#include "runtime.h"
#include "scope.h"

#define CONFIG_NAME "config.json"

static void find_root(struct call *call)
{
	const char *root = call->command.value[COMMAND_ROOT];
	char path[PATH_MAX], dir[PATH_MAX];
	int n = 0;

	call->root[0] = '\0';
	if (root && *root == '/')
		n = snprintf(path, sizeof(path), "%s", root);
	else if (root && *root && getcwd(dir, sizeof(dir)))
		n = snprintf(path, sizeof(path), "%s/%s", dir, root);
	else if (root || call->command.kind == RUNTIME_NONE)
		return; /* an unknown runtime's own place */
	else
		runtime_default_root(0, call->command.kind, path);
	if (n < (int)sizeof(path))
		runtime_settle_root(path, call->root);
}

void call_init(struct call *call, const char *path, int argc, char **argv)
{
	call->path = path;
	call->argc = argc;
	call->argv = argv;
	command_parse(command_kind(path), &call->argc, argv, &call->command);
	find_root(call);
}

bool call_is_creating(const struct call *call)
{
	return command_is(&call->command, call->argv, "create") ||
	       command_is(&call->command, call->argv, "run") ||
	       command_is(&call->command, call->argv, "restore");
}

int call_config(const struct call *call, char ret[PATH_MAX])
{
	const char *bundle = call->command.value[COMMAND_BUNDLE];
	const char *config = call->command.value[COMMAND_CONFIG];
	int n;

	/* crun looks for any other name from where it was started. */
	if (config && call->command.kind == RUNTIME_CRUN &&
	    strcmp(config, CONFIG_NAME) != 0)
		n = snprintf(ret, PATH_MAX, "%s", config);
	else
		n = snprintf(ret, PATH_MAX, "%s/" CONFIG_NAME,
			     bundle && *bundle ? bundle : ".");
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int call_exec(const struct call *call, struct shale_error *err)
{
	(void)execv(call->path, call->argv);
	return error_errno(err, errno, "run the runtime '%s'", call->path);
}

/* ---- what an engine reads ---- */

/* crun's --log also takes file:PATH, and names of other places. */
static const char *log_path(const struct call *call)
{
	const char *path = call->command.value[COMMAND_LOG];

	if (!path || call->command.kind != RUNTIME_CRUN)
		return path;
	if (!strncmp(path, "file:", 5))
		return path + 5;
	return !strncmp(path, "journald:", 9) || !strncmp(path, "syslog:", 7)
		       ? NULL
		       : path;
}

static void tell_log(const struct call *call, const char *sentence)
{
	const char *path = log_path(call);
	const char *format = call->command.value[COMMAND_LOG_FORMAT];
	char stamp[32] = "";
	const char *const pairs[] = { "level", "error", "msg", sentence,
				      "time",  stamp,	NULL };
	const time_t now = time(NULL);
	struct tm tm;
	auto_free char *line = NULL;
	auto_free char *quoted = NULL;
	auto_fd fd = -1;

	if (!path || !*path || !gmtime_r(&now, &tm))
		return;
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (format && !strcmp(format, "json")) {
		if (json_write_strings(pairs, &line) < 0)
			return;
	} else if (json_write_string(sentence, &quoted) < 0 ||
		   asprintf(&line, "time=\"%s\" level=error msg=%s", stamp,
			    quoted) < 0) {
		line = NULL;
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC,
		  0644);
	if (fd >= 0)
		(void)dprintf(fd, "%s\n", line);
}

void call_tell(const struct call *call, const char *sentence)
{
	(void)fprintf(stderr, "shale-runtime: %s\n", sentence);
	tell_log(call, sentence);
}
