# Everything runs in .venv, which the first target that needs it creates. No configuration is needed.
# Variables: PYTHON=… (for .venv)  WORKERS=… (parallel test processes)  ARGS=… (passed to demo, test, soak, bench)

WORKERS ?= logical
BIN := .venv/bin
READY := .venv/ready

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format soak bench clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) profiles.yml ## Create .venv with `media` and `dbt`, and profiles.yml if it is missing

demo: install ## Show the whole product on sample data: two minutes, nothing to configure
	@$(BIN)/media demo $(ARGS)

test: install ## Run every test
	@$(BIN)/pytest -n $(WORKERS) $(ARGS)

lint: install ## Check style, types, SQL and requirements.txt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar $(wildcard loader/database/schema models tests/dbt)
	@! grep -nE '://|^ *--?(i|f|index|extra|find|trusted)' requirements.txt || \
		{ echo "requirements.txt names a package index: lock again with --no-emit-index-url" >&2; exit 1; }

format: install ## Format Python and SQL
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --processes 2 --disable-progress-bar $(wildcard loader/database/schema models tests/dbt)

soak: install ## Test random histories until stopped; prints the seed of a failure
	@$(BIN)/python -m tests.soak $(ARGS)

bench: install ## Benchmark against plain PostgreSQL; with ARGS='--rows 100000' it takes a few minutes
	@$(BIN)/python -m tests.bench $(ARGS)

clean: ## Remove .venv, caches and build files; keep .media (the database) and profiles.yml
	rm -rf .venv target logs *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find loader flows tests -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# The first suitable Python on PATH: the system's python3 may be too old or lack venv.
find_python = IFS=:; for folder in $$PATH; do \
	for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$folder/$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$folder/$$name" && exit; done; done
PYTHON ?= $(shell $(find_python))

$(READY): requirements.txt pyproject.toml
	@'$(PYTHON)' -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
		"Python 3.11 or later with the venv module is required: install it, or run make PYTHON=/path/to/python" >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || '$(PYTHON)' -m venv --clear .venv
	@echo "Installing into .venv (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

profiles.yml: | $(READY)
	@$(BIN)/python -m loader.database.embedded > $@.unfinished
	@mv $@.unfinished $@
