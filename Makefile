# Everything that one does here. It needs make and Python 3.11 or newer; the rest comes from the package registry, by hash.

PYTHON ?= python3
VENV   ?= .venv
CONFIG ?= examples/quickstart.yaml
STATE  ?=
JOBS   ?= 4
ARGS   ?=
FUZZ   ?= 600
BUILD  ?= 2700

BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check
# A stamp is newer than all that it was made from, so a second start does nothing.
MADE := $(VENV)/.made
RUN  := $(VENV)/.run
DEV  := $(VENV)/.dev
K8S  := $(VENV)/.k8s
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' --no-annotate --no-emit-index-url $(if $(UPGRADE),--upgrade)

# File by file, in the order of tests/conftest.py: the longest first. Two jobs for each processor of the smallest machine: tests of whole
# gateways wait for much, and all tests together take less than half of the time of two processors.
SPREAD := -n $(JOBS) --dist loadfile --no-loadscope-reorder

SOURCES := bench extproc filters tests
LINTERS := ruff format types imports dockerfile

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-k8s test-platforms test-manifests apiserver bench bench-peers faults fuzz counts check lint $(LINTERS) lock protos golden clean

help: ## What there is to do
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=$(PYTHON)  which Python makes the environment"
	@echo "  CONFIG=$(CONFIG)  what \`make run\` serves;  STATE=...  where it keeps what it knows, instead of where the configuration says"
	@echo "  ARGS=...  more arguments for pytest or the benchmark, such as ARGS='-k cache';  JOBS=$(JOBS)  tests at once"

run: $(RUN) ## Start the gateway, with Envoy and all; Ctrl-C stops it
	@exec $(BIN)/headgate up "$(CONFIG)" $(if $(STATE),--state "$(STATE)")

test: $(DEV) ## Run all tests
	@$(BIN)/python -m pytest $(SPREAD) $(ARGS)

test-k8s: $(K8S) apiserver ## Run the tests of what runs in Kubernetes, on a real API server
	@$(BIN)/python -m tests.k8s.checkov
	@$(BIN)/python -m pytest tests/k8s -n 2 --dist loadfile $(ARGS)

test-manifests: $(K8S) ## Those of them that need no API server
	@$(BIN)/python -m tests.k8s.checkov
	@$(BIN)/python -m pytest tests/k8s -n 2 --dist loadfile -m "not cluster" $(ARGS)

test-platforms: $(K8S) ## Build Envoy Gateway's own translator of Go modules (ten minutes, once), and run requests through what it makes of ours
	@$(BIN)/python -m tests.platforms.egctl $(BUILD)
	@$(BIN)/python -m pytest tests/platforms $(ARGS)

apiserver: $(K8S) ## Build that API server, with etcd, of Go modules into build/k8s; ten minutes, once, and no more than BUILD=2700 seconds
	@$(BIN)/python -m tests.k8s.apiserver $(BUILD)

bench: $(DEV) ## Measure how fast it is, on this machine: docs/benchmarks (ARGS='--quick', ARGS='--help')
	@$(BIN)/python -m bench $(ARGS)

bench-peers: $(DEV) ## The same beside LiteLLM, Portkey and TensorZero, which it installs into .peers (1 GB)
	@$(BIN)/python -m bench.peers.install
	@$(BIN)/python -m bench --peers $(ARGS)

faults: $(DEV) ## Break things on purpose, under load, and see what becomes of requests: docs/reliability.md (ARGS='--list')
	@$(BIN)/python -m bench.faults $(ARGS)

fuzz: $(DEV) ## Look for bytes that break the transport, for FUZZ=600 seconds; what was new is kept in build/fuzz
	@mkdir -p build/fuzz
	@$(BIN)/python -m tests.fuzz.seeds build/seeds
	@$(BIN)/python -m tests.fuzz.http2_connection -max_total_time=$(FUZZ) -max_len=4096 -artifact_prefix=build/ build/fuzz build/seeds

counts: $(DEV) ## Count instructions per request under valgrind, against the limits in bench/counts.py
	@$(BIN)/python -m bench.counts

check: lint test ## Everything: lint, types, imports, Dockerfile, tests

lint: $(LINTERS) ## Everything but the tests

ruff: $(DEV)
	$(BIN)/ruff check

format: $(DEV)
	$(BIN)/ruff format --check

types: $(DEV)
	$(BIN)/mypy

imports: $(DEV)
	$(BIN)/lint-imports

dockerfile: $(DEV)
	$(BIN)/hadolint Dockerfile

lock: $(DEV) ## Write the lock files anew (UPGRADE=1: with the newest versions)
	$(LOCK) --group build --output-file requirements-build.lock
	$(LOCK) pyproject.toml --extra all --constraints requirements-build.lock --output-file requirements.lock
	$(LOCK) pyproject.toml --extra all --group build --group dev --constraints requirements-build.lock --constraints requirements.lock \
	  --output-file requirements-dev.lock
	$(LOCK) --group k8s --constraints requirements-dev.lock --output-file requirements-k8s.lock
	$(LOCK) tests/k8s/checkov.in --output-file tests/k8s/checkov.lock
	$(LOCK) bench/peers/litellm.in --output-file bench/peers/litellm.lock
	$(LOCK) bench/peers/tensorzero.in --output-file bench/peers/tensorzero.lock

protos: $(DEV) ## Compile extproc/wire/*.proto
	$(BIN)/python -m grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. extproc/wire/*.proto

golden: $(DEV) ## Write the golden files anew; look at the difference before you commit it
	$(BIN)/python -m pytest $(SPREAD) --update $(ARGS)

clean: ## Remove what was made here, but for the state folder
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# Nothing else is printed until it is done, but for what goes wrong, in full.
says = echo "Installing the $$(cat $(1) | grep -c '^[a-z].*==') packages of $(firstword $(1)) into $(VENV); this may take $(2), once ..."

# The environment. `--require-hashes`: what is installed is what was locked, to the byte.

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Headgate needs Python 3.11 or newer, and \`$(PYTHON)\` is $$($(PYTHON) --version 2>/dev/null || echo not there)."; \
	  echo "Name another one: make PYTHON=python3.13 ..."; exit 1; } >&2
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "\`$(PYTHON)\` cannot make a virtual environment: venv or ensurepip is missing."; \
	  echo "Debian and Ubuntu have them in a package of their own: apt-get install python3-venv"; exit 1; } >&2
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUN): $(MADE) requirements.lock requirements-build.lock pyproject.toml
	@$(call says,requirements.lock requirements-build.lock,one to three minutes)
	@$(PIP) install --quiet --require-hashes -r requirements.lock -r requirements-build.lock
	@$(PIP) install --quiet --no-build-isolation --no-deps -e .
	@touch $@

$(DEV): $(MADE) requirements-dev.lock pyproject.toml
	@$(call says,requirements-dev.lock,two to five minutes)
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@$(PIP) install --quiet --no-build-isolation --no-deps -e .
	@touch $@ $(RUN)

$(K8S): $(DEV) requirements-k8s.lock
	@$(call says,requirements-k8s.lock,one or two minutes)
	@$(PIP) install --quiet --require-hashes -r requirements-k8s.lock
	@touch $@
