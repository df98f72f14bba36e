#!/usr/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
#
# achanctl on the real module: channels made, changed, watched and removed; every
# error with its status and what it says.

. /tests/vm/tap.sh
. /tests/vm/achanctl.sh

# ---------------------------------------------------------------- list

list_has_a_line_for_each_channel() {
	achanctl list >/tmp/list
	cat /tmp/list
	[ "$(wc -l </tmp/list)" = $(($(find /sys/class/achan -name 'achan[0-9]*' | wc -l) + 1)) ]
	grep -q '^achan0 *achan0 *loop *stream *shared *64 KiB' /tmp/list
	grep -q '^achan3 *achan3 *loop *message *shared *8 KiB' /tmp/list
}

list_shows_those_named() {
	achanctl list achan1 /dev/achan3 >/tmp/list
	[ "$(wc -l </tmp/list)" = 3 ]
	refused grep -q achan0 /tmp/list
	expect $no_channel "no channel nowhere" achanctl list nowhere achan0
	grep -q '^achan0' /tmp/said
}

list_json_is_json() {
	make listed --mode message
	achanctl list --json >/tmp/json
	json /tmp/json "(lambda by: len(by) >= 5 and by['achan0']['minor'] == 0 and
		by['listed']['config']['mode'] == 'message')({c['name']: c for c in it})"
}

# -------------------------------------------------------------- create

create_prints_the_node() {
	make made
	printed=$(achanctl create another)
	achanctl remove another
	[ "${printed#/dev/achan}" != "$printed" ] || fail "it printed $printed"
}

create_without_a_name_takes_the_nodes() {
	node=$(achanctl create)
	achanctl list "${node#/dev/}" | grep -q "^${node#/dev/} "
	achanctl remove "$node"
	[ ! -e "$node" ]
}

create_takes_all_options() {
	make full --mode message --overflow drop --ring-bytes 16K --read-low 100 \
		--write-low 200 --moderate-records 8 --moderate-usecs 500 \
		--timestamps off --node-mode 640 --owner 3 --group 4 --hangup fifo
	achanctl info --json full >/tmp/json
	cat /tmp/json
	json /tmp/json "it['config'] == {'kind': 'loop', 'mode': 'message',
		'delivery': 'shared', 'hangup': 'fifo', 'overflow': 'drop',
		'timestamps': False, 'ring_bytes': 16384, 'read_low': 100,
		'write_low': 200, 'moderate_records': 8, 'moderate_usecs': 500,
		'node_mode': '0640', 'uid': 3, 'gid': 4}"
	[ "$(stat -c '%a %u %g' "$node")" = '640 3 4' ]
}

create_of_a_pair_prints_both_nodes() {
	make left --peer right
	expect 0 left achanctl list left right
	[ "$(wc -l </tmp/said)" = 3 ]
	achanctl send --text across left
	[ "$(limited achanctl recv --bytes 6 right)" = across ]
}

create_refuses_a_name_taken() {
	make taken
	expect $exists "a channel named taken already" achanctl create taken
	expect $exists "named other or taken already" achanctl create --peer taken other
	expect $usage "cannot have one name" achanctl create --peer same same
}

create_refuses_odd_names() {
	for odd in 'a b' a/b .hidden achan17 'x%' \
		01234567890123456789012345678901; do
		expect $usage "cannot be a channel's name" achanctl create "$odd"
	done
	expect $usage "cannot be a channel's name" achanctl create -- -x
	expect $usage "cannot be a channel's name" achanctl create ''
}

create_refuses_sizes_that_cannot_be() {
	for size in 5000 4096 128M 1; do
		expect $usage "a power of two" achanctl create --ring-bytes $size x
	done
	expect $usage "such as 8192 or 64K" achanctl create --ring-bytes 8Q x
	expect $usage "watermark" achanctl create --read-low 1M x
	expect $usage "--moderate-usecs" achanctl create --moderate-records 5 x
	expect $usage "1000000" achanctl create --moderate-usecs 1000001 x
	refused achanctl list x
}

create_refuses_what_does_not_go_together() {
	expect $usage "cannot reject" achanctl create --delivery broadcast --overflow reject x
	expect $usage "for a loop" achanctl create --kind pair --hangup fifo x
	expect $usage "for a pair" achanctl create --hangup peer x
	refused achanctl list x
}

create_refuses_words_it_does_not_know() {
	expect $usage "use loop or pair" achanctl create --kind tree x
	expect $usage "unrecognized option" achanctl create --frobnicate x
	expect $usage "no command" achanctl frobnicate
	expect $usage "no user" achanctl create --owner nobody-at-all x
}

# ----------------------------------------------- remove, info and set

remove_takes_the_node_away() {
	make gone
	achanctl remove gone
	[ ! -e "$node" ]
	expect $no_channel "no channel gone" achanctl remove gone
	expect $no_channel "no channel gone" achanctl info gone
	expect $no_channel "no channel" achanctl recv --timeout 1 gone
}

remove_goes_on_after_one_that_is_not_there() {
	make second
	expect $no_channel "no channel first" achanctl remove first second
	[ ! -e "$node" ]
}

remove_takes_the_other_one_of_a_pair() {
	make this --peer that
	achanctl remove that
	expect $no_channel "no channel this" achanctl info this
}

remove_ends_a_reader_after_what_is_left() {
	make draining
	achanctl send --text left draining
	status=0
	limited achanctl recv draining >/tmp/out 2>/tmp/err &
	reader=$!
	until [ "$(cat /tmp/out)" = left ]; do sleep 0.1; done
	achanctl remove draining
	wait $reader || status=$?
	cat /tmp/err
	[ $status = $no_channel ]
	grep -q 'was removed' /tmp/err
}

info_tells_all() {
	make told --overflow overwrite
	achanctl info told >/tmp/info
	cat /tmp/info
	for line in '^name *told$' "^node *$node, made with mode 600, owner root" \
		'^kind *loop$' '^overflow *overwrite$' '^timestamps *on$' \
		'^ring *64 KiB, 0 B of it taken$' '^moderation *off$'; do
		grep -q "$line" /tmp/info || fail "does not tell $line"
	done
}

set_changes_what_is_named() {
	make changed
	achanctl set --overflow overwrite --read-low 10 changed
	achanctl set --moderate-usecs 100 changed
	achanctl info --json changed >/tmp/json
	cat /tmp/json
	json /tmp/json "it['config']['overflow'] == 'overwrite' and
		it['config']['read_low'] == 10 and it['config']['timestamps'] and
		it['config']['moderate_usecs'] == 100"
	expect $usage "cannot change changed" achanctl set --read-low 1G changed
	expect $usage "nothing to change" achanctl set changed
	expect $usage "--mode is fixed when a channel is created" \
		achanctl set changed --mode message
	expect $no_channel "no channel nowhere" achanctl set --read-low 1 nowhere
}

# --------------------------------------------------- stats and monitor

stats_count_what_passed() {
	make counted --mode message
	achanctl send --text 12345 counted
	achanctl send --text 678 counted
	limited achanctl recv --count 1 counted >/dev/null
	achanctl stats --json counted >/tmp/json
	cat /tmp/json
	json /tmp/json "(lambda s: s['records_in'] == 2 and s['bytes_in'] == 8 and
		s['records_out'] == 1 and s['bytes'] == 3)(it[0]['stats'])"
	achanctl stats counted >/tmp/stats
	cat /tmp/stats
	grep -q '^counted (achan' /tmp/stats
	grep -q '  in  *2 records  *8 B$' /tmp/stats
	grep -q '\[#\.*\]' /tmp/stats
}

stats_watch_has_rates() {
	make watched --mode message
	limited achanctl stats --watch=0.5 --count 4 --json watched >/tmp/watch &
	watcher=$!
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		achanctl send --text x watched
		sleep 0.1
	done
	wait $watcher
	cat /tmp/watch
	[ "$(wc -l </tmp/watch)" = 4 ]
	tail -n 1 /tmp/watch >/tmp/json
	json /tmp/json "it[0]['rates']['records_in'] >= 0"
	head -n 1 /tmp/watch >/tmp/json
	json /tmp/json "'rates' not in it[0]"
	limited achanctl stats --watch=0.1 --count 2 watched >/tmp/watch
	grep -q '/s' /tmp/watch
}

stats_of_one_that_is_removed_meanwhile_ends() {
	make leaving
	limited achanctl stats --watch=0.1 leaving >/dev/null 2>/tmp/err &
	watcher=$!
	sleep 0.3
	achanctl remove leaving
	status=0
	wait $watcher || status=$?
	cat /tmp/err
	[ $status = $no_channel ]
}

monitor_tells_what_happens() {
	: >/tmp/events
	limited achanctl monitor --list --count 9 >/tmp/events &
	monitor=$!
	until_lines /tmp/events 5
	achanctl create observed
	achanctl send --text x observed
	achanctl remove observed
	wait $monitor
	cat /tmp/events
	for event in created opened closed removed; do
		grep -q " $event  *observed (achan" /tmp/events || fail "no $event"
	done
}

monitor_json_is_json() {
	: >/tmp/events
	limited achanctl monitor --json --list --count 7 >/tmp/events &
	monitor=$!
	until_lines /tmp/events 5
	achanctl create observed
	achanctl remove observed
	wait $monitor
	cat /tmp/events
	tail -n 2 /tmp/events | head -n 1 >/tmp/json
	json /tmp/json "it['event'] == 'created' and it['channel']['name'] == 'observed'"
	tail -n 1 /tmp/events >/tmp/json
	json /tmp/json "it['event'] == 'removed'"
}

# A line that is about no channel ended in blanks.
monitor_lists_what_is_there() {
	limited achanctl monitor --list --count 5 >/tmp/events
	cat /tmp/events
	[ "$(grep -c ' channel ' /tmp/events)" = 4 ]
	grep -q ' listed$' /tmp/events
	expect $timed_out "no event came" achanctl monitor --timeout 0.2
}

# ------------------------------------------------------- who may what

control_is_for_root() {
	expect_as_nobody $permission "it is for root; use sudo" achanctl create x
	expect_as_nobody $permission "it is for root" achanctl remove achan0
	expect_as_nobody $permission "it is for root" achanctl set --read-low 1 achan0
}

everybody_can_list_and_monitor() {
	make public --node-mode 666
	expect_as_nobody 0 achan0 achanctl list
	expect_as_nobody 0 "next record" achanctl info public
	expect_as_nobody 0 "ring" achanctl stats public
	expect_as_nobody $timed_out "no event" achanctl monitor --timeout 0.2
}

what_a_private_channel_does_is_not_for_everybody() {
	make secret --node-mode 600
	expect_as_nobody 0 "loop      the rest is for users who may open the node" achanctl list
	expect_as_nobody 0 "for who may open" achanctl info secret
	expect_as_nobody 0 "for who may open" achanctl stats secret
	refused grep -q records /tmp/said
	achanctl list --json secret >/tmp/json
	json /tmp/json "it[0]['config']['ring_bytes'] == 65536"
}

node_of_another_owner_says_for_whom_it_is() {
	make owned --node-mode 660
	expect_as_nobody $permission "udev rule" achanctl recv --timeout 1 "$node"
	chgrp 4 "$node"
	echo 'fourth:x:4:' >>/etc/group
	expect_as_nobody $permission "usermod -aG fourth" achanctl recv "$node"
	sed -i '/^fourth:/d' /etc/group
}

path_of_something_else_is_no_channel() {
	for path in /dev/null /bin/busybox /tmp; do
		expect $no_channel "is not a channel, but" achanctl info $path
	done
	expect $no_channel "not a channel, but another device" \
		achanctl recv --timeout 1 /dev/null
	expect $no_channel "no channel at /dev/achan77" achanctl recv /dev/achan77
	expect 1 "no control device" achanctl --control /dev/null list
	expect 1 "there is no /nonexist, which --control names" \
		achanctl --control /nonexist list
}

# ----------------------------------------------------------- the rest

completion_knows_commands_values_and_channels() {
	make completed
	cat >/tmp/complete <<-'END'
	. /usr/share/bash-completion/completions/achanctl
	COMP_WORDS=(achanctl "$@")
	COMP_CWORD=$#
	_achanctl
	printf '%s\n' "${COMPREPLY[@]}"
	END
	bash /tmp/complete mon | grep -qx monitor
	bash /tmp/complete recv --model u | grep -qx uring
	bash /tmp/complete create --ki | grep -qx -e --kind
	bash /tmp/complete recv --n | grep -qx -e --null
	bash /tmp/complete recv --l | grep -qx -e --lines
	bash /tmp/complete recv --j | grep -qx -e --json
	bash /tmp/complete help mo | grep -qx monitor
	bash /tmp/complete ls comp | grep -qx completed
	bash /tmp/complete info comp | grep -qx completed
	bash /tmp/complete info achan | grep -qx achan0
	[ -z "$(bash /tmp/complete info nothing-like-it)" ]
}

version_names_the_driver() {
	expect 0 "driver: ABI 1 pair broadcast hangup watermarks moderation events" \
		achanctl --version
}

# Last: the module goes, and comes back as it was.
without_the_module_it_says_what_to_do() {
	rmmod achan
	for command in list 'create x' 'remove x' 'info x' 'set --read-low 1 x' \
		stats 'recv x' 'send x' 'pipe x y' monitor 'recv /dev/achan0'; do
		# shellcheck disable=SC2086 # they are words
		expect $no_module 'modprobe achan' achanctl $command
	done
	expect 0 "driver: the module achan is not loaded" achanctl --version
	expect 0 "driver: the module achan is not loaded" achanctl version
}

# A second of waiting for the monitor was too short on a slow kernel: the module
# went before it listened.
monitor_ends_when_the_module_goes() {
	: >/tmp/events
	limited achanctl monitor --list >/tmp/events 2>/tmp/err &
	monitor=$!
	until_lines /tmp/events 5
	rmmod achan
	status=0
	wait $monitor || status=$?
	cat /tmp/err
	[ $status = $no_module ]
	grep -q 'module achan was removed' /tmp/err
}

reload() {
	# shellcheck disable=SC2086 # the parameters are words
	lsmod | grep -q '^achan ' || insmod /lib/achan.ko $ACHAN_PARAMETERS
}

run_case list_has_a_line_for_each_channel list_shows_those_named list_json_is_json \
	create_prints_the_node create_without_a_name_takes_the_nodes \
	create_takes_all_options create_of_a_pair_prints_both_nodes \
	create_refuses_a_name_taken create_refuses_odd_names \
	create_refuses_sizes_that_cannot_be create_refuses_what_does_not_go_together \
	create_refuses_words_it_does_not_know remove_takes_the_node_away \
	remove_goes_on_after_one_that_is_not_there remove_takes_the_other_one_of_a_pair \
	remove_ends_a_reader_after_what_is_left info_tells_all set_changes_what_is_named \
	stats_count_what_passed stats_watch_has_rates \
	stats_of_one_that_is_removed_meanwhile_ends monitor_tells_what_happens \
	monitor_json_is_json monitor_lists_what_is_there control_is_for_root \
	everybody_can_list_and_monitor node_of_another_owner_says_for_whom_it_is \
	path_of_something_else_is_no_channel completion_knows_commands_values_and_channels \
	version_names_the_driver without_the_module_it_says_what_to_do
reload
run_case monitor_ends_when_the_module_goes
reload
finish_tap
