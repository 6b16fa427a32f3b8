"""Statistics over images: intervals of means by the bootstrap, paired comparisons, and a correction for many of them.

Every result depends on the seed and on the values alone, so that a study gives the same bits whenever it is repeated.
"""

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import MissingExtraError, OptionError

Values = NDArray[np.float64]

DRAWS = 9999
"""How often images are drawn again for an interval."""

EXACT = 13
"""Up to this number of images all 2^N changes of sign are tried, in place of random ones."""

ROUNDING = 1e-12
"""Values whose relative differences are smaller are the same."""

MAX_CHUNK = 2**22
"""How many signs are held in memory at once."""


def check_statistics() -> None:
    """Raise MissingExtraError if SciPy, by which intervals are computed, is not installed."""
    try:
        import scipy.stats  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("For a study of methods, scipy", "evaluate") from error


def mean_interval(values: Values, seed: int, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the interval of a mean over images, by the bias-corrected and accelerated bootstrap.

    Efron (1987), "Better bootstrap confidence intervals", equation 6.7, as in `scipy.stats.bootstrap`.

    Args:
        values: (N,), a value for each image; undefined ones (NaN) are left out.
        seed: Determines which images are drawn.
        confidence: The share of such intervals that contain the mean of all images of this kind.

    Returns:
        (low, high); None for fewer than two values, which say nothing about other images.
    """
    from scipy.stats import bootstrap

    if not 0 < confidence < 1:
        raise OptionError(f"confidence is {confidence!r}; expected a number between 0 and 1.")
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return None
    scale = float(np.abs(values).max())
    if np.ptp(values) <= ROUNDING * scale:  # equal but for rounding: the skewness of that is 0 / 0
        return float(values.min()), float(values.max())
    found = bootstrap(
        (values / scale,),  # powers of small or large values are 0 or infinite
        np.mean,
        n_resamples=DRAWS,
        confidence_level=confidence,
        method="BCa",
        batch=max(1, MAX_CHUNK // len(values)),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low) * scale, float(found.high) * scale


def sign_flip_test(differences: Values, seed: int) -> Values:
    """Return how often paired differences without a direction would have a mean as far from 0: two-sided p-values.

    The sign of each image's difference is changed at random, as it would be if both methods were the same (Fisher's
    test, 1935). All 2^N changes are tried for a few images.

    Args:
        differences: (N, M), M comparisons; NaN where an image has no value.
        seed: Determines the random changes.

    Returns:
        (M,), each in 0..1; NaN for a comparison without an image.
    """
    known = ~np.isnan(differences)
    filled = np.where(known, differences, 0.0)
    observed = np.abs(filled.sum(axis=0)) * (1 - 1e-9)  # sums in another order differ in the last bits
    images, comparisons = filled.shape
    is_exact = images <= EXACT
    # Enough draws for the smallest p-value to survive the correction for this many comparisons.
    draws = 2**images if is_exact else max(DRAWS, 100 * comparisons)
    random, extreme = np.random.default_rng(seed), np.zeros(comparisons)
    chunk = max(1, MAX_CHUNK // max(images, 1))
    for start in range(0, draws, chunk):
        count = min(chunk, draws - start)
        if is_exact:
            bits = (np.arange(start, start + count)[:, None] >> np.arange(images)) & 1
        else:
            bits = random.integers(0, 2, (count, images), dtype=np.int8)
        extreme += (np.abs((1.0 - 2.0 * bits) @ filled) >= observed).sum(axis=0)
    p_values = extreme / draws if is_exact else (1 + extreme) / (1 + draws)
    return np.where(known.any(axis=0), p_values, np.nan)


def holm(p_values: Values) -> Values:
    """Return p-values corrected for their number, so that one false discovery among all of them is as rare as stated.

    Holm (1979), "A simple sequentially rejective multiple test procedure": the i-th smallest of m is multiplied by
    m - i + 1, and none becomes smaller than one before it.

    Args:
        p_values: (M,); undefined ones (NaN) are no comparisons, and stay.
    """
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected = np.full(len(p_values), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected
