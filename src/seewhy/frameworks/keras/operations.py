"""The operations of functional Keras models: `x + y` and `keras.ops.add(x, y)` are nodes of the graph, as layers are.

An operation has a path, may be tapped and named like a layer. "auto" takes only operations of which it is certain that
they compute features at the positions of an image: those that combine several tensors of the graph at each position,
activations, convolutions and normalizations, and operations that are not Keras's own. Other operations move, cast or
scale what one layer computed, which that layer shows as well; or they multiply matrices, such as queries and keys,
whose axes are not those of an image.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from seewhy.frameworks.structures import leaves

COMBINING = {
    *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "DivideNoNan"),
    *("Maximum", "Minimum", "Fmax", "Fmin", "Where", "Concatenate", "Hypot", "Logaddexp"),
}
"""The classes of operations that combine tensors at each position."""

COMPUTING = {
    *("Relu", "Relu6", "Elu", "Selu", "Celu", "Gelu", "Glu", "Silu", "HardSilu", "LeakyRelu", "LogSigmoid", "Softplus"),
    *("Softsign", "SoftShrink", "HardShrink", "TanhShrink", "HardTanh", "Tanh"),
    *("Squareplus", "SparsePlus", "Threshold"),
    *("Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose", "BatchNorm", "LayerNorm", "RMSNorm"),
}
"""The classes of activations, convolutions and normalizations."""

POOLING = {
    *("MaxPool", "AveragePool", "AdaptiveMaxPool", "AdaptiveAveragePool"),
    *("Mean", "Sum", "Max", "Min", "Amax", "Amin", "Average", "Median", "Std", "Var", "Logsumexp"),
}
"""The classes of operations that pool over an axis or more."""


def graph_operations(layer: Any) -> list[Any]:
    """Return the layers and operations that a functional model runs, in their order; none for any other layer."""
    return list(layer.operations) if isinstance(layer, keras.Function) else []


def keras_layers(operations: Mapping[str, Any]) -> list[Any]:
    """Return those that are layers, with weights, a type and a state, among layers and operations by path."""
    return [operation for operation in operations.values() if isinstance(operation, keras.Layer)]


def is_pooling_operation(operation: Any) -> bool:
    """Whether an operation of Keras only pools."""
    return _keras_class(operation) in POOLING


def is_auxiliary(operation: Any, channels: int) -> bool:
    """Whether "auto" does not take an operation; False for every layer.

    Args:
        operation: A layer or an operation.
        channels: The axis of the channels in its output, 1 or -1.
    """
    name = _keras_class(operation)
    if name is None or name in COMPUTING:
        return False
    if name not in COMBINING or len({id(tensor) for tensor in leaves(operation.input)}) < 2:
        return True
    # Along another axis than the channels', what is concatenated is no image any more.
    return name == "Concatenate" and (operation.axis - channels) % len(operation.output.shape) != 0


def axes_order(operation: Any, rank: int) -> tuple[int, ...] | None:
    """Return which axis of its input each axis of an output of `rank` axes is; None for what does not permute axes."""
    if isinstance(operation, keras.layers.Permute):
        return (0, *operation.dims)
    name, axes = _keras_class(operation), np.broadcast_to(0, range(1, rank + 1))  # axis n has the size n + 1
    if name == "Transpose":
        axes = np.transpose(axes, operation.axes)
    elif name == "Moveaxis":
        axes = np.moveaxis(axes, operation.source, operation.destination)
    elif name == "Swapaxes":
        axes = np.swapaxes(axes, operation.axis1, operation.axis2)
    else:
        return None
    return tuple(size - 1 for size in axes.shape)


def _keras_class(operation: Any) -> str | None:
    """Return the class of an operation of `keras.ops`; None for a layer and for an operation of somebody else."""
    kind = type(operation)
    is_own = kind.__module__.startswith("keras.") and not isinstance(operation, (keras.Layer, keras.Function))
    return kind.__name__ if is_own else None
