"""The preprocessing that libraries give with a model, as a `Preprocessing`: of Hugging Face and of open_clip."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from seewhy.models.hub_preprocessing import hub_preprocessing, unsupported_transform
from seewhy.models.hugging_face_processor import hugging_face_preprocessing
from seewhy.models.preprocessing import Preprocessing

STEPS_WITHOUT_EFFECT = ("ToTensor", "MaybeToTensor", "MaybeConvertMode", "function")
"""Steps of a transform that only convert: to RGB, which images are, or to a tensor."""


def as_preprocessing(given: Any) -> Any:
    """Return what a caller gave as `preprocess`; that of a library as a `Preprocessing`.

    Raises:
        ModelError: `Preprocessing` cannot express it.
    """
    kinds = _kinds(given)
    if "ProcessorMixin" in kinds:
        given = given.image_processor
    if kinds & {"ProcessorMixin", "BaseImageProcessor", "ImageProcessingMixin"}:
        return hugging_face_preprocessing(type(given).__name__, json.loads(given.to_json_string()))
    if type(given).__name__ == "Compose" and type(given).__module__.startswith("torchvision."):
        return transform_preprocessing(given)
    return given


def tokenizer_of(given: Any) -> Any:
    """Return the tokenizer of a processor of Hugging Face; None of anything else."""
    return getattr(given, "tokenizer", None) if "ProcessorMixin" in _kinds(given) else None


def transform_preprocessing(compose: Any) -> Preprocessing:
    """Return the preprocessing of a transform as open_clip makes it: resize, centre crop, normalize.

    Raises:
        ModelError: It does anything else.
    """
    steps = {type(step).__name__: step for step in compose.transforms}
    unknown = [name for name in steps if name not in ("Resize", "CenterCrop", "Normalize", *STEPS_WITHOUT_EFFECT)]
    resize, crop, normalize = (steps.get(name) for name in ("Resize", "CenterCrop", "Normalize"))
    if unknown or resize is None or normalize is None:
        what = f"it has the step {unknown[0]}" if unknown else "it lacks Resize or Normalize"
        raise unsupported_transform("the model", what)
    config = {
        "size": crop.size if crop is not None else resize.size,
        "resize": resize.size,
        "interpolation": getattr(resize.interpolation, "value", resize.interpolation),
        "mean": normalize.mean,
        "std": normalize.std,
    }
    return _resized("the model", config)


def open_clip_preprocessing(name: str, config: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing of a model of open_clip from its `preprocess_cfg`.

    Raises:
        ModelError: `Preprocessing` cannot express it.
    """
    mode = config.get("resize_mode", "shortest")
    if mode not in ("shortest", "squash"):
        raise unsupported_transform(name, f"its resize_mode is {mode!r}")
    size = _pair(config["size"])
    squashed: Any = size if mode == "squash" else min(size)
    return _resized(name, {**config, "size": size, "resize": squashed})


def _resized(name: str, config: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing that resizes the shorter side, or the whole image where there are two sizes."""
    size, resize = _pair(config["size"]), config["resize"]
    sides = (resize,) if isinstance(resize, int) else tuple(resize)
    if len(sides) == 2 and sides != size:
        raise unsupported_transform(name, f"it resizes images to {sides} and cuts {size}")
    interpolation, mean, std = str(config["interpolation"]), config["mean"], config["std"]
    whole = hub_preprocessing(name, size, None, interpolation, mean, std)
    return whole if len(sides) == 2 else replace(whole, resize=sides[0])


def _pair(size: Any) -> tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else tuple(size)
    return (int(sides[0]), int(sides[-1]))


def _kinds(value: Any) -> set[str]:
    return {base.__name__ for base in type(value).__mro__ if base.__module__.startswith("transformers.")}
