/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whole numbers as people and the kernel write them: digits and nothing else.
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <errno.h>
#include <stdint.h>

/**
 * number_parse - read a whole decimal number up to @max
 *
 * Return: 0; -EINVAL for anything but digits; -ERANGE past @max.
 */
static inline int number_parse(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (value > (max - digit) / 10 || digit > max)
			return -ERANGE;
		value = 10 * value + digit;
	}
	*ret = value;
	return 0;
}

#endif
