#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Stage precreate by its two ends: config.json in, config.json out with one
# value replaced and every other byte as it was; and what it leaves on the
# host, who takes that down, and when nobody may.
# shellcheck disable=SC2016,SC2317,SC2119,SC2120
here=$(dirname "$0")
[ -n "${SHALE_ALONE:-}" ] || exec "$here/../alone" bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
needs jq busybox strace
own_run
mkdir -m 700 /run/shale # as another door makes it

store store
id=$(printf '%064d' 1)
rootfs=/run/shale/precreate/$id/rootfs

# precreate [ARGS...]: the hook on $T/in; its answer is $T/run.out
precreate()
{
	[ $# -gt 0 ] || set -- --root "$S"
	run given "$T/in" "$hook" "$@" precreate
}

given()
{
	local file=$1
	shift
	"$@" <"$file"
}

# poststop [ID]
poststop()
{
	jq -n --arg id "${1:-$id}" '{ociVersion: "1.0.2-dev", $id,
		status: "stopped", bundle: "/bundle"}' >"$T/state"
	given "$T/state" "$hook" --root "$S" poststop
}

# config JQ: $T/in, as podman writes it, changed by a jq program
config()
{
	jq -cj --arg id "$id" "$jq_prelude"'{ociVersion: "1.0.2-dev",
		process: {args: ["sh"], cwd: "/"},
		root: {path: "/srv/empty"},
		linux: {cgroupsPath: ("/libpod_parent/libpod-" + $id),
			namespaces: [{type: "mount"}]},
		annotations: {"org.shale.parent": "two"}} | '"$1" \
		--arg hook '' --arg store '' --arg libs '' -n >"$T/in"
}

# nothing_stays SENTENCE: neither key, mount nor record
nothing_stays()
{
	is "$(active_keys)$(mounts_below /run/shale)$(
		ls -A /run/shale/precreate 2>&1)" '' "$1"
}

# ---- one value, and not a byte more ----

# What stands for the id, and for root.path with its quotes.
marked='@PATH@'
while IFS='~' read -r sentence text; do
	text=${text//@ID@/$id}
	# shellcheck disable=SC2059
	printf "${text//%/%%}" | sed 's|@PATH@|"/srv/empty"|' >"$T/in"
	# shellcheck disable=SC2059
	printf "${text//%/%%}" | sed "s|$marked|\"$rootfs\"|" >"$T/want"
	precreate
	cmp "$T/want" "$T/run.out" >"$T/cmp" 2>&1
	result $((status + $?)) "bytes stay: $sentence" "exit $status: $err
$(cat "$T/cmp")"
	ok "bytes stay: $sentence: poststop" poststop
done <<'END'
as podman writes it~{"ociVersion":"1.0.2-dev","root":{"path":@PATH@},"linux":{"cgroupsPath":"/libpod_parent/libpod-@ID@"},"annotations":{"org.shale.parent":"two"}}
root last, readonly before path~{"annotations":{"org.shale.parent":"two"},"linux":{"cgroupsPath":"x:y:@ID@"},"root":{"readonly":true,"path":@PATH@}}
white space everywhere, and at the end~\t{ "root"\n:\r{ "path" \t\n:  @PATH@ \n, "readonly" :false} ,\n"linux":{"cgroupsPath":"@ID@"},"annotations":{"org.shale.parent":"two"}\n}\n \n
numbers that no C type holds~{"a":1E400,"b":-0.0,"c":123456789012345678901234567890,"d":1.10e+05,"root":{"path":@PATH@,"n":1e-999},"linux":{"cgroupsPath":"@ID@","resources":{"x":18446744073709551616}},"annotations":{"org.shale.parent":"two"},"z":0.1000000000000000055511151231257827}
unicode escapes and raw unicode~{"e":"\\u00e9\\ud83d\\ude00\\/\\b","é":"é \xf0\x9f\x98\x80","root":{"\\u00e9":"\\"","path":@PATH@},"linux":{"cgroupsPath":"@ID@"},"annotations":{"org.shale.parent":"two","x":"\\u2028\\\\"}}
escaped names of the members~{"ro\\u006ft":{"p\\u0061th":@PATH@},"linux":{"cgroupsPath":"@ID@"},"annotations":{"org.shale.parent":"two"}}
other members that are called root and path~{"x":{"root":{"path":"/no"}},"mounts":[{"root":{"path":"/no"},"destination":"/d"}],"path":"/no","root":{"root":{"path":"/no"},"x":["path","root"],"path":@PATH@,"y":{"path":"/no"}},"linux":{"cgroupsPath":"@ID@","root":{"path":"/no"}},"annotations":{"org.shale.parent":"two","root":"\\"root\\":{\\"path\\":\\"/no\\"}"}}
unknown members, null, true, empty ones~{"":{"":[]},"n":null,"t":[true,false,[[{}]]],"root":{"path":@PATH@,"u":{}},"linux":{"cgroupsPath":"@ID@","u":null},"annotations":{"org.shale.parent":"two"}}
END

config '.root.path = "rootfs"'
precreate
is "$status $(jq -r .root.path "$T/run.out")" "0 $rootfs" \
	'a relative root.path is replaced'
poststop
config '.root.path = "a \"quoted\\\\\" \u0001 path\\"'
precreate
is "$status $(jq -r .root.path "$T/run.out")" "0 $rootfs" \
	'a root.path with quotes and backslashes is replaced'
like "$out" '^\{.*"root":\{"path":"/run/shale/precreate/[0-9]{64}/rootfs"\},"linux".*\}$' \
	'and nothing of it is left'
poststop
config '.big = ("x" * 200000)'
precreate
is "$status $(jq -r '.big | length' "$T/run.out")" '0 200000' \
	'a config.json longer than a pipe holds'
poststop
nothing_stays 'and after each poststop nothing'

# ---- what it leaves, and for whom ----

config .
precreate
is "$(cat "$rootfs/added")" second 'the snapshot is mounted where it says'
is "$(active_keys)" "$id" 'the key is the id of cgroupsPath'
is "$(stat -c %a /run/shale /run/shale/precreate "/run/shale/precreate/$id" |
	tr '\n' ' ')" '711 711 700 ' \
	"others come through to what is theirs, and into no container's"
refuses 'so nobody runs what an image has as setuid root' 'ermission denied' \
	setpriv --reuid 1000 --regid 1000 --clear-groups \
	sh -c 'exec "$0" id' "$rootfs/bin/busybox"
refuses 'the key of a mount can not be removed' 'mounted' on_store remove "$id"
refuses 'nor committed' 'mounted' on_store commit x "$id"
like "$(grep " $rootfs " /proc/self/mountinfo)" '[,=]volatile' \
	'what is removed at its stop never waits for the disk'
echo written >"$rootfs/written"
ok 'cleanup beside it' on_store cleanup
is "$(cat "$rootfs/written")" written \
	'cleanup leaves what its caller, who lives, may be about to start'
ok 'poststop of another container' poststop "$(printf '%064d' 2)"
ok 'poststop of an id that no container of podman has' poststop ../x
is "$(cat "$rootfs/written")" written 'they leave it alone'
ok poststop poststop
nothing_stays 'poststop leaves nothing'
ok 'poststop once more' poststop

config 'key("mine")'
precreate
is "$(active_keys)" mine 'org.shale.key names the key'
poststop
nothing_stays 'and poststop finds it by the record'

config '.linux.cgroupsPath = "/a/b" | .mounts = [{
	destination: "/run/.containerenv", type: "bind",
	source: ("/x/overlay-containers/" + $id + "/userdata/.containerenv")}]'
precreate
is "$(active_keys)" "$id" 'without a cgroup the id is that of .containerenv'
poststop

config 'annotate("kind"; "view")'
precreate
is "$status $(cat "$rootfs/added")" '0 second' 'a view is mounted'
(echo x >"$rootfs/x") 2>/dev/null
is "$?" 1 'read-only'
poststop
nothing_stays 'and removed'

# ---- a start that never came to its stop ----

# In the background, and it ends: nobody who lives has called.
# abandoned [JQ]
abandoned()
{
	config "${1:-.}"
	(given "$T/in" "$hook" --root "$S" precreate >"$T/run.out") &
	wait $!
	echo abandoned >"$rootfs/abandoned"
}

abandoned
ok 'abandoned: the next call for the container' precreate
ok 'abandoned: gets a fresh layer' test ! -e "$rootfs/abandoned"
is "$(active_keys) $(mounts_below /run/shale)" "$id $rootfs" \
	'abandoned: one key, one mount'
poststop
nothing_stays 'abandoned: and its poststop leaves nothing'

abandoned 'annotate("onstop"; "keep")'
ok 'abandoned: cleanup' on_store cleanup
is "$(active_keys) $(mounts_below /run/shale)" "$id " \
	'abandoned: cleanup unmounts, and keeps a layer that is to be kept'
config 'annotate("onstop"; "keep")'
precreate
is "$(cat "$rootfs/abandoned")" abandoned 'abandoned: the next call adopts it'
poststop
on_store remove "$id" >/dev/null
nothing_stays 'abandoned: nothing else is left'

abandoned
umount "$rootfs"
ok 'unmounted by hand: cleanup' on_store cleanup
like "$out" '1 mount without' 'unmounted by hand: is counted'
nothing_stays 'unmounted by hand: nothing is left'

abandoned
mount -t tmpfs other "$rootfs"
ok 'covered by another mount: cleanup passes it over' on_store cleanup
refuses 'covered by another mount: poststop' 'not what its record says' poststop
umount "$rootfs"
ok 'covered no more: poststop' poststop
nothing_stays 'covered no more: nothing is left'

abandoned
chroot "$rootfs" /bin/sleep 100 &
sleeper=$!
for ((n = 0; n < 200; n++)); do
	[ "$(stat -Lc %d "/proc/$sleeper/root" 2>&1)" != \
		"$(stat -Lc %d "$rootfs")" ] || break
	sleep 0.02
done
ok 'a process in it: cleanup passes it over' on_store cleanup
config .
precreate
refused 'a process in it: another call is refused' "container '$id' runs"
is "$(cat "$rootfs/abandoned")" abandoned 'a process in it: nothing changed'
kill "$sleeper"
wait "$sleeper" 2>/dev/null
ok 'the process is gone: cleanup' on_store cleanup
nothing_stays 'the process is gone: nothing is left'

# Between its steps: a record without key, a key without mount, a directory.
mkdir -m 711 "/run/shale/precreate/$id"
ok 'a directory without record: cleanup' on_store cleanup
nothing_stays 'a directory without record: it is removed'
mkdir -m 711 "/run/shale/precreate/$id"
ok 'a directory without record: poststop' poststop
nothing_stays 'a directory without record: poststop removes it, too'
mkdir -m 711 "/run/shale/precreate/$id"
ln -s 2 "/run/shale/precreate/$id/format"
config .
precreate
refused 'a record of another format is refused' \
	"/run/shale/precreate/$id' has no right 'format'"
ln -sfn 1 "/run/shale/precreate/$id/format"
precreate
refused 'a torn record is refused, with its remedy' \
	"$id' has no right 'id': unmount by hand"
ok 'and cleanup leaves it to a person' on_store cleanup
rm -r "/run/shale/precreate/$id"

# Another store: its records are its own.
abandoned
one=$S
S=$T/other
on_store prepare x >/dev/null
on_store remove x >/dev/null
ok 'another store: cleanup' on_store cleanup
S=$one
is "$(cat "$rootfs/abandoned")" abandoned 'another store: nothing changed'
S=$T/other
ok 'another store: poststop does what the record says' poststop
S=$one
nothing_stays 'its own store: nothing is left'

# ---- killed ----

# The leak check of a sanitizer can't be traced.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

# traced STAGE [OPTION...]: a stage of the container below strace
traced()
{
	local stage=$1
	shift
	given "$T/$stage.in" strace -o "$T/trace" "$@" \
		"$hook" --root "$S" "$stage" >"$T/run.out" 2>&1
}

# killed STAGE COUNT: kill it at COUNT of its calls from its first look at
# what it is given on, or at all; then cleanup, or the next start and its stop
killed()
{
	local name nth n=0 deaths=0 bad='' step=1 left
	[ "$1" != poststop ] || traced precreate
	traced "$1"
	result $? "killed: $1 under strace"
	awk 'match($0, /^[a-z0-9_]+\(/) {
		name = substr($0, 1, RLENGTH - 1)
		n = ++nth[name]
		if (name == "read" && /ociVersion/)
			started = 1
		if (started && name != "exit_group")
			print name, n
	}' "$T/trace" >"$T/calls"
	poststop
	[ -n "${SHALE_LONG:-}" ] ||
		step=$((($(wc -l <"$T/calls") + $2 - 1) / $2))
	while read -r name nth; do
		n=$((n + 1))
		[ $((n % step)) -eq 0 ] || continue
		[ "$1" != poststop ] || traced precreate
		traced "$1" -e inject="$name:signal=KILL:when=$nth"
		[ $? -ne 137 ] || deaths=$((deaths + 1))
		if [ $((n / step % 2)) -eq 0 ]; then
			traced precreate
			cp "$T/run.out" "$T/way"
			poststop >>"$T/way" 2>&1
		else
			on_store cleanup >"$T/way" 2>&1
		fi
		left=$(active_keys && mounts_below /run/shale &&
			ls -A /run/shale/precreate)
		[ -z "$left" ] || bad="$bad
$name $nth: $left: $(cat "$T/way")"
	done <"$T/calls"
	is "$bad" '' "killed: $1: nothing is left, killed $deaths times at one of $n calls"
	[ "$deaths" -gt 0 ]
	result $? "killed: $1: and it was killed"
}

config .
cp "$T/in" "$T/precreate.in"
poststop
cp "$T/state" "$T/poststop.in"
killed precreate 24
killed poststop 12

# ---- refusals ----

while IFS='~' read -r sentence regex program; do
	config "$program"
	precreate
	refused "refused: $sentence" "$regex"
	is "$out" '' "refused: $sentence: without an answer"
	nothing_stays "refused: $sentence: nothing is left"
done <<'END'
no annotation~org\.shale\.parent~.annotations = {}
no root~no root\.path~del(.root)
no root.path~no root\.path~.root = {readonly: true}
a root.path that is no string~root\.path is no string~.root.path = 7
an empty root.path~no root\.path~.root.path = ""
a list~no object~[.]
no cgroupsPath~which container~del(.linux.cgroupsPath)
a cgroupsPath without an id~which container~.linux.cgroupsPath = "/libpod/x"
an id with a digit too many~which container~.linux.cgroupsPath = "/libpod-0" + $id
an id of capital letters~which container~.linux.cgroupsPath = "/libpod-" + ("A" * 64)
another's .containerenv~which container~.linux.cgroupsPath = "" | .mounts = [{destination: "/x", source: ("/" + $id + "/userdata/.containerenv")}]
an unknown parent~nowhere~parent("nowhere")
a path as parent~path~parent("../x")
a mapping that is none~overlap~.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 7, size: 10}, {containerID: 5, hostID: 90, size: 10}] | .linux.gidMappings = .linux.uidMappings
a mapping of users alone~uidmap without a gidmap~.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 7, size: 10}]
another's user namespace~does not tell the mapping~.linux.namespaces += [{type: "user", path: "/proc/1/ns/user"}]
END
config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings =
	[{containerID: 1, hostID: 200000, size: 9},
	{containerID: 0, hostID: 100000, size: 1}]
	| .linux.gidMappings = .linux.uidMappings'
ok 'a root mapped to another is served' precreate
is "$(stat -c %u:%g "$rootfs")" 100000:100000 \
	'a root mapped to another owns its root directory'
ok 'it comes to it' setpriv --reuid 100000 --regid 100000 --clear-groups \
	sh -c 'exec "$0" true' "$rootfs/bin/busybox"
refuses 'and nobody else does' 'ermission denied' setpriv --reuid 1000 \
	--regid 1000 --clear-groups sh -c 'exec "$0" true' \
	"$rootfs/bin/busybox"
poststop

while IFS='~' read -r sentence text; do
	printf '%b' "$text" >"$T/in"
	precreate
	refused "refused: $sentence" 'config\.json'
	is "$out" '' "refused: $sentence: without an answer"
done <<'END'
nothing at all~
a torn document~{"root":{"path":"/x"}
two documents~{}{}
a name twice~{"root":{"path":"/x"},"root":{"path":"/y"}}
END
nothing_stays 'refused: nothing is left'

# An answer that nobody takes is none.
config .
run sh -c '"$1" --root "$2" precreate <"$3" >/dev/full' sh "$hook" "$S" "$T/in"
refused 'an answer that can not be written' 'write config.json'
nothing_stays 'an answer that can not be written: nothing is left'

# ---- policy: by user, since no runtime is there yet ----

while IFS='~' read -r verdict rule; do
	jq -n --arg store "$S" '{root: $store, policy: ['"$rule"']}' \
		>"$T/shale.json"
	chmod 644 "$T/shale.json"
	config .
	precreate --config "$T/shale.json"
	if [ "$verdict" = yes ]; then
		is "$status$err" 0 "policy allows: $rule"
	else
		refused "policy denies: $rule" '"user": 0, "parents"'
	fi
	poststop
done <<'END'
yes~{user: "root", parents: ["tw"]}
no~{runtime_root: "/run/runc", parents: [""]}
no~{user: "nobody", parents: [""]}
no~
END

# ---- others' keys ----

on_store prepare handmade two >/dev/null
config 'key("handmade")'
precreate
refused "a key made by hand is refused" handmade
is "$(active_keys)" handmade 'and stays'
on_store remove handmade >/dev/null
abandoned 'key("mine")'
id=$(printf '%064d' 3)
config 'key("mine")'
precreate
refused "another container's key is refused" mine
poststop
id=$(printf '%064d' 1)
is "$(cat "$rootfs/abandoned")" abandoned 'and so it stays'
poststop
nothing_stays 'nothing is left'
done_testing
