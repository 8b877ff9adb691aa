/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What containers may ask of a store: the rules of shale.json, and the
 * sentence that tells which line to add where none allows a request.
 */
#ifndef DOOR_POLICY_H
#define DOOR_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "json.h"
#include "snapshotter.h"

/* What a container's stop does to its key. */
enum onstop {
	ONSTOP_REMOVE,
	ONSTOP_KEEP,
	ONSTOP_COMMIT,
};

/**
 * struct policy_rule - one element of "policy" in shale.json
 * @runtime_root:  the runtime's --root that it speaks of; NULL for any
 * @user_name:     as the file has it; NULL for any
 * @uid:           of @user_name, a host's uid
 * @parents:       prefixes of committed names, NULL-terminated.  Compared
 *                 byte by byte: "base" also allows "base-2", "" everything.
 * @onstop:        allowed values, by enum onstop
 * @commit_prefix: how a committed name must start; "" for any
 * @max_bytes:     no commit takes more on disk; 0 for no limit
 *
 * A rule names runtime_root or user or both; where it names both, both must
 * match.  `parents` is required.  `onstop` is a list of "remove", "keep" and
 * "commit"; without it a rule allows "remove" alone, with it exactly what it
 * lists.  "commit" wants commit_prefix beside it.
 */
struct policy_rule {
	char *runtime_root;
	char *user_name;
	uid_t uid;
	char **parents;
	bool onstop[3];
	char *commit_prefix;
	uint64_t max_bytes;
};

/**
 * struct policy - all rules
 * @anything: no rule is asked: the caller's own arguments named the store
 * @path:     of the file, for refusals
 *
 * A request is allowed when one rule allows all of it; the first such rule
 * of the file decides about max_bytes.
 */
struct policy {
	bool anything;
	char *path;
	struct policy_rule *rules;
	size_t count;
};

/**
 * struct policy_request - what a container asks
 * @runtime_root: of the runtime that runs it; "" where it is not known, which
 *                matches no rule that names one
 * @uid:          who runs the runtime, as the host counts
 * @commit_name:  with ONSTOP_COMMIT
 */
struct policy_request {
	const char *runtime_root;
	uid_t uid;
	const char *parent;
	enum onstop onstop;
	const char *commit_name;
};

/**
 * policy_parse - read the value of "policy"
 * @json:   lent
 * @policy: its path is set and says where @json comes from; rules are added
 *
 * An unknown user is refused: a rule that never matches would only look safe.
 *
 * Return: 0, -EINVAL (named: "policy[0].parents is no list of strings"),
 *         -ENOMEM.
 */
int policy_parse(const struct json *json, struct policy *policy,
		 struct shale_error *err);

/** policy_clear - free what a policy holds, not the policy itself */
void policy_clear(struct policy *policy);

/**
 * policy_check - whether a request is allowed
 * @ret_max_bytes: limit of a commit, 0 for none; may be NULL
 *
 * Return: 0, or -EPERM with the line to add to the file.
 */
int policy_check(const struct policy *policy,
		 const struct policy_request *request, uint64_t *ret_max_bytes,
		 struct shale_error *err);

/**
 * onstop_parse - read "remove", "keep" or "commit=NAME"
 * @ret_name: points into @text for a commit, else NULL
 *
 * Return: 0 or -EINVAL, without a sentence.
 */
int onstop_parse(const char *text, enum onstop *ret, const char **ret_name);

#endif
