#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is synced, and when, at each level of durability: as shale-store(5)
# says, seen in the system calls and their order.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154 # lib.sh sets them
. "$(dirname "$0")/lib.sh"
needs strace mkfs.ext4 mkfs.xfs mkfs.btrfs

# What looks for leaks at the end of a program can't while that is traced.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

# calls LEVEL ARGS...: the calls that succeeded, each with the last name of
# what is synced, and ID for an ID
calls()
{
	printf '{"durability": "%s"}\n' "$1" >"$T/shale.json"
	chmod 600 "$T/shale.json"
	run strace -f -z -y -e trace=syncfs,fsync,renameat2 -o "$T/trace" \
		"$shale" --config "$T/shale.json" --root "$S" "${@:2}"
	[ "$status" -eq 0 ] || diag "$err"
	sed -nE 's/.*(syncfs|fsync)\(.*\/([^/]*)>\) += 0$/\1 \2/p
		s/.*(renameat2)\(.*= 0$/\1/p' "$T/trace" |
		sed -E 's/[0-9a-f]{32}/ID/' | paste -sd ,
}

# synced 'FS, LEVEL' WANT ARGS...
synced()
{
	is "$(calls "${1#*, }" "${@:3}")" "$2" "$1: $3 does: ${2:-no sync}"
}

# what_is_synced FS [ordered]: on a file system of its own, at $T/FS
what_is_synced()
{
	local level make remove label file commit empty
	for level in none layer all; do
		S=$T/$1/$level
		calls "$level" prepare first >/dev/null
		make=renameat2 remove=renameat2 label=
		if [ "$level" = all ]; then
			make='fsync ID,renameat2,fsync active'
			remove='renameat2,fsync active'
			label='fsync ID'
		fi
		# All that is in it, then its facts, and only then its name.
		commit='syncfs fs,fsync ID,renameat2,fsync snapshots,fsync active'
		empty=${commit/syncfs fs/fsync fs}
		# One journal, in which all comes in its order.
		if [ "${2:-}" = ordered ]; then
			make=${make#fsync ID,}
			commit='syncfs fs,renameat2,fsync snapshots'
			empty='renameat2,fsync snapshots'
		fi
		[ "$level" != none ] || commit=renameat2 empty=renameat2
		file=$(ls -d "$S"/active/*/fs)/file
		echo hello >"$file"
		synced "$1, $level" "$commit" commit base first
		synced "$1, $level" "$make" prepare k base
		synced "$1, $level" "$make" view v base
		synced "$1, $level" "$label" label k a=b
		synced "$1, $level" "$remove" remove v
		synced "$1, $level" "$empty" commit other k
		synced "$1, $level" "${remove/active/snapshots}" delete other
	done
}

# on_fs FS HOW MKFS-OPTION...
on_fs()
{
	on_loop "$1" 320M "${@:3}"
	what_is_synced "$1" "$2"
	umount "$T/$1"
	rm "$T/$1.img"
}

on_fs ext4 ordered
on_fs xfs ordered
on_fs btrfs apart
on_fs ext4 apart -O ^has_journal
done_testing
