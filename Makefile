# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
PROFILE ?= local
BIN := $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c envs/constraints.txt

.PHONY: help demo test install lint format docs figures report slurm-up slurm-down clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml envs/constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV) (a few minutes)"
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) -e '.[test]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(INSTALL) -e '.[docs]'
	@touch $@

demo: $(VENV)/.installed ## install, run the default study, leave figures and a report
	instruct-scaling run config.yaml --profile $(PROFILE)
	@echo
	@echo "report:  $(CURDIR)/results/laptop/report.html"
	@echo "figures: $(CURDIR)/results/laptop/figures/"

test: $(VENV)/.installed-test ## install with test extras, run all tests
	pytest -n 2 --dist loadfile

install: $(VENV)/.installed-test $(VENV)/.installed-docs ## install with all extras for development

lint: $(VENV)/.installed-test ## ruff, snakefmt, Snakemake's own linter, generated files
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint
	instruct-scaling config-reference --check

format: $(VENV)/.installed-test ## format the code, rewrite the generated config files
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow
	instruct-scaling config-reference

docs: $(VENV)/.installed-docs ## build the documentation into site/, broken links are errors
	mkdocs build --strict --quiet
	@echo "docs: $(CURDIR)/site/index.html"

figures: $(VENV)/.installed ## redraw the default study's figures from its tables
	instruct-scaling run config.yaml --profile $(PROFILE) figures

report: $(VENV)/.installed ## rebuild the default study's report
	instruct-scaling run config.yaml --profile $(PROFILE) report

slurm-up: $(VENV)/.installed-test ## a SLURM of three nodes on this machine, for tests by hand (as root)
	$(BIN)/python -m tests.slurm up

slurm-down: ## take it down, and leave nothing of it
	$(BIN)/python -m tests.slurm down

clean: ## remove the results of the default study
	rm -rf results/laptop
