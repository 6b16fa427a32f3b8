"""Where the channels of a native PyTorch tensor stand: first, (N, K, *space), or last, (N, *space, K).

Few modules say it, and between them models turn tensors round with functions. So all functions are heard: a
convolution gives its channels first, a linear function gives them last, and of everything else they are where they
were in what it was given, or where it moved them to.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from seewhy.frameworks.torch.logits import ORDER_KEEPING
from seewhy.types import Tensor

FIRST = re.compile("conv|batch_norm|instance_norm|group_norm|.*pool")
"""Names of functions whose outputs have their channels first, whatever goes in."""

LAST = {"linear", "bilinear", "embedding", "multi_head_attention_forward"}
"""Functions whose outputs have their channels last, whatever goes in."""

NORMALISATIONS = {"layer_norm", "rms_norm"}
"""Functions that have the channels last where they normalise over one axis."""

MOVING = {"permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis"}
"""Functions that change the order of the axes."""

MATRIX_TRANSPOSE: Any = torch.Tensor.mT.__get__  # type: ignore[attr-defined]
"""An attribute that does so too; all attributes' functions have the same name."""


class _Known(NamedTuple):
    """A tensor that goes into a function: its shape, and which axis is the channels'."""

    shape: tuple[int, ...]
    axis: int


@final
class TorchLayouts(TorchFunctionMode):
    """Follows the axis of the channels through every function that this thread's model calls, while it is open."""

    def __init__(self) -> None:
        super().__init__()
        # Weak: a model's tensors together may be more than memory holds.
        self._axes: Any = WeakTensorKeyDictionary()

    def is_channels_first(self, tensor: Tensor) -> bool | None:
        """Whether the channels of a tensor come first; None where that is not known."""
        axis = self._axes.get(tensor)
        return None if axis is None else bool(axis != tensor.ndim - 1)

    def note(self, tensor: Any, *, channels_first: bool) -> None:
        """Note where the channels of a tensor are, if it has space."""
        if isinstance(tensor, torch.Tensor) and tensor.ndim > 2:
            self._axes[tensor] = 1 if channels_first else tensor.ndim - 1

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        # Before the call: what works in place may change the shape of what it is given.
        given = [_Known(tuple(each.shape), self._axes[each]) for each in _tensors([args, kwargs]) if each in self._axes]
        result = func(*args, **kwargs)
        for each in _tensors(result):
            axis = _axis(func, args, kwargs, given, tuple(each.shape)) if each.ndim > 2 else None
            if axis is not None:
                self._axes[each] = axis
            else:
                self._axes.pop(each, None)
        return result


def _axis(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any, given: list[_Known], shape: tuple[int, ...]
) -> int | None:
    """Return the channels' axis of a function's output of this shape; None where it cannot be told."""
    name = getattr(func, "__name__", "").removesuffix("_")
    if FIRST.match(name):
        return 1
    if name in LAST or (name in NORMALISATIONS and _normalised_axes(args, kwargs) == 1):
        return len(shape) - 1
    if not given:
        return None
    if name in MOVING or func == MATRIX_TRANSPOSE:
        return _moved(func, args, kwargs, given[0])
    if name in ORDER_KEEPING:
        return _reshaped(given[0], shape)
    return next((each.axis for each in given if len(each.shape) == len(shape)), None)


def _normalised_axes(args: tuple[Any, ...], kwargs: Any) -> int:
    return np.size(args[1] if len(args) > 1 else kwargs["normalized_shape"])


def _moved(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any, given: _Known) -> int:
    """Return where a function moves an axis: of a tensor without values that is of another size along each axis."""
    probe = torch.empty(tuple(range(len(given.shape))), device="meta")
    made = func(probe, *args[1:], **kwargs) if args else func(**{**kwargs, "input": probe})
    return int(made.shape.index(given.axis))


def _reshaped(given: _Known, shape: tuple[int, ...]) -> int | None:
    """Return the axis of the same size, with as many values before it and behind it, that is nearest."""
    before, size = math.prod(given.shape[: given.axis]), given.shape[given.axis]
    found = [axis for axis, length in enumerate(shape) if axis and length == size and math.prod(shape[:axis]) == before]
    return min(found, key=lambda axis: abs(axis - given.axis), default=None)


def _tensors(structure: Any) -> Iterator[Tensor]:
    """Yield the tensors in lists, tuples and dicts, at any depth."""
    if isinstance(structure, torch.Tensor):
        yield structure
    elif isinstance(structure, (list, tuple, dict)):
        for each in structure.values() if isinstance(structure, dict) else structure:
            yield from _tensors(each)
