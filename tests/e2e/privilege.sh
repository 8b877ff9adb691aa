#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What shale-hook has left when it reads the first byte of a stranger: seen
# from outside while it waits for that byte, and from inside by a plugin that
# tries what a hook has no business to do.  And what has to stay: the rights
# of the container in its overlay, those of the real runtime.
# shellcheck disable=SC2016,SC2119,SC2317
here=$(dirname "$0")
[ -n "${SHALE_ALONE:-}" ] || exec "$here/../alone" bash "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
needs_root
needs runc jq busybox setpriv setcap chattr
own_run

# `run` leaves these.
: "${out:=}" "${err:=}" "${status:=0}"

store store
plugins=$(realpath "${builddir:-$STAGE/../..}/tests/plugins")
runtime=$(in_stage shale-runtime "${bindir:-}" /usr/local/bin /usr/bin)

# field NAME: of /proc/PID/status of the held hook
field()
{
	sed -n "s/^$1:[[:space:]]*//p" "/proc/$held/status"
}

# is_confined: that is the last thing it does before it reads
is_confined()
{
	[ "$(field NoNewPrivs)$(field Seccomp)" = 12 ]
}

# hold STAGE [COMMAND...]: start a hook, by the command, that waits for its
# standard input, as $held.  A group of its own shows who owns its files in
# procfs, a descriptor, an environment and a umask what it takes from its
# caller.
hold()
{
	local n stage=$1
	shift
	exec 9<>"$T/fifo"
	(
		exec 7</dev/null 8</etc/passwd 0<"$T/fifo" 9>&-
		umask 0
		cd "$T" && exec setpriv --regid 12345 --clear-groups \
			--inh-caps +chown --ambient-caps +chown \
			"$@" "$hook" --root "$S" "$stage"
	) >/dev/null 2>&1 &
	held=$!
	for ((n = 0; n < 200; n++)); do
		is_confined && return
		sleep 0.05
	done
	diag "the hook was not confined after ten seconds"
}

let_go()
{
	exec 9>&-
	wait "$held"
}

# expected: of the capabilities that this script has, in hex, those that a
# hook keeps: chown dac_override dac_read_search fowner fsetid setgid setuid
# linux_immutable sys_chroot sys_ptrace sys_admin mknod setfcap mac_override
# mac_admin
expected()
{
	local mask=0 bit own
	for bit in 0 1 2 3 4 6 7 9 18 19 21 27 31 32 33; do
		mask=$((mask | 1 << bit))
	done
	own=0x$(sed -n 's/^CapPrm:[[:space:]]*//p' /proc/self/status)
	printf '%016x' $((mask & own))
}

# ---- from outside ----

mkfifo "$T/fifo"
want=$(expected)
for stage in precreate prestart createRuntime createContainer poststop; do
	hold "$stage"
	label="$stage, before its input"
	for set in CapPrm CapEff CapBnd; do
		is "$(field $set)" "$want" "$label: $set is what it needs"
	done
	is "$(field CapInh) $(field CapAmb)" \
		'0000000000000000 0000000000000000' \
		"$label: nothing to inherit"
	is "$(field NoNewPrivs) $(field Seccomp) $(field Umask)" '1 2 0022' \
		"$label: no new privileges, a filter, its own umask"
	is "$(find "/proc/$held/fd" -type l -printf '%f ')" '0 1 2 ' \
		"$label: the standard streams alone"
	is "$(readlink "/proc/$held/cwd")" / "$label: it is in /"
	if [ -n "${SAN_CFLAGS:-}" ]; then
		skip 'the leak checker wants to be traced'
	else
		is "$(stat -c %g "/proc/$held/environ")" 0 \
			"$label: it can't be dumped or traced by its own user"
	fi
	let_go
done

# Linux before 5.9 closes no range of them.
deny=$(dirname "$STAGE")/deny
label='without close_range: the standard streams alone'
if [ -x "$deny" ] && "$deny" close_range true; then
	hold prestart "$deny" close_range
	is "$(find "/proc/$held/fd" -type l -printf '%f ')" '0 1 2 ' "$label"
	let_go
else
	skip "$label: filters of system calls do not work here"
fi

# ---- from inside ----

jq -n --arg T "$T" '{id: "c", status: "stopped", bundle: $T,
	ociVersion: "1.0.2"}' >"$T/state"

# nosy CALL [VARIABLE=VALUE...]: poststop with the plugin that makes a call
nosy()
{
	local call=$1
	shift
	jq -n --arg plugin "$plugins/nosy.so" --arg root "$S" \
		--arg call "$call" '{snapshotter: $plugin, $root,
		mount_options: [$call]}' >"$T/nosy.json"
	run with_state env "$@" "$hook" --config "$T/nosy.json" poststop
}

with_state()
{
	"$@" <"$T/state"
}

# Options before words, as POSIX has it, would make it fail.
nosy nothing POSIXLY_CORRECT=1 LIBMOUNT_FORCE_MOUNT2=always HOME=/evil \
	SHALE_MOUNT_ENGINE=fsmount
like "$err" 'nothing stopped it' 'a plugin in the hook does its work'
is "$(sed -n 's/^variable //p' <<<"$err" | sort)" \
	$'PATH=/usr/sbin:/usr/bin:/sbin:/bin\nSHALE_MOUNT_ENGINE=fsmount' \
	'the environment is a PATH and the mount engine'
run with_state env POSIXLY_CORRECT=1 "$hook" poststop --root "$S"
is "$status$err" 0 'also before the arguments are parsed'

calls=(execve thread execveat bpf chroot finit_module io_uring_setup kexec_load
	keyctl open_by_handle_at perf_event_open process_vm_readv reboot)
[ -n "${SAN_CFLAGS:-}" ] || calls+=(ptrace)
for call in "${calls[@]}"; do
	nosy "$call"
	refused "$call ends the hook" 'its own seccomp filter: system call [0-9]'
	unlike "$out$err" 'it ran|nothing stopped' "$call is not done"
done

# ---- files that somebody else may write ----

cp "$plugins/good.so" "$T/good.so"
while IFS='~' read -r sentence file change regex; do
	jq -n --arg plugin "$T/good.so" --arg root "$S" \
		'{snapshotter: $plugin, $root}' >"$T/own.json"
	chown 0:0 "$T/own.json" "$T/good.so"
	chmod 644 "$T/own.json" "$T/good.so"
	run with_state "$hook" --config "$T/own.json" poststop
	is "$status$err" 0 "not yet: $sentence"
	# shellcheck disable=SC2086
	$change "$T/$file"
	run with_state "$hook" --config "$T/own.json" poststop
	refused "refused is $sentence" "$file.*$regex"
done <<'END'
a configuration of another user~own.json~chown 1~belongs to uid 1
one that its group may write~own.json~chmod 664~may write
one that all may write~own.json~chmod 646~may write
a plugin of another user~good.so~chown 1~owned by user 1
one that its group may write~good.so~chmod 775~writable by others
one that all may write~good.so~chmod 757~writable by others
END
jq -n --arg root "$S" '{runtime: "runc", $root}' >"$T/own.json"
chmod 646 "$T/own.json"
refuses 'shale-runtime refuses such a configuration too' may.write \
	"$runtime" --shale-config "$T/own.json" --version

# ---- what has to stay ----

# An overlay does all in its layers as who mounted it.
on_loop ext4 64M
S=$T/ext4/store
layer base '' fill_base
bundle rights 'sleep 100' 'parent("base") | hook("prestart")
	| hook("poststop")'
ok 'a container on an ext4' runc run --detach --bundle "$B" rights
root=/proc/$(runc state rights | jq .pid)/root
while IFS='~' read -r capability command; do
	run sh -c "cd '$root' && $command"
	is "$status$err" 0 "its overlay has $capability: $command"
done <<'END'
CAP_MKNOD~mknod node c 1 3
CAP_CHOWN~chown 5:6 kept
CAP_FOWNER~chmod 600 kept
CAP_FSETID~chmod 2711 kept && test -g kept
CAP_DAC_OVERRIDE~chmod 0 opaque && touch opaque/new
CAP_SETFCAP~touch caps && setcap cap_net_raw+p caps
CAP_LINUX_IMMUTABLE~touch fixed && chattr +i fixed && chattr -i fixed
CAP_SYS_ADMIN~rm -r deleted.d && mkdir deleted.d && ! test -e deleted.d/file
END
runc delete --force rights >/dev/null 2>&1
is "$(active_keys)" '' 'and its key is gone after its end'

# shale-runtime gives the real runtime all that it has itself.
printf '#!/bin/sh\n%s\n' 'case " $* " in *" state "*) exit 1; esac' \
	'grep -E "^(Cap|NoNew|Seccomp)" /proc/self/status' >"$T/runtime"
chmod 755 "$T/runtime"
bundle child true 'parent("base")'
run "$runtime" --shale-root "$S" --shale-runtime-path "$T/runtime" \
	create --bundle "$B" child
is "$out" "$(grep -E '^(Cap|NoNew|Seccomp)' /proc/self/status)" \
	'the runtime below shale-runtime keeps what its caller has'
run "$runtime" --shale-root "$S" --shale-runtime-path "$T/runtime" \
	delete --force child
is "$(active_keys)" '' 'and its key is gone too'
done_testing
