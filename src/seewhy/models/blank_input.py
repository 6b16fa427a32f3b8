"""An input for a model that has not been given one: a blank image."""

from typing import Any

import numpy as np

from seewhy.errors import InputError, ModelError
from seewhy.models.classifier import Classifier


def blank_input(classifier: Classifier) -> Any:
    """Return the input (1, ...) of a blank image, or zeros where the model does not take images.

    Args:
        classifier: Whose preprocessing or model has a size.

    Raises:
        InputError: The size of the input is not known.
    """
    shape = classifier.framework.input_shape()
    if (known := recording_shape(classifier)) is not None:
        return np.zeros(known, np.float32)
    if isinstance(shape, tuple) and all(isinstance(size, int) for size in shape[1:]):
        return np.zeros((1, *shape[1:]), np.float32)
    try:
        return classifier.preprocess([np.zeros((*classifier.input_size, 3), np.uint8)])
    except ModelError as error:
        raise InputError(
            f"The input size of the model {classifier.name!r} is unknown (its input shape is {shape}), so its layers "
            "cannot be listed. Give an input: Explainer.layers(inputs); or the size: seewhy.Classifier(model, "
            "input_size=(224, 224))."
        ) from error


def recording_shape(classifier: Classifier) -> tuple[int, ...] | None:
    """Return the shape (1, ...) of the input of a model of volumes, signals or videos, where its size is known.

    Where only its size was given, it has one channel.
    """
    shape, given = classifier.framework.input_shape(), classifier.given_size
    if isinstance(shape, tuple) and len(shape) != 4 and all(isinstance(size, int) for size in shape[1:]):
        return (1, *shape[1:])
    if given is None or len(given) == 2:
        return None
    return (1, 1, *given) if classifier.framework.channels_first else (1, *given, 1)
