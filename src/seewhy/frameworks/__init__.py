"""The only code that touches a model."""

import sys
from typing import Any

from seewhy.errors import ModelError
from seewhy.frameworks.base import Framework
from seewhy.frameworks.layers import LayerCall, LayerChoice
from seewhy.types import Precision

__all__ = ["Framework", "LayerCall", "LayerChoice", "framework_for"]


def framework_for(model: Any, precision: Precision = "float32") -> Framework:
    """Wrap a model for the framework it belongs to, importing nothing its owner has not imported.

    Args:
        model: What is run.
        precision: What it runs in.

    Raises:
        ModelError: The object is no model SeeWhy can run, or has not been built.
        OptionError: Nothing here can run it in bfloat16.
    """
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(model, keras.Model):
        if not model.built:
            raise ModelError(f"The model {model.name!r} has no weights yet: build it, or call it on an input.")
        if keras.backend.backend() == "tensorflow":
            from seewhy.frameworks.tensorflow.framework import KerasTensorflow

            return KerasTensorflow(model, precision)
        if keras.backend.backend() == "jax":
            from seewhy.frameworks.jax.framework import KerasJax

            return KerasJax(model, precision)
        if keras.backend.backend() == "torch":
            from seewhy.frameworks.torch.keras import KerasTorch

            return KerasTorch(model, precision)
        raise ModelError(
            f"Keras runs on {keras.backend.backend()} here; SeeWhy explains Keras models on TensorFlow, JAX and "
            "PyTorch."
        )
    torch = sys.modules.get("torch")
    # A Keras layer on PyTorch is a torch module too, but its inputs are Keras'.
    if torch is not None and isinstance(model, torch.nn.Module) and not _is_keras(model):
        return _detect_torch(model, torch, precision)
    if isinstance(model, str):
        raise ModelError(f"A model was given by name, {model!r}: load it first, with seewhy.load({model!r}).")
    raise ModelError(
        f"Cannot explain {_kind(model)}: expected a keras.Model (Keras 3) or a torch.nn.Module. A model of tf_keras "
        "or of Keras 2 has to be saved as .keras and loaded with Keras 3."
    )


def _detect_torch(model: Any, torch: Any, precision: Precision) -> Framework:
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            f"The model {model.original_name} is a TorchScript module: it is compiled whole, and its layers cannot "
            "be reached. Give the torch.nn.Module it was made of."
        )
    if any(torch.nn.parameter.is_lazy(each) for each in model.parameters()):
        raise ModelError(f"The model {type(model).__name__} has no weights yet: call it on an input.")
    from seewhy.frameworks.torch.framework import Torch

    return Torch(model, precision)


def _is_keras(model: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Layer)


def _kind(thing: Any) -> str:
    return f"an object of type {type(thing).__module__}.{type(thing).__qualname__}"
