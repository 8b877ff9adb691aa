#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shale-runtime before runc, crun and a runtime that pivots by descriptor: the
# same bundle has the same root with each, and nothing of it is left.
# shellcheck disable=SC2016,SC2317
# shellcheck source-path=SCRIPTDIR source=runtime-lib.sh disable=SC1091
. "$(dirname "$0")/runtime-lib.sh"
needs runc crun jq busybox

# `run` leaves these.
: "${out:=}" "${err:=}" "${status:=0}"

# whole_life NAME RUNTIME ENGINE: by `run`
whole_life()
{
	local before
	label="$1 $3"
	before=$(listing "$S/snapshots")
	export SHALE_MOUNT_ENGINE=$3
	probed "$2" "life-$1-$3" 'parent("two")'
	unset SHALE_MOUNT_ENGINE
	is "$(root_mounts)" 'overlay rw' "$label: / is the overlay alone"
	sees_layers
	is "$(said root)" writable "$label: the root is writable"
	is "$(listing "$S/snapshots")" "$before" "$label: layers untouched"
	is "$(find "$B/rootfs" -mindepth 1)" '' \
		"$label: the bundle's directory stays empty"
	nothing_left "$label: nothing is left"
}

# read_only NAME RUNTIME
read_only()
{
	label="$1 read-only"
	probed "$2" "ro-$1" 'parent("two") | .root.readonly = true'
	is "$(root_mounts)" 'overlay ro' "$label: / is a read-only overlay"
	is "$(said root)" readonly "$label: no write to the root"
	nothing_left "$label: nothing is left"
	label="$1 view"
	for parent in two base; do
		probed "$2" "view-$1-$parent" \
			'parent("'$parent'") | annotate("kind"; "view")'
		is "$(said root)" readonly "$label of $parent: no write"
		nothing_left "$label of $parent: nothing is left"
	done
}

# stepwise_below NAME RUNTIME: create, start, exec, kill, delete
stepwise_below()
{
	local key
	label="$1 steps"
	bundle "steps-$1" 'trap "exit 0" TERM
		echo started >/written; rm /kept
		while :; do sleep 0.1; done' 'parent("two")'
	ok "$label: create" "$2" create --bundle "$B" "steps-$1"
	is "$(on_target)" overlay "$label: an overlay is on the rootfs"
	is "$(records | wc -l)" 1 "$label: one record"
	key=$(active_keys)
	refuses "$label: the key can't be removed" 'uses it|in use|mounted' \
		on_store remove "$key"
	run "$2" create --bundle "$B" "steps-$1"
	refused "$label: a second create fails" .
	is "$(on_target)" overlay "$label: and the first one's root stays"
	ok "$label: start" "$2" start "steps-$1"
	ok "$label: it writes" poll test -s "$B/rootfs/written"
	run "$2" exec "steps-$1" /bin/cat /added /written
	is "$status $out" $'0 second\nstarted' "$label: exec sees the root"
	run "$2" exec "steps-$1" /bin/sh -c 'exit 9'
	is "$status" 9 "$label: exec's exit code"
	run "$2" delete "steps-$1"
	refused "$label: delete of what runs fails" .
	is "$(on_target)" overlay "$label: and leaves the root"
	is "$(find "$S/active" -name written | wc -l)" 1 \
		"$label: what it wrote is in its layer"
	ok "$label: kill" "$2" kill "steps-$1" TERM
	ok "$label: it stops" wait_for stopped "$2" "steps-$1"
	is "$(on_target)" overlay "$label: the root outlives it"
	ok "$label: delete" "$2" delete "steps-$1"
	nothing_left "$label: nothing is left"
	run "$2" delete --force "steps-$1"
	nothing_left "$label: delete once more changes nothing"
}

# endings NAME RUNTIME: exit codes, signals, detached runs, failing ones
endings()
{
	label="$1"
	bundle "code-$1" 'exit 42' 'parent("two")'
	run "$2" run --bundle "$B" "code-$1"
	is "$status" 42 "$label: run's exit code"
	bundle "detached-$1" 'sleep 100' 'parent("two")'
	ok "$label: run --detach" "$2" run --detach --bundle "$B" "detached-$1"
	is "$(on_target)$(records | wc -l)" overlay1 "$label: and it stays"
	ok "$label: delete --force" "$2" delete --force "detached-$1"
	nothing_left "$label: nothing is left of it"
	bundle "nothing-$1" x 'parent("two") | .process.args = ["/not/there"]'
	for verb in create run 'run -d'; do
		# shellcheck disable=SC2086
		run "$2" $verb --bundle "$B" "nothing-$1"
		refused "$label: $verb of a missing command fails" not/there
		nothing_left "$label: $verb: nothing is left of it"
	done
	bundle "never-$1" x 'parent("two")
		| annotate("onstop"; "commit=never-'"$1"'")
		| .process.args = ["/not/there"]'
	for verb in create 'run -d'; do
		# shellcheck disable=SC2086
		run "$2" $verb --bundle "$B" "never-$1"
		ok "$label: $verb that fails commits nothing" has_not "never-$1"
		nothing_left "$label: $verb: nothing is left of that"
	done
	bundle "cwd-$1" 'pwd' 'parent("two") | .process.cwd = "/added"'
	run "$2" create --bundle "$B" "cwd-$1"
	refused "$label: create with a bad workdir fails" .
	nothing_left "$label: nothing is left of that"
}

# bundle_goes NAME RUNTIME: delete needs no bundle
bundle_goes()
{
	bundle "goes-$1" 'sleep 100' 'parent("two")'
	run "$2" create --bundle "$B" "goes-$1"
	rm "$B/config.json"
	ok "$1: delete without the bundle's config.json" \
		"$2" delete --force "goes-$1"
	nothing_left "$1: nothing is left of it"
}

# two_roots NAME: one id below two roots at once
two_roots()
{
	local root
	bundle "one-$1" 'echo one >/mine; sleep 100' 'parent("two") | key("1")'
	B1=$B
	bundle "two-$1" 'echo two >/mine; sleep 100' 'parent("two") | key("2")'
	for root in one two; do
		ok "$1: the same id below --root $root" \
			limited "$shale_runtime" --shale-runtime-path "$1" \
			--shale-root "$S" --root "$T/roots.$1/$root" \
			run --detach --bundle "$T/bundle.$root-$1" same
	done
	is "$(records | wc -l)" 2 "$1: two records"
	run limited "$shale_runtime" --shale-runtime-path "$1" \
		--root="$T/roots.$1/../roots.$1/one" delete --force same
	is "$status $(active_keys) $(records | wc -l)" '0 2 1' \
		"$1: delete of one, by another name of its root"
	is "$(on_target)" overlay "$1: the other one stays"
	(cd "$T/roots.$1" && run limited "$shale_runtime" --root two \
		--shale-runtime-path "$1" delete --force same)
	nothing_left "$1: nothing is left of two"
	: "$B1"
}

# owners_below NAME RUNTIME: keep, commit, another's key
owners_below()
{
	local n script='cat /count 2>/dev/null; echo again >>/count'
	for n in '' again; do
		bundle "keep-$1" "$script" \
			'parent("two") | annotate("onstop"; "keep")'
		run "$2" run --bundle "$B" "keep-$1"
		is "$status$out" "0$n" "$1: keep: start, and ${n:-nothing} read"
		is "$(records)$(mounts_below "$T")" '' \
			"$1: keep: the key alone stays"
	done
	bundle "thief-$1" 'cat /count' \
		'parent("two") | key("keep-'"$1"'")'
	run "$2" run --bundle "$B" "thief-$1"
	refused "$1: another's key is refused" 'not of this container'
	is "$(active_keys)$(records)" "keep-$1" "$1: and stays"
	on_store remove "keep-$1" >/dev/null
	bundle "commit-$1" "$script" \
		'parent("two") | annotate("onstop"; "commit=done-'"$1"'")'
	run "$2" run --bundle "$B" "commit-$1"
	ok "$1: commit: its layer is committed" has "done-$1"
	nothing_left "$1: commit: nothing else is left"
	run "$2" run --bundle "$B" "commit-$1"
	like "$err" "'done-$1' is taken" "$1: commit: a name that is taken"
	is "$(records)$(mounts_below "$T")|$(active_keys)" "|commit-$1" \
		"$1: commit: leaves the key, and no record of it"
	on_store remove "commit-$1" >/dev/null
}

# disk_below NAME RUNTIME: who waits for the disk
disk_below()
{
	local onstop want
	while read -r onstop want; do
		bundle "disk-$1" "$tells_volatile" \
			'parent("two") | annotate("onstop"; "'"$onstop"'")'
		run "$2" run --bundle "$B" "disk-$1"
		is "$status $out" "0 $want" "$1: onstop $onstop is $want"
		run on_store remove "disk-$1"
		run on_store delete "disked-$1"
	done <<-END
	remove volatile
	keep synced
	commit=disked-$1 synced
	END
	bundle "disk-$1" "$tells_volatile" 'parent("two")'
	run "$2" --shale-config "$T/synced.json" run --bundle "$B" "disk-$1"
	is "$status $out" '0 synced' "$1: volatile false: remove is synced"
	nothing_left "$1: nothing is left of those"
}

# flocked FILE COMMAND...: while somebody has its lock
flocked()
{
	local status
	exec 9<"$1" && flock 9 || return
	shift
	"$@" 9<&-
	status=$?
	exec 9<&-
	return "$status"
}

# refusals_below NAME RUNTIME: before anything is changed
refusals_below()
{
	bundle "full-$1" 'echo ran' 'parent("two")'
	echo file >"$B/rootfs/file"
	refuses "$1: a root that is not empty is refused" "'file'" \
		"$2" run --bundle "$B" "full-$1"
	rm "$B/rootfs/file"
	refuses "$1: a root that another call is about to mount on" \
		"another call mounts on the root '$B/rootfs'" \
		flocked "$B/rootfs" "$2" run --bundle "$B" "full-$1"
	mount -t tmpfs none "$B/rootfs"
	refuses "$1: a root that is a mount point is refused" 'mount point' \
		"$2" run --bundle "$B" "full-$1"
	umount "$B/rootfs"
	mkdir "$T/fifo.$1"
	mkfifo "$T/fifo.$1/config.json"
	refuses "$1: a root that another record has is refused" \
		'another container' target_on_record "$1" "$2"
	bundle "mapped-$1" 'echo ran' 'parent("two")
		| .linux.namespaces += [{type: "user", path: "/proc/1/ns/user"}]'
	refuses "$1: a mapping that nobody tells is refused" 'not tell the mapping' \
		"$2" run --bundle "$B" "mapped-$1"
	bundle "typo-$1" 'echo ran' 'parent("two") | annotate("prent"; "x")'
	refuses "$1: an unknown annotation is refused" prent \
		"$2" run --bundle "$B" "typo-$1"
	bundle "none-$1" 'echo ran' 'parent("nowhere")'
	refuses "$1: an unknown parent is refused" nowhere \
		"$2" run --bundle "$B" "none-$1"
	is "$out" '' "$1: nothing ran"
	nothing_left "$1: nothing is left of refusals"
}

target_on_record()
{
	local code
	mkdir -p "/run/shale/runtime/other@0/"
	ln -s "$B/rootfs" "/run/shale/runtime/other@0/target"
	"$2" run --bundle "$B" "full-$1"
	code=$?
	rm -r "/run/shale/runtime/other@0"
	return "$code"
}

store store
echo '{"volatile": false, "policy": [{"user": 0, "parents": [""]}]}' \
	>"$T/synced.json"
for name in runc crun fdpivot; do
	plain "$name" "plain-$name" .
	whole_life "$name" "${name}_below" fsmount
	[ "$name" = fdpivot ] || mounts_and_masks_hold
done
whole_life fdpivot fdpivot_below libmount
for name in runc crun; do
	read_only "$name" "${name}_below"
	stepwise_below "$name" "${name}_below"
	endings "$name" "${name}_below"
	bundle_goes "$name" "${name}_below"
	disk_below "$name" "${name}_below"
	two_roots "$name"
	owners_below "$name" "${name}_below"
done
refusals_below runc runc_below

# ---- the words of a line ----
bundle words 'cat /added' 'parent("two")'
while IFS='|' read -r name words; do
	words=${words//ROOT/$T/words}
	words=${words//BUNDLE/$B}
	words=${words//STORE/$S}
	# shellcheck disable=SC2086
	run limited "$shale_runtime" --shale-runtime-path "$name" $words
	is "$status$out" 0second "$name $words"
	nothing_left "$name: and nothing is left"
done <<'END'
runc|--root ROOT --shale-root STORE run -b BUNDLE w
runc|-root ROOT --shale-root=STORE run -bundle BUNDLE w
runc|--shale-root STORE -root=ROOT run --bundle=BUNDLE w
runc|--shale-root STORE --root ROOT -debug=false run w --bundle BUNDLE
runc|--shale-root STORE --root ROOT -- run --bundle BUNDLE w
crun|--roo ROOT --shale-root STORE run -b BUNDLE w
crun|--shale-root STORE --roo=ROOT run -bBUNDLE w
crun|--shale-root STORE --root ROOT run --bund BUNDLE w
crun|--shale-root STORE --root ROOT run --bun=BUNDLE -- w
crun|--shale-root STORE --root ROOT run -b BUNDLE --config config.json w
crun|--shale-root STORE --root ROOT run -b BUNDLE -f BUNDLE/config.json w
runc|--shale-root STORE --root ROOT run --detach=false --bundle BUNDLE w
END
(cd "$B" && runc_below run here) >"$T/here"
is "$(cat "$T/here")" second 'the bundle is the working directory'
jq '.annotations |= with_entries(.key |= sub("org"; "\u00e9"))' \
	"$B/config.json" >"$B/new"
sed 's/é/\\u006frg/' "$B/new" >"$B/config.json"
rm "$B/new"
run runc_below run --bundle "$B" escaped
is "$status$out" 0second 'an annotation written with escapes is seen'

# ---- what is named by another name ----
# A root that the runtime has yet to make, in whatever spelling.
bundle spelt 'sleep 100' 'parent("two")'
for root in to-be/ ./to-be2//x/. to-be3/../to-be3/x; do
	run limited "$shale_runtime" --shale-runtime-path runc \
		--shale-root "$S" --root "$T/$root" create --bundle "$B" spelt
	is "$status$(records | wc -l)" 01 "--root $root: create"
	run limited "$shale_runtime" --shale-runtime-path runc \
		--root "$(realpath "$T/$root")" delete --force spelt
	nothing_left "--root $root: delete by its real path leaves nothing"
done
bundle link 'cat /added' 'parent("two")'
mv "$B/config.json" "$T/elsewhere.json"
ln -s "$T/elsewhere.json" "$B/config.json"
ln -s "$B" "$T/link"
for name in runc crun; do
	run "${name}_below" run --bundle "$T/link/" link
	is "$status$out" 0second "$name: the bundle and config.json may be links"
	nothing_left "$name: and nothing is left"
done
rm "$B/config.json"
jq '.annotations["org.shale.parent"] = "base"
	| .process.args = ["/bin/cat", "/changed"]' "$T/elsewhere.json" \
	>"$B/other.json"
cp "$T/elsewhere.json" "$T/other.json"
(cd "$T" && crun_below run --bundle "$B" --config other.json link) >"$T/cwd"
is "$(cat "$T/cwd")" second \
	'crun --config: another name is from the working directory'
cp "$T/elsewhere.json" "$B/config.json"
(cd "$T" && mv other.json config.json &&
	jq '.annotations = {}' <config.json >new && mv new config.json &&
	crun_below run --bundle "$B" --config config.json link) >"$T/cwd"
is "$(cat "$T/cwd")" second 'crun --config config.json: that is the bundle'"'"'s'
for id in .a "$(printf '%0239d' 0)"; do
	refuses "a container that could have no record is refused: ${id:0:2}" \
		"can't be the name of a record" runc_below run --bundle "$B" "$id"
done
mv "$B/rootfs" "$B/real" && ln -s real "$B/rootfs"
refuses 'a link as root is refused' 'a link to one: name the directory' \
	runc_below run --bundle "$B" link
nothing_left 'names: nothing is left'
bundle words 'echo ran' '.process.env += ["X=org.shale.parent"]'
(cd "$B/rootfs" && fill_base)
run runc_below run --bundle "$B" words
is "$status$out" 0ran 'elsewhere in the file it means nothing'

# ---- rules ----
bundle ruled 'cat /added' 'parent("two")'
jq -n --arg root "$S" --arg runc "$T/runc" '{$root, runtime: "runc", policy:
	[{runtime_root: $runc, parents: ["two"]}]}' >"$T/shale.json"
run limited "$shale_runtime" --shale-config "$T/shale.json" \
	--root "$T/runc" run --bundle "$B" ruled
is "$status$out" 0second 'a rule allows it'
run limited "$shale_runtime" --shale-config "$T/shale.json" \
	--log "$T/log" --log-format json --root "$T/other" \
	run --bundle "$B" ruled
refused 'and not below another --root' 'no rule allows.*shale\.json'
like "$(jq -r .msg "$T/log")" 'no rule allows' 'the engine is told in its log'
run limited "$shale_runtime" --shale-config "$T/shale.json" \
	--log "$T/log.text" --root "$T/other" run --bundle "$B" ruled
like "$(cat "$T/log.text")" ' msg="no rule allows.*\{\\"runtime_root\\": ' \
	'with its quotes quoted where the log is text'
nothing_left 'rules: nothing is left'

# ---- left behind ----
bundle behind 'sleep 100' 'parent("two")'
ok 'behind: create' runc_below create --bundle "$B" behind
ok 'behind: cleanup' on_store cleanup
is "$(on_target)$(records | wc -l)" overlay1 \
	'behind: cleanup leaves a container that is there'
run runc delete --force behind
is "$(on_target)" overlay 'behind: the real runtime leaves the mount'
run "$shale" --root "$T/store.other" prepare key
run "$shale" --root "$T/store.other" cleanup
is "$status$(on_target)$(records | wc -l)" 0overlay1 \
	'behind: the cleanup of another store leaves it'
ok 'behind: the next create takes its place' \
	runc_below create --bundle "$B" behind
is "$(on_target)" overlay 'behind: with one mount'
run unshare --mount --propagation private "$shale_runtime" \
	--shale-runtime-path runc --shale-root "$S" --root "$T/runc" \
	delete --force behind
is "$status" 0 'behind: delete in another mount namespace'
like "$err" 'not on .* in this mount namespace' 'behind: says what it left'
is "$(on_target)$(records | wc -l)" overlay1 'behind: and leaves it'
run runc_below delete --force behind
nothing_left 'behind: delete in its own cleans up'
ok 'boot: create' runc_below create --bundle "$B" behind
run runc delete --force behind
umount "$B/rootfs"
mkdir "$T/runc/behind" # as it would be on a disk
ln -sfn 00000000-0000-0000-0000-000000000000 \
	"/run/shale/runtime/$(records)/boot"
run on_store cleanup
nothing_left 'boot: what is of another boot is removed'
rmdir "$T/runc/behind"

# ---- at once ----
at_once runc_below runtime
nothing_left 'at once: nothing is left'
bundle long 'sleep 100' 'parent("two")'
runc_below run --bundle "$B" long </dev/null &
pid=$!
ok 'long: it runs' wait_for running runc_below long
ok 'long: delete --force under its run' runc_below delete --force long
wait $pid
is "$?" 137 'long: the run ends as the container did'
nothing_left 'long: nothing is left'

# ---- many with a pattern ----
for n in 1 2; do
	bundle "many-$n" 'sleep 100' 'parent("two")'
	run crun_below run -d -b "$B" "many-$n"
done
is "$(records | wc -l)" 2 'two containers'
run crun_below delete -f --regex 'many-.*'
[ "$status" -eq 0 ] || crun_below delete --force many-1
nothing_left 'delete --regex: nothing is left of both'

# ---- a runtime that is killed when it has made the container ----
cat >"$T/runc-killed" <<END
#!/bin/bash
"$(real runc)" "\$@" || exit
case " \$* " in
*' create '*) kill -KILL \$\$ ;;
esac
END
chmod 755 "$T/runc-killed"
bundle late 'echo x >new && cat new kept >/out' 'parent("two")
	| bind("/out"; $T + "/late.out")'
: >"$T/late.out"
killed_below() # VERB ARGS...
{
	limited "$shale_runtime" --shale-runtime-path "$T/runc-killed" \
		--shale-root "$S" --root "$T/runc" "$@"
}
run killed_below create --bundle "$B" late
is "$status" 137 'late: create was killed'
is "$(active_keys)$(on_target)" lateoverlay 'late: its root stays'
ok 'late: it starts' killed_below start late
poll test -s "$T/late.out"
is "$(tr '\n' ' ' <"$T/late.out")" 'x base ' 'late: and has its root'
ok 'late: delete' killed_below delete --force late
nothing_left 'late: nothing is left'

# ---- a runtime that is no program ----
: >"$T/runc-text"
bundle text x 'parent("two")'
for verb in list "create --bundle $B text"; do
	# shellcheck disable=SC2086
	run "$shale_runtime" --shale-runtime-path "$T/runc-text" \
		--shale-root "$S" --root "$T/runc" $verb
	is "$status" 1 "not executable: ${verb%% *}: our own exit status"
	like "$err" 'run the runtime .*runc-text.*denied' 'and it is said'
done
nothing_left 'not executable: nothing is left'

# ---- signals to us are signals to the runtime ----
cat >"$T/traps" <<'END'
#!/bin/bash
case " $* " in
*' run '* | *' create '*)
	for s in HUP INT TERM USR1 USR2 WINCH CONT; do
		# shellcheck disable=SC2064
		trap "echo $s >>'$0.log'" "$s"
	done
	trap 'echo end >>"$0.log"; exit 5' QUIT
	echo $$ >"$0.pid"
	while :; do sleep 0.01; done ;;
*) exit 1 ;;
esac
END
chmod 755 "$T/traps"
bundle traps x 'parent("two")'
# Job control and env, or INT and QUIT are ignored in what the shell starts in
# the background, or in all that it starts where it was started so itself.
set -m
env --default-signal=INT,QUIT "$shale_runtime" --shale-runtime-path "$T/traps" --shale-root "$S" \
	run --bundle "$B" traps </dev/null &
pid=$!
set +m
ok 'the runtime runs' poll test -s "$T/traps.pid"
is "$(on_target)" overlay 'on a mounted root'
for s in HUP INT TERM USR1 USR2 WINCH CONT; do
	kill -$s $pid
	poll grep -qs "^$s\$" "$T/traps.log"
	result $? "SIG$s is passed on"
done
child=$(cat "$T/traps.pid")
kill -STOP "$child"
sleep 0.3
kill -CONT "$child"
kill -QUIT $pid
ended() { ! kill -0 "$1" 2>/dev/null; }
poll ended "$pid" || kill -KILL "$pid"
wait $pid
is "$?" 5 'and it ends with the exit code of the runtime, stopped between'
nothing_left 'and leaves nothing'
rm "$T/traps.pid" "$T/traps.log"
cat >"$T/leader" <<END
exec env --default-signal=INT,QUIT "$shale_runtime" \
	--shale-runtime-path "$T/traps" --shale-root "$S" \
	run --bundle "$B" traps
END
script -qec "sh '$T/leader'" /dev/null </dev/null >/dev/null 2>&1 &
pid=$!
ok 'as the leader of a session it runs' poll test -s "$T/traps.pid"
child=$(cat "$T/traps.pid")
leader=$(ps -o ppid= -p "$child")
kill -KILL $pid
wait $pid 2>/dev/null
ok 'and passes on that the terminal hung up' \
	poll grep -qs '^HUP$' "$T/traps.log"
kill -QUIT "$child"
ok 'and ends with the runtime' poll ended "$leader"
nothing_left 'and leaves nothing after that'
rm "$T/traps.pid"
"$shale_runtime" --shale-runtime-path "$T/traps" --shale-root "$S" \
	create --bundle "$B" traps &
pid=$!
poll test -s "$T/traps.pid"
child=$(cat "$T/traps.pid")
kill -KILL $pid
wait $pid 2>/dev/null
ok 'killed, it takes the runtime with it' poll ended "$child"
is "$(on_target)$(records | wc -l)" overlay1 'and leaves its record'
run "$shale_runtime" --shale-runtime-path "$T/traps" --shale-root "$S" \
	delete traps
nothing_left 'delete of the absent container cleans up'
cat >"$T/traps" <<'END'
#!/bin/bash
case " $* " in
*' create '*) ;;
*) exit 1 ;;
esac
exec 2>&1
grep -E '^Sig(Blk|Ign)' /proc/self/status
for fd in /proc/$$/fd/*; do
	fd=${fd##*/}
	[ "$fd" = 255 ] ||
		echo "fd $fd $(readlink "/proc/$$/fd/$fd" | tr -d 0-9)"
done
[ "${LISTEN_PID:-}" != $$ ] || echo "sockets are ours"
pwd
END
as_process='trap "" USR2 PIPE CHLD
	exec 7<"$0" 9>/dev/null
	export LISTEN_PID=$$ LISTEN_FDS=1
	cd /usr && exec "$@"'
run bash -c "$as_process" "$T/traps" "$T/traps" create
want=$out
run bash -c "$as_process" "$T/traps" "$shale_runtime" \
	--shale-runtime-path "$T/traps" --shale-root "$S" \
	create --bundle "$B" traps
is "$status $out" "0 $want" \
	'signals, descriptors, sockets and directory are the caller'"'"'s'
like "$out" 'fd 7 .*fd 9.*sockets are ours.*/usr' 'and they were looked at'
run "$shale_runtime" --shale-runtime-path "$T/traps" --shale-root "$S" \
	delete traps
nothing_left 'and nothing is left'
run "$shale_runtime" --shale-runtime-path "$T/traps" --shale-root "$S" \
	create --bundle "$B" traps
is "$(on_target)" overlay 'one more, which is not deleted'
run bash -c 'trap "" CHLD; exec "$@"' sh "$shale" --root "$S" cleanup
nothing_left 'cleanup asks the runtime, also where SIGCHLD is ignored'
printf '#!/bin/sh\ncase " $* " in *" create "*) kill -SEGV $$ ;; esac; exit 1\n' \
	>"$T/traps"
run "$shale_runtime" --shale-runtime-path "$T/traps" --shale-root "$S" \
	create --bundle "$B" traps
is "$status" 139 'it ends by the signal that ended the runtime'
nothing_left 'and leaves nothing'
# Whether there is a container can't be known.
printf '#!/bin/sh\nkill -TERM $$\n' >"$T/traps"
run "$shale_runtime" --shale-runtime-path "$T/traps" --shale-root "$S" \
	create --bundle "$B" traps
is "$status" 143 'a runtime that is killed whenever it is asked'
is "$(on_target)$(active_keys)$(records | wc -l)" overlaytraps1 \
	'keeps mount, key and record'
mv "$T/traps" "$T/traps.away"
ok 'cleanup knows no runtime to ask' on_store cleanup
is "$(on_target)$(active_keys)$(records | wc -l)" overlaytraps1 \
	'and leaves all three'
printf '#!/bin/sh\nexit 1\n' >"$T/traps"
chmod 755 "$T/traps"
ok 'the runtime is asked again' on_store cleanup
nothing_left 'and knows of none'
done_testing
