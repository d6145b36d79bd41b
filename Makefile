# make demo: goes from recordings to likelihood ratios with what the repository ships, offline
# make test: runs all tests
# make check: runs lint, types, layers of imports and tests, as continuous integration does
# make coverage: runs all tests, and prints the lines and branches of the package that none of them reaches
# make torture: kills commands and damages files for 10 minutes, and counts what is lost (MINUTES=60 for longer)
# make docs: builds the documentation site in build/site; a warning or a dead link fails the build
# make notebooks: runs the scripts in examples/notebooks, and writes the notebooks beside them with what they print
# make bench: measures how fast everything is on this machine, in tables (about 9 minutes)
# make test-oldest: runs all tests with the oldest version of each library that pyproject.toml allows
# make transformers-tests: runs transformers' own tests of models over ours, which it downloads once
# Each command makes its environment if it is missing: .venv, or .venv-oldest for the last.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
OLDEST_PYTHON ?= python3.11
OLDEST_VENV ?= .venv-oldest
MINUTES ?= 10
# Without an NVIDIA GPU, install the set of versions that was tested, with the CPU build of torch.
CONSTRAINTS := $(shell command -v nvidia-smi >/dev/null 2>&1 || echo -c constraints-cpu.txt)

export HF_HUB_OFFLINE = 1

.PHONY: coverage demo docs notebooks torture test test-oldest transformers-tests check bench lint layers types format install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints-cpu.txt
	@echo "Making the environment in $(VENV) (a few minutes the first time)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,app,onnx]" $(CONSTRAINTS)
	@touch $@

demo: install
	@$(BIN)/python examples/demo.py

test: install
	$(BIN)/python -m pytest -n auto --dist worksteal

check: lint types layers test

coverage: install
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-oldest: $(OLDEST_VENV)/.installed
	$(OLDEST_VENV)/bin/python -m pytest -n auto --dist worksteal

transformers-tests: install
	$(BIN)/python tests/transformers_common.py

$(OLDEST_VENV)/.installed: pyproject.toml constraints-oldest.txt
	@echo "Making the environment in $(OLDEST_VENV) (a few minutes the first time)"
	$(OLDEST_PYTHON) -m venv $(OLDEST_VENV)
	$(OLDEST_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev,app,onnx]" -c constraints-oldest.txt
	@touch $@

torture: install
	$(BIN)/python tests/torture/run.py --minutes $(MINUTES)

bench: install
	@for script in startup loading fbank extraction binarize training fitting scoring gpu; do \
		$(BIN)/python benchmarks/$$script.py || exit 1; \
	done

docs: $(VENV)/.docs-installed
	$(BIN)/python docs/make_site.py build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open build/site/index.html. Searching needs a server: $(BIN)/python -m http.server --directory build/site"

notebooks: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[notebooks]" $(CONSTRAINTS)
	$(BIN)/python docs/make_notebooks.py

$(VENV)/.docs-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]" $(CONSTRAINTS)
	@touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/vulture

layers: install
	$(BIN)/lint-imports

types: install
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(OLDEST_VENV) runs demo .pytest_cache .ruff_cache .mypy_cache .import_linter_cache build dist
