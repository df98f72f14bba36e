#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make install, uninstall and modules_install, into directories of their own.

cd "$(dirname "$(realpath "$0")")/../.." || exit 1
# shellcheck source=tests/vm/tap.sh
. tests/vm/tap.sh
# This is not the make that called it: no jobs of that one's, and no variables.
unset MAKEFLAGS MAKELEVEL MFLAGS

root=$(mktemp -d)
bin=$root/bin
mkdir "$bin"
trap 'rm -rf "$root" "$tap_log"' EXIT
export root

# Programs that would change this system write down their names and arguments instead.
for program in ldconfig udevadm systemd-sysusers groupadd depmod; do
	# shellcheck disable=SC2016 # the stub expands it
	printf '#!/bin/sh\necho "$(basename "$0") $*" >>"$root/calls"\n' >"$bin/$program"
done
cat >"$bin/getent" <<'END'
#!/bin/sh
[ -e "$root/group" ]
END
cat >"$bin/id" <<'END'
#!/bin/sh
echo "${ROOT_IS:-0}"
END
chmod +x "$bin"/*

calls() {
	cat "$root/calls" 2>/dev/null
}

# into_system TARGET: as if for the running system, but for where the files go
into_system() {
	rm -f "$root/calls"
	PATH=$bin:$PATH make -s -C userspace O="$root/userspace" PREFIX="$root/system" \
		UDEVDIR="$root/system/rules" SYSUSERSDIR="$root/system/sysusers" "$1"
}

# machines DIRECTORY: those that its ELF files are for, archives' members among them
machines() {
	find "$1" -type f -exec readelf -h {} + 2>/dev/null |
		sed -n 's/^ *Machine: *//p' | sort -u
}

uninstall_leaves_nothing() {
	make -s install DESTDIR="$root/dest" PREFIX=/usr
	[ -e "$root/dest/usr/sbin/achanctl" ]
	make -s uninstall DESTDIR="$root/dest" PREFIX=/usr
	[ -z "$(find "$root/dest" ! -type d)" ] || fail "left: $(find "$root/dest" ! -type d)"
}

destdir_is_told_what_is_left_to_do() {
	make -s install DESTDIR="$root/dest" PREFIX=/usr >"$root/said"
	for word in ldconfig systemd-sysusers 'udevadm control --reload'; do
		grep "still to be done\|$word" "$root/said" | grep "$word"
	done
}

board_gets_files_of_its_architecture() {
	make -s install ARCH=arm64 DESTDIR="$root/board" PREFIX=/usr
	[ "$(machines "$root/board")" = AArch64 ] || fail "for: $(machines "$root/board")"
	readelf -h "$root/board/usr/sbin/achanctl" "$root"/board/usr/lib/libachan.so.*.*
}

cross_compile_alone_counts() {
	prefix=$(scripts/cross --prefix)
	make -s install CROSS_COMPILE="$prefix" DESTDIR="$root/board2" PREFIX=/usr
	[ "$(machines "$root/board2")" = AArch64 ] || fail "for: $(machines "$root/board2")"
}

other_architectures_ask_for_a_compiler() {
	refused make -s install ARCH=riscv DESTDIR="$root/riscv" >"$root/said" 2>&1
	grep 'takes CROSS_COMPILE=' "$root/said"
}

this_machine_gets_its_own_files() {
	make -s install DESTDIR="$root/here" PREFIX=/usr
	[ "$(machines "$root/here" | wc -l)" = 1 ]
	! machines "$root/here" | grep AArch64
}

system_is_told() {
	rm -f "$root/group"
	into_system install
	calls
	calls | grep '^ldconfig'
	calls | grep '^udevadm control --reload'
	calls | grep "^systemd-sysusers $root/system/sysusers/achan.conf"
}

group_that_is_there_is_left() {
	touch "$root/group"
	into_system install
	! calls | grep -e sysusers -e groupadd
}

ordinary_user_is_told_what_is_left() {
	ROOT_IS=1000 into_system install | grep 'still to be done'
	[ -z "$(calls)" ] || fail "called: $(calls)"
}

uninstall_tells_the_system() {
	touch "$root/group"
	into_system uninstall >"$root/said"
	calls | grep '^ldconfig'
	calls | grep '^udevadm control --reload'
	grep 'groupdel achan' "$root/said"
	[ -z "$(find "$root/system" ! -type d)" ] || fail "left: $(find "$root/system" ! -type d)"
}

pkg_config_file_moves_with_its_prefix() {
	file=$root/here/usr/lib/pkgconfig/achan.pc
	[ "$(PKG_CONFIG_LIBDIR=${file%/*} pkg-config --define-prefix --variable=libdir achan)" = \
		"$root/here/usr/lib" ]
	# shellcheck disable=SC2016 # pkg-config expands it
	grep -x 'exec_prefix=${prefix}' "$file"
}

kdir=$(scripts/kernel --kdir 6.12)

# modules_install NAME EDU: into a directory of that name; prints what is said
modules_install() {
	make -s modules_install KDIR="$kdir" INSTALL_MOD_PATH="$root/$1" EDU="$2" 2>&1
}

installed_modules() {
	find "$root/$1" -name '*.ko*' -printf '%f\n' | sed 's/\.ko.*/.ko/' |
		LC_ALL=C sort | xargs
}

modules_are_those_of_users() {
	modules_install modules '' | tee "$root/said"
	[ "$(installed_modules modules)" = "achan-irq.ko achan.ko" ] ||
		fail "installed: $(installed_modules modules)"
	refused grep -e 'SSL error' -e 'System.map' "$root/said"
	grep 'depmod -b' "$root/said"
	grep 'not signed' "$root/said"
}

edu_is_installed_when_asked_for() {
	modules_install edu 1
	[ "$(installed_modules edu)" = "achan-edu.ko achan-irq.ko achan.ko" ] ||
		fail "installed: $(installed_modules edu)"
}

missing_headers_are_said() {
	if [ -d "/lib/modules/$(uname -r)/build" ]; then
		echo "# the headers of this kernel are there: nothing to say"
		return
	fi
	make -s modules >"$root/said"
	grep 'has no headers here' "$root/said"
}

run_case uninstall_leaves_nothing destdir_is_told_what_is_left_to_do \
	board_gets_files_of_its_architecture cross_compile_alone_counts \
	other_architectures_ask_for_a_compiler this_machine_gets_its_own_files \
	system_is_told group_that_is_there_is_left ordinary_user_is_told_what_is_left \
	uninstall_tells_the_system pkg_config_file_moves_with_its_prefix \
	modules_are_those_of_users edu_is_installed_when_asked_for missing_headers_are_said
finish_tap
