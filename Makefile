# Verbs of a developer. `make demo` and `make test` set up everything they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
STAMP := $(VENV)/.installed
SITE := .venv-docs
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# Of the zoo's splits, the one that efficacy is measured on; and the peers quick enough to be asked about all of it.
SPLIT ?= fit
PEERS ?= mm-bd,free-eagle,art-activation-defence,art-activation-defence-silhouette

# The build of torch in the image: cpu or cuda.
TORCH ?= cpu

# Where the image of a release goes: a folder that is not there yet.
IMAGE ?= dist/image

# Two processes; one that dies ends the run, which would otherwise wait for it without end.
TWO := -n 2 --max-worker-restart=0

# What `make lint` looks at; the benchmarks have their own pyproject.toml and their own verbs.
CODE := gate tests demo docker release

.DEFAULT_GOAL := help
.PHONY: help install dev demo test test-stories test-slow lint reformat schema reference snapshots zoo efficacy efficacy-check bench lock docs dist sbom audit clean
.PHONY: container container-test image image-test wheel-test benchmarks-test benchmarks-test-slow benchmarks-lint

help: ## list these verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(RUNS) ## make .venv with the gate and what it needs to run

$(RUNS): requirements/runtime.lock requirements/torch.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "gate needs Python 3.11 or newer; name one with: make PYTHON=python3.12 …"; exit 2; }
	@echo "setting up $(VENV): locked dependencies (some minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements/runtime.lock
	@$(PIP) -r requirements/torch.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

dev: $(STAMP) ## the same, with what tests and checks need

# The lock is whole. pip would resolve again, and hashes nothing that one package asks for with an extra (pydantic[email])
# once a newer release of it is out.
$(STAMP): $(RUNS) requirements/dev.lock
	@echo "setting up $(VENV): what tests and checks need"
	@$(PIP) --no-deps --require-hashes -r requirements/dev.lock
	@touch $@

demo: $(RUNS) ## train a clean and a poisoned model, register both, run the gate on them
	@$(BIN)/python -m demo

test: $(STAMP) ## run the quick tests
	$(BIN)/python -m pytest -q $(TWO)

test-stories: $(STAMP) ## run whole stories: servers, and commands that run for minutes
	$(BIN)/python -m pytest -q $(TWO) -m "story and not slow and not gpu and not online and not container"

test-slow: $(STAMP) ## run what neither of these does: wide corpora, storms (hours; not in CI)
	$(BIN)/python -m pytest -q $(TWO) -m "slow and not gpu and not online and not container"

wheel-test: $(STAMP) ## build the wheel, install it in a fresh environment and check a model with it
	$(BIN)/python -m pytest -q -m slow tests/wheel

lint: $(STAMP) ## style, types, architecture, Dockerfile
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile

benchmarks-test: $(STAMP) ## run the quick tests of the benchmarks and the zoo
	$(BIN)/python -m pytest -q $(TWO) benchmarks/tests

benchmarks-test-slow: $(STAMP) ## run all of them that need no GPU
	$(BIN)/python -m pytest -q $(TWO) -m "not gpu" benchmarks/tests

benchmarks-lint: $(STAMP) ## style and types of the benchmarks
	$(BIN)/ruff format --check benchmarks
	$(BIN)/ruff check benchmarks
	$(BIN)/mypy --config-file benchmarks/pyproject.toml

reformat: $(STAMP) ## let ruff mend style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(STAMP) ## write gate/policies/schema.json anew
	$(BIN)/gate schema policy > gate/policies/schema.json

reference: $(STAMP) ## write the generated pages of docs/reference anew
	$(BIN)/python -m tests.reference.pages

snapshots: $(STAMP) ## accept the renderers' output of today; look at the difference
	$(BIN)/python -m pytest -q tests/renderers --snapshot-update

zoo: $(STAMP) ## train the zoo's models that are missing (hours on one core; may be ended and begun again)
	nice -n 19 $(BIN)/python -m benchmarks.zoo train

.peers: benchmarks/peers.in
	@$(PIP) --no-deps --target .peers -r benchmarks/peers.in && touch .peers

efficacy: $(STAMP) .peers ## scan the zoo's fit split, ask the peers, write docs/results/efficacy.md (hours; may be ended and begun again)
	nice -n 19 $(BIN)/python -m benchmarks.efficacy run --split $(SPLIT)
	PYTHONPATH=.:.peers nice -n 19 $(BIN)/python -m benchmarks.efficacy peers --split $(SPLIT) --peers $(PEERS)
	$(BIN)/python -m benchmarks.efficacy table --split $(SPLIT) --write

efficacy-check: $(STAMP) ## scan a random 5 % of the measured models again and compare
	nice -n 19 $(BIN)/python -m benchmarks.efficacy check --split $(SPLIT)

bench: $(STAMP) ## count and time the search for patches beside Neural Cleanse as published, in one run
	$(BIN)/python -m benchmarks.against_published

container: ## build the image gate:cpu (needs a Docker engine; TORCH=cuda builds gate:cuda)
	@PYTHON=$(PYTHON) docker/build.sh $(TORCH)

container-test: $(STAMP) ## build the image and try it against an MLflow server on loopback (where a Docker engine is)
	nice -n 5 $(BIN)/python -m pytest -v -rsP -p no:randomly -m container tests/container/test_image.py

image: ## build the commit's image as a release does, to the same digest wherever it is done (needs buildah; PLATFORM=linux/arm64)
	@PYTHON=$(PYTHON) docker/image.sh build $(IMAGE)

image-test: $(STAMP) ## build it twice and compare (where buildah is; BASE=… names the base)
	nice -n 5 $(BIN)/python -m pytest -v -rsP -p no:randomly -m container tests/container/test_same_digest.py

lock: ## resolve requirements/*.in to exact versions with hashes (needs uv and an index)
	for kind in runtime dev docs; do uv pip compile requirements/$$kind.in -o requirements/$$kind.lock \
	  --override requirements/without-torch.txt --generate-hashes --universal --python-version 3.11 --no-header --no-annotate --quiet; done

$(SITE)/.installed: requirements/docs.lock
	@$(PYTHON) -m venv $(SITE)
	@$(SITE)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/docs.lock
	@touch $@

docs: $(SITE)/.installed ## build the docs site in site/; a link or anchor that leads nowhere ends it
	@PYTHONDONTWRITEBYTECODE=1 $(SITE)/bin/mkdocs build --strict # with --quiet no warning would count

dist: $(STAMP) ## build sdist, wheel and bill of materials of the commit: the same bytes wherever it is done
	@$(BIN)/python -m release

sbom: $(STAMP) ## write the CycloneDX bill of materials of what is installed
	$(BIN)/cyclonedx-py environment $(BIN)/python --output-reproducible --of JSON -o sbom.json

audit: $(STAMP) ## look up known vulnerabilities of the locked dependencies (needs an index)
	$(BIN)/pip-audit --strict --require-hashes -r requirements/runtime.lock

clean: ## remove .venv and the demo
	rm -rf $(VENV) $(SITE) site .peers demo-out
