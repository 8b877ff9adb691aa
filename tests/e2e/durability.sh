#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is synced, and when, at each level of durability: as shale-store(5)
# says, seen in the system calls and their order.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154 # lib.sh sets them
. "$(dirname "$0")/lib.sh"
needs strace

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

# synced LEVEL WANT ARGS...
synced()
{
	is "$(calls "$1" "${@:3}")" "$2" "$1: $3 does: ${2:-no sync}"
}

for level in none layer all; do
	S=$T/$level
	calls "$level" prepare first >/dev/null
	case $level in
	none) commit=renameat2 make=renameat2 remove=renameat2 label= ;;
	layer) make=renameat2 remove=renameat2 label= ;;
	all)
		make='fsync ID,renameat2,fsync active'
		remove='renameat2,fsync active'
		label='fsync ID'
		;;
	esac
	# All that is in it, then its facts, and only then its name.
	[ "$level" = none ] || commit='syncfs fs,fsync ID,renameat2'
	[ "$level" = none ] || commit+=',fsync snapshots,fsync active'
	synced $level "$commit" commit base first
	synced $level "$make" prepare k base
	synced $level "$make" view v base
	synced $level "$label" label k a=b
	synced $level "$remove" remove k
	synced $level "$remove" remove v
	synced $level "${remove/active/snapshots}" delete base
done
done_testing
