"""Colours: a saliency as a picture, and a picture under its saliency."""

import functools
from numbers import Real
from typing import Any

import numpy as np

from seewhy.errors import OptionError, did_you_mean
from seewhy.types import BoolArray, FloatArray, ImageArray


@functools.cache
def color_table(colormap: str) -> ImageArray:
    """Return the 256 colours of a matplotlib colour map, uint8 (256, 3), or raise OptionError."""
    import matplotlib  # only who draws pays for it

    if colormap not in matplotlib.colormaps:
        raise OptionError(
            f"Unknown colour map {colormap!r}.{did_you_mean(colormap, matplotlib.colormaps)} Any name of "
            "matplotlib's is known, such as jet, viridis, inferno or turbo."
        )
    colors = matplotlib.colormaps[colormap](np.linspace(0, 1, 256))
    return np.round(colors[:, :3] * 255).astype(np.uint8)


def colorize(saliency: FloatArray, colormap: str = "jet") -> ImageArray:
    """Turn a saliency (H, W) in 0..1 into colours, uint8 (H, W, 3)."""
    return color_table(colormap)[np.round(saliency * 255).astype(np.uint8)]


def saliency_picture(saliency: FloatArray, covered: BoolArray, colormap: str = "jet") -> ImageArray:
    """Turn a saliency (H, W) in 0..1 into colours, uint8 (H, W, 3); white where the network saw nothing."""
    return np.where(covered[..., None], colorize(saliency, colormap), np.uint8(255))


def overlay(
    image: ImageArray, saliency: FloatArray, covered: BoolArray, *, alpha: float = 0.4, colormap: str = "jet"
) -> ImageArray:
    """Blend a saliency into the picture it belongs to: `(1 - alpha) * image + alpha * colours`.

    Args:
        image: uint8 (H, W, 3).
        saliency: (H, W) in 0..1.
        covered: (H, W); where it is False the network saw nothing, and the picture stays as it is.
        alpha: From 0, the picture alone, to 1, the colours alone.
        colormap: A matplotlib colour map's name.

    Returns:
        uint8 (H, W, 3).

    Raises:
        OptionError: `alpha` is outside 0..1 or the colour map is unknown.
    """
    if not _is_number(alpha) or not 0 <= alpha <= 1:
        raise OptionError(f"alpha is {alpha!r}; expected a number from 0 (the picture alone) to 1 (the colours alone).")
    colors = colorize(saliency, colormap)
    blended = np.round((1 - alpha) * image.astype(np.float32) + alpha * colors.astype(np.float32)).astype(np.uint8)
    return np.where(covered[..., None], blended, image)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real)
