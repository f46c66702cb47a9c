# make run   the whole chain on the embedded digits
# make test  every check, without the tests that compile training steps
# make test-fast     the tests of less than a second each
# make test-compile  the tests that compile training steps
# make docs  the tables that commands write into pages
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.PHONY: run test test-fast test-compile docs clean

run: $(VENV)/installed
	$(BIN)/kedro run --pipeline=samix_ssl

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

test-fast: $(VENV)/installed-dev
	$(BIN)/pytest -m fast --durations=10 --durations-min=1

test-compile: $(VENV)/installed-dev
	$(BIN)/pytest -m "compile and not long"

docs: $(VENV)/installed
	$(BIN)/samix table policies --into docs/policies.md

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# the stamps tell that the environment is up to date with the two files
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -e . -c constraints.txt
	touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -e ".[dev]" -c constraints.txt
	touch $(VENV)/installed $@
