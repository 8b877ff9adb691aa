#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Kernels that lack a system call, each taken away from shale and shale-hook
# by a filter while the runtime keeps it: what can work works, what can't says
# which call it misses.  KERNELS in shale(1) has the table.
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
needs_root
needs runc jq busybox
own_run
deny=$(dirname "$STAGE")/deny
[ -x "$deny" ] || skip_all "needs $deny (make check builds it)"
"$deny" fsopen true || skip_all 'filters of system calls do not work here'

store store
mkdir "$T/mnt"
real_shale=$shale real_hook=$hook

# without CALL: from now on $shale and $hook lack it
without()
{
	call=$1
	mkdir "$T/no-$call"
	for program in "$real_shale" "$real_hook"; do
		printf '#!/bin/sh\nexec "%s" %s "%s" "$@"\n' "$deny" "$call" \
			"$program" >"$T/no-$call/${program##*/}"
	done
	chmod +x "$T/no-$call"/*
	shale=$T/no-$call/${real_shale##*/}
	hook=$T/no-$call/${real_hook##*/}
}

# by_hand: all that the command does, which needs none of the calls
by_hand()
{
	ok "$call: prepare" on_store prepare k two
	ok "$call: mount" on_store mount k "$T/mnt"
	is "$(cat "$T/mnt/changed" "$T/mnt/kept")" $'second\nbase' \
		"$call: both layers are seen"
	echo "$call" >"$T/mnt/written"
	refuses "$call: a second mount is refused" 'an overlay is mounted' \
		on_store mount k "$T/mnt"
	refuses "$call: a commit of what is mounted is refused" \
		'an overlay is mounted on it' on_store commit "c-$call" k
	ok "$call: umount" on_store umount "$T/mnt"
	ok "$call: commit" on_store commit "c-$call" k
	ok "$call: view of one layer" on_store view v base
	ok "$call: its mount" on_store mount v "$T/mnt"
	ok "$call: it is read-only" grep -q " $T/mnt ro," /proc/self/mountinfo
	ok "$call: its umount" on_store umount "$T/mnt"
	ok "$call: remove" on_store remove v
	ok "$call: view of three layers" on_store view v "c-$call"
	ok "$call: its mount" on_store mount v "$T/mnt"
	is "$(cat "$T/mnt/written")" "$call" "$call: it has what was written"
	ok "$call: its umount" on_store umount "$T/mnt"
	ok "$call: remove" on_store remove v
}

# container: runs one on `two`
container()
{
	bundle "$call" 'cat /changed /kept; echo x >/new' \
		'parent("two") | hook("prestart") | hook("poststop")'
	run runc run --bundle "$B" "$call"
}

sees_both()
{
	container
	is "$status $out" $'0 second\nbase' "$call: a container on both layers"
	is "$(active_keys)" '' "$call: and nothing is left"
}

# does_not_run REGEX: it is refused
does_not_run()
{
	container
	refused "$call: a container is refused" "$1"
	is "$(active_keys)" '' "$call: and nothing is left"
}

# below RUNTIME-OPTION...: a container by shale-runtime, which its runtime
# inherits the filter of
below()
{
	bundle "below-$call" 'cat /changed /kept; echo x >/new' 'parent("two")'
	run limited "$deny" "$call" "$shale_runtime" --shale-runtime-path runc \
		--shale-root "$S" --root "$T/runc" run --bundle "$B" \
		"below-$call"
}

# podman_asks: what precreate gives to podman
podman_asks()
{
	local id
	id=$(printf '%064d' 7)
	printf '{"root": {"path": "/x"}, "linux": {"cgroupsPath": "/%s"},
		"annotations": {"org.shale.parent": "two"}}' "$id" >"$T/given"
	status=0
	"$hook" --root "$S" precreate <"$T/given" >"$T/taken" 2>"$T/why" ||
		status=$?
	err=$(cat "$T/why")
	printf '{"ociVersion": "1", "id": "%s", "status": "stopped",
		"bundle": "/"}' "$id" | "$hook" --root "$S" poststop
}

other_doors()
{
	below
	is "$status $out" $'0 second\nbase' "$call: shale-runtime"
	podman_asks
	is "$status" 0 "$call: precreate"
	is "$(active_keys)" '' "$call: and nothing is left"
}

no_other_door()
{
	below
	refused "$call: shale-runtime is refused" "$1"
	podman_asks
	refused "$call: precreate is refused" "$1"
	is "$(active_keys)$(ls /run/shale/runtime /run/shale/precreate)" \
		"/run/shale/precreate:

/run/shale/runtime:" "$call: and nothing is left"
}

# mapped WHY: what a container with a user namespace gets; "" for that
mapped()
{
	local -a maps=(--label org.shale.uidmap=0:100000:65536
		--label org.shale.gidmap=0:100000:65536)
	ok "$call: prepare with a mapping" on_store prepare "${maps[@]}" m two
	if [ -n "$1" ]; then
		refuses "$call: its mount is refused" "$1" \
			on_store mount m "$T/mnt"
	else
		ok "$call: its mount" on_store mount m "$T/mnt"
		is "$(stat -c %u "$T/mnt/kept")" 100000 "$call: is mapped"
		umount "$T/mnt"
	fi
	on_store remove m
	echo "{\"root\": \"$S\", \"slow_chown\": true}" >"$T/slow.json"
	ok "$call: prepare with slow_chown" "$shale" --config "$T/slow.json" \
		prepare "${maps[@]}" m two
	ok "$call: its mount" "$shale" --config "$T/slow.json" \
		mount m "$T/mnt"
	is "$(stat -c %u "$T/mnt/kept")" 100000 "$call: is mapped"
	umount "$T/mnt"
	on_store remove m
}

without fsopen
by_hand
sees_both
other_doors
mapped ''
without move_mount
by_hand
does_not_run 'no move_mount\(2\) here \(Linux 5\.2\).*shale mount KEY DIR'
no_other_door 'no move_mount\(2\) here \(Linux 5\.2\).*shale mount KEY DIR'
mapped 'no move_mount\(2\) here \(Linux 5\.2\).*slow_chown'
without open_tree
by_hand
sees_both
other_doors
mapped 'no open_tree\(2\) here \(Linux 5\.2\).*slow_chown'
without fsopen,open_tree
by_hand
does_not_run 'no open_tree\(2\) here.*Linux 5\.2'
without openat2
by_hand
does_not_run 'no openat2\(2\) here \(Linux 5\.6\).*shale mount KEY DIR'
no_other_door 'no openat2\(2\) here \(Linux 5\.6\).*shale mount KEY DIR'
mapped ''
without mount_setattr
by_hand
sees_both
other_doors
mapped 'no mount_setattr\(2\) here \(Linux 5\.12\).*slow_chown'
without fsopen,open_tree,move_mount,openat2,mount_setattr
by_hand
done_testing
