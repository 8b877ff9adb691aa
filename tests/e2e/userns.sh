#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Containers in user namespaces: each sees the owners of the same unmodified
# layers as its own, and what it writes is on disk as it calls the owners.
# shellcheck disable=SC2016,SC2317
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
needs runc jq busybox mkfs.ext4 mkfs.xfs mkfs.btrfs setcap getcap

# A mapped root has to reach its bundle, whoever made the build's directories.
setpriv --reuid 100000 --regid 100000 --clear-groups test -x "$T" ||
	skip_all "a mapped root can't reach $T"

# ---- mappings ----

# Two containers of one range each, and one of several, of which the second
# gives 1000 another place than the sum would.
one=0:100000:65536
other=0:300000:65536
several=0:500000:1000,1000:700000:10,2000:600000:1000

# jq: a user namespace with the mapping that is in the environment
userns_jq='def userns($map): [$map | split(",")[] | split(":") |
		{containerID: .[0] | tonumber, hostID: .[1] | tonumber,
		size: .[2] | tonumber}] as $list
	| .linux.namespaces += [{type: "user"}]
	| .linux.uidMappings = $list | .linux.gidMappings = $list
	| .process.capabilities[] += ["CAP_CHOWN", "CAP_DAC_OVERRIDE",
		"CAP_FOWNER", "CAP_FSETID", "CAP_SETFCAP", "CAP_SETGID",
		"CAP_SETUID"];
'

# mapped NAME MAP SCRIPT [JQ]: as bundle, in a user namespace, with hooks
mapped()
{
	bundle "$1" "$3" "$userns_jq"'parent("base") | userns("'"$2"'")
		| hook("'"${stage:-prestart}"'") | hook("poststop")
		| '"${4:-.}"
	# The runtime makes its mount points there before any hook.
	chown -R "$(root_of "$2")" "$B/rootfs"
}

# root_of MAP: UID:GID of its root outside
root_of()
{
	local rest=${1#0:}
	echo "${rest%%:*}:${rest%%:*}"
}

# ---- what the layers hold ----

fill_plain()
{
	fill_base &&
		mkdir own &&
		echo user >own/user &&
		chown -R 1000:1000 own &&
		echo secret >own/secret &&
		chmod 600 own/secret &&
		chown 2000:2000 own/secret &&
		cp bin/busybox bin/suid &&
		chmod 4755 bin/suid
}

fill_owned()
{
	fill_plain &&
		cp "$T/tell" bin/tell-suid &&
		chmod 4755 bin/tell-suid &&
		cp "$T/tell" bin/tell-capable &&
		setcap cap_net_raw+ep bin/tell-capable
}

# Owner and mode of some files as a container, or the host, sees them.
owners='stat -c "%n %u:%g %a" / /bin/busybox /bin/suid /own /own/user \
	/own/secret'
owned='/ 0:0 755
/bin/busybox 0:0 755
/bin/suid 0:0 4755
/own 1000:1000 755
/own/user 1000:1000 644
/own/secret 2000:2000 600'

writes='echo new >/new; echo more >>/own/user; rm /kept; mkdir /d
	chown 1000:1000 /d; echo x >/d/x; chown 2000:2000 /d/x; mv /etc /etc2
	chmod u+s /new; ln -s new /link'

# upper_owners KEY: what KEY wrote, with the owners on disk
upper_owners()
{
	(cd "$(dirname "$(find "$S/active" -path '*/fs/new')")" &&
		stat -c '%n %u:%g %a %F' . new own own/user kept d d/x link)
}

upper_owned='. 0:0 755 directory
new 0:0 4644 regular file
own 1000:1000 755 directory
own/user 1000:1000 644 regular file
kept 0:0 0 character special file
d 1000:1000 755 directory
d/x 2000:2000 644 regular file
link 0:0 777 symbolic link'

# ---- one container ----

sees_own_ids()
{
	label="$1 $2 $stage: "
	mapped "$3" "$2" "$owners; id -u; $writes" 'key("k")
		| annotate("onstop"; "keep")
		| .hooks[][].env += ["SHALE_MOUNT_ENGINE='"$1"'"]'
	run runc run --bundle "$B" "$3"
	is "$out" "$owned
0" "${label}it sees its own ids"
	is "$status$err" 0 "${label}it can write"
	is "$(upper_owners)" "$upper_owned" "${label}as it calls them on disk"
	ok "${label}remove" on_store remove k
}

# ---- several containers ----

# container NAME: background; says what it sees, then waits to be killed
starts()
{
	mapped "$1" "$2" "$owners"' >/seen; echo "'"$1"'" >/new
		chown 1000:1000 /new; while :; do sleep 0.1; done'
	ok "$1 is created" runc create --bundle "$B" "$1"
	ok "$1 starts" runc start "$1"
}

# seen NAME: what it wrote into /seen, once it has written /new
seen()
{
	local n
	for ((n = 0; n < 100; n++)); do
		runc exec "$1" /bin/sh -c '[ "$(stat -c %u /new)" = 1000 ]' \
			>"$T/exec.out" 2>&1 && break
		sleep 0.05
	done
	runc exec "$1" /bin/cat /seen
}

three_at_once()
{
	local name
	starts one "$one"
	starts other "$other"
	starts several "$several"
	for name in one other several; do
		is "$(seen $name)" "$owned" "$name sees its own ids"
		is "$(cd "$S/active/$(printf %s $name | sha256sum |
			cut -c -32)/fs" && stat -c '%u:%g' new && cat new)" \
			"1000:1000
$name" "$name writes what it calls 1000 as 1000"
	done
	for name in one other several; do
		ok "$name is deleted" runc delete --force "$name"
	done
	nothing_left "nothing is left of three containers"
}

# ---- what becomes of it ----

committed_for_everybody()
{
	stage=prestart
	mapped writer "$one" "$writes" 'key("w")
		| annotate("onstop"; "commit=written")'
	ok "a container in a user namespace writes and is committed" \
		runc run --bundle "$B" writer
	bundle plain 'stat -c "%n %u:%g %a" / /new /own /own/user /d /d/x \
		/bin/suid; cat /own/user; ls /kept' 'parent("written")
		| hook("prestart") | hook("poststop")'
	run runc run --bundle "$B" plain
	is "$out" '/ 0:0 755
/new 0:0 4644
/own 1000:1000 755
/own/user 1000:1000 644
/d 1000:1000 755
/d/x 2000:2000 644
/bin/suid 0:0 4755
user
more' "a container without one reads the layer with those owners"
	mapped reader "$several" 'stat -c "%n %u:%g" /new /d /d/x' \
		'parent("written")'
	run runc run --bundle "$B" reader
	is "$out" $'/new 0:0\n/d 1000:1000\n/d/x 2000:2000' \
		"and so does one with another mapping"
	nothing_left "nothing is left but the layer"
}

kept_for_the_same()
{
	mapped keeper "$one" 'echo x >>/count; wc -l </count' \
		'annotate("onstop"; "keep")'
	run runc run --bundle "$B" keeper
	run runc run --bundle "$B" keeper
	is "$out$err" 2 "a key that is kept is adopted at the next start"
	mapped keeper "$other" 'wc -l </count' 'annotate("onstop"; "keep")'
	refuses "but not with another mapping" "another user namespace" \
		runc run --bundle "$B" keeper
	bundle keeper 'wc -l </count' 'parent("base")
		| annotate("onstop"; "keep") | hook("prestart")'
	chown 0:0 "$B/rootfs"
	refuses "nor without one" "another user namespace" \
		runc run --bundle "$B" keeper
	ok "remove" on_store remove keeper
}

privileges()
{
	mapped privileges "$several" '/bin/tell-suid; /bin/tell-capable' \
		'.process.user = {uid: 1000, gid: 1000}
		| .process.noNewPrivileges = false
		| .process.capabilities = {bounding: ["CAP_NET_RAW"]}'
	run runc run --bundle "$B" privileges
	is "$out$err" 'uid 0
CapEff:	0000000000002000
uid 1000
CapEff:	0000000000002000' \
		"a setuid bit and a file's capabilities work in there"
}

views_of()
{
	local parent
	for parent in base top; do
		mapped view "$one" "$owners"'; echo x >/x' \
			'parent("'$parent'") | annotate("kind"; "view")'
		run runc run --bundle "$B" view
		is "$out" "$owned" "a view of $parent has its own ids"
		like "$err" 'Read-only' "a view of $parent is read-only"
		nothing_left "a view of $parent leaves nothing"
	done
}

# ---- other ways to the same ----

# The door before all others: no hook knows of it.
by_hand()
{
	local engine=$1
	ok "$engine: prepare with a mapping" on_store prepare hand base \
		--label "org.shale.uidmap=$several" \
		--label "org.shale.gidmap=$several"
	bundle hand "$owners; $writes" "$userns_jq"'userns("'"$several"'")'
	ok "$engine: mount" env SHALE_MOUNT_ENGINE="$engine" "$shale" \
		--root "$S" mount hand "$B/rootfs"
	run runc run --bundle "$B" hand
	is "$out$err" "$owned" "$engine: a container on it sees its own ids"
	is "$(upper_owners)" "$upper_owned" "$engine: and they are on disk"
	run touch "$B/rootfs/host"
	refused "$engine: the host's root owns nothing in there" 'too large'
	ok "$engine: umount" on_store umount "$B/rootfs"
	ok "$engine: remove" on_store remove hand
}

# A namespace that was there before: only /proc tells what it maps.
joined_namespace()
{
	local pid path
	mapped holder "$other" 'while :; do sleep 0.1; done'
	ok "a container is created" runc create --bundle "$B" holder
	pid=$(runc state holder | jq .pid)
	path="| (.linux.namespaces[] | select(.type == \"user\")).path =
		\"/proc/$pid/ns/user\""
	mapped joiner "$other" "$owners" ".$path"
	run runc run --bundle "$B" joiner
	is "$out$err" "$owned" "one that joins its user namespace sees the same"
	mapped joiner "$one" "$owners" ".$path"
	chown -R "$(root_of "$other")" "$B/rootfs"
	refuses "and is refused with a mapping that is not that one's" \
		'not those of config.json' runc run --bundle "$B" joiner
	ok "delete" runc delete --force holder
	nothing_left "a shared user namespace leaves nothing"
}

# What the runtime could not make before the hook, the hook makes for it.
mount_points()
{
	echo host >"$T/host.conf"
	mapped points "$one" 'stat -c %u:%g /data /data/sub; cat /data/sub/f' \
		'key("p") | annotate("onstop"; "keep")
		| bind("/data/sub/f"; $T + "/host.conf")'
	run runc run --bundle "$B" points
	is "$out$err" $'0:0\n0:0\nhost' "mount points belong to its root"
	is "$(cd "$S/active"/*/fs && stat -c %u:%g data)" 0:0 \
		"mount points belong to root on disk"
	ok "remove" on_store remove p
}

deep()
{
	local depth n=1 parent=base
	for depth in 10 120; do
		for ((; n < depth; n++)); do
			on_store prepare "making $n" "$parent" &&
				on_store commit "$n" "making $n" || exit 99
			parent=$n
		done >/dev/null
		for engine in fsmount libmount; do
			mapped deep "$several" "$owners"'; echo x >/x' '
				.hooks[][].env +=
					["SHALE_MOUNT_ENGINE='$engine'"]
				| parent("'"$parent"'")'
			run runc run --bundle "$B" deep
			is "$out$err" "$owned" "$engine: $depth layers"
		done
	done
}

on_file_system()
{
	local fs=$1 mkfs=$2 dir=$T/$1
	mkdir "$dir"
	if [ "$fs" = tmpfs ]; then
		mount -t tmpfs tmpfs "$dir"
	else
		truncate -s 320M "$dir.img"
		$mkfs "$dir.img" >"$T/mkfs.out" 2>&1
		mount -o loop "$dir.img" "$dir"
	fi || exit 99
	S=$dir/store
	layer base '' fill_owned
	for engine in fsmount libmount; do
		sees_own_ids "$engine" "$several" "on-$fs"
	done
	umount "$dir"
}

# ramfs has no idmapped mounts, whatever the kernel.
without_idmapped_mounts()
{
	local dir=$T/ramfs name map config=$T/slow.json
	mkdir "$dir" && mount -t ramfs ramfs "$dir" || exit 99
	S=$dir/store
	echo '{"any_filesystem": true}' >"$T/fast.json"
	echo '{"any_filesystem": true, "slow_chown": true}' >"$config"
	fast() { "$shale" --config "$T/fast.json" --root "$S" "$@"; }
	slow() { "$shale" --config "$config" --root "$S" "$@"; }
	fast prepare new >/dev/null && (cd "$S"/active/*/fs && fill_plain) &&
		fast commit base new >/dev/null || exit 99

	ok "prepare needs no idmapped mounts" fast prepare hand base \
		--label "org.shale.uidmap=$one" --label "org.shale.gidmap=$one"
	refuses "a mount does, and names the file system" \
		'ramfs, is not known to have idmapped mounts.*slow_chown' \
		fast mount hand "$B/rootfs"
	ok "remove" fast remove hand
	for name in one other; do
		map=${!name}
		ok "slow_chown: prepare" slow prepare "$name" base \
			--label "org.shale.uidmap=$map" \
			--label "org.shale.gidmap=$map"
		# It has no attributes either, as a moved directory wants.
		bundle "slow-$name" "$owners; ${writes/mv \/etc \/etc2/:}" \
			"$userns_jq"'userns("'"$map"'")'
		ok "slow_chown: mount" slow mount "$name" "$B/rootfs"
		run runc run --bundle "$B" "slow-$name"
		is "$out$err" "$owned" "slow_chown: $name sees its own ids"
		ok "slow_chown: umount" on_store umount "$B/rootfs"
	done
	is "$(stat -c %u "$S"/snapshots/*/fs/bin/suid)" 0 \
		"slow_chown: the layer is as it was"
	is "$(find "$S/mapped" -name suid -printf '%u %m\n' | sort)" \
		$'100000 4755\n300000 4755' "slow_chown: and has two copies"
	is "$(find "$S/active" -path '*/fs/d/x' -printf '%U:%G\n' | sort)" \
		$'102000:102000\n302000:302000' \
		"slow_chown: the uppers have the owners outside"
	ok "slow_chown: remove" slow remove one
	ok "slow_chown: commit" slow commit written other
	is "$(cd "$(dirname "$(find "$S/snapshots" -path '*/fs/new')")" &&
		stat -c '%n %u:%g %a %F' . new own own/user kept d d/x \
			link)" "$upper_owned" \
		"slow_chown: a commit has the owners inside"
	ok "slow_chown: delete" slow delete written
	ok "slow_chown: delete" slow delete base
	is "$(find "$S/mapped" -name suid)" '' \
		"slow_chown: the copies go with the layer"
	umount "$dir"
}

"${CC:-cc}" -static -x c -o "$T/tell" - <<'END' || exit 99
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");

	printf("uid %d\n", (int)geteuid());
	while (status && fgets(line, sizeof(line), status))
		if (!strncmp(line, "CapEff:", 7))
			fputs(line, stdout);
	return 0;
}
END
S=$T/s1
layer base '' fill_owned
layer top base touch top
before=$(listing "$S/snapshots")
for stage in prestart createRuntime; do
	for engine in fsmount libmount; do
		sees_own_ids "$engine" "$one" "c-$stage"
		sees_own_ids "$engine" "$several" "c-$stage"
	done
done
three_at_once
kept_for_the_same
privileges
views_of
by_hand fsmount
by_hand libmount
joined_namespace
mount_points
is "$(listing "$S/snapshots")" "$before" "the layers are as they were"
committed_for_everybody
deep
on_file_system ext4 'mkfs.ext4 -q'
on_file_system xfs 'mkfs.xfs -q'
on_file_system btrfs 'mkfs.btrfs -q'
on_file_system tmpfs ''
without_idmapped_mounts
done_testing
