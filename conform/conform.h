/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The conformance tests of a snapshotter: what `shale plugin test` runs.  A
 * case is a sentence that is true of every snapshotter; each runs in a process
 * of its own, on a store of its own, in a mount namespace of its own, so that
 * one that dies, hangs or leaves a mount behind harms no other.
 */
#ifndef CONFORM_CONFORM_H
#define CONFORM_CONFORM_H

#include <stddef.h>

#include "snapshotter.h"

enum conform_result { CONFORM_PASSED, CONFORM_FAILED, CONFORM_SKIPPED };

/* What became of one case; @reason is a line, "" where it passed. */
struct conform_outcome {
	enum conform_result result;
	char reason[1000];
};

struct conform_case;

/** conform_next - the cases in their order; NULL after the last */
const struct conform_case *conform_next(const struct conform_case *after);

/** conform_find - the case of that name, or NULL */
const struct conform_case *conform_find(const char *name);

/** conform_name - the sentence, with '_' for blanks */
const char *conform_name(const struct conform_case *c);

/**
 * conform_run - run one case
 * @snapshotter: as shale_plugin_load takes it; loaded in the case's process
 * @dir:    an absolute path without links; what the case makes there is gone
 *          on return
 * @timeout_ms: how long it may take
 *
 * SIGINT, SIGTERM and SIGHUP end the case early where conform_catch_signals
 * was called.
 *
 * Return: 0 with @ret filled; -EINTR; or another errno, with a sentence.
 */
int conform_run(const struct conform_case *c, const char *snapshotter,
		const char *dir, int timeout_ms, struct conform_outcome *ret,
		struct shale_error *err);

/** conform_catch_signals - so that an interrupted run cleans up */
void conform_catch_signals(void);

#endif
