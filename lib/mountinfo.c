/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's list of mounts: see mountinfo.h.
 */
#include "mountinfo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"

int mountinfo_find(FILE *file, uint64_t id, bool is_below, char **ret)
{
	auto_free char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, file) > 0) {
		char *end;
		uint64_t self = strtoull(line, &end, 10);
		uint64_t parent = strtoull(end, NULL, 10);

		if ((is_below ? parent : self) == id) {
			*ret = take_ptr(&line);
			return 0;
		}
	}
	return -ENOENT;
}

uint64_t mountinfo_parent(const char *line)
{
	char *end;

	(void)strtoull(line, &end, 10);
	return strtoull(end, NULL, 10);
}

/*
 * Layers as mountinfo shows them: "lowerdir=A:B", where "\:" of a path is
 * "\134:", or "lowerdir+=A,lowerdir+=B".
 */
static size_t count_layers(const char *options)
{
	static const char plus[] = ",lowerdir+=";
	const char *s = strstr(options, ",lowerdir=");
	size_t n = 0, backslashes = 0;

	if (!s) {
		for (s = strstr(options, plus); s; s = strstr(s + 1, plus))
			n++;
		return n;
	}
	n = 1;
	for (s += strlen(",lowerdir="); *s && !strchr(", \n", *s); s++) {
		if (*s == ':' && backslashes % 2 == 0)
			n++;
		if (strncmp(s, "\\134", 4) == 0) {
			backslashes++;
			s += 3;
		} else {
			backslashes = 0;
		}
	}
	return n;
}

size_t mountinfo_count_layers(const char *line)
{
	const char *options = strstr(line, " - ");

	return options ? count_layers(options) : 0;
}

/* The mount point of a line of mountinfo: its fifth word. */
static const char *place_of(const char *line, uint64_t *ret_self,
			    uint64_t *ret_parent, size_t *ret_len)
{
	char *at;

	*ret_self = strtoull(line, &at, 10);
	*ret_parent = strtoull(at, &at, 10);
	for (int word = 0; word < 2; word++) {
		at += strspn(at, " ");
		at += strcspn(at, " ");
	}
	at += strspn(at, " ");
	*ret_len = strcspn(at, " ");
	return at;
}

bool mountinfo_is_covered(FILE *file, uint64_t id)
{
	auto_free char *line = NULL;
	auto_free char *place = NULL;
	size_t room = 0, len;

	/* Parents are listed before what is mounted on them. */
	while (getline(&line, &room, file) > 0) {
		uint64_t self, parent;
		const char *at = place_of(line, &self, &parent, &len);

		if (self == id && !place)
			place = strndup(at, len);
		else if (parent == id && place && strlen(place) == len &&
			 strncmp(at, place, len) == 0)
			return true;
	}
	return false;
}
