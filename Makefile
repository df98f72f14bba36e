# SPDX-License-Identifier: GPL-2.0-only
#
# "make help" lists what can be asked for. Everything that is made goes under
# build/; with RUN=name under build/run-name, so that two people, or two terminals,
# do not get in each other's way. Kernels are shared: build/kernels.

build	:= $(CURDIR)/build$(if $(RUN),/run-$(RUN))$(if $(COVERAGE),/coverage)
results	:= $(build)/results

# What a board is built for: ARCH= is the kernel's word for it. Another one than this
# machine's takes a cross compiler; arm64's is fetched where CROSS_COMPILE= names none.
native	:= $(if $(filter x86_64,$(shell uname -m)),x86 x86_64 i386,arm64)
foreign	:= $(filter-out $(native),$(ARCH))
cross_prefix = $(or $(CROSS_COMPILE),$(if $(filter arm64,$(foreign)),$(shell \
	scripts/cross --prefix),$(if $(foreign),$(error ARCH=$(foreign) takes CROSS_COMPILE=))))
cross	:= $(if $(CROSS_COMPILE)$(foreign),yes)

# The kernel to build for: the running one, or else Debian's in the guest.
running_kdir := $(if $(foreign),,$(wildcard /lib/modules/$(shell uname -r)/build))
debian_kernel := $(if $(filter arm64,$(foreign)),arm64,6.12)
ifeq ($(KDIR),)
substitute := yes
KDIR	= $(or $(running_kdir),$(shell scripts/kernel --kdir $(debian_kernel)))
endif
PREFIX	?= /usr/local

# The kernels that every change has to pass on, those built to find bugs, and the
# one of demo and shell.
kernels	:= 6.1 6.12
checking_kernels := debug kcsan newest
K	?= 6.12

# What they need of scripts/guest. A data race does not stop the guest: tests/vm/init
# tells the kernel's own from achan's. Who allocated and who freed what, KASAN keeps:
# SLUB need not do so too, which takes half of the time. The ACPI tables of q35 say at
# once what interrupt lines are; a slow kernel thinks for half a minute about those of
# QEMU's default machine.
guest_debug	:= --machine=q35 --memory=1024 --slow=4 --rounds=2 --append=slub_debug=FZP
guest_kcsan	:= --machine=q35 --memory=1024 --slow=4 --append=panic_on_warn=0
guest_newest	:= --machine=q35 --memory=1024 --slow=4 --append=slub_debug=FZP
guest_arm64	:= --architecture=aarch64 --device-tree=tests/vm/arm64.dts --monitor --slow=4

# What achan-edu drives. Its registers are a program's too, to raise interrupts.
edu_guest	:= --device=edu,id=edu0,addr=0x0a --device=edu,id=edu1,addr=0x0e --append=iomem=relaxed

# The guest's programs, in the order in which they run. The last ones take long, or
# unload the module of the others. Random operations say most on a kernel that
# checks: the others run them when they are asked for, by T=torture.
last_tests := test_tools.sh test_readme.sh test_fifo.sh test_achanctl.sh test_achanctl_io.sh \
	test_achanctl_where.sh test_udev.sh test_fail_nth test_torture test_module.sh \
	test_board.sh
all_tests := $(filter-out $(last_tests),$(patsubst tests/vm/%.c,%,$(sort \
	$(wildcard tests/vm/test_*.c)))) $(last_tests)
# A board of arm64 has a handful of them, and the interrupt lines of one; a PC has no
# such line. What the other shell programs run is of this machine.
tests_arm64 := $(addprefix test_,irq aio aio_cancel nonblock poll remove sigio uring board.sh)
board_tests := test_irq test_board.sh
# Which kernel a rule is about: its stem, where it does not say otherwise.
kernel = $*
built_tests = $(if $(T),$(chosen_tests),$(all_tests))
chosen_tests = $(filter-out $(if $(tests_$(kernel)),$(filter-out $(board_tests), \
	$(filter %.sh,$(all_tests)))),$(foreach t,$(T),$(filter test_$t test_$t.sh,$(all_tests))))
vm_tests = $(if $(T),$(chosen_tests),$(or $(tests_$(kernel)),$(filter-out $(board_tests) \
	$(if $(filter $(checking_kernels),$(kernel)),,test_torture),$(all_tests))))
# A kernel that checks is slow, and most tests keep one processor busy: two guests
# share them. The first one has about half of the work.
first_share := test_aio test_aio_cancel test_control test_edu test_events test_storm test_fail_nth test_tools.sh \
	test_readme.sh \
	test_achanctl.sh test_udev.sh test_threads test_module.sh
share_1 = $(filter $(first_share),$(vm_tests))
share_2 = $(filter-out $(first_share),$(vm_tests))
shares = $(if $(COVERAGE),,$(if $(filter $(checking_kernels),$(kernel)),$(and $(share_1),$(share_2),1 2)))
guests = $(if $(shares),$(shares:%=$(kernel)-%),$(kernel))
unit_all  := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
unit_tests := $(if $(T),$(foreach t,$(T),$(filter test_$t,$(unit_all))),$(unit_all))

variants := plain asan tsan
sanitize_plain :=
sanitize_asan  := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
sanitize_tsan  := -fsanitize=thread
sanitize_coverage := -O0 --coverage -fprofile-update=atomic

# "make coverage" sets COVERAGE for a make of its own: what that one builds counts
# what of it runs. The kernel knows the counters of the compiler it was built with.
# What a function of the kernel decides would count as a branch of the line that calls
# it, were it inlined; so would the checks of UBSAN and FORTIFY_SOURCE.
ifdef COVERAGE
gcov_module	:= CC=gcc-12 GCOV_PROFILE=y UBSAN_SANITIZE=n \
	KCFLAGS="-fno-inline -D__NO_FORTIFY"
gcov_userspace	:= CFLAGS="-g $(sanitize_coverage)"
gcov_tests	:= LDFLAGS=--coverage
endif

MAKEFLAGS += --no-print-directory

.PHONY: all modules userspace library achanctl readme-programs tests tests-arm64 unit-tests install uninstall modules_install \
	clean distclean help setup check check-tree run-tree run-commands ci coverage torture fuzz \
	demo models interrupts bench bench-real bench-programs profile shell lint lint-fast ci-short FORCE
.DELETE_ON_ERROR:
.SECONDARY:
.NOTPARALLEL:

all: modules $(if $(cross),library achanctl,userspace tests)

help:
	@sed -n 's/^#? \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

#? make                 the module, the library, the tools and the tests; with ARCH=arm64
#?                      or CROSS_COMPILE= for a board, without the tests
#? make modules         achan.ko, achan-edu.ko, achan-irq.ko; KDIR= the kernel's build
#?                      directory, ARCH=, CROSS_COMPILE=
#? make install         library, headers, achanctl, pages, udev rule, group; DESTDIR=,
#?                      PREFIX=, ARCH=arm64, CROSS_COMPILE=
#? make modules_install achan.ko and achan-irq.ko for the kernel in KDIR;
#?                      INSTALL_MOD_PATH=, EDU=1 for achan-edu.ko too
#? make uninstall       removes what "make install" installed
#? make clean           removes build/ but for the kernels; distclean: those too
#?
#? make demo            installs missing Debian packages (apt, with sudo; asks first on a
#?                      terminal, YES=1 does not), boots a guest, shows what achan does
#? make check           installs missing Debian packages, runs every test
#? make check-unit      the tests on this machine; with both sanitizers too
#? make check-6.12      the tests in a guest; also check-6.1, and, fetched when
#?                      asked for, -6.1-plain, -6.1-rt, -6.12-plain, -6.12-rt
#? make check-debug     the same on a kernel built with all that finds bugs, twice;
#?                      check-kcsan for data races, check-newest for the newest that
#?                      Debian has. The first time builds the kernel, in ten minutes
#?                      or more.
#? make check-arm64     in an emulated board, cross-built, with interrupts from outside;
#?                      CROSS_COMPILE= another compiler than the one that is fetched
#? make ci              check, check-debug once, the quick tests of check-arm64, and
#?                      ci-short; says how long each part took
#? make ci-short        the tests of install, setup and README's programs, and the
#?                      commands below in a short form (not bench, profile, fuzz and
#?                      coverage, nor what builds kernels)
#?     T="aio poll"     only these subjects
#?     RUN=name         in build/run-name, beside another run
#? make coverage        what of module and library the tests execute, by gcov on the
#?                      debug kernel: build/coverage/index.html
#? make torture         random operations with an account of every record; K=debug the
#?                      kernel, TIME=60 seconds, SEED= to do again what a run did
#? make fuzz            system calls made up by coverage, on the debug kernel, and what
#?                      the library takes from others; TIME=600 seconds, SEED=
#? make models          measures the README's table of I/O models, UIO's column too
#? make bench           what achan costs beside pipes, sockets, message queues, POSIX AIO,
#?                      BPF and UIO, counted in instructions: build/bench. K=6.1
#? make bench-real      the same on this machine, in nanoseconds, with achan loaded
#? make profile         FIGURE=record PEER="achan, stream" X=64: where one of these spends
#?                      its instructions, function by function
#? make interrupts      counts instructions from an interrupt to the program that has
#?                      the data: UIO and achan on the same device; K=6.1
#? make shell           a shell in a guest with module and tools; K=6.1. Commands from
#?                      standard input are run when that is no terminal
#? make lint            every static check of the sources: silent when good; lint-fast
#?                      only shellcheck, checkpatch and SPDX lines

# Links to the sources, so that each kernel has objects of its own. A link whose
# source is gone goes too.
define build_module
	@mkdir -p $(1)
	@find $(1) -xtype l -delete
	@cp -rsf $(CURDIR)/Kbuild $(CURDIR)/drivers $(CURDIR)/include $(1)
	@mkdir -p $(1)/tests/vm
	@cp -rsf $(CURDIR)/tests/vm/modules $(1)/tests/vm
	@scripts/examples Documentation/provider.rst $(1)/tests/vm/modules
	@+$(MAKE) -s -C $(2) M=$(1) $(3)
endef

# Type information takes a program that few have; the module works without.
modules:
	$(if $(substitute),$(if $(running_kdir),,@echo "make: the running kernel,\
		$(shell uname -r), has no headers here (/lib/modules/.../build);"; echo \
		"make: building for Debian's $(debian_kernel) instead: the module does not load here." \
		"KDIR= names another kernel."))
	@echo "  MODULE    $(KDIR)"
	$(call build_module,$(build)/module,$(KDIR),modules $(module_options))
	@cp $(build)/module/drivers/achan*/achan*.ko $(build)

module_options = $(if $(shell command -v pahole),,CONFIG_DEBUG_INFO_BTF_MODULES=) \
	$(if $(cross),CROSS_COMPILE=$(cross_prefix))

# achan-edu drives a device that only QEMU has: EDU=1 installs it too.
modules_install:
	@$(MAKE) modules ACHAN_EDU=$(if $(EDU),m,n)
	@scripts/modules-install $(KDIR) $(build)/module "$(INSTALL_MOD_PATH)" $(MAKE) \
		$(if $(cross),CROSS_COMPILE=$(cross_prefix)) ACHAN_EDU=$(if $(EDU),m,n)

# Type information could only be had from a vmlinux that Debian does not ship.
$(build)/module-%/drivers/achan/achan.ko: FORCE
	@echo "  MODULE    $*"
	$(call build_module,$(build)/module-$*,$$(scripts/kernel --kdir $*),modules \
		ACHAN_TESTS=m CONFIG_DEBUG_INFO_BTF_MODULES= $(gcov_module) $(cross_$*))

userspace:
	@$(MAKE) -s -C userspace O=$(build)/userspace PREFIX=$(PREFIX) $(gcov_userspace) all

# What a board's programs are built of is no other's.
for_target = O=$(build)$(if $(cross),/cross)/userspace $(if $(cross),CROSS_COMPILE=$(cross_prefix))

install uninstall:
	@$(MAKE) -s -C userspace $(for_target) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) $@

library:
	@$(MAKE) -s -C userspace $(for_target) $(gcov_userspace) lib

achanctl:
	@$(MAKE) -s -C userspace $(for_target) $(gcov_userspace) achanctl

tests: library $(if $(filter test_achanctl% test_fifo.sh test_udev% test_readme%,$(built_tests)),achanctl) \
		$(if $(filter test_readme%,$(built_tests)),readme-programs) \
		$(if $(filter test_examples,$(built_tests)),userspace)
	@$(MAKE) -s -C tests/vm O=$(build)/tests/vm U=$(build)/userspace $(gcov_tests) \
		$(filter-out %.sh,$(built_tests))

# As a user's compiler takes them: what is linked is the library, with all that it needs.
readme	:= signal read loop
readme-programs: library
	@scripts/examples README.md $(build)/readme
	@for program in $(readme); do \
		$(CC) -O2 -Wall -Wextra -Werror -Iuserspace/lib -Iinclude/uapi $(gcov_tests) \
			-o $(build)/readme/$$program $(build)/readme/$$program.c \
			$(build)/userspace/libachan.a -laio -pthread || exit; \
	done

unit-tests: $(variants:%=unit-tests-%)

unit-tests-%: FORCE
	@$(MAKE) -s -C userspace O=$(build)/userspace-$* \
		CFLAGS="-O1 -g $(sanitize_$*)" lib achanctl
	@$(MAKE) -s -C tests/unit O=$(build)/tests/unit-$* U=$(build)/userspace-$* \
		SANITIZE="$(sanitize_$*)" $(unit_tests)

# For a board. The tests are linked statically, for what is tried is the kernel; the tool
# and a program with the shared library are those of "make install".
arm64_prefix = $(or $(CROSS_COMPILE),$(shell scripts/cross --prefix))
cross_arm64 = CROSS_COMPILE=$(arm64_prefix)
own_compiler_flags = $(if $(CROSS_COMPILE),$(shell scripts/cross --flags))
board_root = $(build)/arm64/root
board_program = $(build)/arm64/hello

tests-arm64: kernel = arm64
tests-arm64:
	@scripts/setup arm64
	@rm -rf $(board_root)
	@$(MAKE) -s -C userspace O=$(build)/arm64/userspace CROSS_COMPILE=$(arm64_prefix) \
		CFLAGS="-O2 -g $(own_compiler_flags)" DESTDIR=$(board_root) PREFIX=/usr \
		install >/dev/null
	@$(arm64_prefix)gcc -O2 -Wall -Wextra -Werror -o $(board_program) \
		userspace/examples/blocking.c -I$(board_root)/usr/include \
		-L$(board_root)/usr/lib -lachan $(own_compiler_flags)
	@$(MAKE) -s -C tests/vm O=$(build)/arm64/tests/vm U=$(build)/arm64/userspace \
		CC=$(arm64_prefix)gcc AR=$(arm64_prefix)ar LDFLAGS=-static \
		CFLAGS="-O2 -g $(own_compiler_flags)" PKG_CONFIG="$$(scripts/cross \
		--prefix)pkg-config --static" $(filter-out %.sh,$(vm_tests))

# The loader and the libraries of Debian's arm64, as a board has them.
board_objects = $(foreach o,lib/aarch64-linux-gnu/libc.so.6 usr/lib/aarch64-linux-gnu/libaio.so.1 \
	usr/lib/aarch64-linux-gnu/liburing.so.2,$$(scripts/cross --root)/$o=/$o) \
	$$(scripts/cross --root)/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1=/lib/ld-linux-aarch64.so.1
board_in_guest = $(board_root)/usr/sbin/achanctl=/usr/bin/ $(board_objects) \
	$(board_program)=/usr/bin/achan-example-blocking \
	$(board_root)/usr/lib/libachan.so.0=/usr/lib/

# What goes into a guest: "file=path in the guest". The shell programs are about
# the real tools; what they do not name here is busybox.
module_in_guest	= $(build)/module-$(kernel)/drivers/achan/achan.ko=/lib/achan.ko
# Modules that only some of the programs need.
modules_of	= $(if $(filter $(1),$(vm_tests)),$(2:%=$(build)/module-$(kernel)/%.ko))
other_modules	= $(call modules_of,test_events,tests/vm/modules/achan_listener) \
	$(call modules_of,test_provider test_storm test_lifetime test_waits,$(addprefix \
		tests/vm/modules/,achan_probe achan_clock achan_adder)) \
	$(call modules_of,test_teardown,tests/vm/modules/achan_delay) \
	$(call modules_of,test_edu,drivers/achan-edu/achan-edu) \
	$(call modules_of,test_line,drivers/achan-irq/achan-irq tests/vm/modules/achan_line) \
	$(call modules_of,test_irq,drivers/achan-irq/achan-irq)
edu_in_guest	= $(build)/module-$(kernel)/drivers/achan-edu/achan-edu.ko=/lib/
programs	= $(build)$(if $(filter arm64,$(kernel)),/arm64)/tests/vm
tests_in_guest	= scripts/run-tests=/bin/run-tests tests/vm/tap.sh=/tests/vm/tap.sh \
	tests/kernels/kcsan-known=/lib/kcsan-known \
	$(other_modules:%=%=/lib/) \
	$(foreach t,$(vm_tests),$(if $(filter %.sh,$t),tests/vm,$(programs))/$t=/tests/vm/$t)
achan_in_guest	= $(build)/userspace/demo/achan-demo=/usr/bin/ $(examples_in_guest) \
	$(achanctl_in_guest)
achanctl_in_guest = $(build)/userspace/achanctl/achanctl=/usr/bin/ \
	packaging/bash-completion/achanctl=/usr/share/bash-completion/completions/achanctl
udev_in_guest	= $$(scripts/unpacked udev bin/udevadm)=/usr/bin/udevadm \
	$$(scripts/unpacked udev bin/udevadm)=/lib/systemd/systemd-udevd \
	packaging/udev/60-achan.rules=/etc/udev/rules.d/60-achan.rules
readme_in_guest	= $(foreach p,$(readme),$(build)/readme/$p=/usr/bin/readme-$p) \
	$(build)/userspace/achanctl/achanctl=/usr/bin/
examples_in_guest = $(foreach e,$(basename $(notdir $(wildcard userspace/examples/*.c))), \
	$(build)/userspace/examples/$e=/usr/bin/achan-example-$e)
shell_in_guest	= $(foreach t,dash cat dd head timeout,/bin/$t=/usr/bin/$t)
tools_in_guest	= /usr/bin/socat=/usr/bin/socat \
	--python=asyncio,fcntl,hashlib,select,signal,threading

$(build)/tests-%.cpio: $(build)/module-%/drivers/achan/achan.ko tests
	@scripts/initramfs $@ tests/vm/init $(module_in_guest) $(tests_in_guest) \
		$(if $(filter test_examples,$(vm_tests)),$(examples_in_guest)) \
		$(if $(filter %.sh,$(vm_tests)),$(shell_in_guest)) \
		$(if $(filter test_tools.sh,$(vm_tests)),$(tools_in_guest)) \
		$(if $(filter test_readme.sh,$(vm_tests)),$(readme_in_guest)) \
		$(if $(filter test_achanctl% test_fifo.sh test_udev%,$(vm_tests)),$(achanctl_in_guest) \
			tests/vm/achanctl.sh=/tests/vm/achanctl.sh \
			/bin/bash=/bin/bash /usr/bin/setpriv=/usr/bin/ \
			/usr/bin/unshare=/usr/bin/ --python=json) \
		$(if $(filter test_udev.sh,$(vm_tests)),$(udev_in_guest))

$(build)/tests-arm64.cpio: kernel = arm64
$(build)/tests-arm64.cpio: $(build)/module-arm64/drivers/achan/achan.ko tests-arm64
	@scripts/initramfs $@ tests/vm/init --busybox=$$(scripts/cross --root)/bin/busybox \
		$(module_in_guest) $(tests_in_guest) \
		$(if $(filter test_board.sh,$(vm_tests)),$(board_in_guest))

$(build)/shell-%.cpio: $(build)/module-%/drivers/achan/achan.ko tests userspace
	@scripts/initramfs $@ tests/vm/init $(module_in_guest) $(tests_in_guest) \
		$(achan_in_guest) $(shell_in_guest) $(tools_in_guest) /bin/bash=/bin/bash

# The payload is a file that every guest has a real one of: its own kernel.
$(build)/demo-%.cpio: $(build)/module-%/drivers/achan/achan.ko userspace
	@scripts/initramfs $@ tests/vm/init $(module_in_guest) $(edu_in_guest) \
		$(achan_in_guest) $$(scripts/kernel --image $*)=/boot/vmlinuz

setup:
	@scripts/setup test

# By name: what comes of a pattern, make would put behind the other prerequisites.
setups	:= $(addprefix setup-,build shell lint lint-fast bench coverage arm64)
.PHONY: $(setups)
$(setups): setup-%:
	@scripts/setup $*

check: setup
	@rm -rf $(results)
	@for part in unit $(kernels); do $(MAKE) run-$$part; done; \
	scripts/summary $(results) $(variants:%=unit-%) $(kernels)

# Once, and what is repeated for chance's sake a sixteenth as often: it has an hour.
once := --rounds=1 --append=ACHAN_SLOW=16

# What a user does without a guest, or with one and no tests: the tree's own scripts, and
# the commands of "make help" in a short form. Its programs are shell programs of tests/tree.
run-tree: T =
run-tree:
	@$(call run_programs,tree,600,$(sort $(wildcard tests/tree/test_*.sh)))

run-commands:
	@$(call run_programs,commands,1800,tests/tree/commands.sh)

# run_programs RUN,SECONDS,PROGRAMS: as a failed test does, it leaves it to the summary
run_programs = mkdir -p $(results) && scripts/run-tests $(2) $(3) | \
	scripts/report $(1) $(results)/$(1).tap $(notdir $(3)) || true

check-tree: setup run-tree
	@scripts/summary $(results) tree

ci-short: setup setup-arm64 setup-lint-fast run-tree run-commands
	@scripts/summary $(results) tree commands

# How long each part took, for the summary's reader: they have an hour together.
timed = since=$$(date +%s); $(2); \
	echo "$(1) $$(($$(date +%s) - since))" >>$(results)/seconds

# The kernel comes first: beside its build, tests would have a fraction of the machine.
# What goes wrong with it, run-debug says again.
ci: kernel = debug
ci: setup setup-arm64 setup-lint-fast
	@rm -rf $(results)
	@mkdir -p $(results)
	@$(call timed,kernel,scripts/kernel debug >/dev/null || true); \
	for part in unit $(kernels); do $(call timed,$$part,$(MAKE) run-$$part); done; \
	$(call timed,arm64,$(MAKE) run-arm64 T="$(quick_arm64)"); \
	$(call timed,tree,$(MAKE) run-tree); \
	$(call timed,commands,$(MAKE) run-commands); \
	$(call timed,debug,$(MAKE) run-debug GUEST="$(once)"); \
	awk '{ print "ci: " $$2 " s  " $$1 }' $(results)/seconds; \
	scripts/summary $(results) $(variants:%=unit-%) $(kernels) arm64 tree commands $(guests)

# Those of the board that take seconds.
quick_arm64 := nonblock board

check-unit: run-unit
	@scripts/summary $(results) $(variants:%=unit-%)

check-%: run-%
	@scripts/summary $(results) $(guests)

# With a recipe, or make would look for one and find run-%.
run-unit: $(variants:%=run-unit-%)
	@:

# A failed test makes the summary fail, not this: the next run is wanted too.
run-unit-%: unit-tests-%
	@mkdir -p $(results)
	@ACHAN_TIMEOUT_SCALE=$(if $(filter plain,$*),2,10) \
		$(if $(filter tsan,$*),setarch -R) scripts/run-tests 600 \
		$(unit_tests:%=$(build)/tests/unit-$*/%) | \
		scripts/report unit-$* $(results)/unit-$*.tap $(unit_tests) || true

run-%: $(build)/tests-%.cpio
	$(if $(vm_tests),,$(error no test in tests/vm is named like T="$(T)"))
	@trap 'kill 0' INT TERM; \
	$(foreach guest,$(guests),scripts/guest --name=$(guest) --results=$(results) \
		$(guest_$*) $(if $(filter test_edu,$(vm_tests)),$(edu_guest) --monitor) \
		$(GUEST) $$(scripts/kernel --image $*) $< tests \
		$(if $(shares),$(share_$(guest:$*-%=%)),$(vm_tests)) & ) wait

# Built anew, so that nothing is counted of sources that have changed since. What is
# repeated for chance's sake executes what it did the first time.
coverage: setup
	@scripts/setup coverage
	@rm -rf $(build)/coverage
	@$(MAKE) COVERAGE=1 run-unit-coverage & \
	$(MAKE) COVERAGE=1 GUEST="$(once) \
		--gcov=$(build)/coverage/guest.tar" run-debug; wait
	@scripts/summary $(build)/coverage/results unit-coverage debug; passed=$$?; \
	scripts/coverage $(build)/coverage $(build)/coverage/guest.tar \
		$$(scripts/kernel --kdir debug) && exit $$passed

# The oracle's own tests, and the end of each round, come on top of TIME.
torture: K = debug
torture: TIME = 60
torture:
	@$(MAKE) check-$(K) T=torture GUEST="--rounds=1 \
		--limit=$$((60 + 2 * $(TIME))) --append=TORTURE_SECONDS=$(TIME) \
		$(if $(SEED),--append=TORTURE_SEED=$(SEED))"

# A build of the module that says where it has been.
$(build)/fuzz/module/drivers/achan/achan.ko: FORCE
	@echo "  MODULE    debug, with KCOV"
	$(call build_module,$(build)/fuzz/module,$$(scripts/kernel --kdir debug),modules \
		CONFIG_DEBUG_INFO_BTF_MODULES= KCOV_INSTRUMENT=y \
		KCFLAGS="-include $(CURDIR)/tests/fuzz/kcov_work.h")

fuzz: TIME = 600
fuzz: setup-lint $(build)/fuzz/module/drivers/achan/achan.ko
	@$(MAKE) -s -C tests/fuzz O=$(build)/fuzz guest library
	@tests/fuzz/run $$(scripts/kernel --image debug) $(lastword $^) \
		$(build)/fuzz/achan-fuzz $(build)/fuzz/out $(TIME) $(SEED)
	@$(MAKE) -s -C tests/fuzz O=$(build)/fuzz \
		TIME=$$((($(TIME) + 9) / 10)) run-library

demo: setup-build $(build)/demo-$(K).cpio
	@scripts/guest --name=demo --results=$(results) --device=edu \
		$$(scripts/kernel --image $(K)) $(build)/demo-$(K).cpio command \
		'insmod /lib/achan-edu.ko; achan-demo /boot/vmlinuz; status=$$?; \
		rmmod achan-edu; exit $$status'

# UIO's modules come with Debian's plain image only; QEMU's edu is what they drive.
uio	:= uio uio_pci_generic
uio_in_guest = $(foreach m,$(uio),$(build)/$m.ko=/lib/$m.ko)
define unpack_uio
	@for m in $(uio); do \
		file=$$(find $$(scripts/kernel $(1))/lib -name "$$m.ko*") && \
		case $$file in *.xz) xz -dc "$$file" ;; *) cat "$$file" ;; esac \
			>$(build)/$$m.ko || exit; \
	done
endef

$(build)/models.cpio: $(build)/module-6.12-plain/drivers/achan/achan.ko userspace
	$(call unpack_uio,6.12-plain)
	@scripts/initramfs $@ tests/vm/init \
		$(build)/module-6.12-plain/drivers/achan/achan.ko=/lib/achan.ko \
		$(build)/userspace/demo/achan-models=/usr/bin/ $(uio_in_guest)

models: setup-build $(build)/models.cpio
	@scripts/guest --name=models --results=$(results) --device=edu \
		$$(scripts/kernel --image 6.12-plain) $(build)/models.cpio command \
		'insmod /lib/uio.ko; insmod /lib/uio_pci_generic.ko; \
		 echo 1234 11e8 >/sys/bus/pci/drivers/uio_pci_generic/new_id; achan-models'

$(build)/interrupts-%.cpio: $(build)/module-%/drivers/achan/achan.ko userspace
	$(call unpack_uio,$*)
	@scripts/initramfs $@ tests/vm/init $(module_in_guest) $(edu_in_guest) \
		$(build)/userspace/bench/achan-interrupts=/usr/bin/ $(uio_in_guest)

plain = $(K:%-plain=%)-plain

count_interrupts := 'insmod /lib/uio.ko; insmod /lib/uio_pci_generic.ko; \
	insmod /lib/achan-edu.ko; achan-interrupts; status=$$?; rmmod achan-edu; exit $$status'

# Without nokaslr the figures depend on where the kernel happens to be.
interrupts: setup-build $(build)/interrupts-$(plain).cpio
	@scripts/guest --name=interrupts --results=$(results) --device=edu --count \
		--append="nokaslr iomem=relaxed" $$(scripts/kernel --image $(plain)) \
		$(build)/interrupts-$(plain).cpio command $(count_interrupts)

# The module beside which listeners cost something.
$(build)/bare-%/drivers/achan/achan.ko: FORCE
	@echo "  MODULE    $*, without listeners"
	$(call build_module,$(build)/bare-$*,$$(scripts/kernel --kdir $*),modules \
		CONFIG_DEBUG_INFO_BTF_MODULES= \
		ACHAN_CFLAGS="-include $(CURDIR)/tests/bench/without_listeners.h")

bench-programs:
	@$(MAKE) -s -C userspace O=$(build)/userspace bench

$(build)/bench-%.cpio: $(build)/module-%/drivers/achan/achan.ko \
		$(build)/bare-%/drivers/achan/achan.ko bench-programs
	$(call unpack_uio,$*)
	@scripts/initramfs $@ tests/vm/init $(module_in_guest) $(edu_in_guest) \
		$(build)/module-$*/tests/vm/modules/achan_burst.ko=/lib/ \
		$(build)/bare-$*/drivers/achan/achan.ko=/lib/achan-bare.ko \
		$(build)/userspace/bench/achan-bench=/usr/bin/ \
		$(build)/userspace/bench/achan-interrupts=/usr/bin/ $(uio_in_guest)

# Guests that do nothing else, one after the other: counted on one processor, then in
# nanoseconds what two processes do on two. The tests of the kernel's own ciphers would
# run beside the first figures.
bench: K = 6.1
bench: setup-bench
	@$(MAKE) $(build)/bench-$(plain).cpio
	@mkdir -p $(build)/bench
	@echo "  BENCH     $(plain), counted"
	@$(call bench_guest,count,--count) 'rmmod achan; insmod /lib/achan-bare.ko; \
		achan-bench --without-listeners; rmmod achan; insmod /lib/achan.ko; \
		insmod /lib/achan_burst.ko; achan-bench $(counted); rmmod achan_burst' \
		>$(build)/bench/count.tsv
	@echo "  BENCH     $(plain), two processors"
	@$(call bench_guest,pair,) 'achan-bench pair flow' >$(build)/bench/pair.tsv
	@echo "  BENCH     $(plain), interrupts"
	@$(call bench_guest,interrupts,--count --device=edu) $(count_interrupts) \
		>$(build)/bench/interrupts.txt
	@scripts/bench $(build)/bench $(build)/bench/count.tsv $(build)/bench/pair.tsv
	@cat $(build)/bench/interrupts.txt

# Where the instructions of one way to do it go, function by function.
profile: K = 6.1
profile: FIGURE = record
profile: PEER = achan, stream
profile: X = 64
profile: setup-bench
	@$(MAKE) $(build)/bench-$(plain).cpio
	@mkdir -p $(build)/bench
	@$(call bench_guest,profile,--count --trace=$(build)/bench/trace) 'achan-bench --trace \
		$$ACHAN_MONITOR "$(FIGURE)" "$(PEER)" $(X) && cat /proc/kallsyms' \
		>$(build)/bench/profile.txt
	@scripts/profile $(build)/bench/trace $(build)/bench/profile.txt

counted := record batch kernel signal async parked cancel channels filled listeners \
	life switch
bench_guest = scripts/guest --name=bench-$(1) --results=$(results) --memory=1024 $(2) \
	--append="nokaslr iomem=relaxed cryptomgr.notests" \
	$$(scripts/kernel --image $(plain)) $(build)/bench-$(plain).cpio command

# On this machine, with whatever else runs on it, in nanoseconds; achan is loaded.
bench-real: setup-bench
	@$(MAKE) bench-programs
	@mkdir -p $(build)/bench-real
	$(build)/userspace/bench/achan-bench >$(build)/bench-real/real.tsv
	@scripts/bench $(build)/bench-real $(build)/bench-real/real.tsv

shell: setup-shell $(build)/shell-$(K).cpio
	@scripts/guest --name=shell --results=$(results) $$(scripts/kernel --image $(K)) \
		$(build)/shell-$(K).cpio shell

lint:
	@scripts/setup lint
	@scripts/lint $(build)/lint

lint-fast: setup-lint-fast
	@scripts/lint $(build)/lint fast

# Everything is compiled again, for what is not has nothing to say.
lint-module-%: FORCE
	@rm -rf $(build)/lint/module-$*
	$(call build_module,$(build)/lint/module-$*,$$(scripts/kernel --kdir $*),modules \
		ACHAN_TESTS=m CONFIG_DEBUG_INFO_BTF_MODULES= C=2 W=1)

clean:
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name kernels -exec rm -rf {} +

distclean:
	rm -rf build

FORCE:
