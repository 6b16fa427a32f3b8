"""The stem of a model in PyTorch, found by following the image through every torch function."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, final

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.layouts import spatial_axes
from seewhy.frameworks.recorder import Recorder
from seewhy.frameworks.stem import StemInput, StemValues, has_positions, moving_operation
from seewhy.frameworks.structures import leaves
from seewhy.frameworks.torch.layouts import PERMUTING
from seewhy.frameworks.torch.tensors import to_array
from seewhy.types import NativeTensor

CONVOLUTION = re.compile("conv(_transpose)?2d")
POOLING = re.compile(".*_pool2d")
STEM = re.compile(
    "conv|.*pool|(bi)?linear|embedding|.*attention|(__r?)?matmul|(add|badd)?b?mm$|einsum|tensordot|unfold$"
)
"""The names of functions that end the stem's input."""

KEEPS_POSITIONS = {(0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1)}
"""The permutations of four axes that only move the channels."""

READING = {"numpy", "__array__", "tolist", "__dlpack__"}
"""Functions after which an image may go on as another tensor that no function connects with it."""

WRITING = {"__setitem__", "copy_"}
"""Functions that write their last argument into their first."""


@final
class StemComplete(BaseException):  # not an error: no `except Exception` of a model may catch it
    """Ends the run of a model where the rest is not needed."""


@final
class StemRecorder(TorchFunctionMode, Recorder):
    """Follows the image from the model's input to the convolutions of the stem, and ends the run at a layer's call.

    A tensor is recognised by its storage, so that views and what is written into them are followed too.

    Args:
        call: The call of that layer, which raises `StemComplete`.
        leaf: Which of the model's inputs is followed, by its position among `leaves`.

    Attributes:
        found: What the stem receives; only the layer's output if no convolution precedes it.
    """

    def __init__(self, call: LayerCall, leaf: int = 0) -> None:
        super().__init__()
        self.found: list[StemInput] = []
        self._call = call
        self._leaf = leaf
        self._calls_left = call.execution
        # Tensors are kept: PyTorch would use the memory of a deleted one for another.
        self._moved: dict[int, tuple[NativeTensor, frozenset[str]]] = {}
        self._was_read = False

    def enter(self, batch: Any) -> Any:
        """Follow the model's input from here on, and return it unchanged."""
        self._follow(leaves(batch)[self._leaf], frozenset())
        return batch

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        """End at the chosen call."""
        self._calls_left -= path == self._call.path
        if self._calls_left == 0 and path == self._call.path:
            names = self._names(output)
            if names is not None:
                rows, columns = spatial_axes(self._call, 4)
                is_image = output.ndim == 4
                self.found = [_stem_input(output, (rows, columns), (1, 1), names)] if is_image else []
            raise StemComplete
        return output

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        images = [tensor for tensor in _tensors([args, kwargs]) if self._names(tensor) is not None]
        self._was_read = self._was_read or (name in READING and bool(images))
        if not images and not self.found and self._was_read and STEM.match(name):
            images = list(_tensors(args[:1]))
            for image in images:
                self._follow(image, frozenset(READING))
        if images and STEM.match(name):
            self.found += [
                _stem_input(image, *_window(name, args, kwargs), self._names(image) or frozenset())
                for image in images
                if image.ndim == 4
            ]
            return func(*args, **kwargs)
        is_kept = name in PERMUTING and images and _permutation(func, args, kwargs) in KEEPS_POSITIONS
        own_name = frozenset[str]() if is_kept else moving_operation(name)
        names = own_name.union(*(self._names(image) or () for image in images))
        result = func(*args, **kwargs)
        if images:
            for tensor in _tensors([result, args[0] if name in WRITING else None]):
                self._follow(tensor, names)
        return result

    def _follow(self, tensor: Any, names: frozenset[str]) -> None:
        key = _storage(tensor)
        if key is not None and tensor.dtype != torch.bool and has_positions(tensor.shape):
            self._moved[key] = (tensor, names.union(self._moved[key][1] if key in self._moved else ()))

    def _names(self, tensor: Any) -> frozenset[str] | None:
        """Return the moving operations between the model's input and a tensor; None for any other tensor."""
        key = _storage(tensor) if self._moved and isinstance(tensor, torch.Tensor) else None
        return self._moved[key][1] if key in self._moved else None


def _stem_input(
    tensor: NativeTensor, axes: tuple[int, int], window: tuple[int, int], names: frozenset[str]
) -> StemInput:
    # Copied: a later function may work in place.
    return StemInput(tensor.detach().clone(), tuple(tensor.shape), axes, window, names)


def _storage(tensor: NativeTensor) -> int | None:
    """Return the address of a tensor's values; None for a tensor without memory, such as one under a vmap."""
    try:
        return int(tensor.untyped_storage().data_ptr()) or None
    except (NotImplementedError, RuntimeError):
        return None


def _permutation(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> tuple[int, ...] | None:
    """Return the order in which a function permutes four axes, by calling it on a tensor without values."""
    if not args or args[0].ndim != 4:
        return None
    return tuple(func(torch.empty((0, 1, 2, 3), device="meta"), *args[1:], **kwargs).shape)


def _window(name: str, args: tuple[Any, ...], kwargs: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the axes of rows and columns, and how many of them a function reads for one output."""
    if CONVOLUTION.match(name):
        kernel = kwargs["weight"] if "weight" in kwargs else args[1]
        rows, columns = _pair(kwargs.get("dilation", args[5] if len(args) > 5 else 1))
        return (2, 3), ((kernel.shape[2] - 1) * rows + 1, (kernel.shape[3] - 1) * columns + 1)
    if POOLING.match(name) and "adaptive" not in name:
        return (2, 3), _pair(kwargs["kernel_size"] if "kernel_size" in kwargs else args[1])
    return ((2, 3) if POOLING.match(name) else (1, 2)), (1, 1)


def _pair(value: Any) -> tuple[int, int]:
    """Return PyTorch's option of one number or one for each axis as two numbers."""
    if isinstance(value, (list, tuple)):
        return (int(value[0]), int(value[-1]))
    return int(value), int(value)


def stem_values(found: Iterable[StemInput]) -> list[StemValues]:
    """Return the values of what the stem receives."""
    return [
        StemValues(to_array(torch.movedim(stem.tensor, stem.axes, (1, 2))).astype(np.float32), stem.window)
        for stem in found
    ]


def _tensors(structure: Any) -> Iterator[NativeTensor]:
    """Yield the tensors in lists, tuples and dicts, at any depth."""
    if isinstance(structure, torch.Tensor):
        yield structure
    elif isinstance(structure, (list, tuple, dict)):
        for value in structure.values() if isinstance(structure, dict) else structure:
            yield from _tensors(value)
