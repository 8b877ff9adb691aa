/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A store handle: a snapshotter's table, opened on a directory, and the host's
 * side of the ABI.  Each operation checks that the handle is its process's
 * own, takes turns where the snapshotter asks for that, and passes on a
 * positive return only where a callback of ours gave it.
 */
#include "shale.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "overlay.h"
#include "scope.h"
#include "store.h"

struct shale_store {
	const struct shale_snapshotter *table;
	void *self;
	struct shale_host host;
	pid_t pid;
	pthread_mutex_t turn;
};

int store_stop(void *store)
{
	const struct shale_host *host = &((struct shale_store *)store)->host;

	return host->cancelled && host->cancelled(host->ctx);
}

static pthread_mutex_t global_turn = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

const char *shale_version(void)
{
	return PACKAGE_VERSION;
}

/* A turn at a handle that does not serve several threads at once. */
struct turn {
	pthread_mutex_t *mutex; /* NULL: none needed */
};

static void turn_end(struct turn *turn)
{
	if (turn->mutex)
		(void)pthread_mutex_unlock(turn->mutex);
}

#define auto_turn __attribute__((cleanup(turn_end))) struct turn

static int turn_begin(struct shale_store *store, struct turn *turn,
		      struct shale_error *err)
{
	pthread_mutex_t *mutex = NULL;

	if (store->pid != getpid())
		return error_fail(
			err, EINVAL,
			"the store was opened by process %ld: open it anew after fork",
			(long)store->pid);
	if (store->table->features & SHALE_FEAT_GLOBAL_SERIAL)
		mutex = &global_turn;
	else if (!(store->table->features & SHALE_FEAT_PARALLEL))
		mutex = &store->turn;
	if (mutex && pthread_mutex_lock(mutex) != 0)
		return error_fail(
			err, EDEADLK,
			"the snapshotter '%s' can't be called from its own callback",
			store->table->name);
	turn->mutex = mutex;
	return 0;
}

/* What an operation without callback may return. */
static int checked(const struct shale_store *store, int r, const char *op,
		   struct shale_error *err)
{
	if (r > 0) {
		error_clear(err);
		return error_fail(
			err, EPROTO,
			"%s: the snapshotter '%s' returned %d, which is a bug of it",
			op, store->table->name, r);
	}
	if (r < 0 && err && err->code == 0)
		return error_errno(err, -r, "%s", op);
	return r;
}

/* Notes what the caller's callback returned. */
struct watched {
	shale_mount_fn *emit;
	shale_walk_fn *fn;
	shale_finding_fn *found;
	void *ctx;
	int returned;
};

static int watch_mount(void *ctx, const struct shale_mount_spec *mount)
{
	struct watched *watched = ctx;

	watched->returned = watched->emit(watched->ctx, mount);
	return watched->returned;
}

static int watch_info(void *ctx, const struct shale_info *info)
{
	struct watched *watched = ctx;

	watched->returned = watched->fn(watched->ctx, info);
	return watched->returned;
}

static int checked_with(const struct shale_store *store,
			const struct watched *watched, int r, const char *op,
			struct shale_error *err)
{
	if (r != 0 && r == watched->returned)
		return r;
	return checked(store, r, op, err);
}

static int absent(const struct shale_store *store, const char *op,
		  struct shale_error *err)
{
	return error_fail(err, EOPNOTSUPP,
			  "the snapshotter '%s' does not offer %s",
			  store->table->name, op);
}

static bool wants_create(const char *const *config)
{
	bool wanted = false;

	for (; config && config[0] && config[1]; config += 2)
		if (!strcmp(config[0], "create"))
			wanted = !strcmp(config[1], "yes");
	return wanted;
}

static int open_root(const char *root, const char *const *config,
		     bool *ret_made, struct shale_error *err)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && wants_create(config)) {
		if (mkdirat(AT_FDCWD, root, 0700) == 0) {
			*ret_made = true;
			/* Whatever the umask; else we could not open it. */
			(void)fchmodat(AT_FDCWD, root, 0700, 0);
		} else if (errno != EEXIST) {
			return error_errno(err, errno, "create '%s'", root);
		}
		fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd < 0 ? error_errno(err, errno, "open '%s'", root) : fd;
}

/* Layer paths are the kernel's to resolve: absolute and without links. */
static int path_of_fd(int fd, char *ret, struct shale_error *err)
{
	int r = fs_fd_target(fd, ret);

	if (r == -ENOENT)
		return error_fail(err, ENOENT, "'%s' is out of reach", ret);
	return r < 0 ? error_errno(err, -r, "find its path") : 0;
}

static void drop_store(struct shale_store **store)
{
	shale_store_close(*store);
	*store = NULL;
}

static int check_host(const struct shale_host *host, struct shale_error *err)
{
	const unsigned char *bytes = (const unsigned char *)host;

	if (!host)
		return 0;
	if (host->size < sizeof(*host))
		return error_fail(err, EINVAL, "the host's size %u is wrong",
				  host->size);
	for (size_t i = sizeof(*host); i < host->size; i++)
		if (bytes[i])
			return error_fail(
				err, E2BIG,
				"the host offers something that this version does not know");
	return 0;
}

/* Opening, too, is a call under SHALE_FEAT_GLOBAL_SERIAL. */
static int call_open(struct shale_store *store, int root_fd, const char *path,
		     const char *const *config, struct shale_error *err)
{
	auto_turn turn = { NULL };
	int r = turn_begin(store, &turn, err);

	return r < 0 ? r
		     : checked(store,
			       store->table->open(&store->host, root_fd, path,
						  config, &store->self, err),
			       "open", err);
}

static int open_store(int fd, const char *root,
		      const struct shale_plugin *plugin,
		      const char *const *config, const struct shale_host *host,
		      struct shale_store **ret, struct shale_error *err)
{
	__attribute__((cleanup(drop_store))) struct shale_store *store = NULL;
	pthread_mutexattr_t attr;
	char path[PATH_MAX];
	int r = path_of_fd(fd, path, err);

	if (r < 0)
		return r;
	store = calloc(1, sizeof(*store));
	if (!store)
		return error_fail(err, ENOMEM, "open '%s': out of memory",
				  root);
	store->table = plugin ? shale_plugin_table(plugin)
			      : &overlay_snapshotter;
	store->pid = getpid();
	store->host = (struct shale_host){ .size = sizeof(store->host),
					   .abi = SHALE_PLUGIN_ABI };
	r = check_host(host, err);
	if (r < 0)
		return r;
	if (host)
		memcpy((char *)&store->host + sizeof(host->size),
		       (const char *)host + sizeof(host->size),
		       sizeof(*host) - sizeof(host->size));
	(void)pthread_mutexattr_init(&attr);
	(void)pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	(void)pthread_mutex_init(&store->turn, &attr);
	(void)pthread_mutexattr_destroy(&attr);
	r = call_open(store, fd, path, config, err);
	if (r == 0)
		*ret = take_ptr(&store);
	return r;
}

int shale_store_open(const char *root, const struct shale_plugin *plugin,
		     const char *const *config, const struct shale_host *host,
		     struct shale_store **ret, struct shale_error *err)
{
	bool made = false;
	auto_fd fd = open_root(root, config, &made, err);
	int r;

	if (fd < 0)
		return fd;
	r = open_store(fd, root, plugin, config, host, ret, err);
	/* What was refused leaves no directory; one with anything in it, as
	 * another process may have begun to make there, stays.
	 */
	if (r < 0 && made)
		(void)unlinkat(AT_FDCWD, root, AT_REMOVEDIR);
	return r;
}

void shale_store_close(struct shale_store *store)
{
	if (!store)
		return;
	if (store->self) {
		auto_turn turn = { NULL };

		/* Of another process it is only forgotten. */
		if (turn_begin(store, &turn, NULL) == 0)
			store->table->close(store->self);
	}
	(void)pthread_mutex_destroy(&store->turn);
	free(store);
}

/* One call of an operation with a callback, or of one that may be absent. */
#define WATCH(store, op, name, watched, err, ...)                           \
	__extension__({                                                     \
		auto_turn turn_ = { NULL };                                 \
		int r_ = turn_begin(store, &turn_, err);                    \
                                                                            \
		if (r_ == 0 && !(store)->table->op)                         \
			r_ = absent(store, name, err);                      \
		else if (r_ == 0)                                           \
			r_ = (store)->table->op((store)->self, __VA_ARGS__, \
						err);                       \
		checked_with(store, watched, r_, name, err);                \
	})

/* One call of an operation without callback: in turn, and checked. */
#define CALL(store, op, name, err, ...)                                \
	__extension__({                                                \
		auto_turn turn_ = { NULL };                            \
		int r_ = turn_begin(store, &turn_, err);               \
                                                                       \
		r_ < 0 ? r_                                            \
		       : checked(store,                                \
				 (store)->table->op((store)->self,     \
						    __VA_ARGS__, err), \
				 name, err);                           \
	})

int shale_prepare(struct shale_store *store, const char *key,
		  const char *parent, const struct shale_opts *opts,
		  struct shale_error *err)
{
	return CALL(store, prepare, "prepare", err, key, parent, opts);
}

int shale_view(struct shale_store *store, const char *key, const char *parent,
	       const struct shale_opts *opts, struct shale_error *err)
{
	return CALL(store, view, "view", err, key, parent, opts);
}

int shale_mounts(struct shale_store *store, const char *key,
		 shale_mount_fn *emit, void *ctx, struct shale_error *err)
{
	struct watched watched = { .emit = emit, .ctx = ctx };

	return WATCH(store, mounts, "mounts", &watched, err, key, watch_mount,
		     &watched);
}

int shale_commit(struct shale_store *store, const char *name, const char *key,
		 const struct shale_opts *opts, struct shale_error *err)
{
	return CALL(store, commit, "commit", err, name, key, opts);
}

int shale_remove(struct shale_store *store, const char *key,
		 struct shale_error *err)
{
	return CALL(store, remove, "remove", err, key);
}

int shale_delete(struct shale_store *store, const char *name,
		 struct shale_error *err)
{
	return CALL(store, delete_, "delete", err, name);
}

int shale_parent(struct shale_store *store, const char *name, char *ret_parent,
		 struct shale_error *err)
{
	return CALL(store, parent, "parent", err, name, ret_parent);
}

int shale_exists(struct shale_store *store, const char *name,
		 struct shale_error *err)
{
	return CALL(store, exists, "exists", err, name);
}

int shale_walk(struct shale_store *store, shale_walk_fn *fn, void *ctx,
	       struct shale_error *err)
{
	struct watched watched = { .fn = fn, .ctx = ctx };

	return WATCH(store, walk, "walk", &watched, err, watch_info, &watched);
}

int shale_active(struct shale_store *store, shale_walk_fn *fn, void *ctx,
		 struct shale_error *err)
{
	struct watched watched = { .fn = fn, .ctx = ctx };

	return WATCH(store, active, "active", &watched, err, watch_info,
		     &watched);
}

int shale_stat(struct shale_store *store, const char *name, shale_walk_fn *fn,
	       void *ctx, struct shale_error *err)
{
	struct watched watched = { .fn = fn, .ctx = ctx };

	return WATCH(store, stat, "stat", &watched, err, name, watch_info,
		     &watched);
}

int shale_update(struct shale_store *store, const char *name,
		 const char *const *labels, const char *const *fields,
		 struct shale_error *err)
{
	return CALL(store, update, "update", err, name, labels, fields);
}

int shale_usage(struct shale_store *store, const char *name,
		struct shale_usage *ret, struct shale_error *err)
{
	return CALL(store, usage, "usage", err, name, ret);
}

int shale_cleanup(struct shale_store *store, uint64_t *ret_removed,
		  struct shale_error *err)
{
	uint64_t removed = 0;
	int r = CALL(store, cleanup, "cleanup", err, &removed);
	int r_keys = flatten_cleanup(store, &removed, r < 0 ? NULL : err);

	if (r == 0)
		r = r_keys;
	if (r == 0 && ret_removed)
		*ret_removed = removed;
	return r;
}

int shale_in_use(struct shale_store *store, const char *key,
		 struct shale_error *err)
{
	static const struct watched nothing = { 0 };

	return WATCH(store, use, "use", &nothing, err, key, NULL, NULL);
}

int shale_mounts_exclusive(struct shale_store *store, const char *key,
			   shale_mount_fn *emit, void *ctx,
			   struct shale_error *err)
{
	struct watched watched = { .emit = emit, .ctx = ctx };

	if (!store->table->use)
		return shale_mounts(store, key, emit, ctx, err);
	return WATCH(store, use, "mounts", &watched, err, key, watch_mount,
		     &watched);
}

/* Who gives no callback wants to know whether there is anything. */
static int keep_first(void *ctx, const struct shale_finding *finding)
{
	struct shale_error *first = ctx;

	(void)error_fail(first, EUCLEAN, "'%s': %s: %s", finding->path,
			 finding->what, finding->remedy);
	return 0;
}

static int watch_finding(void *ctx, const struct shale_finding *finding)
{
	struct watched *watched = ctx;

	watched->returned = watched->found(watched->ctx, finding);
	return watched->returned;
}

static struct watched watch_for(shale_finding_fn *emit, void *ctx,
				struct shale_error *first)
{
	return (struct watched){ .found = emit ? emit : keep_first,
				 .ctx = emit ? ctx : first };
}

int shale_check(struct shale_store *store, uint32_t flags,
		shale_finding_fn *emit, void *ctx, struct shale_error *err)
{
	struct shale_error first = SHALE_ERROR_INIT;
	struct watched watched = watch_for(emit, ctx, &first);
	int r = WATCH(store, check, "check", &watched, err, flags,
		      watch_finding, &watched);

	return r == 0 && first.code
		       ? error_fail(err, EUCLEAN, "check: %s", first.msg)
		       : r;
}

int shale_verify(struct shale_store *store, const char *name,
		 shale_finding_fn *emit, void *ctx, struct shale_error *err)
{
	struct shale_error first = SHALE_ERROR_INIT;
	struct watched watched = watch_for(emit, ctx, &first);
	int r = WATCH(store, verify, "verify", &watched, err, name,
		      watch_finding, &watched);

	return r == 0 && first.code
		       ? error_fail(err, EBADMSG, "verify '%s': %s", name,
				    first.msg)
		       : r;
}
