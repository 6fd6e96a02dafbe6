# make run    the whole job on this machine        make test   every test
# make push   announce the local branch head       make lint   ruff and mypy
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

REPO   ?=
BRANCH ?=
PORT   ?= 8080
DATA   ?= .data

.PHONY: run push test lint format clean
.DEFAULT_GOAL := run

run: $(VENV)/.runtime
	@exec $(BIN)/python -m shared.cli run --repo "$(REPO)" --branch "$(BRANCH)" --port "$(PORT)" --data "$(DATA)"

push: $(VENV)/.runtime
	@$(BIN)/python -m shared.cli push --data "$(DATA)"

test: $(VENV)/.development
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.development
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis

# A stamp is written only after everything is installed: an interrupted install is done again.
$(VENV)/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "skill-sync needs Python 3.11 or newer; name one with PYTHON=" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.development: $(VENV)/.runtime tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@
