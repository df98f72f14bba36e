// SPDX-License-Identifier: LGPL-2.1-or-later
/* SHA-256, from OpenSSL's libcrypto. */
#include "demo.h"

#include <stdlib.h>

#include <openssl/evp.h>

struct digest {
	EVP_MD_CTX *context;
};

struct digest *digest_new(void)
{
	struct digest *digest = calloc(1, sizeof(*digest));

	if (!digest)
		return NULL;
	digest->context = EVP_MD_CTX_new();
	if (!digest->context ||
	    !EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL)) {
		digest_free(digest);
		return NULL;
	}
	return digest;
}

int digest_add(struct digest *digest, const void *data, size_t length)
{
	return EVP_DigestUpdate(digest->context, data, length) ? 0 : -1;
}

int digest_end(struct digest *digest, unsigned char out[DEMO_DIGEST_BYTES])
{
	unsigned int length = 0;

	if (!EVP_DigestFinal_ex(digest->context, out, &length))
		return -1;
	return length == DEMO_DIGEST_BYTES ? 0 : -1;
}

void digest_free(struct digest *digest)
{
	if (!digest)
		return;
	EVP_MD_CTX_free(digest->context);
	free(digest);
}
