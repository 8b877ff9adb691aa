#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shale plugin test: each of our own snapshotters passes, and each defect of
# tests/plugins/defective.c is found by the test that is about it.
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
needs jq

# Where this is run by hand.
: "${srcdir:=.}" "${builddir:=.}" "${CC:=cc}"
: "${includedir:=/usr/local/include}"
: "${libdir:=/usr/local/lib}" "${plugindir:=$libdir/shale}"

# `run` leaves these.
: "${out:=}" "${err:=}" "${status:=0}"

plugins=$STAGE$plugindir
mkdir "$T/dir"

# tested SENTENCE SNAPSHOTTER [ARG...]: all tests pass
tested()
{
	local sentence=$1
	shift
	run "$shale" plugin test "$@"
	[ "$status" -eq 0 ] && [ -z "$err" ] &&
		[ "$(grep -c '^ok ' <<<"$out")" -ge 100 ] &&
		! grep -q '^not ok\|^Bail out' <<<"$out"
	result $? "$sentence" "exit $status
$(grep -A 1 '^not ok\|^Bail out' <<<"$out")
$err"
}

# ---- ours ----

tested "the built-in overlay passes" overlay --dir "$T/dir"
is "$(find "$T/dir" -mindepth 1)" "" "and nothing is left behind"
if [ "$(id -u)" -eq 0 ]; then
	is "$(grep -c SKIP <<<"$out")" 0 "as root it skips nothing"
	mkdir "$T/tmpfs" && mount -t tmpfs none "$T/tmpfs"
	tested "overlay.so passes on tmpfs" "$plugins/overlay.so" \
		--dir "$T/tmpfs"
	fast=$T/tmpfs
	tested "native.so passes on tmpfs" "$plugins/native.so" --dir "$fast"
else
	like "$out" 'SKIP needs root, to mount' "what needs root is skipped"
	fast=$T/dir
fi

# ---- file systems ----

if [ "$(id -u)" -eq 0 ]; then
	for fs in xfs btrfs; do
		on_loop "$fs" 320M
		tested "overlay passes on $fs" overlay --dir "$T/$fs"
		tested "native.so passes on $fs" "$plugins/native.so" \
			--dir "$T/$fs"
		umount "$T/$fs"
		rm "$T/$fs.img"
	done

	# Where overlay can't be.
	mkdir "$T/over" "$T/lower" "$fast/upper" "$fast/work"
	mount -t overlay overlay "$T/over" -o \
		"lowerdir=$T/lower,upperdir=$fast/upper,workdir=$fast/work"
	tested "native.so passes on overlayfs" "$plugins/native.so" \
		--dir "$T/over"
	run "$shale" plugin test overlay --dir "$T/over"
	like "$out" "is on overlayfs.*Bail out" "where overlay can't be"
	umount "$T/over"
	rm -r "$fast/upper" "$fast/work"
else
	skip "needs root" 6
fi

# What a file system lacks is found out by trying.
if [ "$(id -u)" -eq 0 ] && type -P strace >/dev/null; then
	lacks()
	{
		mkdir "$T/lacks"
		run env ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null \
			-e inject="$1" "$shale" --root "$T/lacks" \
			--snapshotter "$plugins/native.so" prepare key
		refused "native names what is missing: $1" "$2"
		is "$(find "$T/lacks" -type l)" "" "and makes no store"
		rm -r "$T/lacks"
	}
	lacks symlinkat:error=EPERM 'has no symbolic links of 1023 bytes'
	lacks renameat2:error=EINVAL "can't rename without replacing"
	lacks flock:error=EBADF "can't lock a directory by flock"
else
	skip "needs strace" 6
fi

# ---- defects ----

# Not where others may write: the loader refuses that.
cp "$builddir/tests/plugins/defective.so" "$T/defective.so"
chmod 755 "$T/defective.so"
tested "without a defect the wrapper passes" "$T/defective.so" --dir "$fast"

# finds DEFECT TEST [ARG...]: the test fails on it, and says why
finds()
{
	run env SHALE_DEFECT="$1" "$shale" plugin test "$T/defective.so" \
		"${@:2}" --dir "$fast"
	[ "$status" -eq 1 ] && [[ $out == *"not ok 1 - $2"$'\n# '?* ]]
	result $? "$2 finds: $1" "exit $status
$out
$err"
}

finds commit_keeps_the_key commit_makes_a_committed_one_of_the_key
finds commit_inherits_labels commit_inherits_no_label_of_the_key
finds commit_takes_a_view commit_refuses_a_view
finds commit_ignores_the_new_parent commit_gives_a_parent_to_one_without
finds keep_takes_the_key keep_commits_a_copy_and_leaves_the_key
finds delete_ignores_children delete_refuses_one_with_an_active_child
finds remove_deletes_layers remove_refuses_a_committed_one
finds remove_forgives remove_refuses_an_absent_key
finds mounts_gives_two an_active_is_mounted_read_write
finds a_view_is_writable a_view_is_mounted_read_only
finds parent_is_the_name parent_tells_the_parent_of_each_kind
finds everything_exists exists_denies_what_is_not_there
finds exists_returns_1 prepare_makes_an_active
finds walk_forgets_one walk_tells_each_committed_one_once
finds walk_does_not_stop a_callback_stops_walk_and_active
finds active_tells_all active_tells_each_key_once
finds update_ignores_fields update_of_a_field_leaves_the_others
finds usage_overruns usage_fills_no_more_than_it_was_given
finds prepare_ignores_options an_option_from_the_future_is_refused
finds prepare_ignores_options an_unknown_flag_is_refused
finds prepare_takes_any_parent prepare_refuses_a_parent_that_is_not_committed
finds a_failed_prepare_leaves_a_key refusals_leave_the_store_as_it_was
finds prepare_prints nothing_is_printed
finds prepare_changes_the_umask the_process_is_left_as_it_was
finds prepare_leaks close_gives_back_each_descriptor
finds prepare_crashes prepare_makes_an_active
finds prepare_hangs prepare_makes_an_active --timeout 1
finds stat_says_nothing each_refusal_has_a_number_and_a_sentence
finds stat_replaces_the_error the_first_failure_is_kept
finds open_ignores_settings open_refuses_an_unknown_setting
if [ "$(id -u)" -eq 0 ]; then
	finds a_view_is_writable a_view_can_not_be_written_to
	finds layers_are_upside_down of_20_layers_the_topmost_wins
	finds usage_counts_links usage_counts_a_hard_link_once
else
	skip "needs root" 3
fi
is "$(find "$fast" -mindepth 1)" "" "failures leave nothing behind"

# Each defect of the file is looked for above.
is "$(grep -o '^	DEFECT([a-z_0-9]*' "$here/../plugins/defective.c" |
	cut -d '(' -f 2 | sort)" \
	"$(grep -o '^	*finds [a-z_0-9]*' "$0" | awk '{ print $2 }' | sort -u)" \
	"each defect has a test that finds it"

# ---- the example of the manual ----

# The page says of it: five tests fail, all about names.
awk '/^#define _GNU_SOURCE/ { p = 1 } p && /^\.Ed/ { exit } p' \
	"$srcdir/man/shale-plugin.3" | sed 's/\\e/\\/g' >"$T/plain.c"
# shellcheck disable=SC2086
ok "the example of shale-plugin(3) compiles without a warning" \
	$CC ${SAN_CFLAGS:-} -Wall -Wextra -Werror -I"$STAGE$includedir" \
	-fPIC -shared -o "$T/plain.so" "$T/plain.c"
chmod 755 "$T/plain.so"
run "$shale" plugin test "$T/plain.so" --dir "$fast"
is "$(sed -n 's/^not ok [0-9]* - //p' <<<"$out")" \
	"names_of_1_and_of_1023_bytes_are_taken
a_name_may_hold_any_byte_but_nul
a_name_is_not_a_path
names_that_differ_in_one_byte_are_two
a_sentence_about_a_long_name_ends_in_time" \
	"it fails in the tests that the page names"

# ---- how it is told ----

run env SHALE_DEFECT=prepare_prints "$shale" plugin test "$T/defective.so" \
	prepare_makes_an_active exists_denies_what_is_not_there --dir "$fast"
is "$out" "1..2
ok 1 - prepare_makes_an_active
ok 2 - exists_denies_what_is_not_there
# 2 passed, 0 failed, 0 skipped" "what a plugin prints is no result"

run env SHALE_DEFECT=remove_forgives "$shale" --json plugin test \
	"$T/defective.so" remove_refuses_an_absent_key close_accepts_null \
	--dir "$fast"
is "$status" 1 "a failure is exit status 1, with --json too"
is "$(jq -c '[(.cases[] | .name, .result, (.reason | type)),
	.passed, .failed, .skipped]' <<<"$out")" \
	'["remove_refuses_an_absent_key","failed","string","close_accepts_null","passed","null",1,1,0]' \
	"JSON has each test with its result and reason, and the sums"

refuses "an unknown test is wrong usage" "'nonsense' is no test" \
	"$shale" plugin test overlay nonsense
is "$status" 2 "with exit status 2"
run "$shale" plugin test "$T/absent.so" --dir "$fast"
is "$status" 1 "what can't be loaded fails"
like "$out" 'No such file.*Bail out! no store can be opened$' \
	"says why, and stops there"
refuses "an absent directory is named" "find '$T/absent'" \
	"$shale" plugin test overlay --dir "$T/absent"

# ---- interrupted ----

"$shale" plugin test overlay --dir "$fast" >"$T/long.out" 2>&1 &
pid=$!
for ((i = 0; i < 1000; i++)); do
	grep -q '^ok 3 ' "$T/long.out" && break
	sleep 0.01
done
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
is "$status" 1 "SIGTERM ends it with a failure"
is "$(find "$fast" -mindepth 1)" "" "and it still cleans up"

done_testing
