#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Torn and hostile state and config.json, given to shale-hook itself: each is
# one sentence on stderr and a failure, with store and bundle as before.
# shellcheck disable=SC2016
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
needs jq busybox runc
shopt -s lastpipe # so that what is fed from a pipe is counted here

store store

# A process in namespaces of its own, where a hook that is fooled does no
# harm; nothing is mounted on its bundle's root.
unshare -m -p -f --kill-child sleep 300 >/dev/null 2>&1 &
outer=$!
disown
for ((n = 0; n < 100; n++)); do
	victim=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null)
	[ -n "$victim" ] && break
	sleep 0.02
done
victim=${victim% }
trap 'kill -KILL "$outer"; leave' EXIT

bundle good 'echo ran' 'parent("two") | hook("prestart")'
good=$B
cp "$good/config.json" "$T/config.json"

# state JQ: a good state changed by a program
state()
{
	jq -nc --argjson pid "$victim" --arg bundle "$good" --arg T "$T" \
		'{ociVersion: "1.0.2-dev", id: "good", status: "creating",
		$pid, $bundle, annotations: {"org.shale.parent": "two"}} | '"$1"
}

# (Of the mounts only ours: another's, copied into the victim's namespace,
# reads differently once its directory is deleted.)
everything()
{
	listing "$S"
	listing "$good"
	awk -v T="$T" 'index($5, T) == 1 { print $5 }' "/proc/$victim/mountinfo"
}

before=$(everything)

# bad SENTENCE [STAGE]: the hook, fed from our stdin, refuses
bad()
{
	local code=0 lines
	timeout --kill-after=5 30 env -i PATH="$PATH" LD_LIBRARY_PATH="$LD_LIBRARY_PATH" \
		"$hook" "${2:-prestart}" --root "$S" \
		>"$T/run.out" 2>"$T/run.err" || code=$?
	lines=$(wc -l <"$T/run.err")
	[ "$code" -gt 0 ] && [ "$code" -lt 124 ] && [ "$lines" -eq 1 ] &&
		! [ -s "$T/run.out" ] &&
		[ "$(wc -c <"$T/run.err")" -lt 2000 ] &&
		! LC_ALL=C grep -q '[^[:print:]]' "$T/run.err"
	result $? "$1" "exit $code, $lines lines
$(head -c 3000 "$T/run.err")"
	is "$(everything)" "$before" "$1: all as before"
}

# with_config SENTENCE: config.json from our stdin and a good state
with_config()
{
	local was=$before
	cat >"$good/config.json"
	before=$(everything)
	state . | bad "config: $1"
	cp "$T/config.json" "$good/config.json"
	before=$was
}

nested()
{
	printf '%*s' "$1" '' | tr ' ' '['
}

# ---- closed streams ----

# The hook waits for its state with what it was given: no descriptor of the
# store may take the place of a stream that is closed.
mkfifo "$T/state"
"$hook" prestart --root "$S" <"$T/state" >&- 2>&- &
waiting=$!
exec 9>"$T/state"
for ((n = 0; n < 250; n++)); do
	streams=$(readlink "/proc/$waiting/fd/"[12] | sort -u)
	[ "$streams" != /dev/null ] || break
	sleep 0.02
done
is "$streams" /dev/null 'closed streams are /dev/null'
exec 9>&-
code=0
wait "$waiting" || code=$?
is "$code" 1 'closed streams: the hook fails as with open ones'

# ---- state ----
bad 'state: empty' </dev/null
bad 'state: a directory' <"$T"
printf '{' | bad 'state: torn'
state . | head -c 100 | bad 'state: cut'
echo 'not JSON' | bad 'state: not JSON'
echo null | bad 'state: null'
echo '[]' | bad 'state: a list'
echo '"state"' | bad 'state: a string'
(state . && state .) | bad 'state: two documents'
(state . && echo x) | bad 'state: something behind it'
nested 10000 | bad 'state: 10,000 lists deep'
(printf '%*s' 10000 '' | sed 's/ /{"a":/g') | bad 'state: 10,000 objects deep'
head -c 1G /dev/zero | tr '\0' ' ' | bad 'state: 1 GiB of spaces'
(printf '{"id":"'; head -c 1G /dev/zero | tr '\0' x) |
	bad 'state: 1 GiB of a string'
head -c 1M /dev/zero | bad 'state: NUL bytes'
head -c 100000 /dev/urandom | bad 'state: noise'
state . | sed 's/"id":"good"/"id":"good","id":"other"/' |
	bad 'state: a key twice'
state . | sed 's/"two"/"two","org.shale.parent":"base"/' |
	bad 'state: an annotation twice'
state '.annotations["org.shale.parent"] = "two\u0000base"' |
	bad 'state: NUL in a string'
state '.id = "good\u0000other"' | bad 'state: NUL in the id'
state '.["id\u0000"] = "good"' | bad 'state: NUL in a key'
state '.id = "HERE"' | sed 's/HERE/\xff\xfe/' | bad 'state: no UTF-8'
for key in id pid bundle status; do
	state "del(.$key)" | bad "state: no $key"
	state ".$key = null" | bad "state: $key is null"
	state ".$key = []" | bad "state: $key is a list"
	state ".$key = {}" | bad "state: $key is an object"
	state ".$key = true" | bad "state: $key is a boolean"
done
for key in id bundle status; do
	state ".$key = 12" | bad "state: $key is a number"
	state ".$key = \"\"" | bad "state: $key is empty"
done
state '.pid = "12"' | bad 'state: pid is a string'
for pid in 0 -1 1.5 1e3 99999999 4294967297 9223372036854775808 \
	1000000000000000000000000000000; do
	state . | sed "s/\"pid\":[0-9]*/\"pid\":$pid/" |
		bad "state: pid is $pid"
done
state '.status = "stopped"' | bad 'state: status is stopped'
state '.status = "dreaming"' | bad 'state: an unknown status'
state '.bundle = "good"' | bad 'state: bundle is no absolute path'
state '.bundle += "/none"' | bad 'state: no such bundle'
state '.bundle = "/dev/null"' | bad 'state: bundle is no directory'
state '.id = "a\nb"' | bad 'state: a newline in the id'
state . | bad 'state: nothing is mounted at the root'
state '.pid = 1' | bad 'state: pid of another process'

# ---- config.json ----
with_config empty </dev/null
echo '{' | with_config torn
head -c 500 "$T/config.json" | with_config cut
echo '[]' | with_config 'a list'
nested 10000 | with_config '10,000 lists deep'
(printf '{'; head -c 64M /dev/zero | tr '\0' ' ') | with_config '64 MiB'
sed 's/"root": {/"root": {}, "root": {/' "$T/config.json" |
	with_config 'a key twice'
change()
{
	jq --arg T "$T" "$1" "$T/config.json" | with_config "$2"
}
change 'del(.annotations)' 'no annotations'
change '.annotations = []' 'annotations are a list'
change '.annotations["org.shale.parent"] = 1' 'the parent is a number'
change '.annotations["org.shale.parent"] = "two\u0000"' 'NUL in the parent'
change '.annotations["org.shale.parent"] = "../../two"' 'the parent is a path'
change '.annotations["org.shale.key"] = "../../x"' 'the key is a path'
change '.annotations["org.shale.key"] = ("x" * 1024)' 'the key is too long'
change '.annotations["org.shale.store"] = "/"' 'an unknown annotation'
change 'del(.root)' 'no root'
change '.root = "rootfs"' 'the root is a string'
change 'del(.root.path)' 'no root.path'
change '.root.path = 1' 'root.path is a number'
change '.root.path = ""' 'root.path is empty'
change '.root.path = "none"' 'root.path does not exist'
change '.root.path = "config.json"' 'root.path is a file'
change '.root.path = "/"' 'root.path is /'
change '.root.path = "../.."' 'root.path leaves the bundle'
change '.root.path = "root\u0000fs"' 'NUL in root.path'
change '.root.readonly = "no"' 'root.readonly is a string'
change '.mounts = {}' 'mounts are an object'
change '.mounts += [1]' 'a mount is a number'
change '.mounts += [{destination: 1}]' 'a destination is a number'
change '.process = 1' 'process is a number'
change '.process.cwd = 1' 'cwd is a number'

rm "$good/config.json"
before=$(everything)
state . | bad 'config: absent'
mkdir "$good/config.json"
before=$(everything)
state . | bad 'config: a directory'
rmdir "$good/config.json"
mkfifo "$good/config.json"
before=$(everything)
state . | bad 'config: a fifo'
rm "$good/config.json"
ln -s config.json "$good/config.json"
before=$(everything)
state . | bad 'config: a link to itself'
rm "$good/config.json"
ln -s /dev/zero "$good/config.json"
before=$(everything)
state . | bad 'config: /dev/zero'
rm "$good/config.json"
truncate -s 1G "$good/config.json"
# Its content is nothing to compare each time.
listing()
{
	find "$1" -xdev ! -path "$1/lock" \
		-printf '%P %y %m %U:%G %s %T@ %l\n' | sort
}
before=$(everything)
state . | bad 'config: 1 GiB of NUL'
done_testing
