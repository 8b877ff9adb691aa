/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The power goes while several writers prepare, unpack, commit, remove and
 * delete.  What a commit acknowledged is there, byte for byte; nothing
 * half-made is visible; the store opens and keeps its rules; with durability
 * `all` every acknowledged operation is there.  And the same test without
 * syncs finds layers that are lost or torn.
 *
 * SHALE_LONG=1: 300 cuts a file system and durability, or $SHALE_CUTS.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "invariants.h"
#include "operations.h"
#include "tree.h"

#define WRITERS 3
#define ENTRIES 400
#define DISK_MIB 512
#define SHORT_CUTS 6
#define LONG_CUTS 300
/* What a writer may find of earlier rounds. */
#define SURVIVORS 8

enum state {
	NOTHING,
	PREPARING,
	PREPARED,
	COMMITTING,
	COMMITTED,
	REMOVING,
	REMOVED,
	DELETING,
	DELETED,
};

/* As long as a chainID: a link of more than 59 bytes has a block of its own. */
#define NAME_MAX_BYTES 80
/* A label that is kept in a link, and one that is kept in a file. */
#define LINK_LABEL 300
#define FILE_LABEL 3000

/* What a writer has begun, and what was acknowledged to it. */
struct entry {
	int state;
	uint64_t seed;
	char key[32], name[NAME_MAX_BYTES], parent[NAME_MAX_BYTES];
};

struct diary {
	struct entry entries[ENTRIES];
	unsigned int count;
};

/* In memory that the power cut does not reach. */
struct shared {
	struct diary diaries[WRITERS];
	uint64_t serial;
	bool is_cut;
	char error[1024];
};

struct machine {
	const char *type, *durability;
	struct shared *shared;
	uint64_t random;
	unsigned long cuts, commits, others;
	char damage[1024]; /* "" for none */
};

static uint64_t draw(uint64_t *random, uint64_t below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (*random >> 20) % below;
}

static void set(struct entry *entry, enum state state)
{
	__atomic_store_n(&entry->state, (int)state, __ATOMIC_SEQ_CST);
}

/* What else of an entry is known by its number. */
static bool is_empty(const struct entry *entry)
{
	return entry->seed % 5 == 0;
}

static void fill_label(const struct entry *entry, char text[FILE_LABEL + 1])
{
	static const size_t sizes[] = { 1, LINK_LABEL, FILE_LABEL };
	size_t len = sizes[entry->seed % 3];

	(void)memset(text, 'a' + (int)(entry->seed % 26), len);
	text[len] = '\0';
}

/* ---- a writer ---- */

struct writer {
	struct machine *machine;
	struct diary *diary;
	struct shale_store *handle;
	uint64_t random;
};

/* An error is one of ours only as long as there is power. */
static void complain(const struct writer *writer, const char *what,
		     const char *why_not)
{
	struct shared *shared = writer->machine->shared;

	if (!__atomic_load_n(&shared->is_cut, __ATOMIC_SEQ_CST))
		(void)snprintf(shared->error, sizeof(shared->error), "%s: %s",
			       what, why_not);
	for (;;)
		(void)pause();
}

/*
 * What returns after the cut has acknowledged nothing, as there would be
 * nobody: xfs, once shut down, finds a directory clean and its fsync a success.
 */
static void acknowledged(const struct writer *writer, struct entry *entry,
			 enum state state)
{
	if (__atomic_load_n(&writer->machine->shared->is_cut, __ATOMIC_SEQ_CST))
		for (;;)
			(void)pause();
	set(entry, state);
}

static struct entry *find_committed(struct writer *writer)
{
	struct diary *diary = writer->diary;

	for (int tries = 0; diary->count && tries < 4; tries++) {
		struct entry *entry =
			&diary->entries[draw(&writer->random, diary->count)];

		if (entry->state == COMMITTED)
			return entry;
	}
	return NULL;
}

static struct entry *new_entry(struct writer *writer)
{
	const struct entry *parent = find_committed(writer);
	struct shared *shared = writer->machine->shared;
	uint64_t n = __atomic_add_fetch(&shared->serial, 1, __ATOMIC_SEQ_CST);
	struct entry *entry;

	if (writer->diary->count == ENTRIES)
		for (;;)
			(void)pause();
	entry = &writer->diary->entries[writer->diary->count];
	*entry = (struct entry){ .seed = n };
	(void)snprintf(entry->key, sizeof(entry->key), "key %llu",
		       (unsigned long long)n);
	(void)snprintf(entry->name, sizeof(entry->name),
		       n % 2 ? "name %llu" : "sha256:%064llu",
		       (unsigned long long)n);
	if (parent)
		(void)snprintf(entry->parent, sizeof(entry->parent), "%s",
			       parent->name);
	writer->diary->count++;
	return entry;
}

/* As a container does right away: on btrfs this brings the log in. */
static void fsync_in_upper(const struct entry *entry)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s",
		       of_key(entry->key, "fs/synced"));
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	(void)!write(fd, "synced", 6);
	(void)fsync(fd);
	(void)close(fd);
	(void)unlink(path);
}

static void delete_some(struct writer *writer)
{
	struct entry *entry = find_committed(writer);
	struct shale_error error = SHALE_ERROR_INIT;
	int r;

	if (!entry)
		return;
	set(entry, DELETING);
	r = shale_delete(writer->handle, entry->name, &error);
	if (r == 0)
		acknowledged(writer, entry, DELETED);
	else if (r == -EBUSY) /* it has children */
		acknowledged(writer, entry, COMMITTED);
	else
		complain(writer, "delete", error.msg);
}

static void write_once(struct writer *writer)
{
	struct entry *entry = new_entry(writer);
	struct shale_error error = SHALE_ERROR_INIT;
	char label[FILE_LABEL + 1];
	const char *const labels[] = { "label", label, NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	fill_label(entry, label);
	set(entry, PREPARING);
	if (shale_prepare(writer->handle, entry->key, entry->parent, NULL,
			  &error) < 0)
		complain(writer, "prepare", error.msg);
	acknowledged(writer, entry, PREPARED);
	if (draw(&writer->random, 3) == 0)
		fsync_in_upper(entry);
	if (draw(&writer->random, 6) == 0) {
		set(entry, REMOVING);
		if (shale_remove(writer->handle, entry->key, &error) < 0)
			complain(writer, "remove", error.msg);
		acknowledged(writer, entry, REMOVED);
		return;
	}
	if (!is_empty(entry) &&
	    !tree_write(of_key(entry->key, "fs"), entry->seed))
		complain(writer, "unpack", strerror(errno));
	set(entry, COMMITTING);
	if (shale_commit(writer->handle, entry->name, entry->key, &opts,
			 &error) < 0)
		complain(writer, "commit", error.msg);
	acknowledged(writer, entry, COMMITTED);
	if (draw(&writer->random, 3) == 0)
		delete_some(writer);
}

static void open_writer(struct writer *writer)
{
	const char *const config[] = { "any_filesystem", "yes", "durability",
				       writer->machine->durability, NULL };
	struct shale_error error = SHALE_ERROR_INIT;

	if (shale_store_open(at("store"), NULL, config, NULL, &writer->handle,
			     &error) < 0)
		complain(writer, "open", error.msg);
}

static pid_t start_writer(struct machine *machine, int n)
{
	struct writer writer = {
		.machine = machine,
		.diary = &machine->shared->diaries[n],
		.random = machine->random + (uint64_t)n * 7919 + 1,
	};
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	open_writer(&writer);
	for (;;)
		write_once(&writer);
}

/* ---- after the cut ---- */

__attribute__((format(printf, 2, 3))) static void
damaged(struct machine *machine, const char *fmt, ...)
{
	va_list args;

	if (*machine->damage)
		return;
	va_start(args, fmt);
	(void)vsnprintf(machine->damage, sizeof(machine->damage), fmt, args);
	va_end(args);
}

static bool is_known(struct machine *machine, const char *name)
{
	struct shale_error error = SHALE_ERROR_INIT;
	int r = shale_exists(store, name, &error);

	if (r < 0 && r != -ENOENT)
		damaged(machine, "'%s' can't be read: %s", name, error.msg);
	return r == 0;
}

static bool has_nothing(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		(void)closedir(dir);
	return count == 2; /* "." and ".." */
}

static int has_label(void *ctx, const struct shale_info *info)
{
	const struct entry *entry = ctx;
	char label[FILE_LABEL + 1];

	fill_label(entry, label);
	return strcmp(info->name, entry->name) == 0 &&
	       strcmp(info->parent, entry->parent) == 0 && info->labels[0] &&
	       strcmp(info->labels[1], label) == 0;
}

static bool is_right(const struct entry *entry, const char *fs, char *differs,
		     size_t size)
{
	(void)snprintf(differs, size, "its facts");
	if (shale_stat(store, entry->name, has_label, (void *)(uintptr_t)entry,
		       NULL) != 1)
		return false;
	(void)snprintf(differs, size, "it is not empty");
	return is_empty(entry) ? has_nothing(fs)
			       : tree_check(fs, entry->seed, differs, size);
}

static void check_layer(struct machine *machine, struct entry *entry)
{
	bool must = entry->state == COMMITTED;
	char path[PATH_MAX], differs[512];

	if (!is_known(machine, entry->name)) {
		if (must)
			damaged(machine,
				"'%s' on '%s' of '%s' was committed and is lost; its key is %s",
				entry->name, entry->parent, entry->key,
				is_known(machine, entry->key) ? "there"
							      : "gone");
		entry->state = NOTHING;
		return;
	}
	(void)snprintf(path, sizeof(path), "%s", of_name(entry->name, "fs"));
	if (!is_right(entry, path, differs, sizeof(differs)))
		damaged(machine, "'%s' is torn: %s", entry->name, differs);
	machine->commits += must;
	entry->state = COMMITTED;
}

/* With durability `all` an acknowledged change of a key is there, too. */
static void check_key(struct machine *machine, const struct entry *entry)
{
	if (strcmp(machine->durability, "all") != 0)
		return;
	if (entry->state == PREPARED && !is_known(machine, entry->key))
		damaged(machine, "'%s' was prepared and is lost", entry->key);
	if ((entry->state == REMOVED || entry->state == COMMITTED) &&
	    is_known(machine, entry->key))
		damaged(machine, "'%s' was removed and is back", entry->key);
	if (entry->state == DELETED && is_known(machine, entry->name))
		damaged(machine, "'%s' was deleted and is back", entry->name);
	machine->others++;
}

static void check_diary(struct machine *machine, struct diary *diary)
{
	for (unsigned int i = 0; i < diary->count; i++) {
		struct entry *entry = &diary->entries[i];

		check_key(machine, entry);
		if (entry->state >= COMMITTING && entry->state != REMOVING &&
		    entry->state != REMOVED)
			check_layer(machine, entry);
	}
}

static int ignore(void *ctx, const struct shale_info *info)
{
	(void)ctx;
	(void)info;
	return 0;
}

static void check_whole(struct machine *machine)
{
	struct shale_error error = SHALE_ERROR_INIT;

	if (shale_active(store, ignore, NULL, &error) < 0 ||
	    shale_walk(store, ignore, NULL, &error) < 0 ||
	    shale_cleanup(store, NULL, &error) < 0 ||
	    shale_check(store, 0, NULL, NULL, &error) < 0)
		damaged(machine, "the store is torn: %s", error.msg);
	if (invariants_check(false))
		damaged(machine, "the rules above are broken");
}

/* ---- the next round ---- */

static int note_key(void *ctx, const struct shale_info *info)
{
	char(*keys)[32] = ctx;
	int n = 0;

	while (keys[n][0])
		n++;
	if (n == WRITERS * ENTRIES - 1)
		return 1;
	(void)snprintf(keys[n], sizeof(keys[n]), "%s", info->name);
	return 0;
}

static void remove_keys(void)
{
	char(*keys)[32] = calloc(WRITERS * ENTRIES, sizeof(*keys));

	assert_non_null(keys);
	MUST(shale_active(store, note_key, keys, &why));
	for (int i = 0; keys[i][0]; i++)
		MUST(shale_remove(store, keys[i], &why));
	free(keys);
}

/* Children are later than their parents: the last ones go first. */
static void thin_out(struct diary *diary)
{
	unsigned int kept = 0, left = 0;

	for (unsigned int i = 0; i < diary->count; i++)
		kept += diary->entries[i].state == COMMITTED;
	for (unsigned int i = diary->count; i-- > 0 && kept > SURVIVORS;) {
		struct entry *entry = &diary->entries[i];

		if (entry->state != COMMITTED ||
		    shale_delete(store, entry->name, NULL) < 0)
			continue;
		entry->state = NOTHING;
		kept--;
	}
	for (unsigned int i = 0; i < diary->count; i++)
		if (diary->entries[i].state == COMMITTED)
			diary->entries[left++] = diary->entries[i];
	diary->count = left;
}

static void one_cut(struct machine *machine)
{
	struct timespec pause = { 0, 0 };
	pid_t writers[WRITERS];

	machine->shared->is_cut = false;
	for (int i = 0; i < WRITERS; i++)
		writers[i] = start_writer(machine, i);
	pause.tv_nsec = 5000000 + (long)draw(&machine->random, 200) * 1000000;
	(void)nanosleep(&pause, NULL);
	__atomic_store_n(&machine->shared->is_cut, true, __ATOMIC_SEQ_CST);
	disk_cut(machine->type, draw(&machine->random, 2), writers, WRITERS);
	if (*machine->shared->error)
		fail_msg("before the cut: %s", machine->shared->error);
	disk_return(machine->type);
	store = open_more(NULL, NULL);
	for (int i = 0; i < WRITERS; i++)
		check_diary(machine, &machine->shared->diaries[i]);
	check_whole(machine);
	machine->cuts++;
	if (!*machine->damage) {
		remove_keys();
		for (int i = 0; i < WRITERS; i++)
			thin_out(&machine->shared->diaries[i]);
	}
	close_handle(store);
	store = NULL;
}

static unsigned long cuts_to_make(void)
{
	const char *said = getenv("SHALE_CUTS");

	if (said)
		return strtoul(said, NULL, 10);
	return getenv("SHALE_LONG") ? LONG_CUTS : SHORT_CUTS;
}

static void cut_the_power(struct machine *machine, unsigned long cuts)
{
	struct timespec now;

	needs_mounts();
	(void)clock_gettime(CLOCK_REALTIME, &now);
	machine->random = (uint64_t)now.tv_nsec * 2654435761u + 1;
	machine->shared = mmap(NULL, sizeof(*machine->shared),
			       PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(machine->shared != MAP_FAILED);
	disk_make(machine->type, DISK_MIB);
	store = open_more(NULL, NULL);
	close_handle(store);
	store = NULL;
	while (machine->cuts < cuts && !*machine->damage)
		one_cut(machine);
	disk_drop();
	(void)munmap(machine->shared, sizeof(*machine->shared));
	(void)printf("# %s, durability %s: %lu cuts, %lu commits whole%s%s\n",
		     machine->type, machine->durability, machine->cuts,
		     machine->commits, *machine->damage ? "; then " : "",
		     machine->damage);
}

static void keep_all(const char *type, const char *durability)
{
	struct machine machine = { .type = type, .durability = durability };

	cut_the_power(&machine, cuts_to_make());
	if (*machine.damage)
		fail_msg("after %lu cuts: %s", machine.cuts, machine.damage);
	/* Or nothing was tried. */
	assert_true(machine.commits > 0);
}

/* ---- the tests ---- */

static void ext4_keeps_what_was_committed(void **state)
{
	(void)state;
	keep_all("ext4", "layer");
}

static void xfs_keeps_what_was_committed(void **state)
{
	(void)state;
	keep_all("xfs", "layer");
}

static void btrfs_keeps_what_was_committed(void **state)
{
	(void)state;
	keep_all("btrfs", "layer");
}

static void ext4_keeps_all_with_durability_all(void **state)
{
	(void)state;
	keep_all("ext4", "all");
}

static void xfs_keeps_all_with_durability_all(void **state)
{
	(void)state;
	keep_all("xfs", "all");
}

static void btrfs_keeps_all_with_durability_all(void **state)
{
	(void)state;
	keep_all("btrfs", "all");
}

static void without_syncs_layers_are_lost(void **state)
{
	struct machine machine = { .type = "ext4", .durability = "none" };

	(void)state;
	cut_the_power(&machine, 30);
	if (!*machine.damage)
		fail_msg(
			"30 cuts have damaged nothing: what is this test worth");
}

static int run_all(const char *filter)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(ext4_keeps_what_was_committed),
		TEST_IN_DIR(xfs_keeps_what_was_committed),
		TEST_IN_DIR(btrfs_keeps_what_was_committed),
		TEST_IN_DIR(ext4_keeps_all_with_durability_all),
		TEST_IN_DIR(xfs_keeps_all_with_durability_all),
		TEST_IN_DIR(btrfs_keeps_all_with_durability_all),
		TEST_IN_DIR(without_syncs_layers_are_lost),
	};

	if (filter)
		cmocka_set_test_filter(filter);
	return cmocka_run_group_tests_name("powercut", tests, NULL, NULL);
}

/* An argument picks tests by a pattern: 'xfs*'. */
int main(int argc, char **argv)
{
	return world_run(run_all, argc > 1 ? argv[1] : NULL);
}
