# Two commands do all set-up: `make run` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

.DEFAULT_GOAL := help
.PHONY: screenshot help run test check format types lint unit bench package clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

run: $(VENV)/.installed ## set everything up, then open the window (without a display: run the demo into out/)
	@BIN=$(BIN) packaging/demo.sh

test: $(VENV)/.installed-dev ## set everything up, then ruff, the type check and the whole test suite
	@$(MAKE) --no-print-directory lint types unit

check: test ## the same as test

lint: $(VENV)/.installed-dev ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev ## mypy, strict
	$(BIN)/mypy

unit: $(VENV)/.installed-dev ## the test suite alone
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest

format: $(VENV)/.installed-dev ## rewrite the code as ruff wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

package: $(VENV)/.installed-package ## build the bundle dist/srviewer/ with PyInstaller, and try it
	$(BIN)/pyinstaller --noconfirm --log-level WARN --distpath dist --workpath build packaging/srviewer.spec
	packaging/smoke.sh dist/srviewer/srviewer

screenshot: $(VENV)/.installed ## make the README's picture anew
	QT_QPA_PLATFORM=offscreen $(BIN)/srviewer gui resources/samples/rocket.jpg -m bicubic_x4 -m safmn_x4 --evaluate \
		--theme dark --size 1280x760 --select 96,42,44,32 --screenshot resources/screenshot.png

clean: ## remove what the other targets made
	rm -rf $(VENV) out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "SR Viewer needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt packaging/system-libraries.sh | $(VENV)/bin/python
	@packaging/system-libraries.sh
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --quiet --editable '.[dev]'
	@touch $@

$(VENV)/.installed-package: $(VENV)/.installed
	$(PIP) install --quiet --editable '.[package]'
	@touch $@
