#!/usr/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
#
# What a shell does with a named pipe, with a FIFO and with a loop of hangup=fifo: an
# open waits for the other end, and session after session is as the first one.

. /tests/vm/tap.sh
. /tests/vm/achanctl.sh

pipe=/tmp/pipe

# on KIND FUNCTION: with $node, which is a FIFO or a channel
on() {
	if [ "$1" = fifo ]; then
		mkfifo $pipe
		node=$pipe
		trap 'rm -f $pipe' EXIT
	else
		make jobs --hangup fifo --mode stream
	fi
	"$2"
}

# until_asleep PID...: in open(), for a process that has nothing else to wait for
until_asleep() {
	for process; do
		until [ "$(cut -d ' ' -f 3 "/proc/$process/stat")" = S ]; do
			[ -e "/proc/$process" ] || fail "process $process ended"
			sleep 0.1
		done
	done
}

# A round of the loop is an end of file: there are as many as there were writers.
loop_of_cat() {
	(while :; do
		cat "$node" || exit
		echo round
	done) >/tmp/rounds &
	reader=$!
	for session in 1 2 3; do
		echo "line $session" | limited tee "$node" >/dev/null
		until [ "$(grep -c round /tmp/rounds)" = "$session" ]; do
			sleep 0.1
		done
	done
	sleep 0.5
	kill $reader
	# The cat that waits in open() is another process.
	limited cat /dev/null >"$node"
	cat /tmp/rounds
	[ "$(cat /tmp/rounds)" = "$(printf 'line %d\nround\n' 1 2 3)" ]
}

# A writer that finds no reader waits, in the first session and in later ones.
echo_waits() {
	for session in 1 2 3; do
		echo "line $session" >"$node" &
		writer=$!
		until_asleep $writer
		[ "$(limited cat "$node")" = "line $session" ] || fail "session $session"
		wait $writer
	done
}

# A reader that finds no writer waits, in the first session and in later ones.
cat_waits() {
	for session in 1 2 3; do
		cat "$node" >/tmp/received &
		reader=$!
		until_asleep $reader
		seq 3 >"$node"
		wait $reader
		seq 3 | cmp - /tmp/received
	done
}

# Each writer opens and closes anew; a reader that has it open sees one stream.
writers_take_turns() {
	exec 3<>"$node"
	for session in 1 2 3; do
		echo "line $session" >"$node"
	done
	limited head -n 3 <"$node" >/tmp/received
	exec 3>&-
	[ "$(cat /tmp/received)" = "$(printf 'line %d\n' 1 2 3)" ]
}

loop_of_cat_waits_in_open_on_a_fifo() { on fifo loop_of_cat; }
loop_of_cat_waits_in_open_on_a_channel() { on channel loop_of_cat; }
echo_waits_for_a_reader_of_a_fifo() { on fifo echo_waits; }
echo_waits_for_a_reader_of_a_channel() { on channel echo_waits; }
cat_waits_for_a_writer_of_a_fifo() { on fifo cat_waits; }
cat_waits_for_a_writer_of_a_channel() { on channel cat_waits; }
writers_take_turns_at_a_fifo() { on fifo writers_take_turns; }
writers_take_turns_at_a_channel() { on channel writers_take_turns; }

# The README's lines, more than once.
achanctl_works_in_each_session() {
	make jobs --hangup fifo
	for session in 1 2 3; do
		limited achanctl recv jobs >/tmp/received &
		reader=$!
		seq 3 | limited achanctl send --lines jobs
		wait $reader
		cat /tmp/received
		seq 3 | cmp - /tmp/received
		# The other way round: the writer comes first.
		seq 4 | limited achanctl send --lines jobs &
		writer=$!
		limited achanctl recv jobs >/tmp/received
		wait $writer
		seq 4 | cmp - /tmp/received
	done
}

run_case loop_of_cat_waits_in_open_on_a_fifo \
	loop_of_cat_waits_in_open_on_a_channel \
	echo_waits_for_a_reader_of_a_fifo \
	echo_waits_for_a_reader_of_a_channel \
	cat_waits_for_a_writer_of_a_fifo \
	cat_waits_for_a_writer_of_a_channel \
	writers_take_turns_at_a_fifo \
	writers_take_turns_at_a_channel \
	achanctl_works_in_each_session
finish_tap
