#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The programs that README.md shows, compiled as it says and run without the module: each
# ends with a message. The guest's test_readme.sh runs them with it.

cd "$(dirname "$(realpath "$0")")/../.." || exit 1
# shellcheck source=tests/vm/tap.sh
. tests/vm/tap.sh
# This is not the make that called it: no jobs of that one's, and no variables.
unset MAKEFLAGS MAKELEVEL MFLAGS

root=$(mktemp -d)
trap 'rm -rf "$root" "$tap_log"' EXIT

# README's own line, on what "make install" installs.
programs_compile_as_the_readme_says() {
	make -s install DESTDIR="$root" PREFIX=/usr
	scripts/examples README.md "$root/readme"
	export PKG_CONFIG_LIBDIR="$root/usr/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
	for program in "$root"/readme/*.c; do
		# shellcheck disable=SC2046 # flags are words
		gcc -Wall -Wextra -Werror -o "${program%.c}" "$program" \
			$(pkg-config --cflags --libs achan)
	done
	[ "$(find "$root/readme" -name '*.c' | wc -l)" = 3 ]
}

programs_say_that_there_is_no_channel() {
	if [ -e /dev/achan0 ]; then
		echo "# /dev/achan0 is there: this case says nothing on such a machine"
		return
	fi
	for program in "$root"/readme/*.c; do
		status=0
		LD_LIBRARY_PATH=$root/usr/lib timeout 60 "${program%.c}" \
			>"$root/said" 2>&1 </dev/null || status=$?
		[ "$status" = 1 ] || fail "$program: status $status"
		grep 'cannot open /dev/achan0: ' "$root/said"
	done
}

run_case programs_compile_as_the_readme_says programs_say_that_there_is_no_channel
finish_tap
