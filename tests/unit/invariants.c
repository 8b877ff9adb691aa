/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules of a store on disk: see invariants.h.
 */
#include "invariants.h"

#include "fixture.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"

static int broken;

static void report(const char *path, const char *rule)
{
	print_error("broken: %s: %s\n", path + strlen(here), rule);
	broken++;
}

/* Whether @path is a link; its text is written to @ret. */
static bool read_fact(const char *path, char ret[SHALE_NAME_SIZE])
{
	ssize_t n = readlink(path, ret, SHALE_NAME_SIZE);

	if (n < 0 || n == SHALE_NAME_SIZE)
		return false;
	ret[n] = '\0';
	return true;
}

static bool is_type(const char *path, mode_t type)
{
	struct stat st;

	return lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

static bool is_id(const char *name)
{
	return strlen(name) == 32 && strspn(name, "0123456789abcdef") == 32;
}

/* Calls @check for each entry of here/store/@room. */
static void each_entry(const char *room,
		       void (*check)(const char *path, const char *name))
{
	char dir_path[PATH_MAX], path[PATH_MAX];
	const struct dirent *entry;
	DIR *dir;

	(void)snprintf(dir_path, sizeof(dir_path), "%s", at("store/%s", room));
	dir = opendir(dir_path);
	if (!dir) {
		report(dir_path, "is a directory");
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		(void)snprintf(path, sizeof(path), "%s",
			       at("store/%s/%s", room, entry->d_name));
		check(path, entry->d_name);
	}
	(void)closedir(dir);
}

/* Below a snapshot's directory. */
static const char *in(const char *dir, const char *file)
{
	return at("%s/%s", dir + strlen(here) + 1, file);
}

static void check_labels_fact(const char *path)
{
	char text[65536 + 1] = "";
	struct json *json = NULL;
	struct stat st;
	size_t len = 0;

	if (lstat(path, &st) < 0)
		return;
	if (S_ISLNK(st.st_mode)) {
		if (!read_fact(path, text))
			report(path, "a link of labels has 1..1023 bytes");
		len = strlen(text);
	} else {
		FILE *file = fopen(path, "re");

		len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
		if (file)
			(void)fclose(file);
		if (len < SHALE_NAME_SIZE)
			report(path, "labels are in a file where a link is too "
				     "short");
	}
	if (json_parse(text, len, "labels", &json, NULL) < 0 ||
	    json->type != JSON_OBJECT)
		report(path, "labels are a JSON object");
	json_free(json);
}

static void check_parent_fact(const char *path)
{
	static const char prefix[] = "../../snapshots/";
	char text[SHALE_NAME_SIZE], name[SHALE_NAME_SIZE];

	if (!is_there(path))
		return;
	if (!read_fact(path, text) ||
	    strncmp(text, prefix, sizeof(prefix) - 1) != 0 ||
	    !is_id(text + sizeof(prefix) - 1))
		report(path, "a parent is ../../snapshots/ID");
	else if (!read_fact(at("store/snapshots/%s/name",
			       text + sizeof(prefix) - 1),
			    name))
		report(path, "the parent is committed");
}

static bool forgiving;

static void check_entries(const char *dir, const char *const *allowed,
			  const char *const *forgiven)
{
	const struct dirent *entry;
	DIR *stream = opendir(dir);

	if (!stream) {
		report(dir, "is a directory");
		return;
	}
	while ((entry = readdir(stream)) != NULL) {
		const char *name = entry->d_name;

		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		if (!is_one_of(name, allowed) &&
		    !(forgiving && is_one_of(name, forgiven)))
			report(in(dir, name), "a snapshot has no such entry");
	}
	(void)closedir(stream);
}

static void check_active(const char *dir, const char *id_there)
{
	static const char *const of_active[] = { "key",	       "key.parent",
						 "key.labels", "fs",
						 "work",       "volatile",
						 NULL };
	/* Its files are in another directory. */
	static const char *const of_placed[] = { "key",	       "key.parent",
						 "key.labels", "upper",
						 "volatile",   NULL };
	static const char *const of_view[] = { "view", "key.parent",
					       "key.labels", "fs", NULL };
	static const char *const of_commit[] = { "name",	"name.parent",
						 "name.labels", "usage",
						 "manifest",	NULL };
	char key[SHALE_NAME_SIZE];
	bool is_active = read_fact(in(dir, "key"), key);
	bool has_parent = is_there(in(dir, "key.parent"));
	bool is_placed = is_active && is_there(in(dir, "upper"));

	if (is_active == is_there(in(dir, "view")))
		report(dir, "it is an active or a view");
	else if (!is_active && !read_fact(in(dir, "view"), key))
		report(dir, "the kind fact is a link");
	else if (strcmp(id(key), id_there) != 0)
		report(dir, "the ID is that of the key");
	else if (is_there(of_name(key, "name")))
		report(dir, "no key is a name too");
	check_entries(dir,
		      is_placed	  ? of_placed
		      : is_active ? of_active
				  : of_view,
		      of_commit);
	check_parent_fact(in(dir, "key.parent"));
	check_labels_fact(in(dir, "key.labels"));
	if (is_placed)
		return;
	if (is_type(in(dir, "fs"), S_IFDIR) != (is_active || !has_parent))
		report(dir, "fs is there, but for a view with a parent");
	if (is_active && has_parent && !is_type(in(dir, "work"), S_IFDIR))
		report(dir, "an active with a parent has a work");
}

static void check_committed(const char *dir, const char *id_there)
{
	static const char *const allowed[] = { "name",	      "name.parent",
					       "name.labels", "usage",
					       "manifest",    "fs",
					       NULL };
	static const char *const of_key_facts[] = { "key",	  "key.parent",
						    "key.labels", "work",
						    "volatile",	  NULL };
	char name[SHALE_NAME_SIZE], usage[SHALE_NAME_SIZE], rest;
	uint64_t bytes, inodes;

	if (!read_fact(in(dir, "name"), name))
		report(dir, "it has a name");
	else if (strcmp(id(name), id_there) != 0)
		report(dir, "the ID is that of the name");
	check_entries(dir, allowed, of_key_facts);
	check_parent_fact(in(dir, "name.parent"));
	check_labels_fact(in(dir, "name.labels"));
	if (!is_type(in(dir, "fs"), S_IFDIR))
		report(dir, "it has an fs");
	if (!read_fact(in(dir, "usage"), usage) ||
	    sscanf(usage, "%" SCNu64 ",%" SCNu64 "%c", &bytes, &inodes,
		   &rest) != 2)
		report(dir, "its usage is BYTES,INODES");
	/* A chain that is longer than all chains here goes in a circle. */
	for (int depth = 0; depth < 10000; depth++) {
		char text[SHALE_NAME_SIZE];

		if (!read_fact(at("store/snapshots/%s/name.parent", id_there),
			       text))
			return;
		id_there = at("%s", strrchr(text, '/') + 1) + strlen(here) + 1;
	}
	report(dir, "its chain of parents ends");
}

static void check_garbage(const char *path, const char *name)
{
	(void)name;
	report(path, "no garbage is left");
}

static void check_root(const char *path, const char *name)
{
	static const char *const allowed[] = {
		"format", "lock",	"snapshots", "active", "staging",
		"trash",  "lost+found", "mapped",    NULL
	};

	if (!is_one_of(name, allowed))
		report(path, "a store has no such entry");
}

int invariants_check(bool after_kill)
{
	broken = 0;
	forgiving = after_kill;
	each_entry("", check_root);
	each_entry("staging", check_garbage);
	each_entry("trash", check_garbage);
	each_entry("active", check_active);
	each_entry("snapshots", check_committed);
	if (generation() % 2)
		report(at("store/lock"), "the generation is even");
	return broken;
}
