"""Statistics of heatmaps of one shape: their energy, and where it lies.

The energy of a heatmap is its positive part, divided by the sum, so that every image counts the same. Places are shares
of the height and the width of the heatmap, which shows the model's input.
"""

import numpy as np
from numpy.typing import NDArray

from seewhy.matrix_products import product
from seewhy.types import FloatArray

Values = NDArray[np.float64]

GRID = 16
"""The largest side of the small maps; larger ones are averaged."""

BORDER = 0.1
"""The width of the border, as a share of the height and of the width."""


def energy(heatmaps: FloatArray) -> Values:
    """Return the positive part of each heatmap divided by its sum, float64 (N, u, v); zeros where nothing is positive.

    Args:
        heatmaps: (N, u, v), in any unit.
    """
    positive = np.maximum(np.asarray(heatmaps, np.float64), 0)
    sums = positive.sum(axis=(1, 2), keepdims=True)
    shares: Values = np.divide(positive, sums, out=np.zeros_like(positive), where=sums > 0)
    return shares


def small_maps(maps: Values, side: int = GRID) -> Values:
    """Return maps with at most `side` rows and columns, (N, min(u, side), min(v, side)): the energy is conserved."""
    rows, columns = (_overlaps(cells, min(cells, side)) for cells in maps.shape[1:])
    small: Values = product(product(rows, maps), columns.T)
    return small


def border_share(maps: Values) -> Values:
    """Return the share of the energy of each map that lies in the outermost tenth at each side, (N,).

    A cell that lies in the border with a part of its area counts with that part. A uniform map has 0.36.
    """
    rows, columns = (_inner_share(cells) for cells in maps.shape[1:])
    inner = np.einsum("nuv,u,v->n", maps, rows, columns)
    outer: Values = maps.sum(axis=(1, 2)) - inner
    return outer


def border_of_uniform_map() -> float:
    """Return the share of the border in the area."""
    return 1 - (1 - 2 * BORDER) ** 2


def centre_of_mass(maps: Values) -> Values:
    """Return the centre of the energy of each map, (N, 2): y and x in 0..1; NaN for a map without energy."""
    rows, columns = (_centres(cells) for cells in maps.shape[1:])
    sums = maps.sum(axis=(1, 2))
    moments = np.stack([maps.sum(axis=2) @ rows, maps.sum(axis=1) @ columns], axis=1)
    sums = sums[:, None]
    centres: Values = np.divide(moments, sums, out=np.full_like(moments, np.nan), where=sums > 0)
    return centres


def _centres(cells: int) -> Values:
    return (np.arange(cells) + 0.5) / cells


def _inner_share(cells: int) -> Values:
    """Return the share of each cell that lies inside the border, along one axis."""
    edges = np.clip(np.linspace(0, 1, cells + 1), BORDER, 1 - BORDER)
    inner: Values = np.diff(edges) * cells
    return inner


def _overlaps(cells: int, parts: int) -> Values:
    """Return the share of each cell, (parts, cells), that lies in each of equal parts, along one axis."""
    edges, bounds = np.linspace(0, 1, cells + 1), np.linspace(0, 1, parts + 1)
    stops = np.minimum(edges[None, 1:], bounds[1:, None])
    starts = np.maximum(edges[None, :-1], bounds[:-1, None])
    overlaps: Values = np.maximum(stops - starts, 0) * cells
    return overlaps
