/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What check and verify find, a line each or as one JSON value.
 */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <stdint.h>

#include "cli.h"

/* How many were told, and how many of them are mended. */
struct findings {
	struct cli *cli;
	uint64_t count, repaired;
};

/** findings_begin - before the first */
void findings_begin(struct findings *findings, struct cli *cli);

/** findings_tell - a shale_finding_fn; @findings */
int findings_tell(void *findings, const struct shale_finding *finding);

/**
 * findings_end - after the last
 *
 * Return: CLI_OK where there was none, else CLI_FAILED.
 */
int findings_end(const struct findings *findings);

#endif
