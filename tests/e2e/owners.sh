#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whose key it is: adoption by the same container, refusal of everybody
# else's, and what org.shale.onstop does with it when the container stops.
# shellcheck disable=SC2016
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
needs runc jq busybox

# life ID SCRIPT JQ: a container's whole life by `run`.  The runtime calls
# poststop twice, since once more must change nothing.
life()
{
	bundle "$1" "$2" "$3"' | hook("prestart")
		| hook("poststop") | hook("poststop")'
	run runc run --bundle "$B" "$1"
}

# shellcheck disable=SC2317
# poststop ID: by hand, that is, by nobody's runtime
poststop()
{
	jq --arg id "$1" --arg bundle "$B" '{ociVersion: "1.0.2-dev", $id,
		status: "stopped", pid: 0, $bundle, annotations}' \
		"$B/config.json" | "$hook" poststop --root "$S"
}

two_starts='cat /count 2>/dev/null; echo again >>/count'
store store

# ---- remove, the default ----
life gone "$two_starts" 'parent("two")'
is "$status$out$err" 0 'remove: a first start has a fresh layer'
nothing_left 'remove: the key is gone'
life gone "$two_starts" 'parent("two")'
is "$status$out$err" 0 'remove: so has the second'
ok 'remove: poststop by hand, for a key that is gone' poststop gone

# ---- who waits for the disk ----
while read -r onstop want; do
	life disk "$tells_volatile" \
		'parent("two") | annotate("onstop"; "'"$onstop"'")'
	is "$status$out" "0$want" "onstop $onstop is $want"
	run on_store remove disk
done <<'END'
remove volatile
keep synced
commit=disk-commit synced
END
life disk "$tells_volatile" \
	'parent("two") | .annotations["org.shale.volatile"] = "false"'
refused 'no annotation says otherwise' 'unknown annotation'
echo '{"volatile": false, "policy": [{"user": 0, "parents": [""]}]}' \
	>"$T/synced.json"
bundle disk "$tells_volatile" 'parent("two")
	| hook("prestart"; ["--root", $store, "--config", $T + "/synced.json"])
	| hook("poststop")'
run runc run --bundle "$B" disk
is "$status$out" 0synced 'volatile false: remove is synced, too'
nothing_left 'nothing is left of those'

# ---- keep ----
life keep "$two_starts" 'parent("two") | annotate("onstop"; "keep")'
is "$status$out$err" 0 'keep: a first start'
kept=$(active_keys)
isnt_empty "$kept" 'keep: the key stays'
nothing_mounted 'keep: and nothing is mounted'
life keep "$two_starts" 'parent("two") | annotate("onstop"; "keep")'
is "$status$out$err" 0again 'keep: the second start adopts its layer'
ok 'keep: poststop by hand' poststop keep
life keep "$two_starts" 'parent("two") | annotate("onstop"; "keep")'
is "$out" $'again\nagain' 'keep: and so does the third'
is "$(active_keys)" "$kept" 'keep: it is one key all along'

life keep "$two_starts" 'parent("base") | annotate("onstop"; "keep")'
refused 'keep: on another parent it is refused' parent
is "$(active_keys)" "$kept" 'keep: and stays'
life keep "$two_starts" 'parent("two") | annotate("onstop"; "keep")
	| annotate("kind"; "view")'
refused 'keep: as another kind it is refused'
is "$(active_keys)" "$kept" 'keep: and stays'
ok 'keep: it can be committed by hand' on_store commit by-hand "$kept"

# A runtime that is killed calls no poststop; the next start adopts.
for n in '' again; do
	bundle lost "$two_starts" 'parent("two") | hook("prestart")'
	run runc run --bundle "$B" lost
	is "$status$out$err" "0$n" "no poststop: start, and ${n:-nothing} read"
done
isnt_empty "$(active_keys)" 'no poststop: the key stays'
life lost "$two_starts" 'parent("two")'
is "$out" $'again\nagain' 'no poststop: adopted once more'
nothing_left 'no poststop: and removed at last'

# The same, when nobody starts it again: `shale cleanup` finds that it is gone.
bundle lost "$two_starts" 'parent("two") | hook("prestart")'
run runc run --bundle "$B" lost
bundle alive 'sleep 100' 'parent("two") | hook("prestart") | hook("poststop")'
run runc create --bundle "$B" alive
life kept-too "$two_starts" 'parent("two") | annotate("onstop"; "keep")'
on_store prepare handmade two >/dev/null
is "$(active_keys | sort | tr '\n' ' ')" 'alive handmade kept-too lost ' \
	'cleanup: four keys'
ok 'cleanup: succeeds' on_store cleanup
is "$(active_keys | sort | tr '\n' ' ')" 'alive handmade kept-too ' \
	'cleanup: removes what nobody will ask for'
run runc delete --force alive
on_store remove handmade kept-too >/dev/null
nothing_left 'cleanup: nothing else is left'

# ---- another boot ----
boot='org.shale.boot=00000000-0000-0000-0000-000000000000'
for onstop in remove keep; do
	with='parent("two") | annotate("onstop"; "'$onstop'")'
	bundle boot "$two_starts" "$with"' | hook("prestart")'
	run runc run --bundle "$B" boot
	ok "boot: label the key, onstop $onstop" on_store label boot "$boot"
	life boot "$two_starts" "$with"
	if [ "$onstop" = remove ]; then
		is "$status$out$err" 0 'boot: a key to remove is made anew'
	else
		is "$status$out$err" 0again 'boot: a key to keep is adopted'
		on_store remove boot >/dev/null
	fi
	nothing_left "boot: nothing is left, onstop $onstop"
done

# ---- commit ----
life author 'echo result >/result; rm /kept' \
	'parent("two") | annotate("onstop"; "commit=result")'
is "$status$out$err" 0 'commit: the container runs'
ok 'commit: its layer is committed' has result
nothing_left 'commit: and the key is gone'
is "$(on_store parent result)" two 'commit: on its parent'
ok 'commit: poststop by hand, afterwards' poststop author
life reader 'cat /result /added; ls /kept 2>&1 | grep -c "No such"' \
	'parent("result")'
is "$out" $'result\nsecond\n1' 'commit: a second container runs on it'
life reader 'cat /result' 'parent("result") | key("a key: with, signs\n")'
is "$status$out" 0result 'a key with a space, signs and a newline'

before=$(listing "$S/snapshots")
life thief 'echo stolen >/added' \
	'parent("two") | annotate("onstop"; "commit=result")'
is "$(listing "$S/snapshots")" "$before" 'commit: a taken name stays as it is'
like "$err" "'result'.*(exist|taken)" 'commit: and the sentence says why'
isnt_empty "$(active_keys)" 'commit: the layer is not lost'
for key in $(active_keys); do
	on_store remove "$key" >/dev/null
done

# ---- others' keys ----
bundle owner 'echo mine >/mine; trap "exit 0" TERM
	while :; do sleep 0.1; done' 'parent("two") | key("shared")
	| annotate("onstop"; "keep") | hook("prestart") | hook("poststop")'
run runc create --bundle "$B" owner
run runc start owner
is "$status $(active_keys)" '0 shared' 'org.shale.key names the key'
for running in running stopped; do
	life other 'echo ran' 'parent("two") | key("shared")'
	refused "other: the key of one that is $running is refused" shared
	is "$out" '' 'other: and nothing runs'
	ok 'other: poststop by hand' poststop other
	is "$(active_keys)" shared 'other: its poststops leave the key'
	bundle owner 'echo ran' 'parent("two") | key("shared")
		| .linux.cgroupsPath += "-two"
		| hook("prestart") | hook("poststop")'
	refuses 'other: the same id below another --root' shared \
		command runc --root "$T/runc.two" run --bundle "$B" owner
	is "$(active_keys)" shared 'other: leaves it, too'
	[ "$running" = stopped ] || {
		run runc kill owner TERM
		ok 'other: the owner stops' wait_for stopped runc owner
		run runc delete owner
	}
done
is "$(find "$S/active" -name mine | wc -l)" 1 "other: the layer is whole"
on_store remove shared >/dev/null

on_store prepare handmade two >/dev/null
life other 'echo ran' 'parent("two") | key("handmade")'
refused 'other: a key made by hand is refused' handmade
ok 'other: and stays' has handmade
on_store remove handmade >/dev/null
life other 'echo ran' 'parent("two") | key("base")'
refused 'other: a key that is a committed name is refused' base
ok 'other: and that stays' has base
nothing_left 'other: nothing is left'
done_testing
