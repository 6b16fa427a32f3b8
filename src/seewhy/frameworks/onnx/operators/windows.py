"""The windows of convolutions and of pooling: where each lies on the input."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks.onnx.operators.node_gradient import NodeGradient, NoGradientRuleError


@dataclass(frozen=True)
class Windows:
    """Windows of one size, at regular distances.

    Args:
        kernel: Their size along each axis of space.
        strides: The distance from one to the next.
        dilations: The distance between the elements of one.
        begins: What is added to the input before its first element along each axis.
        ends: What is added after its last.
        inputs: The input's size along each axis.
        outputs: The number of windows along each axis.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def extent(self, axis: int) -> int:
        """Return the size of a window along an axis, with the gaps between its elements."""
        return self.dilations[axis] * (self.kernel[axis] - 1) + 1

    def positions(self, axis: int) -> NDArray[np.int64]:
        """Return the index of each element of each window along an axis (windows, elements), outside the input too."""
        starts = np.arange(self.outputs[axis]) * self.strides[axis] - self.begins[axis]
        return np.asarray(starts[:, None] + np.arange(self.kernel[axis]) * self.dilations[axis], np.int64)


def windows(g: NodeGradient, kernel: tuple[int, ...], large: str, small: str) -> Windows:
    """Return the windows of a node, from its attributes.

    Args:
        g: The node.
        kernel: Their size.
        large: The value on which the windows lie: the input of a convolution, the output of a transposed one.
        small: The value with an element for each window.
    """
    inputs, outputs, rank = g.space(large), g.space(small), len(kernel)
    if len(inputs) != rank or len(outputs) != rank:
        raise NoGradientRuleError(f"its kernel has {rank} axes, and its input {len(inputs)} axes of space")
    strides = tuple(g.attribute("strides") or (1,) * rank)
    dilations = tuple(g.attribute("dilations") or (1,) * rank)
    begins, ends = _padding(g, Windows(kernel, strides, dilations, (), (), inputs, outputs))
    return Windows(kernel, strides, dilations, begins, ends, inputs, outputs)


def _padding(g: NodeGradient, layout: Windows) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return what is added before and after each axis."""
    rank, auto = len(layout.kernel), g.attribute("auto_pad", "NOTSET")
    if auto == "VALID":
        return (0,) * rank, (0,) * rank
    if auto == "NOTSET":
        pads = tuple(g.attribute("pads") or (0,) * 2 * rank)
        return pads[:rank], pads[rank:]
    totals = [
        max((layout.outputs[axis] - 1) * layout.strides[axis] + layout.extent(axis) - layout.inputs[axis], 0)
        for axis in range(rank)
    ]
    small, large = tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals)
    return (large, small) if auto == "SAME_LOWER" else (small, large)
