# The two commands of the README, for a machine that has python3 with venv and pip and nothing else.
# `make run` sets up and starts everything on this machine; `make test` sets up and runs the tests.

PYTHON ?= python3
PORT ?= 8000
NATS_PORT ?= 4222
DEVNET_PORT ?= 9944
BLOCK_TIME ?= 2
TESTS ?=

BIN := .venv/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python

# A .venv that was left half-made, or that an older Python made, is made again from the start.
IS_FIT := import sys; sys.exit(sys.version_info < (3, 11))
VENV_IS_FIT := $(shell $(BIN)/python -c '$(IS_FIT)' 2>/dev/null && $(UV) --version >/dev/null 2>&1 && echo yes)

.PHONY: run test lint audit lock clean
ifneq ($(VENV_IS_FIT),yes)
.PHONY: $(UV)
endif

run: .venv/.service
	@exec $(BIN)/pylon up --devnet --port $(PORT) --nats-port $(NATS_PORT) \
		--devnet-port $(DEVNET_PORT) --block-time $(BLOCK_TIME) $(if $(PYLON_HOME),--home "$(PYLON_HOME)")

test: .venv/.dev
	$(BIN)/nox --no-error-on-missing-interpreters -s test -- $(TESTS)

lint: .venv/.dev
	$(BIN)/nox -s lint types imports client_alone

audit: .venv/.dev
	$(BIN)/nox -s audit

$(UV): requirements/bootstrap.txt
ifneq ($(VENV_IS_FIT),yes)
	@$(PYTHON) -c '$(IS_FIT)' || { echo "Pylon needs Python 3.11 or later, and $(PYTHON) is not:" \
		"name another one, as in 'make run PYTHON=python3.11'." >&2; exit 1; }
	@echo "Setting up .venv …"
	$(PYTHON) -m venv --clear .venv
endif
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/bootstrap.txt
	@touch $(UV)

.venv/.service: $(UV) requirements/service.txt pyproject.toml
	@echo "Installing the service …"
	$(INSTALL) --compile-bytecode --require-hashes -r requirements/service.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: $(UV) requirements/dev.txt pyproject.toml
	@echo "Installing the service and its tests …"
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@ .venv/.service

# Resolve the locked requirements again, after a change of pyproject.toml.
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
lock: $(UV)
	$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(COMPILE) requirements/audit.in -o requirements/audit.txt
	$(COMPILE) pyproject.toml -o requirements/client.txt
	$(COMPILE) pyproject.toml requirements/build.in --extra service -o requirements/service.txt
	$(COMPILE) pyproject.toml requirements/build.in --extra dev -o requirements/dev.txt

clean:
	rm -rf .venv .nox
