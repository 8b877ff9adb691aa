/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs, each from the file of its name.
 */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "cli.h"

extern const struct verb prepare_verb, view_verb, mounts_verb, mount_verb,
	umount_verb, commit_verb, flatten_verb, remove_verb, delete_verb,
	parent_verb, exists_verb, stat_verb, label_verb, usage_verb, ls_verb,
	active_verb, tree_verb, cleanup_verb, plugin_verb, unshare_verb,
	help_verb, check_verb, verify_verb;

#endif
