/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Labels as they lie on disk: a link's text or a file; what is read can be
 * written and read again; and an update does what a model of it does.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"
#include "labels.h"
#include "scope.h"

const char fuzz_name[] = "labels";

#define PAIRS_MAX 4
#define STRANGERS "strangers"
#define OURS "ours"

/* The fact that a stranger made: a link where the text can be one. */
static void plant(const uint8_t *data, size_t size)
{
	char text[FS_LINK_SIZE];
	int fd;

	(void)unlinkat(fuzz_dir(), STRANGERS, 0);
	if (size && size < sizeof(text) && !memchr(data, 0, size)) {
		memcpy(text, data, size);
		text[size] = '\0';
		REQUIRE(symlinkat(text, fuzz_dir(), STRANGERS) == 0);
		return;
	}
	fd = openat(fuzz_dir(), STRANGERS, O_WRONLY | O_CREAT | O_CLOEXEC,
		    0600);
	REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)close(fd);
}

static bool are_same(char **a, char **b)
{
	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

static void check_round_trip(char **labels)
{
	auto_labels again = NULL;
	struct stat st;

	(void)unlinkat(fuzz_dir(), OURS, 0);
	REQUIRE(labels_store(fuzz_dir(), OURS, (const char **)labels) == 0);
	REQUIRE(labels_load(fuzz_dir(), OURS, &again, &st) == 0);
	REQUIRE(are_same(labels, again));
	REQUIRE(!*labels == !st.st_ino);
	REQUIRE(!*labels || S_ISLNK(st.st_mode) == (st.st_size < FS_LINK_SIZE));
}

/* What the model expects of one key after an update. */
static const char *expected(const char *key, char **old, char **given,
			    const char *const *fields)
{
	char field[4096];
	bool is_touched = !fields;

	(void)snprintf(field, sizeof(field), "labels.%s", key);
	for (; fields && *fields; fields++)
		if (!strcmp(*fields, "labels") || !strcmp(*fields, field))
			is_touched = true;
	return labels_get((const char **)(is_touched ? given : old), key);
}

static void check_key(const char *key, char **old, char **given,
		      const char *const *fields, char **merged)
{
	const char *want = expected(key, old, given, fields);
	const char *got = labels_get((const char **)merged, key);

	REQUIRE(!want == !got && (!want || !strcmp(want, got)));
}

static void check_merge(char **old, const char *const *pairs,
			const char *const *fields)
{
	struct shale_error err = SHALE_ERROR_INIT;
	auto_labels given = NULL;
	auto_labels merged = NULL;
	size_t count = 0;
	int r = labels_merge((const char **)old, pairs, fields, &merged, &err);

	fuzz_check_result(r, &err);
	if (r < 0)
		return;
	REQUIRE(labels_new(pairs, &given, NULL) == 0);
	for (char **p = old; *p; p += 2)
		check_key(p[0], old, given, fields, merged);
	for (char **p = given; *p; p += 2)
		check_key(p[0], old, given, fields, merged);
	for (; merged[count]; count += 2) {
		check_key(merged[count], old, given, fields, merged);
		REQUIRE(!count || strcmp(merged[count - 2], merged[count]) < 0);
	}
	check_round_trip(merged);
}

/* How many fields and pairs, these, and then the fact. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	char *words[3 * PAIRS_MAX] = { NULL };
	const char *fields[PAIRS_MAX + 1] = { NULL };
	const char *pairs[2 * PAIRS_MAX + 1] = { NULL };
	auto_labels old = NULL;
	struct stat st;
	uint8_t choice = bytes_take(&bytes);
	size_t field_count = choice % (PAIRS_MAX + 1), count = field_count;
	size_t pair_count = 2 * (choice / 8u % (PAIRS_MAX + 1));

	count += pair_count;
	for (size_t i = 0; i < count; i++)
		words[i] = bytes_word(&bytes);
	for (size_t i = 0; i < field_count; i++)
		fields[i] = words[i];
	for (size_t i = 0; i < pair_count; i++)
		pairs[i] = words[field_count + i];
	plant(bytes.at, bytes.left);
	if (labels_load(fuzz_dir(), STRANGERS, &old, &st) == 0) {
		auto_labels own = NULL;

		if (labels_new((const char **)old, &own, NULL) == 0)
			check_round_trip(own);
		check_merge(old, pairs, choice & 128 ? NULL : fields);
	}
	for (size_t i = 0; i < count; i++)
		free(words[i]);
	return 0;
}
