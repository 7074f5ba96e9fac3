# Two commands: `make scan P=path` and `make test`. Both make .venv first; nothing else needs installing.
PYTHON ?= python3
P ?= fixtures/seedless_trainer
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: scan test lint types docs precision clean

scan: $(VENV)/.installed
	@$(BIN)/mldebt scan "$(P)" $(ARGS) || test $$? -eq 1

test: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n 2

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.tested
	$(BIN)/mypy

docs: $(VENV)/.tested
	$(BIN)/mkdocs build --strict

precision: $(VENV)/.installed
	@$(BIN)/python benchmarks/precision.py

# pip's own progress is hidden, its errors are not. The stamps make a second call start at once.
$(VENV)/.installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.tested: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
