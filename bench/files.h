/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The same tree of files for every contestant: of 4 KiB each, a hundred a
 * directory.
 */
#ifndef BENCH_FILES_H
#define BENCH_FILES_H

/** files_write - @count files below an existing directory; 0 or -1 */
int files_write(const char *dir, long count);

#endif
