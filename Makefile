# Needs Python 3.11 or newer and make. Everything else is installed into .venv by the first target run.
# Another interpreter: make PYTHON=python3.13 test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ENGINE ?= docker
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' agent/__init__.py)
REVISION = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
IMAGE ?= botkube-analytics:$(VERSION)
COMPILE = build/lock/bin/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras \
  --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-report test test-cluster test-image faults bench fleet lint fmt lock manifests wheel image sbom \
  clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "make %-12s %s\n", $$1, $$2 }'

venv: $(STAMP) ## make .venv with the agent and its tools

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "botkube-analytics needs Python 3.11 or newer and found: $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.13 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) cannot make a virtual environment (Debian and Ubuntu: install python3-venv)." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP) ## run the agent against a simulated cluster and a local collector, about a minute
	$(BIN)/python -m tests.demo

demo-report: $(STAMP) ## write the report on a simulated fleet and open it, about a minute
	mkdir -p build/report
	$(BIN)/python -m tests.fleet --installations 300 --days 35 --seed 1 -o build/report/events.ndjson
	$(BIN)/botkube-analytics report build/report/events.ndjson -o build/report/report.html
	@test ! -t 1 || $(BIN)/python -m webbrowser "file://$(CURDIR)/build/report/report.html"

# Three processes to a core of CI's: most wait most of the time, and each pays for its own imports.
# Bytecode is kept, for each of the many agents that are started would compile all of it again.
test: $(STAMP) ## run the default test suite
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 6

# Go builds its programs into .cache on first use.
test-cluster: $(STAMP) ## run the agent against a real API server, about sixteen minutes
	$(BIN)/python -m tests.cluster.binaries
	$(BIN)/python -m pytest -m cluster tests/cluster

# Another seed each time; a failure names its own. FAULTS_FROM=... repeats a whole run.
FAULTS_FROM ?= $(shell date +%s)
faults: $(STAMP) ## play other schedules of faults than the default suite, about an hour
	@echo "schedules from seed $(FAULTS_FROM)"
	FAULTS_FROM=$(FAULTS_FROM) FAULTS_SCHEDULES=20000 FAULTS_SIMULATIONS=1600 FAULT_SEEDS=60 \
	  FAULTS_EXAMPLES=1000 HYPOTHESIS_PROFILE=search \
	  $(BIN)/python -m pytest --numprocesses 6 --timeout 3600 -m 'not cluster' tests/faults

# BENCH_JSON=FILE writes the same as JSON. BENCH_ONLY="matching path fleet start" chooses parts, BENCH_MIB the
# size of logs, BENCH_TURNS how often each is measured, BENCH_SECONDS how long is idled, BENCH_CONTAINERS how many.
bench: $(STAMP) ## measure speed, CPU and memory beside grep, ripgrep, mtail, curl and kubectl, about half an hour
	$(BIN)/python -m tests.bench

# FLEET_WINDOW is the length of a window in seconds. One line for each day; ends with 1 if any answer is not true.
FLEET_INSTALLATIONS ?= 10000
FLEET_DAYS ?= 90
FLEET_WINDOW ?= 3600
FLEET_SEED ?= 1
fleet: $(STAMP) ## hold the warehouse's answers about 10,000 simulated installations against the truth, about two hours
	$(BIN)/python -m tests.fleet.proof --installations $(FLEET_INSTALLATIONS) --days $(FLEET_DAYS) \
	  --window-seconds $(FLEET_WINDOW) --seed $(FLEET_SEED)

lint: $(STAMP) ## check format, lint, types and import direction
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(STAMP) ## format and apply safe lint fixes
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: ## resolve requirements*.txt for the image anew, with hashes
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet --disable-pip-version-check 'pip-tools>=7.6,<8'
	$(COMPILE) --output-file requirements.txt pyproject.toml
	$(COMPILE) --only-build-deps --build-deps-for wheel --output-file requirements-build.txt pyproject.toml
	echo 'cyclonedx-python-lib>=11,<12' | $(COMPILE) --output-file requirements-sbom.txt -

manifests: $(STAMP) ## render deploy/manifests from the chart, with helm, which Go builds on first use
	$(BIN)/python -m tests.manifests --write

wheel: $(STAMP) ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

# Behind a proxy that inspects TLS, CA_FILE names its certificate (PEM) for pip; it stays out of the image.
# PYTHON_IMAGE is another base, PLATFORM another architecture (linux/arm64), BUILD_FLAGS what else the engine takes.
image: ## build the container image (ENGINE=docker, podman or buildah)
	$(if $(CA_FILE),@test -s $(CA_FILE) || { echo "CA_FILE=$(CA_FILE) is no file with a certificate" >&2; exit 1; })
	$(ENGINE) build --tag $(IMAGE) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) \
	  $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) $(if $(PLATFORM),--platform $(PLATFORM)) \
	  $(if $(CA_FILE),--build-arg CA_PEM="$$(cat $(CA_FILE))") $(BUILD_FLAGS) .

test-image: $(STAMP) ## build the image and run it against the simulated API, about three minutes
	$(BIN)/python -m tests.image.engine
	$(BIN)/python -m pytest -m image tests/image

sbom: ## copy the list of what the image holds into dist/ (ENGINE=docker or podman)
	mkdir -p dist
	container=$$($(ENGINE) create $(IMAGE)) || exit 1; \
	  $(ENGINE) cp $$container:/sbom.cdx.json dist/botkube-analytics-$(VERSION).cdx.json; copied=$$?; \
	  $(ENGINE) rm $$container; exit $$copied

clean: ## remove .venv and everything built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
