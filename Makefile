# `make demo` and `make test` are all a stranger needs: each makes its environment first.
# Paths are relative throughout, so a checkout may lie in a folder with spaces in its name.

PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m
# What the tests need; `make check EXTRAS=dev,train` also tests the training (PyTorch, 200 MB or more).
EXTRAS ?= dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install -c constraints.txt

.DEFAULT_GOAL := help
FUZZ_SECONDS ?= 60
CHAOS_REPEATS ?= 20
.PHONY: help demo test chaos fuzz audit check kernels lint types contracts bench clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

demo: .venv/.runtime  ## synthesise noisy recordings, clean them as a Prefect flow, show what happened
	$(RUN) flows demo

test: .venv/.dev  ## run the tests
	$(RUN) pytest -n auto --dist loadgroup -q

chaos: .venv/.dev  ## kill, interrupt and starve it for as long as it takes; CHAOS_REPEATS=20 of each kill; prints the table
	rm -f chaos.jsonl
	CHAOS_LOG=chaos.jsonl CHAOS_STEP=1 CHAOS_REPEATS=$(CHAOS_REPEATS) \
	  $(RUN) pytest -q -m "long or not long" tests/chaos; status=$$?; \
	  $(RUN) tests.chaos.table chaos.jsonl; exit $$status
	$(RUN) pytest -q -m long --ignore tests/chaos --ignore tests/fuzz tests

fuzz: .venv/.dev  ## damage every kind of input, FUZZ_SECONDS=60 each; prints how many were tried
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(RUN) pytest -q -n 0 -m long tests/fuzz

audit: .venv/.dev  ## look for known vulnerabilities in what is pinned; needs the network
	@$(RUN) pip_audit --version >/dev/null 2>&1 || $(PIP) "pip-audit>=2.7" \
	  || { echo "pip-audit is not installed and cannot be fetched: audit where there is a network."; exit 1; }
	@$(RUN) pip_audit --strict --requirement constraints.txt --no-deps --disable-pip \
	  || { echo "Findings above, or the advisories could not be asked (no network?): not audited."; exit 1; }

# The kernels take one core for two minutes: meanwhile the other installs what the tests need.
check:  ## all that CI checks
	$(MAKE) --jobs=2 kernels types lint contracts
	$(MAKE) test

# Otherwise each of the runners of the tests compiles the same ones, beside the other.
kernels: .venv/.runtime  ## compile all kernels into the cache
	$(RUN) tests.kernels

lint: .venv/.dev  ## format and lint
	$(RUN) ruff format --check .
	$(RUN) ruff check .

types: .venv/.dev  ## mypy --strict
	$(RUN) mypy

contracts: .venv/.dev  ## the import contracts
	$(BIN)/lint-imports

bench: .venv/.dev  ## measure speed and orchestration cost side by side
	OMP_NUM_THREADS=1 $(RUN) benchmarks.stages
	$(RUN) benchmarks.orchestration
	$(RUN) benchmarks.suppression

clean:  ## remove the environment and the demo
	rm -rf .venv demo

# The build back end is installed first and without isolation, so that it is pinned as well.
.venv/.runtime: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Installing into .venv (once; a minute or two) ..."
	$(PYTHON) -m venv .venv
	$(PIP) hatchling editables
	$(PIP) --no-build-isolation -e ".[codecs,postgres]"
	@touch $@

.venv/.dev: .venv/.runtime
	$(PIP) --no-build-isolation -e ".[$(EXTRAS)]"
	@touch $@
