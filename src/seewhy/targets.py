"""What can be asked about a network's outputs.

A target is a function of the outputs that gives a score for every image, (N, T). The classes here differ only in
how they choose among the outputs; every one of them can be written as a plain function, and a plain function is
accepted wherever a target is.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from seewhy.errors import TargetError
from seewhy.types import IndexArray, Namespace, Score, Tensor

ClassFinder = Callable[[int | str], int]
"""Turns an index, a class name or a wnid into an index, or raises TargetError."""


TOP = r"top-(\d+)"
"""How "the best so many classes" is spelt."""


class Answer(NamedTuple):
    """What a target says of the outputs: `scores` (N, T), and the class `indices` (N, T) they belong to, or -1."""

    scores: Tensor
    indices: Tensor


class Target(ABC):
    """A question about the outputs."""

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """What a compiled step depends on: two targets with equal keys differ only in their `arrays`."""

    def arrays(self, count: int) -> tuple[IndexArray, ...]:
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

    def settled(self, indices: IndexArray) -> "Target":
        """Return the target that asks for the classes that were found, (N, T), whatever the outputs come to be."""
        return self

    def of_image(self, image: int) -> "Target":
        """Return what one image is asked, as a question that any number of variations of it can be asked."""
        return self.rows(image, image + 1)

    def check_images(self, count: int) -> None:
        """Raise TargetError if the target does not fit a batch of `count` images."""

    @abstractmethod
    def check_classes(self, classes: int | None) -> None:
        """Raise TargetError if a network of so many classes cannot be asked; None: its outputs are not (N, C)."""

    @abstractmethod
    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace) -> Answer:
        """Score the outputs (N, C) with the functions of `xp`."""


@dataclass(frozen=True)
class Top(Target):
    """The `k` classes with the highest outputs, best first, of each image on its own."""

    k: int = 1

    def __post_init__(self) -> None:
        if not _is_index(self.k):
            raise TargetError(f"Top takes a number of classes, such as Top(3); given {self.k!r}.")
        if self.k < 1:
            raise TargetError(f"'top-{self.k}' asks for no class. Ask for 'top-1' or more.")

    @property
    def key(self) -> Hashable:
        return (Top, self.k)

    def check_classes(self, classes: int | None) -> None:
        if _class_count(classes) < self.k:
            raise TargetError(f"'top-{self.k}' asks for more than the network's {classes} classes.")

    def settled(self, indices: IndexArray) -> "Class":
        return Class(tuple(tuple(int(index) for index in each) for each in indices))

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace) -> Answer:
        indices = xp.argsort(-outputs, axis=-1)[:, : self.k]
        return Answer(xp.take_along_axis(outputs, indices, axis=-1), indices)


@dataclass(frozen=True)
class Class(Target):
    """Given classes.

    Attributes:
        classes: Indices, class names or wnids: the same T for every image; or one tuple of T for each image.
    """

    classes: tuple[int | str, ...] | tuple[tuple[int | str, ...], ...]

    def __post_init__(self) -> None:
        if not isinstance(self.classes, (list, tuple)):
            raise TargetError(
                f"Class takes a tuple of classes; given {self.classes!r}. Give Class(({self.classes!r},))."
            )
        if self.is_per_image and not all(isinstance(each, (list, tuple)) for each in self.classes):
            raise TargetError(f"Class takes classes for all images, or a tuple for each; given {self.classes!r}.")
        for each in self._each_image:
            for name in each:
                _plain(name)
        lengths = {len(each) for each in self._each_image}
        if len(lengths) != 1 or 0 in lengths:
            raise TargetError(
                f"Every image needs the same number of targets, at least one; given {sorted(lengths) or 'none'}."
            )

    @property
    def _each_image(self) -> tuple[tuple[int | str, ...], ...]:
        """The classes of each image; of one image, standing for all, where all are asked the same."""
        return tuple(self.classes if self.is_per_image else (self.classes,))  # type: ignore[arg-type]

    @property
    def is_per_image(self) -> bool:
        """Whether each image is asked something else."""
        return bool(self.classes) and isinstance(self.classes[0], (list, tuple))

    @property
    def key(self) -> Hashable:
        return Class

    def arrays(self, count: int) -> tuple[IndexArray, ...]:
        indices = np.array(self._each_image, dtype=np.int32)
        return (np.ascontiguousarray(np.broadcast_to(indices, (count, indices.shape[1]))),)

    @property
    def array_count(self) -> int:
        return 1

    def rows(self, start: int, stop: int) -> "Class":
        return Class(self._each_image[start:stop]) if self.is_per_image else self

    def of_image(self, image: int) -> "Class":
        return Class(self._each_image[image if self.is_per_image else 0])

    def resolved(self, find: ClassFinder) -> "Class":
        indices = tuple(tuple(_int32(find(name)) for name in each) for each in self._each_image)
        return Class(indices if self.is_per_image else indices[0])

    def check_images(self, count: int) -> None:
        if self.is_per_image and len(self.classes) != count:
            raise TargetError(
                f"Targets were given for {len(self.classes)} images, and there are {count}. Give one list of targets "
                "for each image, or a single flat list for all."
            )

    def check_classes(self, classes: int | None) -> None:
        last = _class_count(classes) - 1
        for index in (int(index) for each in self._each_image for index in each):
            if not 0 <= index <= last:
                raise TargetError(f"There is no class {index}: the network has classes 0 to {last}.")

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace) -> Answer:
        (indices,) = arrays
        return Answer(xp.take_along_axis(outputs, indices, axis=-1), indices)


@dataclass(frozen=True)
class Function(Target):
    """A function of your own.

    Attributes:
        function: The outputs, a tensor of the network's framework, to scores (N,) or (N, T).
    """

    function: Callable[[Tensor], Tensor]

    @property
    def key(self) -> Hashable:
        try:
            hash(self.function)
        except TypeError:
            return (Function, _Itself(self.function))
        return (Function, self.function)

    def check_classes(self, classes: int | None) -> None:
        """Accept any outputs: the function knows what it reads."""

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace) -> Answer:
        scores = self.function(outputs)
        rank = len(getattr(scores, "shape", ()))
        if rank not in (1, 2) or 0 in scores.shape:
            raise TargetError(f"The target function gave {scores!r}; expected scores of shape (N,) or (N, T).")
        if rank == 1:
            scores = scores[:, None]
        # Of argsort only its integer type is wanted: dtypes are spelt differently in every namespace.
        return Answer(scores, xp.zeros_like(xp.argsort(scores, axis=-1)) - 1)


class _Itself:
    """Stands for something that has no hash, such as an instance of a dataclass; it keeps it alive."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other._thing is self._thing

    def __hash__(self) -> int:
        return id(self._thing)


@dataclass(frozen=True)
class Several(Target):
    """Targets of different kinds, one after another."""

    parts: tuple[Target, ...]

    @property
    def key(self) -> Hashable:
        return (Several, tuple(part.key for part in self.parts))

    def arrays(self, count: int) -> tuple[IndexArray, ...]:
        return tuple(array for part in self.parts for array in part.arrays(count))

    @property
    def array_count(self) -> int:
        return sum(part.array_count for part in self.parts)

    def rows(self, start: int, stop: int) -> "Several":
        return Several(tuple(part.rows(start, stop) for part in self.parts))

    def of_image(self, image: int) -> "Several":
        return Several(tuple(part.of_image(image) for part in self.parts))

    def settled(self, indices: IndexArray) -> "Several":
        parts, start = [], 0
        for part in self.parts:
            if isinstance(part, Top):  # its classes stand where the next ones do: what is no class has -1
                while (indices[:, start] < 0).any():
                    start += 1
                part = part.settled(indices[:, start : start + part.k])
            if isinstance(part, Class):
                start += part.arrays(len(indices))[0].shape[1]
            parts.append(part)
        return Several(tuple(parts))

    def resolved(self, find: ClassFinder) -> "Several":
        return Several(tuple(part.resolved(find) for part in self.parts))

    def check_images(self, count: int) -> None:
        for part in self.parts:
            part.check_images(count)

    def check_classes(self, classes: int | None) -> None:
        for part in self.parts:
            part.check_classes(classes)

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace) -> Answer:
        left, answers = list(arrays), []
        for part in self.parts:
            answers.append(part(outputs, left[: part.array_count], xp))
            del left[: part.array_count]
        return Answer(
            xp.concatenate([answer.scores for answer in answers], axis=-1),
            xp.concatenate([answer.indices for answer in answers], axis=-1),
        )


@dataclass(frozen=True)
class Question:
    """A target, and what of the network it is asked of.

    Attributes:
        target: What is asked, with every class as an index.
        score: Whether the target is given logits or probabilities.
        output: Which of several outputs is asked: its position or its key.
    """

    target: Target
    score: Score = "logit"
    output: int | str | None = None

    @property
    def key(self) -> Hashable:
        """What a compiled step depends on."""
        return (self.target.key, self.score, self.output)

    def of_image(self, image: int) -> "Question":
        """Return what one image is asked, as a question that any number of variations of it can be asked."""
        return replace(self, target=self.target.of_image(image))


def resolve(spec: Any, find: ClassFinder) -> Target:
    """Turn whatever a caller may give as targets into a Target with every class as an index.

    Args:
        spec: "top-3"; an index, a class name or a wnid; a list of those, asked of every image; a list of such
            lists, one for each image; a Target; a function of the outputs.
        find: Finds a class by index, name or wnid.

    Raises:
        TargetError: `spec` is none of these, or names a class that is unknown or ambiguous.
    """
    return _parse(spec).resolved(find)


def _parse(spec: Any) -> Target:
    if isinstance(spec, Target):
        return spec
    if isinstance(spec, str) and (top := re.fullmatch(TOP, spec.strip())):
        return Top(int(top[1]))
    if isinstance(spec, str) or _is_index(spec):
        return Class((_plain(spec),))
    if callable(spec):
        return Function(spec)
    if isinstance(spec, (list, tuple, np.ndarray)) and len(spec):
        return _parse_list(list(spec))
    raise TargetError(
        f"Cannot ask for {spec!r}. A target is 'top-3', a class index or name, a list of those, a list of lists "
        "(one for each image), a seewhy.targets object, or a function of the outputs."
    )


def _parse_list(specs: list[Any]) -> Target:
    nested = [isinstance(spec, (list, tuple, np.ndarray)) for spec in specs]
    if all(nested):
        return Class(tuple(tuple(_plain(each) for each in spec) for spec in specs))
    if any(nested):
        raise TargetError("Targets are a list for all images, or a list of lists, one for each image; not both.")
    parts = tuple(_parse(spec) for spec in specs)
    if all(isinstance(part, Class) and not part.is_per_image for part in parts):
        return Class(tuple(name for part in parts if isinstance(part, Class) for name in part.classes))  # type: ignore[arg-type]
    return Several(parts) if len(parts) > 1 else parts[0]


def _is_index(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _plain(value: Any) -> int | str:
    if _is_index(value):
        return int(value)
    if isinstance(value, str):
        if re.fullmatch(TOP, value.strip()):
            raise TargetError(
                f"{value!r} is asked of every image alike: give it alone, outside of a list for one image."
            )
        return value
    raise TargetError(f"A class is an index, a name or a wnid; given {value!r}.")


def _int32(index: int) -> int:
    """Return the index if frameworks can hold it; a network of so many classes there is none."""
    if abs(index) > np.iinfo(np.int32).max:
        raise TargetError(f"There is no class {index}: no network has so many.")
    return index


def _class_count(classes: int | None) -> int:
    if classes is None:
        raise TargetError(
            "The network's outputs are not one score for each class, (N, classes), so no class can be asked for. "
            "Give a function of the outputs that returns (N,) or (N, T) scores."
        )
    return classes
