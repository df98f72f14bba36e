#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What "make install" of a cross build puts on a board: achanctl, and a program that is
# linked with the shared library there.

. /tests/vm/tap.sh

installed_achanctl_runs() {
	achanctl --version
}

installed_achanctl_carries_a_message() {
	node=$(achanctl create --mode message board)
	achanctl send --text 'across the board' board
	[ "$(limited achanctl recv --count 1 "$node")" = 'across the board' ] ||
		fail "another text came back"
	achanctl remove board
}

program_with_the_shared_library_runs() {
	node=$(achanctl create --mode message example)
	said=$(limited achan-example-blocking "$node")
	achanctl remove example
	echo "$said" | grep 'hello through the channel' || fail "it said: $said"
}

run_case installed_achanctl_runs installed_achanctl_carries_a_message \
	program_with_the_shared_library_runs
finish_tap
