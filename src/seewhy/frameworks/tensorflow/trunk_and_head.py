"""Splitting a traced TensorFlow graph at a layer's output into trunk and head."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from seewhy.frameworks.dataflow import Operation, carriers, origins
from seewhy.frameworks.tensorflow.operation_types import SHAPES, is_batched_product
from seewhy.types import NativeTensor

VALUE_FREE = SHAPES | {"ZerosLike", "OnesLike"}
"""Operations whose results depend on the shape of a tensor and not on its values."""

BY_POSITION = "IdentityN"
"""The operation that returns each of several tensors as it is."""


class GraphSplit(NamedTuple):
    """A graph as two functions.

    Attributes:
        trunk: `trunk(*batch)` returns the tensors that bypass the tap, such as a skip connection.
        head: `head(tapped, *bypass)` returns the fetches. It reads the weights itself.
        bypass: The specifications of the tensors that bypass the tap.
    """

    trunk: Callable[..., list[NativeTensor]]
    head: Callable[..., list[NativeTensor]]
    bypass: list[tf.TensorSpec]


def split(
    wrapped: Any, batch: Sequence[NativeTensor], tapped: NativeTensor, fetches: Sequence[NativeTensor]
) -> GraphSplit:
    """Split a function of `tf.compat.v1.wrap_function` at one of its tensors, with a head that returns `fetches`."""
    bypass = list(_bypass_tensors(batch, tapped, fetches))
    trunk, head = wrapped.prune(batch, bypass), wrapped.prune([tapped, *bypass], fetches)
    return GraphSplit(trunk, head, [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in bypass])


def carrying_tensors(batch: Sequence[NativeTensor], fetches: Sequence[NativeTensor]) -> frozenset[Any]:
    """Return references to the tensors that no path from the batch to `fetches` bypasses."""
    operations = [part for operation in fetches[0].graph.get_operations() for part in _operations(operation)]
    return carriers(operations, [tensor.ref() for tensor in batch], [tensor.ref() for tensor in fetches])


def origins_of_tensors(batch: Sequence[NativeTensor]) -> dict[Any, frozenset[int]]:
    """Return for references to the tensors that depend on the batch the positions of the inputs that they depend on."""
    operations = [part for operation in batch[0].graph.get_operations() for part in _operations(operation)]
    return origins(operations, [tensor.ref() for tensor in batch])


def is_bypassed(batch: Sequence[NativeTensor], tapped: NativeTensor, fetches: Sequence[NativeTensor]) -> bool:
    """Whether a path from the batch to `fetches` bypasses a tensor; also where they are in different graphs."""
    return tapped.ref() not in carrying_tensors(batch, fetches)


def _operations(operation: Any) -> list[Operation]:
    """Return what an operation does to values, in parts that do not depend on each other."""
    outputs = [tensor.ref() for tensor in operation.outputs]
    inputs = [] if operation.type in VALUE_FREE else [tensor.ref() for tensor in operation.inputs]
    if operation.type == BY_POSITION:
        return [Operation([read], [returned]) for read, returned in zip(inputs, outputs, strict=True)]
    return [Operation(inputs, outputs)]


def head_operations(tapped: NativeTensor) -> set[Any]:
    """Return the operations that depend on the values of the tapped tensor."""
    dependents: set[Any] = set()
    pending = list(tapped.consumers())
    while pending:
        operation = pending.pop()
        if operation not in dependents and operation.type not in SHAPES:
            dependents.add(operation)
            pending += [consumer for output in operation.outputs for consumer in output.consumers()]
    return dependents


def over_perturbations(
    fetches: Sequence[NativeTensor], head: Callable[[NativeTensor], list[NativeTensor]], perturbations: NativeTensor
) -> list[NativeTensor]:
    """Run a head that returns `fetches` for each of several perturbations of the tapped tensor.

    At once, but one by one where the graph multiplies a matrix for each image, as attention does.
    """
    operations = fetches[0].graph.get_operations()
    results: list[NativeTensor]
    if any(map(is_batched_product, operations)):
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in fetches]
        results = tf.map_fn(head, perturbations, fn_output_signature=specs)
    else:
        results = tf.vectorized_map(head, perturbations)
    return results


def _bypass_tensors(
    batch: Sequence[NativeTensor], tapped: NativeTensor, fetches: Sequence[NativeTensor]
) -> Iterable[NativeTensor]:
    """Yield the tensors that `fetches` need besides the tap, and that depend on the batch but not on the tap."""
    on_batch, on_tap = _dependent_tensors(batch), _dependent_tensors([tapped])
    pending, visited = list(fetches), {tapped.ref()}
    while pending:
        tensor = pending.pop()
        if tensor.ref() in visited:
            continue
        visited.add(tensor.ref())
        if tensor.ref() in on_tap:
            pending.extend(tensor.op.inputs)
        elif tensor.ref() in on_batch:
            yield tensor


def _dependent_tensors(tensors: Sequence[NativeTensor]) -> set[Any]:
    """Return references to the tensors and to all that depend on them. A graph lists producers before consumers."""
    references = {tensor.ref() for tensor in tensors}
    for operation in tensors[0].graph.get_operations():
        if any(tensor.ref() in references for tensor in operation.inputs):
            references.update(tensor.ref() for tensor in operation.outputs)
    return references
