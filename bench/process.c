/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Contestant: whole processes of shale, from their start to their end.
 *
 *	stat layers=N			shale stat of the last of N layers
 *	prestart layers=N		shale-hook prestart for a container
 *	prestart-memory layers=N	what it has resident, in KiB
 *
 * SHALE and SHALE_HOOK name the programs; else they are looked up in PATH and
 * in /usr/local/libexec.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "container.h"
#include "shelf.h"
#include "spawned.h"

#define STORE "store"

static struct shale_store *store;
static char root[PATH_MAX], bundle[PATH_MAX], tip[SHELF_NAME_SIZE];

static char *program(const char *variable, const char *fallback)
{
	char *named = getenv(variable);

	return named && *named ? named : (char *)(uintptr_t)fallback;
}

static int set_up_stat(const struct contest *contest)
{
	const long layers = contest_number(contest, "layers", 10);

	(void)snprintf(root, sizeof(root), "%s/" STORE, contest->dir);
	shelf_name(layers - 1, tip);
	return shelf_fill_chain(contest, STORE, layers);
}

static int once_stat(uint64_t *ret_ns)
{
	char *argv[] = { program("SHALE", "shale"),
			 (char *)"--root",
			 root,
			 (char *)"stat",
			 tip,
			 NULL };

	return spawned_run(argv, NULL, ret_ns, NULL);
}

static int set_up_prestart(const struct contest *contest)
{
	if (contest_alone() < 0 || set_up_stat(contest) < 0)
		return -1;
	store = shelf_open(contest, STORE);
	(void)snprintf(bundle, sizeof(bundle), "%s/bundle", contest->dir);
	return store ? container_bundle(bundle, tip) : -1;
}

static int give_root(pid_t pid, uint64_t *ret_ns, long *ret_kib)
{
	char *argv[] = { program("SHALE_HOOK", "/usr/local/libexec/shale-hook"),
			 (char *)"--root", root, (char *)"prestart", NULL };
	char *state = container_state(bundle, "bench", pid);
	int r = state ? spawned_run(argv, state, ret_ns, ret_kib) : -1;

	free(state);
	return r;
}

static int in_container(uint64_t *ret_ns, long *ret_kib)
{
	struct shale_error err = SHALE_ERROR_INIT;
	pid_t pid = container_start(bundle);
	int r;

	if (pid < 0)
		return -1;
	r = give_root(pid, ret_ns, ret_kib);
	container_end(pid);
	if (r == 0 && shale_remove(store, "bench", &err) < 0)
		r = contest_fail("%s", err.msg);
	return r;
}

static int once_prestart(uint64_t *ret_ns)
{
	return in_container(ret_ns, NULL);
}

static int once_memory(uint64_t *ret_kib)
{
	uint64_t ns;
	long kib;
	int r = in_container(&ns, &kib);

	*ret_kib = (uint64_t)kib;
	return r;
}

static void tear_down(void)
{
	shale_store_close(store);
	store = NULL;
}

int main(int argc, char **argv)
{
	static const struct contest_row rows[] = {
		{ "stat", set_up_stat, once_stat, tear_down, NULL },
		{ "prestart", set_up_prestart, once_prestart, tear_down, NULL },
		{ "prestart-memory", set_up_prestart, once_memory, tear_down,
		  NULL },
	};

	container_pose_as_runtime(&argc, argv);
	return contest_main(argc, argv, rows, sizeof(rows) / sizeof(*rows));
}
