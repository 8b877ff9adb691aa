/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules of shale.json: see policy.h.  A refusal is one sentence that ends
 * in the rule that would allow the request.
 */
#include "policy.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "number.h"
#include "runtime.h"

static const char *const onstop_names[] = {
	[ONSTOP_REMOVE] = "remove",
	[ONSTOP_KEEP] = "keep",
	[ONSTOP_COMMIT] = "commit",
};

int onstop_parse(const char *text, enum onstop *ret, const char **ret_name)
{
	static const char commit[] = "commit=";

	*ret_name = NULL;
	if (!strcmp(text, "remove")) {
		*ret = ONSTOP_REMOVE;
	} else if (!strcmp(text, "keep")) {
		*ret = ONSTOP_KEEP;
	} else if (!strncmp(text, commit, sizeof(commit) - 1)) {
		*ret_name = text + sizeof(commit) - 1;
		*ret = ONSTOP_COMMIT;
		if (!**ret_name || strlen(*ret_name) >= SHALE_NAME_SIZE)
			return -EINVAL;
	} else {
		return -EINVAL;
	}
	return 0;
}

/* Where in the file a value stands, for sentences. */
struct place_in_file {
	const char *path;
	size_t index;
};

static int refuse(const struct place_in_file *at, const char *key,
		  const char *what, struct shale_error *err)
{
	return error_fail(err, EINVAL, "read '%s': policy[%zu].%s %s", at->path,
			  at->index, key, what);
}

static int out_of_memory(const struct place_in_file *at,
			 struct shale_error *err)
{
	return error_fail(err, ENOMEM, "read '%s': out of memory", at->path);
}

static int parse_user(const struct place_in_file *at, const struct json *value,
		      struct policy_rule *rule, struct shale_error *err)
{
	const char *text = json_string(value);
	const struct passwd *entry;
	uint64_t uid;

	/* A uid may be written as a number or as a string. */
	if (value->type == JSON_NUMBER)
		text = value->text;
	if (!text || !*text)
		return refuse(at, "user", "is no user name or uid", err);
	rule->user_name = strdup(text);
	if (!rule->user_name)
		return out_of_memory(at, err);
	if (number_parse(text, UINT32_MAX - 1, &uid) == 0) {
		rule->uid = (uid_t)uid;
		return 0;
	}
	if (value->type == JSON_NUMBER)
		return refuse(at, "user", "is no uid", err);
	entry = getpwnam(text);
	if (!entry)
		return error_fail(err, EINVAL,
				  "read '%s': policy[%zu].user: no user '%s'",
				  at->path, at->index, text);
	rule->uid = entry->pw_uid;
	return 0;
}

static int parse_parents(const struct place_in_file *at,
			 const struct json *value, struct policy_rule *rule,
			 struct shale_error *err)
{
	if (value->type != JSON_ARRAY)
		return refuse(at, "parents", "is no list of strings", err);
	rule->parents = calloc(value->count + 1, sizeof(*rule->parents));
	if (!rule->parents)
		return out_of_memory(at, err);
	for (size_t i = 0; i < value->count; i++) {
		const char *prefix = json_string(value->items[i]);

		if (!prefix)
			return refuse(at, "parents", "is no list of strings",
				      err);
		rule->parents[i] = strdup(prefix);
		if (!rule->parents[i])
			return out_of_memory(at, err);
	}
	return 0;
}

static int parse_onstop(const struct place_in_file *at,
			const struct json *value, struct policy_rule *rule,
			struct shale_error *err)
{
	static const char what[] =
		"is no list of \"remove\", \"keep\", \"commit\"";

	if (value->type != JSON_ARRAY)
		return refuse(at, "onstop", what, err);
	rule->onstop[ONSTOP_REMOVE] = false;
	for (size_t i = 0; i < value->count; i++) {
		const char *word = json_string(value->items[i]);
		size_t k = 0;

		while (k < 3 && word && strcmp(word, onstop_names[k]) != 0)
			k++;
		if (k == 3 || !word)
			return refuse(at, "onstop", what, err);
		rule->onstop[k] = true;
	}
	return 0;
}

static int parse_string(const struct place_in_file *at, const char *key,
			const struct json *value, char **ret,
			struct shale_error *err)
{
	if (!json_string(value))
		return refuse(at, key, "is no string", err);
	*ret = strdup(json_string(value));
	return *ret ? 0 : out_of_memory(at, err);
}

static int parse_runtime_root(const struct place_in_file *at,
			      const struct json *value,
			      struct policy_rule *rule, struct shale_error *err)
{
	if (!json_string(value) || json_string(value)[0] != '/')
		return refuse(at, "runtime_root", "is no absolute path", err);
	return parse_string(at, "runtime_root", value, &rule->runtime_root,
			    err);
}

static int parse_member(const struct place_in_file *at, const char *key,
			const struct json *value, struct policy_rule *rule,
			struct shale_error *err)
{
	if (!strcmp(key, "runtime_root"))
		return parse_runtime_root(at, value, rule, err);
	if (!strcmp(key, "user"))
		return parse_user(at, value, rule, err);
	if (!strcmp(key, "parents"))
		return parse_parents(at, value, rule, err);
	if (!strcmp(key, "onstop"))
		return parse_onstop(at, value, rule, err);
	if (!strcmp(key, "commit_prefix"))
		return parse_string(at, key, value, &rule->commit_prefix, err);
	if (!strcmp(key, "max_bytes"))
		return value->type == JSON_NUMBER &&
				       number_parse(value->text, INT64_MAX,
						    &rule->max_bytes) == 0
			       ? 0
			       : refuse(at, key, "is no whole number", err);
	return error_fail(err, EINVAL,
			  "read '%s': policy[%zu] has unknown key '%s'",
			  at->path, at->index, key);
}

static int parse_rule(const struct place_in_file *at, const struct json *json,
		      struct policy_rule *rule, struct shale_error *err)
{
	int r;

	rule->onstop[ONSTOP_REMOVE] = true;
	if (json->type != JSON_OBJECT)
		return error_fail(err, EINVAL,
				  "read '%s': policy[%zu] is no object",
				  at->path, at->index);
	for (size_t i = 0; i < json->count; i++) {
		r = parse_member(at, json->keys[i], json->items[i], rule, err);
		if (r < 0)
			return r;
	}
	if (!rule->runtime_root && !rule->user_name)
		return error_fail(
			err, EINVAL,
			"read '%s': policy[%zu] names neither runtime_root nor user",
			at->path, at->index);
	if (!rule->parents)
		return refuse(at, "parents", "is missing", err);
	if (rule->onstop[ONSTOP_COMMIT] && !rule->commit_prefix)
		return refuse(at, "commit_prefix",
			      "is missing, with \"commit\" in onstop", err);
	return 0;
}

int policy_parse(const struct json *json, struct policy *policy,
		 struct shale_error *err)
{
	struct place_in_file at = { policy->path, 0 };

	if (json->type != JSON_ARRAY)
		return error_fail(err, EINVAL, "read '%s': policy is no list",
				  policy->path);
	policy->rules = calloc(json->count + 1, sizeof(*policy->rules));
	if (!policy->rules)
		return out_of_memory(&at, err);
	for (; at.index < json->count; at.index++) {
		int r;

		policy->count = at.index + 1;
		r = parse_rule(&at, json->items[at.index],
			       &policy->rules[at.index], err);
		if (r < 0)
			return r;
	}
	return 0;
}

void policy_clear(struct policy *policy)
{
	for (size_t i = 0; i < policy->count; i++) {
		struct policy_rule *rule = &policy->rules[i];

		for (char **p = rule->parents; p && *p; p++)
			free(*p);
		free(rule->parents);
		free(rule->runtime_root);
		free(rule->user_name);
		free(rule->commit_prefix);
	}
	free(policy->rules);
	free(policy->path);
	*policy = (struct policy){ 0 };
}

/*
 * The same directory, whatever links either name goes through: also one that
 * the runtime has yet to make, as after each boot in /run.
 */
static bool is_same_root(const char *a, const char *b)
{
	char settled[PATH_MAX], other_settled[PATH_MAX];
	struct stat one, other;

	if (!strcmp(a, b))
		return true;
	if (!*b)
		return false;
	if (stat(a, &one) == 0 && stat(b, &other) == 0)
		return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
	runtime_settle_root(a, settled);
	runtime_settle_root(b, other_settled);
	return *settled && !strcmp(settled, other_settled);
}

static bool has_prefix(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static bool is_for(const struct policy_rule *rule,
		   const struct policy_request *request)
{
	if (rule->user_name && rule->uid != request->uid)
		return false;
	return !rule->runtime_root ||
	       is_same_root(rule->runtime_root, request->runtime_root);
}

static bool allows_parent(const struct policy_rule *rule, const char *parent)
{
	for (char **p = rule->parents; *p; p++)
		if (has_prefix(parent, *p))
			return true;
	return false;
}

static bool allows_onstop(const struct policy_rule *rule,
			  const struct policy_request *request)
{
	if (!rule->onstop[request->onstop])
		return false;
	return request->onstop != ONSTOP_COMMIT ||
	       has_prefix(request->commit_name, rule->commit_prefix);
}

/* What the rules for this caller lack: the nearest miss is named. */
static int refuse_request(const struct policy *policy,
			  const struct policy_request *request,
			  struct shale_error *err)
{
	bool has_rule = false, has_parent = false;

	for (size_t i = 0; i < policy->count; i++) {
		const struct policy_rule *rule = &policy->rules[i];

		has_rule |= is_for(rule, request);
		has_parent |= is_for(rule, request) &&
			      allows_parent(rule, request->parent);
	}
	if (has_parent && request->onstop == ONSTOP_COMMIT)
		return error_fail(
			err, EPERM,
			"no rule allows to commit as '%s': add \"commit\" to onstop and a commit_prefix of that name to the rule in %s",
			request->commit_name, policy->path);
	if (has_parent)
		return error_fail(
			err, EPERM,
			"no rule allows onstop '%s': add \"%s\" to onstop of the rule in %s",
			onstop_names[request->onstop],
			onstop_names[request->onstop], policy->path);
	if (has_rule)
		return error_fail(
			err, EPERM,
			"no rule allows parent '%s': add \"%s\" to parents of the rule in %s",
			request->parent, request->parent, policy->path);
	if (*request->runtime_root)
		return error_fail(
			err, EPERM,
			"no rule allows parent '%s': add {\"runtime_root\": \"%s\", \"parents\": [\"%s\"]} to policy in %s",
			request->parent, request->runtime_root, request->parent,
			policy->path);
	return error_fail(
		err, EPERM,
		"no rule allows parent '%s': add {\"user\": %u, \"parents\": [\"%s\"]} to policy in %s",
		request->parent, (unsigned int)request->uid, request->parent,
		policy->path);
}

int policy_check(const struct policy *policy,
		 const struct policy_request *request, uint64_t *ret_max_bytes,
		 struct shale_error *err)
{
	uint64_t max_bytes = 0;
	bool allowed = policy->anything;

	for (size_t i = 0; !allowed && i < policy->count; i++) {
		const struct policy_rule *rule = &policy->rules[i];

		allowed = is_for(rule, request) &&
			  allows_parent(rule, request->parent) &&
			  allows_onstop(rule, request);
		max_bytes = rule->max_bytes;
	}
	if (!allowed)
		return refuse_request(policy, request, err);
	if (ret_max_bytes)
		*ret_max_bytes = max_bytes;
	return 0;
}
