# The verbs of the house: demo, test, bench, fuzz, lint, run. Each first makes .venv from the locked, hash-checked
# dependencies where it is missing or older than the lock file.
SHELL := /bin/sh
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8000
HOST ?= 127.0.0.1
# More than two cores have: some tests wait for the clock.
TEST_PROCESSES ?= 3
AGENT ?= dist/joulebook-agent.pyz
ARGS ?=
export JOULEBOOK_SITE_URL ?= http://localhost:$(PORT)

FIND_PYTHON = for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
	  command -v $$python >/dev/null 2>&1 && $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' && break; \
	  python=; \
	done; \
	[ -n "$$python" ] || { echo "Joulebook needs Python 3.11 or newer: none found (PYTHON=/path/to/python names one)" >&2; exit 1; }
# Not compiled in advance: half of the modules are never loaded; the others are compiled when they are.
PIP_INSTALL = $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r
SERVE = exec $(BIN)/gunicorn --bind $(HOST):$(PORT) --workers 1 --threads 8 --no-control-socket portal.wsgi

.PHONY: help demo trial run agent test bench fuzz lint lock screenshots
help:
	@echo "make demo   a small made-up cluster in the browser: http://localhost:$(PORT)"
	@echo "make trial  your own logs into one page: JOBS=sacct.txt POWER=power.csv [NODES=scontrol.txt]"
	@echo "make run    this site, on what is in var/ (or DATABASE_URL)"
	@echo "make agent  the node agent as a single file: $(AGENT)"
	@echo "make test   all tests, with the services they need (SERVICES=skip: without)"
	@echo "make bench  the benchmarks; writes docs/performance.md"
	@echo "make fuzz   the property tests, long"
	@echo "make lint   style, types, migrations, settings"
	@echo "make lock   resolve the dependencies anew"
	@echo "make screenshots  the README's pictures, photographed from a demo of its own"

# The newest months first: the site answers while the rest of the year is booked beside it, by a program that ends with it.
demo: export JOULEBOOK_TIME_ZONE ?= Europe/Berlin
demo: export JOULEBOOK_BOARDS_OF_PERSONS ?= 1
demo: $(VENV)/.locked
	@$(BIN)/python manage.py migrate --verbosity 0
	@JOULEBOOK_DEMO=1 $(BIN)/python manage.py demo --newest
	@echo "Joulebook is at http://localhost:$(PORT) (stop it with Ctrl-C)"
	@JOULEBOOK_DEMO=1 $(BIN)/python manage.py demo --beside $$$$ & JOULEBOOK_DEMO=1 $(SERVE)

# JOBS, POWER, NODES and STATES are not quoted: each may be several files, or a pattern.
TRIAL = $(if $(JOBS),--jobs $(JOBS)) $(if $(POWER),--power $(POWER)) $(if $(NODES),--nodes $(NODES)) \
	$(if $(STATES),--states $(STATES)) \
	$(if $(OUT),--out "$(OUT)") $(if $(CLUSTER),--cluster "$(CLUSTER)") $(if $(TIME_ZONE),--time-zone "$(TIME_ZONE)") \
	$(if $(filter-out 0,$(NAMES)),--names) $(ARGS)
trial: $(VENV)/.locked
	@$(BIN)/python -m portal.trial $(TRIAL)

run: $(VENV)/.locked
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py load_factors
	@echo "Joulebook is at $$JOULEBOOK_SITE_URL (stop it with Ctrl-C)"
	@$(SERVE)

agent: $(VENV)/.locked
	@$(BIN)/python -m workers.agent.build "$(AGENT)"
	@$(BIN)/python -I -S "$(AGENT)" --version > /dev/null

# Python keeps what it has compiled, whatever the environment says: the tests start hundreds of processes.
test fuzz bench screenshots: export PYTHONDONTWRITEBYTECODE :=
# A folder that goes with the run, in memory where there is room. TMPDIR names another, and what is in it stays.
IN_A_FOLDER = if [ -z "$$TMPDIR" ]; then TMPDIR=$$(mktemp -d "$$($(BIN)/python -m tests.services.room)/jb-XXXXXX") && \
	chmod 1777 "$$TMPDIR" && export TMPDIR && trap 'rm -rf "$$TMPDIR"' EXIT && trap 'exit 130' INT TERM; fi
test: $(VENV)/.locked-dev
	@$(BIN)/python -m tests.services.install
	@$(IN_A_FOLDER) && $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(ARGS)

bench: $(VENV)/.locked-dev
	$(BIN)/python -m tests.bench $(ARGS)

fuzz: $(VENV)/.locked-dev
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal -m hypothesis $(ARGS)

screenshots: $(VENV)/.locked-dev
	@$(BIN)/python -m tests.services.install
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

lint: $(VENV)/.locked-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check
	JOULEBOOK_SITE_URL=https://energy.example.org $(BIN)/python manage.py check --deploy --fail-level WARNING

# The resolver is a tool of the maintainers, not of the site, and stands beside the environment, not in it.
# --no-config keeps what this machine says about packages out of the lock files.
LOCK = $(VENV)/uv/bin/uv --no-config pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--fork-strategy fewest --generate-hashes --upgrade --custom-compile-command "make lock"
lock: $(VENV)/.python
	$(BIN)/python -m venv $(VENV)/uv
	$(VENV)/uv/bin/python -m pip install --quiet uv
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra dev --constraints requirements.lock --output-file requirements-dev.lock

$(VENV)/.python:
	@$(FIND_PYTHON); echo "making $(VENV) with $$python" >&2; $$python -m venv $(VENV) \
	  || { echo "making $(VENV) failed: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.locked: requirements.lock $(VENV)/.python
	@echo "installing the locked dependencies" >&2
	@$(PIP_INSTALL) requirements.lock
	@touch $@

$(VENV)/.locked-dev: requirements-dev.lock $(VENV)/.python
	@echo "installing the locked dependencies, tests included" >&2
	@$(PIP_INSTALL) requirements-dev.lock
	@touch $@ $(VENV)/.locked
