"""Augmentation of digits by random affine transformations: rotation, scaling, shear and translation."""

import numpy as np
from numpy.typing import NDArray

from seewhy.types import FloatArray

Doubles = NDArray[np.float64]

MAX_ROTATION = 12.0
"""Degrees, in both directions."""
MAX_SCALING = 0.12
"""The largest relative change of the width and of the height."""
MAX_SHEAR = 0.15
"""The largest horizontal displacement per vertical distance."""
MAX_TRANSLATION = 2.0
"""Pixels, in all directions."""


def distort(images: FloatArray, seed: tuple[int, ...]) -> FloatArray:
    """Transform each image by its own random affine map, with parameters drawn uniformly from the ranges above.

    Args:
        images: (n, h, w).
        seed: The seed of the random parameters.

    Returns:
        float32 (n, h, w), interpolated bilinearly, and 0 outside the original image.
    """
    generator = np.random.default_rng(seed)
    draws = generator.uniform(-1, 1, size=(6, len(images)))
    rotation, shear = np.radians(MAX_ROTATION) * draws[0], MAX_SHEAR * draws[1]
    tall, wide = 1 + MAX_SCALING * draws[2], 1 + MAX_SCALING * draws[3]
    cos, sin = np.cos(rotation), np.sin(rotation)
    # From a pixel of the result, (row, column) from the centre, to the position in the original image.
    matrices = np.array([[cos / tall, -sin / tall], [(sin + shear * cos) / wide, (cos - shear * sin) / wide]])
    return affine(images, matrices.transpose(2, 0, 1), MAX_TRANSLATION * draws[4:].T)


def affine(images: FloatArray, matrices: Doubles, shifts: Doubles) -> FloatArray:
    """Sample each pixel of image n, at p from its centre, from `matrices[n] @ p + shifts[n]` in the original.

    Args:
        images: (n, h, w).
        matrices: (n, 2, 2), which act on (row, column).
        shifts: (n, 2), in pixels.

    Returns:
        float32 (n, h, w), interpolated bilinearly, and 0 outside the original image.
    """
    count, height, width = images.shape
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    pixels = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), axis=-1).reshape(-1, 2)
    sources = (pixels - centre) @ matrices.transpose(0, 2, 1) + centre + shifts[:, None, :]  # (n, h w, 2)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows, columns = sources[..., 0] + 1, sources[..., 1] + 1
    rows, columns = np.clip(rows, 0, height + 1), np.clip(columns, 0, width + 1)
    top, left = np.minimum(rows.astype(int), height), np.minimum(columns.astype(int), width)
    down, right = rows - top, columns - left
    index = np.arange(count)[:, None]
    upper = padded[index, top, left] * (1 - right) + padded[index, top, left + 1] * right
    lower = padded[index, top + 1, left] * (1 - right) + padded[index, top + 1, left + 1] * right
    values = upper * (1 - down) + lower * down
    return np.asarray(values.reshape(images.shape), dtype=np.float32)
