# Hitweave: `make help` lists the targets. Everything is installed into .venv from uv.lock.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERSIONS ?= 9.3.0 9.3.2 9.3.4 9.5.2 9.5.3
export OMP_NUM_THREADS ?= 1

.PHONY: help setup demo bench plugin test check format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Hitweave needs Python 3.11 or later: set PYTHON=/path/to/python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: install your system's python3-venv package"; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv sync --frozen --inexact --all-extras --quiet
	@touch $@

setup: $(VENV)/.installed ## install everything into .venv

demo: setup ## start the local stack, index, learn, search side by side; ONCE=1 stops after printing
	$(BIN)/hitweave demo $(if $(ONCE),--once)

bench: setup ## speed against the bare node in one run; writes tests/bench/latest.json
	$(BIN)/python -m tests.bench

plugin: ## zips of the plugin for the releases in VERSIONS; needs Maven and a JDK 21 or later
	plugin/build.sh $(VERSIONS)

test: setup ## the whole test suite on real servers
	$(BIN)/python -m pytest $(ARGS)

check: setup ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup ## format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what the targets made, but not .hitweave
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
	find indexer reranker compose -name "*.nb[ic]" -delete
