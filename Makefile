# Two words do everything: `make lessons` and `make test` set up what they need, then run.
# The rest are conveniences. `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed
SITE   := build/site
TORCH_STAMP := $(VENV)/installed-torch

.DEFAULT_GOAL := help
.PHONY: help lessons test test-torch site site-check site-links gradcheck kernels kernels-sanitize gpu lint format clean

help:
	@echo "make lessons     set up, then run the whole course; figures land in lessons/figures/"
	@echo "make test        set up, then run the test suite"
	@echo "make test-torch  the same with PyTorch as an oracle (downloads it)"
	@echo "make site        the course as a site in site/; needs Node 20 and Python 3.11"
	@echo "make site-check  that site in a browser: Debian's Chromium, or the one that CHROMIUM names"
	@echo "make site-links  every link of that site; with FCN_LINKS=all also those to other sites"
	@echo "make gradcheck   the gradient table of every op and layer"
	@echo "make kernels     what each CUDA kernel takes of a GPU, and its worst error; no GPU needed"
	@echo "make kernels-sanitize  the same kernels under the compilers' sanitizers, after planting three mistakes"
	@echo "make gpu         on a GPU: its tests, fcn bench and NVIDIA's sanitizer; writes runs/gpu-report.txt"
	@echo "make lint        ruff check and format check"
	@echo "make format      let ruff format the code"
	@echo "make clean       remove the virtual environment and what was written"

# The environment is made again only when the packaging files change.
$(STAMP): setup.cfg setup.py pyproject.toml
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test,dev]"
	@touch $@

$(TORCH_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch==2.13.0"
	@touch $@

lessons: $(STAMP)
	@$(BIN)/fcn lessons

test: $(STAMP)
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

test-torch: $(TORCH_STAMP)
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# The site has its own environment: what renders it must not change what the tests see.
$(SITE)/venv/installed: setup.cfg setup.py pyproject.toml
	@echo "Setting up $(SITE) (once) ..."
	@$(PYTHON) -m venv $(SITE)/venv
	@$(SITE)/venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[site,test]"
	@touch $@

$(SITE)/node_modules/installed: docs/package.json docs/package-lock.json docs/.npmrc
	@mkdir -p $(SITE)
	@cp $^ $(SITE)/
	@cd $(SITE) && npm ci --silent
	@touch $@

site: $(SITE)/venv/installed $(SITE)/node_modules/installed
	@$(SITE)/venv/bin/python docs/builder/build.py

site-check: $(SITE)/venv/installed $(SITE)/node_modules/installed
	@FCN_REQUIRE_SITE=1 $(SITE)/venv/bin/python -m pytest tests/site $(PYTEST_ARGS)

# FCN_LINKS=all: links to other sites too
site-links: $(SITE)/venv/installed
	@$(SITE)/venv/bin/python docs/builder/build.py links

gradcheck: $(STAMP)
	@$(BIN)/fcn gradcheck

kernels: $(STAMP)
	@$(BIN)/python tests/tools/nvrtc.py
	@$(BIN)/python tests/tools/kernel_errors.py

kernels-sanitize: $(STAMP)
	@$(BIN)/python tests/tools/sanitize.py

# No environment is made: GPU_PYTHON names a Python that has CuPy, pytest, and for the comparison PyTorch.
GPU_PYTHON ?= $(PYTHON)
gpu:
	@sh tests/tools/gpu_report.sh $(GPU_PYTHON)

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .hypothesis .ruff_cache build site *.egg-info lessons/figures runs
