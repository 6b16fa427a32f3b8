"""Digits as other hands might have written them: turned, leaning, larger or smaller, and not quite in the middle."""

import numpy as np
from numpy.typing import NDArray

from seewhy.types import FloatArray

Doubles = NDArray[np.float64]

TURN = 12.0
"""Degrees, at most, either way."""
STRETCH = 0.12
"""By what part a digit is made wider or narrower, and higher or lower, at most."""
LEAN = 0.15
"""How far, at most, a line upright leans, as sideways to up."""
SHIFT = 2.0
"""Pixels, at most, either way."""


def distort(images: FloatArray, seed: tuple[int, ...]) -> FloatArray:
    """Distort every image by an affine map of its own, drawn evenly from the ranges above.

    Args:
        images: (n, h, w).
        seed: The same one gives the same distortions.

    Returns:
        float32 (n, h, w); bilinear between pixels, and 0 where nothing was.
    """
    generator = np.random.default_rng(seed)
    draws = generator.uniform(-1, 1, size=(6, len(images)))
    turn, lean = np.radians(TURN) * draws[0], LEAN * draws[1]
    high, wide = 1 + STRETCH * draws[2], 1 + STRETCH * draws[3]
    cos, sin = np.cos(turn), np.sin(turn)
    # From a pixel of the result, (row, column) from the centre, to where it is taken from.
    matrices = np.array([[cos / high, -sin / high], [(sin + lean * cos) / wide, (cos - lean * sin) / wide]])
    return affine(images, matrices.transpose(2, 0, 1), SHIFT * draws[4:].T)


def affine(images: FloatArray, matrices: Doubles, shifts: Doubles) -> FloatArray:
    """Take each pixel of image n, at p from its centre, from `matrices[n] @ p + shifts[n]`.

    Args:
        images: (n, h, w).
        matrices: (n, 2, 2), of (row, column).
        shifts: (n, 2), in pixels.
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
    which = np.arange(count)[:, None]
    upper = padded[which, top, left] * (1 - right) + padded[which, top, left + 1] * right
    lower = padded[which, top + 1, left] * (1 - right) + padded[which, top + 1, left + 1] * right
    values = upper * (1 - down) + lower * down
    return np.asarray(values.reshape(images.shape), dtype=np.float32)
