# SPDX-License-Identifier: BSD-3-Clause
# Names for the scripts; all the work is in them.

all:
	@scripts/install-packages build
	@scripts/build

demo:
	@scripts/demo

check:
	@scripts/check

check-all:
	@scripts/check --all

bench:
	@scripts/bench

format:
	@scripts/format

install: all
	@meson install -C build --no-rebuild

clean:
	@rm -rf build build-*

.PHONY: all demo check check-all bench format install clean
