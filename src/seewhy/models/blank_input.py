"""An input for a model that has not been given one: a blank image, or one of noise."""

from collections.abc import Callable
from typing import Any

import numpy as np

from seewhy.errors import InputError, ModelError
from seewhy.frameworks.structures import leaf_shapes, leaves
from seewhy.models.classifier import Classifier
from seewhy.models.input_size import GIVE_RECORDINGS, KINDS, WITH_SIZES
from seewhy.models.samples import SampleInputs, preprocess_samples
from seewhy.types import ImageArray


def blank_image(height: int, width: int) -> ImageArray:
    """Return a black image, uint8 (h, w, 3)."""
    return np.zeros((height, width, 3), np.uint8)


def blank_input(classifier: Classifier) -> Any:
    """Return the input (1, ...) of a blank image, or zeros where the model does not take images.

    Args:
        classifier: Whose preprocessing or model has a size.

    Raises:
        InputError: The size of the input is not known.
    """
    if classifier.framework.input_count() > 1:
        return sample_of_images(classifier, blank_image).values
    shape = classifier.framework.input_shape()
    if (known := recording_shape(classifier)) is not None:
        return np.zeros(known, np.float32)
    if isinstance(shape, tuple) and all(isinstance(size, int) for size in shape[1:]):
        return np.zeros((1, *shape[1:]), np.float32)
    try:
        return classifier.preprocess([blank_image(*classifier.input_size)])
    except ModelError as error:
        raise InputError(
            f"The input size of the model {classifier.name!r} is unknown (its input shape is {shape}), so its layers "
            "cannot be listed. Give an input: Explainer.layers(inputs); or the size: seewhy.Classifier(model, "
            "input_size=(224, 224))."
        ) from error


def sample_of_images(classifier: Classifier, image: Callable[[int, int], ImageArray]) -> SampleInputs:
    """Return a sample for a model with several inputs: an image for each that takes images, and zeros for others.

    Args:
        classifier: Whose preprocessing or model has the sizes.
        image: Returns an image of (h, w).

    Raises:
        InputError: The shape of an input is not known.
    """
    framework, sizes = classifier.framework, classifier.input_sizes
    names, declared = framework.declared_inputs(), framework.input_shape()
    shapes: list[Any] = [None] * len(names) if declared is None else list(leaf_shapes(declared))
    types = [None] * len(names) if declared is None else leaves(framework.input_types())
    sample: dict[str, Any] = {}
    for name, shape, dtype in zip(names, shapes, types, strict=True):
        if name in sizes:
            sample[name] = image(*sizes[name])
        elif shape is not None:
            sample[name] = np.zeros([size or 1 for size in shape[1:]], dtype or np.float32)
        else:
            raise InputError(
                f"The shape of the input {name!r} of the model {classifier.name!r} is unknown, so its layers cannot be "
                "listed. Give inputs: Explainer.layers(inputs); or the size of each image: seewhy.Classifier(model, "
                f"input_size={{{name!r}: (224, 224)}})."
            )
    return preprocess_samples(classifier, [sample])


def recording_shape(classifier: Classifier) -> tuple[int, ...] | None:
    """Return the shape (1, ...) of the input of a model of volumes, signals or videos; None for one of images.

    Raises:
        InputError: Its size is not known.
    """
    framework, given = classifier.framework, classifier.given_size
    shape, axes = framework.input_shape(), framework.spatial_axes()
    if isinstance(shape, tuple) and len(shape) != 4 and all(isinstance(size, int) for size in shape[1:]):
        return (1, *shape[1:])
    if given is not None and len(given) != 2:
        channels = framework.input_channels() or 1
        return (1, channels, *given) if framework.channels_first else (1, *given, channels)
    has_size = given is not None or classifier.preprocessing is not None or framework.declared_size() is not None
    if axes in GIVE_RECORDINGS and not has_size:
        raise InputError(
            f"The model {classifier.name!r} takes {KINDS[axes]} of a size that is unknown (its input shape is {shape})"
            f", so its layers cannot be listed. Give it: {WITH_SIZES[axes]}."
        )
    return None
