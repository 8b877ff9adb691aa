#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shale-hook killed at each system call that it makes, in each stage: the
# runtime's delete and `shale cleanup` leave nothing.  SHALE_LONG=1 kills at
# every call, else at some of them.
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
needs_root
needs runc crun jq busybox strace
own_run

store store

# traced STAGE, for bundle: the hook below strace, with what is in $inject
# shellcheck disable=SC2016
jq_prelude+='def traced($stage): .hooks[$stage] += [{path: "STRACE", args:
	(["strace", "-f", "-o", $T + "/trace"] + INJECT +
	[$hook, "--root", $store, $stage]),
	env: hook_env(["ASAN_OPTIONS=detect_leaks=0"])}];'
jq_prelude=${jq_prelude//STRACE/$(type -P strace)}
prelude=$jq_prelude

# container RUNTIME STAGE [INJECT]: one whole life with that stage's hook traced
container()
{
	local hooks="traced(\"$2\") | hook(\"poststop\")"
	[ "$2" != poststop ] || hooks='hook("prestart") | traced("poststop")'
	jq_prelude=${prelude//INJECT/$(jq -nc '$ARGS.positional' --args \
		-- ${3:+-e "$3"})}
	bundle kill true "parent(\"two\") | $hooks"
	rm -f "$T/trace"
	run "$1" run --bundle "$B" kill
}

# calls: each system call of the hook's first thread from its first look at the
# state on, as "NAME NTH": strace counts each name for itself
calls()
{
	awk 'NR == 1 { first = $1 }
		$1 == first && match($2, /^[a-z0-9_]+\(/) {
			name = substr($2, 1, RLENGTH - 1)
			n = ++nth[name]
			if (name == "read" && $0 ~ /ociVersion/)
				started = 1
			if (started && name != "exit_group")
				print name, n
		}' "$T/trace"
}

# left: what should not be there
left()
{
	active_keys
	mounts_below "$T"
	ls "$T/$1" 2>/dev/null
}

# killed RUNTIME STAGE COUNT: kill at COUNT of its calls, or at all
killed()
{
	local name nth n=0 deaths=0 bad='' step=1
	container "$1" "$2"
	is "$status$(left "$1")" 0 "$1 $2: under strace"
	calls >"$T/calls"
	[ -n "${SHALE_LONG:-}" ] ||
		step=$((($(wc -l <"$T/calls") + $3 - 1) / $3))
	while read -r name nth; do
		n=$((n + 1))
		[ $((n % step)) -eq 0 ] || continue
		container "$1" "$2" "inject=$name:signal=KILL:when=$nth"
		! grep -q 'killed by SIGKILL' "$T/trace" ||
			deaths=$((deaths + 1))
		run "$1" delete --force kill
		run on_store cleanup
		[ -z "$(left "$1")" ] || bad="$bad
$name $nth: $(left "$1")"
	done <"$T/calls"
	is "$bad" '' "$1 $2: nothing is left, killed $deaths times at one of $n calls"
	[ "$deaths" -gt 0 ]
	result $? "$1 $2: and it was killed"
}

killed runc prestart 12
killed runc createRuntime 4
killed crun createContainer 10
killed runc poststop 8
done_testing
