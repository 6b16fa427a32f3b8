"""Maps that know nothing of the image or the model: what a method has to beat."""

import numpy as np

from seewhy.methods.checks import Seed, integer, positive
from seewhy.types import FloatArray


def random_map(
    images: int, targets: int = 1, *, size: tuple[int, int] = (7, 7), seed: Seed = 0, first_image: int = 0
) -> FloatArray:
    """Return maps of independent uniform random values.

    A metric resizes them as it does any heatmap. At the resolution of the layer they are as smooth as a heatmap is:
    noise of single pixels would destroy an image when its pixels are removed, which is no explanation.

    Args:
        images: The number of images, N.
        targets: The number of targets, T.
        size: (u, v), such as the resolution of the heatmaps.
        seed: The seed. Each image and target has a map of its own, which does not depend on the others.
        first_image: The position of the first image, for images that are evaluated in parts.

    Returns:
        float32 (N, T, u, v) in 0..1.
    """
    maps = [
        np.random.default_rng((seed, image, target)).random(size, dtype=np.float32)
        for image in range(first_image, first_image + integer("images", images))
        for target in range(integer("targets", targets))
    ]
    return np.stack(maps).reshape(images, targets, *size)


def centered_gaussian(
    images: int, targets: int = 1, *, size: tuple[int, int] = (56, 56), sigma: float = 0.25
) -> FloatArray:
    """Return a Gaussian in the middle of each image, where photographers put things.

    Args:
        images: The number of images, N.
        targets: The number of targets, T.
        size: (u, v).
        sigma: The standard deviation along each axis, as a share of its length.

    Returns:
        float32 (N, T, u, v) in 0..1.
    """
    lines = [((np.arange(cells) + 0.5) / cells - 0.5) / positive("sigma", sigma) for cells in size]
    gaussian = np.exp(-0.5 * np.add.outer(lines[0] ** 2, lines[1] ** 2)).astype(np.float32)
    return np.tile(gaussian, (integer("images", images), integer("targets", targets), 1, 1))
