"""Noisy copies of an input, for the methods that average over them."""

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np

from seewhy.errors import OptionError, short_repr
from seewhy.methods.checks import is_finite
from seewhy.types import FloatArray

MAX_SIGMA = 1000
"""The maximum standard deviation of noise, in units of the range of the values it is added to."""


def fraction_of_range(name: str, value: Any) -> float:
    """Return the standard deviation of noise, as a fraction of the input's range, or raise OptionError."""
    if not is_finite(value) or not 0 <= value <= MAX_SIGMA:
        raise OptionError(
            f"{name} is {short_repr(value)}; expected a fraction of the input's range, 0 or more, such as 0.15, up to "
            f"{MAX_SIGMA}."
        )
    return float(value)


RelativeSigma = Annotated[float, fraction_of_range]
"""The standard deviation of noise, as a fraction of the input's range."""


def noisy_copies(inputs: FloatArray, samples: int, sigma: float, seed: int) -> Iterator[FloatArray]:
    """Return an iterator over copies of an input with Gaussian noise, each drawn when it is needed.

    Args:
        inputs: (*space, C).
        samples: The number of copies.
        sigma: The standard deviation of the noise, as a fraction of the input's range x_max - x_min.
        seed: The seed of the noise, which is the same for every image, so that no image depends on others.

    Returns:
        An iterator over (*space, C).
    """
    if sigma == 0:
        return (inputs for _ in range(samples))
    random, scale = np.random.default_rng(seed), np.float32(sigma) * np.ptp(inputs)
    return (inputs + scale * random.standard_normal(inputs.shape, dtype=np.float32) for _ in range(samples))
