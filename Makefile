# Two commands do all: `make demo` and `make test`. Both make the virtual environment themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export FIFTYONE_DO_NOT_TRACK := true
export FIFTYONE_DATABASE_VALIDATION := false
# Where nothing compiled is kept, each of the hundreds of commands that tests start compiles all of it anew.
unexport PYTHONDONTWRITEBYTECODE
# Three processes on two cores, a file in one of them: a test waits for servers and children half of the time.
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: demo lint test check bench soak notebooks clean

demo: $(STAMP)  ## the whole way on real images
	$(BIN)/curate demo demo

test: $(STAMP)  ## every test but the long ones
	$(BIN)/python -m pytest -m "not soak" $(SIDE_BY_SIDE)

soak: $(STAMP)  ## the long and large ones
	$(BIN)/python -m pytest -m soak --timeout 3600

lint: $(STAMP)  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test  ## everything a change must pass

bench: $(STAMP)  ## figures, each beside a peer's from the same run
	for one in hashing fetch drawing votes near screening takedown review; do $(BIN)/python -m benchmarks.$$one || exit 1; done

notebooks: $(STAMP)  ## run those of examples/ again, and keep their outputs
	$(BIN)/python examples/run.py

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip setuptools wheel -c constraints.txt
	$(BIN)/python -m pip install --quiet -e '.[test]' -c constraints.txt
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info demo
