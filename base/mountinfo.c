/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's list of mounts: see mountinfo.h.
 */
#include "mountinfo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"

void mountinfo_unescape(char *text)
{
	char *out = text;

	for (; *text; text++) {
		if (*text == '\\' && text[1] >= '0' && text[1] <= '3' &&
		    text[2] >= '0' && text[2] <= '7' && text[3] >= '0' &&
		    text[3] <= '7') {
			*out++ = (char)((text[1] - '0') * 64 +
					(text[2] - '0') * 8 + (text[3] - '0'));
			text += 3;
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
}

bool mountinfo_has(const char *options, const char *word)
{
	const size_t len = strlen(word);

	for (; *options; options += options[0] == ',') {
		const size_t n = strcspn(options, ",");

		if (n == len && !strncmp(options, word, len))
			return true;
		options += n;
	}
	return false;
}

static bool is_number(const char *word, uint64_t *ret)
{
	char *end;

	*ret = strtoull(word, &end, 10);
	return word[0] >= '0' && word[0] <= '9' && !*end;
}

/*
 * "36 35 98:0 /root /target rw,noatime master:1 - ext3 /dev/root rw,errors=.."
 * with any number of words before the "-".
 */
bool mountinfo_parse(char *line, struct mountinfo *ret)
{
	char *before[6], *after[3], *word = NULL;

	line[strcspn(line, "\n")] = '\0';
	for (int i = 0; i < 6; i++) {
		before[i] = strsep(&line, " ");
		if (!line)
			return false;
	}
	do
		word = strsep(&line, " ");
	while (word && strcmp(word, "-") != 0);
	for (int i = 0; i < 3; i++) {
		after[i] = strsep(&line, " ");
		if (!after[i])
			return false;
	}
	for (int i = 3; i < 5; i++)
		mountinfo_unescape(before[i]);
	for (int i = 0; i < 2; i++)
		mountinfo_unescape(after[i]);
	ret->dev = before[2];
	ret->root = before[3];
	ret->target = before[4];
	ret->options = before[5];
	ret->type = after[0];
	ret->source = after[1];
	ret->super = after[2];
	return is_number(before[0], &ret->id) &&
	       is_number(before[1], &ret->parent);
}

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
