#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Containers on whole copies: native.so through `shale mount` and through
# shale-hook, with the store where overlay can't be, on overlayfs.
# shellcheck disable=SC2016
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
needs_root
needs runc jq busybox

# `run` leaves these.
: "${out:=}" "${err:=}" "${status:=0}"

: "${libdir:=/usr/local/lib}" "${plugindir:=$libdir/shale}"
native=$STAGE$plugindir/native.so

on_store()
{
	"$shale" --root "$S" --snapshotter "$native" "$@"
}

keys()
{
	on_store --json active | jq -r '.[].name'
}

# ---- where an overlay has no upper ----

mkdir "$T/tmpfs" "$T/over"
mount -t tmpfs none "$T/tmpfs"
mkdir "$T/tmpfs/lower" "$T/tmpfs/upper" "$T/tmpfs/work"
mount -t overlay overlay "$T/over" -o \
	"lowerdir=$T/tmpfs/lower,upperdir=$T/tmpfs/upper,workdir=$T/tmpfs/work"
store over/store
refuses 'overlay refuses the file system' 'it is on overlayfs' \
	"$shale" --root "$T/over/other" prepare key
refuses 'overlay refuses the store' "on overlayfs" \
	"$shale" --root "$S" ls
ok 'cleanup finds nothing to do' on_store cleanup
like "$out" '^removed 0 unfinished directories' 'and says so'
refuses 'a parent is not given later' "'native' gives no parent" \
	sh -c '"$1" --root "$2" --snapshotter "$3" prepare late &&
	"$1" --root "$2" --snapshotter "$3" commit late2 late --parent base' \
	sh "$shale" "$S" "$native"
on_store remove late

# ---- shale mount ----

look='cat /kept /changed /added /opaque/upper
for f in /deleted /deleted.d /opaque/lower; do
	[ ! -e $f ] || echo "$f is there"
done
awk '"'"'$5 == "/" { sub(".*/", "", $4); print $4, substr($6, 1, 2) }'"'"' \
	/proc/self/mountinfo
echo written >/written && rm /kept'

bundle mounted "$look"
on_store prepare web two
ok 'an active is mounted' on_store mount web "$B/rootfs"
run runc run --bundle "$B" mounted
is "$status $out" '0 base
second
second
second
fs rw' 'runc sees the layers as one, in a directory of the store'
ok 'it is unmounted' on_store umount "$B/rootfs"
ok 'what the container did becomes a layer' on_store commit three web
on_store prepare above three
on_store mount above "$B/rootfs"
is "$(cat "$B/rootfs/written") $(ls "$B/rootfs/kept" 2>&1)" \
	"written ls: cannot access '$B/rootfs/kept': No such file or directory" \
	'with what it wrote and deleted'
on_store umount "$B/rootfs"
on_store remove above
on_store view look two
on_store mount look "$B/rootfs"
is "$(cat "$B/rootfs/kept" "$B/rootfs/changed" | tr '\n' ' ')" 'base second ' \
	'and the layer below is as it was'
on_store umount "$B/rootfs"
on_store remove look
[ "$(on_store --json usage three | jq .bytes)" -gt \
	"$(stat -c %s "$(command -v busybox)")" ]
result $? 'usage counts all files of a layer'

# ---- shale-hook ----

jq -n --arg store "$S" --arg native "$native" '{root: $store,
	snapshotter: $native, policy: [{user: "root", parents: [""],
	onstop: ["remove", "commit"], commit_prefix: "out/"}]}' \
	>"$T/shale.json"
chmod 644 "$T/shale.json"
with_config='hook("STAGE"; ["--config", $T + "/shale.json"])
	| hook("poststop"; ["--config", $T + "/shale.json"])'

for stage in prestart createRuntime createContainer; do
	hooks=${with_config/STAGE/$stage}
	bundle "in-$stage" "$look" 'parent("two") | '"$hooks"
	run runc run --bundle "$B" "in-$stage"
	is "$status $out$err" '0 base
second
second
second
fs rw' "$stage: runc sees the layers as one"
	is "$(keys)" '' "$stage: and its key is removed"
	run runc delete --force "in-$stage"
done
hooks=${with_config/STAGE/prestart}
bundle author "$look" 'parent("two") | '"$hooks"'
	| annotate("onstop"; "commit=out/1")'
run runc run --bundle "$B" author
is "$status$(keys)" 0 'a container may be committed when it stops'
ok 'and the layer is there' has out/1
bundle viewer 'cat /written; (: >/new) 2>&1 | grep -o Read-only' \
	'parent("out/1") | annotate("kind"; "view") | .root.readonly = true | '"$hooks"
run runc run --bundle "$B" viewer
is "$status $out$err" '0 written
Read-only' 'a view of it is read-only'

umount "$T/over"
done_testing
