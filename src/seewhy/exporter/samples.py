"""What an exported model is tested with: pictures that come with SeeWhy, pictures of noise, or those of the caller."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, final

import numpy as np

from seewhy.attribution.checks import check_images
from seewhy.errors import OptionError
from seewhy.exporter import pixels as pixel_inputs
from seewhy.frameworks.structures import InputBatch, map_tree
from seewhy.images.reading import ImageLike, read
from seewhy.models import Classifier
from seewhy.models.blank_input import blank_input
from seewhy.types import ImageArray

EXAMPLES = ("cat.jpg", "coffee.jpg", "rocket.jpg")
"""The pictures of the web page."""

NOISE_PICTURES = 2

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
        ImageError: A picture cannot be read.
        OptionError: There is none, or are too many.
        InputError: The size of the model's input is not known.
    """
    blank = blank_input(classifier)
    if not _takes_pictures(blank):
        if as_pixels or images is not None:
            what = "preprocess=True" if as_pixels else "samples=..."
            raise OptionError(f"{what} is for a model of one input of images. Leave it out.")
        random = np.random.default_rng(0)
        noise = map_tree(lambda array: _noise(random, np.asarray(array)), blank)
        return Samples(classifier.framework.check_inputs(noise), None)
    pictures = _pictures(classifier, images)
    if as_pixels:
        resized = pixel_inputs.resized(classifier, pictures)
        return Samples(classifier.framework.check_inputs(pixel_inputs.scaled(classifier, resized)), resized)
    return Samples(classifier.framework.check_inputs(classifier.preprocess(pictures)), None)


def _pictures(classifier: Classifier, images: Iterable[ImageLike] | None) -> list[ImageArray]:
    if images is not None:
        given = [read(image) for image in check_images(images)]
        if not 1 <= len(given) <= MAX_SAMPLES:
            raise OptionError(f"samples has {len(given)} pictures; expected 1 to {MAX_SAMPLES}.")
        return given
    folder = files("seewhy").joinpath("serve/page/samples")
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (*classifier.input_size, 3), np.uint8) for _ in range(NOISE_PICTURES)]
    return [*(read(str(folder.joinpath(name))) for name in EXAMPLES), *noise]


def _takes_pictures(blank: Any) -> bool:
    shape = getattr(blank, "shape", ())
    return len(shape) == 4 and (shape[1] in (1, 3) or shape[3] in (1, 3))


def _noise(random: np.random.Generator, array: Any) -> Any:
    shape = (NOISE_PICTURES, *array.shape[1:])
    return random.standard_normal(shape).astype(np.float32) if array.dtype.kind == "f" else np.zeros(shape, array.dtype)
