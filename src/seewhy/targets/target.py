"""What a target is: a function of the outputs, and what of it changes from image to image and from call to call."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError
from seewhy.types import IndexArray, Namespace, Tensor

ClassFinder = Callable[[int | str], int]
"""Turns an index, a class name or a wnid into an index, or raises TargetError."""

ClassNamer = Callable[[int], str]
"""Returns the name of a class."""

Shape = tuple[int | None, ...]
"""The shape of the output that is asked, (N, C) or another; None for sizes that are not known before it is run."""

Transform = Callable[[NDArray[Any]], NDArray[Any]]
"""Moves images (N, h, w, C) as the input was moved, for another view of it."""


TOP_K = r"top-(\d+)"
"""How "the best so many classes" is spelt."""


class TargetScores(NamedTuple):
    """What a target says of the outputs.

    Attributes:
        scores: (N, T).
        indices: (N, T), the class each belongs to; negative for what is no class. `Combined` gives each of its parts
            that does not say how many targets it is a number of its own, so that they can be told apart.
    """

    scores: Tensor
    indices: Tensor


class Target(ABC):
    """A question about the outputs."""

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """What a compiled step depends on: two targets with equal keys differ only in their `arrays`."""

    @property
    def width(self) -> int | None:
        """T: how many targets this is; None where only the outputs will tell."""
        return 1

    @property
    def reads_one_output(self) -> bool:
        """Whether the target asks one output of the model, which has to be named where there are several."""
        return True

    @property
    def reads_all_outputs(self) -> bool:
        """Whether the target asks all that the model returned."""
        return False

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        """Return the arrays that are handed over at run time, for a batch of `count` images."""
        return ()

    @property
    def array_count(self) -> int:
        """How many arrays that is."""
        return 0

    def rows(self, start: int, stop: int) -> "Target":
        """Return the target of some of the images: itself, unless it asks each image something else."""
        return self

    def resolved(self, find: ClassFinder) -> "Target":
        """Return the target with every class as an index."""
        return self

    def with_classes(self, indices: IndexArray) -> "Target":
        """Return the target that asks for the classes that were found, (N, T), whatever the outputs come to be."""
        return self

    def transformed(self, transform: Transform) -> "Target":
        """Return the target for another view of the images, if it asks about places in them."""
        return self

    def for_image(self, image: int) -> "Target":
        """Return what one image is asked, as a question that any number of perturbations of it can be asked."""
        return self.rows(image, image + 1)

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        """Return what each target of one image, (T,), is called; "" for what has no name."""
        return tuple("" for _ in indices)

    def check_images(self, count: int) -> None:
        """Raise TargetError if the target does not fit a batch of `count` images."""

    @abstractmethod
    def check_outputs(self, shape: Shape | None) -> None:
        """Raise TargetError if an output of this shape cannot be asked; None where no one output is read."""

    @abstractmethod
    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, whole: Any = None) -> TargetScores:
        """Score the output that is asked, (N, ...), with the functions of `xp`.

        Args:
            outputs: The logits, or the probabilities.
            arrays: What `arrays` returned, as tensors.
            xp: The functions of the framework's tensors.
            whole: All that the model returned, as it returned it.
        """


def no_class_indices(scores: Tensor, xp: Namespace) -> Tensor:
    """Return -1 for every score, (N, T)."""
    # Of argsort only its integer type is wanted: dtypes are spelt differently in every namespace.
    return xp.zeros_like(xp.argsort(scores, axis=-1)) - 1


def repeat_for_images(values: Sequence[int], count: int) -> IndexArray:
    """Return the values as a row for each of `count` images, (N, len(values))."""
    return np.tile(np.array(values, dtype=np.int32), (count, 1))


def shape_text(shape: Shape) -> str:
    """Return a batch's shape as messages write it."""
    return "(" + ", ".join(["N", *("any" if size is None else str(size) for size in shape[1:])]) + ")"


def class_count(shape: Shape | None) -> int:
    """Return how many classes an output has, or raise TargetError."""
    if shape is None or len(shape) != 2 or shape[1] is None:
        raise TargetError(
            "The model's outputs are not one score for each class, (N, classes), so no class can be asked for. "
            "Give a function of the outputs that returns (N,) or (N, T) scores."
        )
    return shape[1]


def check_class(index: int | str, classes: int) -> None:
    """Raise TargetError if a model of so many classes does not have this one."""
    if not 0 <= int(index) < classes:
        raise TargetError(f"There is no class {index}: the model has classes 0 to {classes - 1}.")


def is_index(value: Any) -> bool:
    """Whether a value is a whole number, such as counts classes."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def plain(value: Any) -> int | str:
    """Return a class as Python writes it, an index or a name, or raise TargetError."""
    if is_index(value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(TOP_K, value.strip()):
        raise TargetError(f"{value!r} is no class, and cannot be in a Class: give it beside, as in [0, {value!r}].")
    if isinstance(value, str):
        return value
    raise TargetError(f"A class is an index, a name or a wnid; given {value!r}.")


def find_index(name: int | str, find: ClassFinder) -> int:
    """Find a class, and refuse an index that no framework can hold."""
    index = find(name)
    if abs(index) > np.iinfo(np.int32).max:
        raise TargetError(f"There is no class {index}: no model has so many.")
    return index
