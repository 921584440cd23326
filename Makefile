# Two commands for a newcomer: `make demo` and `make test`. Everything else is for the people who work here.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test scenario lint types imports deps check bench simulate soak kill lock clean

$(VENV)/.installed: requirements/orderhub.lock pyproject.toml .ci/install
	PYTHON=$(PYTHON) VENV=$(VENV) bash .ci/install
	touch $@

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/orderhub demo $(ARGS)

test: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n auto --dist loadscope tests/unit tests/contract tests/dags $(ARGS)

scenario: $(VENV)/.installed
	$(BIN)/python -m pytest -v tests/scenario $(ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

imports: $(VENV)/.installed
	$(BIN)/lint-imports

deps: $(VENV)/.installed
	$(BIN)/deptry .

check: lint types imports deps

bench: $(VENV)/.installed
	$(BIN)/python -m bench $(ARGS)

# One universal lock for Python 3.11-3.13; it holds hashes and no index address.
lock: $(VENV)/.installed
	$(BIN)/uv pip compile requirements/dev.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate -o requirements/orderhub.lock

clean:
	rm -rf .venv .orderhub
