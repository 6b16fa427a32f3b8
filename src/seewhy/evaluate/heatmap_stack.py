"""Heatmaps of any tool as a metric reads them: checked, scaled, and resized to where they are needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from seewhy.errors import InputError
from seewhy.evaluate.tensor_values import as_array
from seewhy.images.geometry import WHOLE, Placement
from seewhy.results.explanation import Explanation
from seewhy.results.heatmaps import Heatmaps
from seewhy.results.multi_image_explanation import MultiImageExplanation
from seewhy.results.recording_explanation import RecordingExplanation
from seewhy.types import BoolArray, DoubleArray

HeatmapsLike = Heatmaps | Sequence[Explanation] | Sequence[ArrayLike] | ArrayLike
"""`Heatmaps`; explanations, one for each image; or an array of any tool, (N, T, u, v) or (N, u, v)."""

CHANNELS_HINT = (
    " If the second axis holds colour channels, as in Captum's attributions (N, 3, h, w), make one map of them first: "
    "maps.sum(axis=1)."
)


@final
@dataclass(frozen=True)
class HeatmapStack:
    """Heatmaps (N, T, u, v), whose scale has no meaning: each map is divided by its largest absolute value.

    A map that is all zeros, or holds NaN or infinite values, is NaN throughout: no metric is defined for it.

    Attributes:
        maps: One float64 array (T, u, v) for each image, whose sizes may differ.
        placements: The part of each image that its maps show; None for maps of the whole input.
        classes: (N, T), the classes that are explained, where the maps say so; -1 for a target that is not a class.
    """

    maps: tuple[DoubleArray, ...]
    placements: tuple[Placement | None, ...]
    classes: tuple[tuple[int, ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def target_count(self) -> int:
        """The number of maps of each image, T."""
        return len(self.maps[0])

    def resized(self, size: tuple[int, int] | None) -> Iterator[DoubleArray]:
        """Yield the maps of each image, resized to a model's input (h, w); at their own resolution for None."""
        return iter(self.maps) if size is None else (self.on_input(image, size) for image in range(len(self)))

    def on_input(self, image: int, size: tuple[int, int]) -> DoubleArray:
        """Return the maps of an image resized to the model's input (h, w), float64 (T, h, w).

        They are resized bilinearly, and 0 where the layer does not show the input.
        """
        placement = self.placements[image]
        input_box = WHOLE if placement is None else placement.input_box
        return _placed(self.maps[image], Placement(size, (0, 0, *size), input_box))

    def on_image(self, image: int, size: tuple[int, int]) -> DoubleArray:
        """Return the maps of an image placed on it, or on a copy of it of this size (H, W), float64 (T, H, W).

        They are 0 where the model did not see the image. Maps of a bare array are taken to show all of it.
        """
        placement = self.placements[image]
        placement = Placement(size, (0, 0, *size)) if placement is None else placement.resized(*size)
        return _placed(self.maps[image], placement)


def heatmap_stack(heatmaps: HeatmapsLike, images: int | None = None) -> HeatmapStack:
    """Return heatmaps of any tool as a stack.

    Args:
        heatmaps: As in `HeatmapsLike`.
        images: The number of images; None where there are none to compare with.

    Raises:
        InputError: The array has another shape, or there is another number of images.
    """
    stack = _stack(heatmaps)
    if images is not None and len(stack) != images:
        raise InputError(f"Heatmaps of {len(stack)} images were given for {images} images; expected (N, T, u, v).")
    return stack


def is_defined(heatmap: DoubleArray) -> bool:
    """Whether a map (H, W) is finite and differs from place to place, so that it orders the pixels."""
    return bool(np.isfinite(heatmap).all() and heatmap.max() > heatmap.min())


def positive_part(heatmaps: DoubleArray) -> DoubleArray:
    """Return maps without their negative values (..., H, W), scaled to a maximum of 1; NaN where none is positive."""
    positive: DoubleArray = np.maximum(heatmaps, 0)
    peaks = positive.max(axis=(-2, -1), keepdims=True)
    return np.asarray(np.divide(positive, peaks, out=np.full_like(positive, np.nan), where=peaks > 0))


def _check_of_one_image(explanations: Sequence[Any]) -> None:
    """Raise InputError for explanations of something else than one image each."""
    for each in explanations:
        if isinstance(each, MultiImageExplanation):
            names = ", ".join(f"explanation[{name!r}]" for name in each)
            raise InputError(
                f"An explanation of several images was given; a metric takes that of one image each, such as {names}."
            )
        if isinstance(each, RecordingExplanation):
            raise InputError(f"A {type(each).__name__} was given; a metric takes explanations of images.")


def _stack(heatmaps: HeatmapsLike) -> HeatmapStack:
    if isinstance(heatmaps, Heatmaps):
        height, width = heatmaps.values.shape[2:] if heatmaps.values.ndim == 4 else (1, 1)
        placement = Placement((height, width), (0, 0, height, width), heatmaps.input_box)
        return HeatmapStack(
            _scaled(heatmaps.values), (placement,) * len(heatmaps), tuple(map(tuple, heatmaps.indices.tolist()))
        )
    _check_of_one_image(heatmaps if isinstance(heatmaps, (list, tuple)) else [heatmaps])
    if isinstance(heatmaps, Explanation):
        heatmaps = [heatmaps]
    if isinstance(heatmaps, (list, tuple)) and heatmaps and all(isinstance(each, Explanation) for each in heatmaps):
        explanations: Sequence[Any] = heatmaps
        counts = {len(each.targets) for each in explanations}
        if len(counts) > 1:
            raise InputError(f"Every image needs the same number of heatmaps; the explanations have {sorted(counts)}.")
        return HeatmapStack(
            tuple(map(_scale, (each.heatmaps for each in explanations))),
            tuple(each.placement for each in explanations),
            tuple(tuple(target.index for target in each.targets) for each in explanations),
        )
    maps = _scaled(heatmaps)
    return HeatmapStack(maps, (None,) * len(maps))


def _scaled(heatmaps: Any) -> tuple[DoubleArray, ...]:
    """Return the maps of each image, (T, u, v), divided by the largest absolute value of each map."""
    is_ragged = isinstance(heatmaps, (list, tuple)) and len({np.shape(each) for each in heatmaps}) > 1
    arrays = [_as_array(each) for each in heatmaps] if is_ragged else list(_as_array(heatmaps))
    for array in arrays:
        if array.ndim not in (2, 3) or 0 in array.shape:
            shape = "of an image " if is_ragged else ""
            given = array.shape if is_ragged else (len(arrays), *array.shape)
            raise InputError(
                f"The heatmaps {shape}have shape {given}; expected {'(T, u, v)' if is_ragged else '(N, T, u, v)'}, or "
                f"{'(u, v)' if is_ragged else '(N, u, v)'} for one target."
            )
    if not arrays:
        raise InputError("No heatmaps were given; expected (N, T, u, v), or (N, u, v) for one target.")
    maps = tuple(_scale(array if array.ndim == 3 else array[None]) for array in arrays)
    if len(counts := {len(each) for each in maps}) > 1:
        raise InputError(f"Every image needs the same number of heatmaps; given {sorted(counts)}.")
    return maps


def _as_array(heatmaps: Any) -> DoubleArray:
    array = as_array(heatmaps, "The heatmaps")
    if array.dtype.kind not in "fiub" or array.ndim == 0:
        raise InputError(f"The heatmaps are of type {array.dtype}; expected numbers, (N, T, u, v) or (N, u, v).")
    return np.asarray(array, dtype=np.float64)


def _scale(maps: Any) -> DoubleArray:
    """Divide maps (T, u, v) by their largest absolute values; NaN where these are 0, NaN or infinite."""
    maps = np.asarray(maps, dtype=np.float64)
    if maps.ndim != 3:
        raise InputError(
            f"The heatmaps of an image have shape {maps.shape}; the metrics need maps of images, (T, u, v)."
        )
    peaks = np.abs(maps).max(axis=(1, 2), keepdims=True)
    is_scaled: BoolArray = np.isfinite(peaks) & (peaks > 0)
    return np.where(is_scaled, maps / np.where(is_scaled, peaks, 1), np.nan)


def _placed(maps: DoubleArray, placement: Placement) -> DoubleArray:
    size = placement.image_size
    is_placed = list(maps.shape[1:]) == list(size) and list(placement.heatmap_box) == [0, 0, *size]
    if is_placed:
        return maps
    placed = placement.place(np.nan_to_num(maps)).astype(np.float64)
    return np.where(np.isnan(maps).all(axis=(1, 2), keepdims=True), np.nan, placed)
