"""Copies of an input with noise on them, for the methods that average over such."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from seewhy.errors import OptionError
from seewhy.methods.checks import is_finite, whole
from seewhy.types import FloatArray


def noisy(inputs: FloatArray, samples: Any, sigma: Any, seed: Any) -> Iterator[FloatArray]:
    """Return copies with noise of Gauss's distribution, made as they are asked for.

    Args:
        inputs: (*space, C).
        samples: How many copies.
        sigma: The noise's standard deviation, as a part of the input's range x_max - x_min.
        seed: Which noise: the same for every image, so that none depends on those beside it.

    Raises:
        OptionError: An option is out of range; before the first copy is made.
    """
    samples, seed = whole("samples", samples), whole("seed", seed, 0)
    if not is_finite(sigma) or sigma < 0:
        raise OptionError(f"sigma is {sigma!r}; expected a part of the input's range, 0 or more, such as 0.15.")
    random, scale = np.random.default_rng(seed), np.float32(sigma) * np.ptp(inputs)
    return (inputs + scale * random.standard_normal(inputs.shape, dtype=np.float32) for _ in range(samples))
