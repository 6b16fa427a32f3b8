"""Whether a module turns what depends on its input into values of Python, which a trace takes for constants."""

import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from seewhy.frameworks.exported_graph import export_error
from seewhy.frameworks.structures import InputBatch, leaves, map_tree
from seewhy.frameworks.torch.restore import preserve_state

READING: frozenset[Any] = frozenset(
    {
        torch.Tensor.__bool__,
        torch.Tensor.__float__,
        torch.Tensor.__int__,
        torch.Tensor.__index__,
        torch.Tensor.__contains__,
        torch.Tensor.__array__,
        torch.Tensor.item,
        torch.Tensor.tolist,
        torch.Tensor.numpy,
        torch.Tensor.equal,
        torch.Tensor.allclose,
        torch.Tensor.is_nonzero,
        torch.equal,
        torch.allclose,
        torch.is_nonzero,
    }
)
"""Functions of tensors that return values of Python, which depend on those of the tensor."""

MANY_IMAGES = 7
"""A number of images that hardly is the size of another axis."""

OTHER_COUNTS = (1, 2)
"""Numbers of images for which a module should compute the same of each as for many."""

ROUNDING = 1e-2
"""How far values may differ, relative to the largest: kernels for other numbers of images round differently."""

OWN = (str(Path(__file__)), str(Path(torch.__file__).parent))
"""Files whose lines are not those of a user's module."""


class ValueReads(TorchFunctionMode):
    """Records where Python reads a value that was computed of the input, or the number of images.

    Args:
        inputs: The input.

    Attributes:
        places: The file and line of each read of a value, with what is written there.
        counts: Those of each read of the number of images that a trace does not follow, as it does `x.shape[0]`.
    """

    def __init__(self, inputs: InputBatch) -> None:
        super().__init__()
        self.places: list[str] = []
        self.counts: list[str] = []
        self._images = len(leaves(inputs)[0])
        self._dependent: dict[int, weakref.ref[torch.Tensor]] = {}
        self._mark(leaves(inputs))

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        is_dependent = any(map(self._is_dependent, _tensors([*args, *kwargs.values()])))
        if is_dependent and func in READING:
            self.places.append(_place())
        if is_dependent and func is torch.Tensor.__len__ and args[0].shape[0] == self._images:
            self.counts.append(_place())
        result = func(*args, **kwargs)
        if is_dependent:
            self._mark(_tensors([result]))
        return result

    def _mark(self, tensors: Any) -> None:
        for tensor in tensors:
            self._dependent[id(tensor)] = weakref.ref(tensor)

    def _is_dependent(self, tensor: torch.Tensor) -> bool:
        marked = self._dependent.get(id(tensor))
        return marked is not None and marked() is tensor


def check_value_reads(module: torch.nn.Module, inputs: InputBatch, *, takes_any_batch: bool) -> None:
    """Raise ModelRunError for a module of which a trace does what the module did for one input or batch size.

    Args:
        module: The module.
        inputs: Its input.
        takes_any_batch: Whether what is traced takes any number of images.
    """
    given = _images(inputs, MANY_IMAGES) if takes_any_batch else inputs
    with preserve_state(module), torch.no_grad():
        with ValueReads(given) as reads:
            outputs = _call(module, given)
        others = [_call(module, _images(inputs, count)) for count in OTHER_COUNTS] if takes_any_batch else []
    if reads.places:
        raise export_error(
            f"Python reads a value that it computes, at {reads.places[0]}, and the exported model would do for every "
            "input what it does for one. Compute it with tensors, as by torch.where"
        )
    if reads.counts and takes_any_batch:
        raise export_error(
            f"Python counts the images, at {reads.counts[0]}, and the exported model would take as many only. Use "
            "x.shape[0] for their number, and operations on the whole batch"
        )
    if not all(_is_same_image(outputs, other) for other in others):
        raise export_error(
            "what it computes of an image depends on the number of images, and the exported model would do for every "
            "batch what it does for one. Compute the same for any number of them"
        )


def _call(module: torch.nn.Module, inputs: InputBatch) -> list[torch.Tensor]:
    """Call a module, and return the tensors that it returns."""
    named = inputs if isinstance(inputs, dict) else {}
    positional = inputs if isinstance(inputs, list) else [] if isinstance(inputs, dict) else [inputs]
    return list(_tensors([module(*positional, **named)]))


def _images(inputs: InputBatch, count: int) -> InputBatch:
    """Return so many images, repeated if there are fewer."""
    repeated: InputBatch = map_tree(lambda tensor: torch.cat([tensor] * count)[:count], inputs)
    return repeated


def _is_same_image(outputs: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> bool:
    """Whether outputs of batches of different sizes, which begin with the same image, begin with the same values."""
    if len(outputs) != len(others):
        return False
    firsts = [(one[:1].float(), other[:1].float()) for one, other in zip(outputs, others, strict=True)]
    return all(
        one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=ROUNDING * float(one.abs().max()))
        for one, other in firsts
        if one.numel()
    )


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
        elif isinstance(value, dict):
            yield from _tensors(value.values())


def _place() -> str:
    frames = traceback.extract_stack()
    frame = next((each for each in reversed(frames) if not each.filename.startswith(OWN)), frames[0])
    line = f" ({frame.line})" if frame.line else ""
    return f"{Path(frame.filename).name}, line {frame.lineno}{line}"
