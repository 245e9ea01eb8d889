# Every step of development and of continuous integration is a target here: `make help`.
# Set-up needs Python 3.11 or 3.12 and nothing else; PYTHON=/path/to/python3.12 names one.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
PYTHON ?=
export PYTHON
# TensorFlow's informational lines hide everybody else's.
export TF_CPP_MIN_LOG_LEVEL ?= 2

UV_VERSION := 0.13.9
UPGRADE ?=

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REGISTRY ?= localhost
CONTAINER_TOOL ?= $(shell command -v docker || command -v podman)
# What builds an image; it takes --file, --target, --build-arg, --tag and a context, as docker and podman do.
CONTAINER_BUILD ?= $(CONTAINER_TOOL) build
# More for it, e.g. --build-arg BASE=docker.io/library/python@sha256:...
BUILD_OPTIONS ?=
# gpu: TensorFlow with CUDA in the images of training and predictor, which grow by several GB.
ACCELERATOR ?= none
PYTEST_OPTIONS ?=
MLFLOW_PORT ?= 5000

.PHONY: help setup demo test test-fast test-cluster verify format lint typecheck arch compile manifests images bench \
	serve ui mlflow docs lock clean

help:  ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Make .venv from the lock (every target does, when it is not current)
	@python=$$(tools/find_python.sh) && "$$python" -m tools.setup_environment

demo: setup  ## Train, promote, serve, predict and roll back on demo pictures, offline
	@$(BIN)/forgery demo

serve: setup  ## Serve the model in service here, over REST and gRPC
	@$(BIN)/forgery serve

ui: setup  ## Serve the page for people, a client of `make serve`
	@$(BIN)/forgery ui

mlflow: setup  ## Serve MLflow on the runs and models of this machine
	@# Without the last part MLflow opens on pages for language models; it remembers what it was told.
	@echo "MLflow: http://127.0.0.1:$(MLFLOW_PORT)/#/experiments/1/runs?workflowType=machine_learning"
	@MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
		$(BIN)/mlflow ui --host 127.0.0.1 --port $(MLFLOW_PORT) --workers 1 \
		--backend-store-uri sqlite:///$(abspath $(or $(FORGERY_HOME),.forgery))/mlflow.db

test: setup  ## Run all tests but those that need a cluster
	@$(BIN)/pytest -m "not cluster" $(PYTEST_OPTIONS)

test-fast: setup  ## Run the tests that train no network and start no server
	@$(BIN)/pytest -m "not cluster and not slow" $(PYTEST_OPTIONS)

test-cluster: setup  ## Run the tests that need a cluster with KServe in KUBECONFIG
	@test -n "$$KUBECONFIG" || { echo "test-cluster: set KUBECONFIG to a cluster with KServe" >&2; exit 1; }
	@$(BIN)/pytest -m cluster $(PYTEST_OPTIONS)

format: setup  ## Format the code and sort its imports
	@$(BIN)/ruff check --select I --fix --quiet .
	@$(BIN)/ruff format .

lint: setup  ## Check format and style
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

typecheck: setup  ## Check types, strictly
	@$(BIN)/mypy

arch: setup  ## Check which package may import which
	@$(BIN)/lint-imports

verify: lint typecheck arch  ## Everything a change must pass: style, types, imports, tests, generated files, manifests
	@$(MAKE) test
	@$(BIN)/python -m tools.check_generated
	@$(MAKE) manifests

compile: setup  ## Write pipelines/compiled/*.yaml and docs/reference/*.md anew
	@$(BIN)/forgery compile
	@$(BIN)/python -m tools.generate_reference

manifests:  ## Render every overlay of manifests/ into build/manifests
	@command -v kubectl >/dev/null || { echo "manifests: kubectl is needed, which has kustomize in it" >&2; exit 1; }
	@mkdir -p build/manifests
	@for overlay in manifests/overlays/*/; do \
		name=$$(basename "$$overlay"); \
		kubectl kustomize "$$overlay" > "build/manifests/$$name.yaml" || exit 1; \
		echo "build/manifests/$$name.yaml"; \
	done

IMAGE_LABELS = --build-arg ACCELERATOR=$(ACCELERATOR) --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown)

images:  ## Build the images with docker or podman (REGISTRY=, BUILD_OPTIONS=, CONTAINER_BUILD=)
	@test -n "$(firstword $(CONTAINER_BUILD:build=))" || { echo "images: docker or podman is needed" >&2; exit 1; }
	$(CONTAINER_BUILD) --file Dockerfile.train $(IMAGE_LABELS) $(BUILD_OPTIONS) \
		--tag $(REGISTRY)/forgery/train-python:$(VERSION) .
	$(CONTAINER_BUILD) --file Dockerfile.serve --target transformer $(IMAGE_LABELS) $(BUILD_OPTIONS) \
		--tag $(REGISTRY)/forgery/transformer:$(VERSION) .
	$(CONTAINER_BUILD) --file Dockerfile.serve --target predictor $(IMAGE_LABELS) $(BUILD_OPTIONS) \
		--tag $(REGISTRY)/forgery/predictor:$(VERSION) .
	$(CONTAINER_BUILD) --file Dockerfile.serve --target ui $(IMAGE_LABELS) $(BUILD_OPTIONS) \
		--tag $(REGISTRY)/forgery/ui:$(VERSION) .

bench: setup  ## Measure, as ratios within one run, and write docs/benchmarks.md
	@$(BIN)/python -m benchmarks

docs: setup  ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 $(UPGRADE) \
	--custom-compile-command "make lock"

lock: setup  ## Write requirements.txt and the images' subsets of it anew (UPGRADE=--upgrade: newest versions)
	@$(UV_COMPILE) --all-extras pyproject.toml -o requirements.txt
	@for image in train transformer predictor ui examples; do \
		$(UV_COMPILE) --extra $$image --constraint requirements.txt pyproject.toml -o requirements/$$image.txt || exit 1; \
	done
	@$(UV_COMPILE) --group gpu --constraint requirements.txt -o requirements/gpu.txt
	@echo "uv==$(UV_VERSION)" | $(UV_COMPILE) - -o requirements/uv.txt

clean:  ## Remove what builds and checks leave behind; .venv and .forgery stay
	@rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
