"""Noisy linear imputation (ROAD: Rong et al., ICML 2022): removed pixels become a weighted mean of their neighbours."""

import importlib.util
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import MissingExtraError
from seewhy.types import BoolArray, FloatArray

NEIGHBOURS = [
    *((offset, 1 / 6) for offset in ((0, 1), (0, -1), (1, 0), (-1, 0))),
    *((offset, 1 / 12) for offset in ((1, 1), (1, -1), (-1, 1), (-1, -1))),
]
"""The offset of each neighbour in rows and columns, and its weight in the paper."""

SMALLEST_REGION = 32
"""Regions of as many pixels are not divided any further."""


def impute(image: FloatArray, removed: BoolArray, noise: float, random: np.random.Generator) -> FloatArray:
    """Return an image whose removed pixels are imputed.

    Equation 6 of the paper: each removed pixel is the weighted mean of its eight neighbours, of which some are removed
    too. That is one sparse linear system for all removed pixels, factorised once for all channels.

    The pixels are eliminated in the order of a nested dissection of the image, which takes half the time of the orders
    that SciPy finds for itself.

    Args:
        image: (h, w, C).
        removed: (h, w), at least one pixel not removed.
        noise: The standard deviation of the noise, as a fraction of the image's range x_max - x_min.
        random: Draws the noise.
    """
    if not removed.any():
        return image
    filled = image.astype(np.float64)
    order = _dissection(*removed.shape)
    places = np.unravel_index(order[removed.ravel()[order]], removed.shape)
    matrix, known = _system(filled, removed, places)
    filled[places] = _factorised(matrix).solve(known)
    filled[removed] += noise * float(np.ptp(image)) * random.standard_normal((len(known), image.shape[-1]))
    return np.asarray(filled, dtype=np.float32)


@lru_cache(maxsize=4)
def _dissection(height: int, width: int) -> NDArray[np.intp]:
    """Return the positions of all pixels in a flattened image, separating lines after the halves they separate.

    Lines of one pixel separate halves, since a pixel depends on its eight neighbours.
    """
    parts: list[NDArray[np.intp]] = []  # from the last to the first
    regions = [np.arange(height * width).reshape(height, width)]
    while regions:
        region = regions.pop()
        if region.size <= SMALLEST_REGION:
            parts.append(region.ravel())
            continue
        region = region if region.shape[0] >= region.shape[1] else region.T
        middle = len(region) // 2
        parts.append(region[middle])
        regions += [region[:middle], region[middle + 1 :]]
    return np.concatenate(parts[::-1])


def _system(image: NDArray[Any], removed: BoolArray, places: tuple[NDArray[np.intp], ...]) -> tuple[Any, NDArray[Any]]:
    """Return the matrix (M, M) and the right-hand side (M, C) of the system for M removed pixels, in their order.

    A neighbour beyond the border has no weight; the others then share less than 1, which the diagonal holds.
    """
    _require_scipy()
    from scipy.sparse import coo_matrix

    rows, columns = places
    count, (height, width) = len(rows), removed.shape
    unknown = np.full(removed.shape, -1)
    unknown[rows, columns] = np.arange(count)
    diagonal, known = np.zeros(count), np.zeros((count, image.shape[-1]))
    entries: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for (down, right), weight in NEIGHBOURS:
        other_rows, other_columns = rows + down, columns + right
        is_inside = (other_rows >= 0) & (other_rows < height) & (other_columns >= 0) & (other_columns < width)
        inside = np.flatnonzero(is_inside)
        diagonal[inside] += weight
        neighbours = unknown[other_rows[inside], other_columns[inside]]
        is_known = neighbours < 0
        at = inside[is_known]
        known[at] += weight * image[other_rows[at], other_columns[at]]
        others = neighbours[~is_known]
        entries.append((inside[~is_known], others, np.full(len(others), -weight)))
    entries.append((np.arange(count), np.arange(count), diagonal))
    at_rows, at_columns, values = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    return coo_matrix((values, (at_rows, at_columns)), shape=(count, count)).tocsc(), known


def _factorised(matrix: Any) -> Any:
    """Factorise a symmetric, diagonally dominant matrix, for which no pivots are needed, in the order of its rows."""
    from scipy.sparse.linalg import splu

    return splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def _require_scipy() -> None:
    if importlib.util.find_spec("scipy") is None:
        raise MissingExtraError("For the metric ROAD, scipy", "evaluate")
