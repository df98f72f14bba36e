#!/usr/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
#
# insmod and rmmod of achan: its parameters, its nodes, and that nothing stays
# behind. It takes the module away from the other programs, so it runs last, and
# leaves it loaded as it was.

. /tests/vm/tap.sh

module=/lib/achan.ko

load() {
	insmod "$module" "$@"
}

nothing_left() {
	[ ! -e /sys/class/achan ] || fail "/sys/class/achan is left"
	[ ! -e /sys/module/achan ] || fail "/sys/module/achan is left"
	! grep -w achan /proc/devices || fail "a device number is left"
	! ls /dev/achan* 2>/dev/null || fail "nodes are left"
}

unload() {
	rmmod achan
	nothing_left
}

# bad_parameter TEXT PARAMETER...: is refused, and the log says why
bad_parameter() {
	text=$1
	shift
	mark="bad parameter $$ $*"
	echo "$mark" >/dev/kmsg
	if load "$@" 2>/tmp/insmod.log; then
		rmmod achan
		fail "insmod $* succeeded"
	fi
	cat /tmp/insmod.log
	grep -q -i 'invalid argument\|invalid parameter\|out of range' /tmp/insmod.log ||
		fail "insmod $* failed, but not for its parameters"
	dmesg | sed "1,/$mark/d" >/tmp/kernel.log
	cat /tmp/kernel.log
	grep -q -F -- "$text" /tmp/kernel.log ||
		fail "the kernel log does not say \"$text\""
	nothing_left
}

# shown FILE KEY VALUE: the channel says so of itself
shown() {
	exec 3<>"$1"
	cat "/proc/self/fdinfo/3"
	grep -q "^achan-$2:[[:space:]]*$3\$" "/proc/self/fdinfo/3" ||
		fail "$1 does not say achan-$2: $3"
	exec 3>&-
}

nodes() {
	find /dev -maxdepth 1 -name 'achan[0-9]*' | wc -l
}

guest_has_four_nodes_for_root_alone() {
	[ "$(nodes)" = 4 ]
	for node in 0 1 2 3; do
		[ -c "/dev/achan$node" ]
		[ "$(stat -c %a:%u:%g "/dev/achan$node")" = 600:0:0 ]
		[ -e "/sys/class/achan/achan$node/dev" ]
	done
	grep -w achan /proc/devices
}

insmod_twice_is_eexist() {
	refused load 2>/tmp/insmod.log
	cat /tmp/insmod.log
	grep -q -i 'file exists' /tmp/insmod.log
	[ "$(nodes)" = 4 ]
}

rmmod_with_an_open_file_is_refused_and_works_after_close() {
	exec 3<>/dev/achan0
	refused rmmod achan
	echo still there >&3
	limited head -n 1 <&3 | grep -q 'still there'
	exec 3>&-
	unload
}

rmmod_with_unread_data_leaves_nothing() {
	load
	echo unread >/dev/achan0
	unload
}

default_is_one_stream_of_64_kib() {
	load
	[ "$(nodes)" = 1 ]
	shown /dev/achan0 mode stream
	shown /dev/achan0 ring-bytes 65536
	shown /dev/achan0 name achan0
	unload
}

last_value_holds_for_the_other_channels() {
	load channels=4 mode=message,stream ring_bytes=8192,16384,32768
	shown /dev/achan0 mode message
	shown /dev/achan1 mode stream
	shown /dev/achan3 mode stream
	shown /dev/achan0 ring-bytes 8192
	shown /dev/achan1 ring-bytes 16384
	shown /dev/achan2 ring-bytes 32768
	shown /dev/achan3 ring-bytes 32768
	unload
}

largest_ring_loads() {
	load ring_bytes=67108864
	shown /dev/achan0 ring-bytes 67108864
	unload
}

parameters_are_shown_in_sysfs() {
	load channels=2 parked_max=7 parked_bytes=4096
	[ "$(cat /sys/module/achan/parameters/channels)" = 2 ]
	[ "$(cat /sys/module/achan/parameters/parked_max)" = 7 ]
	[ "$(cat /sys/module/achan/parameters/parked_bytes)" = 4096 ]
	unload
}

channels_0_is_refused() {
	bad_parameter channels=0 channels=0
}

channels_1025_is_refused() {
	bad_parameter channels=1025 channels=1025
}

channels_that_is_no_number_is_refused() {
	bad_parameter "for parameter \`channels'" channels=many
}

ring_bytes_no_power_of_two_is_refused() {
	bad_parameter ring_bytes=1000 ring_bytes=1000
	bad_parameter ring_bytes=65537 ring_bytes=65537
}

ring_bytes_too_small_is_refused() {
	bad_parameter ring_bytes=0 ring_bytes=0
	bad_parameter ring_bytes=4096 ring_bytes=4096
}

ring_bytes_too_large_is_refused() {
	bad_parameter ring_bytes=134217728 ring_bytes=134217728
	bad_parameter ring_bytes=2147483648 ring_bytes=2147483648
	bad_parameter "for parameter \`ring_bytes'" ring_bytes=8589934592
}

ring_bytes_bad_later_in_the_list_is_refused() {
	bad_parameter ring_bytes=5 channels=3 ring_bytes=8192,8192,5
}

mode_unknown_is_refused() {
	bad_parameter mode=banana mode=banana
	bad_parameter mode=streams mode=streams
}

mode_bad_later_in_the_list_is_refused() {
	bad_parameter mode=banana channels=3 mode=stream,banana
}

more_values_than_channels_is_refused() {
	bad_parameter ring_bytes channels=2 ring_bytes=8192,8192,8192
	bad_parameter mode channels=2 mode=stream,stream,message
}

parked_limit_of_0_is_refused() {
	bad_parameter parked_max parked_max=0
	bad_parameter parked_bytes parked_bytes=0
}

a_thousand_and_24_channels_load_and_unload() {
	load channels=1024 ring_bytes=8192 mode=message
	[ "$(nodes)" = 1024 ]
	echo last >/dev/achan1023
	[ "$(limited head -n 1 /dev/achan1023)" = last ]
	unload
}

# A kernel that delays each release, to find who cannot wait, takes seconds to
# unload.
load_and_unload_again_and_again() {
	rounds=50
	if zcat /proc/config.gz 2>/dev/null | grep -q KOBJECT_RELEASE=y; then
		rounds=5
	fi
	for round in $(seq $rounds); do
		load channels=3
		echo "$round" >/dev/achan2
		unload
	done
}

# As root leaves it who wrote to the node before the module was loaded.
file_in_the_place_of_a_node_is_told_in_the_log() {
	trap 'rmmod achan 2>/dev/null || true; rm -f /dev/achan1' EXIT
	echo "file in the way $$" >/dev/kmsg
	load
	if dmesg | sed "1,/file in the way $$/d" | grep 'is not the node'; then
		fail "nothing is in the way"
	fi
	unload
	echo too early >/dev/achan1
	load channels=2
	dmesg | sed "1,/file in the way $$/d" | grep 'is not the node' >/tmp/kernel.log
	cat /tmp/kernel.log
	grep -q '/dev/achan1 is not the node of channel 1 .*remove it' /tmp/kernel.log
	[ "$(wc -l </tmp/kernel.log)" = 1 ]
	[ -f /dev/achan1 ]
	rm /dev/achan1
	unload
	load channels=2
	[ -c /dev/achan1 ]
	unload
}

module_is_loaded_again_as_it_was() {
	# shellcheck disable=SC2086 # the parameters are words
	load $ACHAN_PARAMETERS
	[ "$(nodes)" = 4 ]
}

run_case guest_has_four_nodes_for_root_alone \
	insmod_twice_is_eexist \
	rmmod_with_an_open_file_is_refused_and_works_after_close
# Whatever went wrong there, what follows starts without the module.
rmmod achan 2>/dev/null
run_case rmmod_with_unread_data_leaves_nothing \
	default_is_one_stream_of_64_kib \
	last_value_holds_for_the_other_channels \
	largest_ring_loads \
	parameters_are_shown_in_sysfs \
	channels_0_is_refused \
	channels_1025_is_refused \
	channels_that_is_no_number_is_refused \
	ring_bytes_no_power_of_two_is_refused \
	ring_bytes_too_small_is_refused \
	ring_bytes_too_large_is_refused \
	ring_bytes_bad_later_in_the_list_is_refused \
	mode_unknown_is_refused \
	mode_bad_later_in_the_list_is_refused \
	more_values_than_channels_is_refused \
	parked_limit_of_0_is_refused \
	a_thousand_and_24_channels_load_and_unload \
	load_and_unload_again_and_again \
	file_in_the_place_of_a_node_is_told_in_the_log \
	module_is_loaded_again_as_it_was
finish_tap
