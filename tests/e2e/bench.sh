#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The bench room still runs: the conductor, libshale's contestant and the floor
# do one round of some rows, and peers that are not here are named.  How long it
# takes is nobody's business here.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154 # lib.sh sets them
. "$(dirname "$0")/lib.sh"
needs python3 jq

run "$srcdir/bench/run" --once --build "$builddir" --dir "$T" --out "$T/out" \
	--rows cycle,commit,chain-10
is "$status" 0 'a round of three rows'
[ "$status" -eq 0 ] || diag "$err"

# shellcheck disable=SC2317 # by ok
# measured ROW WHO: whether it measured something
measured()
{
	jq -e --arg row "$1" --arg who "$2" '.rows[] | select(.name == $row) |
		.contestants[] | select(.label == $who) | .median > 0' \
		"$T/out/bench.json" >/dev/null
}

ok 'libshale took part in a cycle' measured cycle shale
ok 'and with everything synced' measured cycle 'shale, all'
ok 'the floor did' measured cycle floor
ok 'libshale committed' measured commit shale
ok 'libshale said what to mount' measured chain-10 shale
like "$(cat "$T/out/bench.md")" '\| prepare \+ mounts \+ remove \| shale \|' \
	'the table has it'
is "$(find "$T" -name 'bench.*' -type d)" '' 'no store is left behind'

# As root, since these mount: by command, on a machine without peers.
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$T/bin"
	for program in python3 unshare findmnt git; do
		ln -s "$(type -P $program)" "$T/bin/"
	done
	run env PATH="$T/bin" SHALE="$shale" "$srcdir/bench/run" --once \
		--build "$builddir" --dir "$T" --out "$T/out" --rows create
	is "$status" 0 'a row by command'
	[ "$status" -eq 0 ] || diag "$err"
	ok 'shale took part' measured create shale
	ok 'and with everything synced' measured create 'shale, all'
	for peer in buildah podman; do
		like "$(cat "$T/out/bench.md")" \
			"$peer: not here: apt install $peer" \
			"$peer is named as missing"
	done
fi
done_testing
