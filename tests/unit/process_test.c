/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/process: a process by pid and start time, whatever it calls itself.
 */
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

static void the_boot_id_is_36_characters(void **state)
{
	char boot[PROCESS_BOOT_ID_SIZE];

	(void)state;
	assert_int_equal(process_boot_id(boot), 0);
	assert_int_equal(strlen(boot), 36);
	assert_int_equal(strspn(boot, "0123456789abcdef-"), 36);
}

static void the_start_time_is_field_22(void **state)
{
	unsigned long long expected = 0;
	uint64_t start = 0;

	(void)state;
	assert_int_equal(
		sscanf(user_text(getpid(), "c"), "%*d %llu", &expected), 1);
	assert_int_equal(process_start_time(getpid(), &start), 0);
	assert_true(start > 0);
	assert_int_equal(start, expected);
}

static int take_a_hostile_name(void *ctx)
{
	(void)ctx;
	return prctl(PR_SET_NAME, ") Z 1 1 1 1 1");
}

static void a_name_with_parentheses_confuses_nobody(void **state)
{
	struct helper helper;
	uint64_t ours = 0, theirs = 0;

	(void)state;
	helper_start(&helper, take_a_hostile_name, NULL);
	assert_int_equal(process_start_time(getpid(), &ours), 0);
	assert_int_equal(process_start_time(helper.pid, &theirs), 0);
	assert_true(theirs >= ours);
	helper_stop(&helper);
}

static int nothing(void *ctx)
{
	(void)ctx;
	return 0;
}

static void a_dead_process_has_no_start_time(void **state)
{
	struct helper helper;
	uint64_t start = 7;

	(void)state;
	helper_start(&helper, nothing, NULL);
	helper_stop(&helper);
	assert_int_equal(process_start_time(helper.pid, &start), -ESRCH);
	assert_int_equal(start, 7);
}

static void a_zombie_is_dead(void **state)
{
	siginfo_t info;
	uint64_t start;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(process_start_time(pid, &start), -ESRCH);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_boot_id_is_36_characters),
		cmocka_unit_test(the_start_time_is_field_22),
		TEST_IN_DIR(a_name_with_parentheses_confuses_nobody),
		TEST_IN_DIR(a_dead_process_has_no_start_time),
		cmocka_unit_test(a_zombie_is_dead),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
