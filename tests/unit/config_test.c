/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale.json: what each key sets, and every file that is refused, by name.
 */
#include "fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

static const char *write_config(const char *text)
{
	const char *path = at("shale.json");

	make_file(path, text);
	assert_int_equal(chmod(path, 0644), 0);
	return path;
}

static struct config *load(const char *text)
{
	struct config *config = NULL;

	MUST(config_load(write_config(text), &config, &why));
	return config;
}

static void refused(int number, const char *text, const char *part)
{
	struct config *config = NULL;
	const char *path = write_config(text);

	REFUSED(number, part, config_load(path, &config, &why));
	assert_null(config);
	assert_non_null(strstr(why.msg, path));
}

static void an_empty_object_is_all_defaults(void **state)
{
	auto_config config = load("{}");

	(void)state;
	assert_string_equal(config->root, CONFIG_ROOT);
	assert_string_equal(config->snapshotter, CONFIG_SNAPSHOTTER);
	assert_null(config->runtime);
	assert_null(config->store_config[0]);
	assert_int_equal(config->policy.count, 0);
	assert_false(config->policy.anything);
	assert_true(config_is_volatile(config));
}

/* Other snapshotters need not know it. */
static void only_the_overlay_is_made_volatile(void **state)
{
	static const struct {
		const char *text;
		bool is_volatile;
	} cases[] = {
		{ "{\"volatile\":true}", true },
		{ "{\"volatile\":false}", false },
		{ "{\"snapshotter\":\"overlay\"}", true },
		{ "{\"snapshotter\":\"native\",\"volatile\":true}", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		auto_config config = load(cases[i].text);

		assert_int_equal(config_is_volatile(config),
				 cases[i].is_volatile);
		assert_null(config->store_config[0]);
	}
}

static void each_key_sets_its_member(void **state)
{
	static const char *const expected[] = {
		"durability",
		"all",
		"mount_option",
		"volatile",
		"mount_option",
		"redirect_dir=nofollow",
		"allow_mount_option",
		"xino=off",
		"allow_mount_option",
		"nosuid",
		"upper",
		"ram=/run/shale-upper",
		"upper",
		"fast=/mnt/ssd",
		"lock_timeout_ms",
		"250",
		"any_filesystem",
		"yes",
		NULL,
	};
	auto_config config = load(
		"{\"root\":\"/r\",\"snapshotter\":\"zfs\","
		"\"runtime\":\"crun\",\"durability\":\"all\","
		"\"mount_options\":[\"volatile\",\"redirect_dir=nofollow\"],"
		"\"allowed_mount_options\":[\"xino=off\",\"nosuid\"],"
		"\"uppers\":{\"ram\":\"/run/shale-upper\",\"fast\":\"/mnt/ssd\"},"
		"\"lock_timeout_ms\":250,\"any_filesystem\":true,"
		"\"policy\":[{\"user\":0,\"parents\":[\"\"]}]}");

	(void)state;
	assert_string_equal(config->root, "/r");
	assert_string_equal(config->snapshotter, "zfs");
	assert_string_equal(config->runtime, "crun");
	for (size_t i = 0; expected[i]; i++)
		assert_string_equal(config->store_config[i], expected[i]);
	assert_null(config->store_config[18]);
	assert_int_equal(config->policy.count, 1);
}

static void any_filesystem_false_is_not_handed_on(void **state)
{
	auto_config config = load("{\"any_filesystem\":false}");

	(void)state;
	assert_null(config->store_config[0]);
}

static void what_it_does_not_know_is_refused_by_name(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{ "[]", "no object" },
		{ "{\"rot\":\"/r\"}", "unknown key 'rot'" },
		{ "{\"root\":1}", "root is" },
		{ "{\"root\":\"\"}", "root is" },
		{ "{\"root\":\"r\"}", "no absolute path" },
		{ "{\"snapshotter\":null}", "snapshotter" },
		{ "{\"runtime\":[]}", "runtime" },
		{ "{\"durability\":\"full\"}", "durability" },
		{ "{\"durability\":true}", "durability" },
		{ "{\"mount_options\":\"ro\"}", "mount_options" },
		{ "{\"mount_options\":[1]}", "mount_options" },
		{ "{\"mount_options\":[\"\"]}", "mount_options" },
		{ "{\"allowed_mount_options\":{}}", "allowed_mount_options" },
		{ "{\"allowed_mount_options\":[1]}", "allowed_mount_options" },
		{ "{\"uppers\":[]}", "uppers is no object" },
		{ "{\"uppers\":{\"a\":1}}", "uppers" },
		{ "{\"uppers\":{\"a\":\"relative\"}}", "absolute" },
		{ "{\"lock_timeout_ms\":-1}", "lock_timeout_ms" },
		{ "{\"lock_timeout_ms\":1.5}", "lock_timeout_ms" },
		{ "{\"lock_timeout_ms\":1e3}", "lock_timeout_ms" },
		{ "{\"lock_timeout_ms\":\"1\"}", "lock_timeout_ms" },
		{ "{\"lock_timeout_ms\":99999999999}", "lock_timeout_ms" },
		{ "{\"any_filesystem\":\"yes\"}", "any_filesystem" },
		{ "{\"volatile\":\"no\"}", "volatile is" },
		{ "{\"policy\":{}}", "policy" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		refused(EINVAL, cases[i].text, cases[i].part);
}

static void torn_and_long_files_are_refused(void **state)
{
	char *text = malloc(CONFFILE_SIZE_MAX + 8);

	(void)state;
	refused(EBADMSG, "", "not JSON");
	refused(EBADMSG, "{\"root\":\"/r\"", "not JSON");
	refused(EBADMSG, "{\"root\":\"/r\",\"root\":\"/s\"}", "twice");
	assert_non_null(text);
	memset(text, ' ', CONFFILE_SIZE_MAX + 7);
	text[CONFFILE_SIZE_MAX + 7] = '\0';
	refused(EFBIG, text, "longer than");
	free(text);
}

static void a_file_that_others_may_write_is_refused(void **state)
{
	static const mode_t modes[] = { 0664, 0646, 0666 };
	struct config *config = NULL;
	const char *path = write_config("{}");

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		REFUSED(EPERM, "may write it",
			config_load(path, &config, &why));
	}
}

static void a_file_of_another_user_is_refused(void **state)
{
	struct config *config = NULL;
	const char *path;

	(void)state;
	needs_root();
	path = write_config("{}");
	assert_int_equal(chown(path, 65534, 65534), 0);
	REFUSED(EPERM, "uid 65534", config_load(path, &config, &why));
}

static void what_is_no_file_is_refused_at_once(void **state)
{
	struct config *config = NULL;
	const char *fifo = at("fifo");

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	REFUSED(EPERM, "no regular file", config_load(fifo, &config, &why));
	REFUSED(EPERM, "no regular file", config_load(here, &config, &why));
}

static void a_file_that_is_named_must_exist(void **state)
{
	struct config *config = NULL;

	(void)state;
	REFUSED(ENOENT, "absent.json",
		config_load(at("absent.json"), &config, &why));
}

static void root_alone_allows_anything(void **state)
{
	struct config *config = NULL;

	(void)state;
	if (access(CONFIG_PATH, F_OK) == 0)
		skip_because("this machine has " CONFIG_PATH);
	MUST(config_load_for_hook("/r", NULL, &config, &why));
	assert_string_equal(config->root, "/r");
	assert_true(config->policy.anything);
	config_free(config);
}

static void root_beside_config_keeps_the_rules(void **state)
{
	struct config *config = NULL;
	const char *path = write_config("{\"root\":\"/file\"}");

	(void)state;
	MUST(config_load_for_hook("/r", path, &config, &why));
	assert_string_equal(config->root, "/r");
	assert_false(config->policy.anything);
	config_free(config);
}

static void an_absent_default_has_no_rule(void **state)
{
	struct config *config = NULL;

	(void)state;
	if (access(CONFIG_PATH, F_OK) == 0)
		skip_because("this machine has " CONFIG_PATH);
	MUST(config_load_for_hook(NULL, NULL, &config, &why));
	assert_string_equal(config->root, CONFIG_ROOT);
	assert_false(config->policy.anything);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(an_empty_object_is_all_defaults),
		TEST_IN_DIR(each_key_sets_its_member),
		TEST_IN_DIR(only_the_overlay_is_made_volatile),
		TEST_IN_DIR(any_filesystem_false_is_not_handed_on),
		TEST_IN_DIR(what_it_does_not_know_is_refused_by_name),
		TEST_IN_DIR(torn_and_long_files_are_refused),
		TEST_IN_DIR(a_file_that_others_may_write_is_refused),
		TEST_IN_DIR(a_file_of_another_user_is_refused),
		TEST_IN_DIR(what_is_no_file_is_refused_at_once),
		TEST_IN_DIR(a_file_that_is_named_must_exist),
		TEST_IN_DIR(root_alone_allows_anything),
		TEST_IN_DIR(root_beside_config_keeps_the_rules),
		TEST_IN_DIR(an_absent_default_has_no_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
