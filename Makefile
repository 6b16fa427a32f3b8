# Everything happens in .venv. What needs the peers (other tools that explain models) runs in .venv-peers, which has KerasHub
# too, for `make bench`, and what needs libraries of models in .venv-zoo: both hold only what they add to .venv, whose
# packages they see.
# Each target does its own set-up; a stamp file remembers what is installed.
# PIP_ARGS may carry extra arguments for pip.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PIP := $(BIN)/python $(INSTALL) $(PIP_ARGS)
# One process per core, with a gigabyte of TensorFlow and one thread in each: more threads would wait for each other. Each
# starts with adjacent tests, which share models; a process that is done takes over tests of another.
ONE_THREAD := OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1
PROCESSES := --numprocesses auto --maxprocesses 4 --dist worksteal --durations 15
PYTEST := $(ONE_THREAD) $(BIN)/pytest $(PROCESSES)
SOURCES := pyproject.toml constraints.txt Makefile
PEERS := .venv-peers
ZOO := .venv-zoo
TRAINING := .venv-training
JUPYTERLAB := .venv-jupyterlab
DETECTORS := .venv-detectors
# Without what they ask for: bounds below what is installed here, and a second OpenCV. The last one is not run: its ONNX
# files are explained.
BOUNDED_PEERS := xplique tensorflow-probability tf-keras quantus rapidocr-onnxruntime

CHECK_DIST = $(BIN)/twine check --strict dist/* && $(BIN)/check-wheel-contents dist/*.whl

.DEFAULT_GOAL := help
.PHONY: help setup demo browser-runtime test test-all test-slow test-ray test-keras test-elsewhere oracle lint docs bench bench-runtimes zoo \
	test-integrations test-jupyterlab zoo-sample detectors wheel dist test-sdist notebooks clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' Makefile | expand -t 16

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "SeeWhy needs Python 3.11 or later; $(PYTHON) is not installed."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "SeeWhy needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(@D:/bin=) || { rm -rf $(@D:/bin=); \
		echo "Python cannot make environments here. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

# They see the packages of .venv, and use its pip, so that a gigabyte of frameworks is installed once.
$(PEERS)/bin/python $(ZOO)/bin/python $(TRAINING)/bin/python $(JUPYTERLAB)/bin/python: | $(VENV)/.development
	@$(BIN)/python -m venv --without-pip $(@D:/bin=)
	@packages=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
		$@ -c "import sysconfig; print('import site; site.addsitedir(\"$$packages\")', \
			file=open(sysconfig.get_path('purelib') + '/development.pth', 'w'))" || { rm -rf $(@D:/bin=); exit 1; }

$(VENV)/.runtime: $(SOURCES) | $(BIN)/python
	@echo "Installing SeeWhy with ONNX Runtime into $(VENV); the first time takes half a minute."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) 'pip>=25.1'
	@$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.development: $(SOURCES) | $(BIN)/python
	@echo "Installing SeeWhy with all that development needs into $(VENV); the first time takes a few minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) 'pip>=25.1'
	@$(PIP) --editable '.[tensorflow,jax,torch,onnx-tensorflow,openvino,demo,evaluate,parquet,report,web,figures,notebook,volumes,signals]' --group test --group lint
	@touch $(VENV)/.runtime $@

$(VENV)/.docs: $(VENV)/.development
	@$(PIP) --group docs
	@touch $@

$(PEERS)/.peers: $(VENV)/.development constraints-peers.txt | $(PEERS)/bin/python
	@echo "Installing SeeWhy's peers into $(PEERS), beside what is in $(VENV); the first time takes half a minute."
	@$(PEERS)/bin/python $(INSTALL) --constraint constraints-peers.txt $(PIP_ARGS) \
		--editable '.[tensorflow,jax,torch,hubs,openvino,demo,evaluate,figures]' --group test --group peers --group zoo
	@$(PEERS)/bin/python $(INSTALL) --constraint constraints-peers.txt $(PIP_ARGS) --no-deps $(BOUNDED_PEERS)
	@touch $@

setup: $(VENV)/.development  ## make .venv with everything development needs
	@$(BIN)/python hatch_build.py || true

browser-runtime: | $(BIN)/python  ## bring ONNX Runtime Web from the npm registry, for 'seewhy site'
	@$(BIN)/python hatch_build.py

demo: $(VENV)/.runtime  ## explain the example photos, and a mosaic of them, with EfficientNet-Lite0
	@$(BIN)/python examples/demo.py

$(ZOO)/.zoo: $(VENV)/.development constraints-zoo.txt | $(ZOO)/bin/python
	@echo "Installing libraries of models into $(ZOO), beside what is in $(VENV); the first time takes half a minute."
	@$(ZOO)/bin/python $(INSTALL) --constraint constraints-zoo.txt $(PIP_ARGS) \
		--editable '.[tensorflow,jax,torch,hubs,huggingface,onnx]' --group zoo
	@touch $@

# Apart from .venv: torchvision's compiled operators need this pair of versions, with CUDA in 5.5 GB. Of ultralytics only
# what its models need: it asks for a second OpenCV, and for its training.
$(DETECTORS)/.detectors: $(SOURCES) constraints-detectors.txt
	@echo "Installing detectors into $(DETECTORS), 6 GB; this takes some minutes."
	@$(PYTHON) -m venv $(DETECTORS)
	@$(DETECTORS)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) 'pip>=25.1'
	@$(DETECTORS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-detectors.txt \
		$(PIP_ARGS) --editable '.[torch,hubs,huggingface,figures]' --group detectors
	@$(DETECTORS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-detectors.txt \
		$(PIP_ARGS) --no-deps ultralytics ultralytics-thop
	@touch $@

test: lint  ## lint, types, import rules; tests of Keras on TensorFlow and of native PyTorch; ten minutes
	$(PYTEST) -m "not slow"

test-all: test test-slow test-ray test-integrations test-jupyterlab test-keras test-elsewhere oracle docs notebooks wheel  ## everything, also Keras on JAX and PyTorch, peers, docs and wheel

test-slow: $(VENV)/.development  ## tests marked slow; each mark gives its reason
	$(PYTEST) -m slow

$(TRAINING)/.training: $(VENV)/.development | $(TRAINING)/bin/python
	@echo "Installing Lightning, Weights & Biases and MLflow into $(TRAINING), beside what is in $(VENV)."
	@$(TRAINING)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --editable '.[lightning,tensorboard,wandb,mlflow]'
	@touch $@

test-integrations: $(TRAINING)/.training  ## callbacks and loggers of other libraries, in an environment that has them
	$(ONE_THREAD) $(TRAINING)/bin/python -m pytest tests/integrations

$(JUPYTERLAB)/.jupyterlab: $(VENV)/.development | $(JUPYTERLAB)/bin/python
	@echo "Installing JupyterLab and nbconvert into $(JUPYTERLAB), beside what is in $(VENV)."
	@$(JUPYTERLAB)/bin/python $(INSTALL) $(PIP_ARGS) --editable '.[demo,notebook]' --group jupyterlab
	@touch $@

test-jupyterlab: $(JUPYTERLAB)/.jupyterlab  ## the widget in a JupyterLab that Chromium opens, and in HTML by nbconvert
	$(ONE_THREAD) $(JUPYTERLAB)/bin/python -m pytest tests/viewer/jupyterlab

$(VENV)/.ray: $(VENV)/.development
	@$(PIP) --editable '.[ray]'
	@touch $@

test-ray: $(VENV)/.ray  ## data sets explained by workers of Ray, on a simulated cluster
	OMP_NUM_THREADS=1 $(BIN)/pytest --durations 5 tests/datasets/ray

test-keras: $(VENV)/.development  ## Keras on JAX and on PyTorch, a process for each backend
	KERAS_BACKEND=jax $(PYTEST) -m "not slow" tests/contracts tests/frameworks/jax tests/train/test_backends.py \
		tests/models/test_build_limits.py tests/integrations/test_keras_callback.py
	KERAS_BACKEND=torch $(PYTEST) tests/contracts tests/frameworks/torch/test_keras.py tests/train/test_backends.py \
		tests/models/test_build_limits.py tests/integrations/test_keras_callback.py

# An older processor, another locale and time zone, no browser: tests of what is missing are skipped with a reason.
ELSEWHERE := env -u CI ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 TF_ENABLE_ONEDNN_OPTS=0 \
	LANG=C LC_ALL=C PYTHONUTF8=0 TZ=Asia/Tokyo

test-elsewhere: $(VENV)/.development  ## tests that may depend on the machine, as on another machine
	$(ELSEWHERE) PATH="$(abspath $(BIN))" $(PYTEST) -m "not slow" tests/cli tests/images tests/viewer \
		tests/frameworks/tensorflow tests/frameworks/torch tests/contracts/test_precision.py

oracle: $(PEERS)/.peers  ## compare with other tools, run docs/moving; the real torchvision and timm
	$(ONE_THREAD) $(PEERS)/bin/python -m pytest $(PROCESSES) tests/oracles/peers

lint: $(VENV)/.development  ## style, types, import rules and retired words
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/check_words.py

docs: $(VENV)/.docs  ## build the documentation into site/, and run the Python of README and how-tos
	$(ONE_THREAD) $(BIN)/python docs_build/prepare.py
	$(BIN)/sphinx-build -q -W --keep-going -b html -c docs_build -d .docs/.doctrees .docs site
	$(ONE_THREAD) $(BIN)/python docs_build/run_pages.py

bench: $(PEERS)/.peers  ## measure what an explanation costs, against the bare forward pass and the peers; about an hour on two quiet cores
	$(PEERS)/bin/python -m benchmarks

bench-runtimes: $(PEERS)/.peers  ## measure ONNX Runtime and OpenVINO beside PyTorch and the peers, and record it; ten minutes
	$(PEERS)/bin/python -m benchmarks.runtimes
	$(PEERS)/bin/python -m benchmarks.record runtimes runtimes-goals

zoo: $(ZOO)/.zoo  ## explain one model of each family of five libraries, and write docs/zoo.md; 40 minutes
	$(ZOO)/bin/python -m benchmarks.zoo

zoo-sample: $(ZOO)/.zoo  ## the same with a few small models, without the page; two minutes
	$(ZOO)/bin/python -m benchmarks.zoo.exported & exported=$$!; sample=0; \
		$(ZOO)/bin/python -m benchmarks.zoo --sample || sample=1; wait $$exported && exit $$sample

detectors: $(DETECTORS)/.detectors  ## detectors and segmenters of five libraries, YOLO too; in 6 GB of its own, so not in test-all
	$(ONE_THREAD) $(DETECTORS)/bin/python -m pytest -c /dev/null --rootdir . --import-mode=importlib --durations 5 \
		tests/oracles/peers/test_detectors.py tests/oracles/peers/test_segmenters.py tests/oracles/peers/test_yolo.py

$(VENV)/.release: $(VENV)/.development
	@$(PIP) --group release
	@touch $@

wheel: $(VENV)/.release  ## build dist/*.whl, and check it
	@rm -rf dist
	@SEEWHY_BROWSER_RUNTIME=required $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps $(PIP_ARGS) --wheel-dir dist .
	$(CHECK_DIST)

dist: $(VENV)/.release  ## build the sdist, and the wheel from it, as they are published; check both
	@rm -rf dist .tutorials  # which links to examples/: hatchling visits a folder once, and would leave examples/ out
	SEEWHY_BROWSER_RUNTIME=required $(BIN)/python -m build --outdir dist
	$(CHECK_DIST)

test-sdist: dist $(VENV)/.development  ## run tests of the sdist where it is unpacked: its own files are all that they need
	.ci/test-sdist $(BIN)/python

notebooks: $(VENV)/.development  ## run the notebooks of examples/notebooks
	@$(PIP) --group notebooks
	$(ONE_THREAD) $(BIN)/python docs_build/run_notebooks.py

clean:  ## remove everything that was made
	rm -rf $(VENV) $(PEERS) $(ZOO) $(DETECTORS) $(TRAINING) $(JUPYTERLAB) benchmarks/results dist site docs/images .tutorials demo explanations
	rm -rf .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	rm -rf src/seewhy/site/runtime
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
