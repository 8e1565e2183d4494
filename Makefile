# The commands of a developer and of CI. What a target needs is set up first, by stamps in .setup/.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run cluster fleet test chaos bench check generate probe engine clean
export PATH := $(PATH):/usr/sbin:/sbin:$(HOME)/.cargo/bin

BIN := .venv/bin
ENGINE := engine/Cargo.toml engine/Cargo.lock $(shell find engine/src -name '*.rs')
PROBE := $(shell find probe -name '*.c' -o -name '*.h' -o -name Makefile)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .setup/engine ## Install what is missing, build the probe and the engine; leaves .venv/bin/tiercel
	@echo "Ready: $(BIN)/tiercel"

.setup/packages: scripts/packages.txt
	@scripts/setup.sh packages
.setup/venv: pyproject.toml .setup/packages
	@scripts/setup.sh venv
.setup/probe: $(PROBE) .setup/packages
	@scripts/setup.sh probe
.setup/engine: $(ENGINE) .setup/venv .setup/probe
	@scripts/setup.sh engine

run: .setup/engine ## Watch this host: `tiercel up` (as root; ARGS="…" for its options)
	@$(BIN)/tiercel up $(ARGS)

cluster: .setup/engine ## Real Kafka, collector, worker and sink as processes of this machine (ARGS="…", --help)
	@$(BIN)/python -m tiercel.testing.cluster $(ARGS)

fleet: .setup/engine ## Simulated hosts on real Kafka, workers, sinks; ends with the books (HOSTS, RATE, SECONDS, WORKERS, SINKS)
	@$(BIN)/python -m tiercel.testing.fleet $(if $(HOSTS),--hosts $(HOSTS)) $(if $(RATE),--rate $(RATE)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(WORKERS),--workers $(WORKERS)) $(if $(SINKS),--sinks $(SINKS)) $(ARGS)

test: .setup/engine ## Run all tests; skips are listed with their reasons (ARGS="…" for pytest)
	cargo test --manifest-path engine/Cargo.toml --no-default-features --quiet
	$(BIN)/pytest $(ARGS)

chaos: .setup/engine ## The tests of marker chaos in their long form: at least 50 kills (KILLS)
	$(BIN)/pytest tests/chaos -s --kills $(or $(KILLS),50) $(ARGS)

bench: .setup/engine ## Measure engine, pipeline, latency and probe beside their peers, as a table (ARGS="…", --help)
	@$(BIN)/python bench/table.py $(ARGS)

check: .setup/engine ## Format, lint and type-check everything; generated files must be current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest tiercel._engine --allowlist scripts/stubtest-allowlist.txt
	$(BIN)/lint-imports
	$(BIN)/python schemas/generate.py --check
	$(BIN)/python scripts/schemas.py --check
	$(BIN)/python scripts/reference.py --check
	$(BIN)/python scripts/dashboard.py --check
	$(BIN)/python scripts/rule_pages.py --check
	cargo fmt --manifest-path engine/Cargo.toml --check
	cargo clippy --manifest-path engine/Cargo.toml --quiet --no-default-features --all-targets -- -D warnings
	cargo clippy --manifest-path engine/Cargo.toml --quiet --all-targets -- -D warnings
	clang-format --dry-run -Werror $(filter-out probe/lib/events.h,$(filter %.c %.h,$(PROBE))) /dev/null

generate: .setup/engine ## Render what follows from the tables in schemas/, the reference in docs/, a page for each rule
	$(BIN)/python schemas/generate.py
	$(BIN)/python scripts/reference.py
	$(BIN)/python scripts/dashboard.py
	$(BIN)/python scripts/rule_pages.py

probe: .setup/packages ## Compile the probe
	@scripts/setup.sh probe

engine: .setup/venv .setup/probe ## Build the engine in release mode
	@scripts/setup.sh engine

clean: ## Remove what was built, the virtual environment too
	rm -rf .venv .setup .run dist engine/target .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name '*.bpf.o' -o -name '_engine*.so' | xargs -r rm -f
