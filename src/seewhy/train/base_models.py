"""Trained models without their last layers, to build others upon."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from seewhy.errors import ModelError, OptionError, did_you_mean
from seewhy.models import Preprocessing, efficientnet_lite0
from seewhy.models.keras_applications import applications

LITE0 = "efficientnet-lite0"
SIZE = 224
"""Pixels: the side of the images that a base of keras.applications is built for, unless another is asked for."""


class Base(NamedTuple):
    """A model from images to feature maps.

    Attributes:
        model: float32 (N, h, w, 3), preprocessed, to (N, u, v, K).
        preprocess: What a `Classifier` takes.
    """

    model: Any
    preprocess: Preprocessing | Callable[[Any], Any]


def build_base(name: str, *, pretrained: bool, size: int | None = None) -> Base:
    """Build a base.

    Args:
        name: "efficientnet-lite0", or one of `keras.applications`.
        pretrained: True for the ImageNet weights; False for random ones from a fixed seed.
        size: The side of its input, in pixels; None is 224.

    Raises:
        ModelError: There is no such model.
        OptionError: The model takes images of another size.
        WeightsError, MissingExtraError: The weights cannot be had.
    """
    if name == LITE0:
        return _lite0(pretrained, size)
    known = applications()
    application = known.get(name.lower())
    if application is None:
        raise ModelError(
            f"Unknown base {name!r}.{did_you_mean(name, [LITE0, *known])} Known: {LITE0}, and the names of "
            "keras.applications that 'seewhy models' lists."
        )
    side = size or SIZE
    try:
        model = application.build(pretrained=pretrained, include_top=False, input_shape=(side, side, 3))
    except ValueError as error:
        raise OptionError(f"{application.name} cannot be built for images of {side} x {side}: {error}") from error
    return Base(model, application.preprocess)


def _lite0(pretrained: bool, size: int | None) -> Base:
    height, width = efficientnet_lite0.PREPROCESSING.size
    if size not in (None, height):
        raise OptionError(f"{LITE0} takes images of {height} x {width}; given --size {size}. Leave it out.")
    whole = efficientnet_lite0.build_keras(pretrained=pretrained)
    features = whole.get_layer("top_relu6").output
    return Base(keras.Model(whole.input, features, name=whole.name), efficientnet_lite0.PREPROCESSING)
