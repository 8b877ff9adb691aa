#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shale-runtime in front of a runtime that has nothing of ours to do: byte for
# byte, exit code for exit code, signal for signal, descriptor for descriptor
# the runtime itself.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR source=runtime-lib.sh disable=SC1091
. "$(dirname "$0")/runtime-lib.sh"
needs runc crun jq busybox

# The runtimes' clock is no difference.
no_time()
{
	sed -E 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)/TIME/g'
}

# same REAL ARGS...: both ways give the same
same()
{
	local program want
	program=$(real "$1")
	shift
	run limited "$program" "$@"
	want=$(printf '%s\n' "$status" "$out" "$err" | no_time)
	run limited "$shale_runtime" --shale-runtime-path "$program" "$@"
	is "$(printf '%s\n' "$status" "$out" "$err" | no_time)" "$want" \
		"$(basename "$program") $*"
}

S=$T/nothing
bundle plain 'sleep 100' .
(cd "$B/rootfs" && fill_base)
mkdir "$T/roots"
R=$T/roots

# ---- what makes nothing ----
for words in '' --version -v --help help features list 'list -q' \
	"--root $R list" "-root $R list" "--root=$R list" "-root=$R list -f json" \
	"--root $R -- list" 'state absent' "--root $R state absent" \
	'--debug list' "--log $T/log --log-format json state absent" \
	'--no-such-option list' 'no-such-verb' 'create' 'create a b' \
	'create --bundle /not/there x' 'run --bundle' 'delete' 'delete a b' \
	'delete absent' 'delete --force absent' 'delete -f absent' \
	'start absent' 'kill absent TERM' 'exec absent true' 'ps absent' \
	'pause absent' 'resume absent' 'update absent' 'events absent' \
	'checkpoint absent' 'restore absent' 'spec --no-such'; do
	# shellcheck disable=SC2086
	same runc $words
done
for words in '' --version -V --help --usage '-?' list "--root $R list" \
	"--root=$R list" "--roo $R list" "--roo=$R list" "--r $R list" \
	'state absent' "--log $T/log --log-format json state absent" \
	"--log=file:$T/log state absent" '--no-such-option list' no-such-verb \
	create 'create a b' 'create -b /not/there x' 'run -b' \
	'create --bund /not/there x' delete 'delete absent' \
	'delete -f absent' 'delete --force absent' 'delete --regex nothing.*' \
	'start absent' 'kill absent TERM' 'exec absent true' 'ps absent' \
	'pause absent' 'resume absent' 'update absent' 'features' \
	'restore absent' 'checkpoint absent'; do
	# shellcheck disable=SC2086
	same crun $words
done
run "$shale_runtime" --shale-runtime-path runc spec --bundle "$T/roots"
is "$status" 0 'runc spec'
is "$(cat "$R/config.json")" "$(cat "$T/spec/config.json")" \
	'runc spec writes the same file'

# ---- a container without annotations ----
# life_of COMMAND...: what each step of a container's life says
life_of()
{
	local step
	for step in "create --bundle $B c" 'state c' 'start c' 'list -q' \
		'exec c echo in' 'exec c sh -c "exit 3"' 'ps c' \
		"create --bundle $B c" 'pause c' 'resume c' 'delete c' \
		'kill c KILL'; do
		eval "run limited \"\$@\" --root $R/life $step"
		echo "$step: $status $out $err"
	done | no_time | sed -E 's/"?pid"?: ?[0-9]+/PID/; s/^(UID .*|root +.*)$/PS/
		s/[0-9]{3,}/N/g; s/: (PS )?N$/: N/'
	poll gone_or_stopped "$@"
	run limited "$@" --root "$R/life" delete c
	echo "delete: $status $out $err"
}

gone_or_stopped()
{
	[ "$(limited "$@" --root "$R/life" state c 2>/dev/null |
		jq -r .status)" = stopped ]
}

for name in runc crun; do
	program=$(real "$name")
	want=$(life_of "$program")
	is "$(life_of "$shale_runtime" --shale-runtime-path "$program")" \
		"$want" "$name: a whole life is the same"
	like "$want" 'exec c echo in: 0 in' "$name: and it was one"
done
is "$(records)" '' 'no record was made'

# ---- which runtime ----
mkdir "$T/path" "$T/both"
for name in runc crun mine; do
	printf '#!/bin/sh\necho %s "$@"\n' "$name" >"$T/both/$name"
	chmod 755 "$T/both/$name"
done
cp "$T/both/crun" "$T/path"
with_path() { PATH=$1 "${@:2}"; }
run with_path "$T/path" "$shale_runtime" list
is "$out" 'crun list' 'crun, where there is no runc'
run with_path "$T/both" "$shale_runtime" --root x list
is "$out" 'runc --root x list' 'runc, where there are both'
run with_path "$T/both" "$shale_runtime" --shale-runtime-path=mine a b
is "$out" 'mine a b' 'a name in PATH'
run with_path "$T/both" "$shale_runtime" --log l \
	--shale-runtime-path "$T/both/mine" --shale-root /s a --shale-root b
is "$out" 'mine --log l a --shale-root b' \
	'our options are taken out before the verb, and there alone'
in_path() { (cd "$T/path" && PATH=:$R "$@"); }
run in_path "$shale_runtime" list
is "$out" 'crun list' 'an empty word of PATH is the working directory'
jq -n '{runtime: "mine"}' >"$T/shale.json"
run with_path "$T/both" "$shale_runtime" --shale-config "$T/shale.json" list
is "$out" 'mine list' 'runtime of shale.json'
ln -s "$shale_runtime" "$T/path/runc"
run with_path "$T/path" "$shale_runtime" list
is "$out" 'crun list' 'never itself, though it is called runc'
refuses 'not by its path either' 'itself' \
	"$shale_runtime" --shale-runtime-path "$T/path/runc" list
refuses 'no runtime at all' 'install one' \
	with_path "$R" "$shale_runtime" list
refuses 'a name that is not in PATH' "'none'" \
	"$shale_runtime" --shale-runtime-path none list
refuses 'an option without its value' shale-root \
	"$shale_runtime" --shale-root
refuses 'a store by a relative path' absolute \
	"$shale_runtime" --shale-root here list
run "$shale_runtime" --shale-help
like "$status$out" '^0Usage: shale-runtime' '--shale-help'

# ---- as a process ----
cat >"$T/both/self" <<'END'
#!/bin/bash
[ "$1" != --root ] || shift 2
case $1 in
state) exit 1 ;;
esac
exec 2>&1
grep -E '^Sig(Blk|Ign)' /proc/self/status
for fd in /proc/$$/fd/*; do
	fd=${fd##*/}
	[ "$fd" = 255 ] ||
		echo "fd $fd $(readlink "/proc/$$/fd/$fd" | tr -d 0-9)"
done
[ "${LISTEN_PID:-}" != $$ ] || echo "sockets are ours"
pwd
END
chmod 755 "$T/both/self"
# shellcheck disable=SC2016
as_process='trap "" USR2 PIPE
	exec 7<"$1" 9>/dev/null
	export LISTEN_PID=$$ LISTEN_FDS=1
	shift; cd /usr && exec "$@"'
run bash -c "$as_process" sh "$T/shale.json" "$T/both/self" create x
want=$out
run bash -c "$as_process" sh "$T/shale.json" \
	"$shale_runtime" --shale-runtime-path "$T/both/self" create x
is "$out" "$want" 'signals, descriptors, sockets and directory as direct'
like "$out" 'fd 7 .*fd 9.*sockets are ours.*/usr' 'and they were looked at'
printf '#!/bin/sh\nkill -%s $$\n' SEGV >"$T/both/dies"
chmod 755 "$T/both/dies"
run "$shale_runtime" --shale-runtime-path "$T/both/dies" list
is "$status" 139 'it ends by the signal that ended the runtime'
done_testing
