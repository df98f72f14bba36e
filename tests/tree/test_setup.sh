#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/setup, with an apt-get that installs nothing and says what it is told to say.

cd "$(dirname "$(realpath "$0")")/../.." || exit 1
# shellcheck source=tests/vm/tap.sh
. tests/vm/tap.sh

bin=$(mktemp -d)
trap 'rm -rf "$bin" "$tap_log"' EXIT
export bin

# make_program NAME: its text is standard input
make_program() {
	cat >"$bin/$1"
	chmod +x "$bin/$1"
}

make_program dpkg-query <<'END'
#!/bin/sh
for package; do :; done
grep -qx "$package" "$bin/installed" && echo installed
END
make_program apt-get <<'END'
#!/bin/sh
echo "$*" >>"$bin/calls"
case " $* " in *" -s "*) cat "$bin/plan" ;; esac
END
make_program apt-cache <<'END'
#!/bin/sh
shift 2
for package; do printf 'Package: %s\nSize: 2000000\n' "$package"; done
END
make_program sudo <<'END'
#!/bin/sh
exec "$@"
END

# A fresh machine, and what apt would do to it: lines of standard input.
machine() {
	: >"$bin/installed"
	: >"$bin/calls"
	cat >"$bin/plan"
}

setup() {
	env -u CI -u YES PATH="$bin:$PATH" scripts/setup "$@" </dev/null
}

# Those that "apt-get install" was really asked for.
asked_for() {
	grep ' install ' "$bin/calls" | grep -v -e ' -s '
}

inst() {
	printf 'Inst %s (1.0 Debian:12 [amd64])\n' "$@"
}

# on_terminal ANSWER SETUP-ARGUMENT...
on_terminal() {
	env -u CI -u YES PATH="$bin:$PATH" python3 - "$@" <<'END'
import os, pty, sys
answer = sys.argv[1]
pid, fd = pty.fork()
if pid == 0:
    os.execv('scripts/setup', ['scripts/setup'] + sys.argv[2:])
said = ''
answered = False
while True:
    try:
        part = os.read(fd, 4096)
    except OSError:
        break
    if not part:
        break
    said += part.decode()
    if not answered and '[Y/n]' in said:
        answered = True
        os.write(fd, (answer + '\n').encode())
print(said)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(status if answered else 99)
END
}

nothing_missing_says_nothing() {
	machine </dev/null
	scripts/setup --print >"$bin/installed"
	[ -z "$(setup test 2>&1)" ] || fail "it said something"
	[ ! -s "$bin/calls" ] || fail "apt-get was called"
}

missing_packages_are_listed_with_their_size() {
	machine < <(inst make busybox-static qemu-system-x86)
	setup build | tee "$bin/said"
	grep '^setup: 3 packages, 6 MB to download: make busybox-static qemu-system-x86' \
		"$bin/said"
	asked_for | grep -w busybox-static
}

installing_never_removes_or_upgrades_by_itself() {
	machine < <(inst make)
	setup build
	asked_for | grep -e '--no-remove' | grep -e '--no-upgrade'
}

removal_is_refused() {
	machine < <(inst gcc-multilib; echo 'Remv gcc-aarch64-linux-gnu [4:12.2.0-3]')
	refused setup test >"$bin/said" 2>&1
	grep 'would remove: gcc-aarch64-linux-gnu' "$bin/said"
	grep 'Nothing was changed' "$bin/said"
	[ -z "$(asked_for)" ] || fail "it installed"
}

failing_plan_is_shown() {
	machine < <(inst make)
	make_program apt-get <<'END'
#!/bin/sh
case " $* " in *" -s "*) echo 'E: Unable to locate package make'; exit 100 ;; esac
END
	refused setup build >"$bin/said" 2>&1
	grep 'Unable to locate package make' "$bin/said"
}

upgrades_are_listed() {
	machine < <(inst libssl-dev; echo 'Inst libssl3 [3.0.1] (3.0.2 Debian:12 [amd64])')
	setup build >"$bin/said"
	grep '1 installed packages have to be upgraded for these: libssl3' "$bin/said"
}

demo_needs_no_test_tools() {
	machine < <(inst make)
	setup build
	! asked_for | grep -w -e gcc-multilib -e udev -e mandoc -e check -e socat -e 'g++' ||
		fail "the demo's setup installs test tools"
}

no_group_installs_udev_or_a_cross_compiler() {
	! scripts/setup --print | grep -x -e udev -e 'gcc-aarch64.*' -e systemd
}

terminal_is_asked_and_yes_installs() {
	machine < <(inst make)
	on_terminal y build
	[ -n "$(asked_for)" ]
}

terminal_is_asked_and_no_installs_nothing() {
	machine < <(inst make)
	refused on_terminal n build
	[ -z "$(asked_for)" ] || fail "it installed"
}

terminal_is_not_asked_in_ci_or_with_yes() {
	for word in CI=1 YES=1; do
		machine < <(inst make)
		env -u CI -u YES "$word" PATH="$bin:$PATH" python3 -c '
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(["scripts/setup", "build"])))' </dev/null |
			tee "$bin/said"
		! grep 'Y/n' "$bin/said" || fail "it asked with $word"
		[ -n "$(asked_for)" ] || fail "it did not install with $word"
	done
}

unknown_group_is_refused() {
	refused setup nonsense
}

run_case nothing_missing_says_nothing missing_packages_are_listed_with_their_size \
	installing_never_removes_or_upgrades_by_itself removal_is_refused \
	upgrades_are_listed demo_needs_no_test_tools \
	no_group_installs_udev_or_a_cross_compiler terminal_is_asked_and_yes_installs \
	terminal_is_asked_and_no_installs_nothing terminal_is_not_asked_in_ci_or_with_yes \
	unknown_group_is_refused failing_plan_is_shown
finish_tap
