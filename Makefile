# Each target is one visible command; `make help` lists them.
# PYTHON=python3.13 chooses an interpreter, T=tests/oauth chooses tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
DISTRIBUTIONS := . $(patsubst %/pyproject.toml,%,$(wildcard clients/verifier/pyproject.toml))
EDITABLE := $(foreach folder,$(DISTRIBUTIONS),-e $(folder))
PROJECTS := $(patsubst %,%/pyproject.toml,$(DISTRIBUTIONS))
LOCK := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
	--no-emit-find-links --no-emit-index-url
CHECKED := authserver benchmarks clients tests conftest.py
T ?= tests/oauth

ifdef UV
PIP := $(UV) pip install --quiet --python $(VENV)
else
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

# Tests start hundreds of processes: where an image forbids bytecode, each would compile the whole program again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run install test test-again test-fast test-faults test-browser test-browser-again test-browser-full check bench fmt messages lock audit

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-26s%s\n", $$1, $$2 }'

run: install ## install, then start a demo issuer with a sample API and a sample app
	$(BIN)/authserver dev

install: $(VENV)/.installed-runtime ## make .venv from the locked, hashed requirements

test: $(VENV)/.installed-test ## every test that needs no browser, on SQLite and on PostgreSQL
	$(BIN)/pytest -n auto -m "not browser and not long" --ignore tests/oauth
	$(BIN)/pytest -n auto tests/oauth --cov authserver/oauth --cov-report term --cov-fail-under 100

test-again: $(VENV)/.installed-test ## what failed last, one after another, and the protocol's coverage
	$(BIN)/pytest --last-failed --last-failed-no-failures none -p no:randomly -m "not browser and not long" tests clients
	$(BIN)/pytest -n auto tests/oauth --cov authserver/oauth --cov-report term --cov-fail-under 100

test-fast: $(VENV)/.installed-test ## chosen tests on SQLite: make test-fast T=tests/oauth
	$(BIN)/pytest -q -x -k "not postgresql" $(T)

test-faults: $(VENV)/.installed-test ## the long faults: make test-faults F="--fault-seconds 60 --fault-kills 100"
	$(BIN)/pytest -m long tests $(F)

test-browser: $(VENV)/.installed-browser ## click through the demo in Chromium
	$(BIN)/pytest -m "browser and not full" tests

test-browser-again: $(VENV)/.installed-browser ## what failed last of these, in the order of the files
	$(BIN)/pytest --last-failed --last-failed-no-failures none -p no:randomly -m "browser and not full" tests

test-browser-full: $(VENV)/.installed-browser ## the same with every page in every width, colour and language
	$(BIN)/pytest -m "browser and not full" tests
	$(BIN)/pytest -n auto -m full tests

check: $(VENV)/.installed-test ## lint, format, types, import contracts, rows of the requirements that no test holds
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.architecture.requirement_rows

bench: $(VENV)/.installed-test ## CPU per request on SQLite and PostgreSQL: make bench B="--quick --only refresh"
	$(BIN)/python -m benchmarks.measure $(B)

fmt: $(VENV)/.installed-test ## format the code and mend what can be mended
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

messages: $(VENV)/.installed-test ## collect the words of pages and mails, and compile the catalogues
	$(BIN)/python -m tests.language.messages

lock: ## resolve the requirements again (needs uv)
	$(LOCK) pyproject.toml --group build -o requirements/runtime.txt
	$(LOCK) pyproject.toml --group build --group test -c requirements/runtime.txt -o requirements/test.txt
	$(LOCK) pyproject.toml --group build --group test --group browser -c requirements/test.txt -o requirements/browser.txt
	$(LOCK) pyproject.toml --group audit -c requirements/test.txt -o requirements/audit.txt

audit: $(VENV)/.installed-audit ## known vulnerabilities and an SBOM (needs an advisory service)
	mkdir -p dist
	$(BIN)/pip-audit --disable-pip --require-hashes -r requirements/runtime.txt --format cyclonedx-json --output dist/sbom.json

# --- how the environment is made ---------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is missing or older than 3.11. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
ifdef UV
	$(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
else
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "This Python has no venv. On Debian or Ubuntu: apt install" \
			"$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; exit 1; }
	$(PYTHON) -m venv $(VENV)
endif

# Two steps: pip checks hashes or takes -e, never both.
$(VENV)/.installed-%: requirements/%.txt $(PROJECTS) | $(BIN)/python
	$(PIP) --require-hashes -r $<
	$(PIP) --no-deps --no-build-isolation $(EDITABLE)
	@touch $@
