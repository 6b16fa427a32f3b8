"""Overlays: heatmaps blended into their images, and heatmaps as images of their own."""

import numpy as np

from seewhy.images.colour import color_indices, color_table, colorize
from seewhy.images.style import Rescale, Style
from seewhy.types import BoolArray, FloatArray, ImageArray


def heatmap_image(heatmap: FloatArray, covered: BoolArray, colormap: str = "jet") -> ImageArray:
    """Convert a heatmap to colours, white where the model did not see the image.

    Args:
        heatmap: (H, W) in 0..1.
        covered: (H, W); False where the model did not see the image.
        colormap: The name of a matplotlib colour map.

    Returns:
        uint8 (H, W, 3).

    Raises:
        OptionError: The colour map is unknown.
    """
    return np.where(covered[..., None], colorize(heatmap, colormap), np.uint8(255))


def overlay(image: ImageArray, heatmap: FloatArray, covered: BoolArray, style: Style) -> ImageArray:
    """Blend a heatmap into its image: `image_weight * image + alpha * colours`.

    Args:
        image: uint8 (H, W, 3).
        heatmap: (H, W) in 0..1.
        covered: (H, W); where it is False the model did not see the image, which stays unchanged there.
        style: The weights, the colour map, and how the sum is rescaled to 0..255.

    Returns:
        uint8 (H, W, 3).

    Raises:
        OptionError: The colour map is unknown.
    """
    image_weight = 1 - style.alpha if style.image_weight is None else style.image_weight
    colors = style.alpha * color_table(style.colormap).astype(np.float32)  # weighted once, not at every pixel
    blended = np.multiply(image, image_weight, dtype=np.float32)
    blended += np.take(colors, color_indices(heatmap), axis=0)
    blended = _rescale(blended, covered, style.rescale)
    pixels = np.rint(blended, out=blended).astype(np.uint8)
    return pixels if covered.all() else np.where(covered[..., None], pixels, image)


def _rescale(blended: FloatArray, covered: BoolArray, rescale: Rescale) -> FloatArray:
    """Rescale a sum (H, W, 3) to 0..255 by its range where the model saw the image."""
    if rescale != "none" and covered.any():
        covered_values = blended[covered]
        low = covered_values.min() if rescale == "range" else 0
        blended = (blended - low) * (255 / max(covered_values.max() - low, 1e-6))
    return np.clip(blended, 0, 255, out=blended)
