/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many snapshots at once: see listing.h.
 */
#include "listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "output.h"

struct load {
	const struct cli *cli;
	struct listing *listing;
	bool no_memory;
};

/* One block: the struct, its labels' pointers, and then all strings. */
static struct shale_info *copy_info(const struct shale_info *info)
{
	size_t bytes = strlen(info->name) + strlen(info->parent) + 2, n = 0;
	struct shale_info *copy;
	const char **labels;
	char *text;

	for (; info->labels[n]; n++)
		bytes += strlen(info->labels[n]) + 1;
	copy = malloc(sizeof(*copy) + (n + 1) * sizeof(*labels) + bytes);
	if (!copy)
		return NULL;
	labels = (const char **)(copy + 1);
	text = (char *)(labels + n + 1);
	*copy = (struct shale_info){
		.size = sizeof(*copy),
		.kind = info->kind,
		.created_ns = info->created_ns,
		.updated_ns = info->updated_ns,
		.name = text,
		.labels = labels,
	};
	text = stpcpy(text, info->name) + 1;
	copy->parent = text;
	text = stpcpy(text, info->parent) + 1;
	for (size_t i = 0; i < n; i++) {
		labels[i] = text;
		text = stpcpy(text, info->labels[i]) + 1;
	}
	labels[n] = NULL;
	return copy;
}

static bool has_label(const struct shale_info *info, const char *key,
		      const char *value)
{
	for (const char *const *pair = info->labels; *pair; pair += 2)
		if (!strcmp(pair[0], key))
			return !value || !strcmp(pair[1], value);
	return false;
}

static bool is_wanted(const struct cli *cli, const struct shale_info *info)
{
	if (cli->kinds && !(cli->kinds & 1u << info->kind))
		return false;
	for (size_t i = 0; i < cli->label_count; i++)
		if (!has_label(info, cli->labels[2 * i],
			       cli->labels[2 * i + 1]))
			return false;
	return true;
}

static int add(void *ctx, const struct shale_info *info)
{
	struct load *load = ctx;
	struct listing *listing = load->listing;
	struct shale_info *copy, **bigger;

	if (!is_wanted(load->cli, info))
		return 0;
	copy = copy_info(info);
	/* Doubles at each power of two. */
	if (copy && !(listing->count & (listing->count - 1))) {
		bigger = realloc(listing->items,
				 (listing->count ? 2 * listing->count : 1) *
					 sizeof(struct shale_info *));
		if (bigger) {
			listing->items = bigger;
		} else {
			free(copy);
			copy = NULL;
		}
	}
	if (!copy) {
		load->no_memory = true;
		return 1;
	}
	listing->items[listing->count++] = copy;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct shale_info *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/*
 * Actives first: what is committed between the two walks is then shown as
 * both, and otherwise it would not be shown at all.
 */
int listing_load(struct cli *cli, struct listing *ret)
{
	auto_listing listing = { 0 };
	struct load load = { .cli = cli, .listing = &listing };
	const unsigned int committed = 1u << SHALE_KIND_COMMITTED;
	int damage = 0, r = 0;

	if (!cli->kinds || cli->kinds & ~committed)
		r = shale_active(cli->store, add, &load, &cli->err);
	if (r == -EUCLEAN) /* the others are there */
		damage = r;
	if ((r == 0 || damage) && (!cli->kinds || cli->kinds & committed))
		r = shale_walk(cli->store, add, &load,
			       damage ? NULL : &cli->err);
	if (load.no_memory)
		return error_fail(&cli->err, ENOMEM, "out of memory");
	if (r < 0 && r != -EUCLEAN)
		return r;
	if (listing.count)
		qsort(listing.items, listing.count, sizeof(*listing.items),
		      compare);
	*ret = listing;
	listing = (struct listing){ 0 };
	return damage ? damage : r;
}

void listing_free(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->items[i]);
	free(listing->items);
	*listing = (struct listing){ 0 };
}

static size_t wider(size_t width, const char *name)
{
	size_t other = out_quoted_width(name);

	return other > width ? other : width;
}

static void print_table(const struct listing *listing)
{
	size_t name_width = strlen("NAME"), parent_width = strlen("PARENT");

	for (size_t i = 0; i < listing->count; i++) {
		name_width = wider(name_width, listing->items[i]->name);
		if (*listing->items[i]->parent)
			parent_width =
				wider(parent_width, listing->items[i]->parent);
	}
	out_text("%-*s  %-9s  %-*s  %s\n", (int)name_width, "NAME", "KIND",
		 (int)parent_width, "PARENT", "CREATED");
	for (size_t i = 0; i < listing->count; i++) {
		const struct shale_info *info = listing->items[i];
		char created[OUT_WORD_SIZE];

		out_time(info->created_ns, created);
		out_quoted(info->name, name_width);
		out_text("  %-9s  ", out_kind(info->kind));
		if (*info->parent)
			out_quoted(info->parent, parent_width);
		else
			out_text("%-*s", (int)parent_width, "-");
		/* To the second: nobody reads nanoseconds in a table. */
		out_text("  %.19sZ\n", created);
	}
}

static void print_array(const struct listing *listing)
{
	out_array(NULL);
	for (size_t i = 0; i < listing->count; i++) {
		out_object(NULL);
		out_snapshot(listing->items[i]);
		out_object_end();
	}
	out_array_end();
}

int listing_show(struct cli *cli)
{
	auto_listing listing = { 0 };
	int r = listing_load(cli, &listing);

	if (r < 0 && r != -EUCLEAN)
		return r;
	if (cli->json)
		print_array(&listing);
	else
		print_table(&listing);
	return r;
}
