"""Fusing the heatmaps of several layers: deep layers are class-discriminative, shallow layers are sharp."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seewhy.errors import LayerError, OptionError, did_you_mean
from seewhy.interpolation import resize
from seewhy.methods import Method
from seewhy.types import FloatArray, Fuse

GAMMA = 2
"""LayerCAM's scale factor."""

FUSIONS: dict[Fuse, Callable[[FloatArray], Any]] = {
    "mean": lambda maps: maps.mean(axis=0),
    "max": lambda maps: maps.max(axis=0),
    "product": lambda maps: maps.prod(axis=0),
    "layercam": lambda maps: np.tanh(GAMMA * maps).max(axis=0),
}
"""How the layers' heatmaps are fused, (L, N, T, *space), each 0..1."""


def check_fuse(fuse: Any) -> Fuse:
    """Return the name of a fusion, or raise OptionError."""
    for known in FUSIONS:
        if fuse == known:
            return known
    near = did_you_mean(fuse, FUSIONS) if isinstance(fuse, str) else ""
    raise OptionError(f"Unknown fusion {fuse!r}.{near} Known: {', '.join(FUSIONS)}.")


def choose_fuse(fuse: Any, method: Method) -> Fuse:
    """Return how a method's heatmaps of several layers are fused: as the caller says, by default as the method does.

    Raises:
        OptionError: There is no such fusion, or the method has another one.
    """
    if fuse is None:
        return method.fuse or "mean"
    if method.fuse not in (None, check_fuse(fuse)):
        raise OptionError(
            f"{method.title} fuses the heatmaps of several layers by their {method.fuse}; given fuse={fuse!r}. Leave "
            "it out, or use another method, such as gradcam++."
        )
    return check_fuse(fuse)


def fuse_heatmaps(heatmaps: Sequence[FloatArray], fuse: Fuse) -> FloatArray:
    """Fuse the heatmaps of several layers into one.

    Each heatmap is resized bilinearly to the largest resolution and divided by its own maximum, per image and target:
    gradients shrink or grow from layer to layer, so that in score units one layer would hide the others. "layercam" is
    the fusion of Jiang et al. (LayerCAM, IEEE TIP 2021), which raises low values before the maximum is taken, with
    gamma = 2:

        M' = tanh(gamma M / max(M))

    Args:
        heatmaps: (N, T, *space) of each layer; negative values count as 0.
        fuse: "mean", "max", "product" or "layercam".

    Returns:
        (N, T, *space) in 0..1, without a unit.

    Raises:
        LayerError: The layers have different numbers of spatial axes.
    """
    ranks = {heatmap.ndim for heatmap in heatmaps}
    if len(ranks) > 1:
        axes = sorted(rank - 2 for rank in ranks)
        raise LayerError(f"Layers with different numbers of spatial axes cannot be fused; given {axes}.")
    largest = tuple(max(sizes) for sizes in zip(*(heatmap.shape[2:] for heatmap in heatmaps), strict=True))
    normalize = np.stack([_divided_by_maximum(resize(np.maximum(heatmap, 0), largest)) for heatmap in heatmaps])
    return np.asarray(FUSIONS[fuse](normalize), dtype=np.float32)


def _divided_by_maximum(heatmaps: FloatArray) -> FloatArray:
    highest = heatmaps.max(axis=tuple(range(2, heatmaps.ndim)), keepdims=True)
    divided = np.zeros_like(heatmaps)
    np.divide(heatmaps, highest, out=divided, where=highest > 0)
    return divided
