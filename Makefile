# figure4: `make study` draws Figure 4 from a bare clone; `make test` proves the parts.
# Both make the environment themselves. Nothing is installed outside .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile -c constraints.txt
# Bytecode on all cores at once: pip compiles on one, and a minute longer.
COMPILE := $(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true

# No tool of the chain phones home.
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PYTHONUNBUFFERED := 1
# dvc starts `python -m pipeline...`: the environment's python must come first.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Looked at before anything is made: an environment of another Python would be in the way of the right one.
CHECK_PYTHON := import sys; (3, 11) <= sys.version_info[:2] < (3, 14) or sys.exit("%s is Python %d.%d, \
and figure4 needs 3.11 to 3.13: make PYTHON=python3.12 ..., or the path of one" % ((sys.executable,) \
+ tuple(sys.version_info[:2])))

.PHONY: help study flow ui services plan doctor test test-long test-study docs check format clean

help:  ## Say what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/study.stamp: pyproject.toml constraints.txt
	@$(BIN)/python -c '$(CHECK_PYTHON)' 2>/dev/null || $(PYTHON) -c '$(CHECK_PYTHON)'
	@echo "Installing the study's packages into $(VENV) (two to three minutes the first time)"
	@$(BIN)/python -c '$(CHECK_PYTHON)' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) -e .
	@$(COMPILE)
	@touch $@

$(VENV)/dev.stamp: $(VENV)/study.stamp
	@echo "Installing the development tools into $(VENV)"
	@$(PIP) -e '.[dev]'
	@$(COMPILE)
	@touch $@

study: $(VENV)/study.stamp  ## The active study of params.yaml by DVC, sizes side by side; shows Figure 4
	@test -e .git || (git init --quiet && echo "Not a git clone: made a repository, since DVC needs one")
	python -m flows.side_by_side
	@python -m pipeline.report.show

flow: $(VENV)/study.stamp  ## The same study through Prefect
	python -m flows.study

ui: $(VENV)/study.stamp  ## Prefect UI and MLflow dashboard on loopback
	python -m flows.ui

services: $(VENV)/dev.stamp  ## Both pages over PostgreSQL and an S3 server as installed; compose.yaml without containers
	python -m flows.services

plan: $(VENV)/study.stamp  ## What a study will cost before it runs (PROFILE=name: of another one)
	@python -m pipeline.plan $(if $(PROFILE),--profile $(PROFILE))

doctor: $(VENV)/study.stamp  ## What this machine or checkout lacks, a line each, and what to do
	@python -m flows.doctor

# One process more than cores: many tests wait for a server or for a training to be killed.
test: $(VENV)/dev.stamp  ## The test suite, on all cores
	pytest -n $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)') --dist loadfile --no-loadscope-reorder

test-long: $(VENV)/dev.stamp  ## What takes long: kills of whole stages, flows, peers, a browser, S3, a cluster
	pytest -m "long or slow" -n $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)') --dist loadfile

test-study: $(VENV)/dev.stamp  ## A whole small study by DVC: rerun, changed, loaded by transformers
	pytest -m study tests/end_to_end

docs: $(VENV)/dev.stamp  ## The documentation as a site that needs no network: site/index.html
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --quiet
	@echo "Documentation: file://$(CURDIR)/site/index.html (with its search: python -m mkdocs serve)"

check: $(VENV)/dev.stamp  ## ruff, mypy, import-linter
	ruff format --check .
	ruff check .
	mypy
	lint-imports

format: $(VENV)/dev.stamp  ## Rewrite the code in the house style
	ruff format .
	ruff check --fix .

clean:  ## Remove the environment and unfinished work; studies, their cache and the archive stay
	rm -rf $(VENV) work .mypy_cache .ruff_cache .pytest_cache
