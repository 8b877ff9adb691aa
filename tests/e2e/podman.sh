#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# podman: the root mounted by hand for --rootfs, and the stage precreate with
# poststop, in whole lives of containers.  SHALE_LONG=1 runs it 100 times.
# shellcheck disable=SC2016,SC2317
here=$(dirname "$0")
[ -n "${SHALE_ALONE:-}" ] || exec "$here/../alone" bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
needs podman conmon runc jq busybox
own_run

store store
podman_hooks
mkdir "$T/empty"
two=(--annotation org.shale.parent=two)

# records: what is on record, one container a line
records()
{
	ls -A /run/shale/precreate 2>/dev/null
}

# all_gone SENTENCE: neither key, mount, record nor process is left
all_gone()
{
	is "$(active_keys)$(mounts_below /run/shale)$(records)" '' "$1"
}

# gone_soon SENTENCE: the same, after a stop that another process cleans up
gone_soon()
{
	local n
	for ((n = 0; n < 200; n++)); do
		[ -n "$(active_keys)$(records)" ] || break
		sleep 0.05
	done
	all_gone "$1"
}

# exits STATUS COMMAND...
exits()
{
	local want=$1 got=0
	shift
	"$@" || got=$?
	[ "$got" -eq "$want" ]
}

# logged WORD TIMES: a container has said it so often, within ten seconds
logged()
{
	local n
	for ((n = 0; n < 200; n++)); do
		[ "$(podman logs again 2>/dev/null | grep -c "^$1$")" != "$2" ] ||
			return 0
		sleep 0.05
	done
	return 1
}

# A view can be given no mount point; a runtime that dies at its work.
layer mountable two eval ': >run/.containerenv; : >etc/hostname; : >etc/hosts'
cat >"$T/killed" <<'END'
#!/bin/sh
case " $* " in
*' create '*) kill -9 $$ ;;
esac
exec runc "$@"
END
chmod +x "$T/killed"

# ---- the plain recipe ----

on_store prepare web two >/dev/null
mkdir "$T/web"
ok 'by hand: shale mount KEY DIR' on_store mount web "$T/web"
ok 'by hand: podman run --rootfs DIR' podman_run --rm -w /tmp --user root \
	--rootfs "$T/web" /bin/sh -c 'pwd; cat /added; echo x >/written'
is "$out" $'/tmp\nsecond' 'by hand: it runs on the layers, in its workdir'
ok 'by hand: shale umount DIR' on_store umount "$T/web"
is "$(cat "$S"/active/*/fs/written)" x 'by hand: what it wrote is in the key'
ok 'by hand: shale remove KEY' on_store remove web
nothing_left 'by hand: nothing is left'

# ---- precreate ----

for runtime in runc crun; do
	type -P $runtime >/dev/null || {
		skip "needs $runtime" 6
		continue
	}
	runtime_of_podman=$runtime
	label="precreate, $runtime"
	ok "$label: podman run --rm" podman_run --rm "${two[@]}" \
		--rootfs "$T/empty" /bin/sh -c "$probe"
	cp "$T/run.out" "$T/probe.out"
	sees_layers
	is "$(root_mounts)" 'overlay rw' "$label: / is the overlay alone"
	is "$(said root)" writable "$label: the root is writable"
	is "$(said readonly)" \
		$'/proc/sysrq-trigger\n/proc/sys/kernel/domainname' \
		"$label: read-only paths hold"
	gone_soon "$label: nothing is left"
	is "$(find "$T/empty" -type f)" '' \
		"$label: no file is made in the directory of --rootfs"

	ok "$label: --read-only" podman_run --rm --read-only "${two[@]}" \
		--rootfs "$T/empty" /bin/sh -c '(: >/x) 2>/dev/null || cat /added'
	is "$out" second "$label: --read-only: no write to the root"
	ok "$label: the exit status is the container's" \
		exits 7 podman_run --rm "${two[@]}" --rootfs "$T/empty" \
		/bin/sh -c 'exit 7'
	gone_soon "$label: nothing is left of either"
done
runtime_of_podman=runc

ok 'a view' podman_run --rm --annotation org.shale.kind=view \
	--annotation org.shale.parent=mountable --rootfs "$T/empty" \
	/bin/sh -c '(: >/x) 2>/dev/null || cat /added'
is "$out" second 'a view: no write to the root'
ok 'a volume that copies the image up' podman_run --rm "${two[@]}" \
	--tmpfs /opaque --rootfs "$T/empty" /bin/sh -c 'cat /opaque/upper'
is "$out" second 'a volume: its content is the image'"'s"
ok 'a root mapped to itself' podman_run --rm --uidmap 0:0:65536 "${two[@]}" \
	--rootfs "$T/empty" /bin/sh -c 'cat /added'
is "$out" second 'a root mapped to itself: it runs'
ok 'a root mapped elsewhere' podman_run --rm --uidmap 0:100000:65536 \
	"${two[@]}" --rootfs "$T/empty" /bin/sh -c \
	'cat /added; stat -c %u:%g / /added; echo x >/new'
is "$out" $'second\n0:0\n0:0' 'a root mapped elsewhere sees the layers as its own'
gone_soon 'nothing is left of all these'

# ---- the same container, started again and again ----

count='cat /count 2>/dev/null; echo again >>/count; echo end'
for onstop in remove keep; do
	ok "$onstop: create" podman create --name again \
		"${podman_limits[@]}" "${two[@]}" \
		--annotation org.shale.onstop=$onstop --rootfs "$T/empty" \
		/bin/sh -c "$count; exec sleep 100"
	is "$(records)" '' "$onstop: create mounts nothing"
	for turn in 1 2 3; do
		ok "$onstop: start $turn" podman start again
		ok "$onstop: it runs" logged end "$turn"
		is "$(active_keys | wc -l) $(records | wc -l)" '1 1' \
			"$onstop: one key, one record"
		refuses "$onstop: a live key is not removed" mounted \
			on_store remove "$(active_keys)"
		ok "$onstop: cleanup beside it" on_store cleanup
		is "$(records | wc -l)" 1 "$onstop: which leaves it alone"
		ok "$onstop: exec" podman exec again cat /added
		is "$out" second "$onstop: exec sees the layers"
		ok "$onstop: stop" podman stop -t 0 again
		is "$(records)$(mounts_below /run/shale)" '' \
			"$onstop: the stop unmounts"
	done
	wanted=0
	[ $onstop = remove ] || wanted=3 # none, one and two lines before
	is "$(podman logs again 2>/dev/null | grep -c again)" $wanted \
		"$onstop: each start saw what it should"
	[ $onstop = remove ] || {
		isnt_empty "$(active_keys)" 'keep: the key stays'
		on_store remove "$(active_keys)" >/dev/null
	}
	all_gone "$onstop: nothing is left"
	ok "$onstop: rm" podman rm again
done

ok 'a container in the background' podman_run -d --rm --name back \
	"${two[@]}" --rootfs "$T/empty" /bin/sleep 100
refuses 'in the background: its key is not removed' mounted \
	on_store remove "$(active_keys)"
refuses 'in the background: nor committed' mounted \
	on_store commit stolen "$(active_keys)"
ok 'in the background: cleanup' on_store cleanup
is "$(records | wc -l)" 1 'in the background: cleanup leaves it alone'
ok 'in the background: rm --force' podman rm --force -t 0 back
gone_soon 'in the background: nothing is left'

ok 'commit: a container writes' podman_run --rm "${two[@]}" \
	--annotation org.shale.onstop=commit=result --rootfs "$T/empty" \
	/bin/sh -c 'echo result >/result'
gone_soon 'commit: nothing is left'
ok 'commit: and its layer is committed' has result

# ---- starts that fail ----

ok 'failed starts: a container that can not start' podman create --name never \
	"${podman_limits[@]}" "${two[@]}" --rootfs "$T/empty" /not/there
for turn in 1 2; do
	refuses "failed starts: start $turn" not/there podman start never
	is "$(active_keys | wc -l) $(records | wc -l)" '1 1' \
		"failed starts: $turn leaves one key, of this start"
done
run podman rm never
ok 'failed starts: cleanup' on_store cleanup
all_gone 'failed starts: nothing is left'

for ((n = 0; n < 7; n++)); do
	podman_run --rm "${two[@]}" --rootfs "$T/empty" /not/there
	podman_run --rm -w /not/there "${two[@]}" --rootfs "$T/empty" /bin/true
	runtime_of_podman=$T/killed podman_run --rm "${two[@]}" \
		--rootfs "$T/empty" /bin/true
done </dev/null >"$T/fail.out" 2>&1
is "$(grep -c '^Error' "$T/fail.out")" 21 '21 runs fail'
isnt_empty "$(records)" '21 failures: podman did not tell of them'
ok '21 failures: one cleanup' on_store cleanup
all_gone '21 failures: nothing is left'
like "$out" '21 mounts' '21 failures: all were counted'

# ---- many ----

turns=10
[ -z "${SHALE_LONG:-}" ] || turns=100
host_before=$(wc -l </proc/self/mountinfo)
for ((n = 0; n < turns; n++)); do
	podman_run --rm "${two[@]}" --rootfs "$T/empty" \
		/bin/sh -c 'echo x >/x; cat /added'
done </dev/null >"$T/many.out" 2>"$T/many.err"
is "$(grep -c '^second$' "$T/many.out")" $turns "$turns runs in a row"
gone_soon "$turns runs: neither key, mount nor record is left"
ok "$turns runs: no more mounts than before" \
	test "$(wc -l </proc/self/mountinfo)" -le "$host_before"
is "$(find "$S/active" "$S/staging" "$S/trash" -mindepth 1; find /run/shale \
	-type f)" '' "$turns runs: no file is left"
is "$(podman ps -aq 2>/dev/null)" '' 'podman has no container left'

done_testing
