"""The base class of targets, and what all targets share: class indices, shapes and checks."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import NotClassScoresError, TargetError, short_repr
from seewhy.representation import ShortRepr, call_repr
from seewhy.types import IndexArray, Namespace, Tensor

ClassFinder = Callable[[int | str], int]
"""Returns the index of a class, given as an index, a class name or a wnid, or raises TargetError."""

ClassNamer = Callable[[int], str]
"""Returns the name of a class."""

PromptTarget = Callable[[str], "Target"]
"""Returns the target of a prompt, given as a text: for a model whose classes are prompts the class, and for another the
text's embedding; or raises TargetError."""

Shape = tuple[int | None, ...]
"""The shape of the selected output, such as (N, C); None for sizes that are unknown before the model runs."""

ImageTransform = Callable[[NDArray[Any]], NDArray[Any]]
"""Transforms images (N, h, w, C) as an augmentation transforms the input."""

MAX_NAME_LENGTH = 1000

MAX_INDEX = 2**31 - 1
"""The largest class index: indices are 32-bit integers."""

TOP_K = r"top-(\d+)"
"""The spelling of the k classes with the highest outputs, such as "top-3"."""


class TargetScores(NamedTuple):
    """The scores of a target.

    Attributes:
        scores: (N, T).
        indices: (N, T), the class index of each score; negative for a score that is not a class's. `Combined` gives
            each of its parts whose `target_count` is unknown a different negative number, to tell them apart.
    """

    scores: Tensor
    indices: Tensor

    def __repr__(self) -> str:
        return call_repr("TargetScores", self._asdict())


class Target(ShortRepr, ABC):
    """What is explained: a function of the model's outputs that gives T scores for each image."""

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """The key of the target's compiled function: targets with equal keys differ only in their `arrays`."""

    @property
    def target_count(self) -> int | None:
        """The number of targets T; None if it is known only when the model runs."""
        return 1

    @property
    def is_classes(self) -> bool:
        """Whether every score is that of a class."""
        return False

    @property
    def reads_classes(self) -> bool:
        """Whether the target reads scores of classes, which a model that gives an embedding does not have."""
        return self.is_classes

    @property
    def reads_one_output(self) -> bool:
        """Whether the target reads one output of the model, which must be named if there are several."""
        return True

    @property
    def reads_all_outputs(self) -> bool:
        """Whether the target reads everything that the model returns."""
        return False

    @property
    def reads_detections(self) -> bool:
        """Whether the target reads what a detector found, in the form that `frameworks.detections` gives it."""
        return False

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        """Return the arrays that the compiled function takes as arguments, for a batch of `count` images."""
        return ()

    @property
    def array_count(self) -> int:
        """The number of `arrays`."""
        return 0

    def slice_images(self, start: int, stop: int) -> "Target":
        """Return the target for images start..stop of the batch; the same target unless each image has its own."""
        return self

    def for_image(self, image: int) -> "Target":
        """Return the target of one image as a target for any number of perturbations of that image."""
        return self.slice_images(image, image + 1)

    def resolve(self, find_class: ClassFinder) -> "Target":
        """Return the target with every class as an index."""
        return self

    def with_prompts(self, prompt_target: PromptTarget) -> "Target":
        """Return the target with every prompt as what the model makes of it."""
        return self

    def with_classes(self, indices: IndexArray) -> "Target":
        """Return the target for fixed classes (N, T), so that "top-k" no longer depends on the outputs."""
        return self

    def transform(self, transform: ImageTransform) -> "Target":
        """Return the target for transformed images: regions are transformed as the images are."""
        return self

    def for_one_unit(self) -> "Target":
        """Return the target that reads the two classes which a single sigmoid unit stands for."""
        return self

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        """Return the name of each target of one image, whose class indices are (T,); "" for a target without a name."""
        return tuple("" for _ in indices)

    def check_images(self, count: int) -> None:
        """Raise TargetError if the target does not fit a batch of `count` images."""

    @abstractmethod
    def check_outputs(self, shape: Shape | None) -> None:
        """Raise TargetError if the target cannot read an output of this shape; None if no one output is selected."""

    @abstractmethod
    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        """Compute the scores.

        Args:
            outputs: The selected output (N, ...): logits, or probabilities.
            arrays: The result of `arrays`, as tensors.
            xp: The array namespace of the tensors.
            all_outputs: Everything that the model returned, in its own structure.

        Returns:
            The scores (N, T) and their class indices.
        """


def no_class_indices(scores: Tensor, xp: Namespace) -> Tensor:
    """Return the class index -1, "not a class", for every score (N, T)."""
    # argsort is used only for its integer dtype: namespaces spell dtypes differently.
    return xp.zeros_like(xp.argsort(scores, axis=-1)) - 1


def repeat_for_images(values: Sequence[int], count: int) -> IndexArray:
    """Return the values as a row for each of `count` images, (N, len(values))."""
    return np.tile(np.array(values, dtype=np.int32), (count, 1))


def shape_text(shape: Shape) -> str:
    """Return the shape of a batch as error messages show it, such as "(N, 10)"."""
    return "(" + ", ".join(["N", *("any" if size is None else str(size) for size in shape[1:])]) + ")"


def check_image_count(given: int, images: int) -> None:
    """Raise TargetError unless targets are given for every image."""
    if given != images:
        raise TargetError(
            f"Targets were given for {given} images, but there are {images}. Give one list of targets for each image, "
            "or a single flat list for all images."
        )


def target_count_error(counts: Sequence[int]) -> TargetError:
    """Return the error for images with different numbers of targets, or without targets."""
    return TargetError(f"Every image needs the same number of targets, at least one; given {sorted(counts) or 'none'}.")


def class_count(shape: Shape | None) -> int:
    """Return the number of classes of an output, or raise TargetError if it is not one score for each class."""
    if shape is not None and len(shape) == 2 and shape[1] is None:
        raise TargetError(
            "The number of classes is not known before the model runs, so a class cannot be the target. Let the model "
            "state it: where its last step is a reshape to (N, -1), give the number instead of -1."
        )
    if shape is None or len(shape) != 2 or shape[1] is None:
        raise NotClassScoresError(
            "A class cannot be the target: the model's outputs are not one score for each class, (N, classes). "
            "Give a function of the outputs that returns (N,) or (N, T) scores."
        )
    return shape[1]


def check_class_index(index: int | str, classes: int) -> None:
    """Raise TargetError if a model with this number of classes does not have the class."""
    if not 0 <= int(index) < classes:
        known = "predicts one value, output 0" if classes == 1 else f"has classes 0 to {classes - 1}"
        raise TargetError(f"There is no class {index}: the model {known}.")


def is_index(value: Any) -> bool:
    """Return whether a value is an integer, as class indices are."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def are_indices(classes: Sequence[Any]) -> TypeGuard[Sequence[int]]:
    """Whether classes are integers of Python that fit into an int32, told of a thousand much sooner than of each."""
    return set(map(type, classes)) == {int} and min(classes) >= -MAX_INDEX and max(classes) <= MAX_INDEX


def parse_class(value: Any) -> int | str:
    """Return a class as a Python int or str, or raise TargetError if the value cannot be a class."""
    if is_index(value):
        _check_index_fits(value)
        return int(value)
    if isinstance(value, str) and len(value) > MAX_NAME_LENGTH:
        raise TargetError(
            f"A class name has {len(value):,} characters: {short_repr(value)}; the limit is {MAX_NAME_LENGTH:,}."
        )
    if isinstance(value, str) and re.fullmatch(TOP_K, value.strip()):
        raise TargetError(
            f"{value!r} is not a class and cannot be part of a Class. Give it as a target of its own, as in "
            f"[0, {value!r}]."
        )
    if isinstance(value, str):
        return value
    raise TargetError(f"A class is an index, a name or a wnid; given {short_repr(value)}.")


def find_class_index(name: int | str, find_class: ClassFinder) -> int:
    """Return the index of a class, or raise TargetError if it does not fit into an int32."""
    index = find_class(name)
    _check_index_fits(index)
    return index


def _check_index_fits(index: int) -> None:
    if abs(index) > MAX_INDEX:
        raise TargetError(f"There is no class {short_repr(index)}: class indices are 32-bit integers.")
