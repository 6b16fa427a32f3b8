"""The stem: a model's first convolutions, and what happens to the image before they receive it.

A model may crop, pad, resize or mirror its input itself. Its heatmaps then show that part of the input and not all of
it. Each framework follows the input through every operation until one combines the values of several positions: a
convolution, pooling or a matrix product.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from seewhy.types import FloatArray, NativeTensor

MOVING = re.compile(
    "slice|getitem|setitem|copy_|narrow|select|index|gather|take|pad|resize|interpolate|upsample|translate|crop|flip|rev|"
    "roll|rotate|rot90|transpose|permute|swap|moveaxis|movedim|sample|transform|warp|unfold|patch|scatter|call|pyfunc|"
    "while|scan|cond|if$|dot_general|space|depth|shuffle|split|chunk|unbind|concat|cat$",
    re.IGNORECASE,
)
"""The names of operations that may move values to other positions. Any other that keeps the size keeps positions."""


class StemInput(NamedTuple):
    """A tensor that a convolution of the stem receives.

    Attributes:
        tensor: The tensor, or the framework's variable for it.
        shape: Its shape, of four axes; None for a size that is unknown.
        axes: The axes of its rows and columns.
        window: How many rows and columns the convolution reads for one output.
        operations: The names of the moving operations between the model's input and the tensor.
    """

    tensor: NativeTensor
    shape: tuple[int | None, ...]
    axes: tuple[int, int]
    window: tuple[int, int]
    operations: frozenset[str]

    def is_moved(self, size: Sequence[int]) -> bool:
        """Whether rows and columns of the tensor may not be those of the input, of this size (h, w).

        Padding that the convolution uses up, as before a strided convolution, belongs to the convolution.
        """
        sizes = [self.shape[axis] for axis in self.axes]
        if 1 in sizes:
            return False  # a sequence: TensorFlow convolves it as an image of one row
        growth = [cells - pixels for cells, pixels in zip(sizes, size, strict=True) if cells is not None]
        if len(growth) < len(sizes):
            return True
        if not self.operations:
            return any(growth)
        is_padding = all("pad" in name.lower() for name in self.operations)
        return not (is_padding and all(0 <= more < reach for more, reach in zip(growth, self.window, strict=True)))


class StemValues(NamedTuple):
    """The values that a convolution of the stem receives.

    Attributes:
        values: float32 (N, h, w, C).
        window: As for `StemInput`.
    """

    values: FloatArray
    window: tuple[int, int]


def moving_operation(name: str) -> frozenset[str]:
    """Return the name in a set if the operation may move values to other positions, else an empty set."""
    return frozenset((name,)) if MOVING.search(name) else frozenset()


def has_positions(shape: Sequence[int | None]) -> bool:
    """Whether a tensor has more than one axis of positions or channels: not so after a mean over an image."""
    return len(shape) > 2 and sum(size != 1 for size in shape[1:]) > 1
