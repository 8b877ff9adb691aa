/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the stages of shale-hook share.
 */
#ifndef HOOKS_HOOK_H
#define HOOKS_HOOK_H

#include "config.h"
#include "snapshotter.h"
#include "state.h"

/* The door's name in the owner labels of its keys. */
#define HOOK_DOOR "hook"

/**
 * struct hook - one call of the program; all lent
 * @stage: as the runtime's configuration names it
 * @root_option, @config_option: of its command line; NULL where there is none
 * @state: empty for precreate, which gets none
 */
struct hook {
	const char *stage, *root_option, *config_option;
	const struct config *config;
	const struct state *state;
};

/**
 * hook_create - give a container its root file system
 *
 * For stage prestart, createRuntime and createContainer.  Everything that can
 * be refused is refused before the store is touched; a failure after that is
 * undone in the store, and the runtime gives the container up.
 *
 * Return: 0 or a negative errno.
 */
int hook_create(const struct hook *hook, struct shale_error *err);

/**
 * hook_check_user - refuse createContainer as the mapped root of a container
 *
 * To be asked before the configuration is read, which is somebody else's to
 * him: the refusal has to be about the stage.
 *
 * Return: 0 or -ENOTSUP.
 */
int hook_check_user(const struct hook *hook, struct shale_error *err);

/**
 * hook_precreate - give a container of podman its root file system
 *
 * Reads config.json from standard input and writes it to standard output with
 * the mount as root.path.  A failure leaves neither mount, key nor record, and
 * podman gives the container up.
 */
int hook_precreate(const struct hook *hook, struct shale_error *err);

/**
 * hook_poststop - do with the container's key what was asked at its creation
 *
 * Any number of times; a key that is gone or is not this container's own is
 * success.
 */
int hook_poststop(const struct hook *hook, struct shale_error *err);

#endif
