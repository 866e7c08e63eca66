# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
PROFILE ?= workflow/profiles/local
BIN := $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c envs/constraints.txt

.PHONY: help demo test lint format figures report clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml envs/constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV) (a few minutes)"
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) -e '.[test]'
	@touch $@

demo: $(VENV)/.installed ## install, run the default study, leave figures and a report
	snakemake --workflow-profile $(PROFILE)
	@echo
	@echo "report:  $(CURDIR)/results/laptop/report.html"
	@echo "figures: $(CURDIR)/results/laptop/figures/"

test: $(VENV)/.installed-test ## install with test extras, run all tests
	pytest -n 2 --dist loadfile

lint: $(VENV)/.installed-test ## ruff, snakefmt and Snakemake's own linter
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint
	$(BIN)/instruct-scaling config-reference --check

format: $(VENV)/.installed-test ## format the code, rewrite the generated config reference
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow
	$(BIN)/instruct-scaling config-reference

figures: $(VENV)/.installed ## redraw the default study's figures from its tables
	snakemake figures --workflow-profile $(PROFILE)

report: $(VENV)/.installed ## rebuild the default study's report
	snakemake report --workflow-profile $(PROFILE)

clean: ## remove the results of the default study
	rm -rf results/laptop
