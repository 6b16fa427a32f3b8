"""The channels' axis of a native PyTorch tensor: channels first, (N, K, *space), or last, (N, *space, K).

Few modules declare their layout, and between modules models permute tensors with functions. So every torch function is
followed: the output of a convolution has its channels first, that of a linear function has them last, and any other
output has them where its input had them, or where the function moved them.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from seewhy.frameworks.torch.logits import ORDER_PRESERVING
from seewhy.types import NativeTensor

CHANNELS_FIRST = re.compile("conv|batch_norm|instance_norm|group_norm|.*pool")
"""The names of functions whose outputs are always channels first."""

CHANNELS_LAST = {"linear", "bilinear", "embedding", "multi_head_attention_forward"}
"""Functions whose outputs are always channels last."""

NORMALISATIONS = {"layer_norm", "rms_norm"}
"""Functions whose outputs are channels last if they normalise over one axis."""

PERMUTING = {"permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis"}
"""Functions that permute axes."""

MATRIX_TRANSPOSE: Any = torch.Tensor.mT.__get__  # type: ignore[attr-defined]
"""The getter of an attribute that permutes axes; the getters of all attributes have the same name."""


class _Layout(NamedTuple):
    """A tensor's shape, and its channels' axis."""

    shape: tuple[int, ...]
    axis: int


@final
class TorchLayouts(TorchFunctionMode):
    """Follows the channels' axis through every torch function that this thread's model calls while this is open."""

    def __init__(self) -> None:
        super().__init__()
        # Weak references: all of a model's tensors together may exceed the memory.
        self._axes: Any = WeakTensorKeyDictionary()

    def is_channels_first(self, tensor: NativeTensor) -> bool | None:
        """Whether a tensor is channels first; None where its layout is unknown."""
        axis = self._axes.get(tensor)
        return None if axis is None else bool(axis != tensor.ndim - 1)

    def set_layout(self, tensor: Any, *, channels_first: bool) -> None:
        """Set the layout of a tensor with spatial positions; ignore any other value."""
        if isinstance(tensor, torch.Tensor) and tensor.ndim > 2:
            self._axes[tensor] = 1 if channels_first else tensor.ndim - 1

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        # Read before the call: a function that works in place may change the shape of its input.
        layouts = [
            _Layout(tuple(tensor.shape), self._axes[tensor])
            for tensor in _tensors([args, kwargs])
            if tensor in self._axes
        ]
        result = func(*args, **kwargs)
        for tensor in _tensors(result):
            axis = _channels_axis(func, args, kwargs, layouts, tuple(tensor.shape)) if tensor.ndim > 2 else None
            if axis is not None:
                self._axes[tensor] = axis
            else:
                self._axes.pop(tensor, None)
        return result


def _channels_axis(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any, layouts: list[_Layout], shape: tuple[int, ...]
) -> int | None:
    """Return the channels' axis of a function's output of this shape, from its inputs' layouts; None if unknown."""
    name = getattr(func, "__name__", "").removesuffix("_")
    if CHANNELS_FIRST.match(name):
        return 1
    if name in CHANNELS_LAST or (name in NORMALISATIONS and _normalised_axis_count(args, kwargs) == 1):
        return len(shape) - 1
    if not layouts:
        return None
    if name in PERMUTING or func == MATRIX_TRANSPOSE:
        return _permuted_axis(func, args, kwargs, layouts[0])
    if name in ORDER_PRESERVING:
        return _reshaped_axis(layouts[0], shape)
    return next((layout.axis for layout in layouts if len(layout.shape) == len(shape)), None)


def _normalised_axis_count(args: tuple[Any, ...], kwargs: Any) -> int:
    return np.size(args[1] if len(args) > 1 else kwargs["normalized_shape"])


def _permuted_axis(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any, layout: _Layout) -> int:
    """Return where a function moves the channels' axis, by calling it on a tensor without values.

    Each axis of that tensor has another size.
    """
    probe = torch.empty(tuple(range(len(layout.shape))), device="meta")
    permuted = func(probe, *args[1:], **kwargs) if args else func(**{**kwargs, "input": probe})
    return int(permuted.shape.index(layout.axis))


def _reshaped_axis(layout: _Layout, shape: tuple[int, ...]) -> int | None:
    """Return the nearest axis of the same size with as many values before and after it; None if there is none."""
    before, channels = math.prod(layout.shape[: layout.axis]), layout.shape[layout.axis]
    axes = [axis for axis, size in enumerate(shape) if axis and size == channels and math.prod(shape[:axis]) == before]
    return min(axes, key=lambda axis: abs(axis - layout.axis), default=None)


def _tensors(structure: Any) -> Iterator[NativeTensor]:
    """Yield the tensors in lists, tuples and dicts, at any depth, but for nested tensors, which have no shape."""
    if isinstance(structure, torch.Tensor):
        if not structure.is_nested:
            yield structure
    elif isinstance(structure, (list, tuple, dict)):
        for value in structure.values() if isinstance(structure, dict) else structure:
            yield from _tensors(value)
