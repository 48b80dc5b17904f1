# The few commands of this project: `make help` lists them. Node.js is a package of npm like the rest (24, see
# package.json): what the system has needs only npm.
.DEFAULT_GOAL := help
SHELL := /bin/sh
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
INSTALLED := node_modules/.installed

.PHONY: help up down test test-long check fmt generate build bench proof specialist

help: ## List these commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

up: $(INSTALLED) ## Kubernetes, Cadre, two real models and a tour of them, on this machine. Again: brings it up to date.
	@node hack/up.ts

down: $(INSTALLED) ## Remove every trace of it but the caches.
	@node hack/down.ts

test: $(INSTALLED) ## Every test: units, a real API server, SDKs, a real node. ONLY=unit for one of unit, apiserver, sdk, e2e.
	@node hack/test.ts $(ONLY)

test-long: $(INSTALLED) ## The scenarios at full length, and the tests of training/; writes docs/measured/.
	@node hack/test-training.ts
	@CADRE_TEST_LONG=1 node hack/test.ts unit
	@CADRE_TEST_LONG=1 node hack/test.ts apiserver e2e

check: $(INSTALLED) ## Generated files, types, lint, format and the chart.
	@node hack/check.ts

fmt: $(INSTALLED) ## Format and sort imports.
	@biome check --write .

generate: $(INSTALLED) ## Write the CRDs, the chart's schema and the reference again from their sources.
	@node hack/generate.ts

build: $(INSTALLED) ## Compile to dist/.
	@rm -rf dist && tsc -p tsconfig.build.json && echo 'compiled to dist/'

bench: $(INSTALLED) ## The operator with 1,000 models, beside the least that the work can cost. MODELS=5000 for more.
	@node bench/operator.ts --models $(or $(MODELS),1000)

proof: $(INSTALLED) ## Measure the specialist beside general models on held-out messages; writes docs/proof/. GENERAL=400 for fewer of theirs.
	@node hack/proof.ts $(if $(GENERAL),--general $(GENERAL))

specialist: $(INSTALLED) ## Train a small model for one task on this machine's CPU. TASK=extraction for the other, SEED=2, INSTALL=1 to keep it in examples/.
	@node hack/specialist.ts --task $(or $(TASK),ticket-triage) --seed $(or $(SEED),1) $(if $(INSTALL),--install)

$(INSTALLED): package-lock.json
	@command -v npm >/dev/null || { echo 'npm is missing: install Node.js 20 or newer, which brings it, from https://nodejs.org' >&2; exit 1; }
	@echo 'installing npm packages'
	@npm ci --ignore-scripts --no-progress --loglevel=error >/dev/null
	@touch $@
