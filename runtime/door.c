/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale-runtime-door RUNTIME NAME ARG...: the part of shale-runtime(8) that
 * mounts and unmounts.  shale-runtime becomes it for a container of ours, and
 * tells which runtime it has found and by which name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "call.h"
#include "door.h"
#include "error.h"

int main(int argc, char **argv)
{
	struct shale_error err = SHALE_ERROR_INIT;
	struct ending ending = { 0 };
	struct call call = { 0 };
	int r;

	if (argc < 3) {
		(void)fputs("shale-runtime-door: for shale-runtime alone\n",
			    stderr);
		return EXIT_FAILURE;
	}
	/* argv[2] is what the runtime is to see as its argv[0]. */
	call_init(&call, argv[1], argc - 2, argv + 2);
	if (call_is_creating(&call))
		r = door_create(&call, &ending, &err);
	else if (command_is(&call.command, call.argv, "delete"))
		r = door_delete(&call, &ending, &err);
	else
		r = call_exec(&call, &err);
	if (r < 0) {
		call_tell(&call, err.msg);
		return EXIT_FAILURE;
	}
	child_end_as(&ending);
}
