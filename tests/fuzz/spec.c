/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mount specs, as a snapshotter that is not ours may write them: what was
 * understood, written again, is understood the same.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/mount.h>

#include "mount.h"
#include "scope.h"
#include "spec.h"
#include "text.h"

const char fuzz_name[] = "spec";

#define OPTIONS_MAX 12

static int parse(const char *type, const char *source,
		 const char *const *options, struct spec **ret,
		 struct shale_error *err)
{
	/* Of its very length, for who sees the first byte past it. */
	auto_free struct shale_mount_spec *mount = malloc(sizeof(*mount));

	REQUIRE(mount);
	*mount = (struct shale_mount_spec){ sizeof(*mount), 0, type, source,
					    options };
	return spec_parse(mount, ret, err);
}

static void check_members(const struct spec *spec)
{
	REQUIRE(spec->source);
	if (spec->kind == SPEC_BIND) {
		REQUIRE(spec->source[0] == '/');
		REQUIRE(!spec->lower_count && !spec->rest_count);
		REQUIRE(!spec->upper && !spec->work);
		return;
	}
	REQUIRE(spec->lower_count && spec->lower_count <= SPEC_LOWERS_MAX);
	REQUIRE(!spec->upper == !spec->work);
	REQUIRE(spec->upper || (spec->lower_count > 1 && spec->is_read_only));
	for (size_t i = 0; i < spec->lower_count; i++)
		REQUIRE(spec->lowers[i][0] == '/');
	/* mount_setattr(2) wants a new atime cleared and set. */
	REQUIRE(!(spec->attr_set & spec->attr_clear & ~MOUNT_ATTR__ATIME));
	for (size_t i = 0; i < spec->rest_count; i++)
		REQUIRE(!spec_refuses_option(spec->rest[i].key));
}

/* "lowerdir=..." of all layers. */
static char *lowerdir(const struct spec *spec)
{
	size_t room = sizeof("lowerdir=");
	char *text, *out;

	for (size_t i = 0; i < spec->lower_count; i++)
		room += 2 * strlen(spec->lowers[i]) + 1;
	text = malloc(room);
	REQUIRE(text);
	out = stpcpy(text, "lowerdir=");
	for (size_t i = 0; i < spec->lower_count; i++) {
		if (i)
			*out++ = ':';
		out = text_escape_lower(out, spec->lowers[i]);
	}
	return text;
}

static void check_layers(const struct spec *spec)
{
	auto_free char *text = lowerdir(spec);
	const char *const options[] = { text, "upperdir=/u", "workdir=/w",
					NULL };
	auto_spec again = NULL;

	REQUIRE(parse("overlay", "overlay", options, &again, NULL) == 0);
	REQUIRE(again->lower_count == spec->lower_count);
	for (size_t i = 0; i < spec->lower_count; i++)
		REQUIRE(!strcmp(again->lowers[i], spec->lowers[i]));
}

/* mount(2) would cut what is longer than a page, and tell nobody. */
static void check_classic(const struct spec *spec)
{
	struct shale_error err = SHALE_ERROR_INIT;
	const struct mount_names names = { (const char *const *)spec->lowers,
					   spec->upper, spec->work, NULL };
	auto_free char *data = NULL;
	int r = mount_classic_data(spec, &names, &data, &err);

	fuzz_check_result(r, &err);
	REQUIRE(r < 0 || strlen(data) < 4096);
}

/* Overlay or bind, the source, and options. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	struct shale_error err = SHALE_ERROR_INIT;
	const char *type = bytes_take(&bytes) % 2 ? "bind" : "overlay";
	auto_free char *source = bytes_word(&bytes);
	char *options[OPTIONS_MAX + 1] = { NULL };
	auto_spec spec = NULL;
	int r;

	for (size_t i = 0; bytes.left && i < OPTIONS_MAX; i++)
		options[i] = bytes_word(&bytes);
	r = parse(type, source, (const char *const *)options, &spec, &err);
	fuzz_check_result(r, &err);
	if (r == 0) {
		check_members(spec);
		(void)spec_has_context(spec);
		(void)mount_classic_flags(spec);
		if (spec->kind == SPEC_OVERLAY) {
			check_layers(spec);
			check_classic(spec);
		}
	}
	for (size_t i = 0; i < OPTIONS_MAX; i++)
		free(options[i]);
	return 0;
}
