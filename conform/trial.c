/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a case works with, but for mounts and files: see trial.h.
 */
#include "trial.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- checks ---- */

bool trial_is_over(const struct trial *t)
{
	return t->outcome->result != CONFORM_PASSED;
}

__attribute__((format(printf, 3, 0))) static void
end(struct trial *t, enum conform_result result, const char *fmt, va_list args)
{
	if (trial_is_over(t))
		return;
	t->outcome->result = result;
	(void)vsnprintf(t->outcome->reason, sizeof(t->outcome->reason), fmt,
			args);
}

bool trial_fail(struct trial *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	end(t, CONFORM_FAILED, fmt, args);
	va_end(args);
	return false;
}

bool trial_skip(struct trial *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	end(t, CONFORM_SKIPPED, fmt, args);
	va_end(args);
	return false;
}

bool trial_errno(struct trial *t, const char *what)
{
	return trial_fail(t, "%s: %s", what, strerror(errno));
}

static const char *errno_name(int r)
{
	const char *name = strerrorname_np(-r);

	return r == 0 ? "0" : r < 0 && name ? name : "no errno";
}

bool trial_ok(struct trial *t, int r, const char *call)
{
	if (r == 0)
		return true;
	if (r == -EOPNOTSUPP && !(t->c->flags & MUST_OFFER))
		return trial_skip(t, "not offered: %s: %s", call, t->err.msg);
	return trial_fail(t, "%s returned %d (%s): %s", call, r, errno_name(r),
			  t->err.msg);
}

bool trial_refused(struct trial *t, int code, int r, const char *call)
{
	if (r == -code)
		return true;
	if (r == -EOPNOTSUPP && !(t->c->flags & MUST_OFFER))
		return trial_skip(t, "not offered: %s: %s", call, t->err.msg);
	return trial_fail(t, "%s returned %d (%s), not -%s: %s", call, r,
			  errno_name(r), errno_name(-code), t->err.msg);
}

/* ---- the store ---- */

char *text_new(const char *fmt, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		abort(); /* the process of one case */
	return text;
}

struct shale_error *fresh(struct trial *t)
{
	t->err = (struct shale_error)SHALE_ERROR_INIT;
	return &t->err;
}

static int cancelled(void *ctx)
{
	return ((struct trial *)ctx)->stop;
}

bool trial_load(struct trial *t)
{
	int r = shale_plugin_load(t->snapshotter, &t->plugin, fresh(t));

	if (r < 0)
		return trial_fail(t, "%s", t->err.msg);
	t->ops = shale_plugin_table(t->plugin);
	t->host = (struct shale_host){ .size = sizeof(t->host),
				       .abi = SHALE_PLUGIN_ABI,
				       .ctx = t,
				       .cancelled = cancelled };
	return true;
}

bool trial_open(struct trial *t, void **ret_self)
{
	static const char *const config[] = { "create", "yes", NULL };
	int fd, r;

	t->root = text_new("%s/store", t->dir);
	if (mkdirat(AT_FDCWD, t->root, 0700) < 0 && errno != EEXIST)
		return trial_errno(t, "create the store's directory");
	fd = open(t->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return trial_errno(t, "open the store's directory");
	r = t->ops->open(&t->host, fd, t->root, config, ret_self, fresh(t));
	(void)close(fd);
	if (r != 0)
		return trial_fail(t, "open returned %d (%s): %s", r,
				  errno_name(r), t->err.msg);
	return true;
}

bool trial_reopen(struct trial *t)
{
	t->ops->close(t->self);
	return trial_open(t, &t->self);
}

struct shale_store *trial_store(struct trial *t)
{
	static const char *const config[] = { "create", "yes", NULL };
	struct shale_store *store = NULL;
	int r = shale_store_open(t->root, t->plugin, config, &t->host, &store,
				 fresh(t));

	if (r != 0)
		(void)trial_fail(t, "open returned %d (%s): %s", r,
				 errno_name(r), t->err.msg);
	return store;
}

/* ---- the operations ---- */

int prepare(struct trial *t, const char *key, const char *parent)
{
	return t->ops->prepare(t->self, key, parent, NULL, fresh(t));
}

int view(struct trial *t, const char *key, const char *parent)
{
	return t->ops->view(t->self, key, parent, NULL, fresh(t));
}

int commit(struct trial *t, const char *name, const char *key)
{
	return t->ops->commit(t->self, name, key, NULL, fresh(t));
}

int commit_onto(struct trial *t, const char *name, const char *key,
		const char *parent)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .parent = parent };

	return t->ops->commit(t->self, name, key, &opts, fresh(t));
}

bool keep(struct trial *t, const char *name, const char *key,
	  const char *parent)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .flags = SHALE_COMMIT_KEEP,
					 .parent = parent };
	int r = t->ops->commit(t->self, name, key, &opts, fresh(t));

	if (r == -EINVAL)
		return trial_skip(t, "not offered: keep: %s", t->err.msg);
	return trial_ok(t, r, "commit with keep");
}

int remove_key(struct trial *t, const char *key)
{
	return t->ops->remove(t->self, key, fresh(t));
}

int delete_name(struct trial *t, const char *name)
{
	return t->ops->delete_(t->self, name, fresh(t));
}

int exists(struct trial *t, const char *name)
{
	return t->ops->exists(t->self, name, fresh(t));
}

int usage(struct trial *t, const char *name, struct shale_usage *ret)
{
	*ret = (struct shale_usage){ .size = sizeof(*ret) };
	return t->ops->usage(t->self, name, ret, fresh(t));
}

int layer(struct trial *t, const char *name, const char *parent)
{
	int r = prepare(t, "making a layer", parent);

	return r ? r : commit(t, name, "making a layer");
}

/* ---- what is told ---- */

static char *labels_text(const char *const *labels)
{
	char *text = text_new("%s", "");

	for (; labels && labels[0] && labels[1]; labels += 2)
		text = text_new("%s%s=%s;", text, labels[0], labels[1]);
	return labels ? text : text_new("no labels at all, but NULL");
}

static void tell(struct told *told, const struct shale_info *info)
{
	*told = (struct told){
		.calls = told->calls + 1,
		.kind = info->kind,
		.created_ns = info->created_ns,
		.updated_ns = info->updated_ns,
		.name = text_new("%s", info->name ? info->name : "NULL"),
		.parent = text_new("%s", info->parent ? info->parent : "NULL"),
		.labels = labels_text(info->labels),
	};
}

static int tell_one(void *ctx, const struct shale_info *info)
{
	tell(ctx, info);
	return 0;
}

int stat_of(struct trial *t, const char *name, struct told *ret)
{
	*ret = (struct told){ .name = "", .parent = "", .labels = "" };
	return t->ops->stat(t->self, name, tell_one, ret, fresh(t));
}

bool is_told(struct trial *t, const char *name, uint32_t kind,
	     const char *parent)
{
	struct told told;

	if (!trial_ok(t, stat_of(t, name, &told), "stat"))
		return false;
	if (told.calls != 1)
		return trial_fail(t, "stat '%s' called back %u times", name,
				  told.calls);
	if (strcmp(told.name, name) != 0)
		return trial_fail(t, "stat '%s' tells the name '%s'", name,
				  told.name);
	if (told.kind != kind)
		return trial_fail(t, "stat '%s' tells kind %u, not %u", name,
				  told.kind, kind);
	if (strcmp(told.parent, parent) != 0)
		return trial_fail(t,
				  "stat '%s' tells the parent '%s', not '%s'",
				  name, told.parent, parent);
	return true;
}

int list_add(void *ctx, const struct shale_info *info)
{
	struct list *list = ctx;

	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		list->items = reallocarray(list->items, list->room,
					   sizeof(*list->items));
		if (!list->items)
			abort();
	}
	list->items[list->count] = (struct told){ .calls = 0 };
	tell(&list->items[list->count++], info);
	return 0;
}

int walk(struct trial *t, struct list *ret)
{
	*ret = (struct list){ 0 };
	return t->ops->walk(t->self, list_add, ret, fresh(t));
}

int active(struct trial *t, struct list *ret)
{
	*ret = (struct list){ 0 };
	return t->ops->active(t->self, list_add, ret, fresh(t));
}

size_t list_count(const struct list *list, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < list->count; i++)
		n += !strcmp(list->items[i].name, name);
	return n;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct told *)a)->name,
		      ((const struct told *)b)->name);
}

static char *draw(char *text, const struct list *list)
{
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), compare);
	for (size_t i = 0; i < list->count; i++) {
		const struct told *told = &list->items[i];

		text = text_new("%s%u '%s' on '%s' %lld %lld %s\n", text,
				told->kind, told->name, told->parent,
				(long long)told->created_ns,
				(long long)told->updated_ns, told->labels);
	}
	return text;
}

char *picture(struct trial *t)
{
	struct list committed, others;

	if (!trial_ok(t, walk(t, &committed), "walk") ||
	    !trial_ok(t, active(t, &others), "active"))
		return NULL;
	return draw(draw(text_new("%s", ""), &committed), &others);
}
