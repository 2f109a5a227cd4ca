# catharsis: `make report` runs the main job, `make test` the tests. Both set up what they need.

ANALYSIS ?= crying
GOLDEN   ?= tests/golden/data
PYTHON   ?= $(shell command -v python3.11 || command -v python3)
VENV     := .venv
BIN      := $(VENV)/bin
PIP      := $(BIN)/python -m pip --disable-pip-version-check -q
export PYTHONNOUSERSITE := 1
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help report update verify check-table test slow setup format lint types check golden calibrate clean wheel torture planted

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  ANALYSIS=name chooses the folder under analyses/ (now: $(ANALYSIS))"

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or say make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is older"; exit 1; }
	@echo "setting up $(VENV) (once, a minute or two)"
	@$(PYTHON) -m venv $(VENV) && touch $@

$(VENV)/.run: $(VENV)/.python pyproject.toml constraints.txt
	@$(PIP) install -c constraints.txt -e . && touch $@

$(VENV)/.test: $(VENV)/.run
	@$(PIP) install -c constraints.txt -e '.[test]' && touch $@

$(VENV)/.dev: $(VENV)/.test
	@$(PIP) install -c constraints.txt -e '.[test,dev]' && touch $@

report: $(VENV)/.run ## Check, fit and render one analysis into reports/
	@$(BIN)/catharsis report analyses/$(ANALYSIS) --out reports/$(ANALYSIS)

update: $(VENV)/.run ## Check, run, report, and show what moved since the results committed last
	@$(BIN)/catharsis update analyses/$(ANALYSIS) --out reports/$(ANALYSIS)

verify: $(VENV)/.run ## Hold the committed results of every analysis against a fresh run
	@for folder in analyses/*/; do name=$$(basename $$folder); $(BIN)/catharsis run $$folder --verify --out reports/$$name || exit $$?; done

check-table: $(VENV)/.run ## Check the inputs of one analysis
	@$(BIN)/catharsis check analyses/$(ANALYSIS)

test: $(VENV)/.test ## Run the tests
	@$(BIN)/python -m pytest

slow: $(VENV)/.test ## Run the tests that take long: samplers of their own, kills
	@$(BIN)/python -m pytest -m slow

setup: $(VENV)/.dev ## Install everything for development

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff check --fix -q src tests; $(BIN)/ruff format -q src tests

lint: $(VENV)/.dev ## Check style and import contracts
	@$(BIN)/ruff check src tests && $(BIN)/ruff format --check src tests && $(BIN)/lint-imports

types: $(VENV)/.dev ## Check types
	@$(BIN)/mypy

check: lint types test slow ## Everything to run before a commit

golden: $(VENV)/.test ## Compare with every reference number in GOLDEN=dir
	@$(BIN)/python -m pytest tests/golden/test_golden.py tests/golden/test_partial.py -q --golden-dir $(GOLDEN) --golden-report golden-report.json

calibrate: $(VENV)/.test ## Renew tests/calibration and docs/calibration.md, an hour (SHORT=1: two minutes, shown only)
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/coverage.py $(if $(SHORT),--short)
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/looks.py $(if $(SHORT),--short)
	@OMP_NUM_THREADS=1 $(BIN)/python tests/calibration/simulate.py $(if $(SHORT),--short)
	@$(if $(SHORT),,CALIBRATE=1) $(BIN)/python -m pytest tests/bayes/test_agreement.py -q

planted: $(VENV)/.test ## Plant known errors into real tables and renew docs/planted_errors.md, two minutes (SHORT=1: shown only)
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/planted_errors.py $(if $(SHORT),--short)

$(VENV)/.fuzz: $(VENV)/.test
	@$(PIP) install -c constraints.txt -e '.[test,fuzz]' && touch $@

torture: $(VENV)/.fuzz ## Kill, crowd and fuzz the commands in full, half an hour (SHORT=1: two minutes)
	@TORTURE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/torture -q
	@OMP_NUM_THREADS=1 $(BIN)/python tests/torture/kill.py --kills $(if $(SHORT),22,200)
	@OMP_NUM_THREADS=1 $(BIN)/python tests/torture/together.py --rounds $(if $(SHORT),2,20)
	@OMP_NUM_THREADS=1 $(BIN)/python tests/torture/fuzz.py --inputs $(if $(SHORT),1000,22000)
	@OMP_NUM_THREADS=1 $(BIN)/python tests/torture/guided.py --seconds $(if $(SHORT),5,60)

wheel: $(VENV)/.dev ## Build the wheel
	@$(BIN)/python -m build -q --wheel

clean: ## Remove the environment and rendered reports
	@rm -rf $(VENV) dist build reports/*/index.html reports/*/update.html reports/*/manifest.json reports/*/tables reports/*/figures reports/*/posteriors
