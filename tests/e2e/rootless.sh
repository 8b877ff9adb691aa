#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A user's own store, without root: as uid 65534, who has no subordinate ids,
# and as a user who has some.  Containers of runc, crun and podman on it.
# Users, their homes and their processes are there in namespaces of this test
# alone, and the machine knows nothing of them.
# shellcheck disable=SC2016,SC2154 # what is quoted is the user's shell's
if [ "$(id -u)" -eq 0 ] && [ -z "${ROOTLESS_APART:-}" ]; then
	ROOTLESS_APART=1 exec unshare --mount --propagation private \
		--pid --fork --kill-child --mount-proc bash "$0"
fi
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
needs_root
needs runc crun jq busybox setpriv newuidmap newgidmap getfattr
for file in subuid subgid; do
	[ -e /etc/$file ] || skip_all "needs /etc/$file"
done
setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urm true ||
	skip_all 'users may make no user namespace here'

# ---- users ----

# A place that everybody reaches, wherever the build directory is.
for U in /media /srv /opt /mnt; do
	[ -d $U ] && [[ $T/ != $U/* ]] && break
done
trap 'code=$?; umount -R -l "$U"; (exit $code); leave' EXIT
mkdir "$T/u" "$T/u/stage" "$T/u/bin" "$T/etc"
chmod 755 "$T/u"
ok 'a place for users' mount --bind "$T/u" "$U"
ok 'with the installed tree' mount --bind "$STAGE" "$U/stage"
for file in passwd group subuid subgid; do
	cp "/etc/$file" "$T/etc/$file"
done
echo "layers:x:54711:54711::$U/layers:/bin/sh" >>"$T/etc/passwd"
echo 'layers:x:54711:' >>"$T/etc/group"
echo 'layers:700000:65536' >>"$T/etc/subuid"
echo '54711:700000:65536' >>"$T/etc/subgid"
for file in passwd group subuid subgid; do
	mount --bind "$T/etc/$file" "/etc/$file" || exit 99
done
# crun 1.8.1 refuses hybrid cgroups.
if [ "$(stat -fc %T /sys/fs/cgroup/unified 2>&1)" = cgroup2fs ]; then
	umount /sys/fs/cgroup/unified || exit 99
fi
ln -s "$(command -v busybox)" "$U/bin/static"
user_path=$U/stage${shale#"$STAGE"}
user_hook=$U/stage${hook#"$STAGE"}
user_libs=${LD_LIBRARY_PATH//"$STAGE"/"$U/stage"}

# user UID: whom `as` is from now on, with an empty home
user()
{
	uid=$1
	home=$U/$uid
	name="uid $uid"
	mkdir -p "$home/run" "$home/mnt"
	chmod 700 "$home" "$home/run"
	chown -R "$uid:$uid" "$home"
}

# as COMMAND...: with nothing of our environment
as()
{
	setpriv --reuid "$uid" --regid "$uid" --clear-groups env -i -C "$U" \
		PATH="${user_path%/*}:$U/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
		LD_LIBRARY_PATH="$user_libs" hook="$user_hook" U="$U" \
		ASAN_OPTIONS="${ASAN_OPTIONS:-}" \
		${home:+"HOME=$home" "XDG_RUNTIME_DIR=$home/run"} "$@"
}

# inside SCRIPT [ARG...]: a script of the user's in namespaces of his own
inside()
{
	as shale unshare bash -euc "$@"
}

# told SENTENCE REGEX COMMAND...: it succeeds and warns
told()
{
	local sentence=$1 regex=$2
	shift 2
	run "$@"
	[ "$status" -eq 0 ] && [[ $err =~ $regex ]]
	result $? "$sentence" "exit $status: $out
stderr: $err"
}

hint="subordinate ids: 'shale unshare' maps them"

# ---- what both can do ----

fill='
mkdir bin dev etc proc root run sys tmp opaque dir
cp "$(command -v static)" bin/busybox
for applet in sh id cat; do ln -s busybox bin/$applet; done
echo root:x:0:0:root:/root:/bin/sh >etc/passwd
echo base | tee kept gone opaque/lower dir/file >changed'
change='
echo second >changed
rm -r gone opaque
mkdir opaque
echo second >opaque/upper
mv dir moved'

layers()
{
	local store=$home/.local/share/shale

	ok "$name: prepare makes the store" as shale prepare new
	is "$(stat -c %a:%u "$home/.local" "$store" | xargs)" \
		"700:$uid 700:$uid" "$name: for this user alone"
	refuses "$name: a mount without privilege is refused by name" \
		"mount: on '$home/mnt': it needs root, or a user namespace of your own: 'shale unshare' makes one" \
		as shale mount new "$home/mnt"
	ok "$name: a layer" inside 'shale mount new ~/mnt
		cd ~/mnt; '"$fill"'
		cd /; shale umount ~/mnt; shale commit base new'
	ok "$name: prepare on it, outside" as shale prepare new base
	ok "$name: a second layer" inside 'shale mount new ~/mnt
		cd ~/mnt; '"$change"'
		cd /; shale umount ~/mnt'
	ok "$name: commit, outside" as shale commit two new
	changes=$(dirname "$(grep -lx second "$store"/snapshots/*/fs/changed)")
	is "$(stat -c %t:%T "$changes/gone" "$changes/dir" | xargs)" '0:0 0:0' \
		"$name: whiteouts are devices 0/0"
	is "$(getfattr --only-values -n user.overlay.opaque \
		"$changes/opaque")" y "$name: opaque is in user.*"
	ok "$name: a view of both" as shale view v two
	ok "$name: shows what was done" inside 'shale mount v ~/mnt
		test "$(cat ~/mnt/changed ~/mnt/kept)" = "second
base"
		test "$(ls ~/mnt/opaque ~/mnt/moved | xargs)" = \
			"$HOME/mnt/moved: file $HOME/mnt/opaque: upper"
		test ! -e ~/mnt/gone
		test ! -e ~/mnt/dir
		! echo x 2>/dev/null >~/mnt/written'
	ok "$name: usage" as shale usage two
	ok "$name: remove" as shale remove v
}

# Whoever asks, and from wherever: the kernel knows.
mounted_elsewhere()
{
	ok "$name: prepare" as shale prepare k two
	mkfifo -m 666 "$U/ready" "$U/go"
	inside 'shale mount k ~/mnt; echo >$U/ready; read -r x <$U/go
		shale umount ~/mnt' &
	read -r _ <"$U/ready"
	refuses "$name: a mounted one is not committed, outside" \
		'an overlay is mounted on it' as shale commit three k
	refuses "$name: nor in another namespace" \
		'an overlay is mounted on it' as shale unshare \
		shale commit three k
	refuses "$name: nor mounted again" 'an overlay is mounted on it' \
		as shale unshare shale mount k "$home/mnt"
	echo >"$U/go"
	wait $!
	rm "$U/ready" "$U/go"
	ok "$name: it is committed when it is unmounted" \
		as shale commit three k
	ok "$name: and deleted" as shale delete three
}

settings()
{
	local file=$home/.config/shale/shale.json option

	as mkdir -p "${file%/*}" "$home/config/shale"
	as shale prepare k two
	for option in metacopy=on redirect_dir=on redirect_dir=follow \
		redirect_dir=off; do
		echo "{\"mount_options\": [\"$option\"]}" >"$file"
		chown "$uid" "$file"
		refuses "$name: $option is refused by name" \
			"mount option '$option' can't be had.*kernel refuses" \
			inside 'shale mount k ~/mnt'
		refuses "$name: and the kernel would" . inside \
			'mkdir -p ~/o/l ~/o/u ~/o/w
			mount -t overlay overlay -o lowerdir=$HOME/o/l,upperdir=$HOME/o/u,workdir=$HOME/o/w,userxattr,'$option' ~/mnt'
	done
	for option in index=on nfs_export=on xino=on; do
		echo "{\"mount_options\": [\"$option\"]}" >"$file"
		refuses "$name: $option is refused by name" \
			"mount option '$option' can't be had.*kernel ignores" \
			as shale mounts k
	done
	echo '{"mount_options": ["volatile"]}' >"$file"
	ok "$name: volatile can be had" inside 'shale prepare v two
		shale mount v ~/mnt
		grep " $HOME/mnt .*volatile" /proc/self/mountinfo
		shale umount ~/mnt; shale remove v'
	chmod 666 "$file"
	refuses "$name: a configuration that others may write is refused" \
		"'$file': its group or others may write it" as shale ls
	rm "$file"
	ok "$name: remove" as shale remove k
	echo '{"root": "/nowhere/store"}' >"$home/config/shale/shale.json"
	chown -R "$uid" "$home/config"
	refuses "$name: XDG_CONFIG_HOME is followed" "'/nowhere/store'" \
		as env XDG_CONFIG_HOME="$home/config" shale ls
	refuses "$name: a root that is configured is not made from nothing" \
		"'/nowhere/store'" \
		as env XDG_CONFIG_HOME="$home/config" shale prepare x
	ok "$name: XDG_DATA_HOME is followed" \
		as env XDG_DATA_HOME="$home/new/data" shale prepare x
	ok "$name: and made" test -d "$home/new/data/shale/active"
}

# bundle_for RUNTIME JQ: in ~/b, a rootless one, whose root is ~/b/rootfs.  The
# leak checker of a sanitized hook looks for itself in /proc, which is still of
# another pid namespace.
bundle_for='rm -rf ~/b; mkdir -p ~/b/rootfs; cd ~/b; runc spec --rootless
	jq --arg hook "$hook" --arg store "$HOME/.local/share/shale" \
		--arg libs "$LD_LIBRARY_PATH" ".process.terminal = false |
		.process.args = [\"sh\", \"-c\",
			\"cat /changed /kept; id -u; echo \$0 >/written\", \$r] |
		.root.readonly = false | del(.linux.resources) |
		.annotations[\"run.oci.hooks.stderr\"] = \"$HOME/hook.err\" |
		def hook(\$s): .hooks[\$s] += [{path: \$hook,
			args: [\"shale-hook\", \$s, \"--root\", \$store],
			env: [\"LD_LIBRARY_PATH=\" + \$libs,
				\"ASAN_OPTIONS=detect_leaks=0\"]}];
		def stage(\$s): hook(\$s) | hook(\"poststop\") |
			.annotations[\"org.shale.parent\"] = \"two\";
		def inherit: del(.linux.uidMappings, .linux.gidMappings) |
			.linux.namespaces |= map(select(.type != \"user\"));
		$2" --arg r "$1" config.json >new && mv new config.json
	'

containers()
{
	local runtime namespace
	for runtime in runc crun; do
		for namespace in . inherit; do
			ok "$name: prepare" as shale prepare web two
			run inside "$bundle_for"'
				shale mount web ~/b/rootfs
				$1 --root ~/run/$1 run x
				shale umount ~/b/rootfs' \
				sh $runtime "$namespace"
			is "$status $out" $'0 second\nbase\n0' \
				"$name: $runtime on a mount ($namespace)"
			ok "$name: its layer is committed" \
				as shale commit kept web
			ok "$name: it has what the container wrote" \
				grep -lx $runtime "$home"/.local/share/shale/snapshots/*/fs/written
			ok "$name: delete" as shale delete kept
		done
	done
}

# in_hook RUNTIME STAGE NAMESPACE
in_hook()
{
	run inside "$bundle_for"'
		$1 --root ~/run/$1 run x' sh "$1" "stage(\"$2\") | $3"
	err+=$(cat "$home/hook.err" 2>/dev/null)
}

hooks()
{
	local one namespace
	for one in 'runc prestart .' 'runc prestart inherit' \
		'runc createContainer inherit' 'crun createContainer inherit'; do
		# shellcheck disable=SC2086
		in_hook $one
		is "$status $out" $'0 second\nbase\n0' \
			"$name: hook: $one" || diag "$err"
		is "$(as shale --json active | jq -r '.[].name')" '' \
			"$name: hook: $one: no key is left"
	done
	in_hook crun createContainer .
	refused "$name: the root of a nested namespace is refused" \
		'who has no store: use .shale mount'
	refuses "$name: a hook looks up nothing by its environment" \
		'give it --config FILE or --root DIR' as bash -c \
		'echo "{\"ociVersion\":\"1\",\"id\":\"x\",\"status\":\"stopped\",\"bundle\":\"/\"}" | "$hook" poststop'
}

# Its environment is the user's: it finds his store and his rules.
own_runtime()
{
	local file=$home/.config/shale/shale.json parent
	local life='shale-runtime --root ~/run/r run x'

	parent='.annotations["org.shale.parent"] = "two" | '
	rm -f "$file"
	run inside "$bundle_for$life" sh x "$parent inherit"
	refused "$name: shale-runtime: the rule to add is named, and the file" \
		"no rule allows .*\"runtime_root\": \"$home/run/r\".* to policy in $file"
	echo "{\"runtime\": \"crun\", \"policy\": [
		{\"user\": $uid, \"parents\": [\"two\"]}]}" >"$file"
	chown "$uid" "$file"
	run inside "$bundle_for$life" sh x "$parent inherit"
	is "$status $out" $'0 second\nbase\n0' \
		"$name: shale-runtime: a container by a rule of the user's"
	ok "$name: shale-runtime: it was the configured runtime" \
		test -d "$home/run/r"
	is "$(as shale --json active | jq -r '.[].name')" '' \
		"$name: shale-runtime: no key is left"
	rm "$file"
}

no_home()
{
	home='' refuses "$name: without HOME it says what to give" \
		'neither XDG_DATA_HOME nor HOME is set: give --root DIR' \
		as shale prepare x
}

user 65534
layers
told 'one id alone is mapped, and that is said' \
	'only your own ids are mapped, since /etc/subuid' \
	as shale unshare true
ok 'unshare of util-linux does the same' as unshare -rm sh -c \
	'shale prepare k two && shale mount k ~/mnt && cat ~/mnt/kept &&
	shale umount ~/mnt && shale remove k'
refuses 'another id can not be had' 'Invalid argument' \
	inside 'touch ~/file; chown 1:1 ~/file'
mounted_elsewhere
settings
containers
hooks
own_runtime
no_home

user 54711
layers
is "$(inside 'cat /proc/self/uid_map /proc/self/gid_map' | xargs)" \
	'0 54711 1 1 700000 65536 0 54711 1 1 700000 65536' \
	'subordinate ids are mapped'
mounted_elsewhere
settings
containers
hooks
own_runtime
no_home

# ---- other ids in a namespace of the user's ----

map=0:1:1000
maps="--label org.shale.uidmap=$map --label org.shale.gidmap=$map"
refuses 'a mapping is refused by name' \
	"give the container the ids that are here, or see slow_chown in" \
	inside "shale prepare m two $maps; shale mount m ~/mnt"
ok 'remove' as shale remove m
echo '{"slow_chown": true}' >"$home/.config/shale/shale.json"
chown "$uid" "$home/.config/shale/shale.json"
run inside "shale prepare m two $maps"' >/dev/null; shale mount m ~/mnt
	stat -c %u:%g ~/mnt ~/mnt/changed ~/mnt/kept
	cd ~/mnt
	setpriv --reuid 1 --regid 1 --clear-groups touch new
	stat -c %u:%g new; cd ~; shale umount ~/mnt; shale commit shifted m
	stat -c %u:%g ~/.local/share/shale/snapshots/*/fs/new'
is "$status $(echo "$out" | xargs)" '0 1:1 1:1 1:1 1:1 0:0' \
	'with slow_chown its files are copied, and are the mapped root'"'"'s'
ok 'delete' as shale unshare shale delete shifted
rm "$home/.config/shale/shale.json"

# ---- files of subordinate ids ----

private='shale mount k ~/mnt; mkdir -m 700 ~/mnt/private
	touch ~/mnt/private/file; chown -R 7:8 ~/mnt/private
	shale umount ~/mnt'
ok 'an active with a directory of another id' as shale prepare k two
ok 'which is private to it' inside "$private"
refuses 'usage, outside, names the remedy' "$hint" as shale usage k
refuses 'commit, outside, names the remedy' "$hint" as shale commit three k
ok 'usage, inside' as shale unshare shale usage k
ok 'commit, inside' as shale unshare shale commit three k
ok 'usage of a committed one is on record' as shale usage three
told 'delete, outside, succeeds and names the remedy' "$hint" \
	as shale delete three
refuses 'it is gone' 'no such snapshot' as shale stat three
refuses 'cleanup, outside, names the remedy' "$hint" as shale cleanup
ok 'cleanup, inside' as shale unshare shale cleanup
is "$(ls -A "$home/.local/share/shale/trash")" '' 'empties the trash'
ok 'prepare' as shale prepare k two
ok 'a root directory of another id' inside 'shale mount k ~/mnt
	chown 7:8 ~/mnt; shale umount ~/mnt; shale commit three k'
refuses 'prepare on it, outside, names the remedy' "$hint" \
	as shale prepare k three
ok 'prepare on it, inside' as shale unshare shale prepare k three
ok 'remove' as shale remove k
ok 'delete' as shale delete three

# ---- unshare ----

run as shale unshare sh -c 'exit 7'
is "$status" 7 'the exit status is the command'\''s'
run as bash -c 'trap "" CHLD; grep SigIgn /proc/self/status
	exec shale unshare grep SigIgn /proc/self/status'
is "$status ${out%%$'\n'*}" "0 ${out##*$'\n'}" \
	'SIGCHLD may be ignored, and stays so'
refuses 'a command that is none is named' "run '/nope': No such file" \
	as shale unshare /nope
is "$(as shale unshare echo --json --root)" '--json --root' \
	'options of the command are its own'
ok 'inside it is one more mount namespace' inside \
	'shale unshare mount -t tmpfs none ~/mnt; ! mountpoint -q ~/mnt'
ok 'root gets a mount namespace' "$shale" unshare sh -c \
	"mount -t tmpfs none '$T/etc' && grep '^ *0 *0 ' /proc/self/uid_map"
ok 'which ends with the command' test -e "$T/etc/passwd"
refuses 'a user namespace alone is not enough, and that is said' \
	'it needs a mount namespace of your own' \
	as unshare -U --map-root-user shale umount /proc

# ---- podman ----

if type -P podman >/dev/null; then
	podman="podman --root $home/pods --runroot $home/run/pods"
	podman+=' --cgroup-manager cgroupfs'
	as shale prepare pod two
	# shellcheck disable=SC2086
	{
		ok 'podman unshare: mount' as $podman unshare \
			shale mount pod "$home/mnt"
		for runtime in runc crun; do
			run as timeout 60 $podman --runtime $runtime run --rm \
				--network none --ulimit nofile=1024:1024 \
				--ulimit nproc=1000:1000 --rootfs "$home/mnt" \
				sh -c 'cat /changed; id -u; echo podman >/written'
			is "$status $out" $'0 second\n0' \
				"podman, $runtime: a container on it" ||
				diag "$err"
		done
		ok 'podman unshare: umount' as $podman unshare \
			shale umount "$home/mnt"
		ok 'podman unshare: commit' as $podman unshare \
			shale commit podded pod
		ok 'podman lets its namespace go' as $podman system migrate
	}
	ok 'the layer has what it wrote' grep -lx podman \
		"$home"/.local/share/shale/snapshots/*/fs/written
else
	skip 'needs podman' 7
fi
done_testing
