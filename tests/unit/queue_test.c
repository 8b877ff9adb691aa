/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The queue before the store's lock: writers of all kinds, in threads and in
 * processes, have it in the order in which they came.  Nothing here depends on
 * how long something takes but on that a second goes by.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lock.h"

#define WAITERS 12

/* In memory that children share. */
struct order {
	int count, who[WAITERS];
};

static struct order *order;
static char lock_path[PATH_MAX];

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* As much of a handle as the lock looks at. */
static void open_overlay(struct overlay *ret, int64_t timeout_ms)
{
	*ret = (struct overlay){ .lock_timeout_ms = timeout_ms };
	ret->root_path = (char *)(uintptr_t) "store";
	ret->root_fd = open(at("store"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(ret->root_fd >= 0);
}

/* How many wait: the kernel lists their bytes in the order of coming. */
static int count_places(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(lock_path, O_RDWR | O_CLOEXEC), count = 0;

	assert_true(fd >= 0);
	for (;;) {
		lock.l_len = 0;
		lock.l_type = F_WRLCK;
		lock.l_pid = 0;
		assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
		if (lock.l_type == F_UNLCK)
			break;
		count++;
		lock.l_start += lock.l_len;
	}
	(void)close(fd);
	return count;
}

static void wait_for_places(int count)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int64_t end = now_ms() + 60000;

	while (count_places() != count && now_ms() < end)
		(void)nanosleep(&pause, NULL);
	assert_int_equal(count_places(), count);
}

static int wait_and_note(struct overlay *ov, int who)
{
	auto_writer writer = WRITER_INIT;
	int r = writer_begin(ov, &writer, NULL);

	if (r == 0)
		order->who[order->count++] = who;
	return r;
}

/* Threads of one handle, and a process for each third. */
struct waiter {
	struct overlay *ov;
	struct helper helper;
	pthread_t thread;
	int number;
	bool is_process;
};

static void *wait_in_thread(void *ctx)
{
	struct waiter *waiter = ctx;

	assert_int_equal(wait_and_note(waiter->ov, waiter->number), 0);
	return NULL;
}

static int wait_in_process(void *ctx)
{
	struct waiter *waiter = ctx;

	return wait_and_note(waiter->ov, waiter->number);
}

static void waiter_start(struct waiter *waiter, struct overlay *ov, int number,
			 bool is_process)
{
	int before = count_places();

	*waiter = (struct waiter){ .ov = ov,
				   .number = number,
				   .is_process = is_process };
	if (is_process)
		helper_begin(&waiter->helper, wait_in_process, waiter);
	else
		assert_int_equal(pthread_create(&waiter->thread, NULL,
						wait_in_thread, waiter),
				 0);
	wait_for_places(before + 1);
}

static void waiter_end(struct waiter *waiter)
{
	if (waiter->is_process) {
		helper_wait(&waiter->helper);
		helper_stop(&waiter->helper);
	} else {
		assert_int_equal(pthread_join(waiter->thread, NULL), 0);
	}
}

static int set_up(void **state)
{
	int r = setup_store(state);

	(void)snprintf(lock_path, sizeof(lock_path), "%s", at("store/lock"));
	order = mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(order != MAP_FAILED);
	return r;
}

static int tear_down(void **state)
{
	(void)munmap(order, sizeof(*order));
	return teardown(state);
}

/* ---- the tests ---- */

static void writers_have_the_lock_in_the_order_of_coming(void **state)
{
	struct waiter waiters[WAITERS];
	struct overlay patient, timed;
	struct helper holder;

	(void)state;
	open_overlay(&patient, -1);
	open_overlay(&timed, 600000);
	helper_start(&holder, flock_path, lock_path);
	for (int i = 0; i < WAITERS; i++)
		waiter_start(&waiters[i], i % 2 ? &timed : &patient, i,
			     i % 3 == 2);
	assert_int_equal(order->count, 0);
	helper_stop(&holder);
	for (int i = 0; i < WAITERS; i++)
		waiter_end(&waiters[i]);
	assert_int_equal(order->count, WAITERS);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(order->who[i], i);
	assert_int_equal(count_places(), 0);
}

static void stop_process(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

/* And nobody comes before it at once, though the lock is free. */
static void who_does_not_take_its_turn_is_passed_by(void **state)
{
	struct waiter waiters[3];
	struct helper holder;
	struct overlay ov;
	int64_t start;

	(void)state;
	open_overlay(&ov, -1);
	helper_start(&holder, flock_path, lock_path);
	waiter_start(&waiters[0], &ov, 0, true);
	stop_process(waiters[0].helper.pid);
	waiter_start(&waiters[1], &ov, 1, true);
	helper_stop(&holder);
	start = now_ms();
	waiter_start(&waiters[2], &ov, 2, false);
	waiter_end(&waiters[2]);
	assert_true(now_ms() - start >= 900);
	waiter_end(&waiters[1]);
	assert_int_equal(order->count, 2);
	assert_int_equal(kill(waiters[0].helper.pid, SIGCONT), 0);
	waiter_end(&waiters[0]);
	assert_int_equal(order->who[2], 0);
}

/* Leaves the lock free, and one at the head of the line that is stopped. */
static void stop_first(struct waiter *first, struct overlay *ov)
{
	struct helper holder;

	open_overlay(ov, -1);
	helper_start(&holder, flock_path, lock_path);
	waiter_start(first, ov, 0, true);
	stop_process(first->helper.pid);
	helper_stop(&holder);
}

static void continue_first(struct waiter *first)
{
	assert_int_equal(kill(first->helper.pid, SIGCONT), 0);
	waiter_end(first);
}

static int stop_all(void *ctx)
{
	(void)ctx;
	return 1;
}

/* Gives up where it would have to wait. */
static void open_impatient(struct overlay *ov)
{
	static const struct shale_host host = { .size = sizeof(host),
						.cancelled = stop_all };

	open_overlay(ov, -1);
	ov->host = &host;
}

/* A second for each command, as long as somebody is stopped, would be much. */
static void who_was_passed_by_is_not_waited_for_again(void **state)
{
	struct overlay ov, impatient;
	struct waiter first;

	(void)state;
	open_impatient(&impatient);
	stop_first(&first, &ov);
	assert_int_equal(wait_and_note(&impatient, 1), -ECANCELED);
	assert_int_equal(wait_and_note(&ov, 2), 0);
	assert_int_equal(wait_and_note(&impatient, 3), 0);
	continue_first(&first);
	assert_int_equal(order->count, 3);
	assert_int_equal(order->who[2], 0);
}

static int64_t clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void note_passed(int64_t place)
{
	int fd = open(lock_path, O_RDWR | O_CLOEXEC);

	assert_int_equal(pwrite(fd, &place, sizeof(place), 8), sizeof(place));
	(void)close(fd);
}

/* Of another boot, or of a torn write: who waits is waited for. */
static void what_was_passed_by_in_another_boot_means_nothing(void **state)
{
	const int64_t wrong[] = { clock_ns() + INT64_C(3600000000000),
				  INT64_MAX, INT64_MIN, -1 };
	struct overlay ov, impatient;
	struct waiter first;

	(void)state;
	open_impatient(&impatient);
	stop_first(&first, &ov);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		note_passed(wrong[i]);
		assert_int_equal(wait_and_note(&impatient, 1), -ECANCELED);
	}
	continue_first(&first);
}

/* A hole before the number would be a generation that handles have seen. */
static void a_truncated_lock_file_is_left_without_a_generation(void **state)
{
	struct overlay ov;
	struct waiter first;
	struct stat st;

	(void)state;
	stop_first(&first, &ov);
	assert_int_equal(truncate(lock_path, 0), 0);
	assert_int_equal(wait_and_note(&ov, 1), 0);
	assert_int_equal(stat(lock_path, &st), 0);
	assert_int_equal(st.st_size, 0);
	continue_first(&first);
}

static void a_place_goes_with_its_process(void **state)
{
	struct waiter waiters[2];
	struct helper holder;
	struct overlay ov;

	(void)state;
	open_overlay(&ov, -1);
	helper_start(&holder, flock_path, lock_path);
	waiter_start(&waiters[0], &ov, 0, true);
	waiter_start(&waiters[1], &ov, 1, false);
	helper_kill(&waiters[0].helper);
	wait_for_places(1);
	helper_stop(&holder);
	waiter_end(&waiters[1]);
	assert_int_equal(order->count, 1);
}

static int do_nothing(void *ctx)
{
	(void)ctx;
	return 0;
}

/* It has a copy of each descriptor of its host. */
static void a_forked_child_keeps_no_place(void **state)
{
	struct helper holder, child;
	struct waiter waiter;
	struct overlay ov;

	(void)state;
	open_overlay(&ov, 0);
	helper_start(&holder, flock_path, lock_path);
	ov.lock_timeout_ms = 600000;
	waiter_start(&waiter, &ov, 0, false);
	helper_start(&child, do_nothing, NULL);
	helper_stop(&holder);
	waiter_end(&waiter);
	assert_int_equal(count_places(), 0);
	ov.lock_timeout_ms = 0;
	assert_int_equal(wait_and_note(&ov, 1), 0);
	helper_stop(&child);
}

static void who_is_late_in_the_queue_names_the_holder(void **state)
{
	struct shale_store *timed =
		open_more(NULL, "lock_timeout_ms", "100", NULL);
	struct helper holder;
	struct waiter first;
	struct overlay ov;
	char sentence[128];

	(void)state;
	open_overlay(&ov, -1);
	helper_start(&holder, flock_path, lock_path);
	waiter_start(&first, &ov, 0, false);
	(void)snprintf(sentence, sizeof(sentence),
		       "not had within 100 ms: process %ld (queue_test)",
		       (long)holder.pid);
	REFUSED(ETIMEDOUT, sentence,
		shale_prepare(timed, "k", NULL, NULL, &why));
	assert_int_equal(count_places(), 1);
	helper_stop(&holder);
	waiter_end(&first);
	MUST(shale_prepare(timed, "k", NULL, NULL, &why));
}

/* Its turn has not come, but it is late, and nobody has the lock. */
static void who_is_late_takes_a_lock_that_is_free(void **state)
{
	struct helper holder;
	struct waiter first;
	struct overlay ov, timed;

	(void)state;
	open_overlay(&ov, -1);
	open_overlay(&timed, 100);
	helper_start(&holder, flock_path, lock_path);
	waiter_start(&first, &ov, 0, true);
	stop_process(first.helper.pid);
	helper_stop(&holder);
	assert_int_equal(wait_and_note(&timed, 1), 0);
	assert_int_equal(kill(first.helper.pid, SIGCONT), 0);
	waiter_end(&first);
	assert_int_equal(order->who[0], 1);
}

static int update_label(void *ctx)
{
	const char *const labels[] = { ctx, "yes", NULL };
	char field[32];
	const char *const fields[] = { field, NULL };

	(void)snprintf(field, sizeof(field), "labels.%s", (const char *)ctx);
	return shale_update(open_more(NULL, NULL), "k", labels, fields, NULL);
}

/* Both have read the labels before either has written them. */
static void updates_that_wait_together_lose_nothing(void **state)
{
	struct helper holder, first, second;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	helper_start(&holder, flock_path, lock_path);
	helper_begin(&first, update_label, (char *)(uintptr_t) "first");
	wait_for_places(1);
	helper_begin(&second, update_label, (char *)(uintptr_t) "second");
	wait_for_places(2);
	helper_stop(&holder);
	helper_wait(&first);
	helper_wait(&second);
	helper_stop(&first);
	helper_stop(&second);
	check_labels(store, "k", "first=yes,second=yes");
}

static int delete_base(void *ctx)
{
	(void)ctx;
	return shale_delete(open_more(NULL, NULL), "base", NULL);
}

static int prepare_is_refused(void *ctx)
{
	(void)ctx;
	return shale_prepare(open_more(NULL, NULL), "k", "base", NULL, NULL) !=
	       -ENOENT;
}

/* Who waits has seen its parent; then it goes. */
static void a_parent_deleted_before_the_lock_is_had_is_noticed(void **state)
{
	struct helper holder, first, second;

	(void)state;
	make_layer("base", NULL);
	helper_start(&holder, flock_path, lock_path);
	helper_begin(&first, delete_base, NULL);
	wait_for_places(1);
	helper_begin(&second, prepare_is_refused, NULL);
	wait_for_places(2);
	helper_stop(&holder);
	helper_wait(&first);
	helper_wait(&second);
	helper_stop(&first);
	helper_stop(&second);
	check_list(at("store/active"), "");
}

static int host_stops;

static int ask_host(void *ctx)
{
	(void)ctx;
	return host_stops;
}

static void the_host_can_stop_one_that_waits(void **state)
{
	const struct shale_host host = { .size = sizeof(host),
					 .cancelled = ask_host };
	struct overlay ov, stopped;
	struct waiter first;
	struct helper holder;

	(void)state;
	open_overlay(&ov, -1);
	open_overlay(&stopped, -1);
	stopped.host = &host;
	helper_start(&holder, flock_path, lock_path);
	waiter_start(&first, &ov, 0, false);
	host_stops = 1;
	assert_int_equal(wait_and_note(&stopped, 1), -ECANCELED);
	host_stops = 0;
	assert_int_equal(count_places(), 1);
	helper_stop(&holder);
	waiter_end(&first);
	assert_int_equal(order->count, 1);
}

#define IN_ORDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ORDER(writers_have_the_lock_in_the_order_of_coming),
		IN_ORDER(who_does_not_take_its_turn_is_passed_by),
		IN_ORDER(who_was_passed_by_is_not_waited_for_again),
		IN_ORDER(what_was_passed_by_in_another_boot_means_nothing),
		IN_ORDER(a_truncated_lock_file_is_left_without_a_generation),
		IN_ORDER(a_place_goes_with_its_process),
		IN_ORDER(a_forked_child_keeps_no_place),
		IN_ORDER(who_is_late_in_the_queue_names_the_holder),
		IN_ORDER(who_is_late_takes_a_lock_that_is_free),
		IN_ORDER(updates_that_wait_together_lose_nothing),
		IN_ORDER(a_parent_deleted_before_the_lock_is_had_is_noticed),
		IN_ORDER(the_host_can_stop_one_that_waits),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
