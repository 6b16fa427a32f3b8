"""What the data flow of a graph tells: the tensors that everything passes, and which values come from which."""

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple


class Operation(NamedTuple):
    """One operation of a graph.

    Attributes:
        inputs: What stands for the tensors whose values it reads.
        outputs: What stands for the tensors that it returns.
    """

    inputs: Sequence[Hashable]
    outputs: Sequence[Hashable]


def carriers(
    operations: Sequence[Operation], sources: Iterable[Hashable], results: Iterable[Hashable]
) -> frozenset[Hashable]:
    """Return the tensors that no path from the sources to the results bypasses.

    After each operation the tensors are counted that depend on the sources and are still to be read for the results. If
    there is only one, all paths lead through it.

    Args:
        operations: In an order in which they can run.
        sources: The model's inputs.
        results: The outputs that the scores are computed from.
    """
    results = set(results)
    relevant = _dependents(operations, sources) & _needed(operations, results)
    operations = [operation for operation in operations if not relevant.isdisjoint(operation.outputs)]
    last_reads = {tensor: position for position, read in enumerate(operations) for tensor in read.inputs}
    last_reads |= dict.fromkeys(results, len(operations))
    found: set[Hashable] = set()
    pending = {tensor for tensor in sources if tensor in relevant}
    if len(pending) == 1:
        found |= pending
    for position, operation in enumerate(operations):
        pending = {tensor for tensor in pending if last_reads[tensor] > position}
        pending |= {tensor for tensor in operation.outputs if tensor in relevant}
        if len(pending) == 1:
            found |= pending
    return frozenset(found)


def links(operations: Sequence[Operation], results: Sequence[Hashable], reads: Sequence[Hashable]) -> tuple[bool, ...]:
    """Return for each of some values, but the first, whether it is computed from the result before it.

    Args:
        operations: In an order in which they can run.
        results: What steps of the model compute, one for each step.
        reads: A value that each step reads.
    """
    steps = {result: 1 << step for step, result in enumerate(results)}
    sources: dict[Hashable, int] = {}  # the results that a tensor is computed from, a bit for each
    for operation in operations:
        read = 0
        for tensor in operation.inputs:
            read |= sources.get(tensor, 0) | steps.get(tensor, 0)
        sources.update((tensor, read) for tensor in operation.outputs)
    found = [sources.get(value, 0) | steps.get(value, 0) for value in reads]
    return tuple(bool(each >> step & 1) for step, each in enumerate(found[1:]))


def origins(operations: Sequence[Operation], sources: Sequence[Hashable]) -> dict[Hashable, frozenset[int]]:
    """Return for each tensor that depends on any of the sources the positions of those that it is computed from.

    Args:
        operations: In an order in which they can run.
        sources: The model's inputs.
    """
    found = {source: 1 << position for position, source in enumerate(sources)}
    for operation in operations:
        read = 0
        for tensor in operation.inputs:
            read |= found.get(tensor, 0)
        if read:
            found.update((tensor, read) for tensor in operation.outputs)
    return {
        tensor: frozenset(position for position in range(len(sources)) if bits >> position & 1)
        for tensor, bits in found.items()
    }


def _dependents(operations: Sequence[Operation], sources: Iterable[Hashable]) -> set[Hashable]:
    found = set(sources)
    for operation in operations:
        if not found.isdisjoint(operation.inputs):
            found.update(operation.outputs)
    return found


def _needed(operations: Sequence[Operation], results: Iterable[Hashable]) -> set[Hashable]:
    found = set(results)
    for operation in reversed(operations):
        if not found.isdisjoint(operation.outputs):
            found.update(operation.inputs)
    return found
