# One obvious command for each habit. Needs Python >= 3.11 and make; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: serve test quick check format bench clean

serve: .venv/ready        ## run the service on likes.db, http://127.0.0.1:8080
	$(BIN)/likewise serve

test: .venv/ready         ## the whole suite
	$(BIN)/python -m pytest

quick: .venv/ready        ## the inner loop: everything that is fast
	$(BIN)/python -m pytest -m "not slow" -x -n 2

check: .venv/ready        ## style, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest tests/unit/test_imports.py

format: .venv/ready       ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready        ## the figures, each beside its limit (about 30 minutes; BENCH="hot-puts count-reads" for some)
	$(BIN)/python -m bench $(BENCH)

clean:                    ## remove what the above made
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis bench/results bench/work

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "likewise needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@
