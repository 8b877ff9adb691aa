/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `shale plugin test`, of the verb in plugin.c.
 */
#ifndef CLI_PLUGIN_TEST_H
#define CLI_PLUGIN_TEST_H

#include "cli.h"

/** plugin_test_check - whether the cases that are named exist; as verb.check */
int plugin_test_check(struct cli *cli);

/**
 * plugin_test_run - run them; as verb.run
 * @snapshotter: as shale_plugin_load takes it
 */
int plugin_test_run(struct cli *cli, const char *snapshotter);

#endif
