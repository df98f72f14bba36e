#!/usr/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
#
# achanctl where a container, a mount or a namespace hides something from it, and what
# it says of files that are no channels and of channels that are gone.

. /tests/vm/tap.sh
. /tests/vm/achanctl.sh

# needs NAME: a kind of namespace, or a file, that not every kernel has
needs() {
	[ -e "$1" ] || skip "the kernel has no $1"
}

# ---------------------------------------------- a /dev with one node

# one_node STATUS TEXT OPTIONS COMMAND...: in a mount namespace where /dev has only
# the node of the channel; OPTIONS are more of unshare's
one_node() {
	status=$1 text=$2 options=$3
	shift 3
	mkdir -p /tmp/one
	# shellcheck disable=SC2086 # options are words
	# shellcheck disable=SC2016 # the other shell expands this
	expect "$status" "$text" unshare -m $options sh -c '
		mount -t tmpfs none /tmp/one && cp -a "$0" /dev/null /tmp/one &&
		mount --bind /tmp/one /dev && exec "$@"' "$node" "$@"
}

netlink_tells_where_there_is_no_control_device() {
	make held
	one_node 0 held '' achanctl list
	one_node 0 "next record" '' achanctl info held
	one_node 0 held '' achanctl stats held
}

node_tells_where_nothing_else_does() {
	needs /proc/self/ns/net
	make held --hangup fifo
	one_node 0 "next record" -n achanctl info "$node"
	one_node 0 "name           held" -n achanctl info "$node"
	one_node 0 "0 records" -n achanctl stats "$node"
	one_node 0 held -n achanctl list "${node#/dev/}"
	# It was no end of the channel: nothing was opened or closed.
	achanctl info --json held >/tmp/json
	json /tmp/json "it['stats']['readers'] == 0 and it['stats']['writers'] == 0"
	timeout 1 achanctl send --timeout 0.5 --text x held || [ $? = $timed_out ]
}

node_tells_the_peer() {
	needs /proc/self/ns/net
	make west --peer east
	one_node 0 "peer           /dev/achan" -n achanctl info "$node"
}

missing_device_names_the_container() {
	make held
	one_node $no_channel "this /dev is not the kernel's" '' achanctl create x
	one_node $no_channel "--device /dev/achan-control" '' achanctl create x
	one_node $no_channel "--device /dev/achan0" '' achanctl recv achan0
}

list_names_all_that_is_hidden() {
	needs /proc/self/ns/net
	make held
	one_node $no_channel "this /dev is not the kernel's" -n achanctl list
	grep -q 'network namespace of the host' /tmp/said
}

# ----------------------------------------------------------- namespaces

monitor_names_the_network_namespace() {
	needs /proc/self/ns/net
	expect 1 "network namespace of the host" unshare -n achanctl monitor --timeout 1
	expect_as_nobody 0 achan0 achanctl list
	expect $permission "it is for root; use sudo" unshare -n \
		setpriv --reuid=65534 --regid=65534 --clear-groups achanctl list
	grep -q 'network namespace of the host' /tmp/said
}

user_namespace_is_named() {
	needs /proc/self/ns/user
	expect_as_nobody $permission "root of this user namespace" \
		unshare -U -r achanctl create x
	refused grep sudo /tmp/said
}

time_namespace_is_named() {
	needs /proc/self/ns/time
	make timed
	achanctl send --text x timed
	expect 0 "of the host's CLOCK_MONOTONIC" unshare -T -f --monotonic 1000 \
		achanctl recv --timestamps --count 1 timed
	achanctl send --text x timed
	expect 0 "record 1" achanctl recv --timestamps --count 1 timed
	refused grep "time namespace" /tmp/said
}

# ------------------------------------------------- mounts and cgroups

nodev_mount_is_named() {
	make held
	mkdir -p /tmp/nodev
	mount -t tmpfs -o nodev none /tmp/nodev
	cp -a "$node" /tmp/nodev/channel
	status=0
	(expect $permission "option nodev" achanctl recv --timeout 1 /tmp/nodev/channel) ||
		status=$?
	umount /tmp/nodev
	[ $status = 0 ]
}

device_cgroup_is_named() {
	needs /proc/cgroups
	make held
	major=$(sed -n 's/ achan$//p' /proc/devices)
	mkdir -p /tmp/cgroup
	mount -t cgroup -o devices none /tmp/cgroup
	mkdir /tmp/cgroup/none
	echo "c $((major)):* rwm" >/tmp/cgroup/none/devices.deny
	status=0
	# shellcheck disable=SC2016 # the other shell expands this
	(expect $permission "device cgroup" sh -c '
		echo $$ >/tmp/cgroup/none/cgroup.procs; exec achanctl recv "$0"' "$node") ||
		status=$?
	sleep 0.1
	rmdir /tmp/cgroup/none
	umount /tmp/cgroup
	[ $status = 0 ]
	refused grep sudo /tmp/said
}

# ------------------------------------------------ what is not a channel

named_pipe_is_not_opened() {
	rm -f /tmp/fifo
	mkfifo /tmp/fifo
	for command in 'recv -t 0.5' 'send -t 0.5 --text x' 'pipe -t 0.5 achan0'; do
		# shellcheck disable=SC2086 # they are words
		expect $no_channel "is not a channel, but a named pipe" \
			achanctl $command /tmp/fifo
	done
}

# A shell's ">" makes it when the module is not loaded.
regular_file_at_a_node_is_named() {
	rmmod achan
	echo hello >/dev/achan0
	insmod /lib/achan.ko
	status=0
	(
		expect $no_channel "remove the file" achanctl recv -t 1 achan0
		expect $no_channel "is a regular file, not a channel" \
			achanctl send --text x /dev/achan0
		expect 0 "is a regular file, not a channel" achanctl list
	) || status=$?
	rmmod achan
	rm -f /dev/achan0
	# shellcheck disable=SC2086 # the parameters are words
	insmod /lib/achan.ko $ACHAN_PARAMETERS
	[ $status = 0 ]
}

# ---------------------------------------------- removed and still open

list_names_who_holds_what_was_removed() {
	make leaving
	sleep 20 <>"$node" 3<&0 &
	first=$!
	sleep 20 3<"$node" &
	second=$!
	until [ "$(achanctl stats --json leaving | grep -c '"readers": 2')" = 1 ]; do
		sleep 0.1
	done
	achanctl remove leaving
	expect 0 "leaving (${node#/dev/}) was removed, and is still open in process $first (sleep), $second (sleep)" \
		achanctl list
	expect 0 "cannot be unloaded" achanctl list
	achanctl list --json >/tmp/json
	json /tmp/json "it[-1]['removed'] and it[-1]['name'] == 'leaving' and
		it[-1]['holders'] == [{'process': $first, 'command': 'sleep'},
			{'process': $second, 'command': 'sleep'}]"
	expect_as_nobody 0 "a process that this user cannot see" achanctl list
	kill $first $second
	wait $first $second || true
	achanctl list >/tmp/said
	refused grep removed /tmp/said
}

# -------------------------------------------------------- records apart

records_come_apart() {
	for mode in message stream; do
		make apart --mode $mode
		for option in --lines --null --json; do
			for record in r1 r2 r3; do
				achanctl send --text $record apart
			done
			limited achanctl recv $option --count 3 apart >/tmp/apart$option
		done
		printf 'r1\nr2\nr3\n' | cmp - /tmp/apart--lines
		printf 'r1\0r2\0r3\0' | cmp - /tmp/apart--null
		[ "$(wc -l </tmp/apart--json)" = 3 ]
		sed -n 2p /tmp/apart--json >/tmp/json
		json /tmp/json "it['data'] == 'cjI=' and it['length'] == 2 and
			it['sequence'] == 7 and it['time'] > 0"
		achanctl remove apart
	done
}

every_model_keeps_records_apart() {
	for model in blocking poll sigio aio uring; do
		make apart --mode message
		seq 20 | achanctl send --lines apart
		limited achanctl recv --model $model --lines --count 20 apart >/tmp/apart
		seq 20 | cmp - /tmp/apart
		achanctl remove apart
	done
}

run_case netlink_tells_where_there_is_no_control_device node_tells_where_nothing_else_does \
	node_tells_the_peer missing_device_names_the_container \
	list_names_all_that_is_hidden \
	monitor_names_the_network_namespace user_namespace_is_named \
	time_namespace_is_named nodev_mount_is_named device_cgroup_is_named \
	named_pipe_is_not_opened regular_file_at_a_node_is_named \
	list_names_who_holds_what_was_removed records_come_apart \
	every_model_keeps_records_apart
finish_tap
