"""Which axes of an operation's result come from which axes of its operands.

Every axis gets a label. An axis of an operand and one of the result with the same label hold the same positions; a
label that only an operand has was summed over, or broadcast.
"""

from collections.abc import Hashable, Sequence
from itertools import count
from math import prod
from typing import NamedTuple

Labels = tuple[Hashable, ...]
"""The label of each axis of a tensor."""

Shape = tuple[int | None, ...]

PRIME = 2**31 - 1
"""A prime that stands for an unknown size. No other size is a multiple of it."""


class OperationAxes(NamedTuple):
    """The labels of an operation.

    Attributes:
        operands: The labels of each operand; those of an operand that holds no values, such as a shape, are empty.
        result: The labels of the result.
        is_product: Whether this is a product of two tensors, summed over the labels that the result lacks.
    """

    operands: tuple[Labels, ...]
    result: Labels
    is_product: bool = False


def elementwise_axes(operands: Sequence[Shape], result: Shape) -> OperationAxes | None:
    """Return the labels of an operation whose operands are aligned at their last axes, as broadcasting aligns them.

    None where an operand has more axes than the result. Axes that are padded or cut keep their label.
    """
    if any(len(shape) > len(result) for shape in operands):
        return None
    labels = []
    for shape in operands:
        offset = len(result) - len(shape)
        is_repeated = [size == 1 and result[offset + axis] != 1 for axis, size in enumerate(shape)]
        labels.append(tuple(("one", axis) if repeated else offset + axis for axis, repeated in enumerate(is_repeated)))
    return OperationAxes(tuple(labels), tuple(range(len(result))))


def moved_axes(permutation: Sequence[int]) -> OperationAxes:
    """Return the labels of a transposition."""
    axes = tuple(int(axis) for axis in permutation)
    return OperationAxes((tuple(range(len(axes))),), axes)


def reduced_axes(rank: int, axes: Sequence[int], *, keeps: bool) -> OperationAxes:
    """Return the labels of a sum, mean or maximum over some axes, which the result keeps with size 1 or lacks."""
    reduced = {int(axis) % rank for axis in axes}
    result = [("one", axis) if axis in reduced else axis for axis in range(rank) if keeps or axis not in reduced]
    return OperationAxes((tuple(range(rank)),), tuple(result))


def reshaped_axes(operand: Shape, result: Shape) -> OperationAxes | None:
    """Return the labels of a reshape: axes that are split or merged share one label.

    None where several unknown sizes hide which axes they are.
    """
    sizes = _sizes(operand, result)
    if sizes is None:
        return None
    before, after = (list(enumerate(side)) for side in sizes)
    labels: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for block in count():
        if not before and not after:
            break
        taken = _last_block(before, after)
        if taken is None:
            return None
        for side, axes, number in zip(labels, (before, after), taken, strict=True):
            for axis, _ in axes[len(axes) - number :]:
                side[axis] = block
            del axes[len(axes) - number :]
    first, second = labels
    return OperationAxes(
        (tuple(first[axis] for axis in range(len(operand))),), tuple(second[axis] for axis in range(len(result)))
    )


def _sizes(operand: Shape, result: Shape) -> tuple[list[int], list[int]] | None:
    """Return two shapes of equally many values with a number for the unknown size of each; None where it is not known.

    That number is a multiple of a prime, so that no other sizes can be read as it.
    """
    known = [[size for size in shape if size is not None] for shape in (operand, result)]
    unknown = [len(shape) - len(sizes) for shape, sizes in zip((operand, result), known, strict=True)]
    first, second = map(prod, known)
    if unknown == [0, 0]:
        return known[0], known[1]
    if unknown != [1, 1] or not first or not second or (first % second and second % first):
        return None
    stands_for = [PRIME * max(1, second // first), PRIME * max(1, first // second)]
    filled = [
        [number if size is None else size for size in shape]
        for shape, number in zip((operand, result), stands_for, strict=True)
    ]
    return filled[0], filled[1]


def _last_block(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> tuple[int, int] | None:
    """Return how many of the last axes of two shapes hold equally many values, as few as possible."""
    if not before or not after:  # axes of size 1 are left on one side
        return (len(before), len(after)) if all(size == 1 for _, size in before + after) else None
    sides, counts = (before, after), [1, 1]
    while True:
        sizes = [
            prod(size for _, size in side[len(side) - number :]) for side, number in zip(sides, counts, strict=True)
        ]
        if sizes[0] == sizes[1]:
            return counts[0], counts[1]
        smaller = sizes.index(min(sizes))
        if counts[smaller] == len(sides[smaller]):
            return None
        counts[smaller] += 1
