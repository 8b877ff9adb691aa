#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A root file system of layers for runc, in each stage where a hook can give
# it one, by both mount engines.
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
needs runc jq busybox

store store
odd_layers
bundle empty :
run runc run --bundle "$B" empty
plain runc plain .
for stage in prestart createRuntime createContainer; do
	for engine in fsmount libmount; do
		layered runc "$stage" "$engine"
	done
	readonly_root runc "$stage"
	stepwise runc "$stage"
	odd_images runc "$stage"
	odd_refusals runc "$stage"
	masks_of_the_image runc "$stage"
	views runc "$stage"
	failures runc "$stage"
	shared_host runc "$stage"
done
at_once runc prestart
done_testing
