/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Contestant: mount and unmount by libshale, through its installed header.
 *
 *	mount layers=N		an active on N layers, read-write
 *	mount-mapped layers=N	the same, its ids mapped
 *
 * Measured is shale_mount and shale_unmount of what shale_mounts has given.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shelf.h"

#define KEY "bench"
#define STORE "store"
#define MAP "0:100000:65536"

/* A spec that outlives the callback. */
static struct shale_mount_spec spec;
static char **options;
static char *target;

static struct shale_store *store;

static int keep_spec(void *ctx, const struct shale_mount_spec *given)
{
	size_t n = 0;

	(void)ctx;
	while (given->options[n])
		n++;
	options = calloc(n + 1, sizeof(*options));
	if (!options)
		return 1;
	for (size_t i = 0; i < n; i++)
		options[i] = strdup(given->options[i]);
	spec = (struct shale_mount_spec){
		.size = sizeof(spec),
		.type = strdup(given->type),
		.source = strdup(given->source),
		.options = (const char *const *)options,
	};
	return 0;
}

static int make_active(long layers, bool is_mapped, struct shale_error *err)
{
	static const char *const labels[] = { SHALE_LABEL_UIDMAP, MAP,
					      SHALE_LABEL_GIDMAP, MAP, NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };
	char parent[SHELF_NAME_SIZE];
	int r;

	shelf_name(layers - 1, parent);
	r = shale_prepare(store, KEY, parent, is_mapped ? &opts : NULL, err);
	return r < 0 ? r : shale_mounts(store, KEY, keep_spec, NULL, err);
}

static int set_up(const struct contest *contest, bool is_mapped)
{
	struct shale_error err = SHALE_ERROR_INIT;
	const long layers = contest_number(contest, "layers", 10);

	if (contest_alone() < 0 ||
	    asprintf(&target, "%s/target", contest->dir) < 0)
		return -1;
	if (mkdir(target, 0755) < 0)
		return contest_fail_errno("make '%s'", target);
	if (shelf_fill_chain(contest, STORE, layers) < 0)
		return -1;
	store = shelf_open(contest, STORE);
	if (!store)
		return -1;
	if (make_active(layers, is_mapped, &err) < 0)
		return contest_fail("%s", err.msg);
	return 0;
}

static int set_up_plain(const struct contest *contest)
{
	return set_up(contest, false);
}

static int set_up_mapped(const struct contest *contest)
{
	return set_up(contest, true);
}

static int once(uint64_t *ret_ns)
{
	struct shale_error err = SHALE_ERROR_INIT;
	const uint64_t start = contest_now();
	int r = shale_mount(&spec, target, &err);

	if (r == 0)
		r = shale_unmount(target, &err);
	*ret_ns = contest_now() - start;
	return r < 0 ? contest_fail("%s", err.msg) : 0;
}

static void tear_down(void)
{
	for (char **option = options; option && *option; option++)
		free(*option);
	free(options);
	free((char *)spec.type);
	free((char *)spec.source);
	free(target);
	shale_store_close(store);
	options = NULL;
	target = NULL;
	store = NULL;
	spec.type = spec.source = NULL;
}

int main(int argc, char **argv)
{
	static const struct contest_row rows[] = {
		{ "mount", set_up_plain, once, tear_down, NULL },
		{ "mount-mapped", set_up_mapped, once, tear_down, NULL },
	};

	return contest_main(argc, argv, rows, sizeof(rows) / sizeof(*rows));
}
