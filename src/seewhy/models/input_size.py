"""The size of a model's input, as it was given or as the model has it, and the preprocessing that makes it."""

from typing import Any

from seewhy.errors import ModelError
from seewhy.models.classifier_settings import ClassifierSettings
from seewhy.models.preprocessing import Preprocessing

KINDS = {1: "signals", 2: "images", 3: "volumes or videos"}
"""What a model takes, by the number of its spatial axes."""

GIVE_RECORDINGS = {
    1: "Give a seewhy.Signal, or the path of one.",
    3: "Give a seewhy.Volume, a seewhy.Video, or the path of one.",
}
"""What to do with such a model instead of giving it an image."""

WITH_SIZES = {
    1: "seewhy.Classifier(model, input_size=(16000,))",
    2: "seewhy.Classifier(model, input_size=(224, 224))",
    3: "seewhy.Classifier(model, input_size=(32, 64, 64))",
}
"""How to say the size that such a model takes."""


def image_size(classifier: ClassifierSettings) -> tuple[int, int]:
    """Return (h, w) of the input of a model that takes one image, in pixels.

    Raises:
        ModelError: It was not given, and the model accepts any size; or it takes volumes, signals or videos.
    """
    if classifier.preprocessing is not None:
        return classifier.preprocessing.size
    if classifier.given_size is not None:
        if len(classifier.given_size) != 2:
            raise takes_no_images(classifier, len(classifier.given_size))
        return classifier.given_size[0], classifier.given_size[1]
    shape = classifier.framework.input_shape()
    size: tuple[int | None, ...] = ()
    if _is_image(shape):
        size = shape[2:] if classifier.framework.channels_first else shape[1:3]
    declared = classifier.framework.declared_size()
    if declared is not None:
        return declared
    if (axes := classifier.framework.spatial_axes()) in GIVE_RECORDINGS:
        raise takes_no_images(classifier, axes)
    if not size or size[0] is None or size[1] is None:
        raise ModelError(
            f"The input size of the model {classifier.name!r} is unknown (its input shape is {shape}). Give it: "
            "seewhy.Classifier(model, preprocess=..., input_size=(224, 224))."
        )
    return (size[0], size[1])


def takes_no_images(classifier: ClassifierSettings, axes: int) -> ModelError:
    """Return the error for an image that a model of volumes, signals or videos was given.

    Args:
        classifier: Has the model.
        axes: The number of its spatial axes, 1 or 3.
    """
    shape, size = classifier.framework.input_shape(), classifier.given_size
    if size is not None and len(size) == axes:
        reason = f"its input size is {size}"
    elif shape is None:  # a module declares no shape; it may turn images into something else before that
        reason = f"its first convolution has {axes} spatial {'axis' if axes == 1 else 'axes'}"
    else:
        reason = f"its input shape is {shape}"
    message = f"The model {classifier.name!r} takes {KINDS[axes]}, and no images: {reason}. {GIVE_RECORDINGS[axes]}"
    if size is None and shape is None:
        message += f" If it takes images, say so: {WITH_SIZES[2]}."
    elif axes == 1 and size is None and all(isinstance(side, int) for side in shape[1:]):  # an axis may be left out
        message += (
            " If its axes are the rows and columns of grey images, give what makes them: seewhy.Classifier(model, "
            f"preprocess=function, input_size={tuple(shape[1:])}), with a function from (N, h, w, 3) to (N, h, w)."
        )
    return ModelError(message)


def fixed_size(classifier: ClassifierSettings, axes: int) -> tuple[int | None, ...]:
    """Return the size of the input along each of its spatial axes; None where the model takes any.

    Args:
        classifier: Has the size that was given, or a model that has it.
        axes: The number of axes; for three, a size (h, w) is that of the frames of a video.
    """
    shape = classifier.framework.input_shape()
    size: tuple[int | None, ...] = (None,) * axes
    if isinstance(shape, tuple) and len(shape) == axes + 2:
        size = tuple(shape[2:] if classifier.framework.channels_first else shape[1:-1])
    given = classifier.given_size if classifier.preprocessing is None else classifier.preprocessing.size
    if given is None or len(given) > axes:
        return size
    return (*size[: axes - len(given)], *given)


def preprocessing_of(classifier: ClassifierSettings) -> Preprocessing:
    """Return the preprocessing of a classifier, also where a function or none was given.

    Raises:
        ModelError: The input size is unknown.
    """
    return classifier.preprocessing or Preprocessing(size=classifier.input_size, finish=classifier.finish)


def _is_image(shape: Any) -> bool:
    return isinstance(shape, tuple) and len(shape) == 4
