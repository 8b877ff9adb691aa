/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a runtime still has a container.
 */
#ifndef DOOR_PRESENCE_H
#define DOOR_PRESENCE_H

#include <stdbool.h>

/**
 * presence_has_no_directory - a container's directory is surely not in a root
 * @root: of a runtime; "" where it is not known
 *
 * Return: false also where that can't be seen.
 */
bool presence_has_no_directory(const char *root, const char *id);

/**
 * presence_has_directory - a container's directory is surely in a root
 */
bool presence_has_directory(const char *root, const char *id);

/**
 * presence_is_gone - a runtime surely has no such container
 * @runtime: path of its program
 *
 * runc and crun keep a directory for each; another runtime is asked for the
 * state of a container that has none.  Where it can't be asked, none is gone.
 */
bool presence_is_gone(const char *runtime, const char *root, const char *id);

/**
 * presence_may_be - a runtime that has just run has such a container, as it
 * says itself, or was killed as it was asked
 *
 * A directory that it left behind is none.
 */
bool presence_may_be(const char *runtime, const char *root, const char *id);

#endif
