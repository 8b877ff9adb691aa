/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runtimes by their command lines, and what procfs tells of processes.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"
#include "runtime.h"
#include "scope.h"

/* Words divided by one space each become a command line. */
static struct runtime_words parse(const char *text, char line[256])
{
	size_t len = strlen(text) + 1;

	memcpy(line, text, len);
	for (size_t i = 0; i < len; i++)
		if (line[i] == ' ')
			line[i] = '\0';
	return runtime_parse(line, len);
}

static void a_runtime_is_known_by_name_or_by_its_root(void **state)
{
	static const struct {
		const char *line;
		enum runtime_kind kind;
		const char *root;
	} cases[] = {
		{ "runc create c", RUNTIME_RUNC, NULL },
		{ "/usr/sbin/runc --root /r create c", RUNTIME_RUNC, "/r" },
		{ "runc -root /r create c", RUNTIME_RUNC, "/r" },
		{ "runc -root=/r run c", RUNTIME_RUNC, "/r" },
		{ "runc --root=/r run c", RUNTIME_RUNC, "/r" },
		{ "runc --root= run c", RUNTIME_RUNC, "" },
		{ "runc --roo /r run c", RUNTIME_RUNC, NULL },
		{ "runc ---root /r run c", RUNTIME_RUNC, NULL },
		{ "runc --log /l --root /r run c", RUNTIME_RUNC, "/r" },
		{ "runc --log --root create c", RUNTIME_RUNC, NULL },
		{ "runc --rootless true --root /r run c", RUNTIME_RUNC, "/r" },
		{ "runc --root /a --root /b run c", RUNTIME_RUNC, "/b" },
		{ "runc create --root /r c", RUNTIME_RUNC, NULL },
		{ "runc --log create --root /r create c", RUNTIME_RUNC, "/r" },
		{ "runc --root", RUNTIME_RUNC, NULL },
		{ "runc init", RUNTIME_NONE, NULL },
		{ "runc --root /r init", RUNTIME_NONE, NULL },
		{ "docker-runc create c", RUNTIME_RUNC, NULL },
		{ "runc-1.3 create c", RUNTIME_RUNC, NULL },
		{ "crun --root /r create c", RUNTIME_CRUN, "/r" },
		{ "crun --roo /r create c", RUNTIME_CRUN, "/r" },
		{ "crun --r=/r create c", RUNTIME_CRUN, "/r" },
		{ "crun -root /r create c", RUNTIME_CRUN, NULL },
		{ "crun --rootless=1 create c", RUNTIME_CRUN, NULL },
		{ "crun --cgroup-manager cgroupfs --root=/r run c",
		  RUNTIME_CRUN, "/r" },
		{ "youki --root /r create c", RUNTIME_OTHER, "/r" },
		{ "runsc -root=/r create c", RUNTIME_OTHER, "/r" },
		{ "youki create c", RUNTIME_NONE, NULL },
		{ "youki create --root /r c", RUNTIME_NONE, NULL },
		{ "/usr/bin/podman --root /r run x", RUNTIME_ENGINE, NULL },
		{ "my-hook --root /store prestart", RUNTIME_NONE, NULL },
		{ "sh -c x", RUNTIME_NONE, NULL },
		{ "truncate --roots 1", RUNTIME_NONE, NULL },
		{ "", RUNTIME_NONE, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char line[256];
		struct runtime_words words = parse(cases[i].line, line);

		if (words.kind != cases[i].kind)
			fail_msg("%s: kind %d", cases[i].line, words.kind);
		if (!words.root != !cases[i].root ||
		    (words.root && strcmp(words.root, cases[i].root) != 0))
			fail_msg("%s: root %s", cases[i].line,
				 words.root ? words.root : "NULL");
	}
}

static void a_line_without_its_last_nul_is_none(void **state)
{
	char line[] = "runc";

	(void)state;
	assert_int_equal(runtime_parse(line, 4).kind, RUNTIME_NONE);
	assert_int_equal(runtime_parse(line, 0).kind, RUNTIME_NONE);
}

static void a_descriptor_on_a_mount_is_seen(void **state)
{
	uint64_t ours;
	auto_fd fd = open(here, O_PATH | O_CLOEXEC);

	(void)state;
	assert_int_equal(fs_mnt_id(fd, "", &ours), 0);
	assert_true(runtime_holds_mount(getpid(), ours));
	assert_false(runtime_holds_mount(getpid(), UINT64_MAX));
}

static void what_cannot_be_read_counts_as_held(void **state)
{
	(void)state;
	assert_true(runtime_holds_mount(0x7fffffff, 1));
	assert_true(runtime_is_mapped(0x7fffffff));
}

static void the_parent_is_found(void **state)
{
	struct runtime runtime;
	long parent;

	(void)state;
	assert_int_equal(runtime_parent(0, &parent), 0);
	assert_int_equal(parent, getppid());
	MUST(runtime_find(NULL, &runtime, &why));
	assert_int_equal(runtime.parent, getppid());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_runtime_is_known_by_name_or_by_its_root),
		cmocka_unit_test(a_line_without_its_last_nul_is_none),
		TEST_IN_DIR(a_descriptor_on_a_mount_is_seen),
		cmocka_unit_test(what_cannot_be_read_counts_as_held),
		cmocka_unit_test(the_parent_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
