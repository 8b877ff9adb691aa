/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loading libmount: see libmount.h.
 */
#include "libmount.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* Of each libmount since 2010; another would have other functions. */
#define SONAME "libmount.so.1"

#define LIBMOUNT_ENTRY(name) { #name, offsetof(struct libmount, name) },
static const struct {
	const char *name;
	size_t offset;
} entries[] = { LIBMOUNT_FUNCTIONS(LIBMOUNT_ENTRY) };
#undef LIBMOUNT_ENTRY

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct libmount functions;
static const struct libmount *loaded;

static int fail_load(struct shale_error *err)
{
	const char *why = dlerror();

	return error_fail(err, ELIBACC, "load libmount (Debian: libmount1): %s",
			  why ? why : "no reason is told");
}

static int load(struct shale_error *err)
{
	void *handle = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return fail_load(err);
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		void **slot = (void **)(void *)((unsigned char *)&functions +
						entries[i].offset);

		/* A host's own comes first, as if we were linked to it. */
		*slot = dlsym(RTLD_DEFAULT, entries[i].name);
		if (!*slot)
			*slot = dlsym(handle, entries[i].name);
		if (!*slot)
			return fail_load(err);
	}
	loaded = &functions;
	return 0;
}

int libmount_load(const struct libmount **ret, struct shale_error *err)
{
	int r = 0;

	(void)pthread_mutex_lock(&lock);
	if (!loaded)
		r = load(err);
	if (r == 0)
		*ret = loaded;
	(void)pthread_mutex_unlock(&lock);
	return r;
}
