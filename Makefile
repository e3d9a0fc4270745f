# make quickstart   a first look and the whole way on the embedded sample, into quickstart/
# make test         the tests     make lint   ruff and mypy     make docs   the documentation, into build/site
# make audit        known vulnerabilities of what is installed (asks PyPI)
# make check-installed   some tests against the wheel of the sdist, and a packaged pipeline in a fresh environment
# make dist         sdist and wheel, into dist/
#
# On Linux, plain PyPI serves torch with CUDA (several GB). For the CPU build, from a machine that can reach it:
#   make quickstart PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $(PIP_ARGS)
# What the main job needs, and nothing more: a first look should not download the recipes' extras.
JOB_EXTRAS := spacy,train,report

.PHONY: quickstart test lint docs audit check-installed dist format install install-dev clean

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing into $(VENV), torch and spaCy among it: some minutes, no output."
	$(INSTALL) --editable ".[$(JOB_EXTRAS)]"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.made pyproject.toml constraints.txt
	$(INSTALL) --editable ".[dev]"
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

quickstart: install
	$(BIN)/distillemb quickstart --out quickstart --overwrite

test: install-dev
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: install-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

audit: install-dev
	@$(BIN)/python -c 'import pip_audit' 2>/dev/null || $(INSTALL) --retries 1 --editable ".[audit]" 2>/dev/null || true
	@$(BIN)/python .ci/audit.py

# The wheel is made from the sdist, with the source gone. The tests are those of reading, writing and computing.
check-installed: install-dev
	$(BIN)/python tests/check_installed_wheel.py tests/test_encoder.py tests/test_persistence.py tests/test_bundled.py
	$(BIN)/python tests/spacy_plugin/check_fresh_venv.py

dist: install-dev
	$(BIN)/python -m build --no-isolation --outdir dist .

format: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist quickstart *.egg-info .mypy_cache .ruff_cache .pytest_cache
