#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shale-runtime while somebody else works on the same container: its bundle
# moves, a cleanup comes before the runtime has made anything, two calls make
# one container, the call is stopped.
# shellcheck disable=SC2016,SC2317
# shellcheck source-path=SCRIPTDIR source=runtime-lib.sh disable=SC1091
. "$(dirname "$0")/runtime-lib.sh"
needs runc jq busybox strace

# `run` leaves these.
: "${out:=}" "${err:=}" "${status:=0}"

# The leak check of a sanitizer can't be traced.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

view='parent("two") | annotate("kind"; "view")'
bind='parent("base") | annotate("kind"; "view")'

# fake BODY: a runtime whose `create` does that; $made makes a container, which
# is a directory, and a delete takes it
made="mkdir -p '$T/fake.root/k'"
fake()
{
	cat >"$T/fake" <<-END
	#!/bin/bash
	case " \$* " in
	*' create '*) $1 ;;
	*' delete '*) rmdir '$T/fake.root/k' ;;
	*) exit 1 ;;
	esac
	END
	chmod 755 "$T/fake"
}

fake_below()
{
	limited "$shale_runtime" --shale-runtime-path "$T/fake" \
		--shale-root "$S" --root "$T/fake.root" "$@"
}

# held SENTENCE: key and record are there
held()
{
	is "$(active_keys) $(records | wc -l)" 'k 1' "$1"
}

# moved_bundle NAME ANNOTATIONS: a create fails beside somebody who moves the
# bundle away: the mount goes with it, so that what tells of it has to stay
moved_bundle()
{
	bundle k x "$2"
	fake "mv '$B' '$B.away'; exit 1"
	run fake_below create --bundle "$B" k
	refused "$1: a mount that was moved away is told" \
		"in use.*$B.away/rootfs.*: unmount that first"
	ok "$1: nor does a cleanup take it" on_store cleanup
	held "$1: its key and record stay"
	umount "$B.away/rootfs"
	ok "$1: once it is unmounted" on_store cleanup
	nothing_left "$1: nothing is left of it"
	rm -r "$B.away"
}

# cleaned_early NAME ANNOTATIONS: while the runtime has no directory of it yet
cleaned_early()
{
	bundle k x "$2"
	fake "'$shale' --root '$S' cleanup; '$shale' --root '$S' check; $made"
	run fake_below create --bundle "$B" k
	is "$status $(grep -c container-gone <<<"$out")" '0 0' \
		"$1: cleaned up before the runtime began"
	held "$1: key and record stay"
	rmdir "$T/fake.root/k"
	ok "$1: its runtime forgets it" on_store cleanup
	nothing_left "$1: nothing is left of it"
}

# elsewhere NAME ANNOTATIONS
elsewhere()
{
	bundle k x "$2"
	fake "$made"
	ok "$1: create" fake_below create --bundle "$B" k
	run unshare --mount --propagation private "$shale_runtime" \
		--shale-runtime-path "$T/fake" --shale-root "$S" \
		--root "$T/fake.root" delete k
	is "$status" 0 "$1: delete in another mount namespace"
	like "$err" 'not on .* in this mount namespace' "$1: says what it left"
	held "$1: and leaves it"
	run fake_below delete k
	nothing_left "$1: delete in its own cleans up"
}

# made_twice: the second clears the first's record away as nobody's, since it is
# not held yet
made_twice()
{
	local room=/run/shale/runtime first
	fake "$made"
	bundle k x 'parent("two")'
	first=$B
	strace -f -qq -o /dev/null -P "$room" -e trace=mkdirat \
		-e inject=mkdirat:delay_exit=8000000 "$shale_runtime" \
		--shale-runtime-path "$T/fake" --shale-root "$S" \
		--root "$T/fake.root" create --bundle "$first" k \
		>"$T/first.out" 2>&1 &
	pid=$!
	poll eval 'test -n "$(records)"'
	ok 'twice: one' eval '[ -z "$(ls "$room"/*)" ]'
	bundle k2 x 'parent("two")'
	ok 'twice: another one of the same id' fake_below create --bundle "$B" k
	wait $pid
	is "$?" 1 'twice: the first is refused'
	like "$(<"$T/first.out")" "another call makes container 'k' just now" \
		'twice: and told why'
	held 'twice: the record of the second is there'
	run fake_below delete k
	nothing_left 'twice: nothing is left of both'
}

# deleted_meanwhile: the real runtime, past the call that still has the record
deleted_meanwhile()
{
	bundle k 'sleep 100' 'parent("two")'
	printf '#!/bin/bash\n"%s" "$@" || exit
		case " $* " in *" create "*) "%s" --root "%s" delete --force k ;; esac\n' \
		"$(real runc)" "$(real runc)" "$T/runc" >"$T/runc-late"
	chmod 755 "$T/runc-late"
	run limited "$shale_runtime" --shale-runtime-path "$T/runc-late" \
		--shale-root "$S" --root "$T/runc" create --bundle "$B" k
	is "$status" 0 'deleted meanwhile: created'
	nothing_left 'deleted meanwhile: nothing is left'
}

state_of() { sed -E 's/.*\) (.).*/\1/' "/proc/$1/stat"; }
are_in() # STATE PID...
{
	local want=$1 one
	shift
	for one; do
		[ "$(state_of "$one")" = "$want" ] || return 1
	done
}

stopped()
{
	local child
	bundle k x 'parent("two")'
	fake 'echo $$ >"$0.pid"; while :; do read -r -t 0.01 <>"$0.fifo"; done'
	mkfifo "$T/fake.fifo"
	set -m # or who stops would be an orphan, and not stop
	fake_below create --bundle "$B" k </dev/null >/dev/null 2>&1 &
	set +m
	poll test -s "$T/fake.pid"
	child=$(<"$T/fake.pid")
	pid=$(ps -o ppid= -p "$child" | tr -d ' ')
	kill -TSTP "$child"
	ok 'stopped alone the runtime stops' poll are_in T "$child"
	sleep 0.3
	ok 'alone' are_in S "$pid"
	kill -CONT "$child"
	ok 'and goes on' poll are_in S "$child"
	kill -TSTP "$pid"
	ok 'stopped through us both stop' poll are_in T "$child" "$pid"
	kill -CONT "$pid"
	ok 'and go on' poll are_in S "$child" "$pid"
	kill -TERM "$pid"
	wait
	nothing_left 'ended, nothing is left'
}

lost_room()
{
	bundle k x 'parent("two")'
	fake "$made"
	ok 'lost room: create' fake_below create --bundle "$B" k
	mv "$S/trash" "$S/trash.away"
	run fake_below delete k
	like "$err" "$S.*trash" 'lost room: what is missing is said'
	mv "$S/trash.away" "$S/trash"
	held 'lost room: key and record stay'
	run fake_below delete k
	nothing_left 'lost room: once it is back nothing is left'
	ok 'lost store: create' fake_below create --bundle "$B" k
	mv "$S" "$S.away"
	run fake_below delete k
	is "$(on_target)$(records)" '' 'lost store: no mount, no record'
	mv "$S.away" "$S"
	on_store remove k
}

store store
for one in 'active:parent("two")' "view:$view" "bind:$bind"; do
	moved_bundle "${one%%:*}" "${one#*:}"
	cleaned_early "${one%%:*}" "${one#*:}"
	elsewhere "${one%%:*}" "${one#*:}"
done
made_twice
deleted_meanwhile
stopped
lost_room
done_testing
