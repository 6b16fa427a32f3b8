"""Limits on what Keras creates while it builds the model that a file describes.

A config of a few bytes can describe layers that need more memory than the machine has, and their sizes are known only
when Keras builds them: they depend on each other. So while a file is loaded, Keras's constructors of variables and of
symbolic tensors count what is created, and refuse what is out of proportion to the weights in the file.
"""

import contextlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import wraps
from typing import Any

import numpy as np

from seewhy.errors import ModelError

FREE_BYTES, MAX_RATIO = 64 * 2**20, 4
"""All variables may have `FREE_BYTES`, and `MAX_RATIO` times the bytes of the weights in the file: the variables of an
optimizer inside a model are up to three times its weights, and need not be in the file."""

MAX_TENSORS = 200_000
"""Symbolic tensors: the outputs of all calls of layers, of which the largest model of keras.applications has 1,500. If
each of 30 models calls the next twice, on inputs of other sizes, there are a billion."""

_LOCK = threading.RLock()
_ACTIVE: ContextVar["BuildLimits | None"] = ContextVar("build_limits", default=None)


class BuildLimits:
    """Counts what is created, and raises ModelError when it is too much.

    Args:
        weight_bytes: The bytes of the weights in the file.
        known: What the message says about them; None for "it contains ... bytes of weights".

    Attributes:
        problem: What is too much; None as long as nothing is. Keras catches some errors and repeats others.
    """

    def __init__(self, weight_bytes: int, known: str | None = None) -> None:
        self.problem: str | None = None
        self._max_bytes = FREE_BYTES + MAX_RATIO * weight_bytes
        self._known = known or f"it contains {weight_bytes:,} bytes of weights"
        self._bytes, self._tensors = 0, 0

    def clear(self) -> None:
        """Count from zero."""
        self._bytes, self._tensors = 0, 0

    def add_array(self, shape: Any, dtype: Any) -> None:
        """Count an array before it is created."""
        self._bytes += _size(shape) * _item_size(dtype)
        if self._bytes > self._max_bytes:
            self._refuse(f"its layers would need {_amount(self._bytes)} or more for their weights, and {self._known}")

    def add_tensor(self) -> None:
        """Count a symbolic tensor."""
        self._tensors += 1
        if self._tensors > MAX_TENSORS:
            self._refuse(f"its layers call each other more than {MAX_TENSORS:,} times")

    def _refuse(self, problem: str) -> None:
        self.problem = self.problem or problem
        raise ModelError(problem)


@contextlib.contextmanager
def limited(keras: Any, weight_bytes: int) -> Iterator[BuildLimits]:
    """Limit what this thread creates with Keras; one thread at a time."""
    limits = BuildLimits(weight_bytes)
    with _LOCK, contextlib.ExitStack() as stack:
        for owner, name, check in (
            (keras.Variable, "__init__", _check_variable),
            (keras.KerasTensor, "__init__", _check_tensor),
            (keras.layers.Normalization, "build", _check_normalization),
        ):
            stack.enter_context(_checked(owner, name, check))
        token = _ACTIVE.set(limits)
        try:
            yield limits
        finally:
            _ACTIVE.reset(token)


@contextlib.contextmanager
def _checked(owner: type, name: str, check: Callable[..., None]) -> Iterator[None]:
    """Call `check` before a method of a class, in a thread with limits."""
    original, is_own = getattr(owner, name), name in vars(owner)

    @wraps(original)
    def method(self: Any, *values: Any, **named: Any) -> Any:
        limits = _ACTIVE.get()
        if limits is not None:
            check(limits, self, *values, **named)
        return original(self, *values, **named)

    setattr(owner, name, method)
    try:
        yield
    finally:
        if is_own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)


def _check_variable(
    limits: BuildLimits, _: Any, initializer: Any, shape: Any = None, dtype: Any = None, *__: Any, **___: Any
) -> None:
    limits.add_array(getattr(initializer, "shape", ()) if shape is None else shape, dtype)


def _check_tensor(limits: BuildLimits, *_: Any, **__: Any) -> None:
    limits.add_tensor()


def _check_normalization(limits: BuildLimits, layer: Any, input_shape: Any = None, *_: Any, **__: Any) -> None:
    """Count the mean and variance of a Normalization layer whose config has them: these are not variables."""
    if layer.input_mean is None or not isinstance(input_shape, (list, tuple)):
        return
    kept = [input_shape[axis] for axis in layer.axis if -len(input_shape) <= axis < len(input_shape)]
    limits.add_array([2, *kept], None)


def _size(shape: Any) -> int:
    """Return the number of elements; of a shape that Keras does not accept, 0.

    Shapes of TensorFlow are not tuples.
    """
    sides = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    return math.prod(int(side) if isinstance(side, (int, float, np.integer)) and side > 0 else 0 for side in sides)


def _item_size(dtype: Any) -> int:
    """Return the bytes of an element; 4, the most common, where NumPy does not know the type."""
    try:
        return np.dtype(dtype if isinstance(dtype, str) else "float32").itemsize
    except TypeError:
        return 4


def _amount(count: int) -> str:
    if count >= 10**18:
        return "more than a billion GB"
    return f"{count / 10**6:,.0f} MB" if count < 10**9 else f"{count / 10**9:,.0f} GB"
