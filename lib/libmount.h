/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The library libmount, which is loaded when a mount wants it: on a kernel
 * with the new mount API none does, and with all that libmount needs itself
 * it would be half of what a short command takes.
 */
#ifndef LIB_LIBMOUNT_H
#define LIB_LIBMOUNT_H

#include <libmount.h>

#include "snapshotter.h"

/* NAME(of a function); each has the type that libmount.h gives it. */
#define LIBMOUNT_FUNCTIONS(NAME)               \
	NAME(mnt_context_disable_canonicalize) \
	NAME(mnt_context_disable_helpers)      \
	NAME(mnt_context_disable_mtab)         \
	NAME(mnt_context_disable_swapmatch)    \
	NAME(mnt_context_force_unrestricted)   \
	NAME(mnt_context_get_syscall_errno)    \
	NAME(mnt_context_mount)                \
	NAME(mnt_context_set_fstype)           \
	NAME(mnt_context_set_mflags)           \
	NAME(mnt_context_set_options)          \
	NAME(mnt_context_set_source)           \
	NAME(mnt_context_set_target)           \
	NAME(mnt_free_context)                 \
	NAME(mnt_get_library_version)          \
	NAME(mnt_new_context)

struct libmount {
#define LIBMOUNT_MEMBER(name) __typeof__(name) *name;
	LIBMOUNT_FUNCTIONS(LIBMOUNT_MEMBER)
#undef LIBMOUNT_MEMBER
};

/**
 * libmount_load - the functions of libmount, which stays loaded
 * @ret: static
 *
 * Return: 0, -ELIBACC (not installed, or without one of them; with a sentence).
 */
int libmount_load(const struct libmount **ret, struct shale_error *err);

#endif
