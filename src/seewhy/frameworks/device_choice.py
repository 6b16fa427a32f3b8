"""Check that a framework has a device, and choose it where that has to happen before a model is loaded."""

import importlib.util
import os
import sys

from seewhy.frameworks.device import Device, FrameworkName


def prepare_device(device: Device, framework: FrameworkName) -> None:
    """Check that a framework has a device, before a model is loaded for it.

    TensorFlow, and Keras on PyTorch, run all models of a process on one device: it is chosen here.

    Raises:
        OptionError: The framework does not find the device, or runs on another one in this process.
    """
    package = {"keras-tensorflow": "tensorflow", "keras-jax": "jax", "keras-torch": "torch", "onnx": "onnxruntime"}
    if importlib.util.find_spec(package.get(framework, framework)) is None:
        return  # what loads the model says which extra is missing
    if framework == "keras":
        _set_torch_of_keras(device)
        from seewhy.frameworks.keras.backend import backend_name

        prepare_device(device, backend_name())
    elif framework == "torch":
        from seewhy.frameworks.torch.device import torch_device

        torch_device(device)
    elif framework == "keras-torch":
        from seewhy.frameworks.torch.keras_device import check_keras_device

        check_keras_device(device)
    elif framework == "keras-tensorflow":
        from seewhy.frameworks.tensorflow.device import show_device

        show_device(device)
    elif framework == "keras-jax":
        from seewhy.frameworks.jax.device import jax_device

        jax_device(device)
    else:
        from seewhy.frameworks.onnx.device import provider_of

        provider_of(device)


def _set_torch_of_keras(device: Device) -> None:
    """Have Keras on PyTorch run on a device, which it takes from the environment when it is imported."""
    if "keras" not in sys.modules and os.environ.get("KERAS_BACKEND") == "torch":
        from seewhy.frameworks.torch.device import torch_device

        os.environ["KERAS_TORCH_DEVICE"] = str(torch_device(device))
