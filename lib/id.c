/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * IDs and the one check of names: see id.h.
 */
#include "id.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "digest.h"
#include "error.h"
#include "text.h"

#define ID_BYTES 16

void id_from_name(const char *name, char ret[ID_SIZE])
{
	unsigned char bytes[DIGEST_BYTES];
	struct digest digest;

	digest_begin(&digest);
	digest_add(&digest, name, strlen(name));
	digest_end(&digest, bytes);
	text_hex(bytes, ID_BYTES, ret);
}

bool id_is_valid(const char *text)
{
	return strlen(text) == ID_SIZE - 1 &&
	       strspn(text, "0123456789abcdef") == ID_SIZE - 1;
}

int id_random(char ret[ID_SIZE])
{
	unsigned char bytes[ID_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	text_hex(bytes, sizeof(bytes), ret);
	return 0;
}

int name_check(const char *name, const char *what, struct shale_error *err)
{
	size_t len = name ? strnlen(name, SHALE_NAME_SIZE) : 0;

	if (len == 0)
		return error_fail(err, EINVAL, "the %s is empty", what);
	if (len >= SHALE_NAME_SIZE)
		return error_fail(err, EINVAL,
				  "the %s '%.64s...' is longer than %u bytes",
				  what, name, SHALE_NAME_SIZE - 1);
	return 0;
}
