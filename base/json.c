/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tree over yajl's callbacks, with the refusals that json.h promises.
 */
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include "error.h"
#include "scope.h"
#include "text.h"
#include "yajl_memory.h"

#define READ_CHUNK 65536

struct parser {
	yajl_handle yajl;
	const char *document;
	size_t seen; /* how much of it the tokens up to now have taken */
	struct json *stack[JSON_DEPTH_MAX];
	size_t depth;
	struct json *root;
	char *key; /* of the member whose value comes next */
	const char *refusal;
	bool no_memory;
};

void json_free(struct json *json)
{
	if (!json)
		return;
	for (size_t i = 0; i < json->count; i++) {
		json_free(json->items[i]);
		if (json->keys)
			free(json->keys[i]);
	}
	free(json->keys);
	free(json->items);
	free(json->text);
	free(json);
}

/* Doubles at each power of two, so that the count alone tells the capacity. */
static bool grow(void *slot, size_t count)
{
	void **array = slot, *bigger;

	if (count & (count - 1))
		return true;
	bigger = realloc(*array, (count ? 2 * count : 1) * sizeof(void *));
	if (!bigger)
		return false;
	*array = bigger;
	return true;
}

/* Takes @node, also on failure. */
static int add(struct parser *p, struct json *node)
{
	struct json *into = p->depth ? p->stack[p->depth - 1] : NULL;

	if (!node)
		goto no_memory;
	if (!into) {
		p->root = node;
		return 1;
	}
	if (!grow(&into->items, into->count))
		goto no_memory;
	if (into->type == JSON_OBJECT) {
		if (!grow(&into->keys, into->count))
			goto no_memory;
		into->keys[into->count] = take_ptr(&p->key);
	}
	into->items[into->count++] = node;
	return 1;
no_memory:
	json_free(node);
	p->no_memory = true;
	return 0;
}

static struct json *node_new(enum json_type type)
{
	struct json *node = calloc(1, sizeof(*node));

	if (node)
		node->type = type;
	return node;
}

static struct json *node_text(enum json_type type, const char *text, size_t len)
{
	struct json *node = node_new(type);

	if (!node)
		return NULL;
	node->text = strndup(text, len);
	if (!node->text) {
		free(node);
		return NULL;
	}
	return node;
}

/* Between two tokens is no '"' but that which starts a string. */
static void locate(struct parser *p, struct json *string)
{
	const char *start;

	if (!string)
		return;
	string->end = yajl_get_bytes_consumed(p->yajl);
	start = memchr(p->document + p->seen, '"', string->end - p->seen);
	string->start = start ? (size_t)(start - p->document) : string->end;
}

/* Every callback ends here or in refuse. */
static int went_on(struct parser *p, int result)
{
	p->seen = yajl_get_bytes_consumed(p->yajl);
	return result;
}

static int refuse(struct parser *p, const char *why)
{
	p->refusal = why;
	return 0;
}

static int on_null(void *ctx)
{
	return went_on(ctx, add(ctx, node_new(JSON_NULL)));
}

static int on_boolean(void *ctx, int value)
{
	struct json *node = node_new(JSON_BOOL);

	if (node)
		node->boolean = value;
	return went_on(ctx, add(ctx, node));
}

static int on_number(void *ctx, const char *text, size_t len)
{
	return went_on(ctx, add(ctx, node_text(JSON_NUMBER, text, len)));
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	struct json *node;

	if (memchr(text, 0, len))
		return refuse(ctx, "a string holds NUL");
	if (!text_are_utf8((const char *)text, len))
		return refuse(ctx, "a string is not UTF-8");
	node = node_text(JSON_STRING, (const char *)text, len);
	locate(ctx, node);
	return went_on(ctx, add(ctx, node));
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
	struct parser *p = ctx;

	if (memchr(text, 0, len))
		return refuse(p, "a key holds NUL");
	if (!text_are_utf8((const char *)text, len))
		return refuse(p, "a key is not UTF-8");
	p->key = strndup((const char *)text, len);
	p->no_memory = !p->key;
	return went_on(p, p->key != NULL);
}

static int on_start(struct parser *p, enum json_type type)
{
	struct json *node;

	if (p->depth == JSON_DEPTH_MAX)
		return refuse(p, "it is nested too deeply");
	node = node_new(type);
	if (!add(p, node))
		return 0;
	p->stack[p->depth++] = node;
	return went_on(p, 1);
}

static int on_start_map(void *ctx)
{
	return on_start(ctx, JSON_OBJECT);
}

static int on_start_array(void *ctx)
{
	return on_start(ctx, JSON_ARRAY);
}

static int on_end_array(void *ctx)
{
	((struct parser *)ctx)->depth--;
	return went_on(ctx, 1);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int on_end_map(void *ctx)
{
	struct parser *p = ctx;
	const struct json *object = p->stack[--p->depth];
	auto_free char **sorted = NULL;

	(void)went_on(p, 1);
	if (object->count < 2)
		return 1;
	sorted = malloc(object->count * sizeof(*sorted));
	if (!sorted) {
		p->no_memory = true;
		return 0;
	}
	memcpy(sorted, object->keys, object->count * sizeof(*sorted));
	qsort(sorted, object->count, sizeof(*sorted), compare_keys);
	for (size_t i = 1; i < object->count; i++)
		if (!strcmp(sorted[i - 1], sorted[i]))
			return refuse(p, "an object has a key twice");
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_map_key = on_key,
	.yajl_start_map = on_start_map,
	.yajl_end_map = on_end_map,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end_array,
};

/* One document, and what it is called in errors. */
struct reading {
	struct parser parser;
	const char *text, *what;
	size_t len;
	struct shale_error *err;
};

static int parse(void *ctx, yajl_alloc_funcs *memory)
{
	struct reading *reading = ctx;
	struct parser *p = &reading->parser;
	yajl_handle yajl = yajl_alloc(&callbacks, memory, p);
	yajl_status status;

	p->yajl = yajl;
	status = yajl_parse(yajl, (const unsigned char *)reading->text,
			    reading->len);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(yajl);
	if (p->no_memory)
		return -ENOMEM;
	if (p->refusal)
		return error_fail(reading->err, EBADMSG,
				  "read %s: %s near byte %zu", reading->what,
				  p->refusal, yajl_get_bytes_consumed(yajl));
	if (status != yajl_status_ok || !p->root)
		return error_fail(
			reading->err, EBADMSG,
			"read %s: not JSON, or cut short, near byte %zu",
			reading->what, yajl_get_bytes_consumed(yajl));
	return 0;
}

int json_parse(const char *text, size_t len, const char *what,
	       struct json **ret, struct shale_error *err)
{
	struct reading reading = {
		.parser = { .document = text },
		.text = text,
		.what = what,
		.len = len,
		.err = err,
	};
	int r = yajl_memory_run(parse, &reading);

	free(reading.parser.key);
	if (r == -ENOMEM)
		(void)error_fail(err, ENOMEM, "read %s: out of memory", what);
	if (r < 0) {
		json_free(reading.parser.root);
		return r;
	}
	*ret = reading.parser.root;
	return 0;
}

static int read_all(int fd, size_t max_bytes, const char *what, char **ret,
		    size_t *ret_len, struct shale_error *err)
{
	auto_free char *text = NULL;
	size_t len = 0, room = 0;

	for (;;) {
		ssize_t n;

		if (room - len < READ_CHUNK) {
			char *bigger;

			room = 2 * room + 2 * READ_CHUNK;
			bigger = realloc(text, room);
			if (!bigger)
				return error_fail(err, ENOMEM,
						  "read %s: out of memory",
						  what);
			text = bigger;
		}
		n = read(fd, text + len, READ_CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read %s", what);
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max_bytes)
			return error_fail(err, EFBIG,
					  "read %s: longer than %zu bytes",
					  what, max_bytes);
	}
	*ret = take_ptr(&text);
	*ret_len = len;
	return 0;
}

int json_read_text(int fd, size_t max_bytes, const char *what, char **ret_text,
		   size_t *ret_len, struct json **ret, struct shale_error *err)
{
	auto_free char *text = NULL;
	size_t len = 0;
	int r = read_all(fd, max_bytes, what, &text, &len, err);

	if (r == 0)
		r = json_parse(text, len, what, ret, err);
	if (r < 0)
		return r;
	*ret_text = take_ptr(&text);
	*ret_len = len;
	return 0;
}

int json_read(int fd, size_t max_bytes, const char *what, struct json **ret,
	      struct shale_error *err)
{
	auto_free char *text = NULL;
	size_t len = 0;

	return json_read_text(fd, max_bytes, what, &text, &len, ret, err);
}

const struct json *json_get(const struct json *object, const char *key)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (size_t i = 0; i < object->count; i++)
		if (!strcmp(object->keys[i], key))
			return object->items[i];
	return NULL;
}

const char *json_string(const struct json *json)
{
	return json && json->type == JSON_STRING ? json->text : NULL;
}

/* What is to be written, and the text that it has become. */
struct writing {
	const char *const *pairs; /* NULL: a string alone */
	const char *string;
	char *text;
};

static bool write_string(yajl_gen gen, const char *text)
{
	return yajl_gen_string(gen, (const unsigned char *)text,
			       strlen(text)) == yajl_gen_status_ok;
}

static bool write_pairs(yajl_gen gen, const char *const *pairs)
{
	bool ok = yajl_gen_map_open(gen) == yajl_gen_status_ok;

	for (; ok && *pairs; pairs++)
		ok = write_string(gen, *pairs);
	return ok && yajl_gen_map_close(gen) == yajl_gen_status_ok;
}

static int write_text(void *ctx, yajl_alloc_funcs *memory)
{
	struct writing *writing = ctx;
	yajl_gen gen = yajl_gen_alloc(memory);
	const unsigned char *text;
	size_t len;

	if (!(writing->pairs ? write_pairs(gen, writing->pairs)
			     : write_string(gen, writing->string)) ||
	    yajl_gen_get_buf(gen, &text, &len) != yajl_gen_status_ok)
		return -EINVAL;
	writing->text = strndup((const char *)text, len);
	return writing->text ? 0 : -ENOMEM;
}

static int write_json(struct writing *writing, char **ret)
{
	int r = yajl_memory_run(write_text, writing);

	if (r == 0)
		*ret = writing->text;
	return r;
}

int json_write_strings(const char *const *pairs, char **ret)
{
	struct writing writing = { .pairs = pairs };

	return write_json(&writing, ret);
}

int json_write_string(const char *text, char **ret)
{
	struct writing writing = { .string = text };

	return write_json(&writing, ret);
}
