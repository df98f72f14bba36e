#!/usr/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
#
# The udev rule, with the real udev: packaging/udev/60-achan.rules.

. /tests/vm/tap.sh
. /tests/vm/achanctl.sh

group=123

# At once, also where emulation takes long over it: the queue is empty, and udev has
# seen all that the kernel said before.
settle() {
	udevadm settle --timeout="$tap_seconds"
}

start_udev() {
	mkdir -p /run/udev
	echo root:x:0: >/etc/group
	echo "achan:x:$group:" >>/etc/group
	/lib/systemd/systemd-udevd --daemon
	udevadm control --ping --timeout="$tap_seconds"
}

# mode_and_owner NODE: as in "660 0 123"
mode_and_owner() {
	stat -c '%a %u %g' "$1"
}

udev_takes_the_rule() {
	start_udev
	settle
}

channel_is_for_the_group() {
	make ruled
	settle
	[ "$(mode_and_owner "$node")" = "660 0 $group" ] ||
		fail "$node is $(mode_and_owner "$node")"
}

channel_can_be_found_by_its_name() {
	make a.b:c+d-e_F7
	settle
	[ "$(readlink -f /dev/achan/by-name/a.b:c+d-e_F7)" = "$node" ]
	echo record >/dev/achan/by-name/a.b:c+d-e_F7
}

both_of_a_pair_can_be_found() {
	make left --peer right
	settle
	[ "$(readlink -f /dev/achan/by-name/left)" = "$node" ]
	[ -c "$(readlink -f /dev/achan/by-name/right)" ]
}

link_goes_with_the_channel() {
	make short
	settle
	[ -e /dev/achan/by-name/short ]
	achanctl remove short
	settle
	[ ! -L /dev/achan/by-name/short ]
}

# Whoever made it has said whose it is.
channel_with_an_owner_keeps_it() {
	make owned --owner 1000 --group 1001
	settle
	[ "$(mode_and_owner "$node")" = "600 1000 1001" ] ||
		fail "$node is $(mode_and_owner "$node")"
	[ "$(readlink -f /dev/achan/by-name/owned)" = "$node" ]
}

channel_with_a_mode_keeps_it() {
	make open --node-mode 0644
	settle
	[ "$(mode_and_owner "$node")" = "644 0 0" ] ||
		fail "$node is $(mode_and_owner "$node")"
}

# Those that were there before udev, as when it starts after the module is loaded.
earlier_channels_are_ruled_when_triggered() {
	udevadm trigger --action=add --subsystem-match=achan
	settle
	[ "$(mode_and_owner /dev/achan0)" = "660 0 $group" ] ||
		fail "/dev/achan0 is $(mode_and_owner /dev/achan0)"
	[ "$(readlink -f /dev/achan/by-name/achan3)" = /dev/achan3 ]
}

control_stays_roots() {
	[ "$(mode_and_owner /dev/achan-control)" = "600 0 0" ]
}

run_case \
	udev_takes_the_rule \
	channel_is_for_the_group \
	channel_can_be_found_by_its_name \
	both_of_a_pair_can_be_found \
	link_goes_with_the_channel \
	channel_with_an_owner_keeps_it \
	channel_with_a_mode_keeps_it \
	earlier_channels_are_ruled_when_triggered \
	control_stays_roots
# The next program finds no udev, and all as the kernel made it.
rm -r /dev/achan
chown 0:0 /dev/achan[0-9]*
chmod 600 /dev/achan[0-9]*
finish_tap
