"""Masks of the objects in images, and heatmaps placed on them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seewhy.errors import InputError
from seewhy.evaluate.heatmap_stack import HeatmapsLike, heatmap_stack
from seewhy.types import BoolArray, DoubleArray

MasksLike = ArrayLike | Sequence[ArrayLike]
"""bool (N, H, W) or (N, T, H, W); or a list with an array (H, W) or (T, H, W) for each image, of any sizes."""


def boxes_to_masks(
    boxes: Sequence[Sequence[Sequence[float]]], size: Sequence[int] | Sequence[Sequence[int]]
) -> list[BoolArray]:
    """Return the mask of the boxes of each image.

    Args:
        boxes: For each image its boxes, (top, left, bottom, right) each, in pixel edges: a box contains
            `image[top:bottom, left:right]`, and the pixels whose centres lie in it where edges are fractional. What
            lies beyond the image is cut off.
        size: (H, W) of the images in pixels, or one for each image.

    Returns:
        bool (H, W) for each image, True in any of its boxes; all False for an image without boxes.

    Raises:
        InputError: A box has no four edges in this order, or lies outside the image.
    """
    sizes = [size] * len(boxes) if np.ndim(size) == 1 else list(size)
    if len(sizes) != len(boxes):
        raise InputError(f"The boxes of {len(boxes)} images were given with the sizes of {len(sizes)}.")
    return [_mask(own, own_size, image) for image, (own, own_size) in enumerate(zip(boxes, sizes, strict=True))]


def over_masks(
    measure: Callable[[DoubleArray, BoolArray], Any],
    heatmaps: HeatmapsLike,
    masks: MasksLike,
    *,
    undefined: Any = np.nan,
) -> DoubleArray:
    """Measure each heatmap on its mask.

    Args:
        measure: From a heatmap and a mask (H, W) to a number or an array. It is not called for an empty mask, nor for a
            heatmap of zeros or with NaN.
        heatmaps: As in `HeatmapsLike`; resized bilinearly to the masks, explanations as they lie on their images.
        masks: As in `MasksLike`. Masks (N, H, W) are those of all targets.
        undefined: The result where nothing is measured.

    Returns:
        float64 (N, T, ...).

    Raises:
        InputError: The masks do not fit the heatmaps.
    """
    stack, arrays = heatmap_stack(heatmaps), _mask_arrays(masks)
    if len(arrays) != len(stack):
        raise InputError(f"Masks of {len(arrays)} images were given for heatmaps of {len(stack)} images.")
    rows = []
    for image, mask in enumerate(arrays):
        if mask.ndim == 3 and len(mask) not in (1, stack.target_count):
            raise InputError(
                f"Image {image} has {len(mask)} masks and {stack.target_count} heatmaps; expected a mask for each, or "
                "one for all of them."
            )
        own = mask if mask.ndim == 3 else mask[None]
        placed = stack.on_image(image, own.shape[1:])
        pairs = zip(placed, np.broadcast_to(own, (len(placed), *own.shape[1:])), strict=True)
        rows.append([measure(*pair) if _is_measurable(*pair) else undefined for pair in pairs])
    return np.array(rows, dtype=np.float64)


def _is_measurable(heatmap: DoubleArray, mask: BoolArray) -> bool:
    return bool(mask.any() and np.isfinite(heatmap).all() and heatmap.any())


def _mask(boxes: Sequence[Sequence[float]], size: Any, image: int) -> BoolArray:
    height, width = size
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    mask = np.zeros((height, width), dtype=bool)
    for box in boxes:
        if len(box) != 4 or not np.isfinite(box).all() or not (box[0] < box[2] and box[1] < box[3]):
            raise InputError(
                f"A box of image {image} is {tuple(box)}; expected (top, left, bottom, right), with top < bottom and "
                "left < right."
            )
        top, left, bottom, right = box
        inside = np.outer((top <= rows) & (rows < bottom), (left <= columns) & (columns < right))
        if not inside.any():
            raise InputError(
                f"The box {tuple(box)} of image {image} lies outside the image, which is {height} x {width}."
            )
        mask |= inside
    return mask


def _mask_arrays(masks: MasksLike) -> list[NDArray[Any]]:
    """Return the masks of each image, bool (H, W) or (T, H, W)."""
    is_list = isinstance(masks, (list, tuple))
    arrays = [np.asarray(mask) for mask in masks] if is_list else list(np.asarray(masks))  # type: ignore[union-attr]
    for image, array in enumerate(arrays):
        if array.ndim not in (2, 3) or 0 in array.shape:
            raise InputError(
                f"The mask of image {image} has shape {array.shape}; expected (H, W), or (T, H, W) with a mask for "
                "each target. For boxes, use seewhy.evaluate.boxes_to_masks."
            )
        if array.dtype != bool and not np.isin(array, (0, 1)).all():
            raise InputError(
                f"The mask of image {image} has other values than True and False, up to {array.max()}. Give mask > 0, "
                "or mask == label for the object of a label."
            )
    return [array.astype(bool) for array in arrays]
