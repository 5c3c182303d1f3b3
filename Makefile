# Everything from a bare clone: needs Python 3.11 to 3.13, make and git, and a package index for pip.
# `make help` lists what there is.

PYTHON  ?= python3
VENV    ?= .venv
WORKERS ?= 2

BIN      := $(VENV)/bin
UV       := $(BIN)/uv pip
UV_STAMP := $(VENV)/.stamp-uv
RUN_ENV  := $(VENV)/.stamp-run
DEV_ENV  := $(VENV)/.stamp-dev
# Lint compiles the models against an empty warehouse in memory: it needs no lake.
LINT_DIR := build/lint
SQL_DIRS := $(wildcard models snapshots tests analyses)
DBT_LINT := DBT_PROFILES_DIR=synapse/profiles DBT_TARGET_PATH=$(LINT_DIR)/target \
            DBT_LOG_PATH=$(LINT_DIR)/logs DBT_SEND_ANONYMOUS_USAGE_STATS=false \
            SYNAPSE_LAKE=$(LINT_DIR)/no-lake SYNAPSE_WAREHOUSE=:memory:

export UV_NO_PROGRESS := 1
# Compiled once at installation, not at each start: dbt alone takes 3 s less to import.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE
export UV_PYTHON_DOWNLOADS := never
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup deps demo test proof airflow athena athena-suite postgres maven lint conventions format docs bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEV_ENV) ## Make the environment for development in .venv
	@echo "==> $(VENV) is ready: . $(BIN)/activate"

deps: $(RUN_ENV) ## Install the dbt packages (stand-ins where the hub cannot be reached)
	@echo "==> dbt packages"
	@$(BIN)/python -m synapse.deps

demo: $(RUN_ENV) ## Generate a product, build bronze to gold on DuckDB, print its figures
	@echo "==> synapse demo"
	@$(BIN)/synapse demo

# Of the whole project on Athena one daily step, and of runs that are killed there none: `make athena`
# has three, and one.
test: $(DEV_ENV) postgres maven ## Prove that the figures are right (about 30 minutes on 2 cores)
	@echo "==> pytest, $(WORKERS) workers"
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile \
		--ignore synapse_tests/test_faults_kill_athena.py

proof: $(DEV_ENV) postgres maven ## Every proof at full size: all seeds, all kill points
	@echo "==> pytest at full size, $(WORKERS) workers"
	@SYNAPSE_PROOF=full $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

athena: $(DEV_ENV) maven ## The whole project on a local Athena: every table equals DuckDB's; a killed run
	@echo "==> a hostile lake on Athena and on DuckDB; a run that is killed there"
	@SYNAPSE_ATHENA_STEPS=3 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile \
		synapse_tests/test_athena_project.py synapse_tests/test_faults_kill_athena.py

airflow: $(DEV_ENV) ## A real Airflow, in an environment of its own, parses the DAGs
	@echo "==> the DAGs of infra/airflow"
	@$(BIN)/python -m pytest synapse_tests/test_airflow.py

athena-suite: $(DEV_ENV) maven ## dbt-athena's own functional suite; DBT_ADAPTERS=PATH names a checkout
	@echo "==> the functional suite of dbt-athena on a local Athena"
	@$(BIN)/athena-local run -- $(BIN)/python -m athena_local.suite $(if $(DBT_ADAPTERS),--checkout $(DBT_ADAPTERS))

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
# $(call debian,PACKAGE,WHAT,HOW TO SEE IT,COMMANDS)
define debian
@$(3) >/dev/null 2>&1 || { \
	echo "==> $(2), from Debian's packages"; \
	$(SUDO) apt-get update -qq && \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
} || { echo "install $(2) ($(4)) and run make again" >&2; exit 1; }
endef

postgres: ## Install PostgreSQL where there is none: the state store is tested on a real one
	$(call debian,postgresql,PostgreSQL,{ ls /usr/lib/postgresql/*/bin/initdb || command -v initdb; },initdb and pg_ctl)

maven: ## Install Maven where there is none: it fetches Trino, Athena's engine
	$(call debian,maven,Maven,command -v mvn,mvn)

lint: conventions ## Check style, types, conventions and secrets
	@echo "==> ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "==> mypy --strict"
	@$(BIN)/mypy
	@echo "==> detect-secrets"
	@git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --no-verify --baseline .secrets.baseline
	@echo "==> cfn-lint, hadolint"
	@$(BIN)/synapse deploy aws --plan --out $(LINT_DIR)/aws >/dev/null
	@$(BIN)/cfn-lint $(LINT_DIR)/aws/*.yml
	@$(BIN)/hadolint infra/Dockerfile
	@echo "==> sqlfluff, dbt templater"
	@$(DBT_LINT) $(BIN)/sqlfluff lint --templater dbt --processes $(WORKERS) $(SQL_DIRS)

conventions: $(DEV_ENV) ## The part of lint that asks the dbt project itself
	@$(BIN)/python -m synapse.deps
	@echo "==> dbt parse, every warning an error"
	@$(DBT_LINT) $(BIN)/dbt --quiet --warn-error parse
	@echo "==> dbt-bouncer"
	@COLUMNS=200 $(BIN)/dbt-bouncer run --config-file dbt-bouncer.yml --show-all-failures

format: $(DEV_ENV) ## Rewrite what ruff and sqlfluff can mend by themselves
	@echo "==> ruff, sqlfluff"
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .
	@$(BIN)/sqlfluff fix --templater jinja --ignore templating $(SQL_DIRS)

docs: $(RUN_ENV) ## Write the documentation site of the demo's lake
	@echo "==> synapse docs"
	@$(BIN)/synapse docs

bench: $(DEV_ENV) ## Measure; every script of benchmarks/
	@for script in benchmarks/*.py; do \
		echo "==> $$script"; \
		$(BIN)/python "$$script" || exit 1; \
	done

lock: $(UV_STAMP) ## Resolve pyproject.toml anew into the hash-pinned lock files
	@echo "==> uv pip compile"
	@$(UV) compile $(COMPILE) --group bootstrap --output-file requirements-uv.lock
	@$(UV) compile $(COMPILE) pyproject.toml --group build --output-file requirements.lock
	@$(UV) compile $(COMPILE) pyproject.toml --group build --group dev \
		--constraint requirements.lock --output-file requirements-dev.lock
	@$(UV) compile $(COMPILE) pyproject.toml --group build --extra aws \
		--constraint requirements.lock --output-file requirements-aws.lock
	@$(UV) compile $(COMPILE) infra/airflow/requirements.in \
		--output-file infra/airflow/requirements.lock

clean: ## Remove what builds and tests leave; keeps .venv and your lake
	rm -rf build dist target logs dbt_packages .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The addresses of a package index belong to the machine, not to the lock.
COMPILE := --quiet --universal --generate-hashes --no-header --no-emit-index-url

$(BIN)/python:
	@echo "==> Python environment in $(VENV)"
	@supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; \
	for python in $(PYTHON) python3.13 python3.12 python3.11; do \
		if "$$python" -c "$$supported" 2>/dev/null; then \
			"$$python" -m venv $(VENV) && exit 0; \
			rm -rf $(VENV); \
			echo "$$python cannot make a virtual environment: install its venv module" \
				"(python3-venv on Debian and Ubuntu) and run make again" >&2; \
			exit 1; \
		fi; \
	done; \
	echo "Synapse needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is" \
		"$$($(PYTHON) --version 2>&1): install one, or name it:" \
		"make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.12" >&2; \
	exit 1

$(UV_STAMP): requirements-uv.lock | $(BIN)/python
	@echo "==> uv, the installer"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes --requirement requirements-uv.lock
	@touch $@

FIRST_PARSE = echo "==> dbt packages, first parse" && $(BIN)/python -m synapse.runner.first_parse

# One environment serves both: once it is the development one, the short lock is not enough.
$(RUN_ENV): requirements.lock requirements-dev.lock pyproject.toml $(UV_STAMP)
	@if [ -f $(DEV_ENV) ]; then \
		$(MAKE) --no-print-directory $(DEV_ENV); \
	else \
		echo "==> packages of requirements.lock, each checked by hash"; \
		$(UV) sync --python $(BIN)/python --quiet --require-hashes requirements.lock && \
		$(UV) install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable . && \
		$(FIRST_PARSE) ; \
	fi
	@touch $@

$(DEV_ENV): requirements-dev.lock pyproject.toml $(UV_STAMP)
	@echo "==> packages of requirements-dev.lock, each checked by hash"
	@$(UV) sync --python $(BIN)/python --quiet --require-hashes requirements-dev.lock
	@$(UV) install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@$(FIRST_PARSE)
	@touch $@ $(RUN_ENV)
