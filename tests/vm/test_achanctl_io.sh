#!/usr/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
#
# achanctl on the real module: records sent, received in every I/O model, and piped.

. /tests/vm/tap.sh
. /tests/vm/achanctl.sh

data=/bin/busybox

# ------------------------------------------------------ send and recv

sum() {
	sha256sum | cut -d ' ' -f 1
}

# carry MODE MODEL OPTION...: half a megabyte, whole and in order
carry() {
	mode=$1 model=$2
	shift 2
	make carried --mode "$mode"
	head -c 500000 $data >/tmp/sent
	limited achanctl recv --model "$model" --bytes 500000 "$@" carried \
		>/tmp/received &
	reader=$!
	limited achanctl send carried /tmp/sent
	wait $reader
	[ "$(sum </tmp/received)" = "$(sum </tmp/sent)" ]
}

recv_blocking_carries_a_stream() { carry stream blocking; }
recv_blocking_carries_messages() { carry message blocking; }
recv_poll_carries_a_stream() { carry stream poll; }
recv_poll_carries_messages() { carry message poll; }
recv_sigio_carries_a_stream() { carry stream sigio; }
recv_sigio_carries_messages() { carry message sigio; }
recv_aio_carries_a_stream() { carry stream aio; }
recv_aio_carries_messages() { carry message aio; }
recv_uring_carries_a_stream() { carry stream uring; }
recv_uring_carries_messages() { carry message uring; }
recv_aio_keeps_the_order_at_depth() {
	make deep --mode message
	limited achanctl recv --model aio --depth 16 --count 200 deep >/tmp/received &
	reader=$!
	seq 200 | limited achanctl send --lines deep
	wait $reader
	seq 200 | cmp - /tmp/received
}

recv_waits_no_longer_than_told() {
	make silent
	for model in blocking poll sigio aio uring; do
		expect $timed_out "nothing came from silent" \
			achanctl recv --model $model --timeout 0.3 silent
		expect $timed_out "nothing came from silent" \
			achanctl recv --model $model --timeout 0 silent
	done
}

recv_takes_no_more_than_count() {
	for model in blocking poll sigio aio uring; do
		make few --mode message
		seq 5 | achanctl send --lines few
		[ "$(limited achanctl recv --model $model --count 2 few | wc -l)" = 2 ]
		achanctl stats --json few >/tmp/json
		grep -q '"records_out": 2,' /tmp/json
		achanctl remove few
	done
}

recv_ends_with_a_fifos_last_writer() {
	for model in blocking poll sigio aio uring; do
		make ending --hangup fifo
		limited achanctl recv --model $model ending >/tmp/received &
		reader=$!
		until_open ending
		achanctl send --text all ending
		wait $reader
		[ "$(cat /tmp/received)" = all ]
		achanctl remove ending
	done
}

recv_framed_shows_number_and_length() {
	make numbered --mode message
	printf 'one\ntwo\n' | achanctl send --lines numbered
	limited achanctl recv --framed --count 2 numbered >/tmp/received
	cat /tmp/received
	printf 'record 0, 4 bytes\none\nrecord 1, 4 bytes\ntwo\n' | cmp - /tmp/received
}

recv_timestamps_ascend() {
	make timed --mode message
	printf 'one\ntwo\n' | achanctl send --lines timed
	limited achanctl recv --timestamps --count 2 timed >/tmp/received
	cat /tmp/received
	sed -n 's/^record.*time \([0-9.]*\),.*/\1/p' /tmp/received >/tmp/times
	[ "$(wc -l </tmp/times)" = 2 ]
	sort -n -c /tmp/times
	achanctl set --timestamps off timed
	achanctl send --text x timed
	limited achanctl recv --timestamps --count 1 timed | grep -q 'time none'
}

recv_hexdump_is_hexadecimal() {
	make hexed
	achanctl send --text 'hello, channel 7' hexed
	limited achanctl recv --hexdump --count 1 hexed >/tmp/received
	cat /tmp/received
	grep -q '^00000000  68 65 6c 6c 6f 2c 20 63  68 61 .*|hello, channel 7|$' /tmp/received
}

recv_writes_to_a_file() {
	make filed
	achanctl send --text abc filed
	limited achanctl recv --bytes 3 --output /tmp/filed filed
	[ "$(cat /tmp/filed)" = abc ]
	expect 1 "cannot write /nowhere/x" achanctl recv --output /nowhere/x filed
	achanctl send --text abc filed
	expect 1 "cannot write" sh -c 'achanctl recv --bytes 3 filed >/dev/full'
}

recv_names_a_record_too_large() {
	make large --mode message
	achanctl send --text 0123456789 large
	for model in blocking poll sigio aio uring; do
		expect 1 "larger than 4 bytes" achanctl recv --model $model --size 4 large
	done
	limited achanctl recv --count 1 large | grep -q 0123456789
}

recv_tells_of_records_missed() {
	make gappy --mode message --delivery broadcast --overflow drop --ring-bytes 8K
	# Itself, not what limits it, is what is to be stopped.
	achanctl recv --framed --timeout 10 gappy >/tmp/received 2>/tmp/err &
	reader=$!
	until_open gappy
	kill -STOP $reader
	seq 2000 | limited achanctl send --lines gappy
	kill -CONT $reader
	until grep -q 'record [0-9]' /tmp/received; do sleep 0.1; done
	sleep 1
	achanctl send --text last gappy
	until grep -q last /tmp/received; do sleep 0.1; done
	kill $reader
	cat /tmp/err
	grep -q 'records before [0-9]* were missed' /tmp/err
}

send_names_a_message_too_large() {
	make small --mode message --ring-bytes 8K
	expect 1 "is too large for small (maximum 8168)" \
		achanctl send --size 9000 small $data
}

send_gives_up_in_time() {
	make full --ring-bytes 8K
	expect $timed_out "full had no room" achanctl send --timeout 0.3 full $data
}

send_says_what_it_cannot_read() {
	make unread
	expect 1 "cannot read /nowhere/x" achanctl send unread /nowhere/x
	expect 1 "cannot read" achanctl send unread /tmp
}

send_waits_for_a_reader_of_a_fifo() {
	make lonely --hangup fifo
	expect $timed_out "lonely" achanctl send --timeout 0.2 --text x lonely
	limited achanctl recv --bytes 1 lonely >/tmp/received &
	limited achanctl send --text x lonely
	wait $!
	[ "$(cat /tmp/received)" = x ]
}

pipe_carries_records_whole() {
	make from --mode message
	achanctl create --mode message to
	seq 50 | achanctl send --lines from
	limited achanctl pipe --count 50 from to
	limited achanctl recv --framed --timeout 1 to >/tmp/received || true
	achanctl remove to
	[ "$(grep -c '^record ' /tmp/received)" = 50 ]
	grep -v '^record ' /tmp/received >/tmp/lines
	seq 50 | cmp - /tmp/lines
}

pipe_carries_both_ways() {
	make west --peer west-end
	far=$(achanctl create --peer east-end east | head -n 1)
	limited achanctl pipe --both --count 2 west-end east-end &
	pipe=$!
	# Held open: an end that closes is a hangup for the pipe.
	exec 3<>"$node" 4<>"$far"
	echo eastward >&3
	read -r line <&4
	[ "$line" = eastward ]
	echo back >&4
	read -r line <&3
	[ "$line" = back ]
	wait $pipe
	achanctl remove east
}

pipe_waits_no_longer_than_told() {
	expect $timed_out "nothing moved" achanctl pipe --timeout 0.2 achan0 achan2
}

pipe_ends_with_what_it_reads_from() {
	make source --hangup fifo
	limited achanctl pipe source achan0 &
	pipe=$!
	until_open source
	achanctl send --text all source
	wait $pipe
	[ "$(limited achanctl recv --bytes 3 achan0)" = all ]
}

run_case recv_blocking_carries_a_stream recv_blocking_carries_messages \
	recv_poll_carries_a_stream recv_poll_carries_messages recv_sigio_carries_a_stream \
	recv_sigio_carries_messages recv_aio_carries_a_stream recv_aio_carries_messages \
	recv_uring_carries_a_stream recv_uring_carries_messages \
	recv_aio_keeps_the_order_at_depth recv_waits_no_longer_than_told \
	recv_takes_no_more_than_count recv_ends_with_a_fifos_last_writer \
	recv_framed_shows_number_and_length recv_timestamps_ascend \
	recv_hexdump_is_hexadecimal recv_writes_to_a_file recv_names_a_record_too_large \
	recv_tells_of_records_missed send_names_a_message_too_large send_gives_up_in_time \
	send_says_what_it_cannot_read send_waits_for_a_reader_of_a_fifo \
	pipe_carries_records_whole pipe_carries_both_ways \
	pipe_waits_no_longer_than_told pipe_ends_with_what_it_reads_from
finish_tap
