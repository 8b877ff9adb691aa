/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config.json of a bundle.
 */
#include "fuzz.h"

#include <string.h>

#include "bundle.h"

const char fuzz_name[] = "bundle";

static void check_list(const struct json *list, enum json_type type)
{
	if (!list)
		return;
	REQUIRE(list->type == JSON_ARRAY);
	for (size_t i = 0; i < list->count; i++)
		REQUIRE(list->items[i]->type == type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shale_error err = SHALE_ERROR_INIT;
	auto_bundle bundle = { 0 };
	struct json *json;
	int r = json_parse((const char *)data, size, "config.json", &json,
			   &err);

	if (r == 0)
		r = bundle_parse("/a bundle", json, &bundle, &err);
	fuzz_check_result(r, &err);
	if (r < 0) {
		REQUIRE(!bundle.json && !bundle.rootfs);
		return 0;
	}
	REQUIRE(bundle.rootfs[0] == '/');
	REQUIRE(!bundle.mount_label || bundle.mount_label[0]);
	check_list(bundle.masked, JSON_STRING);
	check_list(bundle.readonly, JSON_STRING);
	check_list(bundle.devices, JSON_OBJECT);
	for (size_t i = 0; bundle.devices && i < bundle.devices->count; i++)
		REQUIRE(json_string(
			json_get(bundle.devices->items[i], "path")));
	return 0;
}
