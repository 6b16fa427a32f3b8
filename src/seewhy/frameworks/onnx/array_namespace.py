"""The functions of NumPy's arrays, named as in the array API, for methods and targets."""

from typing import Any

import numpy as np
from array_api_compat.numpy import *  # noqa: F403 - what methods and targets use is for them to say
from numpy.typing import NDArray


def sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    """Return 1 / (1 + exp(-x)), computed without overflow."""
    exponential = np.exp(-np.abs(values))
    positive = 1 / (1 + exponential)
    return np.asarray(np.where(values >= 0, positive, exponential * positive))
