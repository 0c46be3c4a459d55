# Everything runs in .venv, which is made by the first command that needs it; nothing has to be configured.
# Settings: PYTHON=… (the Python for .venv)  WORKERS=… (tests at once)  ARGS=… (for demo, test, soak, bench)

WORKERS ?= logical
BIN := .venv/bin
READY := .venv/ready

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format soak bench clean

help: ## Show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) profiles.yml ## Make .venv with `media` and `dbt`, and profiles.yml if missing

demo: install ## Show the whole product on sample data: two minutes, no questions
	@$(BIN)/media demo $(ARGS)

test: install ## Run every test
	@$(BIN)/pytest -n $(WORKERS) $(ARGS)

lint: install ## Check style, types, SQL and the lock file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar $(wildcard loader/database/schema models tests/dbt)
	@! grep -nE '://|^ *--?(i|f|index|extra|find|trusted)' requirements.txt || \
		{ echo "requirements.txt names a package index: lock without it (--no-emit-index-url)" >&2; exit 1; }

format: install ## Bring Python and SQL into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --processes 2 --disable-progress-bar $(wildcard loader/database/schema models tests/dbt)

soak: install ## Throw random histories at it until stopped; prints the seed that fails
	@$(BIN)/python -m tests.soak $(ARGS)

bench: install ## Measure against the floor that PostgreSQL sets; ARGS='--rows 100000' in a few minutes
	@$(BIN)/python -m tests.bench $(ARGS)

clean: ## Remove what make and the tools made; the database in .media and profiles.yml stay
	rm -rf .venv target logs *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find loader flows tests -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# The first Python on PATH that will do: a system's python3 may be too old, or lack venv.
find_python = IFS=:; for folder in $$PATH; do \
	for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$folder/$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$folder/$$name" && exit; done; done
PYTHON ?= $(shell $(find_python))

$(READY): requirements.txt pyproject.toml
	@'$(PYTHON)' -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
		"Python 3.11 or later with its venv module is needed: install it, or name one with make PYTHON=…" >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || '$(PYTHON)' -m venv --clear .venv
	@echo "Installing into .venv (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

profiles.yml: | $(READY)
	@$(BIN)/python -m loader.database.embedded > $@.unfinished
	@mv $@.unfinished $@
