"""Colour maps: normalized heatmaps as colours."""

import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import OptionError, did_you_mean, install_command, short_repr
from seewhy.types import FloatArray, ImageArray

NAMES = ("viridis", "plasma", "inferno", "magma", "cividis", "turbo", "jet", "hot", "gray", "coolwarm")
COLORMAPS = (*NAMES, *(f"{name}_r" for name in NAMES))
"""The colour maps that need no matplotlib: the names of the rows of `TABLES`. `_r` is the same, reversed."""

TABLES = Path(__file__).with_name("color_tables.npy")
"""uint8 (colour maps, 256, 3): the colours of matplotlib for 256 equal steps. `LICENSES.md` says whose they are."""


def color_table(colormap: str) -> ImageArray:
    """Return the 256 colours of a colour map.

    Args:
        colormap: The name of a colour map of `COLORMAPS`, such as "viridis" or "inferno"; where matplotlib is
            installed, of any of its colour maps.

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
    if colormap in COLORMAPS:
        table: ImageArray = _tables()[COLORMAPS.index(colormap)]
        return table
    return _matplotlib_table(colormap)


@functools.cache
def _tables() -> ImageArray:
    tables: ImageArray = np.load(TABLES)
    return tables


def _matplotlib_table(colormap: str) -> ImageArray:
    try:
        import matplotlib  # imported late: it is slow, and optional
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        more = f"{', '.join(COLORMAPS)}; with matplotlib, also any other of its: {install_command('figures')}"
        raise _unknown(colormap, COLORMAPS, more) from error
    if colormap not in matplotlib.colormaps:
        raise _unknown(colormap, matplotlib.colormaps, "one of matplotlib's, such as viridis or jet.")
    colors = matplotlib.colormaps[colormap](np.linspace(0, 1, 256))
    return np.round(colors[:, :3] * 255).astype(np.uint8)


def _unknown(colormap: str, known: Iterable[str], expected: str) -> OptionError:
    hint = did_you_mean(colormap, known)
    return OptionError(f"Unknown colour map {short_repr(colormap)}.{hint} Expected {expected}")


def color_indices(
    heatmap: FloatArray, scaled: FloatArray | None = None, indices: NDArray[np.intp] | None = None
) -> NDArray[np.intp]:
    """Return the index in a colour table, 0..255, for each pixel of a heatmap in 0..1.

    NumPy takes colours by indices of its own type twice as fast as by bytes.

    Args:
        heatmap: (H, W).
        scaled: Memory of that shape for what lies between; None to allocate it.
        indices: Memory for the result, likewise.
    """
    scaled = np.multiply(heatmap, np.float32(255), out=scaled)
    np.rint(scaled, out=scaled)
    if indices is None:
        return scaled.astype(np.intp)
    np.copyto(indices, scaled, casting="unsafe")
    return indices


def colorize(heatmap: FloatArray, colormap: str) -> ImageArray:
    """Convert a heatmap (H, W) in 0..1 to colours, uint8 (H, W, 3)."""
    return np.take(color_table(colormap), color_indices(heatmap), axis=0)
