# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What the end to end tests share: TAP, the installed tree, a temporary
# directory that always disappears, stores, layers, bundles, and runc and crun
# with roots of their own.  A script sources it, runs its tests and ends with
# done_testing.  What is read from here: $T (the temporary directory), $shale
# and $hook (the programs), $S (a store), $B (a bundle), $out, $err and
# $status (of the last `run`).
set -u
export LC_ALL=C

# ---- the installed tree ----
# `make check` exports STAGE and the directories of configure; by hand, STAGE
# is the only thing to say.

STAGE=${STAGE:-$PWD/tests/stage}

# in_stage NAME DIR...: first place below the stage that has program NAME
in_stage()
{
	local name=$1 dir
	shift
	for dir; do
		if [ -n "$dir" ] && [ -x "$STAGE$dir/$name" ]; then
			printf '%s\n' "$STAGE$dir/$name"
			return
		fi
	done
	find "$STAGE" -name "$name" -type f -perm -u+x 2>/dev/null |
		head -n 1
}

shale=$(in_stage shale "${bindir:-}" /usr/local/bin /usr/bin)
hook=$(in_stage shale-hook "${libexecdir:-}/shale" "${libexecdir:-}" \
	"${sbindir:-}" "${bindir:-}")
# shellcheck disable=SC2034
shale_runtime=$(in_stage shale-runtime "${bindir:-}" /usr/local/bin /usr/bin)
libshale=$(find "$STAGE" -name 'libshale.so.[0-9]*' 2>/dev/null | head -n 1)
: "${LD_LIBRARY_PATH:=}"
if [ -n "$libshale" ]; then
	LD_LIBRARY_PATH=$(dirname "$libshale")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
export LD_LIBRARY_PATH

# ---- TAP ----

tests=0
failed=0

# diag TEXT: lines for the person who reads a failure
diag()
{
	printf '%s\n' "$*" | sed 's/^/# /'
}

# result STATUS SENTENCE [DETAIL]
result()
{
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tests - $2"
		return 0
	fi
	failed=$((failed + 1))
	echo "not ok $tests - $2"
	[ $# -lt 3 ] || diag "$3"
	return 1
}

# ok SENTENCE COMMAND...: the command succeeds
ok()
{
	local sentence=$1
	shift
	run "$@"
	result "$status" "$sentence" "exit $status: $* ${out:+
stdout: $out}${err:+
stderr: $err}"
}

# is GOT WANT SENTENCE: both are the same string
is()
{
	[ "$1" = "$2" ]
	result $? "$3" "got:  $1
want: $2"
}

# isnt_empty GOT SENTENCE
isnt_empty()
{
	[ -n "$1" ]
	result $? "$2"
}

# like GOT REGEX SENTENCE: an extended regular expression occurs in it
like()
{
	[[ $1 =~ $2 ]]
	result $? "$3" "got: $1
no match for: $2"
}

# unlike GOT REGEX SENTENCE
unlike()
{
	! [[ $1 =~ $2 ]]
	result $? "$3" "got: $1
matches: $2"
}

# refused SENTENCE [REGEX]: the last `run` failed, and said REGEX on stderr
refused()
{
	[ "$status" -ne 0 ] && [ "$status" -ne 124 ] && [[ $err =~ ${2:-.} ]]
	result $? "$1" "exit $status
stdout: $out
stderr: $err
wanted: ${2:-.}"
}

# refuses SENTENCE REGEX COMMAND...: `run` and `refused`
refuses()
{
	local sentence=$1 regex=$2
	shift 2
	run "$@"
	refused "$sentence" "$regex"
}

# skip REASON [COUNT]: so many tests that can't be run here
skip()
{
	local n
	for ((n = 0; n < ${2:-1}; n++)); do
		tests=$((tests + 1))
		echo "ok $tests # SKIP $1"
	done
}

# skip_all REASON: nothing of this script can be run here
skip_all()
{
	echo "1..0 # SKIP $1"
	exit 0
}

done_testing()
{
	echo "1..$tests"
	finished=yes
	[ "$failed" -eq 0 ]
	exit
}

# run COMMAND...: leaves $status, $out and $err; never fails.  No stdin.  A
# container that outlives the command can't keep it waiting.  crun shows
# nobody what a hook says, unless told a file (see bundle).
run()
{
	status=0
	rm -f "$T/hook.err"
	"$@" </dev/null >"$T/run.out" 2>"$T/run.err" || status=$?
	out=$(tr -d '\0' <"$T/run.out")
	err=$(cat "$T/run.err" "$T/hook.err" 2>/dev/null | tr -d '\0')
	return 0
}

# ---- what a test must not share ----

# own_run: /run and /dev/shm of its own, in the mount namespace that
# tests/alone has made: records of mounts, locks and states of podman
own_run()
{
	[ -n "${SHALE_ALONE:-}" ] || skip_all 'needs tests/alone'
	mount -t tmpfs -o mode=755 run /run &&
		mount -t tmpfs shm /dev/shm || exit 99
}

# ---- the temporary directory ----

needs_root()
{
	[ "$(id -u)" -eq 0 ] || skip_all "needs root"
}

# mounts_below DIR: mount points below it, the last mounted first
mounts_below()
{
	awk -v dir="$1/" 'index($5, dir) == 1 { print $5 }' \
		/proc/self/mountinfo | tac
}

# Containers that a test left, then mounts, then files; nothing that is not
# below $T is touched.
leave()
{
	local code=$? id point
	trap - EXIT
	if [ -d "$T/runc" ]; then
		for id in "$T"/runc/*/; do
			[ -d "$id" ] && runc delete --force "$(basename "$id")"
		done
	fi >/dev/null 2>&1
	if [ -d "$T/crun" ]; then
		for id in "$T"/crun/*/; do
			[ -d "$id" ] && crun delete --force "$(basename "$id")"
		done
	fi >/dev/null 2>&1
	if [ -d "$T/podman" ]; then
		podman rm --force --all -t 0
		rmdir /sys/fs/cgroup/*/"shale-${T##*.}"/conmon \
			/sys/fs/cgroup/*/"shale-${T##*.}" \
			"/sys/fs/cgroup/shale-${T##*.}"
	fi >/dev/null 2>&1
	mounts_below "$T" | while read -r point; do
		point=$(printf '%b' "$point")
		umount "$point" 2>/dev/null || umount -l "$point"
	done
	rm -rf --one-file-system "$T"
	if [ -z "${finished:-}" ]; then
		echo "Bail out! the script ended early (exit $code)"
		[ "$code" -ne 0 ] || code=1
	fi
	exit "$code"
}

[ -n "$shale" ] || skip_all "no shale below $STAGE (make check installs it)"
T=$(mktemp -d "$(dirname "$STAGE")/tmp.XXXXXX") || exit 99
T=$(realpath "$T")
chmod 711 "$T" # a mapped root has to reach its bundle
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- file systems ----

# on_loop FS SIZE [MKFS-OPTION...]: make $T/FS a fresh file system of that kind
# on a loop device, which goes with its mount
on_loop()
{
	local fs=$1 size=$2
	shift 2
	local -A quietly=([ext4]='-qF' [xfs]='-qf' [btrfs]='-qf')
	mkdir -p "$T/$fs" && truncate -s "$size" "$T/$fs.img" &&
		"mkfs.$fs" "${quietly[$fs]}" "$@" "$T/$fs.img" >/dev/null 2>&1 &&
		mount -o loop "$T/$fs.img" "$T/$fs" && return
	diag "no $fs on a loop device"
	exit 99
}

# tree VERB DIR...: tests/tree of the build directory
tree()
{
	"${builddir:-$STAGE/../..}/tests/tree" "$@"
}

# ---- stores and layers ----

# on_store ARGS...: shale on the store $S
on_store()
{
	"$shale" --root "$S" "$@"
}

# layer NAME PARENT FUNCTION [ARGS...]: commit NAME on PARENT ("" for none)
# with what FUNCTION does in the directory it is called in
layer()
{
	local name=$1 parent=$2 dir=$T/layer.mnt
	shift 2
	mkdir -p "$dir" &&
		on_store prepare "making $name" ${parent:+"$parent"} \
			>/dev/null &&
		on_store mount "making $name" "$dir" >/dev/null &&
		(cd "$dir" && "$@") &&
		on_store umount "$dir" >/dev/null &&
		on_store commit "$name" "making $name" >/dev/null &&
		return
	diag "layer $name failed"
	exit 99
}

# What the two layers of each store hold.  `changed`, `deleted`, `deleted.d`
# and `opaque` are what the second one changes.
fill_base()
{
	mkdir -p bin dev etc proc root run sys tmp var deleted.d opaque &&
		cp "$(command -v busybox)" bin/busybox &&
		chroot . /bin/busybox --install -s /bin &&
		echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd &&
		: >etc/resolv.conf &&
		echo base >changed &&
		echo base >deleted &&
		echo base >deleted.d/file &&
		echo base >opaque/lower &&
		echo base >kept
}

fill_second()
{
	echo second >changed &&
		echo second >added &&
		rm deleted &&
		rm -r deleted.d opaque &&
		mkdir opaque &&
		echo second >opaque/upper
}

# store NAME: make $S, with committed `base` and, on it, `two`
store()
{
	S=$T/$1
	layer base '' fill_base
	layer two base fill_second
}

# has NAME: whether the store has a snapshot of that name
has()
{
	on_store exists "$1" >/dev/null 2>&1
}

has_not()
{
	! has "$1"
}

# active_keys: the keys of $S, one a line
active_keys()
{
	"$shale" --root "$S" --json active | jq -r '.. | .name? // empty'
}

# listing DIR: everything below it, to be compared before and after; times of
# access and the store's lock say nothing
listing()
{
	find "$1" -xdev ! -path "$1/lock" \
		-printf '%P %y %m %U:%G %s %T@ %l\n' | sort
	find "$1" -xdev -type f -exec sha256sum {} + | sort
}

# ---- bundles ----

# Functions for the jq programs that `bundle` is given.
# shellcheck disable=SC2016
jq_prelude='
def annotate($k; $v): .annotations["org.shale." + $k] = $v;
def parent($name): annotate("parent"; $name);
def key($name): annotate("key"; $name);
def hook_env($more): ["PATH=/usr/sbin:/usr/bin:/sbin:/bin",
	"LD_LIBRARY_PATH=" + $libs] + $more;
def hook($stage; $args; $more): .hooks[$stage] += [{
	path: $hook, args: (["shale-hook", $stage] + $args),
	env: hook_env($more)}];
def hook($stage; $args): hook($stage; $args; []);
def hook($stage): hook($stage; ["--root", $store]);
def mount($dest; $type; $source; $options): .mounts += [{
	destination: $dest, type: $type, source: $source, options: $options}];
def bind($dest; $source): mount($dest; "bind"; $source; ["rbind", "rw"]);
'

# bundle NAME SCRIPT [JQ]: make $B, a bundle whose container runs SCRIPT with
# sh, `runc spec` changed by the program JQ; the root is writable
bundle()
{
	local name=$1 script=$2 program=${3:-.}
	B=$T/bundle.$name
	mkdir -p "$B/rootfs" || exit 99
	[ -f "$T/spec/config.json" ] || {
		mkdir -p "$T/spec" && runc spec --bundle "$T/spec" || exit 99
	}
	jq --arg script "$script" --arg hook "$hook" --arg store "${S:-}" \
		--arg libs "$LD_LIBRARY_PATH" --arg T "$T" \
		--arg cgroup "shale-${T##*.}-$name" \
		"$jq_prelude"'.process.terminal = false
		| .linux.cgroupsPath = $cgroup
		| .process.args = ["/bin/sh", "-c", $script]
		| .root.readonly = false
		| .annotations["run.oci.hooks.stderr"] = $T + "/hook.err"
		| '"$program" "$T/spec/config.json" >"$B/config.json" || {
		diag "bundle $name: jq failed"
		exit 99
	}
}

# ---- runtimes ----

# In the foreground: a runtime may want to have the terminal.
limited()
{
	timeout --foreground --kill-after=5 60 "$@"
}

runc()
{
	limited runc --root "$T/runc" "$@"
}

# crun 1.8.1 refuses hybrid cgroups, so it gets a mount namespace without the
# second hierarchy.
crun()
{
	# shellcheck disable=SC2016
	if [ "$(stat -fc %T /sys/fs/cgroup/unified 2>&1)" = cgroup2fs ]; then
		limited unshare -m sh -c \
			'umount /sys/fs/cgroup/unified; exec crun "$@"' crun \
			--root "$T/crun" "$@"
	else
		limited crun --root "$T/crun" "$@"
	fi
}

# podman, with all that it keeps below $T or in the /run of own_run (its path
# may have 50 bytes), and the hooks of $T/hooks.d.  It may set no limit above
# what we have.
runtime_of_podman=runc
podman_limits=(--network none --cgroup-parent "/shale-${T##*.}"
	--ulimit "nofile=1024:1024" --ulimit "nproc=1000:1000")

podman()
{
	limited podman --root "$T/podman" --runroot /run/podman \
		--tmpdir /run/libpod --cgroup-manager cgroupfs \
		--events-backend none --hooks-dir "$T/hooks.d" \
		--runtime "$runtime_of_podman" "$@"
}

# podman_run ARGS...
podman_run()
{
	podman run "${podman_limits[@]}" "$@"
}

# podman_hooks: the two that shale installs, with $S for store; what they say
# is in $T/hook.err, since podman throws it away
podman_hooks()
{
	local stage
	mkdir -p "$T/hooks.d"
	[ "$(stat -fc %T /sys/fs/cgroup/unified 2>&1)" != cgroup2fs ] ||
		umount /sys/fs/cgroup/unified # crun refuses hybrid cgroups
	for stage in precreate poststop; do
		# shellcheck disable=SC2016
		jq -n --arg hook "$hook" --arg store "$S" --arg stage $stage \
			--arg libs "$LD_LIBRARY_PATH" --arg err "$T/hook.err" \
			--arg engine "${SHALE_MOUNT_ENGINE:-}" '{
			version: "1.0.0", stages: [$stage],
			when: {annotations: {"^org\\.shale\\.parent$": ".+"}},
			hook: {path: "/bin/sh", args: ["sh", "-c",
				"exec \"$0\" --root \"$1\" \"$2\" 2>>\"$3\"",
				$hook, $store, $stage, $err],
			env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin",
				"LD_LIBRARY_PATH=" + $libs,
				"SHALE_MOUNT_ENGINE=" + $engine]}}' \
			>"$T/hooks.d/$stage.json"
	done
}

needs()
{
	local program
	for program; do
		type -P "$program" >/dev/null || skip_all "needs $program"
	done
}
