"""The models of torchvision and timm by name, with their weights, transforms and class names.

Their transforms resize the shorter side of an image and take a centre crop, which `Preprocessing` expresses as the
fraction that the crop keeps. A transform that it cannot express exactly is an error.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, WeightsError, did_you_mean
from seewhy.models.class_names import ClassNames, imagenet
from seewhy.models.classifier import Classifier
from seewhy.models.hub_preprocessing import OWN_PREPROCESSING, hub_preprocessing, unsupported_transform
from seewhy.models.preprocessing import Preprocessing
from seewhy.timing import Phase

_logger = logging.getLogger("seewhy.models")

SEED = 0


def load_torchvision(name: str, *, pretrained: bool, classes: int | None = None) -> Classifier:
    """Load a model of torchvision, with its default weights.

    Args:
        name: The name in torchvision.
        pretrained: True for the default weights; False for random ones from a fixed seed.
        classes: The number of classes, of a model that is not pretrained; None for that of the default weights.

    Raises:
        ModelError: torchvision has no such model, has no weights for it, or has a transform that `Preprocessing` cannot
            express; or it does not match the installed version of torch.
        MissingExtraError: torchvision is not installed.
        WeightsError: The weights cannot be downloaded.
    """
    try:
        with timing.phase(Phase.IMPORTING):
            import torchvision.models as models
    except ModuleNotFoundError as error:
        raise _missing_extra("torchvision", error) from error
    except RuntimeError as error:
        raise incompatible_torch(error) from error
    if name not in models.list_models():
        raise _unknown_model("torchvision", name, models.list_models())
    weights = getattr(models.get_model_weights(name), "DEFAULT", None)
    is_detector = name in models.list_models(module=models.detection)
    if weights is None:
        raise ModelError(f"torchvision has no weights for {name!r}, and so no transform. {OWN_PREPROCESSING}")
    preprocessing = None if is_detector else torchvision_preprocessing(name, weights.transforms())
    options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    if not pretrained and name in models.list_models(module=models.segmentation):
        options["weights_backbone"] = None  # which would be downloaded
    if not pretrained and is_detector:
        options |= {"weights_backbone": None, _threshold_name(name): 0.0}  # random weights are sure of nothing
    model = _build(name, lambda: models.get_model(name, weights=weights if pretrained else None, **options), pretrained)
    return Classifier(
        model,
        preprocess=preprocessing or detector_preprocessing(model),
        class_names=weights.meta.get("categories") if classes is None else None,
        name=f"torchvision:{name}",
    )


def load_timm(name: str, *, pretrained: bool, classes: int | None = None) -> Classifier:
    """Load a model of timm; a tag selects among its weights: "resnet50.a1_in1k".

    Args:
        name: The name in timm.
        pretrained: True for the trained weights; False for random ones from a fixed seed.
        classes: The number of classes, of a model that is not pretrained; None for that of the trained weights.

    Raises:
        ModelError: timm has no such model, or has a transform that `Preprocessing` cannot express; or torchvision,
            which timm imports, does not match the installed version of torch.
        MissingExtraError: timm is not installed.
        WeightsError: The weights cannot be downloaded.
    """
    try:
        with timing.phase(Phase.IMPORTING):
            import timm
            import timm.data
    except ModuleNotFoundError as error:
        raise _missing_extra("timm", error) from error
    except RuntimeError as error:  # timm imports torchvision
        raise incompatible_torch(error) from error
    if not timm.is_model(name):
        raise _unknown_model("timm", name, timm.list_models())
    options = {} if classes is None else {"num_classes": classes}
    model = _build(name, lambda: timm.create_model(name, pretrained=pretrained, **options), pretrained)
    return Classifier(
        model,
        preprocess=timm_preprocessing(name, timm.data.resolve_model_data_config(model)),
        class_names=timm_class_names(model.pretrained_cfg, model.num_classes) if classes is None else None,
        name=f"timm:{name}",
    )


def torchvision_preprocessing(name: str, transform: Any) -> Preprocessing:
    """Return the preprocessing of a transform of torchvision's weights, such as `ImageClassification`.

    `SemanticSegmentation` resizes the shorter side and cuts nothing; the input is the square at its centre, so that all
    images have one size.

    Args:
        name: The model's name, for messages.
        transform: Has `crop_size`, unless it is `SemanticSegmentation`, and `resize_size` (one number for the shorter
            side, or both sides), in pixels; `mean` and `std` of values in 0..1; `interpolation`.

    Raises:
        ModelError: `Preprocessing` cannot express the transform.
    """
    names = ("crop_size", "resize_size", "mean", "std", "interpolation")
    values: list[Any] = [getattr(transform, name, None) for name in names]
    if type(transform).__name__ == "SemanticSegmentation":
        values[0] = values[1]
    if None in values:
        raise ModelError(
            f"The transform of torchvision:{name}, {type(transform).__name__}, is not one for classification or "
            f"semantic segmentation, with {', '.join(names)}. {OWN_PREPROCESSING}"
        )
    crop_size, resize_size, mean, std, interpolation = values
    size, resized = _pair(crop_size), _numbers(resize_size)
    if len(resized) == 1:
        if size[0] != size[1]:
            raise unsupported_transform(
                f"torchvision:{name}",
                f"it crops {size[0]} x {size[1]} from a shorter side of {resized[0]}",
            )
        crop = size[0] / resized[0]
    elif resized == size:
        crop = None
    else:
        raise unsupported_transform(f"torchvision:{name}", f"it resizes images to {resized} and crops {size}")
    return hub_preprocessing(
        f"torchvision:{name}", size, crop, getattr(interpolation, "value", interpolation), mean, std
    )


def detector_preprocessing(model: Any) -> Preprocessing:
    """Return the preprocessing of a detector of torchvision: the whole image, resized to a square.

    The detector itself normalizes its input, and resizes the shorter side to `min_size`, or all of it to a fixed size.
    A square of that size is not resized again, and needs no padding, so that all images have one size.

    Args:
        model: Has a `transform`.
    """
    fixed, sides = model.transform.fixed_size, model.transform.min_size
    size = (int(fixed[1]), int(fixed[0])) if fixed is not None else (int(sides[-1]), int(sides[-1]))
    return Preprocessing(size=size, std=255.0, channels_first=True)


def _threshold_name(name: str) -> str:
    """Return the argument below which a detector of torchvision drops detections."""
    return "box_score_thresh" if "rcnn" in name else "score_thresh"


def timm_preprocessing(name: str, config: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing of a config from `timm.data.resolve_model_data_config`.

    Args:
        name: The model's name, for messages.
        config: `input_size` (3, h, w); `crop_pct`, the fraction that the crop keeps; `crop_mode`; `mean` and `std` of
            values in 0..1; `interpolation`.

    Raises:
        ModelError: `Preprocessing` cannot express the transform.
    """
    channels, height, width = config["input_size"]
    if channels != 3:
        raise unsupported_transform(f"timm:{name}", f"its input has {channels} channels, and images have 3")
    fraction, mode = config.get("crop_pct", 1.0), config.get("crop_mode", "center")
    if mode == "squash" and fraction == 1:
        crop = None
    elif mode == "center":
        crop = fraction
    else:
        raise unsupported_transform(f"timm:{name}", f"its crop_mode is {mode!r} with crop_pct {fraction}")
    interpolation, mean, std = config["interpolation"], config["mean"], config["std"]
    return hub_preprocessing(f"timm:{name}", (height, width), crop, interpolation, mean, std)


def timm_class_names(pretrained_cfg: Mapping[str, Any], classes: int) -> ClassNames | None:
    """Return the class names in the weights' metadata; ImageNet's if there are none and the model has 1,000 classes."""
    names, descriptions = pretrained_cfg.get("label_names"), pretrained_cfg.get("label_descriptions") or {}
    if names is not None and len(names) == classes:
        described = [descriptions.get(name, name) for name in names]
        return ClassNames(described, ids=names if described != list(names) else None)
    return imagenet() if classes == len(imagenet()) else None


def _build(name: str, build: Callable[[], Any], pretrained: bool) -> Any:
    """Build a model in evaluation mode, with weights in the channels-last memory format, which is faster on a CPU.

    Random weights come from a fixed seed, and the state of torch's random generator is restored.
    """
    import torch

    if pretrained:
        _logger.info("the weights of %s are taken from the cache of its package, or downloaded to it", name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        try:
            return build().eval().to(memory_format=torch.channels_last)
        except (OSError, RuntimeError) as error:
            if not pretrained:
                raise
            raise WeightsError(f"Cannot load the weights of {name!r}: {error}") from error


def _numbers(value: Any) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


def _pair(value: Any) -> tuple[int, int]:
    numbers = _numbers(value)
    return (numbers[0], numbers[-1])


def _missing_extra(package: str, error: ModuleNotFoundError) -> Exception:
    """Return an error that names the extra with the hub or torch; the same error if another module is missing."""
    return MissingExtraError(str(error.name), "hubs") if error.name in (package, "torch") else error


def incompatible_torch(error: RuntimeError) -> ModelError:
    """Return an error that explains torchvision's message about operators that do not exist."""
    return ModelError(
        f"torchvision cannot be imported: {error}. It was built for another version of torch than the installed one. "
        "Install matching versions of both: pip install --force-reinstall torch torchvision"
    )


def _unknown_model(hub: str, name: str, known: Sequence[str]) -> ModelError:
    return ModelError(f"Unknown model {name!r} of {hub}.{did_you_mean(name, known)} {hub} has {len(known)} models.")
