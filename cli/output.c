/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text and JSON: see output.h.  The only file of shale(1) that knows yajl.
 */
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include <yajl/yajl_gen.h>

#include "cli.h"
#include "scope.h"
#include "text.h"

#define NS_PER_SECOND INT64_C(1000000000)

/* There is one stdout. */
static struct {
	yajl_gen gen;
	int failure; /* errno of the first write that failed */
	bool has_locale;
} out;

/* ---- words ---- */

void out_time(int64_t ns, char ret[OUT_WORD_SIZE])
{
	time_t seconds = (time_t)(ns / NS_PER_SECOND);
	int64_t rest = ns % NS_PER_SECOND;
	struct tm tm;
	size_t len;

	if (rest < 0) {
		seconds--;
		rest += NS_PER_SECOND;
	}
	(void)gmtime_r(&seconds, &tm);
	len = strftime(ret, OUT_WORD_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(ret + len, OUT_WORD_SIZE - len, ".%09" PRId64 "Z", rest);
}

void out_size(uint64_t bytes, char ret[OUT_WORD_SIZE])
{
	static const char *const units[] = { "KiB", "MiB", "GiB",
					     "TiB", "PiB", "EiB" };
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)snprintf(ret, OUT_WORD_SIZE, "%" PRIu64 " B", bytes);
		return;
	}
	/* Never "1024 KiB": what is rounded up to it is the next unit. */
	while (value >= 1023.5) {
		value /= 1024;
		unit++;
	}
	(void)snprintf(ret, OUT_WORD_SIZE, "%.*f %s", value < 9.95 ? 1 : 0,
		       value, units[unit]);
}

void out_age(int64_t now_ns, int64_t then_ns, char ret[OUT_WORD_SIZE])
{
	static const struct {
		const char *one, *many;
		int64_t seconds;
	} units[] = {
		{ "year", "years", 365 * 86400 },
		{ "month", "months", 30 * 86400 },
		{ "week", "weeks", 7 * 86400 },
		{ "day", "days", 86400 },
		{ "hour", "hours", 3600 },
		{ "minute", "minutes", 60 },
		{ "second", "seconds", 1 },
	};
	int64_t age = (now_ns - then_ns) / NS_PER_SECOND;
	size_t i = 0;

	if (age < 0)
		age = 0;
	while (units[i].seconds > 1 && age < 2 * units[i].seconds)
		i++;
	age /= units[i].seconds;
	(void)snprintf(ret, OUT_WORD_SIZE, "%" PRId64 " %s", age,
		       age == 1 ? units[i].one : units[i].many);
}

const char *out_kind(uint32_t kind)
{
	switch (kind) {
	case SHALE_KIND_COMMITTED:
		return "committed";
	case SHALE_KIND_ACTIVE:
		return "active";
	case SHALE_KIND_VIEW:
		return "view";
	default:
		return "unknown";
	}
}

/* ---- text ---- */

static void failed(int code)
{
	if (!out.failure)
		out.failure = code;
}

void out_text(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (vprintf(fmt, args) < 0)
		failed(errno);
	va_end(args);
}

static bool is_ascii(const char *s)
{
	while (*s && (unsigned char)*s < 0x80)
		s++;
	return !*s;
}

void out_locale(void)
{
	if (!out.has_locale)
		out.has_locale = setlocale(LC_CTYPE, "") != NULL;
}

/* In columns; what the locale can't read counts a column a byte. */
static size_t width_of(const char *s)
{
	size_t left = strlen(s), width = 0;
	mbstate_t state = { 0 };

	if (is_ascii(s))
		return left;
	out_locale();
	while (left) {
		wchar_t wide;
		size_t n = mbrtowc(&wide, s, left, &state);
		int columns;

		if (n == (size_t)-1 || n == (size_t)-2) {
			memset(&state, 0, sizeof(state));
			n = 1;
			columns = 1;
		} else {
			columns = wcwidth(wide);
		}
		width += columns < 0 ? 1 : (size_t)columns;
		s += n;
		left -= n;
	}
	return width;
}

void out_quoted(const char *name, size_t width)
{
	auto_free char *quoted = text_quote(name);
	size_t taken;

	if (!quoted) {
		failed(ENOMEM);
		return;
	}
	taken = width ? width_of(quoted) : 0;
	out_text("%s%*s", quoted, taken < width ? (int)(width - taken) : 0, "");
}

size_t out_quoted_width(const char *name)
{
	auto_free char *quoted = text_quote(name);

	return quoted ? width_of(quoted) : 0;
}

/* ---- JSON ---- */

static void write_json(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	if (fwrite(text, 1, len, stdout) != len)
		failed(errno);
}

static yajl_gen generator(void)
{
	if (!out.gen) {
		out.gen = yajl_gen_alloc(NULL);
		if (out.gen)
			(void)yajl_gen_config(out.gen, yajl_gen_print_callback,
					      write_json, NULL);
	}
	return out.gen;
}

/* A NULL generator is one that there was no memory for. */
static void check(yajl_gen_status status)
{
	if (status != yajl_gen_status_ok &&
	    status != yajl_gen_generation_complete)
		failed(ENOMEM);
}

/* Bytes that are no UTF-8 can't be in JSON. */
static void write_string(const char *s)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t left = strlen(s), len = 0;
	auto_free char *utf8 = malloc(3 * left + 1);

	if (!utf8) {
		failed(ENOMEM);
		return;
	}
	while (left) {
		size_t n = text_utf8_length(s, left);

		memcpy(utf8 + len, n ? s : replacement, n ? n : 3);
		len += n ? n : 3;
		s += n ? n : 1;
		left -= n ? n : 1;
	}
	check(yajl_gen_string(out.gen, (const unsigned char *)utf8, len));
}

/* True where there is a generator to write a value to. */
static bool begin(const char *key)
{
	if (!generator()) {
		failed(ENOMEM);
		return false;
	}
	if (key)
		write_string(key);
	return true;
}

void out_object(const char *key)
{
	if (begin(key))
		check(yajl_gen_map_open(out.gen));
}

void out_object_end(void)
{
	if (begin(NULL))
		check(yajl_gen_map_close(out.gen));
}

void out_array(const char *key)
{
	if (begin(key))
		check(yajl_gen_array_open(out.gen));
}

void out_array_end(void)
{
	if (begin(NULL))
		check(yajl_gen_array_close(out.gen));
}

void out_bool(const char *key, bool value)
{
	if (begin(key))
		check(yajl_gen_bool(out.gen, value));
}

/* As text: yajl's integers are signed. */
void out_number(const char *key, uint64_t value)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, value);

	if (begin(key))
		check(yajl_gen_number(out.gen, digits, (size_t)len));
}

void out_string(const char *key, const char *value)
{
	if (!begin(key))
		return;
	if (value)
		write_string(value);
	else
		check(yajl_gen_null(out.gen));
}

void out_hex(const char *key, const char *bytes)
{
	auto_free char *hex = malloc(2 * strlen(bytes) + 1);

	if (!hex) {
		failed(ENOMEM);
		return;
	}
	text_hex(bytes, strlen(bytes), hex);
	out_string(key, hex);
}

void out_name(const char *key, const char *name)
{
	char hex_key[OUT_WORD_SIZE];

	out_string(key, *name ? name : NULL);
	if (text_is_utf8(name))
		return;
	(void)snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
	out_hex(hex_key, name);
}

void out_snapshot(const struct shale_info *info)
{
	char when[OUT_WORD_SIZE];

	out_name("name", info->name);
	out_string("kind", out_kind(info->kind));
	out_name("parent", info->parent);
	out_time(info->created_ns, when);
	out_string("created", when);
	out_time(info->updated_ns, when);
	out_string("updated", when);
	out_object("labels");
	for (const char *const *pair = info->labels; *pair; pair += 2)
		out_string(pair[0], pair[1]);
	out_object_end();
}

static int write_snapshot(void *ctx, const struct shale_info *info)
{
	(void)ctx;
	out_object(NULL);
	out_snapshot(info);
	out_object_end();
	return 0;
}

int out_result(struct cli *cli, const char *name)
{
	if (!cli->json)
		return 0;
	return shale_stat(cli->store, name, write_snapshot, NULL, &cli->err);
}

int out_finish(struct shale_error *err)
{
	if (out.gen) {
		yajl_gen_free(out.gen);
		out.gen = NULL;
		out_text("\n");
	}
	if (fflush(stdout))
		failed(errno);
	if (!out.failure)
		return 0;
	return error_errno(err, out.failure, "write standard output");
}
