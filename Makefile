# Everything runs from .venv, which is made from pyproject.toml and constraints.txt with plain pip.
PYTHON ?= python3
BIN := .venv/bin
RUN ?= runs/demo
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadscope
FUZZ_RECORDS ?= 1000000
FUZZ_SECONDS ?= 3600

.PHONY: demo test test-all check format bench fuzz clean

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

.PHONY: java
java:
	@bash .ci/ensure_java

demo: .venv/.installed java ## WARC to trained model and report, on an embedded Spark
	$(BIN)/chaffinch models fetch
	$(BIN)/python examples/make_demo_input.py runs/demo-input
	$(BIN)/chaffinch run examples/demo.toml --output $(RUN)
	$(BIN)/python examples/check_fates.py $(RUN)
	$(BIN)/chaffinch scaling run examples/demo_sweep.toml
	$(BIN)/chaffinch scaling report examples/demo_sweep.toml

test: .venv/.installed java ## everything but the tests marked slow
	$(BIN)/chaffinch models fetch
	$(PYTEST) -m 'not slow'

test-all: .venv/.installed java ## the slow ones too
	$(BIN)/chaffinch models fetch
	$(PYTEST)

check: .venv/.installed ## style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.installed ## those that need no input of yours; each runs alone and ends with one JSON line
	for name in signals minhash lines fused_pass tokenize_documents ingest; do $(BIN)/python benchmarks/$$name.py || exit 1; done
	$(BIN)/python benchmarks/dedup.py text

fuzz: .venv/.installed ## coverage-guided, of the reader and of extraction; ends after FUZZ_RECORDS or FUZZ_SECONDS
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[fuzz]'
	$(BIN)/python tests/fuzz/fuzz_ingest.py --records $(FUZZ_RECORDS) --seconds $(FUZZ_SECONDS)

clean: ## generated runs; the environment stays
	rm -rf runs
