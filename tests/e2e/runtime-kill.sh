#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shale-runtime killed at each system call that it makes, and the real runtime
# at any moment: a delete, or the real delete and `shale cleanup`, leaves
# nothing.  SHALE_LONG=1 kills at every call, else at some of them.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR source=runtime-lib.sh disable=SC1091
. "$(dirname "$0")/runtime-lib.sh"
needs runc jq busybox strace

# `run` leaves these.
: "${out:=}" "${status:=0}"

# The leak check of a sanitizer can't be traced.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

store store
bundle kill 'sleep 100' 'parent("two")'
program=$(real runc)

# traced OPTION... -- ARGS...: shale-runtime under strace, which sees neither
# the runtime nor what that makes
traced()
{
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	limited strace -o "$T/trace" "${options[@]}" \
		"$shale_runtime" --shale-runtime-path "$program" \
		--shale-root "$S" --root "$T/runc" "$@" </dev/null >/dev/null 2>&1
}

# calls: each system call of the last trace from the first one that matters,
# as "NAME NTH": strace counts each name for itself
calls()
{
	sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' "$T/trace" |
		awk '$1 != "exit_group" { print $1, ++nth[$1] }' |
		tail -n "+$((first + 1))"
}

# skip_loading: of the last trace, how many calls come before the program that
# mounts opens its bundle or its record
skip_loading()
{
	first=$(grep -n 'execve(' "$T/trace" | tail -n 1 | cut -d : -f 1)
	first=$((${first:-1} - 1))
}

# recover NTH: by one of two ways
recover()
{
	if [ $(($1 % 2)) -eq 0 ]; then
		way=delete
		runc_below delete --force kill >"$T/way" 2>&1
	else
		way=cleanup
		runc delete --force kill >"$T/way" 2>&1
		on_store cleanup >>"$T/way" 2>&1
	fi
}

# left: what should not be there
left()
{
	active_keys
	mounts_below "$T"
	records
	ls "$T/runc" 2>/dev/null
}

# killed_at_each VERB PREPARE STEP: kill VERB at every STEPth call
killed_at_each()
{
	local verb=$1 prepare=$2 step=$3 name nth n=0 killed=0 bad=''
	while read -r name nth; do
		n=$((n + 1))
		[ $((n % step)) -eq 0 ] || continue
		$prepare
		# shellcheck disable=SC2086
		traced -e inject="$name:signal=KILL:when=$nth" -- $verb kill
		[ $? -ne 137 ] || killed=$((killed + 1))
		recover $((n / step))
		[ -z "$(left)" ] || {
			bad="$bad
$name $nth, $way: $(left)
$(cat "$T/way")"
			clear_up
		}
	done <"$T/calls"
	is "$bad" '' "$verb: nothing is left, killed $killed times at one of $n calls"
	[ "$killed" -gt 0 ]
	result $? "$verb: and it was killed"
}

clear_up()
{
	runc delete --force kill >/dev/null 2>&1
	on_store cleanup >/dev/null 2>&1
	mounts_below "$T" | xargs -r umount -l
	rm -rf /run/shale/runtime/*
	active_keys | xargs -r -n 1 "$shale" --root "$S" remove >/dev/null 2>&1
}

made()
{
	runc_below create --bundle "$B" kill </dev/null >/dev/null 2>&1
}

step_of()
{
	if [ -n "${SHALE_LONG:-}" ]; then
		echo 1
	else
		echo $((($(wc -l <"$T/calls") + $1 - 1) / $1))
	fi
}

traced -- create --bundle "$B" kill
is "$?$(records | wc -l)" 01 'create under strace'
skip_loading
calls >"$T/calls"
runc_below delete --force kill
is "$(left)" '' 'and delete'
killed_at_each "create --bundle $B" true "$(step_of 16)"

made
traced -- delete --force kill
is "$?$(left)" 0 'delete under strace'
skip_loading
calls >"$T/calls"
killed_at_each 'delete --force' made "$(step_of 10)"

# A run that is killed takes its runtime with it; the container stays, whose
# process is nobody's child, until somebody deletes it.
traced -- run --detach --bundle "$B" kill
skip_loading
calls >"$T/calls"
runc_below delete --force kill
killed_at_each "run --detach --bundle $B" true "$(step_of 6)"

# ---- what can't be undone ----
traced -e inject=renameat:error=ENOSPC -e inject=umount2:error=EPERM -- \
	create --bundle "$B" kill
is "$?$(on_target)" 1overlay 'a create that fails, and its unmount as well'
is "$(records | wc -l)" 1 'what stays mounted stays on record'
recover 1
is "$(left)" '' 'and cleanup takes it away'
clear_up

# The first call asks whether there is one.
since=$SECONDS
traced -e inject=move_mount:error=EPERM:when=2+ -- create --bundle "$B" kill
is "$?$(left)" 1 'a create whose mount can not be put in place leaves nothing'
[ $((SECONDS - since)) -lt 4 ]
result $? 'and does not wait for itself'

# ---- the real runtime ----
# One that dies after so many milliseconds.
cat >"$T/runc-dies" <<'END'
#!/bin/bash
case " $* " in
*' create '*)
	runc "$@" &
	sleep "0.$(cat "$0.ms")"
	kill -KILL $!
	wait $!
	kill -KILL $$ ;;
*) exec runc "$@" ;;
esac
END
chmod 755 "$T/runc-dies"
bad=''
pause=25
[ -z "${SHALE_LONG:-}" ] || pause=2
for ((ms = 0; ms < 100; ms += pause)); do
	printf '%03d\n' "$ms" >"$T/runc-dies.ms"
	limited "$shale_runtime" --shale-runtime-path "$T/runc-dies" \
		--shale-root "$S" --root "$T/runc" \
		create --bundle "$B" kill </dev/null >/dev/null 2>&1
	# Killed late, it leaves a container, which has to keep its root.
	[ -z "$(records)$(mounts_below "$T")" ] ||
		runc --root "$T/runc" state kill >/dev/null 2>&1 ||
		bad="$bad $ms: record or mount"
	recover 0
	recover 1
	[ -z "$(left)" ] || {
		bad="$bad $ms: $(left)"
		clear_up
	}
done
is "$bad" '' 'the runtime is killed: nothing is left of no container'

ok 'cleanup' on_store cleanup
is "$(find "$S/staging" "$S/trash" -mindepth 1)" '' \
	'and no unfinished directory is left in the store'
done_testing
