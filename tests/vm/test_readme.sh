#!/usr/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
#
# The programs that README.md shows, as they stand there. Each opens /dev/achan0.

. /tests/vm/tap.sh

# wait_until COMMAND...: for as long as only a hang takes
wait_until() {
	tries=$((tap_seconds * 10))
	until "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || fail "it never came to this: $*"
		sleep 0.1
	done
}

says() {
	grep -q "$1" /tmp/readme.out
}

# start PROGRAM: and wait until it sleeps, which it does once everything is set up
start() {
	"/usr/bin/readme-$1" >/tmp/readme.out 2>&1 &
	program=$!
	wait_until asleep
}

asleep() {
	[ "$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$program/status")" = S ] &&
		has_the_channel
}

has_the_channel() {
	for file in "/proc/$program/fd"/*; do
		[ "$(readlink "$file")" != /dev/achan0 ] || return 0
	done
	return 1
}

stop() {
	kill "$program"
	wait "$program" || true
}

signal_prints_every_record() {
	start signal
	# Records that are there before the notifier is are read as well.
	for text in first second; do
		echo "$text" | achanctl send --lines achan0
		wait_until says "$text"
	done
	stop
}

read_waits_for_one_record() {
	start read
	achanctl send --text 'the answer' achan0
	wait_until gone
	wait "$program"
	says 'the answer' || fail "it said: $(cat /tmp/readme.out)"
}

# Over, though nobody has waited for it yet.
gone() {
	! grep -q '^State:[[:space:]]*[^Z]' "/proc/$program/status" 2>/dev/null
}

loop_prints_what_comes() {
	start loop
	for text in one two three; do
		echo "$text" | achanctl send --lines achan0
		wait_until says "$text"
	done
	stop
}

run_case signal_prints_every_record read_waits_for_one_record loop_prints_what_comes
finish_tap
