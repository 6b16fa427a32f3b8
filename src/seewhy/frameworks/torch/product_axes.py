"""The axes of products of two tensors in PyTorch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from seewhy.types import NativeTensor


class OperandAxes(NamedTuple):
    """What a product does with the axes of one of its two operands.

    Attributes:
        summed: The axes that it sums over.
        own: The axes that the result has, and the other operand has not.
        kept: The axis of the result, by the axis of the operand.
    """

    summed: set[int]
    own: set[int]
    kept: dict[int, int]


def product_axes(operands: Sequence[NativeTensor], result: NativeTensor) -> list[OperandAxes] | None:
    """Return the axes of both operands of a product of matrices; None unless there are two, of two axes or more."""
    if len(operands) != 2 or any(operand.ndim < 2 for operand in operands):
        return None
    axes = []
    for operand, summed, own in zip(operands, (-1, -2), (-2, -1), strict=True):
        kept = {axis: axis + result.ndim - operand.ndim for axis in range(operand.ndim)}
        del kept[operand.ndim + summed]
        axes.append(OperandAxes({operand.ndim + summed}, {operand.ndim + own}, kept))
    return axes


def einsum_axes(equation: Any, operands: Sequence[NativeTensor], result: NativeTensor) -> list[OperandAxes] | None:
    """Return the axes of both operands of an `einsum`; None unless it has an equation and two operands."""
    if not isinstance(equation, str) or len(operands) != 2:
        return None
    sides, arrow, output = equation.replace(" ", "").partition("->")
    if not arrow:  # the axes that one operand has, in alphabetical order
        dots = "..." if "..." in sides else ""
        output = dots + "".join(sorted(letter for letter in sides if letter.isalpha() and sides.count(letter) == 1))
    first, second, output = map(_letters, (*sides.split(","), output), (*operands, result))
    axes = []
    for term, other in ((first, second), (second, first)):
        letters = [(axis, letter) for axis, letter in enumerate(term) if letter != "."]
        summed = {axis for axis, letter in letters if letter not in output}
        kept = {axis: output.index(letter) for axis, letter in letters if letter in output}
        axes.append(OperandAxes(summed, {axis for axis in kept if term[axis] not in other}, kept))
    return axes


def _letters(term: str, tensor: NativeTensor) -> str:
    """Return a letter for each axis of a tensor, and dots for those that an ellipsis stands for."""
    return term.replace("...", "." * (tensor.ndim - len(term.replace("...", ""))))
