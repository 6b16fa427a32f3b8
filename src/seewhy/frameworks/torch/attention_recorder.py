"""Finding a model's attention maps: each softmax over keys, of queries times keys, that values are multiplied with."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from seewhy.frameworks.layers import MIXED_WEIGHTS, UNEVEN
from seewhy.frameworks.torch.attention_operations import MULTI_HEAD, attention_in_steps, open_multi_head_attention
from seewhy.frameworks.torch.product_axes import OperandAxes, einsum_axes, product_axes
from seewhy.frameworks.torch.tensors import has_memory
from seewhy.types import NativeTensor

SOFTMAXES = {"softmax", "special_softmax"}
"""The softmax by the names of its functions; the function, the method and the module all call one of these."""

FUSED = "scaled_dot_product_attention"
"""The name of the function that computes attention in one step."""

PRODUCTS = {"matmul", "__matmul__", "__rmatmul__", "bmm", "baddbmm"}
"""The names of functions that multiply matrices, besides `einsum`."""

REPEATS = {"repeat", "repeat_interleave", "tile"}
"""The names of functions that repeat a tensor, such as a learned query for every image."""

CHANNEL_AXES = {"linear": -1, "conv1d": 1, "conv2d": 1, "conv3d": 1}
"""The axis of the channels in the result of each function that multiplies with a layer's weights, by its name."""

SUMS = {"add", "__add__", "__radd__", "__iadd__", "add_", "sub", "__sub__", "__rsub__", "lerp"}
"""The names of functions that add or subtract tensors."""


@dataclass(frozen=True)
class AttentionMaps:
    """The attention maps of a model, for inputs of one shape.

    Attributes:
        positions: Which of the model's softmaxes are attention maps, counted from 0 in the order in which they run;
            fused attention counts as a softmax.
        shapes: The shape of each map without the images: (H, Lq, Lk), or with more axes for windows.
        obstacle: What keeps the maps from being captured, as in "combines ..."; empty if nothing does.
    """

    positions: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    obstacle: str = ""


@dataclass(frozen=True)
class _Scores:
    """Marks products of queries and keys."""


@dataclass(frozen=True)
class _Weights:
    """Marks a softmax of such products, and what it becomes before values are multiplied with it.

    Attributes:
        position: Which of the softmaxes it is.
        keys: The axis of the keys.
        queries: The axis of the queries.
        is_mixed: Other weights were added.
    """

    position: int
    keys: int
    queries: int
    is_mixed: bool = False


@dataclass(frozen=True)
class _Result:
    """Marks weights times values, until attention heads are joined.

    Attributes:
        position: Which of the softmaxes the weights are.
        queries: The axis of the queries.
    """

    position: int
    queries: int


_Mark = _Scores | _Weights | _Result


@dataclass
class _Found:
    """What is known about one softmax."""

    shape: tuple[int, ...]
    heads: int | None
    is_attention: bool = False
    is_mixed: bool = False


class AttentionMode(TorchFunctionMode, ABC):
    """Observes every softmax of this thread while it is open, and computes fused attention in steps.

    `torch.nn.MultiheadAttention` is observed inside too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heads: int | None = None  # inside torch.nn.MultiheadAttention, which folds attention heads into axis 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if func is MULTI_HEAD:
            return self._multi_head(args, kwargs)
        if name == FUSED and not (args and args[0].is_nested):
            return self.fused(args, kwargs)
        if name in SOFTMAXES:
            return self.softmax(func, args, kwargs)
        return self.other(name, func, args, kwargs)

    @abstractmethod
    def fused(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NativeTensor:
        """Compute fused attention in steps."""

    @abstractmethod
    def softmax(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> NativeTensor:
        """Compute a softmax."""

    def other(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compute any other function."""
        return func(*args, **kwargs)

    def _multi_head(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compute multi-head attention with this mode open; PyTorch closes it while it handles a function."""
        outer, self._heads = self._heads, kwargs.get("num_heads", args[4] if len(args) > 4 else None)
        try:
            with self:
                return open_multi_head_attention(*args, **kwargs)
        finally:
            self._heads = outer


class AttentionRecorder(AttentionMode):
    """Follows products of queries and keys through every function to the product with values.

    Args:
        weights: The model's weights and buffers. A product with them, or with what is computed from one of them alone,
            is a layer's, not one of queries and keys.
    """

    def __init__(self, weights: Iterable[NativeTensor]) -> None:
        super().__init__()
        self._storages = {_storage(tensor) for tensor in weights}
        self._found: list[_Found] = []
        self._marks: Any = WeakTensorKeyDictionary()
        self._of_weights: Any = WeakTensorKeyDictionary()  # what functions of one weight computed: a cast, a norm
        self._channels: Any = WeakTensorKeyDictionary()  # the axis of the channels that a layer computed

    def maps(self, images: int) -> AttentionMaps:
        """Return the attention maps of the run, for its number of images.

        Axis 0 of every softmax is taken as images times attention heads or windows, in this order; another order of
        the same size shows only when the values of maps are compared, see `attribution.independence`.
        """
        found = [(position, each) for position, each in enumerate(self._found) if each.is_attention]
        shapes = [image_shape(each.shape, each.heads, images) for _, each in found]
        if any(each.is_mixed for _, each in found):
            return AttentionMaps((), (), MIXED_WEIGHTS)
        if None in shapes:
            return AttentionMaps((), (), UNEVEN)
        return AttentionMaps(
            tuple(position for position, _ in found), tuple(shape for shape in shapes if shape is not None)
        )

    def fused(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NativeTensor:
        def tap(weights: NativeTensor) -> NativeTensor:
            self._found.append(_Found(tuple(weights.shape), None, is_attention=True))
            return self.softmax_computed(weights)

        result = attention_in_steps(tap, *args, **kwargs)
        self.values_read(len(self._found) - 1, args[2] if len(args) > 2 else kwargs["value"])
        self._marks[result] = _Result(len(self._found) - 1, result.ndim - 2)
        return result

    def softmax(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> NativeTensor:
        tensor = args[0] if args else kwargs.get("input")
        result = self.softmax_computed(func(*args, **kwargs))
        axis = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis"))
        heads = self._heads if result.ndim == 3 else None
        if isinstance(self._mark(tensor), _Scores) and result.ndim > 2 and axis in (-1, result.ndim - 1):
            self._marks[result] = _Weights(len(self._found), result.ndim - 1, result.ndim - 2)
        self._found.append(_Found(tuple(result.shape), heads))
        return result

    def softmax_computed(self, weights: NativeTensor) -> NativeTensor:
        """Observe a softmax, and return what the model uses."""
        return weights

    def values_read(self, position: int, values: NativeTensor) -> None:
        """Observe what the softmax of a position is multiplied with."""

    def other(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name in PRODUCTS or name == "einsum":
            return self._product(name, func, args, kwargs)
        tensors = list(_tensors([args, kwargs]))
        marks = [(tensor, mark) for tensor in tensors if (mark := self._mark(tensor)) is not None]
        result = func(*args, **kwargs)
        if len(tensors) == 1 and name not in REPEATS and self._is_weight(tensors[0]):
            self._mark_of_weight(tensors[0], result)
        self._follow_channels(name, tensors, result)
        for tensor, mark in marks:
            for part in _tensors([result]):
                if isinstance(mark, _Result) and part.ndim < tensor.ndim:
                    self._found[mark.position].is_attention &= not _joins(mark.queries, tensor, part)
                    continue
                following = _following(mark, tensor, part)
                if following is None:
                    continue
                is_sum = name in SUMS and any(other is not tensor and other.ndim > 1 for other in tensors)
                if isinstance(following, _Weights) and is_sum:
                    following = replace(following, is_mixed=True)
                self._marks[part] = following
        return result

    def _product(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = func(*args, **kwargs)
        operands = list(_tensors([args, kwargs]))
        operands = operands[-2:] if name == "baddbmm" else operands  # its first tensor is added
        if name == "__rmatmul__":
            operands.reverse()
        axes = einsum_axes(args[0], operands, result) if name == "einsum" else product_axes(operands, result)
        if axes is None:
            return result
        is_layer = any(map(self._is_weight, operands))
        if is_layer and name != "einsum" and self._is_weight(operands[1]):
            self._channels[result] = result.ndim - 1
        weights = [
            (mark, of_operand, other)
            for operand, of_operand, other in zip(operands, axes, operands[::-1], strict=True)
            if isinstance(mark := self._mark(operand), _Weights)
        ]
        for mark, of_operand, other in weights:
            if self._follow_weights(mark, of_operand, result, is_layer=is_layer):
                self.values_read(mark.position, other)
        # Channels attend to channels where both of them are of axes that the other operand lacks, as in DANet.
        is_of_channels = all(self._channels.get(each) in own for each, (_, own, _) in zip(operands, axes, strict=True))
        if not (weights or is_layer or is_of_channels) and result.ndim > 2:
            self._marks[result] = _Scores()
        return result

    def _follow_weights(self, mark: _Weights, axes: OperandAxes, result: NativeTensor, *, is_layer: bool) -> bool:
        """Note what a product of a softmax is: the result of attention, or the softmax with attention heads mixed.

        Returns:
            Whether it is the result of attention.
        """
        keys, queries = (axes.kept.get(axis) for axis in (mark.keys, mark.queries))
        if keys is not None and queries is not None:
            self._marks[result] = replace(mark, keys=keys, queries=queries)
            return False
        if mark.keys in axes.summed and not is_layer:
            self._found[mark.position].is_attention = True
            self._found[mark.position].is_mixed |= mark.is_mixed
            if queries is not None and result.ndim > 2:
                self._marks[result] = _Result(mark.position, queries)
            return True
        return False

    def _follow_channels(self, name: str, tensors: Iterable[NativeTensor], result: Any) -> None:
        """Note the axis of the channels in the result of a function of some tensors."""
        for part in _tensors([result]):
            if name in CHANNEL_AXES:
                self._channels[part] = CHANNEL_AXES[name] % part.ndim
                continue
            axes = ((tensor, axis) for tensor in tensors if (axis := self._channels.get(tensor)) is not None)
            moved = next((_moved_axis(*each, part) for each in axes), None)
            if moved is not None:
                self._channels[part] = moved

    def _is_weight(self, tensor: NativeTensor) -> bool:
        """Whether a tensor is a weight, part of one, or computed from one alone."""
        return _storage(tensor) in self._storages or tensor in self._of_weights

    def _mark_of_weight(self, weight: NativeTensor, result: Any) -> None:
        """Note what a function made of a weight alone, with as many values; what pools or repeats it is no weight."""
        for part in _tensors([result]):
            if part.numel() == weight.numel() and part.is_floating_point():
                self._of_weights[part] = True

    def _mark(self, tensor: Any) -> _Mark | None:
        mark: _Mark | None = self._marks.get(tensor) if isinstance(tensor, torch.Tensor) else None
        return mark


def image_shape(shape: tuple[int, ...], heads: int | None, images: int) -> tuple[int, ...] | None:
    """Return the shape of a map without the images, (H, Lq, Lk), or with an axis for windows before it.

    Args:
        shape: The shape of the softmax. Attention heads or windows may be folded into its first axis, after the images:
            the maps of an image are taken to follow each other.
        heads: How many attention heads are folded into it, where that is known.
        images: The number of images.

    Returns:
        None if the first axis is no multiple of the number of images.
    """
    if heads is not None:
        shape = (shape[0] // heads, heads, *shape[1:])
    if shape[0] % images:
        return None
    per_image = shape[0] // images
    return shape[1:] if per_image == 1 and len(shape) > 3 else (per_image, *shape[1:])


def _following(mark: _Mark, tensor: NativeTensor, result: NativeTensor) -> _Mark | None:
    """Return the mark of what a function made of a marked tensor; None for other values.

    Functions of single values, and those that mix attention heads, keep the number of values.
    """
    if result.numel() != tensor.numel() or not result.is_floating_point():
        return None
    if isinstance(mark, _Scores) or result is tensor:
        return mark
    queries = _moved_axis(tensor, mark.queries, result)
    if isinstance(mark, _Result):
        return None if queries is None else replace(mark, queries=queries)
    keys = _moved_axis(tensor, mark.keys, result)
    return None if keys is None else replace(mark, keys=keys, queries=result.ndim - 2 if queries is None else queries)


def _joins(axis: int, tensor: NativeTensor, result: NativeTensor) -> bool:
    """Whether a reshape makes an axis part of the channels, the last axis of its result.

    So it does with the queries of attention between channels, as in XCiT: attention heads and channels are
    joined to channels.
    """
    if result.numel() != tensor.numel():
        return False
    size = 1
    for each in reversed(range(tensor.ndim)):
        if size >= result.shape[-1]:
            return False
        size *= tensor.shape[each]
        if each == axis:
            return True
    return False


def _moved_axis(tensor: NativeTensor, axis: int, result: NativeTensor) -> int | None:
    """Return which axis of a result an axis of a tensor is, in a view the one with its stride; None for no axis."""
    if _storage(result) == _storage(tensor):
        same = [
            each
            for each in range(result.ndim)
            if result.shape[each] == tensor.shape[axis] and result.stride(each) == tensor.stride(axis)
        ]
        return same[-1] if same else None
    if result.shape == tensor.shape:
        return axis
    return result.ndim - 1 if axis == tensor.ndim - 1 and result.shape[-1] == tensor.shape[-1] else None


def _tensors(values: Iterable[Any]) -> Iterator[NativeTensor]:
    """Yield the tensors among values, also in lists, tuples and dicts."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
        elif isinstance(value, dict):
            yield from _tensors(value.values())


def _storage(tensor: NativeTensor) -> int:
    is_strided = tensor.layout == torch.strided and tensor.numel() and has_memory(tensor)
    return tensor.untyped_storage().data_ptr() if is_strided else id(tensor)
