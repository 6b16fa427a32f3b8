"""The only code that touches a network."""

import sys
from typing import Any

from seewhy.errors import ModelError
from seewhy.frameworks.base import Framework
from seewhy.frameworks.layers import LayerCall, LayerChoice
from seewhy.types import Precision

__all__ = ["Framework", "LayerCall", "LayerChoice", "detect"]


def framework_for(network: Any, precision: Precision = "float32") -> Framework:
    """Wrap a network for the framework it belongs to, importing nothing its owner has not imported.

    Args:
        network: What is run.
        precision: What it runs in.

    Raises:
        ModelError: The object is no network SeeWhy can run, or has not been built.
        OptionError: Nothing here can run it in bfloat16.
    """
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(network, keras.Model):
        if not network.built:
            raise ModelError(f"The network {network.name!r} has no weights yet: build it, or call it on an input.")
        if keras.backend.backend() == "tensorflow":
            from seewhy.frameworks.tensorflow.framework import KerasTensorflow

            return KerasTensorflow(network, precision)
        if keras.backend.backend() == "jax":
            from seewhy.frameworks.jax.framework import KerasJax

            return KerasJax(network, precision)
        if keras.backend.backend() == "torch":
            from seewhy.frameworks.torch.keras import KerasTorch

            return KerasTorch(network, precision)
        raise ModelError(
            f"Keras runs on {keras.backend.backend()} here; SeeWhy explains Keras networks on TensorFlow, JAX and "
            "PyTorch."
        )
    torch = sys.modules.get("torch")
    # A Keras layer on PyTorch is a torch module too, but its inputs are Keras'.
    if torch is not None and isinstance(network, torch.nn.Module) and not _is_keras(network):
        return _detect_torch(network, torch, precision)
    if isinstance(network, str):
        raise ModelError(f"A network was given by name, {network!r}: load it first, with seewhy.load({network!r}).")
    raise ModelError(
        f"Cannot explain {_kind(network)}: expected a keras.Model (Keras 3) or a torch.nn.Module. A model of tf_keras "
        "or of Keras 2 has to be saved as .keras and loaded with Keras 3."
    )


def _detect_torch(network: Any, torch: Any, precision: Precision) -> Framework:
    if isinstance(network, torch.jit.ScriptModule):
        raise ModelError(
            f"The network {network.original_name} is a TorchScript module: it is compiled whole, and its layers cannot "
            "be reached. Give the torch.nn.Module it was made of."
        )
    if any(torch.nn.parameter.is_lazy(each) for each in network.parameters()):
        raise ModelError(f"The network {type(network).__name__} has no weights yet: call it on an input.")
    from seewhy.frameworks.torch.framework import Torch

    return Torch(network, precision)


def _is_keras(network: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(network, keras.Layer)


def _kind(thing: Any) -> str:
    return f"an object of type {type(thing).__module__}.{type(thing).__qualname__}"
