// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library as it is installed: headers that compile alone in every language
 * they are for, no symbol too many or too few, and programs that link to it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source_tree.h"
#include "unit.h"

static const char *const headers[] = {
	"achan.h", "linux/achan.h", "linux/achan-edu.h", "linux/achan-irq.h",
};

static const char *const languages[] = {
	"gcc -x c -std=c99", "gcc -x c -std=c11", "gcc -x c -std=gnu17",
	"gcc -m32 -x c -std=c99",
	"g++ -x c++ -std=c++11", "g++ -x c++ -std=c++17",
	"g++ -x c++ -std=c++20",
	"clang -x c -std=c99", "clang -x c -std=c11", "clang -x c -std=gnu17",
	"clang++ -x c++ -std=c++11", "clang++ -x c++ -std=c++17",
	"clang++ -x c++ -std=c++20",
};

#define COUNT(array)	((int)(sizeof(array) / sizeof((array)[0])))

/* Uses of each macro that a header with statement tricks would fail. */
#define PROGRAM	"#include <%s>\n#include <%s>\n%s"

#define USES	"unsigned int size = sizeof(struct achan_open_opts);\n" \
		"#if !ACHAN_VERSION_AT_LEAST(0, 1)\n#error version\n#endif\n"

static bool compiles(const char *language, const char *header,
		     const char *uses)
{
	return source_tree_run("printf '" PROGRAM "' | %s -pedantic -Wall"
			       " -Wextra -Werror -Wundef -Wshadow -fsyntax-only"
			       " -I\"$ROOT\"/userspace/lib"
			       " -I\"$ROOT\"/include/uapi -",
			       header, header, uses, language);
}

/* The compiler is there and can compile for that machine at all. */
static bool usable(const char *language)
{
	return source_tree_try("echo '#include <stdint.h>' |"
			       " %s -fsyntax-only -", language);
}

/*
 * A struct of the ABI had the name of a function of the library: in C++ the
 * function hides its constructor, which is an error here.
 */
START_TEST(header_compiles_alone_and_twice)
{
	const char *language = languages[_i % COUNT(languages)];
	const char *header = headers[_i / COUNT(languages)];

	if (!usable(language)) {
		unit_skip("header_compiles_alone_and_twice", language);
		return;
	}
	ck_assert(compiles(language, header,
			   strchr(header, '/') ? "int x;\n" : USES));
}
END_TEST

/* ------------------------------------------------------ installed tree */

static char tree[] = "/tmp/achan-installed-XXXXXX";

/* Without the sanitizers that this program may be built with. */
static void install(void)
{
	ck_assert_ptr_nonnull(mkdtemp(tree));
	setenv("TREE", tree, 1);
	setenv("PKG_CONFIG_PATH", "", 1);
	ck_assert(source_tree_run("unset CFLAGS LDFLAGS MAKEFLAGS;"
				  " make -s -C \"$ROOT\"/userspace O=$TREE/build"
				  " CC=${CC:-gcc} PREFIX=/opt/achan"
				  " DESTDIR=$TREE/root install"));
}

static void uninstall(void)
{
	ck_assert(source_tree_run("rm -rf $TREE"));
}

#define LIBDIR		"$TREE/root/opt/achan/lib"
#define INCLUDEDIR	"$TREE/root/opt/achan/include"
#define PKG_CONFIG	"PKG_CONFIG_SYSROOT_DIR=$TREE/root" \
			" PKG_CONFIG_LIBDIR=" LIBDIR "/pkgconfig pkg-config"

START_TEST(install_puts_everything_in_its_place)
{
	ck_assert(source_tree_run("cd $TREE/root/opt/achan && test -f lib/libachan.a"
				  " && test -f lib/libachan.so.0.1.0"
				  " && test \"$(readlink lib/libachan.so.0)\" ="
				  " libachan.so.0.1.0"
				  " && test -e lib/libachan.so"
				  " && test -f lib/pkgconfig/achan.pc"
				  " && test -f include/achan.h"
				  " && test -f include/linux/achan.h"));
	ck_assert(source_tree_run("test \"$(" PKG_CONFIG
				  " --modversion achan)\" = 0.1.0"));
	ck_assert(source_tree_run("readelf -d " LIBDIR "/libachan.so |"
				  " grep -q 'SONAME.*libachan\\.so\\.0]'"));
}
END_TEST

#define CONSUMER "#include <stdio.h>\n#include <achan.h>\nint main(void)" \
		 " { return achan_version() != ACHAN_VERSION; }"

static const char *const consumers[] = {
	"gcc -x c -std=c99", "g++ -x c++ -std=c++11",
	"clang -x c -std=c99", "clang++ -x c++ -std=c++17",
};

START_TEST(program_links_to_the_installed_library)
{
	const char *compiler = consumers[_i];

	if (!usable(compiler)) {
		unit_skip("program_links_to_the_installed_library", compiler);
		return;
	}
	ck_assert(source_tree_run("cd $TREE && echo '" CONSUMER "' >"
				  " program.%d && %s program.%d -x none -o"
				  " shared.%d $(" PKG_CONFIG " --cflags --libs"
				  " achan) && LD_LIBRARY_PATH=" LIBDIR
				  " ./shared.%d", _i, compiler, _i, _i, _i));
	ck_assert(source_tree_run("cd $TREE && %s program.%d -x none -o"
				  " static.%d $(" PKG_CONFIG " --cflags achan) "
				  LIBDIR "/libachan.a -laio -pthread &&"
				  " ./static.%d", compiler, _i, _i, _i));
}
END_TEST

/* What the archive adds to a program's namespace starts with its name. */
START_TEST(static_library_leaks_no_symbol)
{
	ck_assert(source_tree_run("nm --extern-only --defined-only " LIBDIR
				  "/libachan.a | awk 'NF == 3 { print $3 }' >"
				  " $TREE/defined && test -s $TREE/defined &&"
				  " ! grep -v '^achan_' $TREE/defined"));
}
END_TEST

START_TEST(shared_library_exports_what_header_and_map_say)
{
	ck_assert(source_tree_run("nm -D --defined-only " LIBDIR "/libachan.so |"
				  " awk '$2 == \"T\" { sub(/@.*/, \"\", $3);"
				  " print $3 }' | sort > $TREE/exported"));
	ck_assert(source_tree_run("sed -n 's/^\t\t\\(achan_[a-z_]*\\);$/\\1/p'"
				  " \"$ROOT\"/userspace/lib/libachan.map |"
				  " sort > $TREE/mapped"));
	ck_assert(source_tree_run("awk '/^ACHAN_API/ { on = 1 } on"
				  "; /;/ { on = 0 }' " INCLUDEDIR "/achan.h | tr '\\n' ' ' |"
				  " grep -o 'achan_[a-z_]*(' | tr -d '(' |"
				  " sort > $TREE/declared"));
	ck_assert(source_tree_run("test \"$(wc -l < $TREE/exported)\" -gt 30"));
	ck_assert(source_tree_run("diff $TREE/mapped $TREE/exported"));
	ck_assert(source_tree_run("diff $TREE/declared $TREE/exported"));
	/* Data would be copied into programs and could never grow. */
	ck_assert(source_tree_run("! nm -D --defined-only " LIBDIR
				  "/libachan.so | grep ' [BDGRSV] '"));
}
END_TEST

START_TEST(every_symbol_has_a_version)
{
	ck_assert(source_tree_run("! nm -D --defined-only " LIBDIR
				  "/libachan.so | grep ' T ' |"
				  " grep -v '@@LIBACHAN_0.1$'"));
}
END_TEST

START_TEST(uninstall_takes_everything_back)
{
	ck_assert(source_tree_run("make -s -C \"$ROOT\"/userspace O=$TREE/build"
				  " PREFIX=/opt/achan DESTDIR=$TREE/copy"
				  " CC=${CC:-gcc} install uninstall"));
	ck_assert(source_tree_run("test -z \"$(find $TREE/copy ! -type d)\""));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("headers");
	TCase *alone = tcase_create("alone");
	TCase *installed = tcase_create("installed");

	tcase_add_loop_test(alone, header_compiles_alone_and_twice, 0,
			    COUNT(languages) * COUNT(headers));
	tcase_set_timeout(installed, 300);
	tcase_add_unchecked_fixture(installed, install, uninstall);
	tcase_add_test(installed, install_puts_everything_in_its_place);
	tcase_add_loop_test(installed, program_links_to_the_installed_library,
			    0, COUNT(consumers));
	tcase_add_test(installed, static_library_leaks_no_symbol);
	tcase_add_test(installed,
		       shared_library_exports_what_header_and_map_say);
	tcase_add_test(installed, every_symbol_has_a_version);
	tcase_add_test(installed, uninstall_takes_everything_back);
	suite_add_tcase(suite, alone);
	suite_add_tcase(suite, installed);
	return unit_main(suite);
}
