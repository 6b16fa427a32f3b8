"""Checks of the values of methods' options.

An option declares its check in its annotation: a number by an alias such as `Runs`, below; a choice by `Literal`; a
switch by `bool`. `check_option` applies it when the option is set. What needs the image, such as the number of spatial
axes, is checked by the method's function.
"""

from collections.abc import Sequence
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np

from seewhy.errors import OptionError, short_repr

MAX_RUNS = 1_000_000
"""The maximum of options that say how many times the model is run: 250 times the largest default, for RISE."""

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)

MAX_SEED = 2**63 - 1

MAX_NUMBER = 1e30
"""The maximum of positive numbers: their products with activations and pixels still fit into float32."""


def check_option(name: str, value: Any, annotation: Any) -> Any:
    """Return the value of an option, checked and converted as the option's annotation declares.

    Args:
        name: The option's name, for the message.
        value: Any value.
        annotation: `Annotated` with functions (name, value) that return the value or raise OptionError; `Literal` with
            strings; `bool`; or one of them and None. Other annotations declare no check.

    Raises:
        OptionError: The value is not one that the annotation allows.
    """
    if get_origin(annotation) in (Union, UnionType):
        types = get_args(annotation)
        if value is None and NoneType in types:
            return None
        others = [each for each in types if each is not NoneType]
        return check_option(name, value, others[0]) if len(others) == 1 else value
    if get_origin(annotation) is Annotated:
        for check in filter(callable, get_args(annotation)[1:]):
            value = check(name, value)
        return value
    if get_origin(annotation) is Literal:
        return one_of(name, value, get_args(annotation))
    return boolean(name, value) if annotation is bool else value


def integer(name: str, value: Any, least: int = 1, most: int = MAX_RUNS) -> int:
    """Return an integer from `least` to `most`, or raise OptionError."""
    if not _is_integer(value) or not least <= value <= most:
        raise OptionError(f"{name} is {short_repr(value)}; expected an integer, {least} or more, up to {most:,}.")
    return int(value)


def boolean(name: str, value: Any) -> bool:
    """Return True or False, or raise OptionError."""
    if not isinstance(value, (bool, np.bool_)):
        raise OptionError(f"{name} is {short_repr(value)}; expected True or False.")
    return bool(value)


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


def one_or_each_axis(name: str, value: Any, most: int = MAX_RUNS) -> int | tuple[int, ...]:
    """Return an integer from 1 to `most`, or several in a tuple, or raise OptionError."""
    if _is_integer(value):
        return integer(name, value, most=most)
    if isinstance(value, str) or not isinstance(value, Sequence) or not len(value):
        raise OptionError(
            f"{name} is {short_repr(value)}; expected an integer, or one for each of the input's spatial axes."
        )
    return tuple(integer(name, size, most=most) for size in value)


def per_axis(name: str, value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """Return the checked value of an option as one integer for each spatial axis, or raise OptionError."""
    if not isinstance(value, Sequence):
        return (value,) * axes
    if len(value) != axes:
        raise OptionError(
            f"{name} is {short_repr(value)}; expected an integer, or one for each of the input's {axes} spatial axes."
        )
    return tuple(value)


def mean_or_each_channel(name: str, value: Any) -> float | tuple[float, ...] | str:
    """Return "mean", a finite number, or several in a tuple, or raise OptionError."""
    if isinstance(value, str) and value == "mean":
        return value
    if is_finite(value):
        return float(value)
    if isinstance(value, str) or not isinstance(value, Sequence) or not len(value) or not all(map(is_finite, value)):
        raise OptionError(f"{name} is {short_repr(value)}; expected 'mean', a number, or one for each channel.")
    return tuple(map(float, value))


def is_finite(value: Any) -> bool:
    """Return whether a value is a number that is finite in float32, in which models run."""
    return _is_number(value) and bool(abs(value) <= LARGEST_FLOAT32)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, (float, np.floating))


Runs = Annotated[int, integer]
"""How many times the model is run."""

Seed = Annotated[int, partial(integer, least=0, most=MAX_SEED)]
"""The seed of a random generator."""

Fraction = Annotated[float, fraction]
"""A number between 0 and 1, both excluded."""

Positive = Annotated[float, positive]

PerAxis = Annotated[int | Sequence[int], one_or_each_axis]
"""One number for all spatial axes, or one for each."""

PerChannel = Annotated[float | Sequence[float] | str, mean_or_each_channel]
"""One number for all channels, or one for each; or "mean", the mean of each channel of the image."""
