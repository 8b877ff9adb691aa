/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Labels: how they are kept, how shale_update changes them, and which are
 * none.
 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAIRS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void prepare_labelled(const char *key, const char *const *labels)
{
	struct shale_opts opts = { .size = sizeof(opts), .labels = labels };

	MUST(shale_prepare(store, key, NULL, &opts, &why));
}

/* An active "k" whose one label "k" has a value of @len bytes. */
static void prepare_with_value(size_t len)
{
	char *value = malloc(len + 1);

	memset(value, 'v', len);
	value[len] = '\0';
	prepare_labelled("k", PAIRS("k", value));
	free(value);
}

static void labels_come_back_sorted_by_key(void **state)
{
	(void)state;
	prepare_labelled("k", PAIRS("b", "2", "c", "", "a", "1"));
	check_labels(store, "k", "a=1,b=2,c=");
	reopen();
	check_labels(store, "k", "a=1,b=2,c=");
}

static void any_utf8_is_a_label(void **state)
{
	const char *const labels[] = {
		"a \"quoted\" \\ key",
		"line\none\ttwo\x01\x7f",
		"\xe2\x82\xac",
		"</\xf0\x9f\x98\x80>",
		NULL,
	};

	(void)state;
	prepare_labelled("k", labels);
	reopen();
	check_labels(store, "k",
		     "a \"quoted\" \\ key=line\none\ttwo\x01\x7f,"
		     "\xe2\x82\xac=</\xf0\x9f\x98\x80>");
}

static mode_t type_of_labels(void)
{
	struct stat st;

	assert_int_equal(lstat(of_key("k", "key.labels"), &st), 0);
	return st.st_mode & S_IFMT;
}

static void labels_of_1023_bytes_are_a_link_and_of_1024_a_file(void **state)
{
	const size_t around = strlen("{\"k\":\"\"}");

	(void)state;
	prepare_with_value(1023 - around);
	assert_int_equal(type_of_labels(), S_IFLNK);
	MUST(shale_remove(store, "k", &why));
	prepare_with_value(1024 - around);
	assert_int_equal(type_of_labels(), S_IFREG);
}

static void long_labels_come_back_whole(void **state)
{
	const size_t len = 60000;
	struct seen seen = { 0 };

	(void)state;
	prepare_with_value(len);
	reopen();
	MUST(shale_stat(store, "k", see, &seen, &why));
	assert_int_equal(strlen(seen.labels), len + 2);
	free(seen.labels);
}

static void labels_grow_into_a_file_and_shrink_into_a_link(void **state)
{
	char value[3000];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	prepare_labelled("k", PAIRS("a", "1"));
	MUST(shale_update(store, "k", PAIRS("big", value), PAIRS("labels.big"),
			  &why));
	assert_int_equal(type_of_labels(), S_IFREG);
	MUST(shale_update(store, "k", NULL, PAIRS("labels.big"), &why));
	assert_int_equal(type_of_labels(), S_IFLNK);
	check_labels(store, "k", "a=1");
	check_list(of_key("k", ""), "fs key key.labels");
}

static void the_mode_of_a_file_of_labels_is_exact(void **state)
{
	struct stat a, b;

	(void)state;
	(void)umask(0);
	prepare_with_value(3000);
	assert_int_equal(lstat(of_key("k", "key.labels"), &a), 0);
	MUST(shale_remove(store, "k", &why));
	(void)umask(0777);
	prepare_with_value(3000);
	(void)umask(022);
	assert_int_equal(lstat(of_key("k", "key.labels"), &b), 0);
	assert_int_equal(a.st_mode, b.st_mode);
	assert_int_equal(a.st_mode & 022, 0);
}

static void update_replaces_all_labels(void **state)
{
	(void)state;
	prepare_labelled("k", PAIRS("a", "1", "b", "2"));
	MUST(shale_update(store, "k", PAIRS("c", "3"), PAIRS("labels"), &why));
	check_labels(store, "k", "c=3");
	MUST(shale_update(store, "k", PAIRS("d", "4"), NULL, &why));
	check_labels(store, "k", "d=4");
}

static void update_without_labels_removes_them_all(void **state)
{
	(void)state;
	prepare_labelled("k", PAIRS("a", "1"));
	MUST(shale_update(store, "k", NULL, NULL, &why));
	check_labels(store, "k", "");
	reopen();
	check_labels(store, "k", "");
}

static void update_sets_one_label(void **state)
{
	(void)state;
	prepare_labelled("k", PAIRS("a", "1", "b", "2"));
	MUST(shale_update(store, "k", PAIRS("a", "new", "not asked for", "x"),
			  PAIRS("labels.a"), &why));
	check_labels(store, "k", "a=new,b=2");
	MUST(shale_update(store, "k", PAIRS("c", "3"), PAIRS("labels.c"),
			  &why));
	check_labels(store, "k", "a=new,b=2,c=3");
}

static void update_removes_a_label_that_has_no_value(void **state)
{
	(void)state;
	prepare_labelled("k", PAIRS("a", "1", "b", "2"));
	MUST(shale_update(store, "k", NULL, PAIRS("labels.a"), &why));
	check_labels(store, "k", "b=2");
	MUST(shale_update(store, "k", NULL, PAIRS("labels.absent"), &why));
	check_labels(store, "k", "b=2");
}

static void update_takes_several_fields_at_once(void **state)
{
	(void)state;
	prepare_labelled("k", PAIRS("a", "1", "b", "2", "c", "3"));
	MUST(shale_update(store, "k", PAIRS("a", "new", "d", "4"),
			  PAIRS("labels.a", "labels.b", "labels.d"), &why));
	check_labels(store, "k", "a=new,c=3,d=4");
}

static void a_dot_belongs_to_the_label(void **state)
{
	(void)state;
	prepare_labelled("k", PAIRS("org", "1"));
	MUST(shale_update(store, "k", PAIRS("org.shale.x", "2"),
			  PAIRS("labels.org.shale.x"), &why));
	check_labels(store, "k", "org=1,org.shale.x=2");
}

static void update_works_on_every_kind(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_view(store, "v", "base", NULL, &why));
	MUST(shale_update(store, "base", PAIRS("a", "1"), NULL, &why));
	MUST(shale_update(store, "v", PAIRS("a", "2"), NULL, &why));
	check_labels(store, "base", "a=1");
	check_labels(store, "v", "a=2");
	check_link(of_name("base", "name.labels"), "{\"a\":\"1\"}");
	check_link(of_key("v", "key.labels"), "{\"a\":\"2\"}");
}

static void an_immutable_or_unknown_field_is_refused(void **state)
{
	static const char *const fields[] = {
		"name",	  "parent", "kind",    "created", "updated", "usage",
		"Labels", "label",  "labels.", "",	  "labelsx", "labels ",
	};

	(void)state;
	prepare_labelled("k", PAIRS("a", "1"));
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		REFUSED(EINVAL, fields[i],
			shale_update(store, "k", PAIRS("a", "2"),
				     PAIRS(fields[i]), &why));
	/* Also beside one that could be changed. */
	REFUSED(EINVAL, "parent",
		shale_update(store, "k", PAIRS("a", "2"),
			     PAIRS("labels.a", "parent"), &why));
	REFUSED(EINVAL, "parent",
		shale_update(store, "k", PAIRS("a", "2"),
			     PAIRS("labels", "parent"), &why));
}

static void malformed_labels_are_refused(void **state)
{
	static const char *const bad[][2] = {
		{ "a", "\xff" },
		{ "\xff", "1" },
		{ "", "1" },
		{ "a", "\xed\xa0\x80" },
	};

	(void)state;
	prepare_labelled("k", PAIRS("a", "1"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const char *const labels[] = { bad[i][0], bad[i][1], NULL };
		struct shale_opts opts = { .size = sizeof(opts),
					   .labels = labels };

		REFUSED(EINVAL, "label",
			shale_update(store, "k", labels, NULL, &why));
		REFUSED(EINVAL, "label",
			shale_prepare(store, "l", NULL, &opts, &why));
		REFUSED(EINVAL, "label",
			shale_view(store, "v", NULL, &opts, &why));
	}
}

static void a_label_without_a_value_is_refused(void **state)
{
	const char **labels = calloc(2, sizeof(*labels));

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	labels[0] = "a";
	REFUSED(EINVAL, "label", shale_update(store, "k", labels, NULL, &why));
	free(labels);
}

static void more_than_64_kib_of_labels_are_refused(void **state)
{
	char *value = malloc(70000);
	const char *const labels[] = { "big", value, NULL };
	struct shale_opts opts = { .size = sizeof(opts), .labels = labels };

	(void)state;
	memset(value, 'v', 69999);
	value[69999] = '\0';
	REFUSED(EINVAL, "label", shale_prepare(store, "k", NULL, &opts, &why));
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	REFUSED(EINVAL, "label", shale_update(store, "k", labels, NULL, &why));
	/* Also where only the sum is too much. */
	value[40000] = '\0';
	MUST(shale_update(store, "k", PAIRS("1", value), NULL, &why));
	REFUSED(EINVAL, "label",
		shale_update(store, "k", PAIRS("2", value), PAIRS("labels.2"),
			     &why));
	free(value);
}

static void update_of_nothing_is_enoent(void **state)
{
	(void)state;
	REFUSED(ENOENT, "'k'",
		shale_update(store, "k", PAIRS("a", "1"), NULL, &why));
}

static void updated_moves_with_the_labels_and_created_does_not(void **state)
{
	struct seen before, after;

	(void)state;
	prepare_labelled("k", PAIRS("a", "1"));
	look("k", &before);
	assert_int_equal(before.created_ns, mtime_ns(of_key("k", "key")));
	assert_true(before.updated_ns >= before.created_ns);
	(void)usleep(30000);
	MUST(shale_update(store, "k", PAIRS("a", "2"), NULL, &why));
	look("k", &after);
	assert_int_equal(after.created_ns, before.created_ns);
	assert_true(after.updated_ns > before.updated_ns);
	assert_int_equal(after.updated_ns, mtime_ns(of_key("k", "key.labels")));
	reopen();
	look("k", &before);
	assert_int_equal(before.created_ns, after.created_ns);
	assert_int_equal(before.updated_ns, after.updated_ns);
}

static void a_mapping_is_checked_where_it_is_said(void **state)
{
	struct shale_opts opts = { .size = sizeof(opts) };

	(void)state;
	make_layer("base", NULL);
	opts.labels = PAIRS(SHALE_LABEL_UIDMAP, "0:1:1");
	REFUSED(EINVAL, "a uidmap without a gidmap",
		shale_prepare(store, "k", NULL, &opts, &why));
	opts.labels = PAIRS(SHALE_LABEL_UIDMAP, "0:1:1", SHALE_LABEL_GIDMAP,
			    "0:1:2,1:2:1");
	REFUSED(EINVAL, "overlap inside",
		shale_view(store, "k", "base", &opts, &why));
	opts.labels =
		PAIRS(SHALE_LABEL_UIDMAP, "1:1:1", SHALE_LABEL_GIDMAP, "0:1:1");
	REFUSED(EINVAL, "uidmap gives 0 inside no id",
		shale_prepare(store, "k", NULL, &opts, &why));
	opts.labels = PAIRS(SHALE_LABEL_UIDMAP, "0:1:1", SHALE_LABEL_GIDMAP,
			    "5:5:5,1:1:1");
	REFUSED(EINVAL, "gidmap gives 0 inside no id",
		shale_view(store, "k", "base", &opts, &why));
	opts.labels =
		PAIRS(SHALE_LABEL_UIDMAP, "0:1:1", SHALE_LABEL_GIDMAP, "0:1:1");
	MUST(shale_prepare(store, "k", NULL, &opts, &why));
	REFUSED(EINVAL, "uidmap 'x'",
		shale_update(store, "k", PAIRS(SHALE_LABEL_UIDMAP, "x"),
			     PAIRS("labels." SHALE_LABEL_UIDMAP), &why));
	REFUSED(EINVAL, "a gidmap without a uidmap",
		shale_update(store, "k", NULL,
			     PAIRS("labels." SHALE_LABEL_UIDMAP), &why));
	MUST(shale_update(store, "k", NULL, NULL, &why));
	/* Of a layer they mean nothing. */
	MUST(shale_update(store, "base", PAIRS(SHALE_LABEL_UIDMAP, "x"), NULL,
			  &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(labels_come_back_sorted_by_key),
		TEST_IN_STORE(any_utf8_is_a_label),
		TEST_IN_STORE(
			labels_of_1023_bytes_are_a_link_and_of_1024_a_file),
		TEST_IN_STORE(long_labels_come_back_whole),
		TEST_IN_STORE(labels_grow_into_a_file_and_shrink_into_a_link),
		TEST_IN_STORE(the_mode_of_a_file_of_labels_is_exact),
		TEST_IN_STORE(update_replaces_all_labels),
		TEST_IN_STORE(update_without_labels_removes_them_all),
		TEST_IN_STORE(update_sets_one_label),
		TEST_IN_STORE(update_removes_a_label_that_has_no_value),
		TEST_IN_STORE(update_takes_several_fields_at_once),
		TEST_IN_STORE(a_dot_belongs_to_the_label),
		TEST_IN_STORE(update_works_on_every_kind),
		TEST_IN_STORE(an_immutable_or_unknown_field_is_refused),
		TEST_IN_STORE(malformed_labels_are_refused),
		TEST_IN_STORE(a_label_without_a_value_is_refused),
		TEST_IN_STORE(more_than_64_kib_of_labels_are_refused),
		TEST_IN_STORE(a_mapping_is_checked_where_it_is_said),
		TEST_IN_STORE(update_of_nothing_is_enoent),
		TEST_IN_STORE(
			updated_moves_with_the_labels_and_created_does_not),
	};

	return cmocka_run_group_tests_name("labels", tests, NULL, NULL);
}
