/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules of a store on disk, read by the directories themselves and not
 * through the library.
 */
#ifndef UNIT_INVARIANTS_H
#define UNIT_INVARIANTS_H

#include <stdbool.h>

/**
 * invariants_check - compare here/store with every rule of its format
 * @after_kill: a process died in it: facts that a failed commit leaves in an
 *              active, and those of a key in a committed one, are allowed
 *
 * Nothing may change the store meanwhile.  Each broken rule is printed.
 *
 * Return: how many rules are broken.
 */
int invariants_check(bool after_kill);

#endif
