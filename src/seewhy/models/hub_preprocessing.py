"""The preprocessing of torchvision, timm and open_clip, whose mean and std are for values in 0..1."""

from collections.abc import Sequence
from typing import get_args

from seewhy.errors import ModelError
from seewhy.models.preprocessing import Preprocessing, Resample

OWN_PREPROCESSING = (
    "Load the model yourself and give its preprocessing: "
    "seewhy.Classifier(model, preprocess=seewhy.Preprocessing(...))."
)


def hub_preprocessing(
    name: str,
    size: tuple[int, int],
    crop: float | None,
    interpolation: str,
    mean: Sequence[float],
    std: Sequence[float],
) -> Preprocessing:
    """Return the preprocessing. Its mean and std are for values in 0..255, those of the hubs for values in 0..1.

    Args:
        name: The model's name, for messages.
        size: (h, w) of the input, in pixels.
        crop: The fraction that the centre crop keeps; None resizes the whole image.
        interpolation: The filter.
        mean: Of each channel.
        std: Of each channel.

    Raises:
        ModelError: `Preprocessing` cannot express it.
    """
    if interpolation not in get_args(Resample):
        raise unsupported_transform(name, f"its interpolation is {interpolation!r}")
    if crop is not None and not 0 < crop <= 1:
        raise unsupported_transform(name, f"it pads images: its crop is {crop:.3f} of the image")
    red, green, blue = (255.0 * value for value in mean)
    scales = tuple(255.0 * value for value in std)
    return Preprocessing(
        size=size,
        crop=crop,
        resample=interpolation,  # type: ignore[arg-type]  # checked above
        mean=(red, green, blue),
        std=(scales[0], scales[1], scales[2]),
        channels_first=True,
    )


def unsupported_transform(name: str, reason: str) -> ModelError:
    """Return the error for a transform that `Preprocessing` cannot express."""
    return ModelError(
        f"The transform of {name} cannot be expressed as a seewhy.Preprocessing: {reason}. {OWN_PREPROCESSING}"
    )
