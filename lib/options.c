/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options of an overlay: see options.h.
 */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "labels.h"
#include "scope.h"
#include "shale.h"
#include "spec.h"
#include "upper.h"

/* fsconfig(2) takes 255 bytes a value. */
#define VALUE_MAX 255

/* What decides how a snapshot is mounted, and is fixed once it is made. */
static const char *const fixed[] = {
	SHALE_LABEL_MOUNT_OPTIONS,
	SHALE_LABEL_SELINUX_CONTEXT,
	SHALE_LABEL_UPPER,
	SHALE_LABEL_VOLATILE,
};

/*
 * Said at each mount, since a module parameter may say otherwise: a layer of a
 * stranger must not lead by a redirect to another directory of the store, nor
 * take a file's contents from there; and an index binds an upper to the very
 * inodes of its layers.
 *
 * @parameter: what the module shows where it knows the option; nofollow came
 *             with redirect_always_follow, in Linux 4.15.
 * @unless:    configured options that the kernel refuses beside it, or that
 *             mean the contrary
 */
static const struct {
	const char *key, *option, *parameter;
	const char *unless[4];
} defaults[] = {
	{ "index", "index=off", "index", { "nfs_export=on" } },
	{ "redirect_dir",
	  "redirect_dir=nofollow",
	  "redirect_always_follow",
	  { "metacopy=on", "verity=on", "verity=require" } },
	{ "metacopy",
	  "metacopy=off",
	  "metacopy",
	  { "verity=on", "verity=require" } },
};

#define DEFAULTS (sizeof(defaults) / sizeof(*defaults))

/* Options that are shale's own to give. */
static const char *const directories[] = { "lowerdir",	"upperdir", "workdir",
					   "lowerdir+", "datadir+", "uidmap",
					   "gidmap" };
static const struct {
	const char *key, *label; /* the label that is there for it, or NULL */
} own[] = {
	{ "volatile", SHALE_LABEL_VOLATILE },
	{ "context", SHALE_LABEL_SELINUX_CONTEXT },
	{ "fscontext", NULL },
	{ "defcontext", NULL },
	{ "rootcontext", NULL },
	{ "userxattr", NULL },
	{ "uidmap", NULL },
	{ "gidmap", NULL },
	{ "ro", NULL },
	{ "rw", NULL },
	{ "bind", NULL },
	{ "rbind", NULL },
};

/* ---- a list ---- */

void options_drop(struct options *options)
{
	for (size_t i = 0; i < options->count; i++)
		free(options->items[i]);
	free(options->items);
	*options = (struct options){ 0 };
}

int options_take(struct options *options, char *option)
{
	auto_free char *taken = option;
	char **more = reallocarray(options->items, options->count + 2,
				   sizeof(*options->items));

	if (more)
		options->items = more;
	if (!more || !taken)
		return -ENOMEM;
	more[options->count++] = take_ptr(&taken);
	more[options->count] = NULL;
	return 0;
}

int options_add(struct options *options, const char *fmt, ...)
{
	char *option;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&option, fmt, args);
	va_end(args);
	return n < 0 ? -ENOMEM : options_take(options, option);
}

static size_t key_length(const char *option)
{
	return strcspn(option, "=");
}

static bool same_key(const char *a, const char *b)
{
	return key_length(a) == key_length(b) && !strncmp(a, b, key_length(a));
}

static bool list_has_key(char *const *items, const char *option)
{
	for (; items && *items; items++)
		if (same_key(*items, option))
			return true;
	return false;
}

static bool list_has(char *const *items, const char *option)
{
	for (; items && *items; items++)
		if (!strcmp(*items, option))
			return true;
	return false;
}

/* ---- what a label says ---- */

static const char *label_of(const struct record *record, const char *key)
{
	return labels_get((const char *const *)record->labels, key);
}

/* "OPT[,OPT]" one by one; 0 at its end. */
static int split(const char *text, struct options *ret)
{
	int r = 0;

	while (r == 0 && text && *text) {
		size_t len = strcspn(text, ",");

		r = options_add(ret, "%.*s", (int)len, text);
		text += len + (text[len] == ',');
	}
	return r;
}

/* ---- emitting ---- */

static bool is_excused(char *const *items, size_t i)
{
	for (const char *const *option = defaults[i].unless; *option; option++)
		if (list_has(items, *option))
			return true;
	return list_has_key(items, defaults[i].key);
}

/* The kernel's own sentence on what it refuses is in its log alone; of what it
 * ignores there is none.
 */
static const struct {
	const char *option, *what;
} beside_userxattr[] = {
	{ "redirect_dir=on", "refuses" },  { "redirect_dir=follow", "refuses" },
	{ "redirect_dir=off", "refuses" }, /* it wants nofollow */
	{ "metacopy=on", "refuses" },	   { "index=on", "ignores" },
	{ "nfs_export=on", "ignores" },	   { "xino=on", "ignores" },
};

static int check_userxattr(char *const *items, struct shale_error *err)
{
	const size_t n = sizeof(beside_userxattr) / sizeof(*beside_userxattr);

	if (!list_has(items, "userxattr"))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (list_has(items, beside_userxattr[i].option))
			return error_fail(
				err, EINVAL,
				"mount option '%s' can't be had with userxattr, in a user namespace, where the kernel %s it: take it out of the configuration",
				beside_userxattr[i].option,
				beside_userxattr[i].what);
	return 0;
}

/* What a label says of a key counts, not the configuration. */
static int add_configured(struct options *options, const struct overlay *ov,
			  const struct options *asked, bool has_context)
{
	int r = 0;

	for (char **option = ov->mount_options; r == 0 && *option; option++)
		if (!list_has_key(asked->items, *option) &&
		    !(has_context && same_key(*option, "context")))
			r = options_add(options, "%s", *option);
	for (size_t i = 0; r == 0 && i < asked->count; i++)
		r = options_add(options, "%s", asked->items[i]);
	return r;
}

/* A bit for each default, and one more once that is known. */
static unsigned int kernel_takes(struct overlay *ov)
{
	unsigned int known = atomic_load(&ov->kernel_takes);

	if (!known) {
		known = options_probe_kernel(OPTIONS_MODULE_DIR) |
			1u << DEFAULTS;
		atomic_store(&ov->kernel_takes, known);
	}
	return known;
}

static int add_all(struct options *options, struct overlay *ov,
		   const struct record *record)
{
	const char *context = label_of(record, SHALE_LABEL_SELINUX_CONTEXT);
	auto_options asked = { 0 };
	int r = split(label_of(record, SHALE_LABEL_MOUNT_OPTIONS), &asked);

	if (r == 0)
		r = add_configured(options, ov, &asked, context != NULL);
	if (r == 0 && label_of(record, SHALE_LABEL_VOLATILE))
		r = options_add(options, "volatile");
	/* In quotes: categories have a comma between them. */
	if (r == 0 && context)
		r = options_add(options, "context=\"%s\"", context);
	for (size_t i = 0; r == 0 && i < DEFAULTS; i++)
		if ((kernel_takes(ov) & 1u << i) &&
		    !is_excused(options->items, i))
			r = options_add(options, "%s", defaults[i].option);
	if (r == 0 && ov->userxattr &&
	    !list_has_key(options->items, "userxattr"))
		r = options_add(options, "userxattr");
	return r;
}

int options_add_rest(struct options *options, struct overlay *ov,
		     const struct record *record, struct shale_error *err)
{
	int r = add_all(options, ov, record);

	if (r < 0)
		return error_fail(err, -r, "list mount options: out of memory");
	return check_userxattr(options->items, err);
}

int options_add_flags(struct options *options, const struct record *record,
		      struct shale_error *err)
{
	int r = split(label_of(record, SHALE_LABEL_MOUNT_OPTIONS), options);

	return r < 0 ? error_fail(err, -r, "list mount options: out of memory")
		     : 0;
}

/* ---- checking ---- */

bool options_check_configured(const char *option, bool for_labels)
{
	for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++)
		if (same_key(option, directories[i]))
			return false;
	for (size_t i = 0; for_labels && i < sizeof(own) / sizeof(*own); i++)
		if (same_key(option, own[i].key))
			return false;
	if (!*option || *option == '=')
		return false;
	return !for_labels ||
	       (!strchr(option, ',') && !spec_refuses_option(option));
}

static int bad_label(const char *label, const char *why,
		     struct shale_error *err)
{
	return error_fail(err, EINVAL, "label '%s': %s", label, why);
}

static int check_volatile(const char *value, uint32_t kind, bool is_bind,
			  struct shale_error *err)
{
	const char *label = SHALE_LABEL_VOLATILE;

	if (!value)
		return 0;
	if (strcmp(value, "true") != 0)
		return error_fail(err, EINVAL,
				  "label '%s': it is 'true' or not there",
				  label);
	if (kind == SHALE_KIND_VIEW)
		return bad_label(label, "a view is read-only", err);
	if (is_bind)
		return bad_label(
			label,
			"this snapshot is mounted as a bind, and only an overlay can be volatile",
			err);
	return 0;
}

/* user:role:type[:level], as the kernel has it; a level may hold both. */
static bool is_context(const char *value)
{
	static const char legal[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_.:,-";
	const size_t len = strlen(value);

	if (len > VALUE_MAX || strspn(value, legal) != len)
		return false;
	for (int part = 0; part < 3; part++) {
		const size_t n = strcspn(value, ":");

		if (n == 0 || (part < 2 && !value[n]))
			return false;
		value += n + (value[n] == ':');
		if (value[-1] == ':' && !*value)
			return false;
	}
	return true;
}

static int check_context(const char *value, bool is_bind,
			 struct shale_error *err)
{
	const char *label = SHALE_LABEL_SELINUX_CONTEXT;

	if (!value)
		return 0;
	if (!is_context(value))
		return error_fail(
			err, EINVAL,
			"label '%s': '%s' is no context user:role:type[:level] of at most %d bytes",
			label, value, VALUE_MAX);
	if (is_bind)
		return bad_label(
			label,
			"this snapshot is mounted as a bind, which shows the contexts that the files have",
			err);
	return 0;
}

static int check_option(const struct overlay *ov, const char *option,
			bool is_bind, struct shale_error *err)
{
	const char *label = SHALE_LABEL_MOUNT_OPTIONS;

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (same_key(option, own[i].key) && own[i].label)
			return error_fail(
				err, EINVAL,
				"label '%s': '%s' has a label of its own, '%s'",
				label, option, own[i].label);
	if (!options_check_configured(option, true))
		return error_fail(
			err, EINVAL,
			"label '%s': '%s' is never taken from a label", label,
			option);
	if (!list_has(ov->allowed_options, option))
		return error_fail(
			err, EINVAL,
			"label '%s': '%s' is not allowed: add \"%s\" to allowed_mount_options in shale.json",
			label, option, option);
	if (is_bind && !spec_is_flag(option))
		return error_fail(
			err, EINVAL,
			"label '%s': this snapshot is mounted as a bind, which has no '%s'",
			label, option);
	return 0;
}

static bool is_list(const char *value)
{
	return *value && *value != ',' && !strstr(value, ",,") &&
	       value[strlen(value) - 1] != ',';
}

static int check_mount_options(const struct overlay *ov, const char *value,
			       bool is_bind, struct shale_error *err)
{
	const char *label = SHALE_LABEL_MOUNT_OPTIONS;
	auto_options asked = { 0 };
	int r;

	if (!value)
		return 0;
	if (!is_list(value))
		return bad_label(label, "an option of it is empty", err);
	r = split(value, &asked);
	if (r < 0)
		return error_fail(err, -r, "read labels: out of memory");
	for (size_t i = 0; i < asked.count; i++) {
		r = check_option(ov, asked.items[i], is_bind, err);
		if (r < 0)
			return r;
		for (size_t j = 0; j < i; j++)
			if (same_key(asked.items[i], asked.items[j]))
				return error_fail(
					err, EINVAL,
					"label '%s': '%s' and '%s' say the same twice",
					label, asked.items[j], asked.items[i]);
	}
	return 0;
}

static int check_upper(const struct overlay *ov, const char *value,
		       uint32_t kind, struct shale_error *err)
{
	if (!value)
		return 0;
	if (kind == SHALE_KIND_VIEW)
		return bad_label(SHALE_LABEL_UPPER,
				 "a view is read-only and has no upper", err);
	return upper_check_name(ov, value, err);
}

int options_check_labels(const struct overlay *ov, const char *const *labels,
			 uint32_t kind, bool is_bind, struct shale_error *err)
{
	int r = check_volatile(labels_get(labels, SHALE_LABEL_VOLATILE), kind,
			       is_bind, err);

	if (r == 0)
		r = check_context(
			labels_get(labels, SHALE_LABEL_SELINUX_CONTEXT),
			is_bind, err);
	if (r == 0)
		r = check_mount_options(
			ov, labels_get(labels, SHALE_LABEL_MOUNT_OPTIONS),
			is_bind, err);
	if (r == 0)
		r = check_upper(ov, labels_get(labels, SHALE_LABEL_UPPER), kind,
				err);
	return r;
}

int options_check_fixed(const char *const *old, const char *const *new,
			struct shale_error *err)
{
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		const char *was = labels_get(old, fixed[i]);
		const char *is = labels_get(new, fixed[i]);

		if (was ? !is || strcmp(was, is) != 0 : is != NULL)
			return error_fail(
				err, EINVAL,
				"label '%s' is fixed once a snapshot is prepared",
				fixed[i]);
	}
	return 0;
}

unsigned int options_probe_kernel(const char *module_dir)
{
	unsigned int known = 0;

	for (size_t i = 0; i < DEFAULTS; i++) {
		auto_free char *path = NULL;

		if (asprintf(&path, "%s/parameters/%s", module_dir,
			     defaults[i].parameter) < 0 ||
		    access(path, F_OK) == 0)
			known |= 1u << i;
	}
	/* The module is not loaded yet, or there is no sysfs here. */
	if (!known && access(module_dir, F_OK) < 0)
		return (1u << DEFAULTS) - 1;
	return known;
}
