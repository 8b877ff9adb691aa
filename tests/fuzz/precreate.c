/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stage precreate makes of config.json: every byte but those of root.path
 * is as it was, and the result reads as the same document with another root.
 */
#include "fuzz.h"

#include <string.h>

#include "bundle.h"
#include "scope.h"
#include "text.h"

const char fuzz_name[] = "precreate";

static bool are_same(const struct json *a, const struct json *b,
		     const struct json *but)
{
	if (a == but)
		return b->type == JSON_STRING;
	if (a->type != b->type || a->count != b->count)
		return false;
	if (a->type == JSON_BOOL && a->boolean != b->boolean)
		return false;
	if (a->text && strcmp(a->text, b->text) != 0)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if ((a->keys && strcmp(a->keys[i], b->keys[i]) != 0) ||
		    !are_same(a->items[i], b->items[i], but))
			return false;
	return true;
}

static void check(const struct bundle *bundle, const char *text, size_t len,
		  const char *root)
{
	const struct json *old =
		json_get(json_get(bundle->json, "root"), "path");
	auto_free char *out = NULL;
	auto_json json = NULL;
	size_t out_len, tail = len - old->end;

	REQUIRE(bundle_with_root(bundle, text, len, root, &out, &out_len) == 0);
	REQUIRE(out_len >= old->start + tail);
	REQUIRE(!memcmp(out, text, old->start));
	REQUIRE(!memcmp(out + out_len - tail, text + old->end, tail));
	REQUIRE(json_parse(out, out_len, "answer", &json, NULL) == 0);
	REQUIRE(!strcmp(json_string(json_get(json_get(json, "root"), "path")),
			root));
	REQUIRE(are_same(bundle->json, json, old));
}

/* The new root, a NUL, and the document. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	auto_free char *root = bytes_word(&bytes);
	auto_bundle bundle = { 0 };
	struct json *json;
	int r = json_parse((const char *)bytes.at, bytes.left, "config.json",
			   &json, NULL);

	if (r == 0)
		r = bundle_parse("", json, &bundle, NULL);
	if (r == 0 && text_is_utf8(root))
		check(&bundle, (const char *)bytes.at, bytes.left, root);
	return 0;
}
