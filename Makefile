# Two commands do all the set-up: `make study` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDY ?= configs/studies/bn-placement.yaml --short
# Where torch comes from. On Linux its default build carries several GB of CUDA libraries; an index of CPU builds can be
# named here: make install TORCH_FLAGS="--index-url <index of CPU builds>"; what torch needs comes from the usual index.
TORCH_FLAGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install study test lint slow bench constraints clean

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/run.stamp: pyproject.toml constraints.txt
	@echo "Installing into $(VENV) (about 2 GB, some minutes the first time) …"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "har-lab needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade "pip>=25.1"  # the first with dependency groups
	$(PIP) install --quiet -c constraints.txt $(if $(TORCH_FLAGS),--no-deps $(TORCH_FLAGS)) torch
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(PIP) install --quiet -c constraints.txt --group dev
	@touch $@

install: $(VENV)/run.stamp  ## the environment alone, in .venv

study: $(VENV)/run.stamp  ## the main comparison on real data, its verdict and report
	$(BIN)/har study $(STUDY)

lint: $(VENV)/dev.stamp  ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint  ## lint and all quick tests
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

$(VENV)/ray.stamp: $(VENV)/dev.stamp
	$(PIP) install --quiet -c constraints.txt -e ".[ray]"
	@touch $@

slow: $(VENV)/ray.stamp  ## the long suites: kills, simulations, the whole main study
	$(BIN)/pytest -m slow --durations=0 -rP  # with what the studies printed

bench: $(VENV)/dev.stamp  ## all benchmarks beside plain stacks, in about half an hour; keep the machine quiet
	$(BIN)/python -m benchmarks

constraints: $(VENV)/ray.stamp  ## rewrite constraints.txt from what is installed
	{ head -1 constraints.txt; $(PIP) freeze --all --exclude pip --exclude-editable | sed 's/+cpu//' | LC_ALL=C sort -f; } > constraints.new
	mv constraints.new constraints.txt

clean:  ## remove the environment and caches; data and runs stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
