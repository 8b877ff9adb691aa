# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What the tests of shale-runtime share.  Sourced first: it takes a mount
# namespace of its own, then lib.sh and checks.sh, and a /run of its own.
if [ "$(id -u)" -eq 0 ] && [ -z "${SHALE_OWN_NAMESPACE:-}" ]; then
	export SHALE_ALONE=yes
	SHALE_OWN_NAMESPACE=yes exec unshare --mount --propagation private \
		bash "$0" "$@"
fi
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
own_run
mkdir -m 700 /run/shale
# crun 1.8.1 refuses hybrid cgroups.
if [ "$(stat -fc %T /sys/fs/cgroup/unified 2>/dev/null)" = cgroup2fs ]; then
	umount /sys/fs/cgroup/unified
fi

# through RUNTIME ARGS...: shale-runtime before a real one, on the store $S
through()
{
	local real=$1
	shift
	limited "$shale_runtime" --shale-runtime-path "$(real "$real")" \
		--shale-root "$S" --root "$T/$(basename "$real")" "$@"
}

# real RUNTIME: its path
real()
{
	case $1 in
	fdpivot) echo "${FDPIVOT:-$(dirname "$STAGE")/fdpivot}" ;;
	*) type -P "$1" ;;
	esac
}

fdpivot() { limited "$(real fdpivot)" --root "$T/fdpivot" "$@"; }
runc_below() { through runc "$@"; }
crun_below() { through crun "$@"; }
fdpivot_below() { through fdpivot "$@"; }

# records: one a line
records()
{
	find /run/shale/runtime -mindepth 1 -maxdepth 1 -printf '%P\n' \
		2>/dev/null
}

# nothing_left SENTENCE: no key, no mount, no record
nothing_left()
{
	is "$(active_keys)|$(mounts_below "$T")|$(records)" '||' "$1"
}

# poll COMMAND...: until it succeeds, for at most ten seconds
poll()
{
	local n
	for ((n = 0; n < 200; n++)); do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}

# on_target: the type of what is mounted on the bundle's rootfs; nothing
# where nothing is
on_target()
{
	awk -v at="$B/rootfs" '$5 == at {
		for (i = 7; $i != "-"; i++)
			;
		print $(i + 1)
	}' /proc/self/mountinfo
}
