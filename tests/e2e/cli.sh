#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shale(1): each verb, each exit status, the shapes of the JSON, names of any
# bytes, and what it says when something is wrong.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2016,SC2317 # lib.sh sets them; eval expands
. "$(dirname "$0")/lib.sh"
needs_root
needs jq

S=$T/store
mkdir "$T/mnt"

# exits STATUS SENTENCE COMMAND...
exits()
{
	local want=$1 sentence=$2
	shift 2
	run "$@"
	[ "$status" -eq "$want" ]
	result $? "$sentence" "exit $status, wanted $want: $*
stdout: $out
stderr: $err"
}

# fails SENTENCE REGEX ARGS...: shale ARGS on the store: exit 1, nothing on
# stdout, one line on stderr without a full stop that REGEX occurs in
fails()
{
	local sentence=$1 regex=$2
	shift 2
	run on_store "$@"
	[ "$status" -eq 1 ] && [ -z "$out" ] && [[ $err =~ $regex ]] &&
		[[ $err == "shale: $1: "* ]] && [[ $err != *$'\n'* ]] &&
		[[ $err != *. ]]
	result $? "$sentence" "exit $status: $*
stdout: $out
stderr: $err
wanted: $regex"
}

# misused SENTENCE REGEX COMMAND...: exit 2, and the usage line is shown
misused()
{
	local sentence=$1 regex=$2
	shift 2
	run "$@"
	[ "$status" -eq 2 ] && [ -z "$out" ] && [[ $err =~ $regex ]] &&
		[[ $err == *$'\n'"usage: shale "* ]]
	result $? "$sentence" "exit $status: $*
stdout: $out
stderr: $err
wanted: $regex"
}

# gives SENTENCE FILTER ARGS...: `shale --json ARGS` succeeds, and FILTER is
# true of the one document that it writes
gives()
{
	local sentence=$1 filter=$2
	shift 2
	run on_store --json "$@"
	[ "$status" -eq 0 ] && [ -z "$err" ] &&
		jq -se "length == 1 and (.[0] | $filter)" \
			"$T/run.out" >/dev/null
	result $? "$sentence" "exit $status: $*
stdout: $out
stderr: $err
wanted: $filter"
}

# silent SENTENCE ARGS...: exit 0 and not a word
silent()
{
	local sentence=$1
	shift
	run on_store "$@"
	[ "$status" -eq 0 ] && [ -z "$out$err" ]
	result $? "$sentence" "exit $status: $*
stdout: $out
stderr: $err"
}

# ---- usage ----

misused 'without a verb: usage' 'a verb is missing' "$shale"
misused 'an unknown verb is refused' "unknown verb 'frobnicate'" \
	"$shale" frobnicate
misused 'the nearest verb is named' "perhaps 'umount'" "$shale" umountt
misused 'an unknown global option' "unknown option '--nope'" \
	"$shale" --nope ls
misused 'an unknown option of a verb' "unknown option '--nope'" \
	"$shale" ls --nope
misused 'a short option that is none' "unknown option '-x'" "$shale" ls -x
misused 'an option without its argument' "'--root' needs an argument" \
	"$shale" ls --root
misused 'an option with an argument too many' "'--json' takes no argument" \
	"$shale" --json=yes ls
misused "another verb's option" "'--kind' does not belong" \
	"$shale" prepare k --kind active
misused 'an unknown kind' "not 'layer'" "$shale" ls --kind layer
misused 'a label without =' "K=V, not 'a'" "$shale" prepare k --label a
misused 'a label without a key' 'K=V' "$shale" prepare k --label =a
misused 'a label twice' "'a' is given twice" \
	"$shale" prepare k --label a=1 --label a=2
misused 'label: a word without =' "K=V, not 'a'" "$shale" label k a
misused 'plugin: an unknown word' "'hide' is not known" \
	"$shale" plugin hide overlay
misused 'plugin show: too many arguments' "too many arguments, from 'x' on" \
	"$shale" plugin show overlay x
misused 'plugin show --dir' "belong to 'test'" \
	"$shale" plugin show overlay --dir /
misused 'plugin test: a timeout of no number' "1 to 86400 seconds, not '0'" \
	"$shale" plugin test overlay --timeout 0

while read -r verb least most; do
	words=(one two three four)
	run "$shale" --root "$T/none" "$verb" "${words[@]:0:least-1}"
	[ "$status" -eq 2 ] &&
		[ "$err" = "shale: $verb: too few arguments
$(grep "^usage: shale $verb" <<<"$err")" ]
	result $? "$verb: too few arguments" "exit $status
$err"
	[ -n "$most" ] || continue
	run "$shale" --root "$T/none" "$verb" "${words[@]:0:most+1}"
	[ "$status" -eq 2 ] && [[ $err == *": too many arguments"* ]]
	result $? "$verb: too many arguments" "exit $status
$err"
done <<'VERBS'
prepare 1 2
view 1 2
mounts 1 1
mount 2 2
umount 1 1
commit 2 2
remove 1
delete 1
parent 1 1
exists 1 1
stat 1 1
label 2
usage 1 1
plugin 2
VERBS
for verb in ls active tree cleanup; do
	misused "$verb: no arguments" 'too many arguments' \
		"$shale" --root "$T/none" "$verb" one
done

# ---- help ----

run "$shale" help
all_help=$out
exits 0 'help' "$shale" help
for verb in prepare view mounts mount umount commit remove delete parent \
	exists stat label usage ls active tree cleanup plugin help; do
	like "$all_help" $'\n'"  $verb +[a-z]" "help lists $verb"
	run "$shale" help "$verb"
	by_verb=$out
	run "$shale" "$verb" --help
	[ "$status" -eq 0 ] && [ "$out" = "$by_verb" ] &&
		[[ $out == "usage: shale $verb"* ]]
	result $? "help $verb is $verb --help" "$out"
done
ok 'help is at most 80 columns wide' \
	awk 'length > 80 { exit 1 }' <(echo "$all_help")
run "$shale" --help
is "$out" "$all_help" '--help is help'
misused 'help of an unknown verb' "unknown verb 'nope'" "$shale" help nope
run "$shale" --version
like "$out" '^shale [0-9]+\.[0-9]+\.[0-9]+$' '--version'

# ---- no store, or another ----

for verb in ls active tree cleanup; do
	S=$T/none fails "$verb does not make a store" "$T/none" "$verb"
done
S=$T/none fails 'exists: without a store it is no answer' "$T/none" exists x
ok 'and nothing was made' test ! -e "$T/none"
: >"$T/file"
S=$T/file fails 'a root that is a file' "$T/file" ls
S=$T/file fails 'prepare: a root that is a file' "$T/file" prepare k
mkdir -m 0700 "$T/strange"
ln -s 99 "$T/strange/format"
S=$T/strange fails 'a store of an unknown format' 'format' ls
is "$(ls -A "$T/strange")" format 'which is left as it is'
mkdir -m 0700 "$T/other"
: >"$T/other/a file of somebody"
S=$T/other fails 'prepare: a directory that is no store' "$T/other" prepare k
mkdir -m 0700 "$T/nobody"
chown 65534 "$T/nobody"
S=$T/nobody fails "prepare: somebody else's directory" "$T/nobody" prepare k
fails 'a configuration that is not there' 'nope.json' ls \
	--config "$T/nope.json"
echo '{"rooot": "/"}' >"$T/bad.json"
fails 'a configuration with an unknown key' 'rooot' ls --config "$T/bad.json"
echo '{"root": "'"$T/configured"'"}' >"$T/good.json"
ok 'the root of the configuration' \
	"$shale" --config "$T/good.json" prepare k
ok 'is where the store is' test -d "$T/configured"
fails 'an unknown snapshotter' "nope" ls --snapshotter nope
fails 'a snapshotter by a path that is none' "$T/nope.so" ls \
	--snapshotter "$T/nope.so"

# ---- a store's life ----

silent 'prepare makes the store and says nothing' prepare work
is "$(stat -c %a "$S")" 700 'the store is 0700'
silent 'mount' mount work "$T/mnt"
ok 'and it is mounted' mountpoint -q "$T/mnt"
echo base >"$T/mnt/file"
silent 'umount' umount "$T/mnt"
ok 'and it is no longer' eval '! mountpoint -q "$T/mnt"'
fails 'umount: nothing mounted there' "$T/mnt" umount "$T/mnt"
fails 'mount: no such directory' "$T/nothere" mount work "$T/nothere"
fails 'mount: no such key' 'nothere' mount nothere "$T/mnt"
silent 'commit' commit base work
fails 'commit: the key is gone' "work" commit base2 work
fails 'prepare: a taken name' 'base' prepare base
fails 'prepare: no such parent' 'nothere' prepare k nothere
silent 'prepare on a parent' prepare k1 base
fails 'prepare: a taken key' 'k1' prepare k1 base
fails 'prepare: the parent is active' 'k1' prepare k2 k1
fails 'mount: a committed one' 'base' mount base "$T/mnt"
fails 'commit: a taken name' 'base' commit base k1
silent 'view' view v1 base
fails 'commit: a view' 'v1' commit v1c v1
fails 'delete: it has children' 'base' delete base
fails 'delete: an active' 'k1' delete k1
fails 'remove: a committed one' 'base' remove base
silent 'exists: yes, in silence' exists base
exits 1 'exists: no' on_store exists nothere
is "$out$err" '' 'in silence too'
run on_store --json exists base
is "$out" '{"name":"base","exists":true}' 'exists --json: yes'
run on_store --json exists nothere
is "$out $status" '{"name":"nothere","exists":false} 1' 'exists --json: no'
run on_store parent k1
is "$out" base 'parent'
run on_store parent base
is "$status:$out" 0: 'parent: none'
fails 'parent: no such name' nothere parent nothere
fails 'stat: no such name' nothere stat nothere
fails 'usage: no such name' nothere usage nothere
fails 'label: no such name' nothere label nothere a=b
fails 'mounts: no such key' nothere mounts nothere
fails 'mounts: a committed one' base mounts base
fails 'an empty key' '' prepare ''
fails 'a key that is too long' '' prepare "$(printf '%01024d' 0)"

silent 'mount on a parent' mount k1 "$T/mnt"
is "$(cat "$T/mnt/file")" base 'the parent is seen'
echo k1 >"$T/mnt/new"
mkdir "$T/mnt2"
fails 'mount: already mounted' k1 mount k1 "$T/mnt2"
fails 'commit: still mounted' k1 commit second k1
silent 'umount again' umount "$T/mnt"
silent 'commit of two layers' commit second k1
silent 'mount a view' mount v1 "$T/mnt"
silent 'mount a view twice' mount v1 "$T/mnt2"
ok 'a view is read-only' eval '! : >"$T/mnt/x" 2>/dev/null'
silent 'umount a view' umount "$T/mnt"
silent 'umount it twice' umount "$T/mnt2"

silent 'prepare without parent, for a rebase' prepare loose
silent 'commit --parent, behind the operands' commit third loose \
	--parent second
run on_store parent third
is "$out" second 'and it has that parent'
silent 'prepare another' prepare loose2 base
fails 'commit --parent: it has another' loose2 \
	commit fourth loose2 --parent second
fails 'commit --parent: no such' nothere commit fourth loose2 \
	--parent nothere

# ---- stat, usage, labels ----

run on_store stat third
like "$out" '^Name: +third
Kind: +committed
Parent: +second
Created: +20[0-9-]+T[0-9:]+\.[0-9]{9}Z
Updated: +20[0-9-]+T[0-9:]+\.[0-9]{9}Z$' 'stat'
run on_store usage base
like "$out" '^[0-9.]+ (B|KiB) in [0-9]+ inodes?$' 'usage'
snapshot='(keys_unsorted ==
	["name", "kind", "parent", "created", "updated", "labels"]
	and ([.created, .updated] | all(test(
	"^20\\d\\d-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}Z$")))
	and (.labels | type == "object"))'
gives 'stat --json' "$snapshot"' and .name == "third" and
	.kind == "committed" and .parent == "second" and .labels == {}' \
	stat third
gives 'stat --json: no parent is null' '.parent == null' stat base
gives 'usage --json' '.name == "base" and .bytes > 0 and .inodes == 2' \
	usage base
gives 'prepare --json --label' "$snapshot"' and .kind == "active" and
	.labels == {"a": "1", "b.c/d": "x=y z"}' \
	prepare l1 base --label a=1 --label 'b.c/d=x=y z'
gives 'view --json --label' "$snapshot"' and .kind == "view" and
	.labels == {"a": "2"}' view l2 base --label=a=2
gives 'label sets, changes and removes' "$snapshot"' and
	.labels == {"a": "9", "n": "ü"}' label l1 a=9 b.c/d= n=ü
run on_store stat l1
like "$out" $'\nLabels: +a=9\n +n=\'ü\'$' 'stat shows labels'
silent 'label' label l1 n=
gives 'commit --json: labels are not inherited' "$snapshot"' and
	.kind == "committed" and .labels == {"z": "1"}' \
	commit l1c l1 --label z=1
fails 'a label that is no UTF-8' '' label l2 $'a=\xff'
gives 'and it changed nothing' '.labels == {"a": "2"}' stat l2

# ---- ls, active, tree ----

silent 'remove of many' remove l2 loose2 v1
silent 'delete of many' delete l1c third
silent 'prepare for the listings' prepare a1 second --label of=me
silent 'view for the listings' view a2 second --label of=you
run on_store ls
is "$(sed -E 's/20[0-9]{2}-[0-9-]{5}T[0-9:]{8}Z/WHEN/' <<<"$out")" \
	'NAME    KIND       PARENT  CREATED
a1      active     second  WHEN
a2      view       second  WHEN
base    committed  -       WHEN
second  committed  base    WHEN' 'ls'
names='[.[] | .name] | join(" ")'
gives 'ls --json' "all($snapshot) and ($names == \"a1 a2 base second\")" ls
gives 'ls --kind committed' "$names == \"base second\"" ls --kind committed
gives 'ls --kind active' "$names == \"a1\"" ls --kind active
gives 'ls --kind view' "$names == \"a2\"" ls --kind view
gives 'ls --kind twice' "$names == \"a1 a2\"" ls --kind view --kind active
gives 'ls --label K' "$names == \"a1 a2\"" ls --label of
gives 'ls --label K=V' "$names == \"a2\"" ls --label of=you
gives 'ls --label twice' '. == []' ls --label of=you --label nope
gives 'ls --label and --kind' "$names == \"a1\"" ls --label of --kind active
gives 'active --json' "all($snapshot) and ($names == \"a1 a2\")" active
run on_store active
is "$(awk '{ print $1 }' <<<"$out")" 'NAME
a1
a2' 'active'
age='[0-9]+ (second|minute)s?'
size='[0-9.]+ (B|KiB)'
run on_store tree
like "$out" "^base +committed +$size  $age
\`- second +committed +$size  $age
   \\|- a1 +active +$size  $age
   \`- a2 +view +$size  $age\$" 'tree in ASCII'
run env LC_ALL=C.UTF-8 "$shale" --root "$S" tree
is "$(sed -E 's/ +(committed|active|view).*//' <<<"$out")" 'base
└─ second
   ├─ a1
   └─ a2' 'tree in UTF-8'
gives 'tree --json' "($names == \"base second a1 a2\") and
	([.[] | .depth] == [0, 1, 2, 2]) and
	all((.bytes | type == \"number\") and (.inodes >= 1 or .kind == \"view\"))" \
	tree
run "$shale" --root "$T/configured" ls --kind committed
is "$out" 'NAME  KIND       PARENT  CREATED' 'an empty listing has its head'

# ---- mounts ----

run on_store mounts a1
like "$out" "^overlay overlay
(  [a-z]+.*
)*  lowerdir=$S/" 'mounts of an overlay'
gives 'mounts --json of an overlay' 'length == 1 and .[0].type == "overlay"
	and .[0].source == "overlay" and (.[0].options |
	any(startswith("upperdir=")) and any(startswith("workdir=")) and
	any(startswith("lowerdir=")))' mounts a1
gives 'mounts --json of a view' '.[0].options |
	any(startswith("lowerdir=")) and all(startswith("upperdir=") | not)' \
	mounts a2
run on_store prepare bare
gives 'mounts --json of a bind' '.[0].type == "bind" and
	.[0].options == ["rw", "rbind"] and
	(.[0].source | startswith("'"$S"'/"))' mounts bare
gives 'mount --json' '. == {"key": "bare", "target": "'"$T/mnt"'"}' \
	mount bare "$T/mnt"
gives 'umount --json' '. == {"target": "'"$T/mnt"'"}' umount "$T/mnt"
gives 'parent --json' '. == {"name": "a1", "parent": "second"}' parent a1
gives 'parent --json: none' '. == {"name": "bare", "parent": null}' \
	parent bare
gives 'remove --json' '. == {"removed": [{"name": "bare"}, {"name": "a2"}]}' \
	remove bare a2
run on_store --json remove a1 nothere
is "$status $out" '1 {"removed":[{"name":"a1"}]}' \
	'remove --json tells what is gone when it fails'
gives 'delete --json' '. == {"deleted": [{"name": "second"}]}' delete second
fails 'remove stops at the first that fails' nothere remove nothere nothere2

# ---- cleanup ----

mkdir "$S/staging/0123456789abcdef"
run on_store cleanup
like "$out" '^removed 1 unfinished directory, 0 keys and 0 mounts' 'cleanup'
gives 'cleanup --json' '. == {"directories": 0,
	"keys": 0, "mounts": 0}' cleanup

# ---- damage ----

S=$T/damaged
silent 'prepare in another store' prepare base0
silent 'commit in it' commit base base0
for key in k1 k2 k3; do
	silent "prepare $key in it" prepare $key base
done
damaged=$S/active/$(printf k2 | sha256sum | cut -c 1-32)
ln -sfn torn "$damaged/key.parent"
while read -r verb shown; do
	run on_store --json "$verb"
	is "$status $(jq -r '.[].name' <<<"$out" | sort | xargs)" "1 $shown" \
		"$verb shows what is not damaged, and fails"
	like "$err" "^shale: $verb: (active: )?'k2' in 'active/[^:]*' contradicts" \
		"$verb names what is damaged"
	run on_store "$verb"
	is "$status $(grep -cE '(k1|k3) ' <<<"$out")" '1 2' \
		"$verb does so without --json, too"
done <<'VERBS'
ls base k1 k3
active k1 k3
tree base k1 k3
VERBS
ln -sfn torn "$S/snapshots/$(printf base | sha256sum | cut -c 1-32)/usage"
run on_store tree
is "$status $(grep -c ' k[13] ' <<<"$out")" '1 2' \
	'tree: a torn usage hides nothing'
silent 'remove takes the damaged one away' remove k2
exits 0 'and ls is whole again' on_store ls
S=$T/store

# ---- plugins ----

run "$shale" plugin show overlay
like "$out" '^Name: +overlay
Version: +[^ ].*
Description: +[^ ].*
ABI: +1
Size: +192 bytes
Features: +parallel.*
Operations: +open close prepare view mounts commit remove parent exists delete walk active stat update usage cleanup' \
	'plugin show'
gives 'plugin show --json' '.name == "overlay" and .abi == 1 and .size == 192
	and (.features | index("parallel")) and
	(.operations | length >= 16 and index("delete"))' plugin show overlay
plugin=$(find "$STAGE" -name overlay.so | head -n 1)
if [ -n "$plugin" ]; then
	gives 'plugin show PATH' '.name == "overlay"' plugin show "$plugin"
	run eval 'cd "$(dirname "$plugin")" && "$shale" plugin show ./overlay.so'
	like "$status $out" '^0 Name: +overlay' 'plugin show of a relative path'
	gives '--snapshotter PATH' "$names == \"base\"" \
		ls --snapshotter "$plugin"
else
	skip 'no overlay.so is installed' 3
fi
fails 'plugin show: no such file' "$T/nope.so" plugin show "$T/nope.so"
fails 'plugin show: no plugin' "$T/file" plugin show "$T/file"

# ---- names of any bytes ----

# From here on in memory: many commits beside a busy disk take minutes.
mkdir "$T/memory"
ok 'a tmpfs' mount -t tmpfs -o mode=0700 shale-test "$T/memory"
S=$T/memory/odd
odd=('two words' 'a/b' 'a:b' 'a,b' $'new\nline' $'\xff\xfe' '-dash' '--json'
	"it's" '..' '.' '*' $'\e[31m' 'a\b' 'ü' ' ' '=' "$(printf '%01023d' 0)")
for name in "${odd[@]}"; do
	printf -v shown %q "${name:0:40}"
	hex=$(printf %s "$name" | od -An -v -tx1 | tr -d ' \n')
	silent "prepare $shown" prepare -- made
	ok "mount $shown" on_store mount -- made "$T/mnt"
	printf %s "$name" >"$T/mnt/name"
	ok "umount $shown" on_store umount "$T/mnt"
	silent "commit $shown" commit -- "$name" made
	silent "exists $shown" exists -- "$name"
	if printf %s "$name" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1; then
		filter='has("name_hex") | not'
	else
		filter=".name_hex == \"$hex\" and (.name | explode == [65533, 65533])"
	fi
	gives "stat --json $shown" "$filter" stat -- "$name"
	[ "$filter" != 'has("name_hex") | not' ] ||
		is "$(jq -j .name "$T/run.out" | od -An -v -tx1 |
			tr -d ' \n')" "$hex" "the JSON has $shown"
	gives "view --json of $shown" \
		'.kind == "view" and .name == "-v" and .parent != null' \
		view -- -v "$name"
	ok "mount the view of $shown" on_store mount -- -v "$T/mnt"
	ok "it is $shown" cmp "$T/mnt/name" <(printf %s "$name")
	ok "umount the view of $shown" on_store umount "$T/mnt"
	run on_store parent -- -v
	[ "$(eval "printf %s $out | od -An -v -tx1" | tr -d ' \n')" = "$hex" ]
	result $? "parent $shown is what a shell reads back" "$out"
	silent "remove the view of $shown" remove -- -v
done
for verb in ls tree; do
	for locale in C C.UTF-8; do
		run env LC_ALL=$locale "$shale" --root "$S" "$verb"
		unlike "$out" $'[\x01-\x09\x0b-\x1f\x7f\xff]' \
			"$verb writes no raw bytes ($locale)"
	done
done
run on_store ls
is "$(wc -l <<<"$out")" $((${#odd[@]} + 1)) 'ls has a line for each name'
run on_store tree
is "$(wc -l <<<"$out")" ${#odd[@]} 'tree has a line for each name'
gives 'ls --json has them all' "length == ${#odd[@]}" ls
run on_store mounts $'no\nsuch'
unlike "$err" $'\n' 'an odd name stays on one line of stderr'
gives 'parent_hex' '.parent_hex == "fffe"' view -- v $'\xff\xfe'
S=$T/memory/$'odd\xff,:\\ root'
silent 'a root with odd bytes' prepare base
silent 'commit in it' commit one base
silent 'prepare in it' prepare k one
gives 'mounts --json: source_hex, options_hex' '.[0].options_hex |
	length > 1 and all(test("^([0-9a-f]{2})+$"))' mounts k
silent 'mount in it' mount k "$T/mnt"
silent 'umount in it' umount "$T/mnt"
S=$T/memory/odd

# ---- options anywhere ----

ok 'options after the operands' "$shale" ls --json --root "$S"
ok 'global options before the verb' "$shale" --json --root="$S" ls
run env POSIXLY_CORRECT=1 "$shale" --root "$S" stat '*' --json
like "$out" '^\{' 'also with POSIXLY_CORRECT'
exits 1 "-- ends them" on_store exists -- --version
exits 1 '- is a name' on_store exists -

# ---- output that can't be written ----

for verb in ls 'ls --json' tree 'stat *' help --version 'usage *'; do
	# shellcheck disable=SC2086 # two words
	run eval 'set -f; on_store '"$verb"' >/dev/full'
	[ "$status" -eq 1 ] &&
		[[ $err == "shale: "*"No space left on device" ]]
	result $? "$verb: a full device is exit 1" "exit $status: $err"
done
run eval 'on_store ls >&-'
[ "$status" -eq 1 ] && [[ $err == *"Bad file descriptor" ]]
result $? 'ls: a closed stdout is exit 1' "exit $status: $err"
run eval 'on_store prepare closed <&- >&- 2>&-'
gives 'closed streams hurt no store' '.kind == "active"' stat closed

# ---- many ----

S=$T/memory/deep
chain()
{
	local i parent=
	for ((i = 0; i < 60; i++)); do
		on_store prepare making ${parent:+"$parent"} &&
			on_store commit "layer-$i" making || return
		parent=layer-$i
	done
}
ok 'a chain of 60' chain
gives 'tree --json: its depths' '[.[] | .depth] == [range(60)]' tree
run on_store tree
is "$(wc -l <<<"$out")" 60 'tree draws it'
silent 'a view of 60 layers' view v layer-59
silent 'is mounted' mount v "$T/mnt"
silent 'and unmounted' umount "$T/mnt"

done_testing
