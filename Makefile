# Two commands do everything: `make book` and `make test`. Each sets itself up; `make help` lists the others.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python
# The stamp's name holds the folder, so that a copied or moved checkout installs itself again.
INSTALLED := .venv/.installed-$(shell pwd | cksum | cut -d ' ' -f 1)
OWN := $(PY) book/hyperbook/build/environment.py
NOTEBOOKS := $(OWN) $(PY) book/hyperbook/build/notebooks.py
LIBRARY := $(shell find hyperlib -name '*.py' -o -name '*.cpp')
PAGES := _config.yml _toc.yml CHANGELOG.md CONTRIBUTING.md \
	$(shell find book scripts -type f ! -name '.*' ! -path '*/__pycache__/*' ! -path '*.egg-info/*')
MADE := book/_static/architecture.svg
# Never a script of .venv/bin: its first line holds the folder, which may have moved since, or have a space in its path.
RENDER := $(OWN) $(PY) -c 'import sys; from jupyter_book.cli.main import main; sys.argv[0] = "jupyter-book"; sys.exit(main())' \
	build . -W -n --keep-going --all
CODE := hyperlib book tests scripts notebooks
OUT ?= runs/mine

# An environment that is active around make, or a user's packages, have no say in what runs here.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV
export PYTHONNOUSERSITE := 1
# Of pip's settings only those count that say where packages come from, not those that say where they go.
unexport $(filter-out %_URL %_LINKS %_INDEX %_HOST %_CERT %_PROXY %_DIR %_TIMEOUT %_RETRIES,$(filter PIP_%,$(.VARIABLES)))
export PIP_USER := 0
.DELETE_ON_ERROR:

.PHONY: help setup pins book execute test lint web unit nbval browser run train pdf outputs format clean FORCE

help:  ## list the commands
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

setup: $(INSTALLED)  ## create .venv and install requirements.txt

$(INSTALLED): requirements.txt pyproject.toml book/pyproject.toml
	@test -n "$(PYTHON)" || { echo "no python3.11 found: install Python 3.11 or say make PYTHON=..." >&2; exit 1; }
	@command -v "$(PYTHON)" > /dev/null || { echo "no program $(PYTHON): say make PYTHON=... with a Python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11: say make PYTHON=..." >&2; exit 1; }
	$(PY) -m pip --version > /dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv
	$(PY) -m pip install --quiet --requirement requirements.txt
	$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable . --editable book
	@rm -f .venv/.installed-*
	@touch $@

pins: $(INSTALLED)  ## write requirements.txt from what pyproject.toml asks for
	test -x .venv-pins/bin/uv || { "$(PYTHON)" -m venv .venv-pins && .venv-pins/bin/python -m pip install --quiet uv; }
	$(PY) scripts/pins.py --uv .venv-pins/bin/uv

execute: executed/.stamp  ## execute the notebooks that are out of date

# Runs every time; the stamp gets a new time only when a notebook was executed.
executed/.stamp: $(INSTALLED) FORCE
	@$(NOTEBOOKS)

book: _build/html/.stamp  ## build the book and print where it is
	@echo "The book: $(CURDIR)/_build/html/index.html"

book/_static/architecture.svg: book/hyperbook/figures/architecture.py hyperlib/figures/style.py hyperlib/hypernetwork.py $(INSTALLED)
	$(OWN) $(PY) -c 'from hyperbook.figures.architecture import architecture as a; a().savefig("$@", bbox_inches="tight")'

# Always from scratch: after a change Sphinx would forget the warnings of pages that it does not read again.
_build/html/.stamp: executed/.stamp $(PAGES) $(LIBRARY) $(MADE)
	@rm -rf _build/html _build/.doctrees
	$(RENDER) --quiet
	@touch $@

pdf: _build/html/.stamp  ## print the book into one PDF (needs chromium)
	@rm -rf _build/singlehtml
	$(RENDER) --quiet --builder singlehtml
	$(PY) tests/browser/print_pdf.py _build/singlehtml _build/book.pdf
	@echo "The PDF: $(CURDIR)/_build/book.pdf"

test: lint unit nbval book browser  ## check everything: lint, tests, notebooks, book

lint: $(INSTALLED)  ## ruff on code and notebooks, mypy on code
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m mypy
	$(PY) scripts/pins.py --check
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory web; \
		else echo "no npm: the book's scripts and style sheets are not checked"; fi

web: node_modules/.installed  ## biome on the book's scripts and style sheets (needs npm)
	npx --no-install biome check --error-on-warnings

node_modules/.installed: package.json
	npm install --silent --no-package-lock --no-audit --no-fund
	@touch $@

# One thread each: two workers with two threads each would wait for one another for half of the time.
unit: $(INSTALLED)  ## unit and property tests
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n 2 --dist loadfile --ignore tests/browser --ignore tests/test_book.py

nbval: executed/.stamp  ## compare what the notebooks print with what they store
	PYTHONPATH=tests $(PY) -m pytest -q -p replayed --nbval-lax --nbval-current-env \
		--nbval-sanitize-with tests/nbval_sanitize.cfg notebooks

browser: _build/html/.stamp  ## look at every page of the book in headless Chromium
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n 2 tests/test_book.py tests/browser

run: $(INSTALLED)  ## one notebook with other parameters: make run NB=03 PARAMS="-p run results/l1"
	@test -n "$(NB)" || { echo 'say which notebook: make run NB=03 PARAMS="-p run results/l1"' >&2; exit 2; }
	@$(NOTEBOOKS) "$(NB)" $(PARAMS) --out rerun --force
	@echo "The result: rerun/$(NB)*.ipynb; open it with $(PY) -m jupyter lab rerun"

train: $(INSTALLED)  ## train from scratch: make train OUT=runs/mine ARGS="--steps 20000"
	$(PY) -m hyperlib train --out "$(OUT)" $(ARGS)

outputs: $(INSTALLED)  ## after a deliberate change: store the outputs that nbval compares
	@$(NOTEBOOKS) --store

format: $(INSTALLED)  ## let ruff format and mend the code
	$(PY) -m ruff check --fix $(CODE)
	$(PY) -m ruff format $(CODE)

clean:  ## remove what was built (not .venv, not runs)
	rm -rf _build build *.egg-info book/*.egg-info book/build executed rerun $(MADE) book/_static/live/data
