"""Checks of the values of methods' options."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from seewhy.errors import OptionError, short_repr

PerAxis = int | Sequence[int]
"""One number for all spatial axes, or one for each."""


MAX_RUNS = 1_000_000
"""The maximum of options that say how many times the model is run: 250 times the largest default, for RISE."""

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)

MAX_SEED = 2**63 - 1

MAX_NUMBER = 1e30
"""The maximum of positive numbers: their products with activations and pixels still fit into float32."""


def integer(name: str, value: Any, least: int = 1, most: int = MAX_RUNS) -> int:
    """Return an integer from `least` to `most`, or raise OptionError."""
    if not _is_integer(value) or not least <= value <= most:
        raise OptionError(f"{name} is {short_repr(value)}; expected an integer, {least} or more, up to {most:,}.")
    return int(value)


def check_seed(value: Any) -> int:
    """Return the seed of a random generator, or raise OptionError."""
    return integer("seed", value, 0, MAX_SEED)


def positive(name: str, value: Any, most: float = MAX_NUMBER) -> float:
    """Return a number above 0 and up to `most`, or raise OptionError."""
    if not is_finite(value) or not 0 < np.float32(value) <= most:
        raise OptionError(f"{name} is {short_repr(value)}; expected a number above 0, up to {most:g}.")
    return float(value)


def not_negative(name: str, value: Any, most: float = MAX_NUMBER) -> float:
    """Return a number from 0 to `most`, or raise OptionError."""
    if not is_finite(value) or not 0 <= value <= most:
        raise OptionError(f"{name} is {short_repr(value)}; expected a number, 0 or more, up to {most:g}.")
    return float(value)


def fraction(name: str, value: Any) -> float:
    """Return a number between 0 and 1, both excluded, or raise OptionError."""
    if not _is_number(value) or not 0 < value < 1:
        raise OptionError(f"{name} is {short_repr(value)}; expected a number between 0 and 1, such as 0.5.")
    return float(value)


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return one of the choices, or raise OptionError."""
    if not isinstance(value, str) or value not in choices:
        raise OptionError(f"{name} is {short_repr(value)}; expected {' or '.join(map(repr, choices))}.")
    return value


def per_axis(name: str, value: Any, axes: int, most: int = MAX_RUNS) -> tuple[int, ...]:
    """Return one integer from 1 to `most` for each spatial axis, or raise OptionError."""
    if _is_integer(value):
        return (integer(name, value, most=most),) * axes
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != axes:
        raise OptionError(
            f"{name} is {short_repr(value)}; expected an integer, or one for each of the input's {axes} spatial axes."
        )
    return tuple(integer(name, size, most=most) for size in value)


def per_channel(name: str, value: Any, channels: int, alternatives: str = "") -> tuple[float, ...]:
    """Return one finite number for each channel, or raise OptionError, which lists the `alternatives` first."""
    values = (value,) * channels if _is_number(value) else value
    if not isinstance(values, Sequence) or len(values) != channels or not all(map(is_finite, values)):
        raise OptionError(
            f"{name} is {short_repr(value)}; expected {alternatives}a number, or {channels}, one for each channel."
        )
    return tuple(map(float, values))


def is_finite(value: Any) -> bool:
    """Return whether a value is a number that is finite in float32, in which models run."""
    return _is_number(value) and bool(abs(value) <= LARGEST_FLOAT32)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, (float, np.floating))
