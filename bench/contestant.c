/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The protocol of a contestant: see contestant.h.
 */
#include "contestant.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 32

static char failure[1024];
static const struct contest_row *current;

int contest_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(failure, sizeof(failure), fmt, args);
	va_end(args);
	return -1;
}

int contest_fail_errno(const char *fmt, ...)
{
	const int code = errno;
	size_t len;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(failure, sizeof(failure), fmt, args);
	va_end(args);
	len = strlen(failure);
	(void)snprintf(failure + len, sizeof(failure) - len, ": %s",
		       strerror(code));
	return -1;
}

const char *contest_arg(const struct contest *contest, const char *key,
			const char *fallback)
{
	const size_t len = strlen(key);

	for (char **arg = contest->args; *arg; arg++)
		if (!strncmp(*arg, key, len) && (*arg)[len] == '=')
			return *arg + len + 1;
	return fallback;
}

long contest_number(const struct contest *contest, const char *key,
		    long fallback)
{
	const char *text = contest_arg(contest, key, NULL);

	return text ? strtol(text, NULL, 10) : fallback;
}

uint64_t contest_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int contest_alone(void)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		return contest_fail_errno("a mount namespace of its own");
	return 0;
}

/* ---- the words of a line ---- */

static void leave(void)
{
	if (current && current->teardown)
		current->teardown();
	current = NULL;
}

static int set_up(const char *dir, char **words, const struct contest_row *rows,
		  size_t count)
{
	const struct contest contest = { dir, words + 1 };

	for (size_t i = 0; words[0] && i < count; i++)
		if (!strcmp(rows[i].name, words[0]))
			current = &rows[i];
	if (!current)
		return contest_fail("no row '%s' here",
				    words[0] ? words[0] : "");
	if (current->setup(&contest) < 0)
		return -1;
	(void)puts("ok");
	return 0;
}

static int go_together(long count)
{
	uint64_t ns;

	if (current->together(count, &ns) < 0)
		return -1;
	(void)printf("wall %llu %ld\n", (unsigned long long)ns, count);
	return 0;
}

static int go_round(const char *word)
{
	const long count = word ? strtol(word, NULL, 10) : 0;
	uint64_t *ns;
	int r = 0;

	if (!current || count < 1)
		return contest_fail("round: nothing is set up, or no number");
	if (current->together)
		return go_together(count);
	ns = calloc((size_t)count, sizeof(*ns));
	if (!ns)
		return contest_fail("out of memory");
	for (long i = 0; r == 0 && i < count; i++)
		r = current->once(&ns[i]);
	for (long i = 0; r == 0 && i < count; i++)
		(void)printf("%s%llu", i ? " " : "", (unsigned long long)ns[i]);
	if (r == 0)
		(void)putchar('\n');
	free(ns);
	return r;
}

/* What is resident now: the most that ever was tells of the setup. */
static long rss_kib(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (!statm || fscanf(statm, "%*s %ld", &pages) != 1)
		pages = 0;
	if (statm)
		(void)fclose(statm);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int inform(const char *word)
{
	if (word && !strcmp(word, "rss_kib"))
		(void)printf("%ld\n", rss_kib());
	else
		(void)puts("unknown");
	return 0;
}

static void split(char *line, char *words[WORDS_MAX + 1])
{
	size_t n = 0;

	for (char *at = strtok_r(line, " \n", &line); at && n < WORDS_MAX;
	     at = strtok_r(NULL, " \n", &line))
		words[n++] = at;
	words[n] = NULL;
}

static int answer(const char *dir, char **words, const struct contest_row *rows,
		  size_t count)
{
	if (!strcmp(words[0], "setup"))
		return set_up(dir, words + 1, rows, count);
	if (!strcmp(words[0], "round"))
		return go_round(words[1]);
	if (!strcmp(words[0], "info"))
		return inform(words[1]);
	return contest_fail("unknown word '%s'", words[0]);
}

int contest_main(int argc, char **argv, const struct contest_row *rows,
		 size_t count)
{
	/* Those of a setup are the row's as long as it lasts. */
	char *setup[WORDS_MAX + 1], *round[WORDS_MAX + 1];
	char *line = NULL, *kept = NULL;
	size_t room = 0;

	if (argc != 2 || argv[1][0] != '/') {
		(void)fprintf(stderr, "usage: %s /DIRECTORY\n", argv[0]);
		return 2;
	}
	while (getline(&line, &room, stdin) > 0) {
		char **words = round;

		if (!strncmp(line, "setup ", 6)) {
			leave();
			free(kept);
			kept = line;
			line = NULL;
			room = 0;
			words = setup;
		}
		split(words == setup ? kept : line, words);
		if (!words[0])
			continue;
		if (!strcmp(words[0], "end"))
			break;
		if (answer(argv[1], words, rows, count) < 0)
			(void)printf("error %s\n", failure);
		(void)fflush(stdout);
	}
	leave();
	free(line);
	free(kept);
	return 0;
}
