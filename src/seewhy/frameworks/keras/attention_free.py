"""Whether a Keras model can compute attention at all, told from its layers, without running it.

To find attention maps a model is traced once more. Most models need no trace: attention multiplies two tensors that the
model computes, and of Keras's own layers and operations only a few do.
"""

from collections.abc import Iterable
from typing import Any

import keras

MULTIPLYING_LAYERS = (
    *(keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention),
    *(keras.layers.Attention, keras.layers.AdditiveAttention),
    *(keras.layers.Dot, keras.layers.Lambda, keras.layers.RNN, keras.layers.Wrapper),
    *(keras.layers.TFSMLayer, keras.layers.TorchModuleWrapper, keras.layers.JaxLayer),
)
"""Keras's layers that multiply two tensors, or that run what the user gave them."""

ELEMENTWISE_OPERATIONS = (
    *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Negative", "Square", "Sqrt", "Rsqrt", "Abs"),
    *("Maximum", "Minimum", "Clip", "Relu", "Relu6", "Sigmoid", "HardSigmoid", "HardSilu", "Silu", "Gelu", "Tanh"),
    *("Cast", "Reshape", "Transpose", "GetItem", "Concatenate", "Mean", "Sum", "Max", "Pad", "Squeeze", "ExpandDims"),
)
"""Keras's operations in functional models that are known to multiply no matrices."""


def is_free_of_attention(model: Any, layers: Iterable[Any]) -> bool:
    """Whether a model and all of its layers and operations are Keras's own, and none multiplies two tensors.

    False too while another thread records the layers' calls, since recording replaces their `call`.
    """
    return _is_plain_model(model) and all(map(_is_plain, layers))


def _is_plain_model(model: Any) -> bool:
    return isinstance(model, (keras.Sequential, keras.Function)) and _is_of_keras(model) and not _has_own_call(model)


def _is_plain(layer: Any) -> bool:
    if isinstance(layer, keras.Model):
        return _is_plain_model(layer)
    if not _is_of_keras(layer) or _has_own_call(layer):
        return False
    if isinstance(layer, keras.layers.Layer):
        return not isinstance(layer, MULTIPLYING_LAYERS)
    return type(layer).__name__ in ELEMENTWISE_OPERATIONS


def _has_own_call(layer: Any) -> bool:
    """Whether what one layer computes was replaced, and not that of its class."""
    return "call" in vars(layer)


def _is_of_keras(layer: Any) -> bool:
    """Whether the class is Keras's, and the activation too if there is one."""
    activation = getattr(layer, "activation", None)
    kinds = [type(layer), *([activation] if callable(activation) else [])]
    return all(str(getattr(kind, "__module__", "")).split(".")[0] == "keras" for kind in kinds)
