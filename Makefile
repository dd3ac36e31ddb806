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
DEMO := $(PY) evaluate.py --dataset diamonds --protocol corrected --query_size 50 --budget 300 --restarts 3 \
	--device cpu --data_folder demo/data --runs_folder demo/runs

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all test-machines docs check lint types audit lock format clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

install: .venv/.installed  ## make .venv with the tested releases of all dependencies

# The table comes with the extra `data`: no download. Two agents at a time, and no packages that only tests need.
demo: .venv/.installed-demo  ## compare three agents on diamonds, with a page: two to three minutes
	@echo "Running three agents, two at a time: about a minute."
	@$(MAKE) --no-print-directory -j2 demo-run-balsa_kl_pairs demo-run-random demo-run-lcmd
	@$(PY) report.py --runs_folder demo/runs --out demo/report.html
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
		$(PY) -m webbrowser "file://$(CURDIR)/demo/report.html"; fi

# The bars of the two that run at the same time must not lie on each other. random is quick: the others end
# with how often they beat it.
demo-run-%:
	@TQDM_POSITION=$(if $(filter balsa_kl_pairs,$*),1,0) $(DEMO) --agent $*

# Two workers of one thread each.
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadgroup -q -rfEs

test: .venv/.installed  ## test every feature: within five minutes on two cores
	$(PYTEST) -m "not slow" $(PYTESTFLAGS)

test-all: .venv/.installed  ## run all tests, the slow ones too: within fifteen minutes
	$(PYTEST) $(PYTESTFLAGS)

test-machines: .venv/.installed  ## run the tests that other processors might fail, as if on such processors
	PY=$(PY) tests/machines.sh

docs: .venv/.installed-docs  ## build the pages of docs/ and of the API as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
	@echo "site: site/index.html"

check: lint types audit  ## lint, formatting, types, and known holes of the dependencies

lint: .venv/.installed-dev
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	.venv/bin/lint-imports --no-logo

types: .venv/.installed-dev
	$(PY) -m mypy core agents datasets tests *.py docs/*.py
	MYPYPATH=benchmarks $(PY) -m mypy benchmarks
	MYPYPATH=reproduction $(PY) -m mypy reproduction

# Says so where its service cannot be reached, or knows none of the packages.
audit: .venv/.installed-dev
	@said=$$($(PY) -m pip_audit --progress-spinner off --disable-pip --require-hashes -r requirements.lock 2>&1); \
	case "$$said" in \
		*"Found "*"vulnerabilit"*) echo "$$said"; exit 1;; \
		*"not found on PyPI"*|*"No module named"*) echo "not audited: pip-audit's service is not there";; \
		*"No known vulnerabilities"*) echo "audited: no known vulnerabilities";; \
		*) echo "not audited: $$(echo "$$said" | tail -1)";; \
	esac

lock:  ## make requirements.lock anew, with hashes, by uv
	uv pip compile pyproject.toml --extra dev --extra ray -c constraints.txt --generate-hashes --universal \
		--python-version 3.10 --custom-compile-command "make lock" -o requirements.lock -q

format: .venv/.installed-dev  ## format the code and sort its imports
	$(PY) -m ruff check --fix-only --quiet
	$(PY) -m ruff format

clean:  ## delete .venv, caches and the demo; never runs/
	rm -rf .venv demo site build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

new_enough = $(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 10))' 2>/dev/null)

.venv/bin/pip:
	@$(if $(filter True,$(new_enough)),,$(error $(PYTHON) is missing or older than Python 3.10: set PYTHON to a newer one))
	$(PYTHON) -m venv .venv

# Editable: the folder goes on the path of .venv, so that `import core` works from anywhere. What pip leaves in it
# is removed.
define pip_install
@echo "Installing the dependencies into .venv; PyTorch makes this take some minutes."
@$(PIP) install $(PIPFLAGS) -c constraints.txt -e ".[$1]"; status=$$?; rm -rf build balsa_benchmark.egg-info; exit $$status
@touch $@
endef

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/pip
	$(call pip_install,$(EXTRAS))
	@touch .venv/.installed-demo

.venv/.installed-demo: pyproject.toml constraints.txt | .venv/bin/pip
	$(call pip_install,data)

.venv/.installed-docs: pyproject.toml constraints.txt | .venv/bin/pip
	$(call pip_install,docs)

.venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/pip
	$(call pip_install,dev)
	@touch .venv/.installed .venv/.installed-demo
