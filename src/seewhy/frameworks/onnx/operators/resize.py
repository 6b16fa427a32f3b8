"""The gradient of resizing, which is a product with one matrix for each axis."""

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks.onnx.operators.node_gradient import (
    GradientRule,
    InputGradients,
    NodeGradient,
    NoGradientRuleError,
)


def resize(g: NodeGradient) -> InputGradients:
    """x, interpolated along each axis."""
    if g.attribute("antialias", 0) or g.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise NoGradientRuleError("it keeps the aspect ratio, or has an antialiasing filter")
    rank, gradient = g.rank(g.x), g.gradient
    for axis, scale in _scales(g).items():
        matrix = _interpolation(g, g.size(g.x, axis), g.size(g.y, axis), scale)
        gradient = g.builder.along_axis(gradient, rank, axis, g.array(matrix), g.array(matrix.T))
    return (gradient,)


def _scales(g: NodeGradient) -> dict[int, np.float32]:
    """Return the scale of each axis that is resized."""
    rank = g.rank(g.x)
    axes = [axis % rank for axis in g.attribute("axes") or range(rank)]
    scales = g.constant_input(2, "scales")
    if scales is not None and scales.size:
        given = dict(zip(axes, scales.astype(np.float32), strict=True))
        return {axis: scale for axis, scale in given.items() if scale != 1}
    resized = [axis for axis in axes if g.shape(g.x)[axis] != g.shape(g.y)[axis]]
    return {axis: np.float32(g.size(g.y, axis)) / np.float32(g.size(g.x, axis)) for axis in resized}


def _interpolation(g: NodeGradient, size: int, resized: int, scale: np.float32) -> NDArray[np.float64]:
    """Return the weight of each of `size` elements in each of the `resized` ones (resized, size)."""
    places, mode = _places(g, size, resized, scale), g.attribute("mode", "nearest")
    if mode == "nearest":
        nearest = _nearest(places, g.attribute("nearest_mode", "round_prefer_floor"))
        return np.asarray(np.eye(size)[np.clip(nearest, 0, size - 1)])
    if mode == "linear":
        places = np.clip(places, 0, size - 1)
    low = np.floor(places).astype(int)
    fraction = (places - low).astype(np.float64)
    matrix = np.zeros((resized, size))
    for offset, weights in _weights(mode, fraction, g.attribute("cubic_coeff_a", -0.75)):
        neighbours = low + offset
        if g.attribute("exclude_outside", 0):
            weights = weights * ((neighbours >= 0) & (neighbours < size))
        np.add.at(matrix, (np.arange(resized), np.clip(neighbours, 0, size - 1)), weights)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def _places(g: NodeGradient, size: int, resized: int, scale: np.float32) -> NDArray[np.float32]:
    """Return the place of each resized element on the original axis, in the precision of the operator."""
    index, mode = np.arange(resized, dtype=np.float32), g.attribute("coordinate_transformation_mode", "half_pixel")
    half = np.float32(0.5)
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and resized > 1):
        return (index + half) / scale - half
    if mode == "pytorch_half_pixel":
        return index
    if mode == "half_pixel_symmetric":
        offset = np.float32(size / 2) * (1 - np.float32(resized) / (scale * np.float32(size)))
        return np.asarray(offset + (index + half) / scale - half)
    if mode == "align_corners":
        return index * np.float32(size - 1) / np.float32(max(resized - 1, 1))
    if mode == "asymmetric":
        return index / scale
    raise NoGradientRuleError(f"its coordinate_transformation_mode is '{mode}'")


def _nearest(places: NDArray[np.float32], mode: str) -> NDArray[np.int64]:
    """Return the index of the element nearest to each place."""
    half = np.float32(0.5)
    rounded = {
        "round_prefer_floor": np.ceil(places - half),
        "round_prefer_ceil": np.floor(places + half),
        "floor": np.floor(places),
        "ceil": np.ceil(places),
    }[mode]
    return np.asarray(rounded, np.int64)


def _weights(mode: str, fraction: NDArray[np.float64], a: float) -> list[tuple[int, NDArray[np.float64]]]:
    """Return the weights of the neighbours, each with its offset from the element before the place."""
    if mode == "linear":
        return [(0, 1 - fraction), (1, fraction)]
    near = [(offset, np.abs(fraction - offset)) for offset in (-1, 0, 1, 2)]
    return [
        (
            offset,
            np.where(
                distance <= 1,
                ((a + 2) * distance - (a + 3)) * distance**2 + 1,
                ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a,
            ),
        )
        for offset, distance in near
    ]


RESIZE: dict[str, GradientRule] = {"Resize": resize}
