#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A root file system of layers for crun, in the one stage where a hook can give
# it one, by both mount engines.
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC1091
. "$here/lib.sh"
# shellcheck source-path=SCRIPTDIR source=checks.sh disable=SC1091
. "$here/checks.sh"
needs_root
needs crun runc jq busybox

store store
odd_layers
bundle empty :
run crun run --bundle "$B" empty
plain crun plain .
for engine in fsmount libmount; do
	layered crun createContainer "$engine"
done
readonly_root crun createContainer
stepwise crun createContainer
odd_images crun createContainer
odd_refusals crun createContainer
masks_of_the_image crun createContainer
masks_of_the_image crun createContainer /proc/..
views crun createContainer
failures crun createContainer
shared_host crun createContainer
at_once crun createContainer
done_testing
