"""Scaling scores so that the gradients of a head in float16 neither vanish nor overflow.

float16 holds values from 6e-8 to 65,504. Many gradients are smaller: those of a mean over thousands of positions, or of
a probability near 0 or 1. So every score is multiplied by a power of two, and its gradients are divided by it again in
float32. The power is found for each image and target, for they may differ by many orders of magnitude.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.types import FloatArray, Namespace, NativeTensor

FIRST = 12
"""The first exponent that is tried: the gradients of most heads fit."""

STEP = 12
"""How far the exponent moves while none is known that is too large or small enough."""

HIGHEST, LOWEST = 96, -36
"""The exponents beyond which gradients are exactly 0, or the model's own values overflow."""

LARGE_ENOUGH = 2.0**-8
"""The largest scaled gradient may be this small: float16 then rounds to less than 1e-5 of it."""


def scaled_gradients(
    run: Callable[[FloatArray], NativeTensor],
    shape: tuple[int, int],
    xp: Namespace,
    to_numpy: Callable[[NativeTensor], NDArray[Any]],
    to_tensor: Callable[[FloatArray], NativeTensor],
) -> NativeTensor:
    """Return gradients (N, T, *space, K), computed with scores that are scaled as far as float16 allows.

    Args:
        run: From scales (N, T) of the scores to their gradients, in float32 and still scaled.
        shape: (N, T), or (1, 1) where it is known only after the first run.
        xp: The namespace of the gradients.
        to_numpy: Copies a tensor to a NumPy array.
        to_tensor: Copies a NumPy array to a tensor, where the gradients are.
    """
    exponents = np.full(shape, float(FIRST))
    low, high = np.full(shape, -np.inf), np.full(shape, np.inf)
    while True:
        gradients = run(np.exp2(exponents).astype(np.float32))
        largest = to_numpy(_largest(gradients, xp))
        exponents = np.broadcast_to(exponents, largest.shape).copy()
        is_finite = np.isfinite(largest)
        low, high = np.where(is_finite, exponents, low), np.where(is_finite, high, exponents)
        following = _following(exponents, low, high)
        following[is_finite & (largest >= LARGE_ENOUGH)] = np.nan
        if np.isnan(following).all():
            axes = (..., *(None for _ in range(2, len(gradients.shape))))
            return gradients / to_tensor(np.exp2(exponents)[axes].astype(np.float32))
        exponents = np.where(np.isnan(following), exponents, following)


def _following(exponents: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> NDArray[Any]:
    """Return the next exponents, NaN where the present ones are the best.

    `low` are the largest exponents whose gradients were finite, and `high` the smallest whose gradients were not.
    """
    between = np.floor((low + high) / 2)
    following = np.where(np.isinf(high), exponents + STEP, np.where(np.isinf(low), exponents - STEP, between))
    following = np.where(high - low <= 1, low, following)
    is_best = (following == exponents) | (following > HIGHEST) | (following < LOWEST)
    return np.where(is_best, np.nan, following)


def _largest(gradients: NativeTensor, xp: Namespace) -> NativeTensor:
    """Return the largest absolute gradient of each score, (N, T); infinity where one is not finite."""
    axes = tuple(range(2, len(gradients.shape)))
    is_finite = xp.all(xp.isfinite(gradients), axis=axes)
    largest = xp.max(xp.abs(gradients), axis=axes)
    return xp.where(is_finite, largest, xp.full_like(largest, float("inf")))
