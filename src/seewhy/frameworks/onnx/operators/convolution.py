"""Gradients of convolutions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks.onnx.operators.node_gradient import (
    GradientRule,
    InputGradients,
    NodeGradient,
    NoGradientRuleError,
)
from seewhy.frameworks.onnx.operators.windows import Windows, windows


def conv(g: NodeGradient) -> InputGradients:
    """The gradient of the input is the transposed convolution of that of the output."""
    return conv_input_gradient(g, g.gradient) if g.needs(0) else None, None, _of_bias(g)


def conv_input_gradient(g: NodeGradient, gradient: str) -> str:
    """Return the gradient of a convolution's input, given that of its output."""
    layout = windows(g, _kernel(g), g.x, g.y)
    weights = g.graph.constant(g.inputs[1])
    if weights is not None and set(layout.strides) == {1} and _can_be_flipped(layout):
        return _flipped(g, gradient, weights, layout)
    rank = len(layout.kernel)
    missing = [
        layout.inputs[axis]
        - ((layout.outputs[axis] - 1) * layout.strides[axis] + layout.extent(axis))
        + layout.begins[axis]
        + layout.ends[axis]
        for axis in range(rank)
    ]  # the last elements, if no window reaches them
    return g.builder.op(
        "ConvTranspose",
        gradient,
        g.inputs[1],
        group=g.attribute("group", 1),
        kernel_shape=layout.kernel,
        strides=layout.strides,
        dilations=layout.dilations,
        pads=(*layout.begins, *layout.ends),
        output_padding=missing,
    )


def _can_be_flipped(layout: Windows) -> bool:
    """Whether no window lies in the padding alone."""
    return all(max(layout.begins[axis], layout.ends[axis]) < layout.extent(axis) for axis in range(len(layout.kernel)))


def _flipped(g: NodeGradient, gradient: str, weights: NDArray[Any], layout: Windows) -> str:
    """Return the gradient as a convolution with the flipped kernel, which is faster than a transposed one.

    The weights are (outputs, inputs of a group, *kernel); flipped, (inputs, outputs of a group, *kernel).
    """
    group, rank = g.attribute("group", 1), len(layout.kernel)
    outputs, inputs = weights.shape[:2]
    grouped = weights.reshape(group, outputs // group, inputs, *layout.kernel).swapaxes(1, 2)
    flipped = np.flip(grouped.reshape(group * inputs, outputs // group, *layout.kernel), tuple(range(2, 2 + rank)))
    return g.builder.op(
        "Conv",
        gradient,
        g.builder.constant(flipped),
        group=group,
        kernel_shape=layout.kernel,
        dilations=layout.dilations,
        pads=[layout.extent(axis) - 1 - pads[axis] for pads in (layout.begins, layout.ends) for axis in range(rank)],
    )


def conv_transpose(g: NodeGradient) -> InputGradients:
    """The gradient of the input is the convolution of that of the output."""
    return _conv_transpose_input_gradient(g) if g.needs(0) else None, None, _of_bias(g)


def _conv_transpose_input_gradient(g: NodeGradient) -> str:
    layout = windows(g, _kernel(g), g.y, g.x)
    begins, ends = _transposed_padding(g, layout)
    return g.builder.op(
        "Conv",
        g.gradient,
        g.inputs[1],
        group=g.attribute("group", 1),
        kernel_shape=layout.kernel,
        strides=layout.strides,
        dilations=layout.dilations,
        pads=(*begins, *ends),
    )


def _transposed_padding(g: NodeGradient, layout: Windows) -> tuple[list[int], list[int]]:
    """Return the padding of the output before and after each axis that gives as many windows as the input has."""
    begins, ends = [], []
    for axis in range(len(layout.kernel)):
        reached = (layout.outputs[axis] - 1) * layout.strides[axis] + layout.extent(axis)
        total = reached - layout.inputs[axis]  # negative if elements were added that no window reaches
        begin = _transposed_begin(g, layout, axis, total)
        if begin < 0:
            raise NoGradientRuleError("its output is larger than what its kernel reaches")
        begins.append(begin)
        ends.append(total - begin)
    if min(ends) < 0:  # elements at the end that no window reaches; too few for another window
        if any(-end >= stride for end, stride in zip(ends, layout.strides, strict=True)):
            raise NoGradientRuleError("its output is larger than what its kernel reaches")
        ends = [max(end, 0) for end in ends]
    return begins, ends


def _transposed_begin(g: NodeGradient, layout: Windows, axis: int, total: int) -> int:
    auto = g.attribute("auto_pad", "NOTSET")
    if auto == "NOTSET" and not g.attribute("output_shape"):
        return layout.begins[axis]
    if auto == "VALID":
        return 0
    extra = (g.attribute("output_padding") or (0,) * len(layout.kernel))[axis]
    half = (total + extra) // 2
    return half if auto == "SAME_UPPER" else total + extra - half


def _kernel(g: NodeGradient) -> tuple[int, ...]:
    return g.space(g.inputs[1])


def _of_bias(g: NodeGradient) -> str | None:
    if not g.needs(2):
        return None
    axes = [axis for axis in range(g.rank(g.y)) if axis != 1]
    return g.builder.reduce_sum(g.gradient, axes, keepdims=False)


CONVOLUTIONS: dict[str, GradientRule] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
}
