"""Checks of the values of methods' options."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from seewhy.errors import OptionError

PerAxis = int | Sequence[int]
"""One number for all spatial axes, or one for each."""


def integer(name: str, value: Any, least: int = 1) -> int:
    """Return an integer of `least` or more, or raise OptionError."""
    if not _is_integer(value) or value < least:
        raise OptionError(f"{name} is {value!r}; expected an integer, {least} or more.")
    return int(value)


def positive(name: str, value: Any) -> float:
    """Return a finite number above 0, or raise OptionError."""
    if not is_finite(value) or value <= 0:
        raise OptionError(f"{name} is {value!r}; expected a number above 0.")
    return float(value)


def fraction(name: str, value: Any) -> float:
    """Return a number between 0 and 1, both excluded, or raise OptionError."""
    if not _is_number(value) or not 0 < value < 1:
        raise OptionError(f"{name} is {value!r}; expected a number between 0 and 1, such as 0.5.")
    return float(value)


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return one of the choices, or raise OptionError."""
    if not isinstance(value, str) or value not in choices:
        raise OptionError(f"{name} is {value!r}; expected {' or '.join(map(repr, choices))}.")
    return value


def per_axis(name: str, value: Any, axes: int) -> tuple[int, ...]:
    """Return one integer of 1 or more for each spatial axis, or raise OptionError."""
    if _is_integer(value):
        return (integer(name, value),) * axes
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != axes:
        raise OptionError(
            f"{name} is {value!r}; expected an integer, or one for each of the input's {axes} spatial axes."
        )
    return tuple(integer(name, size) for size in value)


def per_channel(name: str, value: Any, channels: int, alternatives: str = "") -> tuple[float, ...]:
    """Return one finite number for each channel, or raise OptionError, which lists the `alternatives` first."""
    values = (value,) * channels if _is_number(value) else value
    if not isinstance(values, Sequence) or len(values) != channels or not all(map(is_finite, values)):
        raise OptionError(f"{name} is {value!r}; expected {alternatives}a number, or {channels}, one for each channel.")
    return tuple(map(float, values))


def is_finite(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return _is_number(value) and bool(np.isfinite(value))


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, (float, np.floating))
