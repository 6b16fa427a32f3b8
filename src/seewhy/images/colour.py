"""Colour maps: normalized heatmaps as colours."""

import functools

import numpy as np

from seewhy.errors import OptionError, did_you_mean, short_repr
from seewhy.types import FloatArray, ImageArray


def color_table(colormap: str) -> ImageArray:
    """Return the 256 colours of a matplotlib colour map.

    Args:
        colormap: The name of the colour map, such as "viridis" or "inferno".

    Returns:
        uint8 (256, 3).

    Raises:
        OptionError: The colour map is unknown.
    """
    if not isinstance(colormap, str):
        raise OptionError(f"colormap is {short_repr(colormap)}; expected the name of one of matplotlib's colour maps.")
    return _color_table(colormap)


@functools.cache
def _color_table(colormap: str) -> ImageArray:
    import matplotlib  # imported late: it is slow, and not needed unless something is drawn

    if colormap not in matplotlib.colormaps:
        raise OptionError(
            f"Unknown colour map {short_repr(colormap)}.{did_you_mean(colormap, matplotlib.colormaps)} Expected the "
            "name of one of matplotlib's colour maps, such as viridis, inferno or jet."
        )
    colors = matplotlib.colormaps[colormap](np.linspace(0, 1, 256))
    return np.round(colors[:, :3] * 255).astype(np.uint8)


def color_indices(heatmap: FloatArray) -> ImageArray:
    """Return the index in a colour table, uint8 0..255, for each pixel of a heatmap in 0..1."""
    indices = heatmap * 255
    return np.rint(indices, out=indices).astype(np.uint8)


def colorize(heatmap: FloatArray, colormap: str) -> ImageArray:
    """Convert a heatmap (H, W) in 0..1 to colours, uint8 (H, W, 3)."""
    return np.take(color_table(colormap), color_indices(heatmap), axis=0)
