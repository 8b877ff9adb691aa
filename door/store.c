/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening the store that a configuration names: config_open_store of
 * config.h, apart, so that a program that opens none needs no libshale.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "home.h"
#include "scope.h"

/* The pairs of the file behind those of this call; the strings are lent. */
static const char **merge_pairs(const struct config *config, bool create)
{
	const char **pairs;
	size_t count = 0, i = 0;

	while (config->store_config[count])
		count++;
	pairs = calloc(count + 3, sizeof(*pairs));
	if (!pairs)
		return NULL;
	if (create) {
		pairs[i++] = "create";
		pairs[i++] = "yes";
	}
	for (char **p = config->store_config; *p; p++)
		pairs[i++] = *p;
	return pairs;
}

int config_open_store(const struct config *config, const char *root,
		      const char *snapshotter, bool create,
		      const struct shale_host *host,
		      struct shale_plugin **ret_plugin,
		      struct shale_store **ret_store, struct shale_error *err)
{
	auto_free const char **pairs = merge_pairs(config, create);
	struct shale_plugin *plugin;
	int r;

	if (!pairs)
		return error_fail(err, ENOMEM, "open the store: out of memory");
	if (!root && !config->root)
		return error_fail(
			err, ENOENT,
			"no store: neither XDG_DATA_HOME nor HOME is set: give --root DIR");
	/* A home may be new; elsewhere a typing error would be a store. */
	if (!root && create && config->makes_above) {
		r = home_make_above(config->root, err);
		if (r < 0)
			return r;
	}
	r = shale_plugin_load(snapshotter ? snapshotter : config->snapshotter,
			      &plugin, err);
	if (r < 0)
		return r;
	r = shale_store_open(root ? root : config->root, plugin, pairs, host,
			     ret_store, err);
	if (r != 0) {
		shale_plugin_unload(plugin);
		return r;
	}
	*ret_plugin = plugin;
	return 0;
}
