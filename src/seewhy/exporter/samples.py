"""What an exported model is tested with: images that come with SeeWhy, images of noise, or those of the caller."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, final

import numpy as np
from PIL import Image

from seewhy.attribution.checks import check_images
from seewhy.errors import ModelError, OptionError, short_repr
from seewhy.exporter import pixels as pixel_inputs
from seewhy.frameworks.structures import InputBatch
from seewhy.images.reading import ImageLike, read
from seewhy.models import Classifier
from seewhy.types import ImageArray

EXAMPLES = ("cat.jpg", "coffee.jpg", "rocket.jpg")
"""The photos of the web page."""

NOISE_COUNT = 2

MAX_SAMPLES = 64


@final
@dataclass(frozen=True)
class Samples:
    """Samples for an exported model and for its source.

    Attributes:
        inputs: The input of the source.
        pixels: uint8 (N, h, w, 3), where the exported model takes pixels; else None.
    """

    inputs: InputBatch
    pixels: ImageArray | None

    def feeds(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the inputs of the exported model by name."""
        if self.pixels is not None:
            return {names[0]: self.pixels}
        values = list(self.inputs.values()) if isinstance(self.inputs, dict) else self.inputs
        listed = values if isinstance(values, list) else [values]
        return dict(zip(names, listed, strict=True))


def make_samples(classifier: Classifier, images: Iterable[ImageLike] | None, *, as_pixels: bool) -> Samples:
    """Return samples.

    Args:
        classifier: The source.
        images: The caller's; None for examples and noise.
        as_pixels: Whether the exported model takes pixels.

    Raises:
        ImageError: An image cannot be read.
        OptionError: There is none, or are too many.
        ModelError: The size of the model's input is not known.
    """
    shape = classifier.framework.input_shape()
    if not _takes_images(classifier, shape):
        if as_pixels or images is not None:
            what = "preprocess=True" if as_pixels else "samples=..."
            raise OptionError(f"{what} is for a model of one input of images. Leave it out.")
        noise = _noise(classifier, shape, classifier.framework.input_types())
        return Samples(classifier.framework.check_inputs(noise), None)
    chosen = _images(classifier, images)
    if as_pixels:
        resized = pixel_inputs.resized(classifier, chosen)
        return Samples(classifier.framework.check_inputs(pixel_inputs.scaled(classifier, resized)), resized)
    return Samples(classifier.framework.check_inputs(classifier.preprocess(chosen)), None)


def _images(classifier: Classifier, images: Iterable[ImageLike] | None) -> list[ImageArray]:
    if images is not None:
        if not isinstance(images, (str, os.PathLike, Image.Image, np.ndarray, Iterable)):
            raise OptionError(f"samples is {short_repr(images)}; expected images, such as a list of paths.")
        given = [read(image) for image in check_images(images)]
        if not 1 <= len(given) <= MAX_SAMPLES:
            raise OptionError(f"samples has {len(given)} images; expected 1 to {MAX_SAMPLES}.")
        return given
    folder = files("seewhy").joinpath("serve/page/samples")
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (*classifier.input_size, 3), np.uint8) for _ in range(NOISE_COUNT)]
    return [*(read(str(folder.joinpath(name))) for name in EXAMPLES), *noise]


def _takes_images(classifier: Classifier, shape: Any) -> bool:
    """Whether inputs of this shape are images; one that is not known is taken to be those."""
    if shape is None or classifier.has_preprocessing:
        return shape is None or isinstance(shape, tuple)
    return isinstance(shape, tuple) and len(shape) == 4 and bool({3, None} & {shape[1], shape[3]})


def _noise(classifier: Classifier, shape: Any, dtype: Any) -> Any:
    """Return noise of a shape (N, ...) and a type, or of each shape in a structure; whole numbers are 0 or 1.

    Those are ids in any vocabulary, and what masks hold.
    """
    if isinstance(shape, dict):
        return {name: _noise(classifier, each, dtype and dtype[name]) for name, each in shape.items()}
    if isinstance(shape, list) or (isinstance(shape, tuple) and any(isinstance(each, tuple) for each in shape)):
        types = dtype or [None] * len(shape)
        return [_noise(classifier, each, kind) for each, kind in zip(shape, types, strict=True)]
    if not all(isinstance(size, int) for size in shape[1:]):
        raise ModelError(
            f"The size of an input of the model {classifier.name!r} is unknown: its shape is {shape}. Export a model "
            "whose inputs have a size."
        )
    random, size = np.random.default_rng(0), (NOISE_COUNT, *shape[1:])
    if dtype is not None and dtype.kind in "iub":
        return random.integers(0, 2, size).astype(dtype)
    return random.standard_normal(size).astype(np.float32)
