# videofleet: `make demo` shows it, `make test` checks it, `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
CLUSTER := $(PYTHON) -m localcluster
LOCK := locks/dev.txt
# The parts as they are in this checkout; nothing is installed into the environment but third parties.
PARTS := api archive cli gateway kube operator worker
export PYTHONPATH := $(subst $() ,:,$(PARTS:%=$(CURDIR)/%) $(CURDIR))
# Compiled once, for all processes that tests start; and none of it beside the sources.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/bytecode
export KUBECONFIG :=

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: demo
demo: ## bring up a Kubernetes here and run the main job on real video
	@$(PYTHON) -m examples.demo

.PHONY: demo-down
demo-down: ## remove what the demo made; caches stay
	@$(PYTHON) -m examples.demo --down

.PHONY: status
status: ## say what of the local cluster runs and what died
	@$(CLUSTER) status

.PHONY: kubeconfig
kubeconfig: ## print the path of the local cluster's kubeconfig
	@$(CLUSTER) kubeconfig

.PHONY: kubectl
kubectl: ## print the path of the built kubectl
	@$(CLUSTER) kubectl

.PHONY: venv
venv: $(STAMP) ## make the development environment

$(STAMP): $(LOCK) tools/venv.sh tests/support/jsclients/package-lock.json
	@bash tools/venv.sh $(VENV) $(LOCK)
	@touch $@

.PHONY: generate
generate: $(STAMP) ## write the CRDs from the models in api/
	@$(BIN)/python -m videofleet_api.generate crds charts/videofleet/crds

.PHONY: verify
verify: $(STAMP) ## fail if anything generated differs from its source
	@bash tools/verify.sh $(BIN)/python

.PHONY: lock
lock: $(STAMP) ## solve the dependencies anew
	@bash locks/update.sh

.PHONY: lint
lint: types style ## style (ruff), types (mypy), layers (import-linter)

.PHONY: style
style: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

.PHONY: types
types: $(STAMP)
	@$(BIN)/mypy api/videofleet_api archive/videofleet_archive gateway/videofleet_gateway kube/videofleet_kube \
	    operator/videofleet_operator worker/videofleet_worker
	@$(BIN)/mypy cli/kubectl_videojob cli/videofleet_clip cli/videofleet_license
	@$(BIN)/mypy localcluster examples/demo

.PHONY: test
test: $(STAMP) ## all tests: unit, property, cluster (real API server), some fault plans, e2e (real kubelet, real images)
	@bash tools/test.sh $(BIN)/python unit property cluster faults e2e

.PHONY: faults
faults: $(STAMP) ## all fault plans; one: K=NAME or FAULTS_SEED=NUMBER
	@FAULTS=all bash tools/test.sh $(BIN)/python faults

.PHONY: test-quick
test-quick: $(STAMP) ## the tests that need no cluster: unit, property
	@bash tools/test.sh $(BIN)/python unit property

.PHONY: acceptance
acceptance: $(STAMP) ## each line of the reference interfaces: pass, fail or missing; without a cluster: SUITES="unit property"
	@ACCEPTANCE=only bash tools/test.sh $(BIN)/python $(or $(SUITES),unit property cluster e2e)

BENCH := .venv-bench/.ready

$(BENCH): locks/bench.txt $(STAMP)
	@$(PYTHON) -m venv .venv-bench
	@VIRTUAL_ENV=.venv-bench $(BIN)/uv pip sync --quiet --require-hashes locks/bench.txt
	@touch $@

BENCH_NORFAIR := .venv-bench-norfair/.ready

$(BENCH_NORFAIR): locks/bench-norfair.txt $(STAMP)
	@$(PYTHON) -m venv .venv-bench-norfair
	@VIRTUAL_ENV=.venv-bench-norfair $(BIN)/uv pip sync --quiet --require-hashes locks/bench-norfair.txt
	@touch $@

.PHONY: bench-data
bench-data: $(STAMP) $(BENCH) $(BENCH_NORFAIR) ## measure the data plane beside its peers; one part: PART=decode, speed, ...
	@$(BIN)/python -m tests.bench.data $(if $(PART),--part $(PART))

.PHONY: bench-gateway
bench-gateway: $(STAMP) ## measure streams to a thousand clients beside a peer that tails a file for each
	@$(BIN)/python -m tests.bench.gateway

.PHONY: bench-gpu
bench-gpu: $(STAMP) ## measure the data plane on an NVIDIA GPU, where there is one; DRY=1: try its code on the processor
	@$(BIN)/python -m tests.bench.gpu $(if $(DRY),--dry-run)

.PHONY: soak
soak: $(STAMP) ## cameras on one worker for an hour, one of them lost every minute; MINUTES=60 STREAMS=8
	@$(BIN)/python -m tests.bench.data.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(STREAMS),--streams $(STREAMS))

.PHONY: bench-control
bench-control: $(STAMP) $(BENCH) ## measure the control plane beside its peers; an hour on two cores
	@$(BIN)/python -m tests.bench.control

.PHONY: scale
scale: $(STAMP) ## 10,000 simulated streams on 1,000 simulated workers: start, churn, losses, silence
	@$(BIN)/python -m tests.bench.control.scale
