"""The stem of a model in a traced TensorFlow graph."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.layouts import spatial_axes
from seewhy.frameworks.stem import StemInput, has_positions, moving_operation
from seewhy.frameworks.tensorflow.operation_types import CONVOLUTIONS, PRODUCTS
from seewhy.types import NativeTensor

POOLING = {"AvgPool", "MaxPool", "MaxPoolV2", "AvgPool3D", "MaxPool3D"}
DILATING = "SpaceToBatchND"
"""Before a dilated convolution, this moves every second row, or every third, to images of their own."""

STEM = CONVOLUTIONS | POOLING | PRODUCTS
"""The types of operations that end the stem's input."""


def find_stem_inputs(image: NativeTensor, tapped: NativeTensor, call: LayerCall) -> list[StemInput]:
    """Return what the stem receives, as far as the tapped output depends on it.

    Args:
        image: The model's input.
        tapped: The output of a layer; the only result if no convolution precedes it.
        call: The call of that layer.
    """
    moved: dict[Any, frozenset[str]] = {image.ref(): frozenset()}
    found: list[StemInput] = []
    for operation in _between(image, tapped):
        images = [tensor for tensor in operation.inputs if tensor.ref() in moved]
        if operation.type in STEM or _dilated_convolution(operation) is not None:
            found += [
                StemInput(tensor, tuple(tensor.shape), *_window(operation), moved[tensor.ref()])
                for tensor in images
                if tensor.shape.rank == 4 and operation.type not in ("Conv3D", "AvgPool3D", "MaxPool3D")
            ]
        elif images:
            names = frozenset().union(moving_operation(operation.type), *(moved[tensor.ref()] for tensor in images))
            moved.update((tensor.ref(), names) for tensor in operation.outputs if _may_hold_image(tensor))
    if tapped.ref() in moved:
        if tapped.shape.rank != 4:
            return []
        rows, columns = spatial_axes(call, 4)
        return [StemInput(tapped, tuple(tapped.shape), (rows, columns), (1, 1), moved[tapped.ref()])]
    return found


def _may_hold_image(tensor: NativeTensor) -> bool:
    """Whether an operation on the image may return it in this tensor: in a list too, as in a loop over images."""
    if tensor.dtype == tf.variant or (tensor.shape.rank is None and tensor.dtype != tf.bool):
        return True
    return tensor.dtype != tf.bool and has_positions(tensor.shape)


def _between(image: NativeTensor, tapped: NativeTensor) -> Iterator[tf.Operation]:
    """Yield the operations that lead to the tapped output, producers before consumers."""
    needed, pending = {tapped.op}, [tapped.op]
    while pending:
        for tensor in pending.pop().inputs:
            if tensor.op not in needed:
                needed.add(tensor.op)
                pending.append(tensor.op)
    return (operation for operation in image.graph.get_operations() if operation in needed)


def _dilated_convolution(operation: tf.Operation) -> tf.Operation | None:
    """Return the convolution for which an operation separates the rows; None for any other operation."""
    consumers = operation.outputs[0].consumers() if operation.type == DILATING else []
    return next((consumer for consumer in consumers if consumer.type in CONVOLUTIONS), None)


def _window(operation: tf.Operation) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the axes of rows and columns, and how many of them an operation reads for one output."""
    if operation.type in PRODUCTS:
        return (1, 2), (1, 1)
    convolution = _dilated_convolution(operation)
    if convolution is not None:
        blocks, sizes = np.ravel(tf.get_static_value(operation.inputs[1])), convolution.inputs[1].shape
        rows, columns = ((int(sizes[axis]) - 1) * int(blocks[axis]) + 1 for axis in (0, 1))
        return (1, 2), (rows, columns)
    axes = (2, 3) if operation.get_attr("data_format").endswith(b"CHW") else (1, 2)
    if operation.type in POOLING:
        sizes = operation.get_attr("ksize") if operation.type != "MaxPoolV2" else (1, 1, 1, 1)
        return axes, (sizes[axes[0]], sizes[axes[1]])
    kernel, dilations = operation.inputs[1].shape, operation.get_attr("dilations")
    rows, columns = ((int(kernel[axis] or 1) - 1) * dilations[axes[axis]] + 1 for axis in (0, 1))
    return axes, (rows, columns)
