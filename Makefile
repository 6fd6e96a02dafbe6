# make run    the whole job on this machine        make test   every test
# make push   announce the local branch head       make lint   ruff and mypy
# make package  what the cloud runs, as one zip    make bench  how fast, how many requests, how much memory
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

REPO   ?=
BRANCH ?=
PORT   ?= 8080
DATA   ?= .data
GITHUB ?=

# What the puller needs of shared/, and the wheels for the gateway's image (Debian bookworm: Python 3.11, glibc 2.36).
PULLER      := dist/skill-sync-puller.pyz
PULLER_ARCH ?= $(shell uname -m)
PULLER_CODE := $(addprefix shared/,__init__.py core puller config.py errors.py log model.py ports.py running.py \
	setting_files.py setting_reader.py setting_values.py settings.py)
PULLER_PIP  := --only-binary=:all: --implementation cp --python-version 3.11 --platform manylinux_2_34_$(PULLER_ARCH) \
	--platform manylinux_2_28_$(PULLER_ARCH) --platform manylinux2014_$(PULLER_ARCH)

# What Terraform uploads: the same files make the same bytes.
PACKAGE := dist/skill-sync-functions.zip

# The version has one home, which the tests read as well.
NEO4J := $(shell sed -n 's|.*<neo4j.version>\(.*\)</.*|\1|p' tests/neo4j/pom.xml)

.PHONY: run push validate test screenshots bench history fuzz mutants puller package lint format clean
.DEFAULT_GOAL := run

run: $(VENV)/.runtime
	@exec $(BIN)/python -m shared.cli run --repo "$(REPO)" --branch "$(BRANCH)" --port "$(PORT)" --data "$(DATA)" --github "$(GITHUB)"

push: $(VENV)/.runtime
	@$(BIN)/python -m shared.cli push --data "$(DATA)"

test: $(VENV)/.development $(VENV)/.cloud $(VENV)/.node $(VENV)/.puller $(VENV)/.neo4j $(VENV)/.chromium $(VENV)/.terraform
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

screenshots: $(VENV)/.development $(VENV)/.node $(VENV)/.chromium
	$(BIN)/python -m pytest tests/browser
	$(BIN)/python -m tests.browser

bench: $(VENV)/.development $(VENV)/.cloud $(VENV)/.puller $(VENV)/.neo4j
	$(BIN)/python -m tests.bench $(ARGS)

history: $(VENV)/.development
	$(BIN)/python -m tests.history --repo "$(REPO)" --branch "$(BRANCH)" $(ARGS)

validate: $(VENV)/.runtime
	@$(BIN)/python -m shared.cli validate "$(REPO)" $(ARGS)

fuzz: $(VENV)/.fuzzing
	$(BIN)/python -m tests.fuzz $(ARGS)

mutants: $(VENV)/.mutation
	$(BIN)/python -m tests.mutation

puller: $(PULLER)

package:
	@$(PYTHON) infra/package.py $(PACKAGE)

lint: $(VENV)/.development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.development
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) tests/node/node_modules .mypy_cache .ruff_cache .hypothesis build dist mutants

# A stamp is written only after everything is installed: an interrupted install is done again.
$(VENV)/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "skill-sync needs Python 3.11 or newer; name one with PYTHON=" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# What the cloud has, and nothing else: the functions are started with it as they will run there. The copy tells what is installed.
$(VENV)/.cloud: requirements.txt $(VENV)/.runtime
	rm -rf $(VENV)/cloud
	$(PYTHON) -m venv $(VENV)/cloud
	$(VENV)/cloud/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@cp requirements.txt $(VENV)/cloud/ && touch $@

# GitHub's own example payloads, and more from npm. Without it the tests that need them are skipped, and say so.
$(VENV)/.node: tests/node/package.json $(VENV)/.runtime
	@if command -v npm >/dev/null; then npm install --prefix tests/node --no-package-lock --no-audit --no-fund --ignore-scripts --silent; \
	else echo "npm not found: the tests on GitHub's example payloads, and those in a browser, will be skipped" >&2; fi
	@touch $@

# A real browser. Root gets Debian's, and is told so; whoever is not root brings Chromium with chromedriver on PATH. Without
# them the tests in a browser are skipped, in CI they fail.
$(VENV)/.chromium: $(VENV)/.runtime
	@if command -v chromedriver >/dev/null && { command -v chromium || command -v google-chrome; } >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing chromium and chromium-driver, for the tests in a browser" >&2; \
		apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			chromium chromium-driver fonts-dejavu-core >&2; \
	else echo "no chromium with chromedriver on PATH: the tests in a browser will be skipped" >&2; fi && touch $@ \
	|| { echo "Chromium could not be installed: the tests in a browser cannot run" >&2; test -z "$$CI"; }

# Neo4j's Community server. The folder appears whole or not at all; what could not be fetched is tried again the next time.
# Without Maven and Java, docker's image serves; without all of them the tests that need a server are skipped, in CI they fail.
$(VENV)/.neo4j: tests/neo4j/pom.xml $(VENV)/.runtime
	@rm -rf $(VENV)/neo4j $(VENV)/neo4j.part
	@if command -v mvn >/dev/null && command -v java >/dev/null; then \
		mvn --quiet --batch-mode --file tests/neo4j/pom.xml dependency:copy-dependencies \
			-DoutputDirectory="$(CURDIR)/$(VENV)/neo4j.part" >&2 && mv $(VENV)/neo4j.part $(VENV)/neo4j; \
	elif command -v docker >/dev/null; then docker pull --quiet "neo4j:$(NEO4J)-community" >&2; \
	else echo "neither Maven with Java nor docker found: the tests on a real Neo4j need one of them" >&2; fi && touch $@ \
	|| { echo "Neo4j could not be fetched: the tests on a real one cannot run" >&2; test -z "$$CI"; }

$(PULLER): $(VENV)/.development requirements.txt Makefile $(shell find $(PULLER_CODE) -name '*.py')
	rm -rf build/puller
	mkdir -p build/puller/shared dist
	grep -E '^(cryptography|httpx)==' requirements.txt > build/puller.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target build/puller $(PULLER_PIP) -r build/puller.txt
	cp -r $(PULLER_CODE) build/puller/shared/
	find build/puller -name __pycache__ -prune -exec rm -rf {} +
	$(BIN)/shiv --reproducible --compressed --python '/usr/bin/env python3' --site-packages build/puller \
		--entry-point shared.puller.__main__:main --output-file $@

# One file for Linux hosts; elsewhere the tests on it are skipped, and say so.
$(VENV)/.puller: $(VENV)/.development
	@if [ "$$(uname -s)" = Linux ]; then $(MAKE) --no-print-directory $(PULLER); \
	else echo "not Linux: the tests on the packaged puller will be skipped" >&2; fi
	@touch $@

# Terraform and checkov, each in an environment of its own: what they need acts on the functions' libraries. Where there is no
# Terraform for the machine, the tests on it are skipped, and say so; in CI they fail.
$(VENV)/.terraform: $(VENV)/.runtime tests/terraform/requirements.txt tests/terraform/checkov.txt
	@{ $(PYTHON) -m venv $(VENV)/terraform && $(PYTHON) -m venv $(VENV)/checkov && \
		$(VENV)/terraform/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -r tests/terraform/requirements.txt && \
		$(VENV)/checkov/bin/python -m pip install --quiet --no-compile --disable-pip-version-check -r tests/terraform/checkov.txt && touch $@; } \
	|| { echo "Terraform or checkov could not be installed: the tests on infra/terraform cannot run" >&2; test -z "$$CI"; }

$(VENV)/.fuzzing: $(VENV)/.development tests/fuzz/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/fuzz/requirements.txt
	@touch $@

$(VENV)/.mutation: $(VENV)/.development tests/mutation/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/mutation/requirements.txt
	@touch $@

$(VENV)/.development: $(VENV)/.runtime tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@
