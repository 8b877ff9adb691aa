/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SHA-256, which libcrypto makes.
 */
#ifndef LIB_DIGEST_H
#define LIB_DIGEST_H

#include <openssl/sha.h>
#include <stddef.h>

#define DIGEST_BYTES SHA256_DIGEST_LENGTH

/* A digest that is being made; nothing to free. */
struct digest {
	SHA256_CTX context;
};

/** digest_begin - a digest of nothing yet */
void digest_begin(struct digest *digest);

/** digest_add - take in more */
void digest_add(struct digest *digest, const void *data, size_t len);

/** digest_end - the digest; begin it anew before the next use */
void digest_end(struct digest *digest, unsigned char ret[DIGEST_BYTES]);

#endif
