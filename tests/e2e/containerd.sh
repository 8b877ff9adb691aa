#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# containerd with shale-runtime: its shim creates, runs, execs, kills and
# deletes containers whose root file system is shale's; what fails is told to
# the client, and of a shim that is killed nothing is left.
# Containers answer by exit code: of a short one, on a busy machine, ctr 1.6
# now and then loses what it has printed: it cancels its copying when it
# deletes the task.
# shellcheck disable=SC2016,SC2317
# shellcheck source-path=SCRIPTDIR source=runtime-lib.sh disable=SC1091
. "$(dirname "$0")/runtime-lib.sh"
needs containerd ctr containerd-shim-runc-v2 runc jq busybox

# `run` leaves these.
: "${out:=}" "${err:=}" "${status:=0}"

store store
mkdir "$T/empty"

# A shim calls it with neither options of the test nor its environment.
cat >"$T/shale-runtime" <<END
#!/bin/sh
export LD_LIBRARY_PATH='$LD_LIBRARY_PATH'
exec '$shale_runtime' --shale-runtime-path runc --shale-root '$S' "\$@"
END
chmod 755 "$T/shale-runtime"

# Its sockets have to be short, and /run is our own.
cat >"$T/config.toml" <<END
version = 2
root = "$T/containerd"
state = "/run/containerd"
disabled_plugins = [
	"io.containerd.grpc.v1.cri",
	"io.containerd.snapshotter.v1.btrfs",
	"io.containerd.snapshotter.v1.devmapper",
	"io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = "/run/containerd/own.sock"
END

client()
{
	limited ctr --address /run/containerd/own.sock "$@"
}

# A shim ends with its container; one that does not is ended here, by pid.
end_containerd()
{
	local pid
	[ -z "${daemon:-}" ] || kill "$daemon" 2>/dev/null
	[ -z "${daemon:-}" ] || wait "$daemon"
	for pid in $(shims); do
		kill -KILL "$pid"
	done
}

# shims: of our containerd, which they name
shims()
{
	local dir
	for dir in /proc/[0-9]*; do
		tr '\0' ' ' <"$dir/cmdline" 2>/dev/null |
			grep -q '^[^ ]*containerd-shim-runc-v2 .*-address /run/containerd/own.sock' &&
			[ "$(readlink "$dir/ns/mnt")" = \
				"$(readlink /proc/self/ns/mnt)" ] &&
			echo "${dir#/proc/}"
	done
}
trap 'end_containerd; leave' EXIT

containerd --config "$T/config.toml" </dev/null >"$T/containerd.log" 2>&1 &
daemon=$!
poll client version >/dev/null || {
	diag "$(tail -n 5 "$T/containerd.log")"
	exit 99
}

# The options of a container on layers, without its directory, name, command
on_layers=(--runc-binary "$T/shale-runtime" --rootfs
	--annotation org.shale.parent=two)

leaves_nothing()
{
	poll quietly_left
	nothing_left "$1"
}

quietly_left()
{
	[ "$(active_keys)|$(mounts_below "$T")|$(records)" = '||' ]
}

run client run --rm "${on_layers[@]}" "$T/empty" short \
	/bin/sh -c 'test "$(cat /added)" = second && ! test -e /deleted && exit 7'
is "$status$err" 7 'run: layers, whiteouts, and the exit code'
leaves_nothing 'run: nothing is left'

mkdir -p "$T/plain/bin" "$T/plain/proc" "$T/plain/dev" "$T/plain/sys"
cp "$(type -P busybox)" "$T/plain/bin/sh"
run client run --rm --runc-binary "$T/shale-runtime" --rootfs "$T/plain" \
	plain /bin/sh -c 'exit 5'
is "$status" 5 'without annotations it is runc'

refuses 'an annotation that shale does not know fails the container' \
	"annotation 'org.shale.colour'|unknown annotation" \
	client run --rm "${on_layers[@]}" --annotation org.shale.colour=red \
	"$T/empty" red /bin/true
leaves_nothing '... and nothing is left'

ok 'run -d' client run -d "${on_layers[@]}" "$T/empty" long \
	/bin/sh -c 'echo mine >/mine; exec sleep 1000'
run client task exec --exec-id one long /bin/sh -c \
	'test "$(cat /mine /added)" = "$(echo mine; echo second)" && exit 9'
is "$status" 9 'task exec sees the layers and the upper'
run client task list
like "$out" 'long +[0-9]+ +RUNNING' 'task list'
isnt_empty "$(active_keys)" 'its key is there while it runs'
ok 'task kill' client task kill --signal KILL long
poll stopped long
ok 'task delete' poll client task delete long
leaves_nothing 'task delete: nothing is left'
ok 'container delete' client container delete long

stopped()
{
	client task list | grep -q "^$1 .*STOPPED"
}

ok 'org.shale.onstop=keep' client run --rm "${on_layers[@]}" \
	--annotation org.shale.onstop=keep "$T/empty" keeper \
	/bin/sh -c 'echo data >/data'
isnt_empty "$(active_keys)" '... keeps the key'
run client run --rm "${on_layers[@]}" --annotation org.shale.onstop=remove \
	"$T/empty" keeper /bin/sh -c 'test "$(cat /data)" = data && exit 3'
is "$status$err" 3 '... whose data the same container sees again'
leaves_nothing '... and removes'

ok 'one more in the background' client run -d "${on_layers[@]}" "$T/empty" \
	orphan /bin/sh -c 'exec sleep 1000'
victim=$(shims)
like "$victim" '^[0-9]+$' '... has one shim'
kill -KILL "$victim"
poll quietly_left
leaves_nothing 'a shim was killed: containerd deletes, and nothing is left'
run client container delete orphan

end_containerd
daemon=
is "$(shims)" '' 'no shim is left'
done_testing
