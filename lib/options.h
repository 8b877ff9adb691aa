/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The options of an overlay besides its directories: what the configuration
 * says, what labels of a snapshot ask for, and the defaults that keep a mount
 * safe.  The labels are checked here when a snapshot is prepared, and are fixed
 * from then on.
 */
#ifndef LIB_OPTIONS_H
#define LIB_OPTIONS_H

#include "record.h"

/* A list of options that is being made; all zero is an empty one. */
struct options {
	char **items; /* NULL-terminated once there is one */
	size_t count;
};

void options_drop(struct options *options);

#define auto_options __attribute__((cleanup(options_drop))) struct options

/** options_add - append an option, formatted; 0 or -ENOMEM */
int options_add(struct options *options, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** options_take - append an option that is taken also on failure, or NULL */
int options_take(struct options *options, char *option);

/**
 * options_add_rest - append all but the directories, in the order of
 * shale-store(5): configured ones, those of labels, defaults
 *
 * Return: 0, -EINVAL (configured ones that contradict userxattr), -ENOMEM;
 *         with a sentence.
 */
int options_add_rest(struct options *options, struct overlay *ov,
		     const struct record *record, struct shale_error *err);

/**
 * options_add_flags - append those that a bind mount takes as well
 */
int options_add_flags(struct options *options, const struct record *record,
		      struct shale_error *err);

/**
 * options_check_configured - whether an administrator may have an option in
 * mount_option (@for_labels false) or in allow_mount_option (true)
 */
bool options_check_configured(const char *option, bool for_labels);

/**
 * options_check_labels - refuse labels that a new snapshot can't honour
 * @is_bind: it will be mounted as a bind, not as an overlay
 *
 * Return: 0, or -EINVAL with a sentence that names the label.
 */
int options_check_labels(const struct overlay *ov, const char *const *labels,
			 uint32_t kind, bool is_bind, struct shale_error *err);

/**
 * options_check_fixed - refuse a change of labels that decide how a snapshot
 * is mounted
 *
 * Return: 0, or -EINVAL with a sentence that names the label.
 */
int options_check_fixed(const char *const *old, const char *const *new,
			struct shale_error *err);

/**
 * options_probe_kernel - which defaults this kernel's overlayfs takes
 * @module_dir: /sys/module/overlay; where it is absent, all are taken
 *
 * Return: a bit for each.
 */
unsigned int options_probe_kernel(const char *module_dir);

#define OPTIONS_MODULE_DIR "/sys/module/overlay"

#endif
