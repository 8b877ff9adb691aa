#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The C programs in the pages of section 3: each is built as a reader would,
# and does what its page says.
# shellcheck disable=SC2016
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"

# `run` leaves these.
: "${out:=}" "${err:=}" "${status:=0}"

# Where this is run by hand.
: "${srcdir:=.}" "${CC:=cc}" "${libdir:=/usr/local/lib}"

export PKG_CONFIG_PATH=$STAGE$libdir/pkgconfig
export PKG_CONFIG_SYSROOT_DIR=$STAGE
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1

# example N PAGE: the Nth C program of a page
example()
{
	awk -v want="$1" '
		/^\.Bd/ { inside = 1; text = ""; next }
		/^\.Ed/ {
			if (inside && text ~ /^#/ && ++n == want)
				printf "%s", text
			inside = 0
		}
		inside { gsub(/\\e/, "\\"); text = text $0 "\n" }' \
		"$srcdir/man/$2"
}

# built SENTENCE N PAGE OUTPUT OPTION...: it compiles without a warning
built()
{
	local sentence=$1 source=$4.c n=$2 page=$3 output=$4
	shift 4
	example "$n" "$page" >"$source"
	# shellcheck disable=SC2086
	ok "$sentence" $CC ${SAN_CFLAGS:-} -Wall -Wextra -Werror \
		-o "$output" "$source" "$@" && chmod 755 "$output"
}

# shellcheck disable=SC2207
libs=($(pkg-config --cflags --libs shale))
# shellcheck disable=SC2207
headers=($(pkg-config --cflags shale-plugin))
S=$T/store

# fed PARENT NAME: the program of shale(3), which waits for its Enter until a
# file with that name is in its directory
fed()
{
	mkdir -p "$T/dir"
	run sh -c '
		{ for i in $(seq 600); do
			mountpoint -q "$5" && break
			sleep 0.1
		done
		echo "$3" >"$5/$3" && echo; } | "$1" "$2" "$3" "$4" "$5"' \
		sh "$T/layer" "$S" "$2" "$1" "$T/dir"
	rm -f "$T/dir/$2" # where nothing was mounted
}

# ---- shale(3) ----

built 'the program of shale(3) is built' 1 shale.3 "$T/layer" "${libs[@]}"
is "$(example 2 shale.3)" '' 'there is no other'
if [ "$(id -u)" -ne 0 ]; then
	skip 'needs root' 5
else
	fed '' first
	is "$out" 'write into the directory, then press Enter
first on nothing' 'it makes a layer of what is put into a directory'
	fed first second
	like "$out" 'second on first' 'and another on that'
	on_store view look second >/dev/null
	ok 'both are there' on_store mount look "$T/dir"
	is "$(cat "$T/dir/first" "$T/dir/second")" $'first\nsecond' \
		'with what was put into each'
	on_store umount "$T/dir" >/dev/null
	refuses 'a parent that is not there is named' \
		"^layer: prepare 'new': parent 'nobody'" \
		"$T/layer" "$S" third nobody "$T/dir"
fi

# ---- shale-plugin(3) ----

built 'the changed overlay is built' 1 shale-plugin.3 "$T/careful.so" \
	-fPIC -shared -Wl,-z,defs "${libs[@]}"
run "$shale" --json plugin show "$T/careful.so"
like "$out" '"careful"' 'shale plugin show names it'
if [ "$(id -u)" -ne 0 ]; then
	skip 'needs root' 3
else
	S=$T/careful
	on_store prepare one >/dev/null
	on_store commit base/one one >/dev/null
	on_store prepare two >/dev/null
	on_store commit other two >/dev/null
	refuses 'it refuses to delete what is below base/' \
		'layers below base/ are kept' \
		on_store --snapshotter "$T/careful.so" delete base/one
	ok 'but deletes any other layer' \
		on_store --snapshotter "$T/careful.so" delete other
	is "$(on_store ls | grep -o 'base/one\|other')" base/one \
		'and the one is there still'
fi

built 'the whole snapshotter is built' 2 shale-plugin.3 "$T/plain.so" \
	-fPIC -shared -Wl,-z,defs "${headers[@]}"
run "$shale" plugin test "$T/plain.so"
is "$(grep -c '^not ok' <<<"$out")" 5 \
	'shale plugin test fails it in five tests, as the page says'
unlike "$(grep '^not ok' <<<"$out" | grep -v name)" . 'all about names'
is "$(example 3 shale-plugin.3)" '' 'there is no other'

done_testing
