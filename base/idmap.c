/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mappings of a user namespace: see idmap.h.
 */
#include "idmap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "scope.h"

/* The last of 32 bits is no id but "none". */
#define ID_END UINT32_MAX

/* ---- reading ---- */

/* How a text joins its numbers and its ranges. */
struct form {
	char within, between;
};

static const struct form text_form = { ':', ',' };
static const struct form kernel_form = { ' ', '\n' };

static int read_number(const char **at, uint32_t *ret)
{
	const char *s = *at;
	uint64_t value = 0;

	for (; *s >= '0' && *s <= '9'; s++) {
		value = 10 * value + (uint64_t)(*s - '0');
		if (value > ID_END)
			return -ERANGE;
	}
	if (s == *at)
		return -EINVAL;
	*at = s;
	*ret = (uint32_t)value;
	return 0;
}

/* The kernel aligns with any number of blanks. */
static void skip_blanks(const struct form *form, const char **at)
{
	if (form->within == ' ')
		*at += strspn(*at, " \t");
}

static int read_range(const struct form *form, const char **at,
		      struct idmap_range *ret)
{
	uint32_t *const parts[] = { &ret->inside, &ret->outside, &ret->size };

	for (size_t i = 0; i < 3; i++) {
		int r;

		if (i && form->within != ' ' && *(*at)++ != form->within)
			return -EINVAL;
		skip_blanks(form, at);
		r = read_number(at, parts[i]);
		if (r < 0)
			return r;
	}
	skip_blanks(form, at);
	if (!ret->size || ret->size > ID_END - ret->inside ||
	    ret->size > ID_END - ret->outside)
		return -ERANGE;
	return 0;
}

static int compare_inside(const void *a, const void *b)
{
	const struct idmap_range *x = a, *y = b;

	return (x->inside > y->inside) - (x->inside < y->inside);
}

static bool overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return a < (uint64_t)b + b_size && b < (uint64_t)a + a_size;
}

static int check_overlaps(const struct idmap *map, const char *what,
			  struct shale_error *err)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct idmap_range *a = &map->ranges[i];

		for (size_t j = i + 1; j < map->count; j++) {
			const struct idmap_range *b = &map->ranges[j];
			bool inside =
				overlap(a->inside, a->size, b->inside, b->size);

			if (!inside &&
			    !overlap(a->outside, a->size, b->outside, b->size))
				continue;
			return error_fail(
				err, EINVAL,
				"%s: the ranges %u:%u:%u and %u:%u:%u overlap %s",
				what, a->inside, a->outside, a->size, b->inside,
				b->outside, b->size,
				inside ? "inside" : "outside");
		}
	}
	return 0;
}

static int check_size(const struct idmap *map, const char *what,
		      struct shale_error *err)
{
	auto_free char *text = idmap_format_kernel(map);

	if (!text)
		return error_fail(err, ENOMEM, "%s: out of memory", what);
	if (strlen(text) >= IDMAP_KERNEL_TEXT_SIZE)
		return error_fail(
			err, EINVAL,
			"%s: %zu ranges are longer than the %d bytes that the kernel takes",
			what, map->count, IDMAP_KERNEL_TEXT_SIZE - 1);
	return 0;
}

static int bad_text(int r, const char *text, const char *what,
		    struct shale_error *err)
{
	if (r == -ERANGE)
		return error_fail(err, EINVAL,
				  "%s '%s': a size is 0, or an id is past %u",
				  what, text, ID_END - 1);
	return error_fail(
		err, EINVAL,
		"%s '%s' is not inside:outside:size, or several of them joined by ','",
		what, text);
}

static int parse(const struct form *form, const char *text, const char *what,
		 struct idmap **ret, struct shale_error *err)
{
	const size_t room = sizeof(struct idmap) +
			    IDMAP_RANGES_MAX * sizeof(struct idmap_range);
	auto_free struct idmap *map = malloc(room);
	const char *at = text;
	int r;

	if (!map)
		return error_fail(err, ENOMEM, "%s: out of memory", what);
	map->count = 0;
	do {
		if (map->count == IDMAP_RANGES_MAX)
			return error_fail(err, EINVAL,
					  "%s has more than %d ranges", what,
					  IDMAP_RANGES_MAX);
		r = read_range(form, &at, &map->ranges[map->count++]);
		if (r == 0 && *at && *at++ != form->between)
			r = -EINVAL;
		if (r < 0)
			return bad_text(r, text, what, err);
	} while (*at);
	if (form->between == ',' && at[-1] == ',')
		return bad_text(-EINVAL, text, what, err);
	qsort(map->ranges, map->count, sizeof(*map->ranges), compare_inside);
	r = check_overlaps(map, what, err);
	if (r == 0)
		r = check_size(map, what, err);
	if (r == 0)
		*ret = take_ptr(&map);
	return r;
}

int idmap_parse(const char *text, const char *what, struct idmap **ret,
		struct shale_error *err)
{
	return parse(&text_form, text, what, ret, err);
}

int idmap_parse_kernel(const char *text, const char *what, struct idmap **ret,
		       struct shale_error *err)
{
	return parse(&kernel_form, text, what, ret, err);
}

/* ---- writing ---- */

static char *format(const struct form *form, const struct idmap *map)
{
	auto_free char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < map->count; i++) {
		const struct idmap_range *range = &map->ranges[i];

		if (i)
			(void)fputc(form->between, out);
		(void)fprintf(out, "%u%c%u%c%u", range->inside, form->within,
			      range->outside, form->within, range->size);
	}
	return fclose(out) == 0 ? take_ptr(&text) : NULL;
}

char *idmap_format(const struct idmap *map)
{
	return format(&text_form, map);
}

char *idmap_format_kernel(const struct idmap *map)
{
	return format(&kernel_form, map);
}

/* ---- asking ---- */

bool idmap_to_outside(const struct idmap *map, uint32_t id, uint32_t *ret)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct idmap_range *range = &map->ranges[i];

		if (id < range->inside || id - range->inside >= range->size)
			continue;
		*ret = range->outside + (id - range->inside);
		return true;
	}
	return false;
}

bool idmap_to_inside(const struct idmap *map, uint32_t id, uint32_t *ret)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct idmap_range *range = &map->ranges[i];

		if (id < range->outside || id - range->outside >= range->size)
			continue;
		*ret = range->inside + (id - range->outside);
		return true;
	}
	return false;
}

uint32_t idmap_root(const struct idmap *map)
{
	/* Sorted: 0 is nowhere else. */
	return map->ranges[0].outside;
}

/* ---- both ---- */

static bool is_none(const char *text)
{
	return !text || !*text;
}

int idmaps_parse(const char *uid, const char *gid, struct idmaps *ret,
		 struct shale_error *err)
{
	auto_idmaps maps = { NULL, NULL };
	int r;

	*ret = maps;
	if (is_none(uid) && is_none(gid))
		return 0;
	if (is_none(uid) || is_none(gid))
		return error_fail(
			err, EINVAL,
			"there is a %s without a %s: a mapping has both",
			is_none(uid) ? "gidmap" : "uidmap",
			is_none(uid) ? "uidmap" : "gidmap");
	r = idmap_parse(uid, "uidmap", &maps.uid, err);
	if (r == 0)
		r = idmap_parse(gid, "gidmap", &maps.gid, err);
	if (r < 0)
		return r;
	*ret = maps;
	maps = (struct idmaps){ NULL, NULL };
	return 0;
}

void idmaps_clear(struct idmaps *maps)
{
	drop_free(&maps->uid);
	drop_free(&maps->gid);
}
