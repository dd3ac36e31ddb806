# Needs Python 3.10 or newer, make and git; everything else goes into .venv. `make help` lists the targets.
# PYTHON=...     the Python to make .venv with
# PIPFLAGS=...   more options for pip install, such as --extra-index-url https://download.pytorch.org/whl/cpu
# PYTESTFLAGS=... more options for pytest
# EXTRAS=test,ray  what to install; without ray its tests are skipped

PYTHON ?= python3
PIPFLAGS ?=
EXTRAS ?= test
PYTESTFLAGS ?=

PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
DEMO := $(PY) evaluate.py --dataset diabetes --query_size 5 --restarts 1 --runs_folder demo/runs

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint types format clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

install: .venv/.installed  ## make .venv with the tested releases of all dependencies

demo: .venv/.installed  ## compare random and balsa_emd on a small data set, with a plot
	$(DEMO) --agent random
	$(DEMO) --agent balsa_emd
	$(PY) -m core.report.plots --dataset diabetes --query_size 5 --runs_folder demo/runs --out demo/learning_curve.png
	$(PY) report.py --runs_folder demo/runs --out demo/report.html
	@echo "Results:"
	@find demo -name "*.csv" -not -path "*/run_*" | sort
	@ls demo/learning_curve.png demo/report.html

# Two workers of one thread each.
test: .venv/.installed  ## run all tests
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadgroup -q -rs $(PYTESTFLAGS)

check: lint types  ## lint, formatting and types

lint: .venv/.installed-dev
	$(PY) -m ruff check
	$(PY) -m ruff format --check

types: .venv/.installed-dev
	$(PY) -m mypy core agents datasets tests *.py
	MYPYPATH=benchmarks $(PY) -m mypy benchmarks

format: .venv/.installed-dev  ## format the code and sort its imports
	$(PY) -m ruff check --fix-only --quiet
	$(PY) -m ruff format

clean:  ## delete .venv, caches and the demo; never runs/
	rm -rf .venv demo build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

new_enough = $(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 10))' 2>/dev/null)

.venv/bin/pip:
	@$(if $(filter True,$(new_enough)),,$(error $(PYTHON) is missing or older than Python 3.10: set PYTHON to a newer one))
	$(PYTHON) -m venv .venv

# pip builds the project, which holds nothing but its list of dependencies, in place: what that leaves is removed.
define pip_install
@echo "Installing the dependencies into .venv; PyTorch makes this take some minutes."
@$(PIP) install $(PIPFLAGS) -c constraints.txt ".[$1]"; status=$$?; rm -rf build balsa_benchmark.egg-info; exit $$status
@touch $@
endef

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/pip
	$(call pip_install,$(EXTRAS))

.venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/pip
	$(call pip_install,dev)
	@touch .venv/.installed
