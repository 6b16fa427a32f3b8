"""Batches of the size that an exported model takes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def full_batches(feeds: Mapping[str, NDArray[Any]], size: int | None) -> list[dict[str, NDArray[Any]]]:
    """Return batches of a size, the last one filled with copies; all images at once where any number is taken.

    Args:
        feeds: (N, ...) by name.
        size: The size; None for any.
    """
    images = len(next(iter(feeds.values())))
    size = size or images
    rows = [np.minimum(np.arange(start, start + size), images - 1) for start in range(0, images, size)]
    return [{name: np.ascontiguousarray(array[index]) for name, array in feeds.items()} for index in rows]
