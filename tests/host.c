/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A whole host: it loads a snapshotter, and makes two layers with it.
 *
 *	host PLUGIN STORE DIR
 */
#include <stdio.h>

#include <shale/shale.h>

static int mount_at(void *dir, const struct shale_mount_spec *spec)
{
	struct shale_error err = SHALE_ERROR_INIT;

	if (shale_mount(spec, (const char *)dir, &err) == 0)
		return 0;
	fprintf(stderr, "host: %s\n", err.msg);
	return 1;
}

static int layer(struct shale_store *store, const char *name,
		 const char *parent, char *dir, struct shale_error *err)
{
	char path[4096];
	FILE *file;

	if (shale_prepare(store, "new", parent, NULL, err) != 0 ||
	    shale_mounts(store, "new", mount_at, dir, err) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	if (!file || fprintf(file, "%s\n", name) < 0 || fclose(file) != 0)
		perror(path);
	if (shale_unmount(dir, err) != 0)
		return -1;
	return shale_commit(store, name, "new", NULL, err);
}

int main(int argc, char **argv)
{
	const char *const config[] = { "create", "yes", NULL };
	struct shale_error err = SHALE_ERROR_INIT;
	struct shale_plugin *plugin = NULL;
	struct shale_store *store = NULL;
	int failed = argc != 4 ||
		     shale_plugin_load(argv[1], &plugin, &err) != 0 ||
		     shale_store_open(argv[2], plugin, config, NULL, &store,
				      &err) != 0 ||
		     layer(store, "base", NULL, argv[3], &err) != 0 ||
		     layer(store, "second", "base", argv[3], &err) != 0;

	if (failed)
		fprintf(stderr, "host: %s\n", err.msg);
	shale_store_close(store);
	shale_plugin_unload(plugin);
	return failed;
}
