#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a machine can see of the house style.  Prints TAP; a tool that is not
# there is said and skipped.  `make gate` runs it, and by hand it needs
# nothing but to be started in the source tree.
set -u
export LC_ALL=C
cd "${srcdir:-.}" || exit 99

tests=0
failed=0

# report OUTPUT SENTENCE: passed where there is no output
report()
{
	tests=$((tests + 1))
	if [ -z "$1" ]; then
		echo "ok $tests - $2"
		return
	fi
	failed=$((failed + 1))
	echo "not ok $tests - $2"
	printf '%s\n' "$1" | sed 's/^/# /'
}

# has TOOL SENTENCE: or the test is skipped
has()
{
	type -P "$1" >/dev/null && return
	tests=$((tests + 1))
	echo "ok $tests - $2 # SKIP no $1"
	return 1
}

rooms=()
for room in base lib plugin door hooks runtime conform cli bench tests; do
	[ -d "$room" ] && rooms+=("$room")
done
mapfile -t sources < <(find "${rooms[@]}" -name '*.[ch]' | sort)
mapfile -t scripts < <(find tests -name '*.sh' | sort
	ls quickstart demo .ci/run tests/alone tests/mutants \
		tests/torture tests/fuzz/run 2>/dev/null)
mapfile -t pages < <(find man -name '*.[1-8]' 2>/dev/null | sort)

what='clang-format changes nothing'
if has clang-format "$what"; then
	report "$(clang-format --dry-run -Werror "${sources[@]}" 2>&1 |
		grep 'error:' | sed 's/: error:.*//' | sort -u)" "$what"
fi

# Calls, not names: comments are stripped first, and what follows a letter, a
# dot or an arrow is another function or a member.
# calls REGEX FILE...
calls()
{
	local regex=$1 file
	shift
	for file; do
		cc -fpreprocessed -dD -E -P "$file" 2>/dev/null |
			grep -En "(^|[^A-Za-z0-9_.>\"])($regex) *\\(" |
			sed "s|^[0-9]*:|$file: |"
	done
}

banned='sprintf|vsprintf|strcpy|strcat|strtok|atoi|sscanf|system|popen'
banned+='|alloca|chdir|exit'
by_path='stat|lstat|mkdir|rename|unlink|fopen|realpath'
mapfile -t library < <(find base lib plugin -name '*.[ch]' | sort)
what='the library calls nothing that is banned'
if has cc "$what"; then
	report "$(calls "$banned|$by_path" "${library[@]}")" "$what"
	mapfile -t programs < <(find door hooks runtime conform cli \
		-name '*.[ch]' | sort)
	report "$(calls 'sprintf|vsprintf|strcpy|strcat|strtok|atoi|system' \
		"${programs[@]}")" 'nor do the programs write past a buffer'
fi

report "$(for file in "${sources[@]}" "${scripts[@]}" \
	Makefile.am configure.ac; do
	head -n 3 "$file" | grep -q SPDX-License-Identifier || echo "$file"
done)" 'each file starts with its licence'

report "$(grep -nE '[ 	]+$' "${sources[@]}" "${scripts[@]}" "${pages[@]}" \
	Makefile.am configure.ac ./*.md doc/*.md 2>/dev/null)" \
	'no line ends in a blank'

report "$(grep -En '/tmp/build|/home/[a-z]' "${sources[@]}" "${scripts[@]}" \
	"${pages[@]}" Makefile.am configure.ac ./*.md doc/*.md 2>/dev/null |
	grep -v '^tests/gate.sh:')" 'no file names the machine it was made on'

what='shellcheck finds nothing'
if has shellcheck "$what"; then
	report "$(shellcheck -x -P SCRIPTDIR -f gcc "${scripts[@]}" 2>&1)" \
		"$what"
fi

mapfile -t pythons < <(find bench -name '*.py' 2>/dev/null | sort
	ls bench/run 2>/dev/null)
what='python3 reads what is written for it'
if [ ${#pythons[@]} -gt 0 ] && has python3 "$what"; then
	report "$(python3 -c 'import ast, sys
for name in sys.argv[1:]:
	ast.parse(open(name, encoding="utf-8").read(), name)' \
		"${pythons[@]}" 2>&1 | tail -n 1)" "$what"
fi

what='codespell finds nothing'
if has codespell "$what"; then
	report "$(codespell --quiet-level=2 --skip='*/corpus/*' \
		"${rooms[@]}" "${scripts[@]}" Makefile.am configure.ac \
		./*.md doc man 2>&1)" "$what"
fi

what='mandoc finds nothing'
if [ ${#pages[@]} -eq 0 ]; then
	report 'no page in man' "$what"
elif has mandoc "$what"; then
	report "$(mandoc -Tlint "${pages[@]}" 2>&1)" "$what"
fi

echo "1..$tests"
[ "$failed" -eq 0 ]
