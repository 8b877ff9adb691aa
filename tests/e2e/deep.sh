#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# 500 layers in a store with a path of 200 bytes, through each door and by
# both mount engines: the container reads the lowest layer and each 50th, and
# no line of mountinfo is longer than its readers can bear.
# shellcheck disable=SC2016
here=$(dirname "$0")
[ -n "${SHALE_ALONE:-}" ] || exec "$here/../alone" bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
needs runc jq busybox
own_run

line_max=$((60 * 1024))
chain=${CHAIN:-$(dirname "$STAGE")/chain}
[ -x "$chain" ] || skip_all "needs $chain (make check builds it)"

# path_of LENGTH DIR: a path below DIR of so many bytes
path_of()
{
	local path=$2
	while [ $(($1 - ${#path})) -gt 201 ]; do
		path=$path/$(printf '%0199d' 0)
	done
	printf '%s/%0*d\n' "$path" $(($1 - ${#path} - 1)) 0
}

S=$(path_of 200 "$T")
mkdir -p "$(dirname "$S")"
is "${#S}" 200 'the path of the store has 200 bytes'
layer deep-1 '' eval 'fill_base && echo 1 >layer-1 && echo 1 >top'
ok '499 more layers' "$chain" "$S" 2 500 deep-1
is "$(find "$S/snapshots" -mindepth 1 -maxdepth 1 | wc -l)" 500 \
	'the store has 500'

# Reads in a container; the longest line of its mountinfo comes last.
look='cat /top /layer-1
n=50
while [ $n -le 500 ]; do cat /layer-$n; n=$((n + 50)); done
awk "{ if (length(\$0) > max) max = length(\$0) } END { print \"longest\", max }" \
	/proc/self/mountinfo
awk "\$5 == \"/\" { print \"root\", \$4, length(\$0) }" /proc/self/mountinfo
echo written >/written && cat /written'
seen=$(echo 500 1; seq 50 50 500)
seen=$(tr ' ' '\n' <<<"$seen")

# sees_all LABEL: after `run` of $look
sees_all()
{
	local longest
	is "$status$(grep -v '^longest\|^root' <<<"$out")" "0$seen
written" "$1: the lowest layer and each 50th are there"
	longest=$(sed -n 's/^longest //p' <<<"$out")
	[ "${longest:-99999}" -le $line_max ]
	result $? "$1: the longest line of mountinfo has $longest bytes" "$err"
}

# host_line DIR: length of the line of the mount on it
host_line()
{
	awk -v dir="$1" '$5 == dir { print length($0) }' /proc/self/mountinfo
}

# through_doors LABEL
through_doors()
{
	local line
	# ---- shale mount, then runc ----
	on_store prepare deep deep-500 >/dev/null
	bundle deep "$look"
	ok "$1, shale mount" on_store mount deep "$B/rootfs"
	line=$(host_line "$B/rootfs")
	[ "${line:-99999}" -le $line_max ]
	result $? "$1, shale mount: its line of mountinfo has $line bytes"
	is "$(cat "$B/rootfs/layer-1" "$B/rootfs/layer-250")" $'1\n250' \
		"$1, shale mount: the host reads it"
	run runc run --bundle "$B" deep
	sees_all "$1, shale mount, runc"
	ok "$1, shale umount" on_store umount "$B/rootfs"
	on_store remove deep >/dev/null
	on_store view deep deep-500 >/dev/null
	ok "$1, shale mount of a view" on_store mount deep "$B/rootfs"
	is "$(cat "$B/rootfs/layer-1" "$B/rootfs/top")" $'1\n500' \
		"$1, shale mount of a view: the host reads it"
	on_store umount "$B/rootfs"
	on_store remove deep >/dev/null

	# ---- hooks ----
	bundle prestart "$look" 'parent("deep-500")
		| hook("prestart"; ["--root", $store];
			["SHALE_MOUNT_ENGINE='"${SHALE_MOUNT_ENGINE:-}"'"])
		| hook("poststop")'
	run runc run --bundle "$B" prestart
	sees_all "$1, prestart, runc"
	if type -P crun >/dev/null; then
		bundle inside "$look" 'parent("deep-500")
			| hook("createContainer"; ["--root", $store];
				["SHALE_MOUNT_ENGINE='"${SHALE_MOUNT_ENGINE:-}"'"])
			| hook("poststop")'
		run crun run --bundle "$B" inside
		sees_all "$1, createContainer, crun"
	else
		skip 'needs crun' 2
	fi
	if type -P podman >/dev/null; then
		podman_hooks
		mkdir -p "$T/empty"
		run podman_run --rm --annotation org.shale.parent=deep-500 \
			--rootfs "$T/empty" /bin/sh -c "$look"
		sees_all "$1, precreate, podman"
	else
		skip 'needs podman' 2
	fi
	is "$(active_keys)" '' "$1: no key is left"
}

for engine in fsmount libmount; do
	SHALE_MOUNT_ENGINE=$engine
	export SHALE_MOUNT_ENGINE
	through_doors "200 bytes, $engine"
done
unset SHALE_MOUNT_ENGINE

# Full names make lines as long as they may get: on the last path where all
# of them fit, and on one that is a byte longer, where short ones begin.
long=$S
fits=$(((56 * 1024 - 700) / 500 - 11 - 46))
for ((n = fits; n < fits + 3; n++)); do
	S=$(path_of $n /run)
	mkdir -m 700 "$S" && mount --bind "$long" "$S" || exit 99
	on_store prepare deep deep-500 >/dev/null
	mkdir -p "$T/m"
	ok "a path of $n bytes: shale mount" on_store mount deep "$T/m"
	line=$(host_line "$T/m")
	[ "${line:-99999}" -le $line_max ]
	result $? "a path of $n bytes: its line of mountinfo has $line bytes"
	lines="${lines:-} $line"
	is "$(cat "$T/m/layer-1" "$T/m/top")" $'1\n500' \
		"a path of $n bytes: all layers are there"
	on_store umount "$T/m"
	on_store remove deep >/dev/null
	umount "$S"
done
S=$long
like "$lines" ' 5[0-9]{4} .*[0-9]{4}$' 'of these paths one made a long line'

# The shortest names take a descriptor each, and mount(2) wants them so short.
on_store prepare deep deep-500 >/dev/null
ok 'a soft limit of 100 descriptors' env SHALE_MOUNT_ENGINE=libmount \
	prlimit --nofile=100:1000 "$shale" --root "$S" mount deep "$T/m"
on_store umount "$T/m"
refuses 'a hard limit of 100 descriptors' "layer '.*: Too many open files" \
	env SHALE_MOUNT_ENGINE=libmount prlimit --nofile=100:100 \
	"$shale" --root "$S" mount deep "$T/m"
on_store remove deep >/dev/null

# ---- options that mount(2) would cut ----

# with_options COUNT: a shale.json with so many options of 17 bytes
with_options()
{
	jq -n --arg store "$S" --argjson count "$1" '{root: $store,
		mount_options: [range($count) | "redirect_dir=off"]}' \
		>"$T/shale.json"
	chmod 644 "$T/shale.json"
}
on_store prepare options deep-500 >/dev/null
while read -r engine count says; do
	with_options "$count"
	label="$count options of 17 bytes, $engine"
	if [ "$says" = works ]; then
		ok "$label" env "SHALE_MOUNT_ENGINE=$engine" "$shale" \
			--config "$T/shale.json" mount options "$T/m"
		is "$(cat "$T/m/layer-1" "$T/m/layer-450")" $'1\n450' \
			"$label: all layers are there"
		on_store umount "$T/m"
	else
		refuses "$label" "$says" env "SHALE_MOUNT_ENGINE=$engine" \
			"$shale" --config "$T/shale.json" mount options "$T/m"
		is "$(mounts_below "$T")" '' "$label: nothing is mounted"
	fi
done <<'END'
libmount 90 works
libmount 140 longer
fsmount 140 works
fsmount 4000 longer
END
on_store remove options >/dev/null

# ---- 501 ----

on_store prepare over deep-500 >/dev/null
ok 'on 500 layers a key can be mounted' on_store mount over "$T/m"
echo over >"$T/m/over"
on_store umount "$T/m"
ok 'and be committed' on_store commit deep-501 over
on_store prepare over deep-501 >/dev/null
refuses 'but nothing on it can be mounted' \
	"501 layers are too many: .* at most 500, and 'shale flatten NEW NAME'" \
	on_store mount over "$T/m"
on_store remove over >/dev/null
bundle over 'cat /over' 'parent("deep-501") | hook("prestart")
	| hook("poststop")'
run runc run --bundle "$B" over
like "$err" '501 layers.*shale flatten NEW NAME' \
	'a container on it is refused with the same words'
nothing_left 'and nothing is left of it'
ok 'the remedy works' on_store flatten flat deep-501
bundle over 'cat /over /layer-1' 'parent("flat") | hook("prestart")
	| hook("poststop")'
run runc run --bundle "$B" over
like "$out" '^over' 'a container on the flat layer runs'
done_testing
