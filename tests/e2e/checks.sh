# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2016
# What must hold in a container whatever runtime and stage made it: the
# checks that runc.sh and crun.sh run for each of theirs.  Sourced after
# lib.sh, with a store made by `store`.

# `run` leaves these.
: "${out:=}" "${err:=}" "${status:=0}"

# Runs in a container; each line that it prints starts with a word that says
# what the rest is.
# shellcheck disable=SC2016
probe='
sed "s/^/mountinfo /" /proc/self/mountinfo
for f in kept changed added deleted deleted.d opaque/lower opaque/upper; do
	if [ -f /$f ]; then
		echo "file $f $(cat /$f)"
	elif [ -e /$f ]; then
		echo "file $f other"
	else
		echo "file $f none"
	fi
done
for p in $masked; do
	if [ -d $p ]; then
		echo "masked $p $(ls -A $p | wc -l) entries"
	elif [ -e $p ]; then
		echo "masked $p $(head -c 1 $p | wc -c) bytes"
	else
		echo "masked $p absent"
	fi
done
for p in /proc/sysrq-trigger /proc/sys/kernel/domainname; do
	if (: >>$p) 2>/dev/null; then
		echo "writable $p"
	else
		echo "readonly $p"
	fi
done
if (mkdir /proc/sys/made) 2>/dev/null; then echo "writable /proc/sys"; fi
if (echo written >/written) 2>/dev/null; then
	echo "root writable"
	echo container >/kept
	rm /changed
	mkdir /made
else
	echo "root readonly"
fi
echo "dev $(ls -ld /dev/null /dev/zero /dev/fd /dev/ptmx | cut -c 1-10 |
	tr "\n" " ")"
echo "pid $$ $(ls -d /proc/[0-9]* | wc -l)"
echo "cwd $(pwd)"
echo "end"
'

# jq: hand the masked paths of the bundle to the probe
with_masks='.process.env += ["masked=" + (.linux.maskedPaths | join(" "))]'

# said WORD [TEXT]: what the probe said after WORD, or WORD NAME
said()
{
	sed -n "s|^$1 ||p" "$T/probe.out"
}

# mount_list: target, type, flags and propagation of every mount but the
# root, in order
mount_list()
{
	said mountinfo | awk '{
		kind = ""
		for (i = 7; $i != "-"; i++) {
			sub(":.*", "", $i)
			kind = kind " " $i
		}
		if ($5 != "/")
			print $5, $(i + 1), $6 kind
	}'
}

# What a container runs that tells whether its root waits for the disk.
# shellcheck disable=SC2034
tells_volatile='grep " / / .*[,=]volatile" /proc/self/mountinfo >/dev/null &&
	echo volatile || echo synced'

root_mounts()
{
	said mountinfo | awk '{
		for (i = 7; $i != "-"; i++)
			;
		if ($5 == "/")
			print $(i + 1), substr($6, 1, 2)
	}'
}

names()
{
	find "$1" -mindepth 1 | sort | sed "s|^$1||"
}

# nothing_mounted SENTENCE: in this namespace, below $T
nothing_mounted()
{
	is "$(mounts_below "$T")" '' "$1"
}

# nothing_left ID SENTENCE: neither key nor mount
nothing_left()
{
	is "$(active_keys) $(mounts_below "$T")" ' ' "$1"
}

# plain RUNTIME NAME JQ: the mount list and the masks of a container that the
# runtime starts on a directory, without a hook, to compare with
plain()
{
	bundle "$2" "$probe" "$with_masks | $3"
	(cd "$B/rootfs" && fill_base) || exit 99
	run "$1" run --bundle "$B" "$2"
	cp "$T/run.out" "$T/probe.out"
	plain_mounts=$(mount_list)
	plain_masks=$(said masked)
	plain_dev=$(said dev)
	if [ "$(said end)$status" != 0 ] || [ -z "$plain_mounts" ]; then
		diag "a container without a hook failed: $err"
		exit 99
	fi
}

# probed RUNTIME NAME JQ: the same with the hooks that JQ adds
probed()
{
	bundle "$2" "$probe" "$with_masks | $3"
	run "$1" run --bundle "$B" "$2"
	cp "$T/run.out" "$T/probe.out"
	grep -q '^end$' "$T/probe.out" && [ "$status" -eq 0 ]
	result $? "$label: the container runs" "exit $status
$err"
}

# sees_layers: after `probed`
sees_layers()
{
	is "$(said file)" 'kept base
changed second
added second
deleted none
deleted.d none
opaque/lower none
opaque/upper second' "$label: layers are stacked and whiteouts hide"
}

mounts_and_masks_hold()
{
	is "$(mount_list)" "$plain_mounts" \
		"$label: same mounts as without a hook"
	is "$(said masked)" "$plain_masks" "$label: masked paths hold"
	unlike "$(said masked)" ' [1-9][0-9]* (bytes|entries)' \
		"$label: nothing to read below a masked path"
	is "$(said readonly)$(said writable)" \
		$'/proc/sysrq-trigger\n/proc/sys/kernel/domainname' \
		"$label: read-only paths hold"
	is "$(said dev)" "$plain_dev" "$label: /dev is the runtime's"
}

# layered RUNTIME STAGE ENGINE: a whole life by `run`
layered()
{
	local runtime=$1 stage=$2 engine=$3 before layers
	label="$runtime $stage $engine"
	before=$(listing "$S/snapshots")
	probed "$runtime" "c-$stage-$engine" 'parent("two")
		| hook("'"$stage"'"; ["--root", $store];
			["SHALE_MOUNT_ENGINE='"$engine"'"])
		| hook("poststop")'
	is "$(root_mounts)" 'overlay rw' "$label: / is the overlay alone"
	# The kernel shows which of its two interfaces the layers came by.
	layers='lowerdir='
	[ "$engine" = libmount ] || layers='lowerdir\+='
	like "$(said mountinfo)" "$layers" "$label: made by that engine"
	sees_layers
	mounts_and_masks_hold
	is "$(said root)" writable "$label: the root is writable"
	is "$(listing "$S/snapshots")" "$before" "$label: layers untouched"
	is "$(active_keys)" '' "$label: poststop removed the key"
	nothing_mounted "$label: nothing stays mounted"
	is "$(names "$B/rootfs")" "$(names "$T/bundle.empty/rootfs")" \
		"$label: the bundle's own directory has mount points alone"
}

# readonly_root RUNTIME STAGE
readonly_root()
{
	label="$1 $2 readonly"
	probed "$1" "ro-$2" 'parent("two") | .root.readonly = true
		| hook("'"$2"'") | hook("poststop")'
	is "$(root_mounts)" 'overlay ro' "$label: / is a read-only overlay"
	is "$(said root)" readonly "$label: no write to the root"
	sees_layers
	is "$(said masked)" "$plain_masks" "$label: masked paths hold"
	is "$(mount_list)" "$plain_mounts" \
		"$label: same mounts as without a hook"
	nothing_left "$label: nothing is left"
}

# wait_for STATUS RUNTIME ID: for at most five seconds
wait_for()
{
	local n
	for ((n = 0; n < 100; n++)); do
		[ "$("$2" state "$3" 2>/dev/null | jq -r .status)" = "$1" ] &&
			return 0
		sleep 0.05
	done
	return 1
}

# stepwise RUNTIME STAGE: create, start, exec, kill, delete
stepwise()
{
	local runtime=$1 stage=$2 id=step-$2 key dir file
	label="$runtime $stage steps"
	bundle "$id" 'trap "exit 0" TERM
		echo started >/written; rm /kept
		while :; do sleep 0.1; done' 'parent("two")
		| hook("'"$stage"'") | hook("poststop")'
	ok "$label: create" "$runtime" create --bundle "$B" "$id"
	key=$(active_keys)
	isnt_empty "$key" "$label: create made a key"
	nothing_mounted "$label: the mount is in the container's namespace alone"
	ok "$label: start" "$runtime" start "$id"
	ok "$label: exec sees what the container wrote" "$runtime" exec "$id" \
		/bin/sh -c 'n=0; while [ -e /kept ] && [ $n -lt 50 ]; do
			sleep 0.1; n=$((n + 1)); done; cat /written /added'
	is "$out" $'started\nsecond' "$label: exec reads upper and lower"
	ok "$label: exec writes" "$runtime" exec "$id" \
		/bin/sh -c 'echo exec >/exec && mkdir /exec.d'
	dir=$(dirname "$(find "$S/active" -path '*/fs/exec')")
	for file in written exec exec.d; do
		ok "$label: $file is in the upper" test -e "$dir/$file"
	done
	ok "$label: the deleted file is a whiteout there" test -c "$dir/kept"
	is "$(find "$S/snapshots" -name written -o -name 'exec*')" '' \
		"$label: and no layer has them"
	refuses "$label: its key can't be removed" 'use' \
		on_store remove "$key"
	refuses "$label: its key can't be committed" 'use' \
		on_store commit stolen "$key"
	ok "$label: kill" "$runtime" kill "$id" TERM
	ok "$label: it stops" wait_for stopped "$runtime" "$id"
	ok "$label: delete" "$runtime" delete "$id"
	nothing_left "$label: neither key nor mount is left"
}

# odd_images RUNTIME STAGE: images and mounts that need care
odd_images()
{
	local runtime=$1 stage=$2 with
	with='| hook("'"$stage"'") | hook("poststop")'
	label="$runtime $stage"

	bundle "cwd-$stage" 'pwd' 'parent("two")
		| .process.cwd = "/not/there/yet"'"$with"
	ok "$label: a cwd that the image has not" \
		"$runtime" run --bundle "$B" "cwd-$stage"
	is "$out" /not/there/yet "$label: and it is the cwd"

	echo from-host >"$T/host.conf"
	bundle "dangling-$stage" 'cat /etc/resolv.conf' 'parent("dangling")
		| bind("/etc/resolv.conf"; $T + "/host.conf")'"$with"
	ok "$label: a mount on a dangling link of the image" \
		"$runtime" run --bundle "$B" "dangling-$stage"
	is "$out" from-host "$label: and it is seen through the link"

	mkdir -p "$T/host.d/sub" "$T/host.e"
	echo one >"$T/host.d/file"
	echo two >"$T/host.e/file"
	bundle "binds-$stage" 'cat /data/file /data/sub/file /var/run/f \
		/etc/host.conf; echo back >/data/written
		grep -c " /data" /proc/self/mountinfo' 'parent("dangling")
		| bind("/data"; $T + "/host.d")
		| bind("/data/sub"; $T + "/host.e")
		| bind("/var/run/f"; $T + "/host.conf")
		| mount("/etc/host.conf"; "bind"; $T + "/host.conf";
			["bind", "ro"])'"$with"
	ok "$label: mounts of files and directories, nested, through a link" \
		"$runtime" run --bundle "$B" "binds-$stage"
	is "$out" $'one\ntwo\nfrom-host\nfrom-host\n2' \
		"$label: all of them are seen"
	is "$(cat "$T/host.d/written")" back "$label: and written through"
	is "$(find "$S/snapshots" -name data)" '' \
		"$label: mount points are made in no layer"

	bundle "escape-$stage" 'cat /escape/file' 'parent("escape")
		| bind("/escape/file"; $T + "/host.conf")'"$with"
	mkdir -p "$T/outside"
	ok "$label: a mount through a link that leads out of the image" \
		"$runtime" run --bundle "$B" "escape-$stage"
	is "$out$(names "$T/outside")" from-host "$label: stays in the image"

	if type -P script >/dev/null; then
		bundle "tty-$stage" 'tty && echo has-tty >/dev/console' \
			'parent("two") | .process.terminal = true'"$with"
		# script asks $SHELL, and only bash knows exported functions.
		export -f limited runc crun
		export T
		ok "$label: a terminal" env SHELL="$BASH" script -qec \
			"$runtime run --bundle $B tty-$stage" /dev/null
		like "$out" "/dev/pts/0.*has-tty" "$label: and its console"
	else
		skip 'needs script' 2
	fi
}

# odd_refusals RUNTIME STAGE: images and mounts that no hook can serve
odd_refusals()
{
	local runtime=$1 stage=$2 sentence regex program
	while IFS='~' read -r sentence regex program; do
		bundle "odd-$stage" 'echo ran' \
			"$program | hook(\"$stage\") | hook(\"poststop\")"
		refuses "$runtime $stage: refused is $sentence" "$regex" \
			"$runtime" run --bundle "$B" "odd-$stage"
		is "$out" '' "$runtime $stage: $sentence: nothing runs"
		nothing_left "$runtime $stage: $sentence: nothing is left"
	done <<-'END'
		an image whose /proc is a link~/proc~parent("proc-link")
		an image whose /proc is a file~/proc~parent("proc-file")
		an image whose /sys is a link~/sys~parent("sys-link")
		a mount that a later one hides~/a~parent("two") | bind("/a/b"; $T + "/host.d") | bind("/a"; $T + "/host.d")
		a mount on another~/a~parent("two") | bind("/a"; $T + "/host.d") | bind("/a"; $T + "/host.e")
		a directory on a file of the image~/kept~parent("two") | bind("/kept"; $T + "/host.d")
		a file on a directory of the image~/opaque~parent("two") | bind("/opaque"; $T + "/host.conf")
		a mount on a link to itself~/loop~parent("escape") | bind("/loop"; $T + "/host.d")
		a mount point that a view has not~/data~parent("two") | annotate("kind"; "view") | bind("/data"; $T + "/host.d")
		a container without a mount on /dev~/dev~parent("two") | .mounts |= map(select(.destination | startswith("/dev") | not))
	END
}

# masks_of_the_image RUNTIME STAGE [UP]: masked paths that only the image has,
# called by a name that starts with UP
masks_of_the_image()
{
	label="$1 $2: a masked path ${3:-}/kept of the image"
	bundle "mask-$2" 'cat /kept; echo x >/changed' 'parent("two")
		| .linux.maskedPaths += ["'"${3:-}"'/kept"]
		| .linux.readonlyPaths += ["'"${3:-}"'/changed"]
		| hook("'"$2"'") | hook("poststop")'
	run "$1" run --bundle "$B" "mask-$2"
	if [ "$1" = runc ]; then
		is "$out" '' "$label is masked"
		like "$err" 'changed: Read-only' "$label is read-only"
	else
		refused "$label is refused" /kept
		is "$out" '' "$label: nothing runs"
	fi
	nothing_left "$label: nothing is left"
}

# given_up RUNTIME SENTENCE: runc runs poststop for what it could not create,
# crun does not: then it is for `shale cleanup` to see that it is gone
given_up()
{
	[ "$1" = runc ] || ok "$label: cleanup" on_store cleanup
	nothing_left "$2"
}

# failures RUNTIME STAGE: what goes wrong after the hook, or at a bad moment
failures()
{
	local runtime=$1 stage=$2
	label="$runtime $stage"
	bundle "no-command-$stage" '' 'parent("two")
		| .process.args = ["/not/there"]
		| hook("'"$stage"'") | hook("poststop")'
	refuses "$label: a command that the image has not" /not/there \
		"$runtime" run --bundle "$B" "no-command-$stage"
	given_up "$runtime" "$label: nothing is left of it"

	bundle "later-$stage" 'echo ran' 'parent("two")
		| hook("'"$stage"'") | hook("poststop")
		| .hooks["'"$stage"'"] += [{path: "/bin/false"}]'
	refuses "$label: a later hook that fails" . \
		"$runtime" run --bundle "$B" "later-$stage"
	is "$out" '' "$label: nothing runs"
	given_up "$runtime" "$label: nothing is left of it"

	bundle "force-$stage" 'trap "" TERM; while :; do sleep 0.1; done' \
		'parent("two") | hook("'"$stage"'") | hook("poststop")'
	run "$runtime" create --bundle "$B" "force-$stage"
	ok "$label: start" "$runtime" start "force-$stage"
	ok "$label: delete --force of what runs" \
		"$runtime" delete --force "force-$stage"
	nothing_left "$label: nothing is left of it"

	bundle "never-$stage" 'echo ran' \
		'parent("two") | hook("'"$stage"'") | hook("poststop")'
	ok "$label: create" "$runtime" create --bundle "$B" "never-$stage"
	ok "$label: delete --force of what never started" \
		"$runtime" delete --force "never-$stage"
	nothing_left "$label: nothing is left of it"
}

# shared_host RUNTIME STAGE: a bundle on a shared mount of the host
shared_host()
{
	local propagation before
	label="$1 $2 on a shared mount"
	mkdir -p "$T/bundle.shared-$2"
	mount --bind "$T/bundle.shared-$2" "$T/bundle.shared-$2"
	mount --make-shared "$T/bundle.shared-$2"
	before=$(mounts_below "$T")
	for propagation in shared slave private; do
		bundle "shared-$2" 'sleep 100' 'parent("two")
			| .linux.rootfsPropagation = "'$propagation'"
			| hook("'"$2"'") | hook("poststop")'
		ok "$label, $propagation: create" \
			"$1" create --bundle "$B" "shared-$2"
		is "$(mounts_below "$T")" "$before" \
			"$label, $propagation: nothing leaks to the host"
		run "$1" delete --force "shared-$2"
	done
	umount "$T/bundle.shared-$2"
	nothing_left "$label: nothing is left"
}

# at_once RUNTIME STAGE: eight containers on one store
at_once()
{
	local n pids=() bad=0
	for n in 1 2 3 4 5 6 7 8; do
		bundle "once-$n" "echo $n >/n; sleep 0.1; cat /n /added" \
			'parent("two") | hook("'"$2"'") | hook("poststop")'
		"$1" run --bundle "$B" "once-$n" </dev/null >"$T/once.$n" &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n" || bad=$((bad + 1))
	done
	is "$bad" 0 "$1 $2: eight containers at once"
	is "$(cat "$T"/once.[1-8] | tr -d '\n')" "$(for n in 1 2 3 4 5 6 7 8; do
		printf '%ssecond' "$n"
	done)" "$1 $2: each on its own upper"
	nothing_left "$1 $2: nothing is left of eight"
}

# The images that odd_images and odd_refusals want.
odd_layers()
{
	layer dangling two eval 'ln -sf ../run/none/resolv.conf etc/resolv.conf
		ln -s /run var/run'
	layer escape two eval 'ln -s ../../../../../../../..$T/outside escape
		ln -s loop loop'
	layer proc-link two eval 'rmdir proc; ln -s run proc'
	layer proc-file two eval 'rmdir proc; echo file >proc'
	layer sys-link two eval 'rmdir sys; ln -s /run sys'
}

# views RUNTIME STAGE: kind=view on two layers (overlay) and one (bind)
views()
{
	local parent
	for parent in two base; do
		label="$1 $2 view of $parent"
		probed "$1" "view-$2-$parent" 'parent("'$parent'")
			| annotate("kind"; "view")
			| hook("'"$2"'") | hook("poststop")'
		is "$(said root)" readonly "$label: the root is read-only"
		is "$(said masked)" "$plain_masks" "$label: masked paths hold"
		is "$(mount_list)" "$plain_mounts" \
			"$label: same mounts as without a hook"
		if [ "$parent" = two ]; then
			sees_layers
			is "$(root_mounts)" 'overlay ro' \
				"$label: / is a read-only overlay"
		else
			is "$(said file | head -n 2)" $'kept base\nchanged base' \
				"$label: its files are there"
		fi
		nothing_left "$label: nothing is left"
	done
}
