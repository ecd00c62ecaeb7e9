# SPDX-License-Identifier: MIT
#
# A short door to Meson: `make help` lists what there is. The builds are in
# build/KIND; tools/run-tests knows how each KIND is configured and tested.

PREFIX ?= /usr/local
RUN_TESTS = tools/run-tests

.PHONY: all help check full asan tsan clang valgrind cover win fuzz style format bench demo run install clean

all:                      # build the programs
	tools/install-packages build
	$(RUN_TESTS) --build-only release

help:                     # print this list
	@sed -n 's/^\([a-z]*\):[^#]*\# /make \1	/p' Makefile | expand -t 16

check:                    # one build, the checks of the source, every test
	tools/install-packages test
	-tools/fetch-artifacts
	$(RUN_TESTS) release

full:                     # check, and all of the kinds below
	tools/install-packages full
	-tools/fetch-artifacts
	CHANCERY_FULL=1 $(RUN_TESTS) release asan tsan clang valgrind cover win style

asan tsan clang valgrind cover win fuzz style:
	tools/install-packages full
	$(RUN_TESTS) $@
asan:                     # the tests under AddressSanitizer and UBSan
tsan:                     # the tests under ThreadSanitizer
clang:                    # the tests, built by clang with -Werror
valgrind:                 # the unit tests under valgrind
cover:                    # the tests, then the coverage of each folder
win:                      # compile base, codec and proto for Windows
fuzz:                     # run each fuzz target for FUZZ_SECONDS (60), on all cores
style:                    # the slow analyzers: clang-tidy, cppcheck, gcc -fanalyzer

format:                   # put the layout of all C files right
	tools/checks/check-format --fix

bench:                    # measure; BENCH="--rounds 3 --rows p256/*" for less
	tools/install-packages bench
	$(RUN_TESTS) --build-only release
	ninja --quiet -C build/release bench/bench-raw bench/bench-load
	bench/bench --json build/bench.json $(BENCH)

demo:                     # set up a server, sign with other people's tools, be refused
	tools/install-packages demo
	$(RUN_TESTS) --build-only release
	tools/demo build/release

run:                      # a server to play with, in ./var
	tools/install-packages build
	$(RUN_TESTS) --build-only release
	tools/run build/release

install: all              # to $(DESTDIR)$(PREFIX)
	meson configure build/release -Dprefix=$(PREFIX)
	meson install -C build/release

clean:                    # remove the builds
	rm -rf build
