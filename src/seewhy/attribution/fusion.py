"""The maps of several layers made into one: deep ones know what, shallow ones know where."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from seewhy.errors import LayerError, OptionError, did_you_mean
from seewhy.interpolation import resize
from seewhy.types import FloatArray

Fuse = Literal["mean", "max", "product", "layercam"]

GAMMA = 2
"""LayerCAM's scale factor."""

FUSIONS: dict[Fuse, Callable[[FloatArray], Any]] = {
    "mean": lambda maps: maps.mean(axis=0),
    "max": lambda maps: maps.max(axis=0),
    "product": lambda maps: maps.prod(axis=0),
    "layercam": lambda maps: np.tanh(GAMMA * maps).max(axis=0),
}
"""What is made of the layers' maps, (L, N, T, *space), each 0..1."""


def check_fuse(fuse: Any) -> Fuse:
    """Return the name of a fusion, or raise OptionError."""
    for known in FUSIONS:
        if fuse == known:
            return known
    near = did_you_mean(fuse, FUSIONS) if isinstance(fuse, str) else ""
    raise OptionError(f"Unknown fusion {fuse!r}.{near} Known: {', '.join(FUSIONS)}.")


def fused(maps: Sequence[FloatArray], fuse: Fuse) -> FloatArray:
    """Make one map of those of several layers.

    Each is brought bilinearly to the largest resolution and divided by its own maximum, image by image and target by
    target: gradients shrink or grow from layer to layer, so that in units of the score one layer would be all that is
    seen. "layercam" is the fusion of Jiang et al. (LayerCAM, IEEE TIP 2021), which lifts what is faint in a map before
    the highest value is taken, with gamma = 2:

        M' = tanh(gamma M / max(M))

    Args:
        maps: Evidence (N, T, *space) of each layer; what is negative counts as 0.
        fuse: "mean", "max" or "product" of the layers, or "layercam".

    Returns:
        (N, T, *space) in 0..1, without unit.

    Raises:
        LayerError: The layers have different numbers of axes of space.
    """
    ranks = {each.ndim for each in maps}
    if len(ranks) > 1:
        axes = sorted(rank - 2 for rank in ranks)
        raise LayerError(f"Layers with different numbers of axes of space cannot be fused; given {axes}.")
    largest = tuple(max(sizes) for sizes in zip(*(each.shape[2:] for each in maps), strict=True))
    normalize = np.stack([_scaled(resize(np.maximum(each, 0), largest)) for each in maps])
    return np.asarray(FUSIONS[fuse](normalize), dtype=np.float32)


def _scaled(maps: FloatArray) -> FloatArray:
    highest = maps.max(axis=tuple(range(2, maps.ndim)), keepdims=True)
    normalize = np.zeros_like(maps)
    np.divide(maps, highest, out=normalize, where=highest > 0)
    return normalize
