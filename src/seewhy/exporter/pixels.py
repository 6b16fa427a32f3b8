"""Preprocessing as an affine function of each pixel, which a graph can compute: found by running it on images."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seewhy.errors import OptionError
from seewhy.frameworks.export_settings import PixelTransform
from seewhy.images.reading import ImageLike, read
from seewhy.models import Classifier
from seewhy.models.classifier import preprocessing_of
from seewhy.types import FloatArray, ImageArray

TOLERANCE = 1e-5
"""How far preprocessed pixels may be from those of an affine function, relative to the largest value."""


def resized(classifier: Classifier, images: Sequence[ImageLike]) -> ImageArray:
    """Return what a classifier shows its model of images, as pixels uint8 (N, h, w, 3) before they are scaled."""
    plain = replace(preprocessing_of(classifier), mean=0.0, std=1.0, finish=None, channels_first=False, grey=False)
    return np.asarray(plain([read(image) for image in images]).values, np.uint8)


def scaled(classifier: Classifier, pixels: ImageArray) -> FloatArray:
    """Return the model's input for pixels that already have its size."""
    preprocessing = replace(
        preprocessing_of(classifier),
        crop=None,
        resize=None,
        letterbox=None,
        channels_first=classifier.framework.channels_first,
    )
    return preprocessing(list(pixels)).values


def pixel_transform(classifier: Classifier) -> PixelTransform | None:
    """Return how pixels become the model's input; None where it is no affine function of each pixel alone."""
    size, is_grey = classifier.input_size, preprocessing_of(classifier).grey
    colors = np.array([[255]] if is_grey else np.diag([255] * 3))
    solid = [np.broadcast_to(np.uint8(color), (*size, 3)) for color in (np.zeros(3), *colors)]
    noise = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    noise = np.broadcast_to(noise[..., :1], noise.shape) if is_grey else noise
    values = _channels_last(scaled(classifier, np.stack([*solid, noise[0]])), classifier)
    if values is None:
        return None
    first = values[: len(solid), 0, 0].astype(np.float64)
    matrix = np.asarray((first[1:] - first[0]) / 255, np.float32)
    transform = PixelTransform(
        matrix=matrix,
        offset=np.asarray(first[0], np.float32),
        is_grey=is_grey,
        channels_first=classifier.framework.channels_first,
        size=size,
    )
    expected = noise[0, ..., : len(matrix)].astype(np.float32) @ matrix + transform.offset
    is_affine = np.abs(values[-1] - expected).max() <= TOLERANCE * max(float(np.abs(values).max()), 1e-6)
    return transform if is_affine else None


def require_transform(classifier: Classifier) -> PixelTransform:
    """Return how pixels become the model's input.

    Raises:
        OptionError: It is no affine function of each pixel.
    """
    transform = pixel_transform(classifier)
    if transform is None:
        raise OptionError(
            f"preprocess=True puts the preprocessing of {classifier.name!r} into the exported model, and it is not a "
            "weighted sum of the channels of each pixel. Leave it out: the model then takes its own input."
        )
    return transform


def _channels_last(values: FloatArray, classifier: Classifier) -> FloatArray | None:
    """Return inputs as (N, h, w, C); None where they are not images of the size of the input."""
    if values.ndim != 4:
        return None
    moved = np.moveaxis(values, 1, -1) if classifier.framework.channels_first else values
    return moved if moved.shape[1:3] == tuple(classifier.input_size) else None
