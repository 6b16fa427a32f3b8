"""Baselines: inputs without evidence, from which the methods that need one start."""

from typing import Annotated, Any

import numpy as np

from seewhy.errors import OptionError, short_repr
from seewhy.types import FloatArray


def finite_baseline(name: str, value: Any) -> str | FloatArray:
    """Return "mean", or a number or an array of finite numbers as it is, or raise OptionError."""
    if isinstance(value, str) and value == "mean":
        return value
    _as_array(name, value)
    return value


Baseline = Annotated[float | str | FloatArray, finite_baseline]
"""A number, "mean" for the mean of each channel of the image, or an array, in units of the model's input."""


def one_baseline(name: str, value: Baseline, inputs: FloatArray) -> FloatArray:
    """Return the value of an option as a baseline (*space, C).

    Args:
        name: The option's name.
        value: A number, "mean", or an array that broadcasts to the inputs.
        inputs: The image, (*space, C).

    Raises:
        OptionError: The value does not fit the image.
    """
    array = _mean_or_array(name, value, inputs)
    try:
        return np.broadcast_to(array, inputs.shape)
    except ValueError as error:
        message = f"{name} has shape {array.shape}; expected {inputs.shape}, channels last, or a number."
        raise OptionError(message) from error


def several_baselines(name: str, value: Baseline, inputs: FloatArray) -> FloatArray:
    """Return the value of an option as baselines (M, *space, C): one, or an array of several, (M, *space, C).

    The arguments and errors are those of `one_baseline`.
    """
    array = _mean_or_array(name, value, inputs)
    if array.ndim <= inputs.ndim:
        return one_baseline(name, array, inputs)[None]
    if array.shape[1:] != inputs.shape or not len(array):
        raise OptionError(
            f"{name} has shape {array.shape}; expected several inputs, (M, {', '.join(map(str, inputs.shape))}), "
            "channels last, or one."
        )
    return array


def _mean_or_array(name: str, value: Baseline, inputs: FloatArray) -> FloatArray:
    if isinstance(value, str):
        return np.asarray(inputs.mean(axis=tuple(range(inputs.ndim - 1))))
    return _as_array(name, value)


def _as_array(name: str, value: Any) -> FloatArray:
    try:
        with np.errstate(over="ignore"):  # what is not finite in float32 is refused below
            array = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise OptionError(f"{name} is {short_repr(value)}; expected a number, an array, or 'mean'.") from error
    if not np.isfinite(array).all():
        raise OptionError(f"{name} has NaN or infinite values; expected finite numbers.")
    return array
