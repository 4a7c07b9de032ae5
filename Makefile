# Every target makes the .venv it needs. Python >= 3.11; nothing is fetched after the install.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: install demo test test-all lint bench docs clean

install: $(VENV)/.installed
demo: $(VENV)/.photo
	$(BIN)/regard demo --out demo
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m "not slow and not data"
test-all: lint
	$(BIN)/python -m pytest
lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
bench: $(VENV)/.bench
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done
docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict
clean:
	rm -rf $(VENV) demo

# torch first and alone: pip then finds the pinned build, and nothing pulls another one.
$(VENV)/.torch: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) "$$(grep '^torch==' constraints.txt)"
	touch $@
$(VENV)/.installed: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) -e .
	touch $@
$(VENV)/.photo: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) -e ".[photo]"
	touch $@
$(VENV)/.bench: $(VENV)/.dev
	$(PIP_INSTALL) -e ".[bench]"
# Quantus asks for opencv-python, which lays its files over those of opencv-python-headless; it runs with either.
	$(PIP_INSTALL) --no-deps quantus cachetools pandas
	touch $@
$(VENV)/.docs: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) -e ".[docs]"
	touch $@
$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	$(PIP_INSTALL) -e ".[zoo,photo,detect,notebook,test,lint]"
	touch $@
