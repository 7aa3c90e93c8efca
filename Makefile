# Two commands do everything: `make demo` and `make test`. Both set up what is missing first.
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .uv/bin/uv
BIN := .venv/bin

.PHONY: setup demo test lint types check schemas bench clean

KERNELS := $(wildcard graph/*.py detectors/*.py streams/*.py)

setup: .venv/.warm .venv/.assets ## a virtual environment with everything in it, the kernels compiled, the console's scripts fetched

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || \
		{ echo "kithwatch needs Python 3.11 or newer; say which with: make setup PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.stamp: pyproject.toml uv.lock .uv/bin/uv
	$(UV) sync --quiet --frozen --python $(PYTHON)
	@touch $@

# compiling takes about a minute, once: what is compiled lies in the user's cache folder (KITHWATCH_CACHE_DIR)
.venv/.warm: .venv/.stamp $(KERNELS)
	@echo "compiling ..."
	@$(BIN)/python -m streams.warm
	@touch $@

# Cytoscape.js, uPlot and a font for the console, from npm by their hashes; needs no node
.venv/.assets: .venv/.stamp console/package-lock.json console/assets.py
	@$(BIN)/python -m console.assets
	@touch $@

demo: setup ## embedded broker, worker, simulated platform, live display; Ctrl-C ends it
	@$(BIN)/kithwatch demo

test: setup lint types ## everything that needs nothing but Python
	$(BIN)/python -m pytest -q -m "not slow"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: setup
	$(BIN)/mypy streams graph detectors simulation console

clean:
	rm -rf .venv .uv var build dist console/static/vendor
