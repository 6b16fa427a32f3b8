"""Gradients of operators that select elements: each element has the sum of the gradients of its copies."""

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks.onnx.operators.node_gradient import (
    GradientRule,
    InputGradients,
    NodeGradient,
    NoGradientRuleError,
)


def slice_(g: NodeGradient) -> InputGradients:
    """A part of x along each axis."""
    starts, ends = (_integers(g.constant_input(index, name)) for index, name in ((1, "starts"), (2, "ends")))
    axes = _integers(g.constant_input(3, "axes")) or tuple(range(len(starts)))
    steps = _integers(g.constant_input(4, "steps")) or (1,) * len(starts)
    rank = g.rank(g.x)
    begins, after, gradient = [0] * rank, [0] * rank, g.gradient
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis %= rank
        if g.shape(g.x)[axis] is None and (start, step) == (0, 1) and end >= np.iinfo(np.int32).max:
            continue  # all of an axis of unknown size
        size = g.size(g.x, axis)
        selected = np.arange(size)[start:end:step]
        if step == 1 and selected.size:
            begins[axis], after[axis] = int(selected[0]), size - 1 - int(selected[-1])
        else:
            gradient = scatter(g, gradient, selected, axis, size)
    return (g.builder.pad(gradient, begins, after),)


def _integers(array: NDArray[np.int64] | None) -> tuple[int, ...]:
    return () if array is None else tuple(array.tolist())


def gather(g: NodeGradient) -> InputGradients:
    """What is at constant indices along an axis of x."""
    indices = g.constant_array(1, "indices")
    axis = g.axis(g.x, default=0)
    size = g.size(g.x, axis)
    if indices.ndim == 0:
        flat = g.builder.unsqueeze(g.gradient, [axis])
    elif indices.ndim == 1:
        flat = g.gradient
    else:
        shape = g.shape(g.x)
        if shape.count(None) > 1:
            raise NoGradientRuleError(f"several sizes of '{g.x}' are unknown")
        flat = g.builder.reshape(g.gradient, (*shape[:axis], indices.size, *shape[axis + 1 :]))
    return (scatter(g, flat, indices.ravel() % size, axis, size),)


def scatter(g: NodeGradient, gradient: str, indices: NDArray[np.int64], axis: int, size: int) -> str:
    """Add each part of a gradient along an axis to the index that it belongs to.

    An operator that does so exists from opset 16 only, and not for all types. So each index gathers its parts, of which
    there are as many as the indices repeat; where there are fewer, it gathers an added zero.

    Args:
        g: The node.
        gradient: A gradient of as many axes as the node's input.
        indices: For each part of the gradient along the axis, its index in the result.
        axis: The axis.
        size: The size of the result along the axis.
    """
    build, rank = g.builder, g.rank(g.x)
    counts = np.bincount(indices, minlength=size)
    parts = np.full((size, max(int(counts.max(initial=0)), 1)), len(indices))
    used = np.zeros(size, int)
    for part, index in enumerate(indices):
        parts[index, used[index]] = part
        used[index] += 1
    if counts.min(initial=1) < parts.shape[1]:
        ends = [int(other == axis) for other in range(rank)]
        gradient = build.pad(gradient, [0] * rank, ends)
    if parts.shape[1] == 1:
        return build.gather(gradient, parts[:, 0], axis)
    return build.reduce_sum(build.gather(gradient, parts, axis), [axis + 1], keepdims=False)


def gather_elements(g: NodeGradient) -> InputGradients:
    """For each output, an element of x at an index along an axis."""
    if g.graph.opset < 16:
        raise NoGradientRuleError("it needs opset 16 or later")
    return (scatter_add(g, g.zeros_like(g.x), g.inputs[1], g.gradient, g.axis(g.x, default=0)),)


def scatter_add(g: NodeGradient, zeros: str, indices: str, gradient: str, axis: int) -> str:
    """Add each element of a gradient to zeros, at an index along an axis. It needs opset 16."""
    narrow = g.graph.dtype(g.x)
    if narrow.itemsize > 2:
        return g.builder.op("ScatterElements", zeros, indices, gradient, axis=axis, reduction="add")
    wide = (g.builder.cast(value, np.float32) for value in (zeros, gradient))  # ONNX Runtime adds no float16
    added = g.builder.op("ScatterElements", next(wide), indices, next(wide), axis=axis, reduction="add")
    return g.builder.cast(added, narrow)


def pad(g: NodeGradient) -> InputGradients:
    """Elements added to x along each axis: constants, or copies of others."""
    rank, mode = g.rank(g.x), g.attribute("mode", "constant")
    pads = g.constant_array(1, "pads")
    axes = [axis % rank for axis in _integers(g.constant_input(3, "axes"))] or [*range(rank)]
    before, after = np.zeros(rank, int), np.zeros(rank, int)
    before[axes], after[axes] = pads[: len(axes)], pads[len(axes) :]
    if mode == "constant":
        return (g.builder.pad(g.gradient, (-before).tolist(), (-after).tolist()),)
    if mode not in ("reflect", "edge", "wrap") or before.min() < 0 or after.min() < 0:
        raise NoGradientRuleError(f"its mode is '{mode}', or removes elements")
    gradient = g.gradient
    for axis in np.flatnonzero(before + after).tolist():
        size = g.size(g.x, axis)
        copied = np.pad(np.arange(size), (before[axis], after[axis]), mode=mode)
        gradient = scatter(g, gradient, copied, axis, size)
    return (gradient,)


INDEXING: dict[str, GradientRule] = {
    "Slice": slice_,
    "Gather": gather,
    "GatherElements": gather_elements,
    "Pad": pad,
}
