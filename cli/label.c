/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale label: set labels and remove labels, the others stay.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "output.h"
#include "verbs.h"

/* Of each K=V: a field "labels.K", and the pair unless V is empty. */
struct change {
	char **fields;
	const char **labels;
};

static void drop_change(struct change *change)
{
	for (char **field = change->fields; field && *field; field++)
		free(*field);
	free(change->fields);
	free(change->labels);
}

static int check(struct cli *cli)
{
	int r = 0;

	for (int i = 1; r == 0 && i < cli->operand_count; i++)
		r = options_label(cli, cli->operands[i]);
	return r;
}

static int change_new(const struct cli *cli, struct change *ret)
{
	size_t count = cli->label_count, pairs = 0;

	ret->fields = calloc(count + 1, sizeof(*ret->fields));
	ret->labels = calloc(2 * count + 1, sizeof(*ret->labels));
	if (!ret->fields || !ret->labels)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const char *key = cli->labels[2 * i];
		const char *value = cli->labels[2 * i + 1];

		if (asprintf(&ret->fields[i], "labels.%s", key) < 0) {
			ret->fields[i] = NULL;
			return -ENOMEM;
		}
		if (!*value)
			continue;
		ret->labels[pairs++] = key;
		ret->labels[pairs++] = value;
	}
	return 0;
}

static int run(struct cli *cli)
{
	__attribute__((cleanup(drop_change))) struct change change = { 0 };
	const char *name = cli->operands[0];
	int r = change_new(cli, &change);

	if (r < 0)
		return error_fail(&cli->err, -r, "out of memory");
	r = shale_update(cli->store, name, change.labels,
			 (const char *const *)change.fields, &cli->err);
	return r < 0 ? r : out_result(cli, name);
}

const struct verb label_verb = {
	.name = "label",
	.usage = "label NAME K=V...",
	.summary = "set labels of NAME; K= removes one",
	.details =
		"All at once or none. Labels that are not named stay as they "
		"are.\n",
	.least = 2,
	.most = -1,
	.needs = NEEDS_STORE,
	.check = check,
	.run = run,
};
