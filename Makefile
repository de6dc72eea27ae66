# Each target does all of its own set-up; see CONTRIBUTING.md.
#
#   KIND    release (default), debug or asan
#   TESTS   what `make test` runs, with any of pytest's options; default: all, more at once than there are cores
#   BENCH   options of `make bench`
#   SECONDS of each fuzzer in `make fuzz`
#   PYTHON  the interpreter that .venv is made of

KIND ?= release
TESTS ?= -n auto
BENCH ?=
SECONDS ?= 10

.PHONY: demo test build lint fuzz bench clean

demo:
	@scripts/environment
	@scripts/extensions
	@.venv/bin/gateway demo

test:
	@scripts/environment test
	@scripts/extensions $(KIND)
	@scripts/suite $(KIND) $(TESTS)

build:
	@scripts/environment
	@scripts/extensions $(KIND)

lint:
	@scripts/environment test dev
	@scripts/lint

fuzz:
	@scripts/environment test
	@scripts/extensions $(KIND)
	@scripts/fuzzers $(KIND) $(SECONDS)

bench:
	@scripts/environment bench
	@scripts/extensions
	@.venv/bin/python -m bench $(BENCH)

clean:
	@rm -rf build .venv gateway/_fast/*.so *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
