/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SHA-256: see digest.h.
 *
 * By the functions that libcrypto calls deprecated: EVP finds the same code by
 * name, and first reads openssl.cnf and starts the providers, a millisecond in
 * each short-lived process.  These also need no memory, can't fail and leave
 * nothing in the host's queue of errors.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "digest.h"

void digest_begin(struct digest *digest)
{
	(void)SHA256_Init(&digest->context);
}

void digest_add(struct digest *digest, const void *data, size_t len)
{
	(void)SHA256_Update(&digest->context, data, len);
}

void digest_end(struct digest *digest, unsigned char ret[DIGEST_BYTES])
{
	(void)SHA256_Final(ret, &digest->context);
}
