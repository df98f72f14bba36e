# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What the programs about achanctl share.

# The statuses of achanctl(8).
# shellcheck disable=SC2034 # not all of them are used by each program
usage=2 no_module=3 permission=4 no_channel=6 exists=7 timed_out=9

# expect STATUS TEXT COMMAND...: ends with it and says it, on either output
expect() {
	wanted=$1 text=$2
	shift 2
	status=0
	limited "$@" >/tmp/said 2>&1 || status=$?
	cat /tmp/said
	[ "$status" = "$wanted" ] || fail "status $status, not $wanted: $*"
	grep -q -F -e "$text" /tmp/said || fail "does not say '$text': $*"
}

# expect_as_nobody STATUS TEXT COMMAND...: the same without any privilege
expect_as_nobody() {
	status=$1 text=$2
	shift 2
	expect "$status" "$text" setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

# make NAME OPTION...: a channel for one case, which cleans up behind itself
make() {
	name=$1
	shift
	achanctl remove "$name" 2>/dev/null || true
	achanctl create "$@" "$name"
	node=/dev/$(basename "$(grep -l -x -F "$name" /sys/class/achan/*/name | xargs dirname)")
	trap 'achanctl remove "$name" 2>/dev/null || true' EXIT
	[ -c "$node" ] || fail "there is no $node"
}

# json FILE EXPRESSION: true of what is in it, "it" in python
json() {
	python3 -c "
import json, sys
it = json.loads(open(sys.argv[1]).read())
assert ($2), it" "$1"
}

# until_open CHANNEL: somebody has it open for reading
until_open() {
	until [ "$(achanctl stats --json "$1" | grep -c '"readers": 0')" = 0 ]; do
		sleep 0.1
	done
}

# until_lines FILE N: a monitor that lists what is there has begun to listen before
until_lines() {
	until [ "$(wc -l <"$1")" -ge "$2" ]; do
		sleep 0.1
	done
}
