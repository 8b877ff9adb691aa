/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the fuzz targets share.  A target is one file with fuzz_name and
 * LLVMFuzzerTestOneInput; whatever bytes it gets, it must come back, and each
 * REQUIRE in it hold.  libFuzzer drives it (make fuzz), or replay.c with the
 * files of corpus/NAME (make check).
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "snapshotter.h"

extern const char fuzz_name[];
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that every input keeps. */
#define REQUIRE(condition)                                           \
	do {                                                         \
		if (!(condition))                                    \
			fuzz_failed(__FILE__, __LINE__, #condition); \
	} while (0)

void fuzz_failed(const char *file, int line, const char *condition)
	__attribute__((noreturn));

/**
 * fuzz_check_result - a failure has its number and one printable sentence
 * @r: what a call returned that got @err
 */
void fuzz_check_result(int r, const struct shale_error *err);

/** fuzz_file - a memfd with these bytes, at its start; to be closed */
int fuzz_file(const void *data, size_t size);

/**
 * fuzz_dir - an empty directory for the target's files
 *
 * In a tmpfs that is mounted nowhere and ends with the process, where we may
 * have one.
 *
 * Return: its descriptor, always the same.
 */
int fuzz_dir(void);

/* ---- bytes as a sequence of choices ---- */

struct bytes {
	const uint8_t *at;
	size_t left;
};

/** bytes_take - the next byte, 0 past the end */
uint8_t bytes_take(struct bytes *bytes);

/**
 * bytes_word - what comes before the next NUL, or the end
 *
 * Return: to be freed.
 */
char *bytes_word(struct bytes *bytes);

#endif
