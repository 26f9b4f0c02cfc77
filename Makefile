# `make` lists the commands. Needs python3 (3.11 or later) with pip, and make; fetches the rest.

PYTHON ?= python3
BIN := .venv/bin
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)

.DEFAULT_GOAL := help
.PHONY: help setup train test test-slow test-gpu test-slurm lint docs audit format lock clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/installed ## install everything into .venv, exactly as locked

train: setup ## train AlexNet on the default data: one to five minutes on two cores
	$(BIN)/python src/train.py

# a worker for each core, with one thread of torch; each needs half a gigabyte
test: lint ## lint, types, and the tests that take minutes
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow and not gpu and not slurm" -n auto --maxprocesses 8 --dist worksteal

test-slow: setup ## the tests that take longer, on real photographs where there are any
	$(BIN)/pytest -m slow

# only the files that have such tests: to load the others takes longer than some of them
test-gpu: setup ## the tests that need an NVIDIA GPU
	$(BIN)/pytest -m gpu --durations=0 --durations-min=1 $$(grep -rl 'mark\.gpu' tests --include='test_*.py')

# starts a cluster of two nodes on this machine for the time of the tests; says what is not installed
test-slurm: setup ## the tests on a real Slurm: slurm-wlm and munge have to be installed
	$(BIN)/pytest -m slurm --durations=0 --durations-min=1 tests/slurm

lint: setup ## style, types, imports between packages and YAML, as CI checks them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports
	$(BIN)/yamllint --strict conf .pre-commit-config.yaml

# -n -W: a reference, link or anchor that leads nowhere is an error
docs: setup ## the documentation as a site, in outputs/docs/index.html
	$(BIN)/python docs/generate
	$(BIN)/sphinx-build -n -W --keep-going --quiet -c docs . outputs/docs
	@echo "Written: outputs/docs/index.html"

# --strict: an index without advisories, as many mirrors are, must not pass for "nothing known"
audit: setup ## known vulnerabilities of the locked packages
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements.lock

format: setup ## fix what can be fixed automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(UV) ## resolve pyproject.toml's dependencies into requirements.lock
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --all-extras --group dev --group docs \
		--no-header --quiet --output-file requirements.lock pyproject.toml

clean: ## remove the environment and caches; keep data and outputs
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache

.venv/installed: requirements.lock | $(UV)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "AlexNet Lab needs Python 3.11 or later; this is %d.%d. Try: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	$(UV) venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv
	$(UV) pip sync --quiet --python .venv --require-hashes --compile-bytecode requirements.lock
	@touch $@

.uv/bin/uv:
	$(PYTHON) -m pip install --quiet --target .uv uv
