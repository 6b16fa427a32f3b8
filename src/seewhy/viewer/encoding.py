"""Arrays as text."""

import base64

import numpy as np
from numpy.typing import ArrayLike


def base64_of(array: ArrayLike) -> str:
    """Return the bytes of an array, row by row, as base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
