#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What can't be right or is not allowed fails the container with a sentence
# that helps, and leaves neither key nor mount.
# shellcheck disable=SC2016
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
needs runc jq busybox

store store

# try RUNTIME ID JQ: a container that says "ran"
try()
{
	bundle "$2" 'echo ran; cat /added' "$3"
	run "$1" run --bundle "$B" "$2"
}

# turned_down SENTENCE REGEX: after `try`
turned_down()
{
	refused "$1" "$2"
	is "$out" '' "$1: its command did not run"
	nothing_left "$1: neither key nor mount is left"
}

# ---- a stage that can't be right ----

if type -P crun >/dev/null; then
	for stage in prestart createRuntime; do
		try crun "crun-$stage" 'parent("two")
			| hook("'"$stage"'") | hook("poststop")'
		turned_down "crun $stage" 'createContainer|shale-runtime|shale mount'
	done
else
	skip 'needs crun' 6
fi

# Both a mapped root that is somebody else and one that is root outside: the
# second is no identity either.  A configuration of root's is a stranger's to
# the first.
jq -n --arg root "$S" '{root: $root}' >"$T/shale.json"
for with in "100000 --root $S" "0 --root $S" "100000 --config $T/shale.json"; do
	read -r uid option value <<<"$with"
	bundle "user-$uid" 'echo ran' 'parent("two")
		| hook("createContainer"; ["'"$option"'", "'"$value"'"])
		| hook("poststop")
		| .linux.namespaces += [{type: "user"}]
		| .linux.uidMappings =
			[{containerID: 0, hostID: '"$uid"', size: 65536}]
		| .linux.gidMappings = .linux.uidMappings'
	chown "$uid:$uid" "$B/rootfs"
	run runc run --bundle "$B" "user-$uid"
	# The hook must have been what failed, not a path closed to others.
	if [ "$uid" -ne 0 ] && ! setpriv --reuid "$uid" --clear-groups \
		test -x "$B/rootfs"; then
		skip "a mapped root can't reach $B" 3
		continue
	fi
	turned_down "createContainer with root mapped to $uid, $option" \
		'user namespace.*(prestart|createRuntime|shale-runtime|shale mount)'
done

fdpivot=${FDPIVOT:-$(dirname "$STAGE")/fdpivot}
# shellcheck disable=SC2317
fdpivot()
{
	limited "$fdpivot" --root "$T/fdpivot" "$@"
}
if [ -x "$fdpivot" ]; then
	for stage in prestart createRuntime createContainer; do
		with='parent("two") | hook("'"$stage"'") | hook("poststop")'
		try fdpivot "fd-$stage" "$with"
		turned_down "pivot by descriptor, $stage" \
			'shale-runtime|shale mount'
		bundle "path-$stage" 'cat /added' "$with"
		run fdpivot --by-path run --bundle "$B" "path-$stage"
		is "$status$out" 0second "pivot by path, $stage: it runs"
		nothing_left "pivot by path, $stage: nothing is left"
	done
else
	skip "needs $fdpivot (make check builds it)" 15
fi

try runc device 'parent("two") | hook("prestart") | hook("poststop")
	| .linux.devices += [{path: "/opt/null", type: "c", major: 1, minor: 3}]'
turned_down 'a device outside of /dev' '/opt/null.*shale mount'

# ---- a view is read-only also for who may mount ----

for parent in base two; do
	bundle "sealed-$parent" \
		'mount -o remount,rw,bind /; echo owned >/owned; cat /owned' \
		'parent("'"$parent"'") | annotate("kind"; "view")
		| hook("prestart") | hook("poststop")
		| (.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"]))'
	layer_before=$(listing "$S/snapshots")
	run runc run --bundle "$B" "sealed-$parent"
	is "$((status != 0))" 1 "a view of $parent, remounted: nothing can be written"
	is "$(listing "$S/snapshots")" "$layer_before" \
		"a view of $parent, remounted: the layers are as before"
done

# ---- annotations ----

while IFS='~' read -r sentence regex program; do
	try runc annotations "$program"' | hook("prestart") | hook("poststop")'
	turned_down "$sentence" "$regex"
done <<'END'
no parent~org\.shale\.parent~annotate("onstop"; "remove")
no annotation~org\.shale\.parent~.
an empty parent~parent~parent("")
an unknown parent~nowhere~parent("nowhere")
a parent that is a path~\.\./~parent("../../snapshots")
a parent that is an absolute path~/etc~parent("/etc")
a key that is a path~\.\./~parent("two") | key("../../x")
a key that is an absolute path~/etc~parent("two") | key("/etc/passwd")
a commit that is a path~\.\./~parent("two") | annotate("onstop"; "commit=../x")
an unknown kind~kind~parent("two") | annotate("kind"; "committed")
an unknown onstop~onstop~parent("two") | annotate("onstop"; "burn")
a commit without a name~onstop~parent("two") | annotate("onstop"; "commit=")
a commit of a view~view~parent("two") | annotate("kind"; "view") | annotate("onstop"; "commit=x")
an empty key~key~parent("two") | key("")
END
on_store prepare not-committed two >/dev/null
try runc active 'parent("not-committed") | hook("prestart")'
refused 'a parent that is active' not-committed
is "$(active_keys)" not-committed 'a parent that is active: no other key'
on_store remove not-committed >/dev/null

# ---- policy ----

# config JQ: make $T/shale.json
config()
{
	jq -n --arg store "$S" --arg T "$T" '{root: $store} + '"$1" \
		>"$T/shale.json"
	chmod 644 "$T/shale.json"
}

with_config='hook("prestart"; ["--config", $T + "/shale.json"])
	| hook("poststop"; ["--config", $T + "/shale.json"])'

while IFS='~' read -r sentence rules annotations; do
	config "{policy: [$rules]}"
	try runc allowed "$annotations | $with_config"
	is "$status$out" $'0ran\nsecond' "policy allows: $sentence"
	for key in $(active_keys); do
		on_store remove "$key" >/dev/null
	done
done <<'END'
a parent by its prefix~{runtime_root: ($T + "/runc"), parents: ["t"]}~parent("two")
root by name~{user: "root", parents: ["two"]}~parent("two")
the second rule~{user: "root", parents: ["x"]}, {user: "root", parents: ["two"]}~parent("two")
keep~{user: "root", parents: [""], onstop: ["keep"]}~parent("two") | annotate("onstop"; "keep")
a commit with its prefix~{user: "root", parents: ["two"], onstop: ["commit"], commit_prefix: "out/"}~parent("two") | annotate("onstop"; "commit=out/1")
END
ok 'policy allows: and it was committed' has out/1

while IFS='~' read -r sentence rules annotations; do
	config "{policy: [$rules]}"
	try runc denied "$annotations | $with_config"
	turned_down "policy denies: $sentence" 'shale\.json'
done <<'END'
everything, without a rule~~parent("two")
another prefix~{user: "root", parents: ["base"]}~parent("two")
another runtime root~{runtime_root: "/run/runc", parents: [""]}~parent("two")
another user~{user: "nobody", parents: [""]}~parent("two")
one of both~{user: "nobody", runtime_root: ($T + "/runc"), parents: [""]}~parent("two")
keep, by default~{user: "root", parents: [""]}~parent("two") | annotate("onstop"; "keep")
remove, where keep alone is listed~{user: "root", parents: [""], onstop: ["keep"]}~parent("two")
a commit~{user: "root", parents: [""], onstop: ["keep"]}~parent("two") | annotate("onstop"; "commit=out/2")
a commit of another prefix~{user: "root", parents: [""], onstop: ["commit"], commit_prefix: "out/"}~parent("two") | annotate("onstop"; "commit=in/2")
END

# A commit that is too big is not made, and what it would have held stays.
config '{policy: [{user: "root", parents: ["two"], onstop: ["commit"],
	commit_prefix: "out/", max_bytes: 100000}]}'
bundle big 'head -c 200000 /dev/zero >/big' 'parent("two")
	| annotate("onstop"; "commit=out/big") | '"$with_config"
run runc run --bundle "$B" big
like "$err" '100000|max_bytes|98 KiB' 'policy: a commit past max_bytes is told'
ok 'policy: and not made' has_not out/big
for key in $(active_keys); do
	on_store remove "$key" >/dev/null
done

# What else shale.json says reaches the container's root.
plugin=$(find "$STAGE" -name overlay.so | head -n 1)
config '{policy: [{user: "root", parents: [""]}], snapshotter: "'"$plugin"'",
	mount_options: ["volatile"], durability: "none"}'
bundle options 'cat /added; grep " / / " /proc/self/mountinfo' \
	'parent("two") | '"$with_config"
ok 'shale.json: snapshotter as a file, durability, mount options' \
	runc run --bundle "$B" options
like "$out" 'second.*[ ,=]volatile' 'shale.json: the options are used'
nothing_left 'shale.json: nothing is left'

# The file itself.
config '{policy: [{user: "root", parents: [""]}]}'
chmod 666 "$T/shale.json"
try runc writable "parent(\"two\") | $with_config"
turned_down 'a shale.json that anybody may write' 'shale\.json'
config '{policy: [{user: "root", parents: [""]}]}'
chown nobody "$T/shale.json"
try runc foreign "parent(\"two\") | $with_config"
turned_down "somebody else's shale.json" 'shale\.json'
chown root "$T/shale.json"
config '{polcy: []}'
try runc misspelt "parent(\"two\") | $with_config"
turned_down 'an unknown key in shale.json' 'polcy'
echo '{' >"$T/shale.json"
try runc torn "parent(\"two\") | $with_config"
turned_down 'a torn shale.json' 'shale\.json'
rm "$T/shale.json"
try runc absent "parent(\"two\") | $with_config"
turned_down 'a named shale.json that is absent' 'shale\.json'

default=${SHALE_CONFIG_FILE:-${sysconfdir:-/etc}/shale/shale.json}
if [ -e "$default" ] || [ -e /etc/shale/shale.json ]; then
	skip "this machine has $default" 3
else
	try runc default 'parent("two")
		| hook("prestart"; []) | hook("poststop"; [])'
	turned_down 'neither --root nor --config, and no rule' 'shale\.json'
fi

# ---- the hook's own arguments ----

while IFS='~' read -r sentence regex args; do
	eval "refuses \"arguments: $sentence\" '$regex' \"\$hook\" $args"
done <<'END'
no stage~stage~--root "$S"
an unknown stage~poststart~--root "$S" poststart
two stages~poststop~--root "$S" prestart poststop
an unknown option~frobnicate~--frobnicate prestart
a root that is no absolute path~store~--root store prestart
an option without its value~root~prestart --root
END

# ---- stores ----

while IFS='~' read -r sentence regex make; do
	mkdir -p "$T/bad"
	eval "$make"
	bundle bad-store 'echo ran' 'parent("two")
		| hook("prestart"; ["--root", $T + "/bad/store"])
		| hook("poststop"; ["--root", $T + "/bad/store"])'
	refuses "$sentence" "$regex" runc run --bundle "$B" bad-store
	is "$out$(mounts_below "$B")" '' "$sentence: nothing ran or is mounted"
	rm -rf "$T/bad"
done <<'END'
a store that is absent~bad/store~:
a store that is a file~bad/store~: >$T/bad/store
a directory that is no store~bad/store~mkdir -m 700 $T/bad/store; : >$T/bad/store/file
a store of somebody else~bad/store~cp -a $S $T/bad/store; chown nobody $T/bad/store
a store that others may write~bad/store~cp -a $S $T/bad/store; chmod 777 $T/bad/store
a store of an unknown format~format~cp -a $S $T/bad/store; ln -sfn 99 $T/bad/store/format
END
done_testing
