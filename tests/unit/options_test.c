/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options of a mount besides its directories: the defaults, what labels ask
 * for, and what is refused before anything is made.
 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "options.h"

static struct shale_opts labelled(const char *const *labels)
{
	return (struct shale_opts){ .size = sizeof(struct shale_opts),
				    .labels = labels };
}

static int prepare(struct shale_store *it, const char *parent,
		   const char *label, const char *value)
{
	const char *const labels[] = { label, value, NULL };
	const struct shale_opts opts = labelled(labels);

	return shale_prepare(it, "k", parent, &opts, &why);
}

static int view(const char *parent, const char *label, const char *value)
{
	const char *const labels[] = { label, value, NULL };
	const struct shale_opts opts = labelled(labels);

	return shale_view(store, "v", parent, &opts, &why);
}

/* The options of "k" on "1" behind its directories. */
static void check_rest(struct shale_store *it, const char *rest)
{
	check_mount(it, "k",
		    "overlay overlay workdir=%s upperdir=%s lowerdir=%s %s",
		    of_key("k", "work"), of_key("k", "fs"), of_name("1", "fs"),
		    rest);
}

/* ---- defaults ---- */

static void a_default_gives_way_to_what_is_configured(void **state)
{
	static const struct {
		const char *configured, *rest;
	} cases[] = {
		{ "xino=off", "xino=off " DEFAULTS },
		{ "index=on", "index=on redirect_dir=nofollow metacopy=off" },
		{ "redirect_dir=on", "redirect_dir=on index=off metacopy=off" },
		/* The kernel refuses metacopy=on,redirect_dir=nofollow. */
		{ "metacopy=on", "metacopy=on index=off" },
		{ "verity=require", "verity=require index=off" },
		/* And nfs_export=on,index=off. */
		{ "nfs_export=on",
		  "nfs_export=on redirect_dir=nofollow metacopy=off" },
		{ "nosuid", "nosuid " DEFAULTS },
	};

	(void)state;
	make_layer("1", NULL);
	MUST(shale_prepare(store, "k", "1", NULL, &why));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_rest(open_more(NULL, "mount_option", cases[i].configured,
				     NULL),
			   cases[i].rest);
}

static int take_none(void *ctx, const struct shale_mount_spec *spec)
{
	(void)ctx;
	fail_msg("mounts gave a spec of type %s", spec->type);
	return 1;
}

static void what_userxattr_excludes_is_told(void **state)
{
	static const char *const excluded[] = { "redirect_dir=on",
						"redirect_dir=follow",
						"metacopy=on" };
	(void)state;
	make_layer("1", NULL);
	MUST(shale_prepare(store, "k", "1", NULL, &why));
	for (size_t i = 0; i < sizeof(excluded) / sizeof(*excluded); i++) {
		struct shale_store *it = open_more(NULL, "mount_option",
						   "userxattr", "mount_option",
						   excluded[i], NULL);

		REFUSED(EINVAL, excluded[i],
			shale_mounts(it, "k", take_none, NULL, &why));
	}
	check_rest(open_more(NULL, "mount_option", "userxattr", NULL),
		   "userxattr " DEFAULTS);
}

static void an_option_that_the_kernel_lacks_is_left_out(void **state)
{
	(void)state;
	assert_int_equal(options_probe_kernel(at("absent")), 7);
	make_dir(at("overlay"));
	make_dir(at("overlay/parameters"));
	assert_int_equal(options_probe_kernel(at("overlay")), 0);
	make_file(at("overlay/parameters/index"), "N");
	assert_int_equal(options_probe_kernel(at("overlay")), 1);
	make_file(at("overlay/parameters/metacopy"), "N");
	make_file(at("overlay/parameters/redirect_always_follow"), "Y");
	assert_int_equal(options_probe_kernel(at("overlay")), 7);
}

static int mount_here(void *ctx, const struct shale_mount_spec *spec)
{
	return -shale_mount(spec, ctx, &why);
}

/* As a layer of a stranger may have it, who knows what other layers hold. */
static void a_layer_leads_to_no_other_directory(void **state)
{
	char options[2 * PATH_MAX + 64], target[PATH_MAX];

	(void)state;
	needs_mounts();
	make_dir(at("m"));
	make_layer("1", NULL);
	make_dir(of_name("1", "fs/secret"));
	make_file(of_name("1", "fs/secret/file"), "text");
	make_layer("2", "1");
	make_dir(of_name("2", "fs/open"));
	assert_int_equal(setxattr(of_name("2", "fs/open"),
				  "trusted.overlay.redirect", "/secret", 7, 0),
			 0);
	MUST(shale_view(store, "v", "2", NULL, &why));
	(void)snprintf(target, sizeof(target), "%s", at("m"));
	MUST(shale_mounts(store, "v", mount_here, target, &why));
	assert_true(is_there(at("m/secret/file")));
	assert_int_equal(access(at("m/open/file"), F_OK), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(umount(target), 0);
	/* It would, where a module is told to follow. */
	(void)snprintf(options, sizeof(options),
		       "lowerdir=%s:%s,redirect_dir=follow", of_name("2", "fs"),
		       of_name("1", "fs"));
	assert_int_equal(mount("overlay", target, "overlay", 0, options), 0);
	assert_true(is_there(at("m/open/file")));
	assert_int_equal(umount(target), 0);
}

/* ---- org.shale.volatile ---- */

static void a_volatile_active_says_so(void **state)
{
	(void)state;
	make_layer("1", NULL);
	MUST(prepare(store, "1", SHALE_LABEL_VOLATILE, "true"));
	check_rest(store, "volatile " DEFAULTS);
	reopen();
	check_rest(store, "volatile " DEFAULTS);
}

static void what_can_not_be_volatile_is_refused(void **state)
{
	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	REFUSED(EINVAL,
		"label '" SHALE_LABEL_VOLATILE "': this snapshot is mounted",
		prepare(store, NULL, SHALE_LABEL_VOLATILE, "true"));
	REFUSED(EINVAL, "label '" SHALE_LABEL_VOLATILE "': a view",
		view("2", SHALE_LABEL_VOLATILE, "true"));
	REFUSED(EINVAL, "label '" SHALE_LABEL_VOLATILE "': it is 'true'",
		prepare(store, "1", SHALE_LABEL_VOLATILE, "yes"));
}

static void configured_volatile_is_on_record_with_new_actives(void **state)
{
	struct shale_store *it;

	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	it = open_more(NULL, "mount_option", "volatile", NULL);
	MUST(shale_prepare(it, "k", "1", NULL, &why));
	MUST(shale_prepare(it, "alone", NULL, NULL, &why));
	MUST(shale_view(it, "v", "2", NULL, &why));
	check_labels(it, "k", SHALE_LABEL_VOLATILE "=true");
	check_labels(it, "alone", "");
	check_labels(it, "v", "");
	/* Whatever the configuration says later. */
	check_rest(store, "volatile " DEFAULTS);
	check_mount(it, "v", "overlay overlay lowerdir=%s:%s " DEFAULTS,
		    of_name("2", "fs"), of_name("1", "fs"));
}

/* ---- org.shale.selinux-context ---- */

#define CONTEXT "system_u:object_r:container_file_t:s0:c1,c2"

static void a_context_is_quoted(void **state)
{
	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	MUST(prepare(store, "1", SHALE_LABEL_SELINUX_CONTEXT, CONTEXT));
	check_rest(store, "context=\"" CONTEXT "\" " DEFAULTS);
	check_rest(open_more(NULL, "mount_option", "context=a:b:c", NULL),
		   "context=\"" CONTEXT "\" " DEFAULTS);
	MUST(view("2", SHALE_LABEL_SELINUX_CONTEXT, "a:b:c"));
	check_mount(
		store, "v",
		"overlay overlay lowerdir=%s:%s context=\"a:b:c\" " DEFAULTS,
		of_name("2", "fs"), of_name("1", "fs"));
}

static void what_is_no_context_is_refused(void **state)
{
	static const char *const bad[] = {
		"",	   "a",	      "a:b",	   "a:b:",
		":b:c",	   "a::c",    "a:b:c:",	   "a:b:c,d\"",
		"a:b:c d", "a:b:c\n", "a:b:c\\,d", "a:b:c=d",
	};
	char longer[300];

	(void)state;
	make_layer("1", NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		REFUSED(EINVAL, "label '" SHALE_LABEL_SELINUX_CONTEXT "': '",
			prepare(store, "1", SHALE_LABEL_SELINUX_CONTEXT,
				bad[i]));
	memset(longer, 'c', sizeof(longer));
	memcpy(longer, "a:b:c:", 6);
	longer[256] = '\0';
	REFUSED(EINVAL, "255 bytes",
		prepare(store, "1", SHALE_LABEL_SELINUX_CONTEXT, longer));
	longer[255] = '\0';
	MUST(prepare(store, "1", SHALE_LABEL_SELINUX_CONTEXT, longer));
}

static void a_bind_has_no_context(void **state)
{
	(void)state;
	make_layer("1", NULL);
	REFUSED(EINVAL, "label '" SHALE_LABEL_SELINUX_CONTEXT "': this",
		prepare(store, NULL, SHALE_LABEL_SELINUX_CONTEXT, CONTEXT));
	REFUSED(EINVAL, "label '" SHALE_LABEL_SELINUX_CONTEXT "': this",
		view("1", SHALE_LABEL_SELINUX_CONTEXT, CONTEXT));
}

/* ---- org.shale.mount-options ---- */

static void options_that_are_allowed_are_taken(void **state)
{
	struct shale_store *it = open_more(
		NULL, "allow_mount_option", "xino=off", "allow_mount_option",
		"index=on", "allow_mount_option", "nodev", "mount_option",
		"xino=on", "mount_option", "nosuid", NULL);

	(void)state;
	make_layer("1", NULL);
	MUST(prepare(it, "1", SHALE_LABEL_MOUNT_OPTIONS,
		     "xino=off,nodev,index=on"));
	check_rest(it, "nosuid xino=off nodev index=on redirect_dir=nofollow"
		       " metacopy=off");
	/* What was allowed once is kept. */
	check_rest(store, "xino=off nodev index=on redirect_dir=nofollow"
			  " metacopy=off");
}

static void a_bind_takes_flags_of_a_mount_alone(void **state)
{
	struct shale_store *it = open_more(NULL, "allow_mount_option", "nodev",
					   "allow_mount_option", "xino=off",
					   NULL);

	(void)state;
	REFUSED(EINVAL, "has no 'xino=off'",
		prepare(it, NULL, SHALE_LABEL_MOUNT_OPTIONS, "nodev,xino=off"));
	MUST(prepare(it, NULL, SHALE_LABEL_MOUNT_OPTIONS, "nodev"));
	check_mount(it, "k", "bind %s rw rbind nodev", of_key("k", "fs"));
}

static void options_that_are_not_allowed_are_named(void **state)
{
	static const struct {
		const char *asked, *part;
	} cases[] = {
		{ "xino=on", "add \"xino=on\" to allowed_mount_options" },
		{ "xino", "add \"xino\" to" },
		{ "nodev,suid", "'suid' is not allowed" },
		{ "", "empty" },
		{ ",nodev", "empty" },
		{ "nodev,", "empty" },
		{ "nodev,,nosuid", "empty" },
		{ "nodev,nodev", "twice" },
		{ "lowerdir=/etc", "'lowerdir=/etc' is never" },
		{ "upperdir=/etc", "never" },
		{ "workdir=/etc", "never" },
		{ "lowerdir+=/etc", "never" },
		{ "userxattr", "never" },
		{ "rw", "never" },
		{ "remount", "never" },
		{ "uidmap=0:0:1", "never" },
		{ "fscontext=a:b:c", "never" },
		{ "volatile", "'" SHALE_LABEL_VOLATILE "'" },
		{ "context=a:b:c", "'" SHALE_LABEL_SELINUX_CONTEXT "'" },
		{ "=", "never" },
	};
	struct shale_store *it = open_more(NULL, "allow_mount_option", "nodev",
					   "allow_mount_option", "nosuid",
					   NULL);

	(void)state;
	make_layer("1", NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		REFUSED(EINVAL, cases[i].part,
			prepare(it, "1", SHALE_LABEL_MOUNT_OPTIONS,
				cases[i].asked));
}

static int open_with(const char *key, const char *value)
{
	const char *const config[] = { "any_filesystem", "yes", key, value,
				       NULL };
	struct shale_store *it = NULL;
	int r = shale_store_open(at("store"), NULL, config, NULL, &it, &why);

	shale_store_close(it);
	return r;
}

static void what_can_not_be_allowed_is_refused_at_open(void **state)
{
	static const char *const never[] = {
		"lowerdir=/a", "upperdir=/a", "workdir=/a",  "lowerdir+=/a",
		"datadir+=/a", "userxattr",   "volatile",    "context=a:b:c",
		"ro",	       "remount",     "xino=off,ro", "",
		"shared",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		REFUSED(EINVAL, "allow_mount_option: bad value",
			open_with("allow_mount_option", never[i]));
	REFUSED(EINVAL, "mount_option: bad value 'upperdir=/a'",
		open_with("mount_option", "upperdir=/a"));
}

/* ---- once and for all ---- */

static void labels_that_decide_a_mount_are_fixed(void **state)
{
	static const char *const volatile_field[] = {
		"labels." SHALE_LABEL_VOLATILE, NULL
	};
	static const char *const options_field[] = {
		"labels." SHALE_LABEL_MOUNT_OPTIONS, NULL
	};
	static const char *const options[] = { SHALE_LABEL_MOUNT_OPTIONS,
					       "nodev", NULL };
	static const char *const other[] = { "a", "b", NULL };
	static const char *const both[] = { SHALE_LABEL_VOLATILE, "true", "a",
					    "b", NULL };

	(void)state;
	make_layer("1", NULL);
	MUST(prepare(store, "1", SHALE_LABEL_VOLATILE, "true"));
	REFUSED(EINVAL, "'" SHALE_LABEL_VOLATILE "' is fixed",
		shale_update(store, "k", NULL, volatile_field, &why));
	REFUSED(EINVAL, "'" SHALE_LABEL_MOUNT_OPTIONS "' is fixed",
		shale_update(store, "k", options, options_field, &why));
	REFUSED(EINVAL, "'" SHALE_LABEL_VOLATILE "' is fixed",
		shale_update(store, "k", other, NULL, &why));
	MUST(shale_update(store, "k", both, NULL, &why));
	check_labels(store, "k", "a=b," SHALE_LABEL_VOLATILE "=true");
	/* A committed one is never mounted itself. */
	MUST(shale_update(store, "1", options, options_field, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(a_default_gives_way_to_what_is_configured),
		TEST_IN_STORE(what_userxattr_excludes_is_told),
		TEST_IN_DIR(an_option_that_the_kernel_lacks_is_left_out),
		TEST_IN_STORE(a_layer_leads_to_no_other_directory),
		TEST_IN_STORE(a_volatile_active_says_so),
		TEST_IN_STORE(what_can_not_be_volatile_is_refused),
		TEST_IN_STORE(
			configured_volatile_is_on_record_with_new_actives),
		TEST_IN_STORE(a_context_is_quoted),
		TEST_IN_STORE(what_is_no_context_is_refused),
		TEST_IN_STORE(a_bind_has_no_context),
		TEST_IN_STORE(options_that_are_allowed_are_taken),
		TEST_IN_STORE(a_bind_takes_flags_of_a_mount_alone),
		TEST_IN_STORE(options_that_are_not_allowed_are_named),
		TEST_IN_STORE(what_can_not_be_allowed_is_refused_at_open),
		TEST_IN_STORE(labels_that_decide_a_mount_are_fixed),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
