"""Questions about classes."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError
from seewhy.targets.target import (
    ClassFinder,
    ClassNamer,
    Shape,
    Target,
    TargetScores,
    check_class,
    class_count,
    find_index,
    is_index,
    plain,
    repeat_for_images,
)
from seewhy.types import IndexArray, Namespace, Tensor


@final
@dataclass(frozen=True)
class TopK(Target):
    """The `k` classes with the highest outputs, best first, of each image on its own."""

    k: int = 1

    def __post_init__(self) -> None:
        if not is_index(self.k):
            raise TargetError(f"TopK takes a number of classes, such as TopK(3); given {self.k!r}.")
        if self.k < 1:
            raise TargetError(f"'top-{self.k}' asks for no class. Ask for 'top-1' or more.")

    @property
    def key(self) -> Hashable:
        return (TopK, self.k)

    @property
    def width(self) -> int:
        return self.k

    def with_classes(self, indices: IndexArray) -> "Class":
        return Class(tuple(tuple(int(index) for index in each) for each in indices))

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return tuple(class_name(int(index)) for index in indices)

    def check_outputs(self, shape: Shape | None) -> None:
        classes = class_count(shape)
        if classes < self.k:
            raise TargetError(f"'top-{self.k}' asks for more than the model's {classes} classes.")

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, whole: Any = None) -> TargetScores:
        indices = xp.argsort(-outputs, axis=-1)[:, : self.k]
        return TargetScores(xp.take_along_axis(outputs, indices, axis=-1), indices)


@final
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
                plain(name)
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

    @property
    def width(self) -> int:
        return len(self._each_image[0])

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        indices = np.array(self._each_image, dtype=np.int32)
        return (np.ascontiguousarray(np.broadcast_to(indices, (count, indices.shape[1]))),)

    @property
    def array_count(self) -> int:
        return 1

    def part(self, start: int, stop: int) -> "Class":
        """Return the target that asks for some of the classes, of each image."""
        parts = tuple(each[start:stop] for each in self._each_image)
        return Class(parts if self.is_per_image else parts[0])

    def rows(self, start: int, stop: int) -> "Class":
        return Class(self._each_image[start:stop]) if self.is_per_image else self

    def for_image(self, image: int) -> "Class":
        return Class(self._each_image[image if self.is_per_image else 0])

    def resolved(self, find: ClassFinder) -> "Class":
        indices = tuple(tuple(find_index(name, find) for name in each) for each in self._each_image)
        return Class(indices if self.is_per_image else indices[0])

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return tuple(class_name(int(index)) for index in indices)

    def check_images(self, count: int) -> None:
        if self.is_per_image:
            check_rows(len(self.classes), count)

    def check_outputs(self, shape: Shape | None) -> None:
        classes = class_count(shape)
        for each in self._each_image:
            for index in each:
                check_class(index, classes)

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, whole: Any = None) -> TargetScores:
        (indices,) = arrays
        return TargetScores(xp.take_along_axis(outputs, indices, axis=-1), indices)


@final
@dataclass(frozen=True)
class Difference(Target):
    """Why this class rather than that one: y^a - y^b.

    What speaks for both classes alike cancels out, and what is left is what tells them apart.

    Attributes:
        a: The class that is asked for: an index, a class name or a wnid.
        b: The class it is held against.
    """

    a: int | str
    b: int | str

    def __post_init__(self) -> None:
        plain(self.a), plain(self.b)

    @property
    def key(self) -> Hashable:
        return Difference

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        return (repeat_for_images([int(self.a), int(self.b)], count),)

    @property
    def array_count(self) -> int:
        return 1

    def resolved(self, find: ClassFinder) -> "Difference":
        a, b = find_index(self.a, find), find_index(self.b, find)
        if a == b:
            raise TargetError(f"Difference({self.a!r}, {self.b!r}) is always 0: both are class {a}. Give two classes.")
        return Difference(a, b)

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return (f"{class_name(int(self.a))} rather than {class_name(int(self.b))}",)

    def check_outputs(self, shape: Shape | None) -> None:
        classes = class_count(shape)
        check_class(self.a, classes)
        check_class(self.b, classes)

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, whole: Any = None) -> TargetScores:
        (indices,) = arrays
        both = xp.take_along_axis(outputs, indices, axis=-1)
        return TargetScores(both[:, :1] - both[:, 1:], xp.zeros_like(indices[:, :1]) - 1)


@final
@dataclass(frozen=True)
class Counterfactual(Target):
    """What speaks against a class: -y^c.

    The counterfactual explanations of Grad-CAM (arXiv 1610.02391, section 3.3), whose weights are of the negated
    gradients, -dy^c/dA^k: the places that, were they not there, would make the model surer of the class.

    Attributes:
        cls: The class: an index, a class name or a wnid.
    """

    cls: int | str

    def __post_init__(self) -> None:
        plain(self.cls)

    @property
    def key(self) -> Hashable:
        return Counterfactual

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        return (repeat_for_images([int(self.cls)], count),)

    @property
    def array_count(self) -> int:
        return 1

    def resolved(self, find: ClassFinder) -> "Counterfactual":
        return Counterfactual(find_index(self.cls, find))

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return (f"against {class_name(int(self.cls))}",)

    def check_outputs(self, shape: Shape | None) -> None:
        check_class(self.cls, class_count(shape))

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, whole: Any = None) -> TargetScores:
        (indices,) = arrays
        return TargetScores(-xp.take_along_axis(outputs, indices, axis=-1), xp.zeros_like(indices) - 1)


def check_rows(given: int, images: int) -> None:
    """Raise TargetError unless there is something asked of every image."""
    if given != images:
        raise TargetError(
            f"Targets were given for {given} images, and there are {images}. Give one list of targets "
            "for each image, or a single flat list for all."
        )
