/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A look at the bytes of a configuration: see mark.h.
 */
#include "mark.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scope.h"

#define PREFIX "org.shale."
/* Longest thing that two reads could part, less one byte. */
#define OVERLAP (sizeof(PREFIX) - 2)
#define CHUNK 65536

/* \u006f and the like: small letters and the dot. */
static bool has_escape(const char *text, size_t len)
{
	static const char start[] = "\\u00";
	const char *end = text + len, *at = text;

	while ((at = memmem(at, (size_t)(end - at), start,
			    sizeof(start) - 1))) {
		at += sizeof(start) - 1;
		if (end - at < 2)
			return false; /* the next chunk has all of it */
		if (at[0] == '6' || at[0] == '7' ||
		    (at[0] == '2' && (at[1] == 'e' || at[1] == 'E')))
			return true;
	}
	return false;
}

bool mark_is_in(const char *path)
{
	static char buffer[OVERLAP + CHUNK];
	auto_fd fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	size_t kept = 0;
	ssize_t n;

	/* What is in a fifo can be read once. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	while ((n = read(fd, buffer + kept, CHUNK)) > 0) {
		size_t len = kept + (size_t)n;

		if (memmem(buffer, len, PREFIX, sizeof(PREFIX) - 1) ||
		    has_escape(buffer, len))
			return true;
		kept = len < OVERLAP ? len : OVERLAP;
		memmove(buffer, buffer + len - kept, kept);
	}
	return false;
}
