"""The error if an optional dependency is missing, in a new Python process that cannot import it."""

import os
import subprocess
import sys

import pytest

from seewhy.errors import install_command

WITHOUT = """
import sys

class Without:
    '''A finder that hides some modules.'''
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in MISSING else self.finder.find_spec(name, path, target)

MISSING = set(sys.argv[1].split(","))
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import seewhy
try:
    seewhy.load(sys.argv[2])
except seewhy.errors.MissingExtraError as error:
    print(isinstance(error, ImportError), error)
"""


def error_message(missing, source, backend=None):
    """Load a source in a Python process without some modules, and return the error message."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("KERAS_BACKEND", None)
    if backend:
        environment["KERAS_BACKEND"] = backend
    command = [sys.executable, "-c", WITHOUT, missing, source]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


CASES = [
    ("tensorflow", None, "tensorflow", "tensorflow"),
    ("jax", "jax", "jax", "jax"),
    ("torch", "torch", "torch", "torch"),
    ("keras", None, "keras", "tensorflow"),
    ("keras,jax", "jax", "keras", "jax"),
    ("keras", "torch", "keras", "keras-torch"),  # the extra "torch" is for native models, and has no Keras
]
"""The missing modules, Keras's backend, the module named in the message, and the extra that installs it."""


@pytest.mark.parametrize(
    ("missing", "backend", "named", "extra"),
    [
        ("onnx,keras,torch", None, "onnxruntime", "demo"),
        ("onnxruntime,tensorflow,jax,torch", None, "onnxruntime", "demo"),
        *((f"onnx,{missing}", missing, missing, extra) for missing, _, _, extra in CASES[:3]),
    ],
)
def test_the_default_model_without_its_framework(missing, backend, named, extra):
    """It needs one of several; where KERAS_BACKEND names one, that one."""
    assert error_message(missing, "efficientnet-lite0", backend) == (
        f"True For efficientnet-lite0, {named} is not installed. Install it with: {install_command(extra)}"
    )


def test_the_default_model_needs_no_framework():
    assert error_message("keras,tensorflow,jax,torch", "efficientnet-lite0", "tensorflow") == ""


@pytest.mark.parametrize(("missing", "backend", "named", "extra"), CASES)
def test_a_file_without_its_framework(tmp_path, missing, backend, named, extra):
    (tmp_path / "x.keras").touch()
    assert error_message(missing, str(tmp_path / "x.keras"), backend) == (
        f"True For x.keras, {named} is not installed. Install it with: {install_command(extra)}"
    )


@pytest.mark.parametrize(
    ("missing", "source", "words", "extra"),
    [
        ("torch", "efficientnet-lite0-torch", "For efficientnet-lite0-torch, torch", "torch"),
        ("timm", "timm:resnet50", "timm", "hubs"),
        ("torchvision", "torchvision:resnet50", "torchvision", "hubs"),
    ],
)
def test_native_models_without_what_they_need(missing, source, words, extra):
    assert error_message(missing, source) == f"True {words} is not installed. Install it with: {install_command(extra)}"
