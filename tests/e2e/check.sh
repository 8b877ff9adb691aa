#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shale check and shale verify, and who it is that keeps something busy: real
# damage, real containers, real processes.
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
needs_root
needs runc jq busybox flock setfattr strace
own_run

# The leak check of a sanitizer can't be traced.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

# id NAME: its directory
id()
{
	printf %s "$1" | sha256sum | cut -c 1-32
}

# checks STATUS REGEX SENTENCE [ARGS...]: what shale check says
checks()
{
	local want=$1 regex=$2 sentence=$3
	shift 3
	run on_store check "$@"
	[ "$status" = "$want" ] && [[ $out =~ $regex ]]
	result $? "$sentence" "exit $status
stdout: $out
stderr: $err
wanted: $want, $regex"
}

# wait_for COMMAND...: until it succeeds, at most ten seconds
wait_for()
{
	local i
	for ((i = 0; i < 200; i++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.05
	done
	return 1
}

# holder COMMAND...: a process that stays, in $pid
holder()
{
	"$@" </dev/null >/dev/null 2>&1 &
	pid=$!
}

# ended PID: end it and wait
ended()
{
	kill -KILL "$1"
	wait "$1" 2>/dev/null
}

# ---- check ----

store check
checks 0 '^$' 'a whole store: nothing is said'
checks 0 '^\{"findings":\[\],"found":0,"repaired":0\}$' 'and so in JSON' --json

base=snapshots/$(id base)
ok 'an active' on_store prepare k two
k=active/$(id k)
touch "$S/notes"
ln -sfn torn "$S/$k/key.parent"
rm "$S/$base/usage"
chmod 755 "$S/$base"
mkdir "$S/staging/$(id dead)"
sleep 1.1 # what is younger may be a live process's
before=$(listing "$S")
checks 1 "parent-torn: $k/key.parent \(k\): its parent fact is torn: 'shale remove'" \
	'a torn parent is named, with what to do'
for line in "stray: notes: " "usage: $base/usage \(base\): " \
	"mode: $base: its mode" "leftover: staging/$(id dead): "; do
	like "$out" "(^|
)$line" "and so is ${line%%:*}"
done
is "$(wc -l <<<"$out")" 5 'a line each, and no more'
is "$(listing "$S")" "$before" 'and nothing was changed'
checks 1 "usage: $base/usage \(base\): [^:]*: repaired: measured anew" \
	'repair says what it did' --repair
checks 1 '"found":1,"repaired":0' 'what it could not mend is left' --json
like "$out" "^\{\"findings\":\[\{\"kind\":\"parent-torn\",\"name\":\"k\",\"path\":\"$k/key.parent\",\"what\":\"[^\"]*\",\"remedy\":\"[^\"]*\",\"repaired\":false\}\]" \
	'as an object of six members'
ok 'what was moved is in lost+found' test -e "$S/lost+found/notes"
is "$(stat -c %a "$S/lost+found")" 700 'which lets nobody in'
ok 'remove takes the damaged one away' on_store remove k
checks 0 '^$' 'then all is well'
rm "$S/lock"
refuses 'without its lock nothing can be changed' "shale check --repair" \
	on_store prepare k
checks 1 'lock: lock: .*: repaired: made anew' 'repair makes it anew' --repair
ok 'and then all can' on_store prepare k
# Somebody else's repair comes between a look for it and the next.
run strace -o "$T/trace" -P lock -e inject=openat:error=ENOENT:when=2 \
	"$shale" --root "$S" remove k
is "$status" 0 'a lock that comes back is waited for'
ok 'or the key would be there still' has_not k
touch "$S/notes"
run strace -o "$T/trace" -P usage -e inject=readlinkat:error=EIO \
	"$shale" --root "$S" check --repair
like "$out" "unreadable: $base/usage \(base\): it can't be read: Input/output" \
	'what the disk does not give away is named'
like "$out" 'stray: notes: .*: repaired: moved' 'and all else is mended'
checks 0 '^$' 'and nothing was changed of it'

# ---- keys of containers that are gone ----

on_store prepare orphan two --label org.shale.door=hook \
	--label org.shale.container=c1 --label org.shale.bundle=/b \
	--label org.shale.boot=00000000-0000-0000-0000-000000000000 \
	--label org.shale.onstop=remove
checks 1 "container-gone: orphan: its container 'c1' is gone" \
	'the key of a container of an earlier boot is named' --repair
ok 'and repair does not delete it' has orphan
ok 'cleanup does' on_store cleanup
checks 0 '^$' 'then nothing is left'
on_store prepare late two --label org.shale.door=hook \
	--label org.shale.container=c1 --label org.shale.bundle=/b \
	--label org.shale.boot=00000000-0000-0000-0000-000000000000 \
	--label org.shale.onstop=commit=late-1
checks 1 "container-gone: late: .*: 'shale commit' it" \
	'one whose commit never came is named'
ok 'it can be committed by hand' on_store commit late-1 late

# ---- records of mounts ----

# record DOOR NAME FACT=VALUE...: one as a door leaves it, of this store
record()
{
	local dir=/run/shale/$1/$2 fact
	shift 2
	mkdir -p "$dir"
	for fact in id=c2 target="$dir/rootfs" key=absent store="$S" \
		store-option="$S" boot="$(cat /proc/sys/kernel/random/boot_id)" \
		namespace="$(readlink /proc/self/ns/mnt)" "$@" format=1; do
		ln -sfn "${fact#*=}" "$dir/${fact%%=*}"
	done
}

# A runtime that has every container.
printf '#!/bin/sh\nexit 0\n' >"$T/has"
chmod 755 "$T/has"
for door in precreate runtime; do
	way=()
	[ "$door" = precreate ] || way=(runtime="$(type -P runc)" \
		root="$T/no-root" bundle=/b)
	dir=/run/shale/$door/c2
	record "$door" c2 "${way[@]}"
	checks 1 "mount-without-key: $dir \(absent\): [^:]*: 'shale cleanup'" \
		"$door: so is the record of a mount whose key is gone"
	checks 1 "mount-without-key: $dir \(absent\): .*: repaired: taken down" \
		"$door: which repair removes" --repair
	is "$(ls "/run/shale/$door")" '' "$door: and nothing is left"

	on_store prepare left two
	record "$door" c2 key=left "${way[@]}"
	checks 1 "^container-gone: $dir \(left\): [^:]*: 'shale cleanup'" \
		"$door: a record whose container is gone is named" --repair
	ok "$door: and repair leaves its key" has left
	ok "$door: cleanup takes the record down" on_store cleanup
	is "$(ls "/run/shale/$door")" '' "$door: and nothing is left"
	on_store remove left

	record "$door" c2 key=left store="$T" "${way[@]}"
	checks 0 '^$' "$door: the record of another store is none of ours"
	ln -sfn 2 "$dir/format"
	checks 1 "^record-torn: $dir: .* has no right 'format': unmount by hand" \
		"$door: one of another version is named" --repair
	ok "$door: cleanup passes it over" on_store cleanup
	ok "$door: it is left to a person" test -L "$dir/format"
	rm "$dir/format"
	is "$(flock "$dir" "$shale" --root "$S" check)" '' \
		"$door: what a live door is at work on is none"
	sleep 2.1 # what is younger may be a live door's
	checks 1 "^record-leftover: $dir: .*'shale cleanup' takes it down" \
		"$door: what a dead door has not finished is named"
	checks 1 "^record-leftover: .*: repaired: taken down" \
		"$door: which repair removes" --repair
	checks 0 '^$' "$door: and nothing is left"
done
record runtime c2 runtime="$T/has" root="$T/no-root" bundle=/b
checks 1 "^mount-without-key: .*: stop the container" \
	'a record without a key whose container lives is named' --repair
ok 'and left, since it is in use' test -e /run/shale/runtime/c2
rm -r /run/shale/runtime/c2

# ---- files of actives that are elsewhere, and copies for mappings ----

mkdir -m 700 "$T/ram" "$S/mapped"
echo "{\"root\": \"$S\", \"uppers\": {\"ram\": \"$T/ram\"}}" >"$T/shale.json"
with_uppers() { "$shale" --config "$T/shale.json" "$@"; }
ok 'an active on another disk' \
	with_uppers prepare far two --label org.shale.upper=ram
is "$(with_uppers check)" '' 'is in order'
checks 1 "^upper: active/$(id far)/upper \(far\): its upper 'ram' is not configured: add" \
	'without the configuration its files are missed'
upper=$(echo "$T/ram"/*/*)
mkdir -p "${upper%/*}/$(id lost)/fs"
touch "${upper%/*}/$(id lost)/fs/file" "$upper/notes"
mkdir -m 700 "$S/mapped/$(id map)" "$S/mapped/$(id map)/$(id base)"
sleep 1.1 # what is younger may be a live process's
run with_uppers check --repair
is "$status" 1 'what is left there is told'
for line in "upper-without-key: ${upper%/*}/$(id lost): .*: not repaired: it has files: 'shale cleanup'" \
	"stray: $upper/notes: .*: move it away by hand" \
	"leftover: mapped/$(id map)/$(id base): it is half .*: repaired: removed"; do
	like "$out" "(^|
)$line" "and so is ${line%%: *}"
done
is "$(wc -l <<<"$out")" 3 'a line each, and no more'
ok 'cleanup deletes what no key refers to' with_uppers cleanup
rm "$upper/notes"
is "$(with_uppers check)$(ls "${upper%/*}")" "$(basename "$upper")" \
	'then all is well'
with_uppers remove far

# ---- verify ----

ok 'an active' on_store prepare new base
mkdir "$T/mnt"
ok 'mounted' on_store mount new "$T/mnt"
mkdir "$T/mnt/dir"
head -c 300000 /dev/urandom >"$T/mnt/dir/random"
setfattr -n user.x -v value "$T/mnt/dir/random"
ln "$T/mnt/dir/random" "$T/mnt/linked"
echo text >"$T/mnt/a name
of two lines"
ok 'unmounted' on_store umount "$T/mnt"
ok 'commit --manifest' on_store commit new-1 new --manifest
run on_store verify new-1
is "$status$out$err" 0 'verify: it is as it was committed'
cp -a "$S" "$T/copy"
ok 'and so is a copy of the store, with all times' \
	"$shale" --root "$T/copy" verify new-1
rm -r "$T/copy"
fs=$S/snapshots/$(id new-1)/fs

# broken CALL PATH WHAT: a bad disk, as this call on this path tells of it
broken()
{
	run strace -o "$T/trace" -P "$2" -e "inject=$1:error=EIO" \
		"$shale" --root "$S" verify new-1
	is "$status$err$out" \
		"1unreadable: $3: restore the layer from a backup" \
		"$1 fails: what can't be read is named, and the rest compared"
}

broken read "$fs/dir/random" \
	"dir/random (new-1): it can't be read: Input/output error"
broken flistxattr "$fs/dir/random" \
	"dir/random (new-1): it can't be read: Input/output error"
broken flistxattr "$fs" ". (new-1): it can't be read: Input/output error"
broken openat dir \
	"dir (new-1): it can't be read, nor what is in it: Input/output error"
broken getdents64 "$fs/dir" \
	"dir (new-1): it can't be read, nor what is in it: Input/output error"
broken getdents64 "$fs" \
	". (new-1): it can't be read, nor what is in it: Input/output error"
run strace -o "$T/trace" -P dir -e inject=openat:error=EACCES \
	"$shale" --root "$S" verify new-1
is "$status$out" 1 'what one may not read is not called damaged'
like "$err" "read 'dir' of the layer.*ermission denied" 'and is named'
was=$(stat -c %y "$fs/dir/random")
printf '\001' | dd of="$fs/dir/random" bs=1 seek=123456 conv=notrunc status=none
touch -d "$was" "$fs/dir/random"
run on_store verify new-1
is "$status$err" 1 'a changed byte: exit status 1'
is "$out" "changed: dir/random (new-1): it differs in content: restore the layer from a backup" \
	'and the file is named'
rm "$fs/a name
of two lines"
run on_store --json verify new-1
like "$out" '"kind":"missing","name":"new-1","path":"a name\\nof two lines"' \
	'a missing file is named in JSON'
is "$(jq -r '.found' <<<"$out")" 3 'with the directory that it was in'
refuses 'a layer without manifest' "'base': it has no manifest: 'shale commit" \
	on_store verify base
is "$status" 1 'is exit status 1'
echo '{"manifest": "always"}' >"$T/shale.json"
on_store prepare new base
ok 'a commit where it is configured' \
	on_store --config "$T/shale.json" commit new-2 new
ok 'has a manifest' on_store verify new-2

# ---- who keeps it busy ----

on_store prepare busy two
ok 'an active is mounted' on_store mount busy "$T/mnt"
refuses 'commit says where' "an overlay is mounted on it, at '$T/mnt'" \
	on_store commit x busy
mkdir "$T/mnt2"
refuses 'a second mount says where' "an overlay is mounted on it, at '$T/mnt'" \
	on_store mount busy "$T/mnt2"
holder env -C "$T/mnt" sleep 1000
wait_for test "/proc/$pid/cwd" -ef "$T/mnt"
wait_for grep -q sleep "/proc/$pid/comm"
refuses 'umount names who works in it' \
	"busy: process $pid \(sleep\) has its working directory in it" \
	on_store umount "$T/mnt"
ended "$pid"
ok 'and does it when that has ended' on_store umount "$T/mnt"

# ---- a container ----

# shellcheck disable=SC2016
bundle web 'echo started >/flag; sleep 1000' 'parent("two")
	| annotate("onstop"; "keep") | hook("prestart") | hook("poststop")'
ok 'a container starts' runc run --detach --bundle "$B" web
key=$(active_keys | grep -vx busy)
pid=$(runc state web | jq .pid)
for verb in remove "commit x" mount; do
	case $verb in
	mount) set -- mount "$key" "$T/mnt2" ;;
	commit*) set -- commit x "$key" ;;
	*) set -- remove "$key" ;;
	esac
	refuses "while it runs, $1 is refused, with its id and pid" \
		"container 'web' \(process $pid\) uses it" on_store "$@"
done
checks 0 '^$' 'a running container is no contradiction'
kill -KILL "$pid"
wait_for on_store mount "$key" "$T/mnt2"
ok 'after its death it can be mounted' mountpoint -q "$T/mnt2"
on_store umount "$T/mnt2"
ok 'and committed' on_store commit web-1 "$key"
ok 'with what it wrote' test -e "$S/snapshots/$(id web-1)/fs/flag"
runc delete --force web

# ---- the lock ----

echo '{"lock_timeout_ms": 200}' >"$T/shale.json"
holder flock "$S/lock" sleep 1000
until ! flock -n "$S/lock" true; do sleep 0.05; done
kill -STOP "$pid"
refuses 'a holder of the lock that is stopped is named' \
	"200 ms: process $pid \(flock\), which is stopped, holds it" \
	on_store --config "$T/shale.json" prepare late two
kill -CONT "$pid"
child=$(ps -o pid= --ppid "$pid")
ended "$pid"
kill -KILL "${child// /}"
ok 'and nobody waits when it is gone' \
	on_store --config "$T/shale.json" prepare late two
done_testing
