/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale.json: see config.h.  The file is read once, whole, and every key of
 * it is known here or refused.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conffile.h"
#include "error.h"
#include "home.h"
#include "json.h"
#include "number.h"
#include "process.h"
#include "scope.h"

static int out_of_memory(const struct config *config, struct shale_error *err)
{
	return error_fail(err, ENOMEM, "read '%s': out of memory",
			  config->policy.path);
}

static int refuse(const struct config *config, const char *key,
		  const char *what, struct shale_error *err)
{
	return error_fail(err, EINVAL, "read '%s': %s %s", config->policy.path,
			  key, what);
}

/* Appends a pair to store_config. */
static int add_pair(struct config *config, const char *key, const char *value,
		    struct shale_error *err)
{
	size_t count = 0;
	char **bigger;

	while (config->store_config && config->store_config[count])
		count++;
	bigger = realloc(config->store_config, (count + 3) * sizeof(*bigger));
	if (!bigger)
		return out_of_memory(config, err);
	config->store_config = bigger;
	bigger[count] = strdup(key);
	bigger[count + 1] = bigger[count] ? strdup(value) : NULL;
	bigger[count + 2] = NULL;
	return bigger[count + 1] ? 0 : out_of_memory(config, err);
}

static int set_string(struct config *config, const char *key,
		      const struct json *value, char **slot,
		      struct shale_error *err)
{
	const char *text = json_string(value);

	if (!text || !*text)
		return refuse(config, key, "is no string, or empty", err);
	free(*slot);
	*slot = strdup(text);
	return *slot ? 0 : out_of_memory(config, err);
}

static int set_root(struct config *config, const char *key,
		    const struct json *value, struct shale_error *err)
{
	int r = set_string(config, key, value, &config->root, err);

	config->makes_above = false;
	if (r == 0 && config->root[0] != '/')
		return refuse(config, key, "is no absolute path", err);
	return r;
}

static int set_snapshotter(struct config *config, const char *key,
			   const struct json *value, struct shale_error *err)
{
	return set_string(config, key, value, &config->snapshotter, err);
}

static int set_runtime(struct config *config, const char *key,
		       const struct json *value, struct shale_error *err)
{
	return set_string(config, key, value, &config->runtime, err);
}

static int set_durability(struct config *config, const char *key,
			  const struct json *value, struct shale_error *err)
{
	const char *text = json_string(value);

	if (!text || (strcmp(text, "none") != 0 && strcmp(text, "layer") != 0 &&
		      strcmp(text, "all") != 0))
		return refuse(config, key,
			      "is none of \"none\", \"layer\", \"all\"", err);
	return add_pair(config, key, text, err);
}

static int set_manifest(struct config *config, const char *key,
			const struct json *value, struct shale_error *err)
{
	const char *text = json_string(value);

	if (!text ||
	    (strcmp(text, "always") != 0 && strcmp(text, "asked") != 0))
		return refuse(config, key,
			      "is neither \"always\" nor \"asked\"", err);
	return add_pair(config, key, text, err);
}

static int set_options(struct config *config, const char *key,
		       const struct json *value, const char *store_key,
		       struct shale_error *err)
{
	int r = 0;

	if (value->type != JSON_ARRAY)
		return refuse(config, key, "is no list of strings", err);
	for (size_t i = 0; r == 0 && i < value->count; i++) {
		const char *option = json_string(value->items[i]);

		if (!option || !*option)
			return refuse(config, key,
				      "is no list of non-empty strings", err);
		r = add_pair(config, store_key, option, err);
	}
	return r;
}

static int set_mount_options(struct config *config, const char *key,
			     const struct json *value, struct shale_error *err)
{
	return set_options(config, key, value, "mount_option", err);
}

static int set_allowed_options(struct config *config, const char *key,
			       const struct json *value,
			       struct shale_error *err)
{
	return set_options(config, key, value, "allow_mount_option", err);
}

/* What a name may be is for the snapshotter to say. */
static int set_uppers(struct config *config, const char *key,
		      const struct json *value, struct shale_error *err)
{
	int r = 0;

	if (value->type != JSON_OBJECT)
		return refuse(config, key, "is no object of paths", err);
	for (size_t i = 0; r == 0 && i < value->count; i++) {
		const char *dir = json_string(value->items[i]);
		auto_free char *pair = NULL;

		if (!dir || *dir != '/')
			return refuse(config, key,
				      "is no object of absolute paths", err);
		if (asprintf(&pair, "%s=%s", value->keys[i], dir) < 0)
			return out_of_memory(config, err);
		r = add_pair(config, "upper", pair, err);
	}
	return r;
}

static int set_lock_timeout(struct config *config, const char *key,
			    const struct json *value, struct shale_error *err)
{
	uint64_t ms;

	if (value->type != JSON_NUMBER ||
	    number_parse(value->text, INT32_MAX, &ms) < 0)
		return refuse(config, key, "is no whole number of milliseconds",
			      err);
	return add_pair(config, key, value->text, err);
}

static int set_flag(struct config *config, const char *key,
		    const struct json *value, struct shale_error *err)
{
	if (value->type != JSON_BOOL)
		return refuse(config, key, "is neither true nor false", err);
	return value->boolean ? add_pair(config, key, "yes", err) : 0;
}

static int set_volatile(struct config *config, const char *key,
			const struct json *value, struct shale_error *err)
{
	if (value->type != JSON_BOOL)
		return refuse(config, key, "is neither true nor false", err);
	config->keeps_syncs = !value->boolean;
	return 0;
}

static int set_policy(struct config *config, const char *key,
		      const struct json *value, struct shale_error *err)
{
	(void)key;
	return policy_parse(value, &config->policy, err);
}

static const struct {
	const char *key;
	int (*set)(struct config *config, const char *key,
		   const struct json *value, struct shale_error *err);
} settings[] = {
	{ "root", set_root },
	{ "snapshotter", set_snapshotter },
	{ "runtime", set_runtime },
	{ "durability", set_durability },
	{ "mount_options", set_mount_options },
	{ "allowed_mount_options", set_allowed_options },
	{ "uppers", set_uppers },
	{ "lock_timeout_ms", set_lock_timeout },
	{ "any_filesystem", set_flag },
	{ "slow_chown", set_flag },
	{ "delete_later", set_flag },
	{ "manifest", set_manifest },
	{ "volatile", set_volatile },
	{ "policy", set_policy },
};

static int apply_member(struct config *config, const char *key,
			const struct json *value, struct shale_error *err)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		if (!strcmp(settings[i].key, key))
			return settings[i].set(config, key, value, err);
	return error_fail(err, EINVAL, "read '%s': unknown key '%s'",
			  config->policy.path, key);
}

static int apply(struct config *config, const struct json *json,
		 struct shale_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < json->count; i++)
		r = apply_member(config, json->keys[i], json->items[i], err);
	return r;
}

/* NULL where the user has no place for it. */
static int default_root(bool is_users, char **ret)
{
	if (!is_users)
		*ret = strdup(CONFIG_ROOT);
	else
		*ret = home_path("XDG_DATA_HOME", ".local/share", "shale");
	return *ret || errno == ENOENT ? 0 : -ENOMEM;
}

static struct config *config_new(const char *path, bool is_users)
{
	auto_config config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	errno = 0;
	if (default_root(is_users, &config->root) < 0)
		return NULL;
	config->makes_above = is_users;
	config->snapshotter = strdup(CONFIG_SNAPSHOTTER);
	config->store_config = calloc(1, sizeof(*config->store_config));
	config->policy.path = strdup(path);
	if (!config->snapshotter || !config->store_config ||
	    !config->policy.path)
		return NULL;
	return take_ptr(&config);
}

int config_load(const char *path, struct config **ret, struct shale_error *err)
{
	bool is_users = home_is_users();
	auto_free char *own = NULL;
	const char *name = path ? path : CONFIG_PATH;
	auto_config config = NULL;
	auto_json json = NULL;
	int r = 0;

	if (!path && is_users)
		name = own = home_config();
	config = config_new(name ? name : CONFIG_PATH, is_users);
	if (!config)
		return error_fail(err, ENOMEM,
				  "read the configuration: out of memory");
	if (name)
		r = conffile_read(path ? path : own, &json, err);
	if (r == -ENOENT && own) { /* as may be with the machine's */
		error_clear(err);
		r = 0;
	}
	if (r == 0 && json)
		r = apply(config, json, err);
	if (r < 0)
		return r;
	*ret = take_ptr(&config);
	return 0;
}

/* A --root takes the place of the file's; alone it allows anything. */
static int set_option(struct config *config, const char *root, bool has_path,
		      struct shale_error *err)
{
	if (!root)
		return 0;
	free(config->root);
	config->root = strdup(root);
	config->makes_above = false;
	if (!config->root)
		return out_of_memory(config, err);
	config->policy.anything = !has_path;
	return 0;
}

int config_load_for_hook(const char *root, const char *path,
			 struct config **ret, struct shale_error *err)
{
	auto_config config = NULL;
	int r = 0;

	if (path || !home_is_users())
		r = config_load(path, &config, err);
	else if (!root)
		return error_fail(
			err, EINVAL,
			"there is no default store for what a user's runtime calls: give it --config FILE or --root DIR");
	else if ((config = config_new(CONFIG_PATH, true)) == NULL)
		return error_fail(err, ENOMEM, "configure: out of memory");
	if (r == 0)
		r = set_option(config, root, path != NULL, err);
	if (r < 0)
		return r;
	if (!config->root)
		return error_fail(
			err, EINVAL,
			"'%s' names no root, and there is no default for what a user's runtime calls",
			path);
	*ret = take_ptr(&config);
	return 0;
}

int config_load_for_runtime(const char *root, const char *path,
			    struct config **ret, struct shale_error *err)
{
	auto_config config = NULL;
	int r = config_load(path, &config, err);

	if (r == 0)
		r = set_option(config, root, path != NULL, err);
	if (r < 0)
		return r;
	if (!config->root)
		return error_fail(
			err, ENOENT,
			"no store: neither XDG_DATA_HOME nor HOME is set: give --shale-root DIR");
	*ret = take_ptr(&config);
	return 0;
}

bool config_is_volatile(const struct config *config)
{
	return !config->keeps_syncs &&
	       !strcmp(config->snapshotter, CONFIG_SNAPSHOTTER) &&
	       !process_kernel_before(5, 10);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (char **p = config->store_config; p && *p; p++)
		free(*p);
	free(config->store_config);
	free(config->root);
	free(config->snapshotter);
	free(config->runtime);
	policy_clear(&config->policy);
	free(config);
}
