"""The image processor of a Hugging Face model, `preprocessor_config.json`, as a `Preprocessing`.

A processor resizes an image, cuts out its centre, and scales its pixels. Its settings are read from the file alone, so
that the part of the image that the model sees is known. A processor that does anything else is refused, and so is a
file that leaves out what differs between versions of transformers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seewhy.errors import ModelError, short_repr
from seewhy.models.preprocessing import Preprocessing, Resample, is_input_size
from seewhy.types import FloatArray

Settings = Mapping[str, Any]
Size = tuple[int, int]

RESAMPLES: dict[Any, Resample] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of the filters; 4 and 5, box and Hamming, are used by no model."""

SQUASHED_FROM = 384
"""From this size on, ConvNeXt's processor resizes the whole image to a square and cuts nothing."""

HARMLESS = {"do_resize", "do_rescale", "do_normalize", "do_center_crop", "do_convert_rgb", "do_reduce_labels"}
"""The steps that are followed, or that change nothing of an RGB image."""

OWN_PREPROCESSING = (
    "Load the model yourself and give its preprocessing: seewhy.Classifier(transformers."
    "AutoModelForImageClassification.from_pretrained(...), preprocess=seewhy.Preprocessing(...))."
)


class _UnsupportedError(Exception):
    """A `Preprocessing` cannot express the processor; the message says why."""


@dataclass(frozen=True)
class _Plan:
    """How a processor finds the input on the image; the fields are those of `Preprocessing`."""

    size: Size
    resize: int | Size | None = None


@dataclass(frozen=True)
class _Kind:
    """A type of processor.

    Attributes:
        plan: Returns where the input lies.
        is_square: Whether one number for `size` means a square; else it is the size of the shorter side.
        crops: Whether it cuts out the centre where the file does not say.
        flips_channels: Whether it reverses the channels where the file does not say; None if it never does.
        normalizes: Whether it subtracts a mean at all.
    """

    plan: Callable[[Settings, "_Kind"], _Plan]
    is_square: bool = True
    crops: bool = False
    flips_channels: bool | None = None
    normalizes: bool = True


def hugging_face_preprocessing(name: str, settings: Settings, channels: int = 3) -> Preprocessing:
    """Return the preprocessing of an image processor.

    Args:
        name: The name of the model, for messages.
        settings: The content of `preprocessor_config.json`.
        channels: The number of channels that the model takes, 3 or 1.

    Raises:
        ModelError: `Preprocessing` cannot express what the processor does, or a setting is missing or invalid.
    """
    try:
        kind = _kind_of(settings)
        _check_steps(settings, kind)
        plan = kind.plan(settings, kind)
        mean, std = _colors(settings, kind)
        return Preprocessing(
            size=plan.size,
            resize=None if plan.resize == plan.size else plan.resize,
            resample=_resample(settings),
            mean=_of_channels(mean, channels),
            std=_of_channels(std, channels),
            finish=_reversed_channels if _flips_channels(settings, kind) else None,
            channels_first=True,
            grey=channels == 1,
        )
    except (_UnsupportedError, ModelError) as error:
        problem = str(error).rstrip(".")
        raise ModelError(
            f"The image processor of {name} cannot be expressed as a seewhy.Preprocessing: {problem}. "
            f"{OWN_PREPROCESSING}"
        ) from error


def _processor_type(settings: Settings) -> str:
    """Return the type's name without what depends on the version: old files name a feature extractor."""
    given = settings.get("image_processor_type") or settings.get("feature_extractor_type")
    if not isinstance(given, str):
        raise _UnsupportedError("its type, image_processor_type, is not given")
    name = given.replace("FeatureExtractor", "ImageProcessor")
    return name.removesuffix("Fast").removesuffix("Pil")


def _kind_of(settings: Settings) -> _Kind:
    name = _processor_type(settings)
    if name not in KINDS:
        raise _UnsupportedError(f"what {short_repr(name)} does is not known")
    return KINDS[name]


def _check_steps(settings: Settings, kind: _Kind) -> None:
    allowed = HARMLESS if kind.flips_channels is None else {*HARMLESS, "do_flip_channel_order"}
    if kind.plan is _detr:
        allowed = {*allowed, "do_pad", "do_convert_annotations"}  # inputs of one size need no padding
    for step, value in settings.items():
        if step.startswith("do_") and value and step not in allowed:
            raise _UnsupportedError(f"it has a step that is not known here, {step}")
    if not settings.get("do_resize", True):
        raise _UnsupportedError("it does not resize images, which come in any size")


def _plain(settings: Settings, kind: _Kind) -> _Plan:
    """The whole image, or its centre, resized."""
    resized = _size(settings, "size", kind.is_square)
    crop = _crop_size(settings, kind)
    return _cut(resized, crop)


def _detr(settings: Settings, _: _Kind) -> _Plan:
    """The whole image, resized to a square of `size`: all inputs have one size, and the sides are not kept in ratio."""
    given = settings.get("size")
    named = {key: side for key, side in given.items() if side is not None} if isinstance(given, Mapping) else {}
    if "shortest_edge" in named:
        settings = {**settings, "size": {"shortest_edge": named["shortest_edge"]}}
    size = _size(settings, "size", True)
    return _Plan((size, size) if isinstance(size, int) else size)


def _convnext(settings: Settings, kind: _Kind) -> _Plan:
    """A square of `size`; below 384 it is the centre, `crop_pct` of the shorter side."""
    size = _size(settings, "size", False)
    if not isinstance(size, int) or _crops(settings, kind):
        raise _UnsupportedError("it needs a size with 'shortest_edge', and crops no further")
    return _Plan((size, size), None if size >= SQUASHED_FROM else _share(size, settings.get("crop_pct", 224 / 256)))


def _poolformer(settings: Settings, kind: _Kind) -> _Plan:
    """The centre of an image that is resized to 1 / `crop_pct` of `size`."""
    size, share = _size(settings, "size", False), settings.get("crop_pct", 0.9)
    crop = _crop_size(settings, kind)
    if share is None:
        return _cut(size, crop)
    if isinstance(size, int):
        return _cut(_share(size, share), crop)
    height, width = (_share(side, share) for side in size)
    return _cut(height if size[0] == size[1] else (height, width), crop)


def _levit(settings: Settings, kind: _Kind) -> _Plan:
    """The shorter side is resized to 256/224 of what the file says."""
    size = _size(settings, "size", False)
    crop = _crop_size(settings, kind)
    return _cut(int((256 / 224) * size) if isinstance(size, int) else size, crop)


KINDS = {
    **dict.fromkeys(
        (
            "BeitImageProcessor",
            "DPTImageProcessor",
            "EfficientNetImageProcessor",
            "PvtImageProcessor",
            "SegformerImageProcessor",
            "SiglipImageProcessor",
            "ViTImageProcessor",
        ),
        _Kind(_plain),
    ),
    **dict.fromkeys(("DeiTImageProcessor", "EfficientFormerImageProcessor"), _Kind(_plain, crops=True)),
    **dict.fromkeys(
        (
            "BitImageProcessor",
            "CLIPImageProcessor",
            "ChineseCLIPImageProcessor",
            "MobileNetV1ImageProcessor",
            "MobileNetV2ImageProcessor",
            "ViTHybridImageProcessor",
        ),
        _Kind(_plain, is_square=False, crops=True),
    ),
    "MobileViTImageProcessor": _Kind(_plain, is_square=False, crops=True, flips_channels=True, normalizes=False),
    **dict.fromkeys(
        (
            "ConditionalDetrImageProcessor",
            "DeformableDetrImageProcessor",
            "DetrImageProcessor",
            "RTDetrImageProcessor",
            "YolosImageProcessor",
        ),
        _Kind(_detr),
    ),
    "ConvNextImageProcessor": _Kind(_convnext, is_square=False),
    "LevitImageProcessor": _Kind(_levit, is_square=False, crops=True),
    "PoolFormerImageProcessor": _Kind(_poolformer, is_square=False, crops=True),
}
"""The types of processors of image classifiers that a `Preprocessing` can express."""


def _cut(resized: int | Size, crop: Size | None) -> _Plan:
    if crop is not None:
        return _Plan(crop, resized)
    if isinstance(resized, int):
        raise _UnsupportedError(
            f"its inputs have no fixed size: it resizes the shorter side to {resized} and crops nothing"
        )
    return _Plan(resized)


def _crops(settings: Settings, kind: _Kind) -> bool:
    given = settings.get("do_center_crop")
    return kind.crops if given is None else bool(given)


def _crop_size(settings: Settings, kind: _Kind) -> Size | None:
    """Return (h, w) of the crop; None if nothing is cropped."""
    if not _crops(settings, kind):
        return None
    size = _size(settings, "crop_size", True)
    if isinstance(size, int):
        raise _UnsupportedError(f"its crop_size is {short_repr(settings['crop_size'])}")
    return size


def _size(settings: Settings, key: str, is_square: bool) -> int | Size:
    """Return (h, w), or one number for the shorter side; the file may hold a number, a list or an object."""
    given = settings.get(key)
    if given is None:
        raise _UnsupportedError(f"its file does not say {key!r}")
    sides: Any = given
    if isinstance(given, Mapping):
        named = {side: value for side, value in given.items() if value is not None}
        if set(named) == {"height", "width"}:
            sides = (named["height"], named["width"])
        elif set(named) == {"shortest_edge"}:
            sides, is_square = named["shortest_edge"], False
        else:
            raise _UnsupportedError(f"its {key} is {short_repr(given)}, which depends on the image")
    if type(sides) is int and is_input_size(sides, sides):
        return (sides, sides) if is_square else sides
    is_pair = isinstance(sides, (list, tuple)) and len(sides) == 2 and all(type(side) is int for side in sides)
    if is_pair and is_input_size(*sides):
        return (sides[0], sides[1])
    raise _UnsupportedError(f"its {key} is {short_repr(given)}")


def _share(size: int, share: Any) -> int:
    if not _is_number(share) or not 0.01 <= share <= 100:
        raise _UnsupportedError(f"its crop_pct is {short_repr(share)}")
    return int(size / share)


def _resample(settings: Settings) -> Resample:
    given = settings.get("resample")
    if type(given) is not int or given not in RESAMPLES:
        said = "its file does not say 'resample'" if given is None else f"its resample is {short_repr(given)}"
        raise _UnsupportedError(said)
    return RESAMPLES[given]


def _colors(settings: Settings, kind: _Kind) -> tuple[list[float], list[float]]:
    """Return the mean and the divisor of pixels in 0..255, for each channel."""
    factor = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    if not _is_number(factor) or not 1e-6 <= factor <= 1e6:
        raise _UnsupportedError(f"its rescale_factor is {short_repr(factor)}")
    offset = 1.0 if settings.get("do_rescale", True) and settings.get("rescale_offset") else 0.0
    mean, std = [0.0] * 3, [1.0] * 3
    if kind.normalizes and settings.get("do_normalize", True):
        mean, std = _channels(settings, "image_mean"), _channels(settings, "image_std")
    is_divided_twice = _processor_type(settings) == "EfficientNetImageProcessor" and settings.get("include_top", True)
    if is_divided_twice:
        std = [value * again for value, again in zip(std, _channels(settings, "image_std"), strict=True)]
    if min(map(abs, std)) < 1e-6:
        raise _UnsupportedError(f"its image_std is {short_repr(settings.get('image_std'))}")
    return [(value + offset) / factor for value in mean], [value / factor for value in std]


def _channels(settings: Settings, key: str) -> list[float]:
    given = settings.get(key)
    values: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    values = values * 3 if len(values) == 1 else values
    if len(values) != 3 or not all(map(_is_number, values)):
        raise _UnsupportedError(f"its {key} is {short_repr(given)}; expected a number for each of 3 channels")
    return [float(value) for value in values]


def _of_channels(values: list[float], channels: int) -> Any:
    """Return a number for each channel; for grey, the one that all channels share."""
    if channels == 1:
        if len(set(values)) > 1:
            raise _UnsupportedError(f"its model takes one channel, and its mean and std are for three: {values}")
        return values[0]
    if channels != 3:
        raise _UnsupportedError(f"its model takes {channels} channels, and images have 3")
    return tuple(values)


def _flips_channels(settings: Settings, kind: _Kind) -> bool:
    given = settings.get("do_flip_channel_order")
    return bool(kind.flips_channels if given is None or kind.flips_channels is None else given)


def _reversed_channels(images: FloatArray) -> FloatArray:
    """RGB to BGR."""
    return images[..., ::-1]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e6 <= value <= 1e6
