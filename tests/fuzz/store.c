/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A store in which a stranger has put anything anywhere: every operation comes
 * back with a documented kind of answer, and what was whole before is whole
 * after, whatever lies beside it.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"
#include "id.h"
#include "scope.h"
#include "shale.h"
#include "spec.h"

const char fuzz_name[] = "store";

#define STEPS_MAX 48

/* Names of the whole snapshots, and those that strangers use. */
static const char *const good[] = { "good base", "good tip", "good key",
				    "good view" };
static const char *const strange[] = { "a", "b", "c", "d" };

static const char *const rooms[] = { "active", "snapshots", "staging",
				     "trash" };
static const char *const facts[] = {
	"key",
	"view",
	"name",
	"key.parent",
	"name.parent",
	"key.labels",
	"name.labels",
	"usage",
	"fs",
	"work",
	"upper",
	"volatile",
	"junk",
	"fs/file",
	"work/work",
	"work/incompat",
	"work/incompat/volatile",
};

#define PICK(list, byte) (list)[(byte) % (sizeof(list) / sizeof(*(list)))]

static int root_fd = -1;
static char root_path[64];

/* ---- what a stranger does ---- */

static const char *strange_name(uint8_t byte)
{
	static char ids[4][ID_SIZE];
	size_t i = byte % 4;

	if (byte & 128)
		return byte & 64 ? "junk" : "00000000000000000000000000000000";
	id_from_name(strange[i], ids[i]);
	return ids[i];
}

/* A path in the store, but for the whole snapshots and the rooms. */
static void choose_path(struct bytes *bytes, char ret[256])
{
	static const char *const others[] = { "lock", "junk", "format" };
	uint8_t room = bytes_take(bytes), name = bytes_take(bytes);
	uint8_t fact = bytes_take(bytes);

	if (room >= 252)
		(void)snprintf(ret, 256, "%s", PICK(others, name));
	else if (fact & 128)
		(void)snprintf(ret, 256, "%s/%s", PICK(rooms, room),
			       strange_name(name));
	else
		(void)snprintf(ret, 256, "%s/%s/%s", PICK(rooms, room),
			       strange_name(name), PICK(facts, fact));
}

static void choose_text(struct bytes *bytes, char ret[1100])
{
	uint8_t choice = bytes_take(bytes);
	auto_free char *word = NULL;
	char id[ID_SIZE];

	switch (choice % 6) {
	case 0:
		(void)snprintf(ret, 1100, "%s", PICK(strange, choice / 8u));
		return;
	case 1:
		(void)snprintf(ret, 1100, "%s", PICK(good, choice / 8u));
		return;
	case 2:
		id_from_name(choice & 8 ? PICK(good, choice / 16u)
					: PICK(strange, choice / 16u),
			     id);
		(void)snprintf(ret, 1100, "../../snapshots/%s", id);
		return;
	case 3:
		(void)snprintf(ret, 1100, "{\"org.shale.user\":\"%u %u x c\"}",
			       choice & 8 ? (unsigned int)getpid() : 0,
			       choice / 16u);
		return;
	default:
		word = bytes_word(bytes);
		(void)snprintf(ret, 1100, "%s", word);
	}
}

static void write_file(const char *path, const char *text)
{
	auto_fd fd = openat(
		root_fd, path,
		O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)!write(fd, text, strlen(text));
}

static void do_one(struct bytes *bytes)
{
	uint8_t what = bytes_take(bytes);
	char path[256], other[256], text[1100];

	choose_path(bytes, path);
	switch (what % 8) {
	case 0:
	case 1:
		choose_text(bytes, text);
		(void)symlinkat(text, root_fd, path);
		break;
	case 2:
	case 3:
		(void)mkdirat(root_fd, path, what & 128 ? 0700 : 0755);
		break;
	case 4:
		choose_text(bytes, text);
		write_file(path, text);
		break;
	case 5:
		choose_path(bytes, other);
		(void)renameat(root_fd, path, root_fd, other);
		break;
	case 6:
		(void)mknodat(root_fd, path, S_IFIFO | 0600, 0);
		break;
	default:
		(void)fs_remove_tree(root_fd, path, NULL, NULL);
	}
}

/* ---- what the store makes of it ---- */

static struct shale_error why;

/* Calls and sees that what comes back is an answer. */
#define CALL(call)                                          \
	__extension__({                                     \
		int r_;                                     \
		why = (struct shale_error)SHALE_ERROR_INIT; \
		r_ = (call);                                \
		fuzz_check_result(r_, &why);                \
		r_;                                         \
	})

static int count(void *ctx, const struct shale_info *info)
{
	REQUIRE(info->name[0] && strlen(info->name) < SHALE_NAME_SIZE);
	REQUIRE(info->parent && info->labels);
	REQUIRE(info->kind >= SHALE_KIND_VIEW &&
		info->kind <= SHALE_KIND_COMMITTED);
	if (ctx)
		++*(int *)ctx;
	return 0;
}

/* What we emit, we can read. */
static int read_spec(void *ctx, const struct shale_mount_spec *mount)
{
	struct shale_error err = SHALE_ERROR_INIT;
	auto_spec spec = NULL;

	(void)ctx;
	REQUIRE(spec_parse(mount, &spec, &err) == 0);
	return 0;
}

static void ask_about(struct shale_store *store, const char *name)
{
	struct shale_usage usage = { .size = sizeof(usage) };
	char parent[SHALE_NAME_SIZE];

	(void)CALL(shale_exists(store, name, &why));
	(void)CALL(shale_stat(store, name, count, NULL, &why));
	(void)CALL(shale_parent(store, name, parent, &why));
	(void)CALL(shale_mounts(store, name, read_spec, NULL, &why));
	(void)CALL(shale_usage(store, name, &usage, &why));
	(void)CALL(shale_in_use(store, name, &why));
	(void)CALL(shale_verify(store, name, NULL, NULL, &why));
}

static void change(struct shale_store *store, struct bytes *bytes)
{
	static const char *const labels[] = { "k", "v", NULL };
	uint8_t what = bytes_take(bytes), who = bytes_take(bytes);
	const char *name = PICK(strange, who);
	const char *other = PICK(strange, who / 4u);
	const char *parent = who & 128 ? "good tip" : other;

	switch (what % 8) {
	case 0:
		(void)CALL(shale_prepare(store, name, parent, NULL, &why));
		break;
	case 1:
		(void)CALL(shale_view(store, name, parent, NULL, &why));
		break;
	case 2:
		(void)CALL(shale_commit(store, other, name, NULL, &why));
		break;
	case 3:
		(void)CALL(shale_remove(store, name, &why));
		break;
	case 4:
		(void)CALL(shale_delete(store, name, &why));
		break;
	case 5:
		(void)CALL(shale_update(store, name, labels, NULL, &why));
		break;
	case 6:
		(void)CALL(shale_cleanup(store, NULL, &why));
		break;
	default:
		(void)CALL(shale_check(store, who & 1 ? SHALE_CHECK_REPAIR : 0,
				       NULL, NULL, &why));
	}
}

/* ---- what must not be lost ---- */

#define MUST(call) REQUIRE(CALL(call) == 0)

static struct shale_store *open_store(bool create)
{
	const char *const config[] = {
		"any_filesystem",      "yes", "durability", "none", "create",
		create ? "yes" : "no", NULL
	};
	struct shale_store *ret = NULL;

	if (CALL(shale_store_open(root_path, NULL, config, NULL, &ret, &why)) <
	    0)
		return NULL;
	return ret;
}

static void make_good(void)
{
	struct shale_store *store = open_store(true);

	REQUIRE(store);
	MUST(shale_prepare(store, "key", NULL, NULL, &why));
	MUST(shale_commit(store, "good base", "key", NULL, &why));
	MUST(shale_prepare(store, "key", "good base", NULL, &why));
	MUST(shale_commit(store, "good tip", "key", NULL, &why));
	MUST(shale_prepare(store, "good key", "good tip", NULL, &why));
	MUST(shale_view(store, "good view", "good tip", NULL, &why));
	shale_store_close(store);
}

struct wanted {
	const char *parent;
	uint32_t kind;
	int calls;
};

static int compare(void *ctx, const struct shale_info *info)
{
	struct wanted *wanted = ctx;

	REQUIRE(!strcmp(info->parent, wanted->parent));
	REQUIRE(info->kind == wanted->kind);
	wanted->calls++;
	return 0;
}

static void check_good(struct shale_store *store)
{
	static const struct wanted wanted[] = {
		{ "", SHALE_KIND_COMMITTED, 0 },
		{ "good base", SHALE_KIND_COMMITTED, 0 },
		{ "good tip", SHALE_KIND_ACTIVE, 0 },
		{ "good tip", SHALE_KIND_VIEW, 0 },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct wanted one = wanted[i];

		MUST(shale_stat(store, good[i], compare, &one, &why));
		REQUIRE(one.calls == 1);
		if (i > 1)
			MUST(shale_mounts(store, good[i], read_spec, NULL,
					  &why));
	}
}

static void make_root(void)
{
	(void)fs_remove_tree(fuzz_dir(), "store", NULL, NULL);
	REQUIRE(mkdirat(fuzz_dir(), "store", 0700) == 0);
	root_fd =
		openat(fuzz_dir(), "store", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(root_fd >= 0);
	(void)snprintf(root_path, sizeof(root_path), "/proc/self/fd/%d/store",
		       fuzz_dir());
	make_good();
}

static int note(void *ctx, const struct shale_finding *finding)
{
	REQUIRE(finding->size >= sizeof(*finding));
	REQUIRE(finding->kind[0] && finding->what[0] && finding->name &&
		finding->path);
	++*(int *)ctx;
	return 0;
}

static void repair(struct shale_store *store)
{
	int findings = 0;

	(void)CALL(shale_check(store, 0, note, &findings, &why));
	(void)CALL(
		shale_check(store, SHALE_CHECK_REPAIR, note, &findings, &why));
}

/* What a stranger does, then what we do. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	struct shale_store *store;
	uint8_t steps = bytes_take(&bytes) % STEPS_MAX;

	make_root();
	while (bytes.left && steps--)
		do_one(&bytes);
	store = open_store(false);
	if (store) {
		check_good(store);
		for (size_t i = 0; i < 4; i++)
			ask_about(store, strange[i]);
		(void)CALL(shale_walk(store, count, NULL, &why));
		(void)CALL(shale_active(store, count, NULL, &why));
		for (steps = 0; bytes.left && steps < STEPS_MAX; steps++)
			change(store, &bytes);
		(void)CALL(shale_cleanup(store, NULL, &why));
		check_good(store);
		repair(store);
		check_good(store);
		shale_store_close(store);
	}
	drop_fd(&root_fd);
	return 0;
}
