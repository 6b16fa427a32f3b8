"""Targets for outputs that are maps or vectors: a region of a segmentation, the direction of an embedding."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError
from seewhy.targets.target import (
    ClassFinder,
    ClassNamer,
    ImageTransform,
    Shape,
    Target,
    TargetScores,
    check_class_index,
    check_image_count,
    find_class_index,
    no_class_indices,
    parse_class,
    repeat_for_images,
    shape_text,
)
from seewhy.types import IndexArray, Namespace, Tensor

SPACES = {1: "L", 2: "H, W", 3: "D, H, W"}
"""The spatial axes of an output, by their number."""

TINY = 1e-12
"""Vectors shorter than this have no direction."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class Region(Target):
    """A class in a region of a segmentation: the class's scores, summed over the region's pixels.

    Seg-Grad-CAM, with M the region:

        y^c = sum over (i, j) in M of y^c_ij

    Attributes:
        mask: The region at the resolution of the model's output: bool (H, W) for every image, or (N, H, W).
        class_: The class c: an index, a class name or a wnid.
        channels_first: Whether the output is (N, C, H, W) rather than (N, H, W, C); None to infer it from the mask's
            shape.
        name: The name of the target; None is such as "cat in the region".
        axes: The number of spatial axes of the output: 2 for an image; 1 for the steps of a sequence, (N, L, C) with a
            mask (L,); 3 for a volume, (N, D, H, W, C) with a mask (D, H, W).

    Raises:
        TargetError: The mask is not boolean, has another shape, or is all False; or the class is unknown.

    Reference:
        Vinogradova, Dibrov and Myers, "Towards Interpretable Semantic Segmentation via Gradient-weighted Class
        Activation Mapping", AAAI 2020, arXiv 2002.11434.
    """

    mask: NDArray[np.bool_]
    class_: int | str
    channels_first: bool | None = None
    name: str | None = None
    axes: int = 2

    def __post_init__(self) -> None:
        parse_class(self.class_)
        if self.axes not in SPACES:
            raise TargetError(f"axes={self.axes!r} of a Region; expected the number of spatial axes: 1, 2 or 3.")
        mask = np.asarray(self.mask)
        if mask.dtype != np.bool_ or mask.ndim not in (self.axes, self.axes + 1):
            space = SPACES[self.axes]
            raise TargetError(
                f"The mask of a Region has type {mask.dtype} and shape {mask.shape}; expected bool "
                f"{'(L,)' if self.axes == 1 else f'({space})'}, or (N, {space}) with a mask for each image. A "
                "comparison gives one, such as labels == 3."
            )
        object.__setattr__(self, "mask", mask)  # the mask may be given as a list of lists

    @property
    def _size(self) -> tuple[int, ...]:
        """The shape of the mask of one image."""
        return self.mask.shape[self.mask.ndim - self.axes :]

    @property
    def is_per_image(self) -> bool:
        """Whether each image has a mask of its own."""
        return self.mask.ndim > self.axes

    @property
    def key(self) -> Hashable:
        return (Region, self._size, self.channels_first)

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        mask = np.broadcast_to(self.mask, (count, *self._size)).astype(np.int32)
        return (mask, repeat_for_images([int(self.class_)], count))

    @property
    def array_count(self) -> int:
        return 2

    def slice_images(self, start: int, stop: int) -> "Region":
        return replace(self, mask=self.mask[start:stop]) if self.is_per_image else self

    def for_image(self, image: int) -> "Region":
        return replace(self, mask=self.mask[image]) if self.is_per_image else self

    def resolve(self, find_class: ClassFinder) -> "Region":
        empty = ~self.mask.any(axis=tuple(range(-self.axes, 0)))
        if empty.any():
            where = f" for image {int(np.argmax(empty))}" if self.is_per_image else ""
            raise TargetError(f"The mask of a Region is all False{where}: it selects no pixel.")
        return replace(self, class_=find_class_index(self.class_, find_class))

    def transform(self, transform: ImageTransform) -> "Region":
        if self.axes != 2:
            raise TargetError(
                "augmentation= flips and zooms images, and the mask of a Region with axes=1 or 3 is none."
            )
        masks = self.mask.reshape(-1, *self.mask.shape[-2:], 1).astype(np.float32)
        return replace(self, mask=(transform(masks) > 0.5).reshape(self.mask.shape))

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return (self.name or f"{class_name(int(self.class_))} in the region",)

    def check_images(self, count: int) -> None:
        if self.is_per_image:
            check_image_count(len(self.mask), count)

    def check_outputs(self, shape: Shape | None) -> None:
        channels = 1 if self.has_channels_first(shape) else -1
        classes = None if shape is None else shape[channels]
        if classes is not None:
            check_class_index(self.class_, classes)

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        mask, indices = arrays
        if self.has_channels_first(tuple(outputs.shape)):
            inside, space = mask[:, None] > 0, tuple(range(2, 2 + self.axes))
        else:
            inside, space = mask[..., None] > 0, tuple(range(1, 1 + self.axes))
        sums = xp.sum(xp.where(inside, outputs, xp.zeros_like(outputs)), axis=space)  # (N, C)
        return TargetScores(xp.take_along_axis(sums, indices, axis=-1), xp.zeros_like(indices) - 1)

    def has_channels_first(self, shape: Shape | None) -> bool:
        """Return whether an output of this shape is (N, C, *space), or raise TargetError."""
        if shape is None or len(shape) != self.axes + 2:
            space = SPACES[self.axes]
            raise TargetError(
                f"A Region needs a segmentation model, whose output is (N, {space}, C) or (N, C, {space}); given "
                f"{_output_text(shape)}. For a classifier, give a class."
            )
        size = self._size
        fits = {False: _fits(size, shape[1:-1]), True: _fits(size, shape[2:])}
        if self.channels_first is not None:
            fits[not self.channels_first] = False
        if not any(fits.values()):
            raise TargetError(
                f"The mask of a Region has shape {size}, but the model's output has shape {shape_text(shape)}. Give "
                "the mask at the resolution of the output."
            )
        if all(fits.values()):
            raise TargetError(
                f"The mask of a Region, {size}, fits an output of shape {shape_text(shape)} with channels first and "
                "with channels last. Give the layout, as in Region(mask, class_, channels_first=True)."
            )
        return fits[True]


@final
@dataclass(frozen=True, eq=False, repr=False)
class Embedding(Target):
    """The cosine similarity between the model's output vector y and a reference r.

    For models that embed images rather than classify them: it shows what makes an image similar to another.

        s = y . r / (|y| |r|)

    Attributes:
        reference: The reference r: (D,) for every image, or (N, D). Its length does not matter.

    Raises:
        TargetError: The reference has another shape or type, is not finite, or is all zeros.
    """

    reference: NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        reference = np.asarray(self.reference)
        if reference.dtype.kind not in "fiu" or reference.ndim not in (1, 2):
            raise TargetError(
                f"The reference of an Embedding has type {reference.dtype} and shape {reference.shape}; expected "
                "numbers (D,), or (N, D) with a vector for each image."
            )
        reference = reference.astype(np.float64)
        if not np.isfinite(reference).all():
            raise TargetError("The reference of an Embedding has NaN or infinite values; expected finite numbers.")
        if (np.linalg.norm(reference, axis=-1) < TINY).any():
            raise TargetError("The reference of an Embedding is all zeros, so it has no direction.")
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

    def slice_images(self, start: int, stop: int) -> "Embedding":
        return Embedding(self.reference[start:stop]) if self.is_per_image else self

    def for_image(self, image: int) -> "Embedding":
        return Embedding(self.reference[image]) if self.is_per_image else self

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return ("similarity to the reference",)

    def check_images(self, count: int) -> None:
        if self.is_per_image:
            check_image_count(len(self.reference), count)

    def check_outputs(self, shape: Shape | None) -> None:
        size = self.reference.shape[-1]
        if shape is None or len(shape) != 2 or not _fits((size,), shape[1:]):
            raise TargetError(
                f"The reference of an Embedding has {size} values, so the model's output must be (N, {size}); given "
                f"{_output_text(shape)}."
            )

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        (unit,) = arrays
        # TINY is added under the root, whose gradient at 0 is infinite and would make the heatmap NaN.
        length = xp.sqrt(xp.sum(outputs * outputs, axis=-1, keepdims=True) + TINY**2)
        scores = xp.sum(outputs * unit, axis=-1, keepdims=True) / length
        return TargetScores(scores, no_class_indices(scores, xp))


def _fits(size: tuple[int, ...], shape: Shape) -> bool:
    """Return whether an output's axes have these sizes, or sizes that are not known yet."""
    return len(size) == len(shape) and all(
        actual in (None, expected) for expected, actual in zip(size, shape, strict=True)
    )


def _output_text(shape: Shape | None) -> str:
    return "several outputs, none of which is selected" if shape is None else f"an output of shape {shape_text(shape)}"
