"""Base models for transfer learning: trained models without their classification layers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from seewhy.errors import ModelError, OptionError, did_you_mean
from seewhy.models import Preprocessing, efficientnet_lite0
from seewhy.models.keras_applications import applications

LITE0 = "efficientnet-lite0"
SIZE = 224
"""The default input size, in pixels, of a base model of keras.applications."""


class BaseModel(NamedTuple):
    """A model that turns images into feature maps.

    Attributes:
        model: From float32 (N, h, w, 3), preprocessed, to feature maps (N, u, v, K).
        preprocess: Its preprocessing, as `Classifier` takes it.
    """

    model: Any
    preprocess: Preprocessing | Callable[[Any], Any]


def build_base(name: str, *, pretrained: bool, size: int | None = None) -> BaseModel:
    """Build a base model.

    Args:
        name: "efficientnet-lite0", or a model of `keras.applications`.
        pretrained: True for the ImageNet weights; False for random ones from a fixed seed.
        size: The height and width of its input, in pixels; None is 224.

    Raises:
        ModelError: There is no such model.
        OptionError: The model does not support this size.
        WeightsError, MissingExtraError: The weights cannot be downloaded or are not installed.
    """
    if name == LITE0:
        return _lite0(pretrained, size)
    known = applications()
    application = known.get(name.lower())
    if application is None:
        raise ModelError(
            f"Unknown base model {name!r}.{did_you_mean(name, [LITE0, *known])} Known: {LITE0}, and the models of "
            "keras.applications that 'seewhy models' lists."
        )
    side = size or SIZE
    try:
        model = application.build(pretrained=pretrained, include_top=False, input_shape=(side, side, 3))
    except ValueError as error:
        raise OptionError(f"{application.name} cannot be built for images of {side} x {side}: {error}") from error
    return BaseModel(model, application.preprocess)


def _lite0(pretrained: bool, size: int | None) -> BaseModel:
    height, width = efficientnet_lite0.PREPROCESSING.size
    if size not in (None, height):
        raise OptionError(f"{LITE0} takes images of {height} x {width}; --size {size} was given. Leave it out.")
    model = efficientnet_lite0.build_keras(pretrained=pretrained)
    features = model.get_layer("top_relu6").output
    return BaseModel(keras.Model(model.input, features, name=model.name), efficientnet_lite0.PREPROCESSING)
