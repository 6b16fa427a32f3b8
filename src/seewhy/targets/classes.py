"""Targets that are classes: given classes, the top k, the difference of two, and counterfactuals."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError, short_repr
from seewhy.targets.target import (
    ClassFinder,
    ClassNamer,
    Shape,
    Target,
    TargetScores,
    are_indices,
    check_class_index,
    check_image_count,
    class_count,
    find_class_index,
    is_index,
    parse_class,
    repeat_for_images,
    target_count_error,
)
from seewhy.types import IndexArray, Namespace, Tensor


@final
@dataclass(frozen=True, repr=False)
class TopK(Target):
    """The k classes with the highest outputs of each image, the highest first: y^c for each.

    Attributes:
        k: The number of classes, T.

    Raises:
        TargetError: `k` is not an integer of 1 or more.
    """

    k: int = 1

    def __post_init__(self) -> None:
        if not is_index(self.k) or self.k > np.iinfo(np.int32).max:
            raise TargetError(f"TopK takes a number of classes, such as TopK(3); given {short_repr(self.k)}.")
        if self.k < 1:
            raise TargetError(f"'top-{self.k}' selects no class; expected 'top-1' or more.")

    @property
    def key(self) -> Hashable:
        return (TopK, self.k)

    @property
    def target_count(self) -> int:
        return self.k

    @property
    def is_classes(self) -> bool:
        return True

    def with_classes(self, indices: IndexArray) -> "Class":
        return Class(tuple(tuple(int(index) for index in row) for row in indices))

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return tuple(class_name(int(index)) for index in indices)

    def check_outputs(self, shape: Shape | None) -> None:
        classes = class_count(shape)
        if classes < self.k:
            known = "one value, output 0" if classes == 1 else f"{classes} classes"
            raise TargetError(f"'top-{self.k}' selects more than the model's {known}.")

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        find = getattr(xp, "top_indices", None)  # PyTorch's namespace has a quicker way
        indices = xp.argsort(-outputs, axis=-1)[:, : self.k] if find is None else find(outputs, self.k)
        return TargetScores(xp.take_along_axis(outputs, indices, axis=-1), indices)


@final
@dataclass(frozen=True, repr=False)
class Class(Target):
    """Given classes: y^c for each.

    Attributes:
        classes: Class indices, names or wnids: T classes for all images, or a tuple of T classes for each image.

    Raises:
        TargetError: The classes are not a tuple, or the images have different numbers of classes.
    """

    classes: tuple[int | str, ...] | tuple[tuple[int | str, ...], ...]

    def __post_init__(self) -> None:
        if not isinstance(self.classes, (list, tuple)):
            raise TargetError(
                "Class takes a tuple of classes; given {0}. Give Class(({0},)).".format(short_repr(self.classes))
            )
        if self.is_per_image and not all(isinstance(row, (list, tuple)) for row in self.classes):
            raise TargetError(
                f"Class takes classes for all images, or a tuple for each image; given {short_repr(self.classes)}."
            )
        for row in self._rows:
            if not are_indices(row):
                for name in row:
                    parse_class(name)
        counts = {len(row) for row in self._rows}
        if len(counts) != 1 or 0 in counts:
            raise target_count_error(sorted(counts))

    @property
    def _rows(self) -> tuple[tuple[int | str, ...], ...]:
        """The classes of each image, or one row if all images have the same."""
        return tuple(self.classes if self.is_per_image else (self.classes,))  # type: ignore[arg-type]

    @property
    def is_per_image(self) -> bool:
        """Whether each image has its own classes."""
        return bool(self.classes) and isinstance(self.classes[0], (list, tuple))

    @property
    def key(self) -> Hashable:
        return Class

    @property
    def target_count(self) -> int:
        return len(self._rows[0])

    @property
    def is_classes(self) -> bool:
        return True

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        indices = np.array(self._rows, dtype=np.int32)
        if len(indices) == count:
            return (indices,)
        return (np.ascontiguousarray(np.broadcast_to(indices, (count, indices.shape[1]))),)

    @property
    def array_count(self) -> int:
        return 1

    def slice_targets(self, start: int, stop: int) -> "Class":
        """Return the target for classes start..stop of each image."""
        rows = tuple(row[start:stop] for row in self._rows)
        return Class(rows if self.is_per_image else rows[0])

    def slice_images(self, start: int, stop: int) -> "Class":
        return Class(self._rows[start:stop]) if self.is_per_image else self

    def for_image(self, image: int) -> "Class":
        return Class(self._rows[image]) if self.is_per_image else self

    def resolve(self, find_class: ClassFinder) -> "Class":
        if isinstance(self.classes, tuple) and all(map(partial(_are_found, find_class=find_class), self._rows)):
            return self
        indices = tuple(tuple(find_class_index(name, find_class) for name in row) for row in self._rows)
        return Class(indices if self.is_per_image else indices[0])

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return tuple(map(class_name, indices.tolist()))

    def check_images(self, count: int) -> None:
        if self.is_per_image:
            check_image_count(len(self.classes), count)

    def check_outputs(self, shape: Shape | None) -> None:
        classes = class_count(shape)
        for row in self._rows:
            if not (are_indices(row) and min(row) >= 0 and max(row) < classes):
                for index in row:
                    check_class_index(index, classes)

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        (indices,) = arrays
        return TargetScores(xp.take_along_axis(outputs, indices, axis=-1), indices)


def _are_found(indices: Sequence[Any], find_class: ClassFinder) -> bool:
    """Whether these are indices of classes; False also where an error has to say which one there is not."""
    if not (isinstance(indices, tuple) and are_indices(indices)):
        return False
    try:
        return [find_class(index) for index in (min(indices), max(indices))] == [min(indices), max(indices)]
    except TargetError:
        return False


@final
@dataclass(frozen=True, repr=False)
class Difference(Target):
    """Why one class rather than another: y^a - y^b.

    Evidence that both classes share cancels; what is left tells them apart.

    Attributes:
        class_: The class a that is explained: an index, a class name or a wnid.
        other_class: The class b that it is compared with.

    Raises:
        TargetError: A class is unknown, or both are the same.
    """

    class_: int | str
    other_class: int | str

    def __post_init__(self) -> None:
        parse_class(self.class_), parse_class(self.other_class)

    @property
    def key(self) -> Hashable:
        return Difference

    @property
    def reads_classes(self) -> bool:
        return True

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        return (repeat_for_images([int(self.class_), int(self.other_class)], count),)

    @property
    def array_count(self) -> int:
        return 1

    def resolve(self, find_class: ClassFinder) -> "Difference":
        index, other = find_class_index(self.class_, find_class), find_class_index(self.other_class, find_class)
        if index == other:
            raise TargetError(
                f"Difference({self.class_!r}, {self.other_class!r}) is always 0: both are class {index}. Give two "
                "different classes."
            )
        return Difference(index, other)

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return (f"{class_name(int(self.class_))} rather than {class_name(int(self.other_class))}",)

    def check_outputs(self, shape: Shape | None) -> None:
        classes = class_count(shape)
        check_class_index(self.class_, classes)
        check_class_index(self.other_class, classes)

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        (indices,) = arrays
        both = xp.take_along_axis(outputs, indices, axis=-1)
        return TargetScores(both[:, :1] - both[:, 1:], xp.zeros_like(indices[:, :1]) - 1)


@final
@dataclass(frozen=True, repr=False)
class Counterfactual(Target):
    """The evidence against a class: -y^c.

    Section 3.3 of the paper computes the weights of counterfactual explanations from the negated gradients,
    -dy^c/dA^k: they show the places whose removal would make the model more confident of the class.

    Attributes:
        class_: The class c: an index, a class name or a wnid.

    Raises:
        TargetError: The class is unknown.

    Reference:
        Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
        ICCV 2017, arXiv 1610.02391.
    """

    class_: int | str

    def __post_init__(self) -> None:
        parse_class(self.class_)

    @property
    def key(self) -> Hashable:
        return Counterfactual

    @property
    def reads_classes(self) -> bool:
        return True

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        return (repeat_for_images([int(self.class_)], count),)

    @property
    def array_count(self) -> int:
        return 1

    def resolve(self, find_class: ClassFinder) -> "Counterfactual":
        return Counterfactual(find_class_index(self.class_, find_class))

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return (f"against {class_name(int(self.class_))}",)

    def check_outputs(self, shape: Shape | None) -> None:
        check_class_index(self.class_, class_count(shape))

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        (indices,) = arrays
        return TargetScores(-xp.take_along_axis(outputs, indices, axis=-1), xp.zeros_like(indices) - 1)
