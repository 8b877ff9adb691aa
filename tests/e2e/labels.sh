#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The labels that say how a snapshot is mounted, on real mounts: a store on
# ext4, uppers on a tmpfs and on a second disk, both mount engines.  A boot
# ends here by emptying the tmpfs, and by writing another boot's id into the
# fact `volatile`.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2016,SC2317 # lib.sh sets them
. "$(dirname "$0")/lib.sh"
needs_root
needs jq busybox mkfs.ext4 setfattr getfattr chattr
own_run

mkdir "$T/disk" "$T/second" "$T/ram" "$T/mnt"

# disk NAME: an ext4 of its own on $T/NAME
disk()
{
	truncate -s 64M "$T/$1.img" &&
		mkfs.ext4 -q "$T/$1.img" &&
		mount -o loop "$T/$1.img" "$T/$1" || exit 99
}

disk disk
disk second
mount -t tmpfs -o mode=755 upper "$T/ram" || exit 99
mkdir "$T/disk/store"
cat >"$T/shale.json" <<END
{"root": "$T/disk/store", "uppers": {"ram": "$T/ram", "second": "$T/second"},
 "allowed_mount_options": ["xino=off", "nodev"],
 "policy": [{"user": "root", "parents": [""]}]}
END
S=$T/disk/store

# With the configuration, whose root is the same store.
shale()
{
	"$shale" --config "$T/shale.json" "$@"
}

on_store()
{
	shale "$@"
}

layer base '' fill_base
layer two base fill_second

# mounted OPTIONS-REGEX SENTENCE: the kernel's own words on $T/mnt
mounted()
{
	like "$(grep " $T/mnt " /proc/self/mountinfo)" "$1" "$2"
}

id_of()
{
	printf %s "$1" | sha256sum | cut -c 1-32
}

# files_of KEY: where its fs/ and work/ are, as the manual tells
files_of()
{
	local fact
	fact=$(readlink "$S/active/$(id_of "$1")/upper") || return
	echo "$T/${fact%%/*}/$(id_of "$(realpath "$S")")/${fact#*/}"
}

# fact_count NAME: how many actives have their files there, by their facts
fact_count()
{
	find "$S/active" -mindepth 2 -maxdepth 2 -name upper -lname "$1/*" |
		wc -l
}

# tree_of DIR: a listing without the sizes of directories, each file system's own
tree_of()
{
	listing "$1" | sed -E 's/^([^ ]* d [0-7]+ [0-9:]+) [0-9]+ /\1 /'
}

# unused KEY: the kernel takes the mounts of a dead namespace down in its time
unused()
{
	local try
	for try in {1..200}; do
		run shale mount "$1" "$T/mnt"
		[[ $err =~ 'an overlay is mounted' ]] || return
		sleep 0.05
	done
	diag "$1 is in use after $try tries"
}

dir_count()
{
	find "$T/$1" -mindepth 2 -maxdepth 2 -type d ! -path '*/lost+found*' |
		wc -l
}

for engine in fsmount libmount; do
	export SHALE_MOUNT_ENGINE=$engine

	# ---- defaults ----
	shale prepare plain two
	shale mount plain "$T/mnt"
	mounted 'redirect_dir=nofollow' "$engine: an overlay follows no redirect"
	refuses "$engine: and what is mounted is not mounted twice" \
		'an overlay is mounted' shale mount plain "$T/mnt"
	umount "$T/mnt"
	shale remove plain

	# ---- volatile ----
	shale prepare --label org.shale.volatile=true quick two
	shale mount quick "$T/mnt"
	mounted 'volatile' "$engine: a volatile active is mounted so"
	echo quick >"$T/mnt/quick"
	umount "$T/mnt"
	ok "$engine: and again after a clean unmount" \
		shale mount quick "$T/mnt"
	is "$(cat "$T/mnt/quick")" quick "$engine: with what was written"
	mounted 'volatile' "$engine: and still volatile"
	umount "$T/mnt"
	ok "$engine: it is committed" shale commit "quick-$engine" quick
	shale view look "quick-$engine"
	shale mount look "$T/mnt"
	is "$(cat "$T/mnt/quick")" quick "$engine: with what was written"
	umount "$T/mnt"
	shale remove look

	# Its process and namespace end without a word; nobody unmounts.
	shale prepare --label org.shale.volatile=true quick two
	unshare --mount sh -c '"$0" --config "$1" mount quick "$2" &&
		echo torn >"$2/quick"; kill -9 $$' \
		"$shale" "$T/shale.json" "$T/mnt" 2>/dev/null
	fact=$S/active/$(id_of quick)/volatile
	is "$(readlink "$fact")" "$(cat /proc/sys/kernel/random/boot_id)" \
		"$engine: the fact is this boot's id"
	ln -sfn 00000000-0000-4000-8000-000000000000 "$fact"
	unused quick
	refuses "$engine: what another boot left is not mounted" \
		'earlier boot.*remove it' shale mount quick "$T/mnt"
	refuses "$engine: nor committed" 'earlier boot' \
		shale commit torn quick
	ok "$engine: but removed" shale remove quick

	# ---- uppers elsewhere ----
	for upper in ram second; do
		shale prepare --label org.shale.upper=$upper far two
		shale mount far "$T/mnt"
		mounted "upperdir=$T/$upper/" "$engine: an upper on $upper"
		echo far >"$T/mnt/far"
		rm "$T/mnt/changed"
		is "$(cat "$(files_of far)/fs/far")" far \
			"$engine: the files are on $upper"
		is "$(find "$S/active" -name far)" '' "$engine: and not in the store"
		refuses "$engine: a mounted upper on $upper is in use" \
			'an overlay is mounted' shale mount far "$T/mnt"
		umount "$T/mnt"
		[ "$(shale --json usage far | jq .inodes)" -eq 3 ]
		result $? "$engine: usage counts the files on $upper"
		ok "$engine: remove takes them from $upper" shale remove far
		is "$(dir_count $upper)" 0 "$engine: $upper is empty again"

		shale prepare --label org.shale.upper=$upper far two
		shale mount far "$T/mnt"
		echo far >"$T/mnt/far"
		rm -r "$T/mnt/changed" "$T/mnt/opaque"
		mkdir "$T/mnt/opaque"
		chown 12:34 "$T/mnt/far"
		setfattr -n user.far -v yes "$T/mnt/far"
		before=$(tree_of "$T/mnt")
		refuses "$engine: what is mounted is not committed" \
			'an overlay is mounted' shale commit "$upper-$engine" far
		umount "$T/mnt"
		ok "$engine: a commit brings them into the store" \
			shale commit "$upper-$engine" far
		shale view look "$upper-$engine"
		shale mount look "$T/mnt"
		is "$(tree_of "$T/mnt")" "$before" \
			"$engine: all that was on $upper is in the layer"
		is "$(getfattr --only-values -n user.far "$T/mnt/far")" yes \
			"$engine: attributes too"
		umount "$T/mnt"
		shale remove look
		is "$(dir_count $upper)" 0 "$engine: $upper is empty again"
	done
	shale prepare --label org.shale.upper=ram bind
	ok "$engine: a snapshot without parent is bound from the tmpfs" \
		shale mount bind "$T/mnt"
	is "$(stat -f -c %T "$T/mnt")" tmpfs "$engine: it is on the tmpfs"
	umount "$T/mnt"
	shale remove bind

	# ---- mount options ----
	shale prepare --label org.shale.mount-options=xino=off,nodev more two
	shale mount more "$T/mnt"
	mounted ' rw,([a-z]+,)*nodev' "$engine: an allowed option is used"
	umount "$T/mnt"
	shale remove more

	# ---- SELinux ----
	shale prepare --label \
		org.shale.selinux-context=system_u:object_r:container_file_t:s0:c1,c2 \
		sealed two
	if grep -q 'selinuxfs$' /proc/filesystems; then
		shale mount sealed "$T/mnt"
		mounted 'context=.*s0:c1,c2' "$engine: the context is used"
		umount "$T/mnt"
	else
		refuses "$engine: a context on a kernel without SELinux" \
			'context=.*no SELinux' shale mount sealed "$T/mnt"
	fi
	shale remove sealed
done
unset SHALE_MOUNT_ENGINE

# ---- refused, and what to do ----

refuses 'an option that is not allowed names the line to add' \
	'add "xino=on" to allowed_mount_options' \
	shale prepare --label org.shale.mount-options=xino=on no two
refuses 'an upper that is not configured names the line to add' \
	'add "fast": .* to uppers' \
	shale prepare --label org.shale.upper=fast no two
refuses 'a view is not volatile' 'a view is read-only' \
	shale view --label org.shale.volatile=true no two
shale prepare --label org.shale.volatile=true fixed two
refuses 'such a label is not taken away' "'org.shale.volatile' is fixed" \
	shale label fixed org.shale.volatile=
refuses 'nor added' "'org.shale.upper' is fixed" \
	shale label fixed org.shale.upper=ram
ok 'others are' shale label fixed other=1
shale remove fixed

# ---- a reboot empties a tmpfs ----

shale prepare --label org.shale.upper=ram lost two
umount "$T/ram"
mount -t tmpfs -o mode=755 upper "$T/ram"
refuses 'files that a reboot took are told' "not in '$T/ram'.*remove it" \
	shale mount lost "$T/mnt"
ok 'tree draws it' shale tree
ok 'and it is removed' shale remove lost
ok 'and prepared anew' shale prepare --label org.shale.upper=ram lost two
ok 'and mounted' shale mount lost "$T/mnt"
umount "$T/mnt"
shale remove lost

# ---- killed at each step ----

# steps VERB ARGS...: of each call that changes something kill it at the first,
# at the second, ... until it gets through.  After each death every key that is
# there has its files, a cleanup leaves no others, and it works from there on.
steps()
{
	local call step killed=0
	for call in mkdirat symlinkat renameat2 renameat unlinkat fchmod \
		pwrite64; do
		for ((step = 1; step < 100; step++)); do
			start_over "$1" || return 1
			# The leak check of a sanitizer can't be traced.
			ASAN_OPTIONS=detect_leaks=0 strace -qq -o /dev/null \
				-e "trace=$call" \
				-e "inject=$call:signal=KILL:when=$step" \
				"$shale" --config "$T/shale.json" "$@" \
				>/dev/null 2>&1 && break
			killed=$((killed + 1))
			check_death "$call $step" || return 1
		done
	done
	start_over "$1" && [ "$killed" -ge 8 ]
}

# start_over VERB: the key `step` for all but prepare, and nothing committed
start_over()
{
	has_not committed || shale delete committed || return 1
	if [ "$1" = prepare ]; then
		has_not step || shale remove step
	elif has_not step; then
		shale prepare --label org.shale.upper=ram step two >/dev/null &&
			cp -a "$T/want/." "$(files_of step)/fs/"
	fi
}

check_death()
{
	local key
	for key in "$S"/active/*/key; do
		[ ! -L "$key" ] || [ -d "$(files_of "$(readlink "$key")")/fs" ] ||
			{
				echo "$1: $(readlink "$key") has no files" >&2
				return 1
			}
	done
	shale cleanup >/dev/null || return 1
	[ "$(dir_count ram)" -eq "$(fact_count ram)" ] || {
		echo "$1: $(dir_count ram) directories," \
			"$(fact_count ram) keys" >&2
		return 1
	}
	has_not committed ||
		diff -r "$S/snapshots/$(id_of committed)/fs" "$T/want" >&2
}

mkdir -p "$T/want/d"
echo text >"$T/want/d/file"
if type -P strace >/dev/null && strace -qq -o /dev/null true; then
	ok 'a prepare may be killed at each step' steps prepare \
		--label org.shale.upper=ram step two
	ok 'a commit' steps commit committed step
	ok 'a removal' steps remove step
	shale remove step
	is "$(dir_count ram)" 0 'and nothing is left'
else
	skip 'needs strace' 4
fi

# ---- an upper that can't be deleted ----

shale prepare --label org.shale.upper=second stays two
shale mount stays "$T/mnt" && touch "$T/mnt/stays" && umount "$T/mnt"
stays=$(find "$T/second" -name stays)
chattr +i "$stays"
run "$shale" --config "$T/shale.json" remove stays
is "$status" 0 'the key is removed'
like "$err" "delete upper 'second/.*not permitted" 'what is left is told'
chattr -i "$stays"
ok 'cleanup deletes it' "$shale" --config "$T/shale.json" cleanup
is "$(find "$T/second" -name stays)" '' 'and it is gone'

# ---- an upper without room ----

mkdir "$T/full"
mount -t tmpfs -o mode=700,size=4k,nr_inodes=6 full "$T/full" || exit 99
jq --arg full "$T/full" '.uppers.full = $full' "$T/shale.json" >"$T/full.json"
ok 'an active fits' "$shale" --config "$T/full.json" prepare \
	--label org.shale.upper=full full two
for engine in fsmount libmount; do
	refuses "$engine: its mount does not, and says why" \
		'the disk of its workdir is full.*No space left' \
		env SHALE_MOUNT_ENGINE=$engine \
		"$shale" --config "$T/full.json" mount full "$T/mnt"
done
ok 'remove' "$shale" --config "$T/full.json" remove full

# ---- through a door ----

# runc itself refuses a mountLabel without SELinux; crun does not.
if type -P crun >/dev/null; then
	jq '.mount_options = ["context=a:b:c"]' "$T/shale.json" \
		>"$T/other.json"
	bundle label 'echo ran' 'parent("two") | .linux.mountLabel = "d:e:f"
		| hook("createContainer"; ["--config", $T + "/other.json"])
		| hook("poststop"; ["--config", $T + "/other.json"])'
	run crun run --bundle "$B" label
	refused 'a hook refuses two contexts that differ' \
		"context 'a:b:c'.*mountLabel 'd:e:f'"
	bundle asks 'echo ran' 'parent("two")
		| annotate("volatile"; "true") | annotate("upper"; "ram")
		| hook("createContainer"; ["--config", $T + "/shale.json"])
		| hook("poststop"; ["--config", $T + "/shale.json"])'
	run crun run --bundle "$B" asks
	like "$out$err" 'ran|annotation' 'an annotation sets none of the labels'
	is "$(dir_count ram)" 0 'and puts nothing on an upper'
else
	skip 'needs crun' 3
fi

# A host that says it has SELinux, which the kernel then has not: that is told
# before a runtime is asked.
if ! grep -q 'selinuxfs$' /proc/filesystems; then
	for parent in two base; do
		bundle "labelled-$parent" 'echo ran' 'parent("'$parent'")
			| annotate("kind"; "view")
			| .linux.mountLabel = "d:e:f:s0:c1,c2"'
		refuses "a view of $parent gets the container's label" \
			"context='d:e:f:s0:c1,c2' is asked" unshare -m sh -c '
				mount -t tmpfs none /sys/fs &&
				mkdir /sys/fs/selinux &&
				: >/sys/fs/selinux/enforce && exec "$@"' sh \
			"$shale_runtime" --shale-config "$T/shale.json" \
			run --bundle "$B" "labelled-$parent"
	done
else
	skip 'this kernel has SELinux' 2
fi

done_testing
