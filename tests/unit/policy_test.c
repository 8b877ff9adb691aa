/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules of shale.json: what they allow, and that a refusal names the line
 * that is missing.
 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy.h"

static void parse(const char *text, struct policy *policy)
{
	struct json *json;

	MUST(json_parse(text, strlen(text), "test", &json, &why));
	*policy = (struct policy){ .path = strdup("/etc/p.json") };
	assert_non_null(policy->path);
	MUST(policy_parse(json, policy, &why));
	json_free(json);
}

static void refused(const char *text, const char *part)
{
	struct policy policy = { .path = strdup("/etc/p.json") };
	struct json *json;

	MUST(json_parse(text, strlen(text), "test", &json, &why));
	REFUSED(EINVAL, part, policy_parse(json, &policy, &why));
	assert_non_null(strstr(why.msg, "/etc/p.json"));
	json_free(json);
	policy_clear(&policy);
}

static void malformed_rules_are_refused_by_name(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{ "{}", "policy is no list" },
		{ "[1]", "policy[0] is no object" },
		{ "[{\"parents\":[]}]", "neither runtime_root nor user" },
		{ "[{\"user\":0}]", "policy[0].parents is missing" },
		{ "[{\"user\":0,\"parents\":\"a\"}]", "policy[0].parents" },
		{ "[{\"user\":0,\"parents\":[1]}]", "policy[0].parents" },
		{ "[{\"user\":0,\"parents\":[]},{\"usr\":0}]",
		  "policy[1] has unknown key 'usr'" },
		{ "[{\"user\":-1,\"parents\":[]}]", "policy[0].user" },
		{ "[{\"user\":1.5,\"parents\":[]}]", "policy[0].user" },
		{ "[{\"user\":4294967295,\"parents\":[]}]", "policy[0].user" },
		{ "[{\"user\":true,\"parents\":[]}]", "policy[0].user" },
		{ "[{\"user\":\"\",\"parents\":[]}]", "policy[0].user" },
		{ "[{\"user\":\"no such user\",\"parents\":[]}]",
		  "no user 'no such user'" },
		{ "[{\"runtime_root\":\"run\",\"parents\":[]}]",
		  "policy[0].runtime_root" },
		{ "[{\"runtime_root\":1,\"parents\":[]}]",
		  "policy[0].runtime_root" },
		{ "[{\"user\":0,\"parents\":[],\"onstop\":\"keep\"}]",
		  "policy[0].onstop" },
		{ "[{\"user\":0,\"parents\":[],\"onstop\":[\"burn\"]}]",
		  "policy[0].onstop" },
		{ "[{\"user\":0,\"parents\":[],\"onstop\":[\"commit\"]}]",
		  "policy[0].commit_prefix is missing" },
		{ "[{\"user\":0,\"parents\":[],\"commit_prefix\":1}]",
		  "policy[0].commit_prefix" },
		{ "[{\"user\":0,\"parents\":[],\"max_bytes\":-1}]",
		  "policy[0].max_bytes" },
		{ "[{\"user\":0,\"parents\":[],\"max_bytes\":\"1\"}]",
		  "policy[0].max_bytes" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		refused(cases[i].text, cases[i].part);
}

/* A request of uid 7 below /run/x. */
static int ask(const char *rules, const char *parent, const char *onstop,
	       uint64_t *ret_max)
{
	struct policy policy;
	struct policy_request request = { .runtime_root = "/run/x",
					  .uid = 7,
					  .parent = parent };
	int r;

	parse(rules, &policy);
	assert_int_equal(
		onstop_parse(onstop, &request.onstop, &request.commit_name), 0);
	why = (struct shale_error)SHALE_ERROR_INIT;
	r = policy_check(&policy, &request, ret_max, &why);
	policy_clear(&policy);
	return r;
}

static void a_rule_allows_all_of_a_request_or_nothing(void **state)
{
	static const struct {
		const char *rules, *parent, *onstop;
		int r;
		const char *part;
	} cases[] = {
		{ "[]", "a", "remove", -EPERM, "\"runtime_root\": \"/run/x\"" },
		{ "[{\"user\":7,\"parents\":[\"a\"]}]", "ab", "remove", 0, "" },
		{ "[{\"user\":7,\"parents\":[\"\"]}]", "z", "remove", 0, "" },
		{ "[{\"user\":\"7\",\"parents\":[\"\"]}]", "z", "remove", 0,
		  "" },
		{ "[{\"user\":7,\"parents\":[\"ab\"]}]", "a", "remove", -EPERM,
		  "add \"a\" to parents" },
		{ "[{\"user\":7,\"parents\":[]}]", "a", "remove", -EPERM,
		  "add \"a\" to parents" },
		{ "[{\"user\":8,\"parents\":[\"\"]}]", "a", "remove", -EPERM,
		  "runtime_root" },
		{ "[{\"runtime_root\":\"/run/x\",\"parents\":[\"\"]}]", "a",
		  "remove", 0, "" },
		{ "[{\"runtime_root\":\"/run/y\",\"parents\":[\"\"]}]", "a",
		  "remove", -EPERM, "runtime_root" },
		{ "[{\"runtime_root\":\"/run\",\"parents\":[\"\"]}]", "a",
		  "remove", -EPERM, "runtime_root" },
		{ "[{\"runtime_root\":\"/run/x\",\"user\":8,\"parents\":[\"\"]}]",
		  "a", "remove", -EPERM, "runtime_root" },
		{ "[{\"user\":7,\"parents\":[\"\"]}]", "a", "keep", -EPERM,
		  "add \"keep\" to onstop" },
		{ "[{\"user\":7,\"parents\":[\"\"],\"onstop\":[\"keep\"]}]",
		  "a", "keep", 0, "" },
		{ "[{\"user\":7,\"parents\":[\"\"],\"onstop\":[\"keep\"]}]",
		  "a", "remove", -EPERM, "add \"remove\" to onstop" },
		{ "[{\"user\":7,\"parents\":[\"\"],\"onstop\":[]}]", "a",
		  "remove", -EPERM, "add \"remove\" to onstop" },
		{ "[{\"user\":7,\"parents\":[\"\"],\"onstop\":[\"commit\"],"
		  "\"commit_prefix\":\"out/\"}]",
		  "a", "commit=out/1", 0, "" },
		{ "[{\"user\":7,\"parents\":[\"\"],\"onstop\":[\"commit\"],"
		  "\"commit_prefix\":\"out/\"}]",
		  "a", "commit=in/1", -EPERM, "commit as 'in/1'" },
		{ "[{\"user\":7,\"parents\":[\"\"]}]", "a", "commit=x", -EPERM,
		  "commit_prefix" },
		/* Two rules that each allow a half allow nothing. */
		{ "[{\"user\":7,\"parents\":[\"a\"]},"
		  "{\"user\":7,\"parents\":[\"b\"],\"onstop\":[\"keep\"]}]",
		  "a", "keep", -EPERM, "onstop" },
		{ "[{\"user\":8,\"parents\":[\"a\"]},"
		  "{\"user\":7,\"parents\":[\"a\"]}]",
		  "a", "remove", 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int r = ask(cases[i].rules, cases[i].parent, cases[i].onstop,
			    NULL);

		if (r != cases[i].r)
			fail_msg("%s: %d %s", cases[i].rules, r, why.msg);
		if (r < 0 && (!strstr(why.msg, cases[i].part) ||
			      !strstr(why.msg, "/etc/p.json")))
			fail_msg("%s: %s", cases[i].rules, why.msg);
	}
}

static void an_unknown_runtime_root_matches_no_rule_that_names_one(void **state)
{
	struct policy_request request = { .runtime_root = "",
					  .uid = 7,
					  .parent = "a" };
	struct policy policy;

	(void)state;
	parse("[{\"runtime_root\":\"/\",\"parents\":[\"\"]}]", &policy);
	REFUSED(EPERM, "{\"user\": 7, \"parents\": [\"a\"]}",
		policy_check(&policy, &request, NULL, &why));
	policy_clear(&policy);
}

static void a_root_is_the_same_by_another_name(void **state)
{
	struct policy_request request = { .uid = 7, .parent = "a" };
	struct policy policy;
	char rules[2 * PATH_MAX];

	(void)state;
	make_dir(at("real"));
	make_link(at("link"), "real");
	(void)snprintf(rules, sizeof(rules),
		       "[{\"runtime_root\":\"%s\",\"parents\":[\"\"]}]",
		       at("link"));
	parse(rules, &policy);
	request.runtime_root = at("real");
	MUST(policy_check(&policy, &request, NULL, &why));
	policy_clear(&policy);
}

static void a_root_that_is_yet_to_be_made_is_the_same_too(void **state)
{
	struct policy_request request = { .uid = 7, .parent = "a" };
	struct policy policy;
	char rules[2 * PATH_MAX];

	(void)state;
	make_dir(at("run"));
	make_link(at("var"), "run");
	(void)snprintf(rules, sizeof(rules),
		       "[{\"runtime_root\":\"%s\",\"parents\":[\"\"]}]",
		       at("var/runc"));
	parse(rules, &policy);
	request.runtime_root = at("run/runc");
	MUST(policy_check(&policy, &request, NULL, &why));
	request.runtime_root = at("run/crun");
	REFUSED(EPERM, "runtime_root",
		policy_check(&policy, &request, NULL, &why));
	policy_clear(&policy);
}

static void max_bytes_is_that_of_the_rule_that_allows(void **state)
{
	static const char rules[] =
		"[{\"user\":8,\"parents\":[\"\"],\"max_bytes\":1},"
		"{\"user\":7,\"parents\":[\"b\"],\"max_bytes\":2},"
		"{\"user\":7,\"parents\":[\"a\"],\"max_bytes\":3},"
		"{\"user\":7,\"parents\":[\"\"]}]";
	uint64_t max = 99;

	(void)state;
	assert_int_equal(ask(rules, "a", "remove", &max), 0);
	assert_int_equal(max, 3);
	assert_int_equal(ask(rules, "c", "remove", &max), 0);
	assert_int_equal(max, 0);
}

static void anything_goes_where_the_arguments_say_so(void **state)
{
	const struct policy policy = { .anything = true };
	const struct policy_request request = { .runtime_root = "",
						.parent = "a",
						.onstop = ONSTOP_COMMIT,
						.commit_name = "x" };
	uint64_t max = 99;

	(void)state;
	MUST(policy_check(&policy, &request, &max, &why));
	assert_int_equal(max, 0);
}

static void onstop_is_one_of_three(void **state)
{
	static const char *const bad[] = { "",	      "Remove", "commit",
					   "commit=", "keep ",	"remove,keep" };
	char longest[SHALE_NAME_SIZE + 16] = "commit=";
	enum onstop onstop;
	const char *name;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(onstop_parse(bad[i], &onstop, &name), -EINVAL);
	assert_int_equal(onstop_parse("commit=a=b", &onstop, &name), 0);
	assert_int_equal(onstop, ONSTOP_COMMIT);
	assert_string_equal(name, "a=b");
	memset(longest + 7, 'n', SHALE_NAME_SIZE - 1);
	assert_int_equal(onstop_parse(longest, &onstop, &name), 0);
	longest[7 + SHALE_NAME_SIZE - 1] = 'n';
	assert_int_equal(onstop_parse(longest, &onstop, &name), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(malformed_rules_are_refused_by_name),
		TEST_IN_DIR(a_rule_allows_all_of_a_request_or_nothing),
		TEST_IN_DIR(
			an_unknown_runtime_root_matches_no_rule_that_names_one),
		TEST_IN_DIR(a_root_is_the_same_by_another_name),
		TEST_IN_DIR(a_root_that_is_yet_to_be_made_is_the_same_too),
		TEST_IN_DIR(max_bytes_is_that_of_the_rule_that_allows),
		TEST_IN_DIR(anything_goes_where_the_arguments_say_so),
		TEST_IN_DIR(onstop_is_one_of_three),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
