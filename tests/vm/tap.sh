# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What the shell programs of the guest share: TAP, a result for each case.

tap_count=0
tap_failed=0
tap_log=$(mktemp)
tap_seconds=$((20 * ${ACHAN_TIMEOUT_SCALE:-1}))

# run_case FUNCTION...: each in a process of its own, "set -e" in force; what it
# prints is shown when it fails.
run_case() {
	for tap_case; do
		tap_count=$((tap_count + 1))
		# In a condition, the shell would ignore the "set -e".
		(set -e; "$tap_case") >"$tap_log" 2>&1
		tap_status=$?
		case $tap_status in
		0)	echo "ok $tap_count - $tap_case"
			continue ;;
		77)	echo "ok $tap_count - $tap_case # SKIP $(tail -n 1 /tmp/case.log)"
			continue ;;
		esac
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $tap_case"
		echo "# exit status $tap_status"
		sed 's/^/# /' "$tap_log"
	done
}

# fail MESSAGE...: ends the case
fail() {
	echo "$*"
	exit 1
}

# skip REASON...: ends the case as one that cannot be run here
skip() {
	echo "$*"
	exit 77
}

# refused COMMAND...: the case goes on only if it fails
refused() {
	! "$@" || fail "succeeded, and should not: $*"
}

# limited COMMAND...: kills it when it takes so long that it must hang
limited() {
	timeout -s KILL "$tap_seconds" "$@"
}

finish_tap() {
	echo "1..$tap_count"
	[ "$tap_failed" = 0 ]
}
