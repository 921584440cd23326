# Two commands for a newcomer: `make demo` and `make test`. Everything else is for the people who work here.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TOOLS := .tools
ARGS ?=

.PHONY: demo test scenario tryton beancount lint types imports deps check bench simulate soak kill lock clean

$(VENV)/.installed: requirements/orderhub.lock pyproject.toml .ci/install
	PYTHON=$(PYTHON) VENV=$(VENV) bash .ci/install
	touch $@

install: $(VENV)/.installed

demo: $(VENV)/.installed $(TOOLS)/tryton/.installed
	$(BIN)/orderhub demo $(ARGS)

test: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n auto --dist loadscope tests/unit tests/contract tests/dags $(ARGS)

scenario: $(VENV)/.installed $(TOOLS)/mitmproxy/.installed $(TOOLS)/tryton/.installed
	$(BIN)/python -m pytest -v tests/scenario tests/simulation $(ARGS)

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
	@$(BIN)/python -m bench $(ARGS)

# The engine under faults, from seeds; ARGS="--seeds 2000 --start 0 --json", ARGS="--replay 117 --shrink", ARGS="--help".
simulate: $(VENV)/.installed
	$(BIN)/python -m simulation $(ARGS)

# Days of machine time: random schedules, every single fault and the pairs, every broken engine, vendors that break their timing.
soak: $(VENV)/.installed
	$(BIN)/python -m simulation --seeds 100000 --exhaustive --pairs --mutants --timing 2000 $(ARGS)
	$(BIN)/python -m simulation --seeds 10000 --upheavals $(ARGS)

# Workers and the database killed at random; 50 kills, ARGS="--kills 1000" for the nightly run.
kill: $(VENV)/.installed $(TOOLS)/mitmproxy/.installed
	$(BIN)/python -m chaos $(ARGS)

# The proxy of `make kill` pins versions that Airflow cannot use, so it has an environment of its own. Without it the
# vendors' own fault knob loses the replies, and the report says so.
$(TOOLS)/mitmproxy/.installed: requirements/mitmproxy.lock $(VENV)/.installed
	$(BIN)/python -m venv $(TOOLS)/mitmproxy
	if $(BIN)/uv pip sync --quiet --python $(TOOLS)/mitmproxy/bin/python --require-hashes requirements/mitmproxy.lock; \
	  then touch $@; else rm -rf $(TOOLS)/mitmproxy; echo "mitmproxy could not be installed; going on without it"; fi

# The ERP of demo and scenarios: GPL-3, so it has an environment and processes of its own and is spoken to over HTTP.
$(TOOLS)/tryton/.installed: requirements/tryton.lock $(VENV)/.installed
	$(BIN)/python -m venv $(TOOLS)/tryton
	if $(BIN)/uv pip sync --quiet --python $(TOOLS)/tryton/bin/python --require-hashes requirements/tryton.lock; \
	  then touch $@; $(BIN)/python -m cli.erp || true; else rm -rf $(TOOLS)/tryton; echo "Tryton could not be installed; going on without it"; fi

tryton: $(TOOLS)/tryton/.installed

# Checks the ledger file. GPL-2, so an environment and a process of its own.
$(TOOLS)/beancount/.installed: requirements/beancount.lock $(VENV)/.installed
	$(BIN)/python -m venv $(TOOLS)/beancount
	if $(BIN)/uv pip sync --quiet --python $(TOOLS)/beancount/bin/python --require-hashes requirements/beancount.lock; \
	  then touch $@; else rm -rf $(TOOLS)/beancount; echo "Beancount could not be installed; going on without it"; fi

beancount: $(TOOLS)/beancount/.installed

# One universal lock for Python 3.11-3.13; it holds hashes and no index address.
lock: $(VENV)/.installed
	$(BIN)/uv pip compile requirements/dev.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate -o requirements/orderhub.lock

clean:
	rm -rf .venv .tools/mitmproxy .tools/tryton .tools/beancount .orderhub
