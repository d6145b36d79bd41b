# make demo: from a recording to a likelihood ratio, on what the repository ships, offline
# make test: all tests
# Both make the environment (.venv) if it is missing.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Without an NVIDIA GPU, the tested set of versions with the CPU build of torch.
CONSTRAINTS := $(shell command -v nvidia-smi >/dev/null 2>&1 || echo -c constraints-cpu.txt)

export HF_HUB_OFFLINE = 1

.PHONY: demo test lint format install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints-cpu.txt
	@echo "Making the environment in $(VENV) (a few minutes the first time)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]" $(CONSTRAINTS)
	@touch $@

demo: install
	@$(BIN)/python examples/demo.py

test: install
	$(BIN)/python -m pytest -n auto

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs demo .pytest_cache .ruff_cache build dist
