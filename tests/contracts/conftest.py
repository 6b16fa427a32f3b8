"""Every framework of this process: Keras on its one backend; native PyTorch beside Keras on TensorFlow; and ONNX models
beside Keras on PyTorch.

So the three runs of the Makefile, one for each backend, show the same of all five. `in_keras`, `in_torch` and `in_onnx`
have the same functions, which build the same models with the same weights.
"""

import importlib.util
import sys

import keras
import pytest
from tests.contracts import in_keras
from tests.hardware import skip_unless_tensorflow_runs_bfloat16

FRAMEWORKS = [in_keras]
if keras.backend.backend() == "tensorflow":
    from tests.contracts import in_torch

    FRAMEWORKS.append(in_torch)
if keras.backend.backend() == "torch" and importlib.util.find_spec("onnxruntime"):
    from tests.contracts import in_onnx

    FRAMEWORKS.append(in_onnx)


# Models as small as these compute for microseconds, and PyTorch's threads would wait for each other for milliseconds.
if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(1)


@pytest.fixture(params=FRAMEWORKS, ids=lambda each: each.NAME)
def framework(request):
    """What builds models: `in_keras` or `in_torch`."""
    return request.param


@pytest.fixture
def bfloat16(request):
    """Skip the test where its framework cannot run in bfloat16 on this processor; Keras's, where it names none."""
    framework = request.getfixturevalue("framework") if "framework" in request.fixturenames else in_keras
    if framework.NAME == "onnx":
        pytest.skip("an ONNX model runs in the types that it has")
    if framework is in_keras and keras.backend.backend() == "tensorflow":
        skip_unless_tensorflow_runs_bfloat16()
