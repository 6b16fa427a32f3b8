"""EfficientNet-Lite0 in what is installed: ONNX Runtime, Keras or native PyTorch. Its layers have one name in all."""

import importlib.util
import logging
import os
import sys
from pathlib import Path
from typing import get_args

from seewhy import timing
from seewhy.errors import MissingExtraError, OptionError, short_repr
from seewhy.frameworks.device import FrameworkName
from seewhy.models import efficientnet_lite0, keras_file, torch_weights
from seewhy.models.class_names import imagenet
from seewhy.models.classifier import Classifier
from seewhy.timing import Phase
from seewhy.types import Backend

_logger = logging.getLogger("seewhy.models")

NAME = "efficientnet-lite0"
KERAS = "keras"
"""The Keras model, on the backend that Keras is set to."""

KERAS_BACKENDS = ("tensorflow", "jax")
BACKENDS = ("onnx", KERAS, *KERAS_BACKENDS, "torch")
"""What `backend` may be: the ONNX graph, the Keras model on one of its backends, or the native PyTorch module."""


def split_backend(backend: str | None, source: str) -> tuple[str | None, Backend | None]:
    """Return what this model is built for, and what runs any model other than the framework that it is written in.

    Raises:
        OptionError: The backend is unknown, or is for the model that is built in all of them, and given for another.
    """
    runtime: Backend | None = next((name for name in get_args(Backend) if name == backend), None)
    if backend is None:
        return None, None
    if backend not in (*BACKENDS, *get_args(Backend)):
        names = dict.fromkeys((*BACKENDS, *get_args(Backend)))
        raise OptionError(f"Unknown backend {short_repr(backend)}; expected one of {', '.join(names)}.")
    if source == NAME and backend in BACKENDS:
        return backend, None
    if runtime is None:
        raise OptionError(
            f"backend={short_repr(backend)} is for {NAME}, which is built for each; {short_repr(source)} runs in what "
            f"it is written in, or in {' or '.join(get_args(Backend))}. Leave out backend."
        )
    return None, runtime


def framework_of(backend: str | None) -> FrameworkName | None:
    """Return what the model is written in for a backend, or for what is installed; None where nothing is."""
    names: dict[str | None, FrameworkName] = {
        "onnx": "onnx",
        "torch": "torch",
        "tensorflow": "keras-tensorflow",
        "jax": "keras-jax",
        KERAS: "keras",
    }
    return names.get(_first_installed() if backend is None else backend)


def backend_for_weights(path: Path) -> str:
    """Return what the model is built for to take the weights of a file: PyTorch for a state dict, else Keras."""
    return "torch" if path.suffix.lower() in torch_weights.SUFFIXES else KERAS


def build(pretrained: bool, backend: str | None = None) -> Classifier:
    """Build the classifier for a backend.

    Args:
        pretrained: True for the ImageNet weights; False for random ones from a fixed seed.
        backend: One of `BACKENDS`. None takes what is installed: ONNX Runtime, else Keras, else PyTorch.

    Raises:
        OptionError: Keras was imported with another backend than the one named.
        MissingExtraError: The backend, or the package with the weights, is not installed.
    """
    if backend is None:
        backend = _installed()
        _logger.info("%s is built for %s, the first that is installed of onnx, keras and torch", NAME, backend)
    if backend == "onnx":
        return _onnx(pretrained)
    if backend == "torch":
        return native_torch(pretrained, NAME)
    if backend != KERAS:
        _choose_keras_backend(backend)
    return _keras(pretrained)


def native_torch(pretrained: bool, name: str) -> Classifier:
    """Build the native PyTorch module."""
    try:
        with timing.phase(Phase.IMPORTING):
            from seewhy.models.efficientnet_lite0_torch import build_torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(f"For {name}, torch", "torch") from error
    return _classifier(build_torch(pretrained=pretrained), name)


def _installed() -> str:
    """Return the backend that is taken where none is named; raise MissingExtraError where none is installed."""
    backend = _first_installed()
    if backend is None:
        raise MissingExtraError(f"For {NAME}, onnxruntime", "demo")
    return backend


def _first_installed() -> str | None:
    if _is_installed("onnx") and _is_installed("onnxruntime"):
        return "onnx"
    if _is_installed("keras"):
        if _is_keras_set() or _is_installed("tensorflow"):
            return KERAS
        if _is_installed("jax"):
            return "jax"
    return "torch" if _is_installed("torch") else None


def _is_keras_set() -> bool:
    """Whether Keras runs, or is said to run, on a certain backend."""
    return "keras" in sys.modules or "KERAS_BACKEND" in os.environ


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _choose_keras_backend(backend: str) -> None:
    """Have Keras run on a backend, which it takes from the environment when it is imported."""
    keras = sys.modules.get("keras")
    if keras is None:
        os.environ["KERAS_BACKEND"] = backend
    elif keras.backend.backend() != backend:
        raise OptionError(
            f"backend={backend!r} was given, and Keras runs on {keras.backend.backend()} in this process, which cannot "
            f"change. Set the environment variable KERAS_BACKEND={backend} before Keras is imported."
        )


def _keras(pretrained: bool) -> Classifier:
    try:
        model = efficientnet_lite0.build_keras(pretrained=pretrained)
    except ModuleNotFoundError as error:
        raise keras_file.missing_extra(f"For {NAME}, ", error) from error
    return _classifier(model, NAME)


def _onnx(pretrained: bool) -> Classifier:
    for package in ("onnx", "onnxruntime"):
        if not _is_installed(package):
            raise MissingExtraError(f"For {NAME} with backend='onnx', {package}", "onnx")
    with timing.phase(Phase.IMPORTING):
        from seewhy.models.efficientnet_lite0_onnx import build_onnx
    return _classifier(build_onnx(pretrained=pretrained), NAME)


def _classifier(model: object, name: str) -> Classifier:
    return Classifier(model, preprocess=efficientnet_lite0.PREPROCESSING, class_names=imagenet(), name=name)
