#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# podman with shale-runtime: run, exec, a terminal, stop and start again, many
# in a row, and ways to fail; nothing is left of any.  SHALE_LONG=1: a hundred
# in a row.
# shellcheck disable=SC2016,SC2317
# shellcheck source-path=SCRIPTDIR source=runtime-lib.sh disable=SC1091
. "$(dirname "$0")/runtime-lib.sh"
needs podman conmon runc jq busybox

# `run` leaves these.
: "${out:=}" "${err:=}" "${status:=0}"

store store
mkdir "$T/empty"
# What conmon calls gets neither options of the test nor its environment.
cat >"$T/shale-runtime" <<END
#!/bin/sh
export LD_LIBRARY_PATH='$LD_LIBRARY_PATH'
exec '$shale_runtime' --shale-runtime-path runc --shale-root '$S' \
	--root '$T/runc' "\$@"
END
# The runtime dies before it has made a container.
cat >"$T/shale-dies" <<END
#!/bin/sh
case " \$* " in
*' create '*) set -- --shale-runtime-path '$T/dies-runc' "\$@" ;;
esac
exec '$T/shale-runtime' "\$@"
END
cat >"$T/dies-runc" <<'END'
#!/bin/sh
kill -KILL $$
END
chmod 755 "$T/shale-runtime" "$T/shale-dies" "$T/dies-runc"

# engine RUNTIME ARGS...
engine()
{
	local name=$1
	shift
	limited podman --root "$T/podman" --runroot /run/podman \
		--tmpdir /run/libpod --storage-driver vfs \
		--cgroup-manager cgroupfs --events-backend none \
		--runtime "$T/$name" "$@"
}

# options JQ: of a container on layers; JQ as for bundle's annotations
with=(--network none --ulimit nofile=1024:1024 --ulimit nproc=1000:1000
	--annotation org.shale.parent=two)

# quietly_left: podman tidies up after a container in the background
quietly_left()
{
	[ "$(active_keys)|$(records)|$(rootfs_mounts)" = '||' ]
}

rootfs_mounts()
{
	mounts_below "$T" | grep -v "^$T/podman"
}

leaves_nothing()
{
	poll quietly_left
	is "$(active_keys)|$(rootfs_mounts)|$(records)" '||' "$1"
}

run engine shale-runtime run --rm "${with[@]}" --rootfs "$T/empty" \
	/bin/sh -c 'cat /added; ls /deleted; exit 7'
is "$status$out" 7second 'run: layers, and the exit code'
like "$err" deleted 'run: whiteouts hide'
leaves_nothing 'run: nothing is left'

run engine shale-runtime run --rm -t "${with[@]}" --rootfs "$T/empty" \
	/bin/sh -c 'test -t 1 && cat /added'
is "$status$(tr -d '\r' <<<"$out")" 0second 'run -t: a terminal'
leaves_nothing 'run -t: nothing is left'

run engine shale-runtime run -d --name long "${with[@]}" \
	--rootfs "$T/empty" /bin/sh -c 'trap "exit 3" TERM
		echo up >/up; while :; do sleep 0.1; done'
is "$status" 0 'run -d'
ok 'run -d: it writes' poll test -s "$T/empty/up"
run engine shale-runtime exec long cat /up /added
is "$status$out" $'0up\nsecond' 'exec'
refuses 'another container on the same directory is refused' \
	'mount point|another container' engine shale-runtime run --rm \
	"${with[@]}" --rootfs "$T/empty" true
ok 'the first one goes on' engine shale-runtime exec long true
ok 'stop' engine shale-runtime stop -t 5 long
run engine shale-runtime inspect long --format '{{.State.ExitCode}}'
is "$out" 3 'stop: the exit code'
leaves_nothing 'stop: nothing is left, with onstop remove'
engine shale-runtime rm -f long >/dev/null 2>&1

for onstop in remove keep; do
	ok "$onstop: create" engine shale-runtime create --name again \
		"${with[@]}" --annotation "org.shale.onstop=$onstop" \
		--rootfs "$T/empty" \
		/bin/sh -c 'cat /count 2>/dev/null; echo again >>/count'
	run engine shale-runtime start -a again
	is "$status$out" 0 "$onstop: a first start has a fresh layer"
	run engine shale-runtime start -a again
	if [ "$onstop" = keep ]; then
		is "$status$out" 0again 'keep: the second start has it again'
		poll eval '[ -z "$(records)" ]'
		is "$(active_keys | wc -l)" 1 'keep: the key stays'
	else
		is "$status$out" 0 'remove: so has the second'
	fi
	ok "$onstop: rm" engine shale-runtime rm -f again
	active_keys | while read -r key; do
		on_store remove "$key" >/dev/null
	done
	leaves_nothing "$onstop: nothing is left"
done

# ---- many ----
before=$(find /run/shale "$S/staging" "$S/trash" | sort)
count=10
[ -z "${SHALE_LONG:-}" ] || count=100
bad=0
for ((n = 0; n < count; n++)); do
	engine shale-runtime run --rm "${with[@]}" --rootfs "$T/empty" \
		true </dev/null >/dev/null 2>"$T/many.err" || bad=$((bad + 1))
done
is "$bad" 0 "$count in a row run" || diag "$(cat "$T/many.err")"
leaves_nothing "$count in a row leave nothing"
is "$(find /run/shale "$S/staging" "$S/trash" | sort)" "$before" \
	'not a file'

# ---- failures ----
count=2
[ -z "${SHALE_LONG:-}" ] || count=7
for ((n = 0; n < count; n++)); do
	run engine shale-runtime run --rm "${with[@]}" -w /added \
		--rootfs "$T/empty" true
	refused 'a workdir that is a file'
	run engine shale-runtime run --rm "${with[@]}" \
		--rootfs "$T/empty" /not/there
	refused 'a command that is not there' 'not.there'
	run engine shale-dies run --rm "${with[@]}" --rootfs "$T/empty" true
	refused 'a runtime that is killed'
	# podman made the workdir in the directory that it was given.
	rm -rf "$T/empty/added"
done
ok 'cleanup' on_store cleanup
leaves_nothing 'failures: nothing is left'
is "$(find /run/shale "$S/staging" "$S/trash" | sort)" "$before" \
	'not a file either'
done_testing
