"""The size of a model's input, as it was given or as the model has it, and the preprocessing that makes it."""

from typing import Any

from seewhy.errors import ModelError
from seewhy.models.classifier_settings import ClassifierSettings
from seewhy.models.preprocessing import Preprocessing


def image_size(classifier: ClassifierSettings) -> tuple[int, int]:
    """Return (h, w) of the input of a model that takes one image, in pixels.

    Raises:
        ModelError: It was not given, and the model accepts any size.
    """
    if classifier.preprocessing is not None:
        return classifier.preprocessing.size
    if classifier.given_size is not None:
        if len(classifier.given_size) != 2:
            raise ModelError(
                f"The model {classifier.name!r} takes inputs of the size {classifier.given_size}; an image has two "
                "axes."
            )
        return classifier.given_size[0], classifier.given_size[1]
    shape = classifier.framework.input_shape()
    size: tuple[int | None, ...] = ()
    if _is_image(shape):
        size = shape[2:] if classifier.framework.channels_first else shape[1:3]
    declared = classifier.framework.declared_size()
    if declared is not None:
        return declared
    if not size or size[0] is None or size[1] is None:
        raise ModelError(
            f"The input size of the model {classifier.name!r} is unknown (its input shape is {shape}). Give it: "
            "seewhy.Classifier(model, preprocess=..., input_size=(224, 224))."
        )
    return (size[0], size[1])


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
