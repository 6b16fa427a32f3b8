"""A traced TensorFlow graph in two: what makes a layer's output, and what follows it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from seewhy.types import Tensor


class Split(NamedTuple):
    """A graph in two functions: `trunk(*batch)` gives what passes by the tap, `head(tapped, *passing)` the fetches.

    Attributes:
        trunk: Makes what the head needs of the image besides the tapped tensor: a skip connection.
        head: Makes the rest. It reads the weights itself.
    """

    trunk: Callable[..., list[Tensor]]
    head: Callable[..., list[Tensor]]
    passing: list[tf.TensorSpec]


def split(wrapped: Any, batch: Sequence[Tensor], tapped: Tensor, fetches: Sequence[Tensor]) -> Split:
    """Cut a function of `tf.compat.v1.wrap_function` at one of its tensors, for a head that gives `fetches`."""
    passing = list(_passing(batch, tapped, fetches))
    trunk, head = wrapped.prune(batch, passing), wrapped.prune([tapped, *passing], fetches)
    return Split(trunk, head, [tf.TensorSpec(each.shape, each.dtype) for each in passing])


def _passing(batch: Sequence[Tensor], tapped: Tensor, fetches: Sequence[Tensor]) -> Iterable[Tensor]:
    """Yield the tensors that depend on the batch and not on the tap, and that `fetches` need besides the tap."""
    of_batch, of_tap = _depending(batch), _depending([tapped])
    waiting, seen = list(fetches), {tapped.ref()}
    while waiting:
        tensor = waiting.pop()
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        if tensor.ref() in of_tap:
            waiting.extend(tensor.op.inputs)
        elif tensor.ref() in of_batch:
            yield tensor


def _depending(tensors: Sequence[Tensor]) -> set[Any]:
    """Return references to the tensors and to all that is made of them; a graph lists what makes a tensor before it."""
    found = {tensor.ref() for tensor in tensors}
    for operation in tensors[0].graph.get_operations():
        if any(each.ref() in found for each in operation.inputs):
            found.update(each.ref() for each in operation.outputs)
    return found
