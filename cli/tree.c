/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale tree: parents and children, drawn.  Links are indices, and nothing
 * recurses: a chain may be as deep as it likes.
 */
#include <errno.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "listing.h"
#include "output.h"
#include "scope.h"
#include "verbs.h"

/* Wider labels than this are not aligned: a deep chain is not worth it. */
#define ALIGN_MAX 64

#define NONE SIZE_MAX

enum { NEW, ON_PATH, DONE };

/* A snapshot's links to others of the listing. */
struct node {
	size_t parent, first_child, next_sibling, depth;
	int state;
	bool has_usage;
	struct shale_usage usage;
};

struct tree {
	struct listing listing;
	struct node *nodes;
	size_t first_root;
};

/* What a line of the drawing starts with; all are three columns wide. */
struct pen {
	const char *pass, *blank, *fork, *last;
};

static const struct pen unicode = { "│  ", "   ", "├─ ", "└─ " };
static const struct pen ascii = { "|  ", "   ", "|- ", "`- " };

#define PEN_WIDTH 3

static size_t find(const struct listing *listing, const char *name)
{
	size_t low = 0, high = listing->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(listing->items[middle]->name, name);

		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NONE;
}

/* No store holds a circle; a drawing must end even so. */
static void cut_circles(struct tree *tree)
{
	struct node *nodes = tree->nodes;

	for (size_t i = 0; i < tree->listing.count; i++) {
		size_t at = i, last = NONE;

		for (; at != NONE && nodes[at].state == NEW;
		     at = nodes[at].parent) {
			nodes[at].state = ON_PATH;
			last = at;
		}
		if (at != NONE && nodes[at].state == ON_PATH)
			nodes[last].parent = NONE;
		for (at = i; at != NONE && nodes[at].state == ON_PATH;
		     at = nodes[at].parent)
			nodes[at].state = DONE;
	}
}

/*
 * A parent that is not there was committed or removed while the listing was
 * read; its children are roots then.
 */
static void link_nodes(struct tree *tree)
{
	size_t count = tree->listing.count;

	for (size_t i = 0; i < count; i++) {
		const char *parent = tree->listing.items[i]->parent;
		struct node *node = &tree->nodes[i];

		node->parent = *parent ? find(&tree->listing, parent) : NONE;
		node->first_child = NONE;
	}
	cut_circles(tree);
	tree->first_root = NONE;
	for (size_t i = count; i-- > 0;) {
		struct node *node = &tree->nodes[i];
		size_t *first =
			node->parent == NONE
				? &tree->first_root
				: &tree->nodes[node->parent].first_child;

		node->next_sibling = *first;
		*first = i;
	}
}

/* The next one in the order of drawing, with its depth noted. */
static size_t next_of(struct tree *tree, size_t at)
{
	struct node *nodes = tree->nodes;

	if (nodes[at].first_child != NONE) {
		size_t child = nodes[at].first_child;

		nodes[child].depth = nodes[at].depth + 1;
		return child;
	}
	while (at != NONE && nodes[at].next_sibling == NONE)
		at = nodes[at].parent;
	if (at == NONE)
		return NONE;
	nodes[nodes[at].next_sibling].depth = nodes[at].depth;
	return nodes[at].next_sibling;
}

/* What was removed since it was listed has no usage, nor has what is damaged,
 * nor an active whose files are not there, as on a tmpfs after a reboot; it is
 * drawn, and damage is told at the end.
 */
static int load_usage(struct cli *cli, struct tree *tree)
{
	int damage = 0;

	for (size_t i = 0; i < tree->listing.count; i++) {
		struct shale_error one = SHALE_ERROR_INIT;
		struct node *node = &tree->nodes[i];
		int r;

		node->usage.size = sizeof(node->usage);
		r = shale_usage(cli->store, tree->listing.items[i]->name,
				&node->usage, &one);
		node->has_usage = r == 0;
		if (r == 0 || r == -ENOENT || r == -EBADFD)
			continue;
		(void)error_fail(&cli->err, -r, "%s", one.msg);
		if (r != -EUCLEAN)
			return r;
		damage = r;
	}
	return damage;
}

static void print_json(struct tree *tree)
{
	out_array(NULL);
	for (size_t at = tree->first_root; at != NONE; at = next_of(tree, at)) {
		const struct node *node = &tree->nodes[at];

		out_object(NULL);
		out_snapshot(tree->listing.items[at]);
		out_number("depth", node->depth);
		if (node->has_usage) {
			out_number("bytes", node->usage.bytes);
			out_number("inodes", node->usage.inodes);
		} else {
			out_string("bytes", NULL);
			out_string("inodes", NULL);
		}
		out_object_end();
	}
	out_array_end();
}

static size_t label_width(struct tree *tree)
{
	size_t widest = 0;

	for (size_t at = tree->first_root; at != NONE; at = next_of(tree, at)) {
		size_t width = PEN_WIDTH * tree->nodes[at].depth +
			       out_quoted_width(tree->listing.items[at]->name);

		if (width > widest && width <= ALIGN_MAX)
			widest = width;
	}
	return widest;
}

static void print_line(const struct tree *tree, size_t at, size_t width,
		       int64_t now_ns)
{
	const struct shale_info *info = tree->listing.items[at];
	const struct node *node = &tree->nodes[at];
	size_t taken = PEN_WIDTH * node->depth;
	char size[OUT_WORD_SIZE] = "-", age[OUT_WORD_SIZE];

	if (node->has_usage)
		out_size(node->usage.bytes, size);
	out_age(now_ns, info->created_ns, age);
	out_quoted(info->name, taken < width ? width - taken : 0);
	out_text("  %-9s  %8s  %s\n", out_kind(info->kind), size, age);
}

/* @open[d]: whether more comes below, on the line that runs at depth d. */
static void print_text(struct tree *tree, bool *open)
{
	const struct pen *pen = &ascii;
	size_t width = label_width(tree);
	struct timespec now;

	out_locale();
	if (!strcmp(nl_langinfo(CODESET), "UTF-8"))
		pen = &unicode;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	for (size_t at = tree->first_root; at != NONE; at = next_of(tree, at)) {
		const struct node *node = &tree->nodes[at];

		open[node->depth] = node->next_sibling != NONE;
		for (size_t d = 1; d < node->depth; d++)
			out_text("%s", open[d] ? pen->pass : pen->blank);
		if (node->depth)
			out_text("%s",
				 open[node->depth] ? pen->fork : pen->last);
		print_line(tree, at, width,
			   (int64_t)now.tv_sec * INT64_C(1000000000) +
				   now.tv_nsec);
	}
}

static void tree_free(struct tree *tree)
{
	listing_free(&tree->listing);
	free(tree->nodes);
}

static int run(struct cli *cli)
{
	__attribute__((cleanup(tree_free))) struct tree tree = { 0 };
	auto_free bool *open = NULL;
	int damage = listing_load(cli, &tree.listing), r;

	if (damage < 0 && damage != -EUCLEAN)
		return damage;
	tree.nodes = calloc(tree.listing.count + 1, sizeof(*tree.nodes));
	open = calloc(tree.listing.count + 1, sizeof(*open));
	if (!tree.nodes || !open)
		return error_fail(&cli->err, ENOMEM, "out of memory");
	r = load_usage(cli, &tree);
	if (r < 0 && r != -EUCLEAN)
		return r;
	link_nodes(&tree);
	if (cli->json)
		print_json(&tree);
	else
		print_text(&tree, open);
	return damage ? damage : r;
}

const struct verb tree_verb = {
	.name = "tree",
	.usage = "tree",
	.summary = "draw parents and children, with kind, size and age",
	.details = "A size is a snapshot's own, without its parents.\n",
	.needs = NEEDS_STORE,
	.run = run,
};
