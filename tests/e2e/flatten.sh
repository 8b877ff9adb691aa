#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shale flatten: what one layer shows is what the chain showed, on each file
# system, and a container runs on it.
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
needs_root
needs runc jq busybox mkfs.xfs mkfs.btrfs mkfs.ext4 getfattr

# shellcheck disable=SC2317 # it is called by name
fill_odd()
{
	mkdir odd && tree make odd && ln bin/busybox odd/busybox
}

# shellcheck disable=SC2317 # it is called by name
change_odd()
{
	rm -r odd/opaque && mkdir odd/opaque && echo new >odd/opaque/new &&
		rm odd/fifo odd/hard && echo more >>odd/large &&
		mv odd/sticky/file odd/moved && chmod 700 odd/other
}

# flat FS: a chain of four on that file system
flat()
{
	local fs=$1
	on_loop "$fs" 512M
	store "$fs/store"
	layer odd two fill_odd
	layer changed odd change_odd
	ok "$fs: flatten" on_store flatten one changed --label a=b
	mkdir "$T/$fs.chain" "$T/$fs.one"
	on_store view chain changed && on_store mount chain "$T/$fs.chain"
	on_store view alone one && on_store mount alone "$T/$fs.one"
	ok "$fs: it shows what the chain shows" \
		tree merged "$T/$fs.chain" "$T/$fs.one"
	is "$(diff -r --no-dereference "$T/$fs.chain/etc" "$T/$fs.one/etc")" \
		'' "$fs: diff says so too"
	is "$(getfattr -Rhd -m 'overlay' "$T/$fs/store/snapshots/$(
		printf one | sha256sum | cut -c1-32)/fs" 2>/dev/null)" '' \
		"$fs: no attribute of overlayfs is in it"
	is "$("$shale" --root "$S" --json stat one | jq -c '[.parent, .labels]')" \
		'[null,{"a":"b"}]' "$fs: it has its label and no parent"
	on_store umount "$T/$fs.chain" && on_store umount "$T/$fs.one"
	on_store remove chain alone
	is "$(active_keys)" '' "$fs: no key is left"
	ok "$fs: the chain can go" on_store delete changed odd two base
	on_store prepare web one
	bundle "$fs" 'cat /changed /odd/opaque/new; ls /deleted'
	on_store mount web "$B/rootfs"
	run runc run --bundle "$B" "$fs"
	is "$out" 'second
new' "$fs: a container runs on it"
	on_store umount "$B/rootfs"
}

for fs in ext4 xfs btrfs; do
	flat "$fs"
done
refuses 'an unknown one is refused' "no such snapshot" \
	on_store flatten new nothing
refuses 'a taken name is refused' "'one' is taken" on_store flatten one one
refuses 'no parent can be given' 'does not belong here' \
	on_store flatten new one --parent one
done_testing
