"""Colours: a saliency as an image, and an image under its saliency."""

import functools
from typing import TYPE_CHECKING, Literal

import numpy as np

from seewhy.errors import OptionError, did_you_mean
from seewhy.types import BoolArray, FloatArray, ImageArray

if TYPE_CHECKING:
    from seewhy.images.style import Style

Rescale = Literal["none", "max", "range"]


def color_table(colormap: str) -> ImageArray:
    """Return the 256 colours of a matplotlib colour map, uint8 (256, 3), or raise OptionError."""
    if not isinstance(colormap, str):
        raise OptionError(f"colormap is {colormap!r}; expected the name of one of matplotlib's colour maps.")
    return _color_table(colormap)


@functools.cache
def _color_table(colormap: str) -> ImageArray:
    import matplotlib  # only who draws pays for it

    if colormap not in matplotlib.colormaps:
        raise OptionError(
            f"Unknown colour map {colormap!r}.{did_you_mean(colormap, matplotlib.colormaps)} Any name of "
            "matplotlib's is known, such as jet, viridis, inferno or turbo."
        )
    colors = matplotlib.colormaps[colormap](np.linspace(0, 1, 256))
    return np.round(colors[:, :3] * 255).astype(np.uint8)


def colorize(heatmap: FloatArray, colormap: str = "jet") -> ImageArray:
    """Turn a saliency (H, W) in 0..1 into colours, uint8 (H, W, 3)."""
    return np.take(color_table(colormap), _levels(heatmap), axis=0)


def heatmap_image(heatmap: FloatArray, covered: BoolArray, colormap: str = "jet") -> ImageArray:
    """Turn a saliency (H, W) in 0..1 into colours, uint8 (H, W, 3); white where the model saw nothing."""
    return np.where(covered[..., None], colorize(heatmap, colormap), np.uint8(255))


def overlay(image: ImageArray, heatmap: FloatArray, covered: BoolArray, style: "Style") -> ImageArray:
    """Blend a saliency into the image it belongs to: `image_weight * image + alpha * colours`.

    Args:
        image: uint8 (H, W, 3).
        saliency: (H, W) in 0..1.
        covered: (H, W); where it is False the model saw nothing, and the image stays as it is.
        style: The weights, the colour map, and how the sum is brought to 0..255.

    Returns:
        uint8 (H, W, 3).
    """
    image_weight = 1 - style.alpha if style.image_weight is None else style.image_weight
    colors = style.alpha * color_table(style.colormap).astype(np.float32)  # weighted once, not at every pixel
    blended = np.multiply(image, image_weight, dtype=np.float32)
    blended += np.take(colors, _levels(heatmap), axis=0)
    blended = _rescaled(blended, covered, style.rescale)
    pixels = np.rint(blended, out=blended).astype(np.uint8)
    return pixels if covered.all() else np.where(covered[..., None], pixels, image)


def _rescaled(blended: FloatArray, covered: BoolArray, rescale: Rescale) -> FloatArray:
    """Bring a sum (H, W, 3), by what it is where the model saw the image, to 0..255."""
    if rescale != "none" and covered.any():
        seen = blended[covered]
        low = seen.min() if rescale == "range" else 0
        blended = (blended - low) * (255 / max(seen.max() - low, 1e-6))
    return np.clip(blended, 0, 255, out=blended)


def _levels(heatmap: FloatArray) -> ImageArray:
    """Return which of the 256 colours each pixel of a saliency in 0..1 has."""
    levels = heatmap * 255
    return np.rint(levels, out=levels).astype(np.uint8)
