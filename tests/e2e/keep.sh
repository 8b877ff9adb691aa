#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shale commit --keep of a container that goes on writing: what it writes is
# whole in each copy, equal to the merged view when it is paused or frozen, and
# shared with the upper where the file system can.
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
needs_root
needs runc jq busybox mkfs.xfs mkfs.btrfs mkfs.ext4 filefrag

# A container that never rests: a counter replaced by rename, a log that
# grows, hard links and names that come and go.
# shellcheck disable=SC2016
writer='mkdir -p /w/d; i=0
while :; do
	i=$((i + 1))
	for n in 1 2 3 4 5 6 7 8; do echo "$i"; done >/w/new
	mv /w/new /w/counter
	echo "line $i" >>/w/log
	ln -f /w/counter "/w/d/$((i % 5))"
	rm -f "/w/d/$(((i + 2) % 5))"
	[ -e /w/old ] && rm -r /w/old || cp -a /w/d /w/old
	rm -f /changed; [ $((i % 2)) = 0 ] || echo "$i" >/changed
done'

# looks_whole DIR: counter and log of a copy
# shellcheck disable=SC2317 # it is called by name
looks_whole()
{
	local lines
	[ "$(sort -u "$1/w/counter" | wc -l)" = 1 ] &&
		[ "$(wc -l <"$1/w/counter")" = 8 ] &&
		lines=$(wc -l <"$1/w/log") && [ "$lines" -gt 0 ] &&
		[ "$(seq -f 'line %.0f' "$lines" | sha256sum)" = \
			"$(sha256sum <"$1/w/log")" ]
}

# viewed NAME COMMAND...: with the merged view of NAME on $T/view
viewed()
{
	local name=$1 code=0
	shift
	mkdir -p "$T/view"
	on_store view "seen $name" "$name" >/dev/null &&
		on_store mount "seen $name" "$T/view" >/dev/null || return
	"$@" || code=$?
	on_store umount "$T/view" >/dev/null &&
		on_store remove "seen $name" >/dev/null && return "$code"
}

# keep_all FS: twenty times while it writes
keep_all()
{
	local fs=$1 n bad=''
	for ((n = 1; n <= 20; n++)); do
		run on_store commit --keep "$fs $n" web
		[ "$status" -eq 0 ] || bad="$n: $err"
		viewed "$fs $n" looks_whole "$T/view" || bad="$bad $n: torn"
	done
	is "$bad" '' "$fs: each of 20 copies of a running container is whole"
	[ "$(viewed "$fs 1" wc -l "$T/view/w/log" | cut -d' ' -f1)" -lt \
		"$(viewed "$fs 20" wc -l "$T/view/w/log" | cut -d' ' -f1)" ]
	result $? "$fs: it went on writing meanwhile"
}

# kept FS SIZE: all of it on one file system, with a large file of that size
kept()
{
	local fs=$1 size=$2
	S=$T/$fs/store
	layer base '' fill_base
	on_store prepare web base >/dev/null
	bundle "$fs" "$writer"
	ok "$fs: it is mounted" on_store mount web "$B/rootfs"
	mkdir "$B/rootfs/odd"
	ok "$fs: an upper with one of everything" tree make "$B/rootfs/odd"
	head -c "$size" /dev/urandom >"$B/rootfs/large"
	run runc run --detach --bundle "$B" "$fs"
	is "$status" 0 "$fs: it runs"
	ok "$fs: it writes" timeout 10 sh -c \
		"until [ -s '$B/rootfs/w/log' ] && [ -e '$B/rootfs/w/counter' ]
		do sleep 0.02; done"
	refuses "$fs: a commit without --keep is refused" 'mounted' \
		on_store commit torn web
	keep_all "$fs"
	ok "$fs: it is paused" runc pause "$fs"
	ok "$fs: and kept" on_store commit --keep paused web
	ok "$fs: the copy equals what the container sees" viewed paused \
		tree merged "$B/rootfs" "$T/view"
	ok "$fs: it goes on" runc resume "$fs"
	frozen "$fs"
	runc kill "$fs" KILL
	ok "$fs: it ends" timeout 10 sh -c \
		"until runc --root '$T/runc' delete '$fs'; do sleep 0.05; done"
	ok "$fs: it is unmounted" on_store umount "$B/rootfs"
	ok "$fs: and committed at last" on_store commit last web
	is "$(ls -A "$S/staging")$(ls -A "$S/trash")" '' \
		"$fs: nothing is left over"
}

# frozen FS: by shale itself, found by the label that hooks write
frozen()
{
	local fs=$1 pid start
	pid=$(runc state "$fs" | jq .pid)
	start=$(sed 's/.*) //' "/proc/$pid/stat" | cut -d' ' -f20)
	on_store label web "org.shale.user=$pid $start $(
		cat /proc/sys/kernel/random/boot_id) $fs" >/dev/null
	ok "$fs: --freeze stops it for a copy" \
		on_store commit --keep --freeze frozen web
	ok "$fs: which is whole" viewed frozen looks_whole "$T/view"
	is "$(runc state "$fs" | jq -r .status)" running \
		"$fs: it runs again afterwards"
}

# no_room: a copy that does not fit is no copy
no_room()
{
	S=$T/small/store
	mkdir "$T/small.mnt"
	on_store prepare web >/dev/null
	on_store mount web "$T/small.mnt" >/dev/null
	head -c 24M /dev/urandom >"$T/small.mnt/large"
	sync -f "$T/small"
	before=$(listing "$S" | grep -v '^staging ')
	refuses 'no room: refused' 'No space left' \
		on_store commit --keep copy web
	is "$(listing "$S" | grep -v '^staging ')" "$before" \
		'no room: and nothing has changed'
	on_store umount "$T/small.mnt"
}

# killed: SIGKILL while it copies leaves what cleanup removes
killed()
{
	local n pid
	S=$T/ext4/store
	on_store prepare victim >/dev/null
	id=$(printf victim | sha256sum | cut -c1-32)
	for ((n = 0; n < 300; n++)); do
		head -c 100K /dev/zero | tr '\0' x >"$S/active/$id/fs/$n"
	done
	for n in 1 2 3 4 5 6 7 8; do
		"$shale" --root "$S" commit --keep "victim $n" victim \
			>/dev/null 2>&1 &
		pid=$!
		sleep "0.0$n"
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
		ok "killed $n: the store is whole" on_store exists victim
		ok "killed $n: cleanup" on_store cleanup
		is "$(ls -A "$S/staging")" '' "killed $n: nothing is left"
		if has "victim $n"; then
			ok "killed $n: committed, it has all" test -s \
				"$S/snapshots/$(printf 'victim %s' "$n" |
					sha256sum | cut -c1-32)/fs/299"
		fi
	done
	on_store remove victim
}

on_loop ext4 256M
on_loop xfs 512M
on_loop btrfs 512M
kept ext4 1M
kept xfs 16M
kept btrfs 16M
for fs in xfs btrfs; do
	S=$T/$fs/store
	layers=("$S"/snapshots/*/fs/large)
	unshared=0
	for layer in "${layers[@]}"; do
		filefrag -v "$layer" | grep -q shared || unshared=1
	done
	is "$unshared ${#layers[@]}" '0 23' \
		"$fs: the large file of all copies is shared"
done
killed
mkdir "$T/small"
mount -t tmpfs -o size=40M none "$T/small"
no_room
done_testing
