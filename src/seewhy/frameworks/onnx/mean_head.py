"""Heads that read only the spatial mean of a layer: pooling, and whatever follows."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import onnx

from seewhy.frameworks.onnx.graph import AI_ONNX, Graph

VALUE_PRESERVING = ("Identity", "Cast", "Dropout")
"""Operators that keep every value."""


class PooledValue(NamedTuple):
    """What a head reads of a layer.

    Attributes:
        value: The mean, or sum, of the layer over space.
        divisor: The number of positions for a mean; 1 for a sum.
    """

    value: str
    divisor: int


def pooled_value(graph: Graph, layer: str, space: Iterable[int], outputs: Iterable[str]) -> PooledValue | None:
    """Return the spatial mean or sum of a layer; None if outputs depend on more of the layer than that.

    Args:
        graph: The model.
        layer: A value.
        space: Its spatial axes.
        outputs: The values that the objective reads.
    """
    outputs, space = set(outputs), set(space)
    while layer not in outputs:
        consumers = [node for node in graph.consumers(layer) if node.op_type != "Shape"]
        if len(consumers) != 1 or consumers[0].domain not in AI_ONNX:
            return None
        (node,) = consumers
        shape = graph.shape(layer)
        if shape is None or any(shape[axis] is None for axis in space):
            return None
        positions = math.prod(int(shape[axis] or 0) for axis in space)
        if node.op_type in VALUE_PRESERVING and node.input[0] == layer:
            layer = node.output[0]
        elif node.op_type == "GlobalAveragePool":
            return PooledValue(node.output[0], positions) if space == set(range(2, len(shape))) else None
        elif node.op_type == "AveragePool":
            return PooledValue(node.output[0], positions) if _covers(graph, node, shape, space) else None
        elif node.op_type in ("ReduceMean", "ReduceSum"):
            axes = _reduced_axes(graph, node, len(shape))
            return (
                PooledValue(node.output[0], positions if node.op_type == "ReduceMean" else 1) if axes == space else None
            )
        else:
            return None
    return None


def _covers(graph: Graph, node: onnx.NodeProto, shape: tuple[int | None, ...], space: set[int]) -> bool:
    """Whether a pooling has one window, which covers all positions and no padding."""
    attributes = {attribute.name: attribute for attribute in node.attribute}
    window = tuple(attributes["kernel_shape"].ints)
    output = graph.shape(node.output[0])
    is_padded = "pads" in attributes and any(attributes["pads"].ints)
    is_one = output is not None and all(size == 1 for size in output[2:])
    return not is_padded and is_one and space == set(range(2, len(shape))) and window == shape[2:]


def _reduced_axes(graph: Graph, node: onnx.NodeProto, rank: int) -> set[int] | None:
    """Return the axes over which a node reduces; None if they are not known."""
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if "axes" in attributes:
        return {axis % rank for axis in attributes["axes"].ints}
    if len(node.input) < 2 or not node.input[1]:
        return set(range(rank))
    axes = graph.constant(node.input[1])
    return None if axes is None else {int(axis) % rank for axis in np.ravel(axes)}
