#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What `make install` leaves: every file, headers that compile alone, symbols
# and nothing else, and a host that needs no more than that.
# shellcheck disable=SC2016
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"

# `run` leaves these.
: "${out:=}" "${status:=0}"

# Where this is run by hand.
: "${srcdir:=.}" "${CC:=cc}" "${bindir:=/usr/local/bin}"
: "${libdir:=/usr/local/lib}" "${includedir:=/usr/local/include}"
: "${libexecdir:=/usr/local/libexec}" "${datadir:=/usr/local/share}"
: "${mandir:=/usr/local/share/man}" "${plugindir:=$libdir/shale}"

export PKG_CONFIG_PATH=$STAGE$libdir/pkgconfig
export PKG_CONFIG_SYSROOT_DIR=$STAGE
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1

# ---- files ----

for file in "$bindir/shale" "$bindir/shale-runtime" \
	"$libexecdir/shale-hook" \
	"$libdir/libshale.so.0" "$libdir/libshale.so" "$libdir/libshale.a" \
	"$includedir/shale/shale.h" "$includedir/shale/snapshotter.h" \
	"$libdir/pkgconfig/shale.pc" "$libdir/pkgconfig/shale-plugin.pc" \
	"$plugindir/overlay.so" "$plugindir/native.so"; do
	ok "$file is installed" test -s "$STAGE$file"
done

for page in shale.1 shale-hook.8 shale-runtime.8 shale.3 shale-plugin.3 shale-store.5 \
	shale.json.5; do
	ok "$page is installed" \
		test -s "$STAGE$mandir/man${page##*.}/$page"
done

for plugin in overlay native; do
	ok "$plugin.so is nobody else's to write" \
		sh -c "[ -z \"\$(find '$STAGE$plugindir/$plugin.so' -perm /022)\" ]"
done

# ---- hooks.d ----

for name in podman/shale-precreate podman/shale-poststop \
	runc/shale-prestart runc/shale-poststop \
	crun/shale-createContainer crun/shale-poststop; do
	run jq -c '[.hook.path, .hook.args[1], .stages[]]' \
		"$STAGE$datadir/shale/hooks.d/$name.json"
	is "$out" "[\"$libexecdir/shale-hook\",\"${name#*-}\",\"${name#*-}\"]" \
		"hooks.d/$name.json names the installed hook and its stage"
	# Without "env" runc gives a hook the environment of the container.
	run jq -c .hook.env "$STAGE$datadir/shale/hooks.d/$name.json"
	is "$out" '["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]' \
		"hooks.d/$name.json gives it an environment of its own"
done

# ---- pkg-config ----

run pkg-config --variable=plugindir shale-plugin
is "${out#"$STAGE"}" "$plugindir" "shale-plugin.pc tells the plugin directory"
run pkg-config --modversion shale
is "$out" "${VERSION:-$out}" "shale.pc tells the version"

# ---- headers ----

cflags=$(pkg-config --cflags shale)
plugin_cflags=$(pkg-config --cflags shale-plugin)
strict='-pedantic -Wall -Wextra -Werror -fsyntax-only'
for header in shale.h snapshotter.h; do
	echo "#include <shale/$header>" >"$T/alone.c"
	# shellcheck disable=SC2086
	{
		ok "$header alone is C99" \
			$CC -x c -std=c99 $strict $cflags "$T/alone.c"
		if type -P c++ >/dev/null; then
			ok "$header alone is C++" \
				c++ -x c++ -std=c++11 $strict $cflags "$T/alone.c"
		else
			skip "no C++ compiler"
		fi
	}
done

# ---- symbols ----

# exported FILE: names, without their versions
exported()
{
	nm -D --defined-only "$1" | awk '{ sub(/@.*/, "", $3); print $3 }' |
		sort
}

# mapped MAP: the version and the names of a map
mapped()
{
	sed -n 's/^\(SHALE_[0-9.]*\) {$/\1/p; s/^\t\([a-z_]*\);$/\1/p' "$1" |
		sort
}

is "$(exported "$STAGE$libdir/libshale.so")" \
	"$(mapped "$srcdir/lib/libshale.map")" \
	"libshale.so exports its map and nothing else"
is "$(mapped "$srcdir/lib/libshale.map" | grep -v ^SHALE_)" \
	"$(tr '\n' ' ' <"$STAGE$includedir/shale/shale.h" | grep -o 'SHALE_API[^;]*;' |
		grep -o 'shale_[a-z_]*(' | tr -d '(' | sort -u)" \
	"the map has each function of shale.h and nothing else"
for plugin in overlay native; do
	is "$(exported "$STAGE$plugindir/$plugin.so")" \
		shale_snapshotter_entry \
		"$plugin.so exports its entry and nothing else"
done

# A program that links the static library keeps all names but ours.
is "$(nm -g --defined-only "$STAGE$libdir/libshale.a" |
	awk 'NF == 3 && $3 !~ /^shale_/ { print $3 }')" "" \
	"libshale.a defines no global name but shale_*"

# ---- a plugin built with what is installed ----

# shellcheck disable=SC2086
ok "a plugin needs shale-plugin.pc alone" \
	$CC $plugin_cflags -fPIC -shared -Wl,-z,defs \
	-o "$T/good.so" "$srcdir/tests/plugins/good.c"
chmod 755 "$T/good.so"
run "$shale" --json plugin show "$T/good.so"
like "$out" '"stub"' "shale plugin show tells its name"

# ---- a host ----

libs=$(pkg-config --libs shale)
# shellcheck disable=SC2086
ok "a host needs shale.pc alone" $CC ${SAN_CFLAGS:-} $cflags \
	-o "$T/host" "$srcdir/tests/host.c" $libs
[ "$(wc -l <"$srcdir/tests/host.c")" -lt 60 ]
result $? "it is shorter than 60 lines"

if [ "$(id -u)" -ne 0 ]; then
	skip "needs root" 4
else
	mkdir "$T/dir"
	ok "it makes two layers through overlay.so" \
		"$T/host" "$STAGE$plugindir/overlay.so" "$T/store" "$T/dir"
	S=$T/store
	run on_store parent second
	is "$out" base "the second layer is on the first"
	ok "both are seen in a view" sh -c '
		"$1" --root "$2" view look second >/dev/null &&
		"$1" --root "$2" mount look "$3" >/dev/null &&
		cat "$3/base" "$3/second" &&
		"$1" --root "$2" umount "$3" >/dev/null' \
		sh "$shale" "$S" "$T/dir"
	is "$out" "base
second" "and hold what the host wrote"
fi

done_testing
