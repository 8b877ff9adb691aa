#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images that want to lead a mount, a file or a directory out of the root, and
# a process that swaps their names meanwhile: through every door nothing
# outside is made, opened for writing or mounted on.  Canaries tell, and the
# system calls of each hook are read.
# shellcheck disable=SC2016,SC2119,SC2317
here=$(dirname "$0")
[ -n "${SHALE_ALONE:-}" ] || exec "$here/../alone" bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
needs runc crun jq busybox strace
own_run
[ "$(stat -fc %T /sys/fs/cgroup/unified 2>&1)" != cgroup2fs ] ||
	umount /sys/fs/cgroup/unified # crun refuses hybrid cgroups

# `run` leaves these.
: "${out:=}" "${err:=}" "${status:=0}"

if [ -n "${SHALE_LONG:-}" ]; then
	entries=1000000 turns=300
else
	entries=20000 turns=6
fi
levels=10000
runtime=$(in_stage shale-runtime "${bindir:-}" /usr/local/bin /usr/bin)
hostile=${builddir:-$STAGE/../..}/tests/hostile

# ---- what must not change ----

# Links that are absolute lead here, where they are followed on the host.
mount -t tmpfs canary /opt || exit 99
mkdir -p /opt/canary/sub
echo secret >/opt/canary/secret
: >/opt/canary/resolv.conf
mkdir "$T/outside"
echo secret >"$T/outside/secret"

canaries()
{
	find /opt "$T/outside" -printf '%p %y %i %m %U:%G %n %s %T@ %C@ %l\n' |
		sort
	sed 's/^[^ ]* //' /proc/self/mountinfo | sort
}

untouched()
{
	is "$(canaries)" "$before" "$1: nothing outside is touched"
}

# ---- what a hook asks the kernel for ----

changing=mkdir,mkdirat,mknod,mknodat,symlink,symlinkat,link,linkat,rename
changing+=,renameat,renameat2,unlink,unlinkat,rmdir,chmod,fchmodat,chown
changing+=,lchown,fchownat,truncate,setxattr,lsetxattr,removexattr,utimensat
mounting=mount,umount2,move_mount,open_tree,pivot_root,chroot
opening=open,creat,openat,openat2,open_by_handle_at
calls=$opening,$changing,$mounting

# escapes FILE: the calls of a trace that could reach what they should not.
# Names from an image go through openat2 below a root; what is changed is one
# name in an open directory, or ours; mounts go from descriptor to descriptor.
escapes()
{
	awk -v ours="$T/" -v stage="$STAGE/" \
		-v libdir="${libdir:-/usr/local/lib}/" '
	function is_ours(path) {
		return index(path, ours) == 1 || path ~ "^/run/shale(/|$)"
	}
	function is_read(path) {
		return is_ours(path) || index(path, stage) == 1 ||
			index(path, libdir) == 1 || # the linker looks there
			path ~ "^/(proc|lib|lib64|usr/lib|sys/fs/(cgroup|ext4))(/|$)" ||
			path ~ "^/etc/(ld\\.so|shale/|ssl/|nsswitch|passwd)" ||
			path ~ "^/(dev/null|run|)$"
	}
	{ line = $0; sub("^[0-9]+ +", "") }
	/^(\+\+\+|---|<\.\.\.)/ { next }
	{ call = $0; sub("[(].*", "", call); text = $0 }
	# Each directory with the name after it, as strace -y shows them.
	# Whether the call is there at all: of nothing to nowhere.
	text ~ "^move_mount[(]-1, \"\", -1, \"\", .* = -1 E(BADF|NOENT)" { next }
	# What a sanitizer reads of its own process.
	text ~ "^open[(]\"/proc/self/[a-z]+\", O_RDONLY[)]" { next }
	call == "move_mount" {
		if (text !~ "\"\", [0-9]+<[^>]*>, \"\", MOVE_MOUNT_F_EMPTY_PATH.MOVE_MOUNT_T_EMPTY_PATH")
			print line
		next
	}
	# The propagation of what a descriptor is on.
	text ~ "^mount[(]NULL, \"/proc/self/fd/[0-9]+\", NULL, MS_REC.MS_PRIVATE" {
		next
	}
	call ~ "^(mount|pivot_root|chroot|open|creat|open_by_handle_at)$" {
		print line
		next
	}
	call == "openat2" {
		if (text !~ "RESOLVE_(IN_ROOT|BENEATH)" ||
		    text !~ "RESOLVE_NO_MAGICLINKS")
			print line
		next
	}
	{
		changes = call != "openat" && call != "open_tree" ||
			text ~ "O_(CREAT|WRONLY|RDWR|TRUNC)"
		name = text
		sub("^[^\"]*\"", "", name)
		sub("\".*", "", name)
		if (call == "symlinkat") { # after what it says
			name = text
			sub(".*<[^>]*>, \"", "", name)
			sub("\".*", "", name)
		}
		if (name ~ "^/") {
			if (changes ? !is_ours(name) : !is_read(name))
				print line
		} else if (name ~ "/" || name == ".." ||
			   text ~ "^[a-z0-9]+[(]AT_FDCWD")
			print line
		else if (call == "openat" && name != "." &&
			 text !~ "O_NOFOLLOW" && text !~ "<(" ours "|/proc)")
			print line
	}' "$1"
}

# It must see what it is there for.
while read -r line; do
	echo "4711  $line" >"$T/forged"
	is "$(escapes "$T/forged")" "4711  $line" "would be seen: $line"
done <<'END'
openat(AT_FDCWD</>, "/etc/shadow", O_RDONLY) = 3</etc/shadow>
openat(AT_FDCWD</>, "/opt/canary/new", O_WRONLY|O_CREAT, 0644) = 3
openat(7</>, "etc/resolv.conf", O_RDONLY|O_CREAT|O_NOFOLLOW, 0644) = 3
openat(7</etc>, "resolv.conf", O_WRONLY|O_CREAT, 0644) = 3
mkdirat(7</>, "..", 0755) = -1 EEXIST (File exists)
mkdirat(AT_FDCWD</>, "/opt/canary/d", 0755) = 0
mkdir("/opt/canary/d", 0755) = 0
symlinkat("x", 7</>, "etc/x") = 0
unlinkat(7</>, "etc/x", 0) = 0
openat2(7</>, "etc", {flags=O_RDONLY|O_PATH, resolve=RESOLVE_NO_MAGICLINKS}, 24) = 8
openat2(7</>, "etc", {flags=O_RDONLY|O_PATH, resolve=RESOLVE_IN_ROOT}, 24) = 8
mount("/dev/x", "/opt/canary", "ext4", 0, NULL) = 0
move_mount(7</>, "", AT_FDCWD</>, "/opt/canary", MOVE_MOUNT_F_EMPTY_PATH) = 0
open_tree(AT_FDCWD</>, "/opt/canary", OPEN_TREE_CLONE) = 9
chmod("/opt/canary/secret", 0644) = 0
END

# traced STAGE, for bundle: a hook below strace
jq_prelude+='def traced($stage): .hooks[$stage] += [{path: $strace, args:
	["strace", "-f", "-y", "-s", "4096", "-e", "trace=" + $calls,
	"-o", $T + "/trace." + $stage, $hook, "--root", $store, $stage],
	env: hook_env(["ASAN_OPTIONS=detect_leaks=0"])}];'
jq_prelude=${jq_prelude//\$strace/\"$(type -P strace)\"}
jq_prelude=${jq_prelude//\$calls/\"$calls\"}

# ours_alone SENTENCE FILE...: no escape in the traces, which are whole
ours_alone()
{
	local sentence=$1 file found=
	shift
	for file; do
		grep -q 'exited with\|killed by' "$file" 2>/dev/null ||
			found+="no trace $file"
		found+=$(escapes "$file")
	done
	rm -f "$@"
	is "$found" '' "$sentence: no system call reaches outside"
}

# ---- the doors ----

# A container's words: what is mounted at its two places, and no secret.
look='cat /etc/resolv.conf /data/one/f; cat /opt/canary/secret /canary/secret \
	/etc/secret /data/secret; echo end'
mounts='| bind("/etc/resolv.conf"; $T + "/host.conf")
	| bind("/data/one"; $T + "/host.d")'
mkdir "$T/host.d"
echo from-host >"$T/host.conf"
echo from-dir >"$T/host.d/f"

# by_hook RUNTIME STAGE LAYER: leaves $status, $out, $err
by_hook()
{
	bundle "$1-$3" "$look" 'parent("'"$3"'") | traced("'"$2"'")
		| traced("poststop")'"$mounts"
	run "$1" run --bundle "$B" "$1-$3"
}

# by_runtime LAYER: the real runtime finds the root and mounts in it
by_runtime()
{
	bundle "below-$1" "$look" 'parent("'"$1"'")'"$mounts"
	run limited "$runtime" --shale-root "$S" \
		--shale-runtime-path "$(type -P runc)" --root "$T/runc" \
		run --bundle "$B" "below-$1"
}

# by_precreate LAYER: mounts on the host, and takes it down again
by_precreate()
{
	local id
	id=$(printf '%064d' 7)
	jq -cjn --arg id "$id" --arg parent "$1" '{ociVersion: "1.0.2-dev",
		process: {args: ["sh"], cwd: "/"}, root: {path: "/srv/empty"},
		linux: {cgroupsPath: ("/p/libpod-" + $id),
			namespaces: [{type: "mount"}]},
		annotations: {"org.shale.parent": $parent}}' >"$T/in"
	jq -n --arg id "$id" '{ociVersion: "1.0.2", $id, status: "stopped",
		bundle: $dir}' --arg dir "$T/gone" >"$T/state"
	run traced_by_hand precreate "$T/in"
	[ "$status" -ne 0 ] || run traced_by_hand poststop "$T/state"
}

traced_by_hand()
{
	ASAN_OPTIONS=detect_leaks=0 strace -f -y -s 4096 -e "trace=$calls" \
		-o "$T/trace.$1" "$hook" --root "$S" "$1" <"$2"
}

# ends_well SENTENCE REGEX: it ran (REGEX empty), or was refused with REGEX;
# and it saw no secret
ends_well()
{
	if [ -n "$2" ]; then
		refused "$1: refused" "$2"
		is "$out" '' "$1: nothing runs"
	else
		is "$status ${out//$'\n'/ }" '0 from-host from-dir end' \
			"$1: runs, with its mounts and no secret" ||
			diag "stderr: $err"
	fi
}

# What no door may hand to a runtime, which would make nodes where it leads.
fixed_link='^(proc|sys|dev) is a (loop|link)'

# below SENTENCE: after by_runtime, where the real runtime decides all else
below()
{
	if [[ ${1#*: } =~ $fixed_link ]]; then
		refused "$1: refused" 'has a link at'
	fi
	unlike "$out" secret "$1: no secret"
}

store store
bundle empty :
run runc run --bundle "$B" empty

# ---- images ----

long=$(printf '%0255d' 0)
up=$(printf '../%.0s' {1..300})
n=0
while IFS='~' read -r sentence regex command; do
	n=$((n + 1))
	layer "image-$n" two eval "$command"
	before=$(canaries)
	for door in 'runc prestart' 'crun createContainer'; do
		# shellcheck disable=SC2086
		by_hook $door "image-$n"
		ends_well "$door: $sentence" "$regex"
		if [ -z "$regex" ]; then
			ours_alone "$door: $sentence" \
				"$T/trace.${door#* }" "$T/trace.poststop"
		else
			ours_alone "$door: $sentence" "$T/trace.${door#* }"
		fi
	done
	by_runtime "image-$n"
	below "shale-runtime: $sentence"
	by_precreate "image-$n"
	if [[ $sentence =~ $fixed_link ]]; then
		refused "precreate: refused: $sentence" 'has a link at'
		ours_alone "precreate: $sentence" "$T/trace.precreate"
	else
		is "$status$err" 0 "precreate: $sentence: mounts it"
		ours_alone "precreate: $sentence" "$T/trace.precreate" \
			"$T/trace.poststop"
	fi
	run on_store cleanup
	nothing_left "$sentence: nothing is left"
	untouched "$sentence"
done <<END
proc is a fifo~/proc~rmdir proc; mkfifo proc
proc is a device~/proc~rmdir proc; mknod proc c 1 3
proc is a loop~/proc~rmdir proc; ln -s proc proc
sys is a whole device~/sys~rmdir sys; mknod sys b 7 0
dev is a link outside~/dev~rmdir dev; ln -s /opt/canary dev
dev is a file~/dev~rmdir dev; : >dev
etc is a link outside~~rm -r etc; ln -s /opt/canary etc
etc is a link far upwards~~rm -r etc; ln -s $up/opt/canary etc
etc is a link to the host's~~rm -r etc; ln -s $T/outside etc
etc is a file~/etc/resolv.conf~rm -r etc; : >etc
etc is a fifo~/etc/resolv.conf~rm -r etc; mkfifo etc
etc is a loop of two~/etc/resolv.conf~rm -r etc; ln -s cte etc; ln -s etc cte
etc leads through procfs~hidden by another~rm -r etc; ln -s /proc/1/root/opt/canary etc
the file is a fifo~~rm etc/resolv.conf; mkfifo etc/resolv.conf
the file is a terminal~~rm etc/resolv.conf; mknod etc/resolv.conf c 5 0
the file is a directory~/etc/resolv.conf~rm etc/resolv.conf; mkdir etc/resolv.conf
the file is a link outside~~ln -sf /opt/canary/resolv.conf etc/resolv.conf
the file is a link to nothing outside~~ln -sf /opt/canary/sub/new etc/resolv.conf
the directory is a link outside~~mkdir data; ln -s /opt/canary/sub data/one
a name of 255 bytes on the way~~mkdir -p $long/$long/one; ln -s $long/$long data
a link of 4,000 bytes to nothing~too long~ln -s .$(printf '/.%.0s' {1..1990})/opt data
a whiteout in the way~~mkdir data; touch data/one; rm data/one
END

# ---- size ----

before=$(canaries)
layer many two "$hostile" many . "$entries"
layer deep many "$hostile" deep . "$levels"
for door in 'runc prestart' 'crun createContainer'; do
	# shellcheck disable=SC2086
	by_hook $door deep
	ends_well "$door: $entries links, $levels levels" ''
	ours_alone "$door: $entries links, $levels levels" \
		"$T/trace.${door#* }" "$T/trace.poststop"
done

# What a container makes: removed, or committed and then deleted.
for onstop in remove commit=made; do
	bundle "grow" 'sleep 100' 'parent("two") | annotate("onstop";
		"'"$onstop"'") | hook("prestart") | hook("poststop")'
	ok "$onstop: create" runc run --detach --bundle "$B" grow
	root=/proc/$(runc state grow | jq .pid)/root
	ok "$onstop: $levels levels in a container" \
		"$hostile" deep "$root/tmp" "$levels"
	ok "$onstop: $entries links in it" "$hostile" many "$root/run" "$entries"
	ok "$onstop: its end" runc delete --force grow
	nothing_left "$onstop: its key is gone"
done
ok 'what it made is committed' has made
ok 'and deleted' on_store delete made
run on_store cleanup
is "$(find "$S/trash" "$S/staging" -mindepth 1)" '' 'and no file of it is left'
untouched 'size'

# ---- names that are swapped meanwhile ----

# fs_of ROOM FACT NAME: the directory of a snapshot
fs_of()
{
	local dir
	for dir in "$S/$1"/*; do
		[ "$(readlink "$dir/$2")" != "$3" ] || echo "$dir/fs"
	done
}

# swapped SENTENCE DIR COMMAND...: the command many times, while two names in
# DIR are at one moment what they should be and at the next a link outside
swapped()
{
	local sentence=$1 dir=$2 ran=0 turn name pids=() odd=
	shift 2
	for name in etc data; do
		"$hostile" swap "$dir/$name" "$dir/.$name" 2>/dev/null &
		pids+=($!)
	done
	for ((turn = 0; turn < turns; turn++)); do
		"$@"
		if [ "$status" -eq 0 ]; then
			ran=$((ran + 1))
		elif [ -z "$err" ]; then
			odd+="exit $status without a sentence; "
		fi
		[[ $out != *secret* ]] || odd+="saw a secret; "
	done
	for turn in "${pids[@]}"; do
		kill "$turn"
		wait "$turn"
	done 2>/dev/null
	is "$odd" '' "$sentence: each run ends well"
	diag "$ran of $turns ran"
	untouched "$sentence"
}

layer race two eval 'mkdir data; ln -s /opt/canary .etc
	ln -s ../../../opt/canary/sub .data'
before=$(canaries)
lower=$(fs_of snapshots name race)
swapped 'a layer, runc prestart' "$lower" by_hook runc prestart race
swapped 'a layer, crun createContainer' "$lower" \
	by_hook crun createContainer race
swapped 'a layer, shale-runtime' "$lower" by_runtime race

# kept RUNTIME STAGE: a start of a container that keeps its layer
kept()
{
	bundle "kept-$1" "$look" 'parent("two") | annotate("onstop"; "keep")
		| hook("'"$2"'") | hook("poststop")'"$mounts"
	run "$1" run --bundle "$B" "kept-$1"
}

while read -r real stage; do
	kept "$real" "$stage"
	ends_well "$real $stage, a kept layer" ''
	upper=$(fs_of active key "kept-$real")
	mkdir -p "$upper/etc" "$upper/data"
	ln -s /opt/canary "$upper/.etc"
	ln -s ../../../opt/canary/sub "$upper/.data"
	swapped "a kept layer, $real $stage" "$upper" kept "$real" "$stage"
	run on_store cleanup
	ok "$real: the kept key can go" on_store remove "kept-$real"
done <<'END'
runc prestart
crun createContainer
END
run on_store cleanup
nothing_left 'nothing is left of the races'
is "$(mounts_below /run/shale)" '' 'nor a mount of a door'
done_testing
