/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON that may be hostile, read through yajl into a tree.  Refused: anything
 * that is not one whole RFC 8259 document, a key twice in one object, a NUL in
 * a string, more than JSON_DEPTH_MAX levels.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "snapshotter.h"

#define JSON_DEPTH_MAX 64

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* A node; the root owns all below it.  Members are read, never written. */
struct json {
	enum json_type type;
	bool boolean;
	char *text;	     /* a string's bytes, a number as it was written */
	size_t start, end;   /* of a string in the document, quotes and all */
	size_t count;	     /* elements of an array, members of an object */
	char **keys;	     /* of an object, in the order of the document */
	struct json **items; /* of an array or object */
};

/**
 * json_parse - read a document
 * @what: what it is, for the error: "state", "'/b/config.json'"
 * @ret:  taken; freed with json_free
 *
 * Return: 0, -EBADMSG (not JSON, or refused), -ENOMEM.
 */
int json_parse(const char *text, size_t len, const char *what,
	       struct json **ret, struct shale_error *err);

/**
 * json_read - read a document from a descriptor up to its end
 * @max_bytes: more is -EFBIG, and nothing past it is read
 */
int json_read(int fd, size_t max_bytes, const char *what, struct json **ret,
	      struct shale_error *err);

/**
 * json_read_text - the same, and the document itself
 * @ret_text: its bytes, in which the strings' start and end count; taken;
 *            freed with free
 */
int json_read_text(int fd, size_t max_bytes, const char *what, char **ret_text,
		   size_t *ret_len, struct json **ret, struct shale_error *err);

/** json_free - accepts NULL */
void json_free(struct json *json);

/** json_get - member @key; NULL where @object is NULL, no object, or has none
 */
const struct json *json_get(const struct json *object, const char *key);

/** json_string - the bytes of a string; NULL where it is NULL or no string */
const char *json_string(const struct json *json);

/**
 * json_write_strings - an object of strings as one line of JSON
 * @pairs: key, value, ..., NULL; all UTF-8
 * @ret:   taken; freed with free
 */
int json_write_strings(const char *const *pairs, char **ret);

/**
 * json_write_string - a string as JSON, in its quotes
 * @text: UTF-8
 * @ret:  taken; freed with free
 */
int json_write_string(const char *text, char **ret);

static inline void drop_json(struct json **json)
{
	json_free(*json);
	*json = NULL;
}

#define auto_json __attribute__((cleanup(drop_json))) struct json *

#endif
