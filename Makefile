# Two commands do everything, set-up included: `make demo` and `make test`.
#
# tools/setup.sh looks at the system packages and at .venv, and is silent when there is nothing to do.
# PYTHON=/usr/bin/python3.12 chooses the interpreter for a new .venv.

BIN := .venv/bin
SECONDS ?= 120
export PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test venv runtime judges lint types contract unit readme wheel fuzz bench format clean
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

help:  ## this list
	@awk -F ':[^#]*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: runtime  ## set up, then a signed and encrypted mail between two people on two throw-away tokens
	@$(BIN)/smime-agent demo

test: judges lint types contract unit readme wheel  ## set up, then every gate below
	@echo "all gates passed"

venv:  ## set up alone: system packages, then .venv with the tools of the gates
	@tools/setup.sh venv

runtime:
	@tools/setup.sh runtime

judges:
	@tools/setup.sh tests

lint: venv  ## ruff: every rule, and the format
	@echo "lint: ruff"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: venv  ## mypy, strict
	@echo "types: mypy"
	@$(BIN)/mypy

contract: venv  ## which module may import which
	@echo "contract: import-linter"
	@$(BIN)/lint-imports --no-cache --no-logo

unit: judges  ## pytest; PYTEST_ARGS="-k sign" for a part of it
	@echo "unit: pytest"
	@$(BIN)/python -m pytest -q $(PYTEST_ARGS)

readme: venv  ## the help in README.md is the program's
	@echo "readme: the help in README.md"
	@$(BIN)/python tools/check_readme.py

wheel: venv  ## build a wheel and try it in a fresh environment
	@echo "wheel: build, install, run"
	@$(BIN)/python tools/smoke_wheel.py

fuzz: venv  ## random input, guided by coverage; SECONDS=600 TARGETS="mail cms"; findings in build/fuzz
	@echo "fuzz: $(SECONDS) seconds"
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(TARGETS)

bench: judges  ## what signing, verifying, encrypting and decrypting cost, and a start
	@$(BIN)/python -m tests.bench

format: venv  ## let ruff write the format, and the README's help
	@$(BIN)/ruff format
	@$(BIN)/python tools/check_readme.py --write

clean:  ## remove .venv and everything that was made
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	@find agent tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
