/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parents of committed snapshots, and whether they run in a circle.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum mark { UNSEEN, ON_PATH, ENDS, CIRCLE };

struct line {
	char id[ID_SIZE], parent_id[ID_SIZE];
	enum mark mark;
};

struct lineage {
	struct line *lines; /* sorted once all are there */
	size_t count, room;
};

struct lineage *lineage_new(void)
{
	return calloc(1, sizeof(struct lineage));
}

void lineage_free(struct lineage *lineage)
{
	if (!lineage)
		return;
	free(lineage->lines);
	free(lineage);
}

int lineage_add(struct lineage *lineage, const char *id, const char *parent_id)
{
	struct line *line;

	if (lineage->count == lineage->room) {
		size_t room = lineage->room ? 2 * lineage->room : 64;
		struct line *bigger =
			realloc(lineage->lines, room * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		lineage->lines = bigger;
		lineage->room = room;
	}
	line = &lineage->lines[lineage->count++];
	*line = (struct line){ .mark = UNSEEN };
	(void)stpcpy(line->id, id);
	(void)stpcpy(line->parent_id, parent_id);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->id,
		      ((const struct line *)b)->id);
}

static struct line *find(const struct lineage *lineage, const char *id)
{
	struct line wanted;

	if (!lineage->count || !*id)
		return NULL;
	(void)stpcpy(wanted.id, id);
	return bsearch(&wanted, lineage->lines, lineage->count,
		       sizeof(*lineage->lines), by_id);
}

/* Each is passed twice at most: a chain that is known is not walked again. */
static void follow(struct lineage *lineage, struct line *first)
{
	struct line *line = first;

	while (line && line->mark == UNSEEN) {
		line->mark = ON_PATH;
		line = find(lineage, line->parent_id);
	}
	while (line && line->mark == ON_PATH) {
		line->mark = CIRCLE;
		line = find(lineage, line->parent_id);
	}
	for (line = first; line && line->mark == ON_PATH;
	     line = find(lineage, line->parent_id))
		line->mark = ENDS;
}

void lineage_find_circles(struct lineage *lineage)
{
	if (lineage->count)
		qsort(lineage->lines, lineage->count, sizeof(*lineage->lines),
		      by_id);
	for (size_t i = 0; i < lineage->count; i++)
		if (lineage->lines[i].mark == UNSEEN)
			follow(lineage, &lineage->lines[i]);
}

bool lineage_has_circle(const struct lineage *lineage)
{
	for (size_t i = 0; i < lineage->count; i++)
		if (lineage->lines[i].mark == CIRCLE)
			return true;
	return false;
}

bool lineage_is_circle(const struct lineage *lineage, const char *id)
{
	const struct line *line = find(lineage, id);

	return line && line->mark == CIRCLE;
}
