"""Telling scores that perturbations change from rounding."""

import numpy as np
from numpy.typing import NDArray

from seewhy.types import BoolArray

ROUNDING = 1e-6
"""Scores whose relative difference is smaller are equal: float32 is not more precise."""


def has_effect(scores: NDArray[np.float64]) -> BoolArray:
    """Return for each target whether any of the perturbations' scores (M, T) differs from another."""
    return np.asarray(np.ptp(scores, axis=0) > ROUNDING * np.abs(scores).max(axis=0))
