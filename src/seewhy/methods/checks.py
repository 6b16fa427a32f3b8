"""Options of methods that have a value outside their range."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from seewhy.errors import OptionError

PerAxis = int | Sequence[int]
"""One number for every axis of space, or one for each."""


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number, or raise OptionError where it is none or below `least`."""
    if not _is_whole(value) or value < least:
        raise OptionError(f"{name} is {value!r}; expected a whole number, {least} or more.")
    return int(value)


def positive(name: str, value: Any) -> float:
    """Return a finite number above 0, or raise OptionError."""
    if not is_finite(value) or value <= 0:
        raise OptionError(f"{name} is {value!r}; expected a number above 0.")
    return float(value)


def fraction(name: str, value: Any) -> float:
    """Return a number between 0 and 1, or raise OptionError; 0 and 1 themselves are refused."""
    if not _is_number(value) or not 0 < value < 1:
        raise OptionError(f"{name} is {value!r}; expected a number between 0 and 1, such as 0.5.")
    return float(value)


def one_of(name: str, value: Any, known: Sequence[str]) -> str:
    """Return one of the words that are known, or raise OptionError."""
    if not isinstance(value, str) or value not in known:
        raise OptionError(f"{name} is {value!r}; expected {' or '.join(map(repr, known))}.")
    return value


def per_axis(name: str, value: Any, axes: int) -> tuple[int, ...]:
    """Return one whole number, 1 or more, for each axis of space, or raise OptionError."""
    if _is_whole(value):
        return (whole(name, value),) * axes
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != axes:
        raise OptionError(f"{name} is {value!r}; expected a whole number, or one for each of the input's {axes} axes.")
    return tuple(whole(name, each) for each in value)


def per_channel(name: str, value: Any, channels: int, besides: str = "") -> tuple[float, ...]:
    """Return one finite number for each channel, or raise OptionError, which names what may be given `besides`."""
    values = (value,) * channels if _is_number(value) else value
    if not isinstance(values, Sequence) or len(values) != channels or not all(map(is_finite, values)):
        raise OptionError(f"{name} is {value!r}; expected {besides}a number, or {channels}, one for each channel.")
    return tuple(map(float, values))


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """Whether this is a finite number."""
    return _is_number(value) and bool(np.isfinite(value))


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, (float, np.floating))
