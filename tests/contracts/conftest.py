"""Every framework of this process: Keras on its one backend; and native PyTorch, beside Keras on TensorFlow.

So the three runs of the Makefile, one for each backend, show the same of all four. `in_keras` and `in_torch` have the
same functions, which build the same models with the same weights.
"""

import sys

import keras
import pytest
from tests.contracts import in_keras

FRAMEWORKS = [in_keras]
if keras.backend.backend() == "tensorflow":
    from tests.contracts import in_torch

    FRAMEWORKS.append(in_torch)


# Models as small as these compute for microseconds, and PyTorch's threads would wait for each other for milliseconds.
if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(1)


@pytest.fixture(params=FRAMEWORKS, ids=lambda each: each.NAME)
def framework(request):
    """What builds models: `in_keras` or `in_torch`."""
    return request.param
