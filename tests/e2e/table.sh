#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The table of what works: each door with each runtime, without and with user
# namespaces, writable and read-only, on 1, 2, 100 and 500 layers.  A cell is
# one container.  What is expected stands in expected(); README.md shows it,
# and both are compared with what was seen.
#
#	table.sh --print	only the text for README.md
# shellcheck disable=SC2016,SC2317
here=$(dirname "$0")

doors='mount shale-runtime precreate prestart createRuntime createContainer'
runtimes='runc crun fdpivot'
users='none same other'
depths='1 2 100 500'

# why LETTER: what a refusal or an omission means
why()
{
	case $1 in
	a) echo 'the hook runs as the mapped root, who has no store' ;;
	b) echo 'the runtime has bound its masked paths by then' ;;
	c) echo 'the runtime holds a descriptor of the root by then' ;;
	d) echo 'this runtime of the tests has no user namespaces' ;;
	e) echo 'podman does not run it' ;;
	esac
}

# letter_of SENTENCE: which of them a program has said
letter_of()
{
	case $1 in
	*'runs as the mapped root'*) echo a ;;
	*'has bound its masked paths already'*) echo b ;;
	*'holds a descriptor of the root'*) echo c ;;
	*) printf '? (%s)\n' "$(tail -n 1 <<<"$1")" ;;
	esac
}

# expected DOOR RUNTIME USER: works, "refused LETTER" or "not run LETTER"
expected()
{
	case $1,$2,$3 in
	precreate,fdpivot,*) echo 'not run e' ;;
	*,fdpivot,same | *,fdpivot,other) echo 'not run d' ;;
	mount,* | precreate,* | shale-runtime,*) echo works ;;
	*,fdpivot,*) echo 'refused c' ;;
	createContainer,*,none) echo works ;;
	createContainer,*) echo 'refused a' ;;
	*,crun,*) echo 'refused b' ;;
	*,runc,*) echo works ;;
	esac
}

# text_of VERDICT: for people
text_of()
{
	case $1 in
	works) echo yes ;;
	*) printf '%s (%s)\n' "${1% *}" "${1##* }" ;;
	esac
}

print_table()
{
	local door runtime user letter row
	echo '| door | runtime | no user namespace | its root is the host'"'"'s |' \
		'its root is another |'
	echo '|---|---|---|---|---|'
	for door in $doors; do
		for runtime in $runtimes; do
			row="| \`$door\` | $runtime |"
			for user in $users; do
				row+=" $(text_of "$(expected "$door" \
					"$runtime" "$user")") |"
			done
			echo "$row"
		done
	done
	echo
	for letter in a b c d e; do
		grep -q "($letter)" <<<"$(for door in $doors; do
			for runtime in $runtimes; do
				for user in $users; do
					text_of "$(expected "$door" "$runtime" \
						"$user")"
				done
			done
		done)" && echo "- ($letter) $(why "$letter")"
	done
}

if [ "${1:-}" = --print ]; then
	print_table
	exit
fi

[ -n "${SHALE_ALONE:-}" ] || exec "$here/../alone" bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
needs runc jq busybox
own_run

readme=$(realpath "$here/../../README.md")
is "$(sed -n '/^<!-- tests\/e2e\/table.sh/,/^<!-- end/p' "$readme" |
	sed '1d;$d')" "$(print_table)" \
	'README.md shows the table (tests/e2e/table.sh --print)'

chain=${CHAIN:-$(dirname "$STAGE")/chain}
fdpivot=${FDPIVOT:-$(dirname "$STAGE")/fdpivot}
[ -x "$chain" ] || skip_all "needs $chain (make check builds it)"

S=$T/store
layer deep-1 '' eval 'fill_base && echo 1 >layer-1 && echo 1 >top &&
	: >run/.containerenv && : >etc/hostname && : >etc/hosts'
"$chain" "$S" 2 500 deep-1 || exit 99
podman_hooks
mkdir "$T/empty"

fdpivot()
{
	limited "$fdpivot" --root "$T/fdpivot" "$@"
}

# Whether a mapped root comes to what is below $T at all.
reach=yes
setpriv --reuid 100000 --regid 100000 --clear-groups test -x "$T" || reach=no

# ---- one container ----

# In it: the layers, whether it can write, and what masks leave to be read.
look='echo "top $(cat /top) low $(cat /layer-1)"
(echo x >/written) 2>/dev/null && echo writable || echo readonly
cat /proc/keys /proc/timer_list /proc/kcore 2>/dev/null | head -c 1 | wc -c'

# spec_of USER MODE: the jq program for both
spec_of()
{
	local root=0
	[ "$1" != other ] || root=100000
	[ "$1" = none ] || printf '%s' '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: '$root',
			size: 65536}]
		| .linux.gidMappings = .linux.uidMappings | '
	[ "$2" = rw ] || printf '.root.readonly = true | '
	echo .
}

# run_mount, run_hook, run_runtime, run_podman: DOOR RUNTIME USER MODE DEPTH
run_mount()
{
	local map=0:100000:65536 labels=()
	[ "$3" != other ] || labels=(--label "org.shale.uidmap=$map"
		--label "org.shale.gidmap=$map")
	bundle cell "$look" "$(spec_of "$3" "$4")"
	on_store prepare cell "deep-$5" "${labels[@]}" >/dev/null &&
		on_store mount cell "$B/rootfs" >/dev/null || return
	run "$2" run --bundle "$B" cell
	on_store umount "$B/rootfs" >/dev/null
	on_store remove cell >/dev/null
}

run_hook()
{
	bundle cell "$look" "$(spec_of "$3" "$4")"' | parent("deep-'"$5"'")
		| hook("'"$1"'") | hook("poststop")'
	[ "$3" != other ] || chown 100000:100000 "$B/rootfs"
	run "$2" run --bundle "$B" cell
	chown 0:0 "$B/rootfs"
}

run_runtime()
{
	local real
	real=$(type -P "$2") || real=${!2}
	bundle cell "$look" "$(spec_of "$3" "$4")"' | parent("deep-'"$5"'")'
	run limited "$shale_runtime" --shale-runtime-path "$real" \
		--shale-root "$S" --root "$T/$2" run --bundle "$B" cell
}

run_podman()
{
	local more=()
	[ "$3" != same ] || more+=(--uidmap 0:0:65536)
	[ "$3" != other ] || more+=(--uidmap 0:100000:65536)
	[ "$4" = rw ] || more+=(--read-only)
	runtime_of_podman=$2 run podman_run --rm "${more[@]}" \
		--annotation "org.shale.parent=deep-$5" \
		--rootfs "$T/empty" /bin/sh -c "$look"
}

# seen DOOR RUNTIME USER MODE DEPTH: what became of it, as expected() says
seen()
{
	local want
	case $1,$2,$3 in
	precreate,fdpivot,*) echo 'not run e'; return ;;
	*,fdpivot,same | *,fdpivot,other) echo 'not run d'; return ;;
	esac
	type -P "$2" >/dev/null || [ -x "${!2:-}" ] || {
		echo "absent: needs $2"
		return
	}
	[ "$3" != other ] || [ $reach = yes ] || {
		echo "absent: a mapped root can't reach $T"
		return
	}
	case $1 in
	mount) run_mount "$@" ;;
	shale-runtime) run_runtime "$@" ;;
	precreate)
		type -P podman >/dev/null || { echo 'absent: needs podman'; return; }
		run_podman "$@" ;;
	*) run_hook "$@" ;;
	esac
	want="top $5 low 1
$([ "$4" = rw ] && echo writable || echo readonly)
0"
	# The tests' own runtime masks nothing.
	[ "$2" != fdpivot ] || { want=${want%?}; out=${out%?}; }
	if [ "$status" -ne 0 ]; then
		echo "refused $(letter_of "$err")"
	elif [ "$out" = "$want" ]; then
		echo works
	else
		echo "wrong: $(tr '\n' ' ' <<<"$out")"
	fi
}

for door in $doors; do
	for runtime in $runtimes; do
		for user in $users; do
			for mode in rw ro; do
				for depth in $depths; do
					seen "$door" "$runtime" "$user" \
						"$mode" "$depth" >"$T/cell"
					cell=$(cat "$T/cell")
					want=$(expected "$door" "$runtime" "$user")
					diag "$(printf '%-16s%-9s%-7s%-4s%-5s%s' \
						"$door" "$runtime" "$user" \
						"$mode" "$depth" "$cell")"
					label="$door, $runtime, user namespace $user, $mode, $depth layers"
					if [[ $cell = absent:* ]]; then
						skip "${cell#absent: }"
						continue
					fi
					is "$cell" "$want" "$label: $want"
				done
			done
		done
	done
done
on_store cleanup >/dev/null
is "$(active_keys)$(mounts_below "$T" | grep -v "^$T/podman")$(
	mounts_below /run/shale)" '' 'nothing is left'
done_testing
