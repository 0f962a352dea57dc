# The commands of the README, for a machine that has python3 with venv and pip and nothing else.
# Each sets up .venv first. `make help` lists them.

PYTHON ?= python3
PORT ?= 8000
NATS_PORT ?= 4222
DEVNET_PORT ?= 9944
BLOCK_TIME ?= 2
TESTS ?=

BIN := .venv/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
CLIENT := distributions/client
INSTALL_PYLON := $(INSTALL) --no-deps --no-build-isolation --editable $(CLIENT) --editable .

# An incomplete .venv, or one of an older Python, is created again.
IS_FIT := import sys; sys.exit(sys.version_info < (3, 11))
VENV_IS_FIT := $(shell $(BIN)/python -c '$(IS_FIT)' 2>/dev/null && $(UV) --version >/dev/null 2>&1 && echo yes)

.PHONY: help run test check lint audit sbom lock clean
ifneq ($(VENV_IS_FIT),yes)
.PHONY: $(UV)
endif

run: .venv/.service ## start everything on this machine, with a simulated chain (PORT, NATS_PORT, …)
	@exec $(BIN)/pylon up --devnet --port $(PORT) --nats-port $(NATS_PORT) \
		--devnet-port $(DEVNET_PORT) --block-time $(BLOCK_TIME) $(if $(PYLON_HOME),--home "$(PYLON_HOME)")

help: ## print the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

test: .venv/.dev ## run the unit tests, or TESTS="…": paths and options of pytest
	$(BIN)/nox --no-error-on-missing-interpreters -s test -- $(TESTS)

check: test ## run the unit tests, then all others
	$(BIN)/nox --no-error-on-missing-interpreters -s check

lint: .venv/.dev ## check style, types, imports and both wheels
	$(BIN)/nox -s lint types imports client_alone

audit: .venv/.dev ## look for known vulnerabilities of the locked requirements
	$(BIN)/nox -s audit

sbom: .venv/.dev ## write sbom.cdx.json
	$(BIN)/nox -s sbom

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

.venv/.service: $(UV) requirements/service.txt requirements/build.txt pyproject.toml $(CLIENT)/pyproject.toml
	@echo "Installing the service …"
	$(INSTALL) --compile-bytecode --require-hashes -r requirements/service.txt -r requirements/build.txt
	$(INSTALL_PYLON)
	@touch $@

.venv/.dev: $(UV) requirements/dev.txt pyproject.toml $(CLIENT)/pyproject.toml
	@echo "Installing the service and its tests …"
	$(INSTALL) --compile-bytecode --require-hashes -r requirements/dev.txt
	$(INSTALL_PYLON)
	@touch $@ .venv/.service

# Resolve the locked requirements again after a change of a pyproject.toml. They do not include the
# two distributions of Pylon, which are installed from the checkout.
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-package pylon-client --no-emit-package pylon-service
lock: $(UV) ## resolve the locked requirements again
	$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(COMPILE) requirements/audit.in -o requirements/audit.txt
	$(COMPILE) $(CLIENT)/pyproject.toml -o requirements/client.txt
	$(COMPILE) pyproject.toml --extra devnet -o requirements/service.txt
	$(COMPILE) requirements/build.in --constraint requirements/service.txt -o requirements/build.txt
	$(COMPILE) pyproject.toml requirements/build.in --extra dev -o requirements/dev.txt

clean: ## remove the environments
	rm -rf .venv .nox
