# SPDX-License-Identifier: GPL-2.0-only
#
# "make help" lists what can be asked for. Everything that is made goes under
# build/; with RUN=name under build/run-name, so that two people, or two terminals,
# do not get in each other's way. Kernels are shared: build/kernels.

build	:= $(CURDIR)/build$(if $(RUN),/run-$(RUN))
results	:= $(build)/results

# The kernel to build for: the running one, or else Debian's in the guest.
KDIR	?= $(or $(wildcard /lib/modules/$(shell uname -r)/build),$(shell scripts/kernel --kdir 6.12))
PREFIX	?= /usr/local

# The kernels that every change has to pass on, and those of demo and shell.
kernels	:= 6.1 6.12
K	?= 6.12

# The guest's programs, in the order in which they run. The last two unload the
# module of the others, or take long.
# Random operations say more the longer they run: only T=torture runs them.
last_tests := test_tools.sh test_achanctl.sh test_achanctl_io.sh test_fail_nth test_module.sh
long_tests := test_torture
all_tests := $(filter-out $(last_tests) $(long_tests),$(patsubst tests/vm/%.c,%,$(sort \
	$(wildcard tests/vm/test_*.c)))) $(last_tests)
vm_tests  := $(if $(T),$(foreach t,$(T),$(filter test_$t test_$t.sh,$(all_tests) \
	$(long_tests))),$(all_tests))
unit_all  := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
unit_tests := $(if $(T),$(foreach t,$(T),$(filter test_$t,$(unit_all))),$(unit_all))

variants := plain asan tsan
sanitize_plain :=
sanitize_asan  := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
sanitize_tsan  := -fsanitize=thread

MAKEFLAGS += --no-print-directory

.PHONY: all modules userspace library achanctl tests unit-tests install uninstall modules_install \
	clean distclean help setup check demo shell lint FORCE
.DELETE_ON_ERROR:
.SECONDARY:
.NOTPARALLEL:

all: modules userspace tests

help:
	@sed -n 's/^#? \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

#? make                 the module, the library, the tools and the tests
#? make modules         achan.ko; KDIR= the kernel's build directory, ARCH=, CROSS_COMPILE=
#? make install         library, headers, achanctl, pages, udev rule; DESTDIR=, PREFIX=
#? make modules_install achan.ko for the kernel in KDIR
#? make uninstall       takes back what install put there
#? make clean           removes build/ but for the kernels; distclean: those too
#?
#? make demo            installs what is missing, boots a guest, shows what achan does
#? make check           installs what is missing, runs every test
#? make check-unit      the tests on this machine; with both sanitizers too
#? make check-6.12      the tests in a guest; also check-6.1, and, fetched when
#?                      asked for, -6.1-plain, -6.1-rt, -6.12-plain, -6.12-rt
#?     T="aio poll"     only these subjects
#?     RUN=name         in build/run-name, beside another run
#? make models          measures the README's table of I/O models, UIO's column too
#? make shell           a shell in a guest with module and tools; K=6.1
#? make lint            checkpatch, sparse, warnings, shellcheck: silent when good

# Links to the sources, so that each kernel has objects of its own. A link whose
# source is gone goes too.
define build_module
	@mkdir -p $(1)
	@find $(1) -xtype l -delete
	@cp -rsf $(CURDIR)/Kbuild $(CURDIR)/drivers $(CURDIR)/include $(1)
	@$(MAKE) -s -C $(2) M=$(1) $(3)
endef

modules:
	@echo "  MODULE    $(KDIR)"
	$(call build_module,$(build)/module,$(KDIR),modules)
	@cp $(build)/module/drivers/achan/achan.ko $(build)

modules_install: modules
	$(MAKE) -C $(KDIR) M=$(build)/module modules_install

# Type information could only be had from a vmlinux that Debian does not ship.
$(build)/module-%/drivers/achan/achan.ko: FORCE
	@echo "  MODULE    $*"
	$(call build_module,$(build)/module-$*,$$(scripts/kernel --kdir $*),modules \
		CONFIG_DEBUG_INFO_BTF_MODULES=)

userspace:
	@$(MAKE) -s -C userspace O=$(build)/userspace PREFIX=$(PREFIX) all

install uninstall:
	$(MAKE) -C userspace O=$(build)/userspace DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) $@

library:
	@$(MAKE) -s -C userspace O=$(build)/userspace lib

achanctl:
	@$(MAKE) -s -C userspace O=$(build)/userspace achanctl

tests: library $(if $(filter test_achanctl%,$(vm_tests)),achanctl) $(if $(filter test_examples,$(vm_tests)),userspace)
	@$(MAKE) -s -C tests/vm O=$(build)/tests/vm U=$(build)/userspace \
		$(filter-out %.sh,$(vm_tests))

unit-tests: $(variants:%=unit-tests-%)

unit-tests-%: FORCE
	@$(MAKE) -s -C userspace O=$(build)/userspace-$* \
		CFLAGS="-O1 -g $(sanitize_$*)" lib achanctl
	@$(MAKE) -s -C tests/unit O=$(build)/tests/unit-$* U=$(build)/userspace-$* \
		SANITIZE="$(sanitize_$*)" $(unit_tests)

# What goes into a guest: "file=path in the guest". The shell programs are about
# the real tools; what they do not name here is busybox.
module_in_guest	= $(build)/module-$*/drivers/achan/achan.ko=/lib/achan.ko
tests_in_guest	= scripts/run-tests=/bin/run-tests tests/vm/tap.sh=/tests/vm/tap.sh \
	$(foreach t,$(vm_tests),$(if $(filter %.sh,$t),tests/vm,$(build)/tests/vm)/$t=/tests/vm/$t)
achan_in_guest	= $(build)/userspace/demo/achan-demo=/usr/bin/ $(examples_in_guest) \
	$(achanctl_in_guest)
achanctl_in_guest = $(build)/userspace/achanctl/achanctl=/usr/bin/ \
	packaging/bash-completion/achanctl=/usr/share/bash-completion/completions/achanctl
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
		$(if $(filter test_achanctl%,$(vm_tests)),$(achanctl_in_guest) \
			tests/vm/achanctl.sh=/tests/vm/achanctl.sh \
			/bin/bash=/bin/bash /usr/bin/setpriv=/usr/bin/ \
			--python=json)

$(build)/shell-%.cpio: $(build)/module-%/drivers/achan/achan.ko tests userspace
	@scripts/initramfs $@ tests/vm/init $(module_in_guest) $(tests_in_guest) \
		$(achan_in_guest) $(shell_in_guest) $(tools_in_guest) /bin/bash=/bin/bash

# The payload is a file that every guest has a real one of: its own kernel.
$(build)/demo-%.cpio: $(build)/module-%/drivers/achan/achan.ko userspace
	@scripts/initramfs $@ tests/vm/init $(module_in_guest) $(achan_in_guest) \
		$$(scripts/kernel --image $*)=/boot/vmlinuz

setup:
	@scripts/setup

check: setup
	@rm -rf $(results)
	@for part in unit $(kernels); do $(MAKE) run-$$part; done; \
	scripts/summary $(results) $(variants:%=unit-%) $(kernels)

check-unit: run-unit
	@scripts/summary $(results) $(variants:%=unit-%)

check-%: run-%
	@scripts/summary $(results) $*

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
	@scripts/guest --name=$* --results=$(results) $$(scripts/kernel --image $*) \
		$< tests $(vm_tests) || true

demo: setup $(build)/demo-$(K).cpio
	@scripts/guest --name=demo --results=$(results) $$(scripts/kernel --image $(K)) \
		$(build)/demo-$(K).cpio command achan-demo /boot/vmlinuz

# UIO's modules come with Debian's plain image only; QEMU's edu is what they drive.
uio	:= uio uio_pci_generic

$(build)/models.cpio: $(build)/module-6.12-plain/drivers/achan/achan.ko userspace
	@for m in $(uio); do \
		xz -dc $$(find $$(scripts/kernel 6.12-plain)/lib -name $$m.ko.xz) \
			>$(build)/$$m.ko || exit; \
	done
	@scripts/initramfs $@ tests/vm/init \
		$(build)/module-6.12-plain/drivers/achan/achan.ko=/lib/achan.ko \
		$(build)/userspace/demo/achan-models=/usr/bin/ \
		$(foreach m,$(uio),$(build)/$m.ko=/lib/$m.ko)

models: setup $(build)/models.cpio
	@scripts/guest --name=models --results=$(results) --device=edu \
		$$(scripts/kernel --image 6.12-plain) $(build)/models.cpio command \
		'insmod /lib/uio.ko; insmod /lib/uio_pci_generic.ko; \
		 echo 1234 11e8 >/sys/bus/pci/drivers/uio_pci_generic/new_id; achan-models'

shell: setup $(build)/shell-$(K).cpio
	@scripts/guest --name=shell --results=$(results) $$(scripts/kernel --image $(K)) \
		$(build)/shell-$(K).cpio shell

lint:
	@scripts/setup lint
	@scripts/lint $(build)/lint

# Everything is compiled again, for what is not has nothing to say.
lint-module-%: FORCE
	@rm -rf $(build)/lint/module-$*
	$(call build_module,$(build)/lint/module-$*,$$(scripts/kernel --kdir $*),modules \
		CONFIG_DEBUG_INFO_BTF_MODULES= C=2 W=1)

clean:
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name kernels -exec rm -rf {} +

distclean:
	rm -rf build

FORCE:
