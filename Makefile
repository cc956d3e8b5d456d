# The front door. Every target works on a fresh checkout; what is missing is installed first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced
# pytest-xdist's workers; two share the test bed well on two cores.
WORKERS ?= 4
export PYTHONPATH := tests

.PHONY: help
help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

# What is missing of the system is named, or installed by root, before anything is downloaded or built.
.PHONY: packages python
packages python:
	@$(PYTHON) -m testbed.packages $(filter python,$@)

$(STAMP): requirements/dev.txt requirements/uv.txt pyproject.toml | python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt requirements/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: setup
setup: packages $(STAMP)  ## Install all that development needs: Python packages, system programs, the test bed
	$(BIN)/python -m testbed install

.PHONY: demo
demo: packages $(STAMP)  ## One CloudImage from kubectl apply to a booted server and back; KEEP=1 leaves the bed up
	$(BIN)/python -m testbed install kubernetes openstack sources
	$(BIN)/python -m testbed.demo

.PHONY: demo-boot
demo-boot: packages $(STAMP)  ## An image is Ready only after its server has booted and said so; as root
	$(BIN)/python -m testbed install kubernetes boot sources
	$(BIN)/python -m testbed.demo_boot

PYTEST = $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: test
test: setup  ## Unit, cloud, cluster and chart tests on real servers
	$(PYTEST) -m "not slow" tests

.PHONY: test-all
test-all: setup  ## The same, and those marked slow: longer ones and further variants, with coverage
	rm -f .coverage .coverage.*
	$(PYTEST) --cov --cov-report= tests
	$(BIN)/coverage report --fail-under 85

.PHONY: test-unit
test-unit: packages $(STAMP)  ## The tests that need no server
	$(PYTEST) -m "not slow" tests/unit

# Debian's and Ubuntu's releases by the Python that they have: 3.11, 3.12, 3.13, 3.14.
SUITES ?= bookworm noble trixie resolute
SUITE ?= bookworm
.PHONY: fresh
fresh:  ## The README's two commands on a machine that has nothing: SUITE=trixie; as root
	tools/fresh-machine --suite $(SUITE)

.PHONY: test-pythons
test-pythons:  ## The unit tests under each Python of SUITES, on machines that have nothing; as root
	set -e; for suite in $(SUITES); do tools/fresh-machine --suite $$suite 'make test-unit'; done

.PHONY: test-kind
test-kind: packages $(STAMP)  ## The chart's own pod on a real cluster of kind, with a Docker or without; as root
	$(BIN)/python -m testbed install openstack sources kind
	$(BIN)/pytest --cluster=kind tests/cluster/test_whole.py

.PHONY: image
image: $(STAMP)  ## Build the container image without a registry, on Debian made here; as root
	$(BIN)/python -m testbed install whole

.PHONY: lint
lint: $(STAMP)  ## Format check, lint, types, import rules, generated files, wording
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/cloudimage crds --check
	$(BIN)/python tools/wording.py

.PHONY: format
format: $(STAMP)  ## Format the code and mend what ruff can mend by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: crds
crds: $(STAMP)  ## Generate the CRDs, the chart's copy, the references, the page of the metrics
	$(BIN)/cloudimage crds

.PHONY: docs
docs: $(STAMP)  ## Build the site of docs/ into site/, every warning an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

CLI_URL ?= https://downloads.example.org/cloudimage-operator
.PHONY: cli
cli: $(STAMP)  ## The commands as one file, and what krew installs, into dist/; CLI_URL is where you publish it
	$(BIN)/python tools/cli.py --url $(CLI_URL)

.PHONY: bench
bench: setup  ## Measure transfers against what a user would do otherwise
	$(BIN)/python -m bench

.PHONY: lock
lock: $(STAMP)  ## Resolve the dependencies again, into requirements/
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --output-file requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --group dev --output-file requirements/dev.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --group container --output-file requirements/container.txt
	echo uv | $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header - --output-file requirements/uv.txt

.PHONY: testbed-up testbed-down testbed-status
testbed-up: setup  ## Start Kubernetes, OpenStack and the source server on loopback
	$(BIN)/python -m testbed up
testbed-down: $(STAMP)  ## Stop them without a trace
	$(BIN)/python -m testbed down
testbed-status: $(STAMP)  ## Show what runs where
	$(BIN)/python -m testbed status

.PHONY: clean
clean:  ## Stop the test bed and remove what was made here; the per-user cache stays
	test ! -x $(BIN)/python || $(BIN)/python -m testbed down
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist site
