# make audit   the whole audit, on an emulated demo organization          make test   the quick tests
# make help    all commands
.DEFAULT_GOAL := help
SHELL := /bin/bash

VENV := $(CURDIR)/.venv
PYTHON ?= python3
# The oldest that the audit runs on, and that its packages are locked for.
OLDEST_PYTHON := 3.11
BIN := $(VENV)/bin
SUPERSET := $(CURDIR)/.venv-superset
TOOLS := $(CURDIR)/.venv-tools
# Files are readable by their owner only: the audit's data show what can be overwritten.
privately := umask 077 &&

# Airflow lives in this checkout, on its own SQLite database.
export AIRFLOW_HOME ?= $(CURDIR)/.airflow
export AIRFLOW__CORE__DAGS_FOLDER ?= $(CURDIR)/dags
export AIRFLOW__CORE__PLUGINS_FOLDER ?= $(CURDIR)/plugins
export AIRFLOW__CORE__LOAD_EXAMPLES ?= False
# By default the UI is for this machine only, and answers only to names of this machine.
export AIRFLOW__API__HOST ?= 127.0.0.1
export AIRFLOW__API__PORT ?= 8080
# Below the path of Airflow's base_url, if that has one: its parts after the host, each behind a slash.
base_url_parts := $(subst /, ,$(AIRFLOW__API__BASE_URL))
base_path := $(addprefix /,$(wordlist $(if $(findstring ://,$(AIRFLOW__API__BASE_URL)),3,1),99,$(base_url_parts)))
UI := http://127.0.0.1:$(AIRFLOW__API__PORT)$(subst $() /,/,$(base_path))
# Each worker takes memory, and two cores can run two batches at once.
export AIRFLOW__CORE__PARALLELISM ?= 4
# The demo is beside the program, not in it.
export PYTHONPATH := $(CURDIR)/plugins:$(CURDIR)
export PATH := $(BIN):$(PATH)
# Containers often set it: every process of Airflow would then compile its thousands of modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help audit audit-aws doctor doctor-demo demo-history up up-demo pages sql as-of oscal verify evidence bi docs test test-policy test-slow test-all test-cluster secrets pin-images lint format hooks types sbom advisories lock clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Environments: one for the audit, updated when a lock file changes; the tests' includes it.
$(VENV)/.audit: requirements.txt requirements-uv.txt
	@$(call install,$(VENV),requirements.txt)
	@rm -f $(VENV)/.dev && touch $@

$(VENV)/.dev: requirements-dev.txt requirements-uv.txt
	@$(call install,$(VENV),requirements-dev.txt)
	@touch $(VENV)/.audit $@

# Superset needs other versions of the same libraries.
$(SUPERSET)/.installed: bi/superset/requirements.txt requirements-uv.txt
	@$(call install,$(SUPERSET),bi/superset/requirements.txt)
	@touch $@

# Programs that share no process with the audit.
$(TOOLS)/.installed: requirements-tools.txt requirements-uv.txt
	@$(call install,$(TOOLS),requirements-tools.txt)
	@touch $@

# Debian and Ubuntu have Python without the module that fills a new environment, and perhaps an older Python.
define require_python
	{ command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) is not installed. On Debian or Ubuntu: apt-get install python3 python3-venv" >&2; exit 1; }; } && \
	{ found=$$($(PYTHON) -c 'import sys; found = sys.version_info[:2]; print("%d.%d" % found); \
			sys.exit(found < tuple(map(int, "$(OLDEST_PYTHON)".split("."))))') || { \
		echo "$(PYTHON) is Python $$found, and the audit needs $(OLDEST_PYTHON) or newer." \
			"Install python$(OLDEST_PYTHON) and python$(OLDEST_PYTHON)-venv, then: make PYTHON=python$(OLDEST_PYTHON) $(MAKECMDGOALS)" >&2; \
		exit 1; }; } && \
	{ $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot set up an environment." \
			"On Debian or Ubuntu: apt-get install $(notdir $(PYTHON))-venv" >&2; \
		exit 1; }; }
endef

# An environment without pip is one that could not be finished.
define install
	echo "Setting up $(notdir $(1)) from $(2) …" && \
	{ $(1)/bin/python -m pip --version >/dev/null 2>&1 || { $(require_python) && $(PYTHON) -m venv --clear $(1); }; } && \
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt && \
	$(1)/bin/uv pip sync --quiet --require-hashes --python $(1)/bin/python $(2)
endef

# Runs from the terminal keep their own database, apart from the scheduler's of `make up`.
audit audit-aws: export AIRFLOW_HOME := $(AIRFLOW_HOME)/terminal

audit: $(VENV)/.audit ## The whole audit through Airflow, two nights of the demo organization; never talks to a real AWS
	@$(privately) $(BIN)/python bin/audit.py demo

audit-aws: $(VENV)/.audit ## The same, read-only, on the AWS that the environment's credentials point to
	@$(privately) $(BIN)/python bin/audit.py aws

doctor: $(VENV)/.audit ## Check each permission and setting for audit-aws, and list what to fix
	@$(privately) $(BIN)/python bin/doctor.py aws

doctor-demo: $(VENV)/.audit ## The same on the demo organization
	@$(privately) $(BIN)/python bin/doctor.py demo

demo-history: $(VENV)/.audit ## 90 nights before those of make audit, one of them missed, for trends and BI
	@$(privately) $(BIN)/python -m demo.history

up: export ECR_AUDIT_DATA ?= $(CURDIR)/data/aws
# Where tasks report to. Airflow's default is port 8080, whatever port the UI has.
up up-demo: export AIRFLOW__CORE__EXECUTION_API_SERVER_URL ?= $(UI)/execution/
# Some minutes, by growing waits: a busy machine has the server later than the first tasks.
up up-demo: export AIRFLOW__WORKERS__EXECUTION_API_RETRIES ?= 10
up: $(VENV)/.audit ## Airflow's scheduler and UI on this machine; audits the AWS that your credentials open, every night
	@$(privately) $(BIN)/airflow standalone

# A database of its own: the scheduler of make up works on a real AWS.
up-demo: export AIRFLOW_HOME := $(AIRFLOW_HOME)/demo
up-demo: $(VENV)/.audit ## The same over what make audit published, on the emulated AWS, with remediation to try
	@echo "Log in as admin. The first start prints the password; it is kept in $$AIRFLOW_HOME/simple_auth_manager_passwords.json.generated"
	@echo "Open $(UI)/dags/ecr_remediation once Airflow is ready; docs/remediation.md, In the demo, leads through it."
	@$(privately) $(BIN)/python -m demo.up

# The runs of make audit are recorded there. No scheduler: nothing runs.
pages: export AIRFLOW_HOME := $(AIRFLOW_HOME)/terminal
pages: $(VENV)/.audit ## Airflow's UI with the compliance pages, over what make audit published
	@echo "Log in as admin. The first start prints the password; it is kept in $$AIRFLOW_HOME/simple_auth_manager_passwords.json.generated"
	@$(privately) $(BIN)/airflow db migrate >/dev/null && echo "Open $(UI)/plugin/ecr-audit" && $(BIN)/airflow api-server

as-of: $(VENV)/.audit ## Publish a past night as of then, DATE=2026-10-31, into data/as-of/
	@$(privately) $(BIN)/python bin/as_of.py $(DATE)

oscal: $(VENV)/.audit ## OSCAL assessment results of one account with its repositories, ACCOUNT=111111111111, into data/oscal/
	@$(privately) $(BIN)/python bin/oscal.py $(ACCOUNT)

verify: $(VENV)/.audit ## Verify sealed nights from the evidence log alone: DATE=, FROM= TO=, REPOSITORY=arn, BUNDLE=zip, KEY=pub.pem
	@$(privately) $(BIN)/python bin/verify.py $(if $(DATE),--date $(DATE)) $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO)) \
		$(if $(REPOSITORY),--repository $(REPOSITORY)) $(if $(BUNDLE),--bundle $(BUNDLE)) $(if $(KEY),--key $(KEY))

evidence: $(VENV)/.audit ## One zip for an auditor, FROM=2026-10-01 TO=2026-12-31 [SAMPLE=25 SEED=7], into data/evidence-bundles/
	@$(privately) $(BIN)/python bin/evidence_bundle.py --from $(FROM) --to $(TO) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

# In the shell's safe mode, a query reads the published file and no other (the flag -safe fails in DuckDB 1.5). Each question
# of sql/analyses is prepared, for EXECUTE; one that fails on an older file is reported, and the shell still starts.
sql: $(VENV)/.audit ## A read-only SQL shell on the published file
	@test -x $(BIN)/duckdb || { echo "No SQL shell here: install duckdb-cli 1.5 (it is in requirements.txt)."; exit 1; }
	@$(privately) published=$$($(BIN)/python -m ecr_audit.publish.newest) && \
		for question in $(wildcard sql/analyses/*.sql); do \
			set -- "$$@" -cmd "PREPARE $$(basename "$$question" .sql) AS $$(cat "$$question")"; \
		done && \
		$(BIN)/duckdb -readonly -cmd "SET TimeZone = 'UTC'" -cmd ".bail off" "$$@" -cmd .safe_mode "$$published"

docs: $(VENV)/.audit ## Write the generated pages of docs/ again from their sources
	@$(BIN)/python bin/docs.py

bi: $(VENV)/.audit $(SUPERSET)/.installed ## Apache Superset on this machine, with a dashboard over the published file
	@$(privately) published=$$($(BIN)/python -m ecr_audit.publish.newest) && \
		$(SUPERSET)/bin/python bi/superset/serve.py "$$published"

test: $(VENV)/.dev ## The quick tests: no server, no browser, no scheduler; some four minutes
	@$(BIN)/python -m pytest -n 2 -m "not slow" tests/unit tests/sql tests/published tests/dags
	@echo "Left out: the slow tests, which go through whole nights with the scheduler, PostgreSQL, Redis, Superset and a" \
		"browser (tests/integration, deploy, browser, scheduler, cluster and bi, and what is marked slow in the" \
		"other folders). They run with: make test-slow; all tests with: make test-all"

test-policy: $(VENV)/.dev ## The tests that judge the folders of sql/policies, in some seconds
	@$(BIN)/python -m pytest -q tests/sql/test_policy_cases.py

# One process more than a small machine has cores, since many of these wait for servers.
test-slow: $(VENV)/.dev $(SUPERSET)/.installed $(TOOLS)/.installed ## The tests that make test leaves out, including test-cluster
	@$(BIN)/python -m pytest -n 3 -m slow

test-all: $(VENV)/.dev $(SUPERSET)/.installed $(TOOLS)/.installed ## All tests
	@$(BIN)/python -m pytest -n 3

test-cluster: $(VENV)/.dev ## One of them: a night on the topology of docker-compose.yaml, with workers, Redis and scheduler failing
	@$(BIN)/python -m pytest -m cluster

secrets: ## Write .env with fresh secrets, for docker-compose.yaml
	@$(PYTHON) bin/new_secrets.py

pin-images: ## Write the digests of the base images beside their tags, or renew them; asks Docker
	@$(PYTHON) bin/pin_images.py

lint: $(VENV)/.dev ## Style of Python and SQL, Airflow rules, spelling
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/sqlfluff lint --quiet sql tests && $(BIN)/codespell

format: $(VENV)/.dev ## Rewrite in the project's style
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format . && $(BIN)/sqlfluff fix --quiet sql tests

hooks: $(VENV)/.dev ## Check style and types on each commit, by pre-commit
	@$(BIN)/pre-commit install

types: $(VENV)/.dev ## mypy, strict, on all Python code
	@$(BIN)/mypy

sbom: $(TOOLS)/.installed ## Write sbom.json, the packages that the audit runs on, as CycloneDX
	@$(TOOLS)/bin/cyclonedx-py requirements requirements.txt --output-reproducible --of JSON -o sbom.json

# Strict: where the advisories cannot be reached, as behind a mirror without them, packages would be skipped silently.
advisories: $(VENV)/.audit ## Known vulnerabilities of the packages that the audit runs on, by PyPI's advisories
	@$(BIN)/uvx pip-audit==2.10.1 --strict --require-hashes --disable-pip -r requirements.txt

lock: ## Resolve requirements*.in again into requirements*.txt, with hashes
	@for name in requirements requirements-query requirements-dev requirements-tools bi/superset/requirements; do \
		uv pip compile --quiet --upgrade --generate-hashes --universal --python-version $(OLDEST_PYTHON) \
			--custom-compile-command "make lock" $$name.in -o $$name.txt || exit 1; done

clean: ## Remove the environments, Airflow's and Superset's state; data/ stays
	@rm -rf $(VENV) $(SUPERSET) $(TOOLS) $(CURDIR)/.airflow $(CURDIR)/.superset
