"""Questions about outputs that are maps or vectors: a region of a segmentation, the direction of an embedding."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError
from seewhy.targets.classes import check_rows
from seewhy.targets.target import (
    ClassFinder,
    ClassNamer,
    Shape,
    Target,
    TargetScores,
    Transform,
    check_class,
    find_index,
    no_class_indices,
    plain,
    repeat_for_images,
    shape_text,
)
from seewhy.types import IndexArray, Namespace, Tensor

TINY = 1e-12
"""Less than the length of any vector that has a direction."""


@final
@dataclass(frozen=True, eq=False)
class Region(Target):
    """A class in a region of a segmentation: the class's logits, summed over the region's pixels.

    Seg-Grad-CAM (Vinogradova et al., AAAI 2020, arXiv 2002.11434), with M the region:

        y^c = sum over (i, j) in M of y^c_ij

    Attributes:
        mask: bool (H, W), the region at the size of the model's output, for every image; or (N, H, W).
        cls: The class: an index, a class name or a wnid.
        channels_first: Whether the output is (N, C, H, W) rather than (N, H, W, C). None: as the mask's shape tells.
    """

    mask: NDArray[np.bool_]
    cls: int | str
    channels_first: bool | None = None

    def __post_init__(self) -> None:
        plain(self.cls)
        mask = np.asarray(self.mask)
        if mask.dtype != np.bool_ or mask.ndim not in (2, 3):
            raise TargetError(
                f"The mask of a Region is of type {mask.dtype} and shape {mask.shape}; expected bool (H, W), or "
                "(N, H, W) with a mask for each image. Compare to get one: labels == 3."
            )
        object.__setattr__(self, "mask", mask)  # a list of lists is a mask too

    @property
    def is_per_image(self) -> bool:
        """Whether each image has a mask of its own."""
        return self.mask.ndim == 3

    @property
    def key(self) -> Hashable:
        return (Region, self.mask.shape[-2:], self.channels_first)

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        mask = np.broadcast_to(self.mask, (count, *self.mask.shape[-2:])).astype(np.int32)
        return (mask, repeat_for_images([int(self.cls)], count))

    @property
    def array_count(self) -> int:
        return 2

    def rows(self, start: int, stop: int) -> "Region":
        return replace(self, mask=self.mask[start:stop]) if self.is_per_image else self

    def for_image(self, image: int) -> "Region":
        return replace(self, mask=self.mask[image]) if self.is_per_image else self

    def resolved(self, find: ClassFinder) -> "Region":
        empty = ~self.mask.any(axis=(-2, -1))
        if empty.any():
            which = f" for image {int(np.argmax(empty))}" if self.is_per_image else ""
            raise TargetError(f"The mask of a Region is all False{which}: it asks about no place.")
        return replace(self, cls=find_index(self.cls, find))

    def transformed(self, transform: Transform) -> "Region":
        masks = self.mask.reshape(-1, *self.mask.shape[-2:], 1).astype(np.float32)
        return replace(self, mask=(transform(masks) > 0.5).reshape(self.mask.shape))

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return (f"{class_name(int(self.cls))} in the region",)

    def check_images(self, count: int) -> None:
        if self.is_per_image:
            check_rows(len(self.mask), count)

    def check_outputs(self, shape: Shape | None) -> None:
        is_first = self._is_first(shape)
        classes = None if shape is None else shape[1 if is_first else 3]
        if classes is not None:
            check_class(self.cls, classes)

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, whole: Any = None) -> TargetScores:
        mask, indices = arrays
        if self._is_first(tuple(outputs.shape)):
            inside, space = mask[:, None] > 0, (2, 3)
        else:
            inside, space = mask[..., None] > 0, (1, 2)
        sums = xp.sum(xp.where(inside, outputs, xp.zeros_like(outputs)), axis=space)  # (N, C)
        return TargetScores(xp.take_along_axis(sums, indices, axis=-1), xp.zeros_like(indices) - 1)

    def _is_first(self, shape: Shape | None) -> bool:
        """Return whether an output of this shape is (N, C, H, W), or raise TargetError."""
        if shape is None or len(shape) != 4:
            given = "are several" if shape is None else f"have shape {shape_text(shape)}"
            raise TargetError(
                f"A Region asks a segmentation, whose outputs are (N, H, W, C) or (N, C, H, W); the model's outputs "
                f"{given}. Ask a classifier for a class."
            )
        size = self.mask.shape[-2:]
        fits = {False: _fits(size, shape[1:3]), True: _fits(size, shape[2:4])}
        if self.channels_first is not None:
            fits[not self.channels_first] = False
        if not any(fits.values()):
            raise TargetError(
                f"The mask of a Region has shape {size}, and the model's outputs {shape_text(shape)}. Give the mask "
                "at the size of the outputs."
            )
        if all(fits.values()):
            raise TargetError(
                f"The mask of a Region, {size}, fits outputs of shape {shape_text(shape)} both ways. Say which it is: "
                "Region(mask, cls, channels_first=True)."
            )
        return fits[True]


@final
@dataclass(frozen=True, eq=False)
class Embedding(Target):
    """How alike a model's output vector is to another: their cosine similarity.

    For models that describe rather than name: what in this image makes it like that one?

    Attributes:
        reference: (D,), the other vector, for every image; or (N, D). Its length does not matter.
    """

    reference: NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        reference = np.asarray(self.reference)
        if reference.dtype.kind not in "fiu" or reference.ndim not in (1, 2):
            raise TargetError(
                f"The reference of an Embedding is of type {reference.dtype} and shape {reference.shape}; expected "
                "numbers (D,), or (N, D) with a vector for each image."
            )
        reference = reference.astype(np.float64)
        if not np.isfinite(reference).all():
            raise TargetError("The reference of an Embedding holds NaN or infinite values.")
        if (np.linalg.norm(reference, axis=-1) < TINY).any():
            raise TargetError("The reference of an Embedding is all zeros, which points nowhere.")
        object.__setattr__(self, "reference", reference)

    @property
    def is_per_image(self) -> bool:
        """Whether each image has a reference of its own."""
        return self.reference.ndim == 2

    @property
    def key(self) -> Hashable:
        return Embedding

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        unit = self.reference / np.linalg.norm(self.reference, axis=-1, keepdims=True)
        return (np.broadcast_to(unit, (count, unit.shape[-1])).astype(np.float32),)

    @property
    def array_count(self) -> int:
        return 1

    def rows(self, start: int, stop: int) -> "Embedding":
        return Embedding(self.reference[start:stop]) if self.is_per_image else self

    def for_image(self, image: int) -> "Embedding":
        return Embedding(self.reference[image]) if self.is_per_image else self

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return ("likeness to the reference",)

    def check_images(self, count: int) -> None:
        if self.is_per_image:
            check_rows(len(self.reference), count)

    def check_outputs(self, shape: Shape | None) -> None:
        size = self.reference.shape[-1]
        if shape is None or len(shape) != 2 or not _fits((size,), shape[1:]):
            given = "are several" if shape is None else f"have shape {shape_text(shape)}"
            raise TargetError(
                f"The reference of an Embedding has {size} values, and the model's outputs {given}; expected "
                f"(N, {size})."
            )

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, whole: Any = None) -> TargetScores:
        (unit,) = arrays
        # Added under the root: at 0 the root's slope is infinite, and a map of that would be NaN.
        length = xp.sqrt(xp.sum(outputs * outputs, axis=-1, keepdims=True) + TINY**2)
        scores = xp.sum(outputs * unit, axis=-1, keepdims=True) / length
        return TargetScores(scores, no_class_indices(scores, xp))


def _fits(size: tuple[int, ...], shape: Shape) -> bool:
    return len(size) == len(shape) and all(other in (None, one) for one, other in zip(size, shape, strict=True))
