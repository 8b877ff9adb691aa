/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taking a mount spec apart: see spec.h for the text's rules.
 */
#include "spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "error.h"
#include "scope.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

/* Options of a mount, as mount(8) calls them. */
static const struct {
	const char *word;
	uint64_t set, clear;
} attr_words[] = {
	{ "nosuid", MOUNT_ATTR_NOSUID, 0 },
	{ "suid", 0, MOUNT_ATTR_NOSUID },
	{ "nodev", MOUNT_ATTR_NODEV, 0 },
	{ "dev", 0, MOUNT_ATTR_NODEV },
	{ "noexec", MOUNT_ATTR_NOEXEC, 0 },
	{ "exec", 0, MOUNT_ATTR_NOEXEC },
	{ "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW },
	{ "nodiratime", MOUNT_ATTR_NODIRATIME, 0 },
	{ "diratime", 0, MOUNT_ATTR_NODIRATIME },
	/* The three are one field: setting one clears the others. */
	{ "noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME },
	{ "strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME },
	{ "relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME },
};

/*
 * Words with which the two engines would do different things: some are
 * libmount's alone, which reads them and asks the kernel for something else.
 */
static const char *const refused_words[] = {
	"remount",	 "move",     "private",	  "rprivate",	"shared",
	"rshared",	 "slave",    "rslave",	  "unbindable", "runbindable",
	"sync",		 "dirsync",  "lazytime",  "mand",	"iversion",
	"noiversion",	 "silent",   "loud",	  "atime",	"norelatime",
	"nostrictatime", "defaults", "source",	  "lowerdir+",	"datadir+",
	"auto",		 "noauto",   "user",	  "nouser",	"users",
	"nousers",	 "owner",    "noowner",	  "group",	"nogroup",
	"_netdev",	 "nofail",   "comment",	  "uhelper",	"helper",
	"loop",		 "offset",   "sizelimit", "encryption",
};

/* And all that starts so. */
static const char *const refused_starts[] = { "x-", "X-", "verity." };

void spec_free(struct spec *spec)
{
	if (!spec)
		return;
	for (size_t i = 0; i < spec->rest_count; i++) {
		free(spec->rest[i].key);
		free(spec->rest[i].value);
	}
	free(spec->lowers);
	free(spec->lowers_text);
	free(spec->rest);
	free(spec->source);
	free(spec->upper);
	free(spec->work);
	idmaps_clear(&spec->maps);
	free(spec);
}

static int check_path(const char *path, const char *what,
		      struct shale_error *err)
{
	if (!*path)
		return error_fail(err, EINVAL, "%s is empty", what);
	if (*path != '/')
		return error_fail(err, EINVAL,
				  "%s '%s' is not an absolute path", what,
				  path);
	return 0;
}

static int check_escapes(const char *value, struct shale_error *err)
{
	const char *layer = value;

	for (; *value; value++) {
		if (*value == ':')
			layer = value + 1;
		if (*value != '\\')
			continue;
		value++;
		if (*value != ':' && *value != '\\')
			return error_fail(
				err, EINVAL,
				"lowerdir has a '\\' before neither ':' nor '\\': '%s'",
				layer);
	}
	return 0;
}

/*
 * Unescapes one layer where it stands, up to its ':' or the end; returns
 * where the next one starts, or NULL.
 */
static char *cut_lower(char *at)
{
	char *out = at, last;

	while (*at && *at != ':') {
		if (*at == '\\')
			at++;
		*out++ = *at++;
	}
	last = *at;
	*out = '\0';
	return last ? at + 1 : NULL;
}

/* An upper bound: an escaped ':' counts too. */
static size_t count_parts(const char *value)
{
	size_t n = 1;

	for (; *value; value++)
		n += *value == ':';
	return n;
}

static int parse_lowers(struct spec *spec, const char *value,
			struct shale_error *err)
{
	char *at;
	size_t n = 0;
	int r;

	if (spec->lowers)
		return error_fail(err, EINVAL, "lowerdir is there twice");
	r = check_escapes(value, err);
	if (r < 0)
		return r;
	spec->lowers = calloc(count_parts(value), sizeof(*spec->lowers));
	spec->lowers_text = strdup(value);
	if (!spec->lowers || !spec->lowers_text)
		return error_errno(err, ENOMEM, "read lowerdir");
	for (at = spec->lowers_text; at; spec->lower_count = ++n) {
		spec->lowers[n] = at;
		at = cut_lower(at);
		r = check_path(spec->lowers[n], "a layer in lowerdir", err);
		if (r < 0)
			return r;
	}
	if (n > SPEC_LOWERS_MAX)
		return error_fail(
			err, E2BIG,
			"%zu layers are too many: an overlay takes at most %d, and 'shale flatten NEW NAME' makes one of them",
			n, SPEC_LOWERS_MAX);
	return 0;
}

static int parse_dir(char **slot, const char *what, const char *value,
		     struct shale_error *err)
{
	int r;

	if (*slot)
		return error_fail(err, EINVAL, "%s is there twice", what);
	r = check_path(value, what, err);
	if (r < 0)
		return r;
	*slot = strdup(value);
	if (!*slot)
		return error_errno(err, ENOMEM, "read %s", what);
	return 0;
}

/* True where @option is a flag of the mount; it is then taken in. */
static bool parse_attr(struct spec *spec, const char *option)
{
	for (size_t i = 0; i < sizeof(attr_words) / sizeof(*attr_words); i++) {
		uint64_t set = attr_words[i].set, clear = attr_words[i].clear;

		if (strcmp(option, attr_words[i].word) != 0)
			continue;
		spec->attr_set = (spec->attr_set & ~clear) | set;
		spec->attr_clear = (spec->attr_clear & ~set) | clear;
		return true;
	}
	return false;
}

static bool is_refused(const char *key)
{
	for (size_t i = 0; i < sizeof(refused_words) / sizeof(*refused_words);
	     i++)
		if (strcmp(key, refused_words[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(refused_starts) / sizeof(*refused_starts);
	     i++)
		if (strncmp(key, refused_starts[i],
			    strlen(refused_starts[i])) == 0)
			return true;
	return false;
}

bool spec_refuses_option(const char *option)
{
	auto_free char *key = strndup(option, strcspn(option, "="));

	return !key || is_refused(key);
}

bool spec_is_flag(const char *option)
{
	for (size_t i = 0; i < sizeof(attr_words) / sizeof(*attr_words); i++)
		if (!strcmp(option, attr_words[i].word))
			return true;
	return false;
}

bool spec_is_context(const char *key)
{
	const size_t len = strlen(key), tail = strlen("context");

	return len >= tail && strcmp(key + len - tail, "context") == 0;
}

bool spec_has_context(const struct spec *spec)
{
	for (size_t i = 0; i < spec->rest_count; i++)
		if (spec_is_context(spec->rest[i].key))
			return true;
	return false;
}

static char *copy_value(const char *value)
{
	size_t len = strlen(value);

	if (len >= 2 && value[0] == '"' && value[len - 1] == '"')
		return strndup(value + 1, len - 2);
	return strdup(value);
}

static int add_rest(struct spec *spec, const char *key, size_t key_len,
		    const char *value, struct shale_error *err)
{
	struct spec_option *more = reallocarray(
		spec->rest, spec->rest_count + 1, sizeof(*spec->rest));
	struct spec_option *option;

	if (!more)
		return error_errno(err, ENOMEM, "read a mount option");
	spec->rest = more;
	option = &spec->rest[spec->rest_count++];
	option->key = strndup(key, key_len);
	option->value = value ? copy_value(value) : NULL;
	if (!option->key || (value && !option->value))
		return error_errno(err, ENOMEM, "read a mount option");
	if (is_refused(option->key))
		return error_fail(err, EINVAL,
				  "mount option '%s' has no place in a spec",
				  option->key);
	/* mount(2) would make several of it. */
	if (strpbrk(option->key, ",\"\\"))
		return error_fail(
			err, EINVAL,
			"mount option '%s' has a ',', '\"' or '\\' in its name: give each option by itself",
			key);
	return 0;
}

/* "key=..." gives what follows the '='; anything else NULL. */
static const char *value_of(const char *option, const char *key)
{
	size_t len = strlen(key);

	if (strncmp(option, key, len) != 0 || option[len] != '=')
		return NULL;
	return option + len + 1;
}

/* Positive where @option is no mapping. */
static int parse_map(struct spec *spec, const char *option,
		     struct shale_error *err)
{
	static const char *const keys[] = { "uidmap", "gidmap" };
	struct idmap **const slots[] = { &spec->maps.uid, &spec->maps.gid };

	for (size_t i = 0; i < 2; i++) {
		const char *value = value_of(option, keys[i]);

		if (!value)
			continue;
		if (*slots[i])
			return error_fail(err, EINVAL, "%s is there twice",
					  keys[i]);
		return idmap_parse(value, keys[i], slots[i], err);
	}
	return 1;
}

/* Options of an overlay alone. */
static int parse_overlay_option(struct spec *spec, const char *option,
				struct shale_error *err)
{
	const char *equals = strchr(option, '='), *value;
	size_t key_len = equals ? (size_t)(equals - option) : strlen(option);

	value = value_of(option, "lowerdir");
	if (value)
		return parse_lowers(spec, value, err);
	value = value_of(option, "upperdir");
	if (value)
		return parse_dir(&spec->upper, "upperdir", value, err);
	value = value_of(option, "workdir");
	if (value)
		return parse_dir(&spec->work, "workdir", value, err);
	if (key_len == 0 || !strcmp(option, "bind") || !strcmp(option, "rbind"))
		return error_fail(
			err, EINVAL,
			"mount option '%s' has no place in an overlay", option);
	return add_rest(spec, option, key_len, equals ? equals + 1 : NULL, err);
}

static int parse_option(struct spec *spec, const char *option, bool *is_rw,
			struct shale_error *err)
{
	bool is_bind = spec->kind == SPEC_BIND;
	int r;

	if (!strcmp(option, "ro") || !strcmp(option, "rw")) {
		spec->is_read_only = option[1] == 'o';
		*is_rw = !spec->is_read_only;
		return 0;
	}
	if (parse_attr(spec, option))
		return 0;
	r = parse_map(spec, option, err);
	if (r <= 0)
		return r;
	if (!is_bind)
		return parse_overlay_option(spec, option, err);
	if (!strcmp(option, "bind") || !strcmp(option, "rbind")) {
		spec->is_recursive = option[0] == 'r';
		return 0;
	}
	return error_fail(err, EINVAL,
			  "mount option '%s' has no place in a bind", option);
}

static int check_overlay(const struct spec *spec, struct shale_error *err)
{
	if (!spec->lower_count)
		return error_fail(err, EINVAL, "overlay without lowerdir");
	if (!spec->upper != !spec->work)
		return error_fail(err, EINVAL, "overlay with %s but without %s",
				  spec->upper ? "upperdir" : "workdir",
				  spec->upper ? "workdir" : "upperdir");
	if (!spec->upper && spec->lower_count < 2)
		return error_fail(
			err, EINVAL,
			"overlay of one layer without upperdir: mount it as a bind");
	return 0;
}

/* The struct itself: as ABI.md's rule for structs that may grow. */
static int check_struct(const struct shale_mount_spec *mount,
			struct shale_error *err)
{
	const unsigned char *bytes = (const unsigned char *)mount;

	if (!mount || mount->size < sizeof(*mount))
		return error_fail(err, EINVAL, "the struct is too short");
	for (size_t i = sizeof(*mount); i < mount->size; i++)
		if (bytes[i])
			return error_fail(
				err, E2BIG,
				"the struct asks for more than is known here");
	if (mount->flags)
		return error_fail(err, EINVAL, "unknown flags 0x%x",
				  mount->flags);
	if (!mount->type || !mount->options)
		return error_fail(err, EINVAL, "type or options are missing");
	return 0;
}

static int parse(const struct shale_mount_spec *mount, struct spec *spec,
		 struct shale_error *err)
{
	bool is_rw = false;
	int r;

	if (!strcmp(mount->type, "bind"))
		spec->kind = SPEC_BIND;
	else if (!strcmp(mount->type, "overlay"))
		spec->kind = SPEC_OVERLAY;
	else
		return error_fail(err, EINVAL,
				  "type '%s' is neither bind nor overlay",
				  mount->type);
	if (spec->kind == SPEC_BIND) {
		r = check_path(mount->source ? mount->source : "",
			       "the source of a bind", err);
		if (r < 0)
			return r;
	}
	spec->source = strdup(mount->source && *mount->source ? mount->source
							      : "overlay");
	if (!spec->source)
		return error_errno(err, ENOMEM, "read the source");
	for (size_t i = 0; mount->options[i]; i++) {
		r = parse_option(spec, mount->options[i], &is_rw, err);
		if (r < 0)
			return r;
	}
	if (!spec->maps.uid != !spec->maps.gid)
		return error_fail(err, EINVAL, "%s without %s",
				  spec->maps.uid ? "uidmap" : "gidmap",
				  spec->maps.uid ? "gidmap" : "uidmap");
	if (spec->kind == SPEC_BIND)
		return 0;
	if (!spec->upper && is_rw)
		return error_fail(err, EINVAL,
				  "rw is asked of an overlay without upperdir");
	if (!spec->upper)
		spec->is_read_only = true;
	return check_overlay(spec, err);
}

int spec_parse(const struct shale_mount_spec *mount, struct spec **ret,
	       struct shale_error *err)
{
	auto_spec spec = NULL;
	int r = check_struct(mount, err);

	if (r < 0)
		return error_context(err, r, "mount spec");
	spec = calloc(1, sizeof(*spec));
	if (!spec)
		return error_errno(err, ENOMEM, "mount spec");
	r = parse(mount, spec, err);
	if (r < 0)
		return error_context(err, r, "mount spec");
	*ret = take_ptr(&spec);
	return 0;
}
