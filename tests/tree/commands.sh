#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The commands of "make help" that no other part of "make ci" runs, each in a short form: a
# command that nothing runs is soon broken. Those that take a kernel of their own to be
# built, and the whole of lint, bench and coverage, are left out: see
# Documentation/testing.rst.

cd "$(dirname "$(realpath "$0")")/../.." || exit 1
# shellcheck source=tests/vm/tap.sh
. tests/vm/tap.sh

said=$(mktemp)
trap 'rm -f "$said" "$tap_log"' EXIT
# This is not the make that called it: no jobs of that one's, and no variables.
unset MAKEFLAGS MAKELEVEL MFLAGS

# run WORD...: make, with what it says shown when the case fails
run() {
	make "$@" </dev/null >"$said" 2>&1 || {
		cat "$said"
		return 1
	}
	cat "$said"
}

make_help() {
	run help
	grep -q '^make demo' "$said"
}

make_demo() {
	run demo
}

make_models() {
	run models
	grep -q 'io_cancel of that read' "$said"
}

make_interrupts() {
	run interrupts
}

make_torture() {
	run torture K=6.12 TIME=5 RUN=commands
	grep -q '^[0-9]* passed, 0 failed$' "$said"
}

make_shell_runs_its_input() {
	echo 'echo hello >/dev/achan0; head -c 6 /dev/achan0' | make shell >"$said" 2>&1
	grep -x hello "$said"
}

make_shell_ends_at_end_of_file() {
	run shell
}

# The last thing on the terminal turns the wrapping of lines on again.
make_shell_leaves_the_terminal_as_it_was() {
	python3 - <<'END'
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp('make', ['make', 'shell'])
said, left, until = b'', False, time.monotonic() + 240
while time.monotonic() < until:
    try:
        part = os.read(fd, 4096) if select.select([fd], [], [], 1)[0] else None
    except OSError:
        break
    if part == b'':
        break
    said += part or b''
    # The prompt is there, and what asks the terminal for its size behind it.
    if not left and b'# ' in said.partition(b'Leave with exit')[2]:
        left = True
        os.write(fd, b'exit\n')
else:
    os.kill(pid, 15)
print(said.decode(errors='replace'))
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
wraps = said.rfind(b'\x1b[?7h')
sys.exit(0 if left and status == 0 and wraps > said.rfind(b'\x1b[?7l') else 1)
END
}

make_lint_fast() {
	run lint-fast
}

run_case make_help make_lint_fast make_demo make_models make_interrupts make_torture \
	make_shell_runs_its_input make_shell_ends_at_end_of_file \
	make_shell_leaves_the_terminal_as_it_was
finish_tap
