"""Models of torchvision and timm by their names, with their own weights, transforms and class names.

Their transforms resize an image's shorter side and cut out the centre; `Preprocessing` says the same as the fraction
that is kept. What it cannot say the same way is refused, not approximated.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, WeightsError, did_you_mean
from seewhy.models.class_names import ClassNames, imagenet
from seewhy.models.classifier import Classifier
from seewhy.models.preprocessing import Preprocessing, Resample
from seewhy.timing import Phase

SEED = 0


def load_torchvision(name: str, *, pretrained: bool) -> Classifier:
    """Load a model of torchvision, with the best of its weights.

    Raises:
        ModelError: torchvision has no such model, or none with weights, or its transform cannot be said; or it does
            not fit the torch that is installed.
        MissingExtraError: torchvision is not installed.
        WeightsError: The weights cannot be had.
    """
    try:
        with timing.phase(Phase.IMPORTING):
            import torchvision.models as models
    except ModuleNotFoundError as error:
        raise _missing("torchvision", error) from error
    except RuntimeError as error:
        raise _unfit(error) from error
    if name not in models.list_models():
        raise _unknown("torchvision", name, models.list_models())
    weights = getattr(models.get_model_weights(name), "DEFAULT", None)
    if weights is None:
        raise ModelError(f"torchvision has no weights for {name!r}, and so no transform. {_GIVE_YOUR_OWN}")
    preprocessing = torchvision_preprocessing(name, weights.transforms())
    model = _build(name, lambda: models.get_model(name, weights=weights if pretrained else None), pretrained)
    return Classifier(
        model,
        preprocess=preprocessing,
        class_names=weights.meta.get("categories"),
        name=f"torchvision:{name}",
    )


def load_timm(name: str, *, pretrained: bool) -> Classifier:
    """Load a model of timm; a tag names one of its weights: "resnet50.a1_in1k".

    Raises:
        ModelError: timm has no such model, or its transform cannot be said; or the torchvision that it imports does
            not fit the torch that is installed.
        MissingExtraError: timm is not installed.
        WeightsError: The weights cannot be had.
    """
    try:
        with timing.phase(Phase.IMPORTING):
            import timm
            import timm.data
    except ModuleNotFoundError as error:
        raise _missing("timm", error) from error
    except RuntimeError as error:  # timm imports torchvision
        raise _unfit(error) from error
    if not timm.is_model(name):
        raise _unknown("timm", name, timm.list_models())
    model = _build(name, lambda: timm.create_model(name, pretrained=pretrained), pretrained)
    return Classifier(
        model,
        preprocess=timm_preprocessing(name, timm.data.resolve_model_data_config(model)),
        class_names=timm_class_names(model.pretrained_cfg, model.num_classes),
        name=f"timm:{name}",
    )


def torchvision_preprocessing(name: str, transform: Any) -> Preprocessing:
    """Translate a transform of torchvision's weights, such as `ImageClassification`.

    Args:
        name: The model's, for messages.
        transform: Has `crop_size` and `resize_size` (one number for the shorter side, or both sides), in pixels;
            `mean` and `std` of values in 0..1; `interpolation`.

    Raises:
        ModelError: `Preprocessing` cannot say the same.
    """
    given: list[Any] = [
        getattr(transform, part, None) for part in ("crop_size", "resize_size", "mean", "std", "interpolation")
    ]
    if None in given:
        raise ModelError(
            f"torchvision:{name} is prepared by {type(transform).__name__}, which does not resize, cut and scale "
            "images as those of classifiers do. " + _GIVE_YOUR_OWN
        )
    crop_size, resize_size, mean, std, interpolation = given
    size, resized = _pair(crop_size), _numbers(resize_size)
    if len(resized) == 1:
        if size[0] != size[1]:
            raise _beyond("torchvision", name, f"it cuts {size[0]} x {size[1]} from a shorter side of {resized[0]}")
        crop = size[0] / resized[0]
    elif resized == size:
        crop = None
    else:
        raise _beyond("torchvision", name, f"it squeezes images to {resized} and cuts {size} from that")
    return _preprocessing("torchvision", name, size, crop, getattr(interpolation, "value", interpolation), mean, std)


def timm_preprocessing(name: str, config: Mapping[str, Any]) -> Preprocessing:
    """Translate what `timm.data.resolve_model_data_config` says.

    Args:
        name: The model's, for messages.
        config: `input_size` (3, h, w); `crop_pct`, the fraction kept; `crop_mode`; `mean` and `std` of values in 0..1;
            `interpolation`.

    Raises:
        ModelError: `Preprocessing` cannot say the same.
    """
    channels, height, width = config["input_size"]
    if channels != 3:
        raise _beyond("timm", name, f"it takes {channels} channels, and images have 3")
    fraction, mode = config.get("crop_pct", 1.0), config.get("crop_mode", "center")
    if mode == "squash" and fraction == 1:
        crop = None
    elif mode == "center":
        crop = fraction
    else:
        raise _beyond("timm", name, f"its crop_mode is {mode!r} with crop_pct {fraction}")
    interpolation, mean, std = config["interpolation"], config["mean"], config["std"]
    return _preprocessing("timm", name, (height, width), crop, interpolation, mean, std)


def timm_class_names(pretrained_cfg: Mapping[str, Any], classes: int) -> ClassNames | None:
    """Return the names that the weights' metadata have; ImageNet's, where it has 1,000 classes and no names."""
    names, descriptions = pretrained_cfg.get("label_names"), pretrained_cfg.get("label_descriptions") or {}
    if names is not None and len(names) == classes:
        shown = [descriptions.get(each, each) for each in names]
        return ClassNames(shown, ids=names if shown != list(names) else None)
    return imagenet() if classes == len(imagenet()) else None


_GIVE_YOUR_OWN = (
    "Load the model yourself and say how images become its input: "
    "seewhy.Classifier(model, preprocess=seewhy.Preprocessing(...))."
)


def _preprocessing(
    hub: str,
    name: str,
    size: tuple[int, int],
    crop: float | None,
    interpolation: str,
    mean: Sequence[float],
    std: Sequence[float],
) -> Preprocessing:
    """Return the preprocessing, whose mean and std are of values in 0..255 where the hubs' are in 0..1."""
    if interpolation not in get_args(Resample):
        raise _beyond(hub, name, f"its interpolation is {interpolation!r}")
    if crop is not None and not 0 < crop <= 1:
        raise _beyond(hub, name, f"it pads images, keeping {crop:.3f} of them")
    red, green, blue = (255.0 * each for each in mean)
    scales = tuple(255.0 * each for each in std)
    return Preprocessing(
        size=size,
        crop=crop,
        resample=interpolation,  # type: ignore[arg-type]  # it is one of Resample's, as was just seen
        mean=(red, green, blue),
        std=(scales[0], scales[1], scales[2]),
        channels_first=True,
    )


def _build(name: str, build: Callable[[], Any], pretrained: bool) -> Any:
    """Build a model in evaluation mode, its weights channels last in memory, which a processor reads faster.

    Random weights come from a fixed seed, and torch's own seed stays.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        try:
            return build().eval().to(memory_format=torch.channels_last)
        except (OSError, RuntimeError) as error:
            if not pretrained:
                raise
            raise WeightsError(f"Cannot get the weights of {name!r}: {error}") from error


def _numbers(value: Any) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


def _pair(value: Any) -> tuple[int, int]:
    numbers = _numbers(value)
    return (numbers[0], numbers[-1])


def _missing(package: str, error: ModuleNotFoundError) -> Exception:
    """Say what is not installed; where something else than the hub or torch is missing, that is another fault."""
    return MissingExtraError(str(error.name), "hubs") if error.name in (package, "torch") else error


def _unfit(error: RuntimeError) -> ModelError:
    """Say what torchvision's complaint of operators that do not exist means."""
    return ModelError(
        f"torchvision cannot be imported: {error}. It was built for another torch than the one that is installed. "
        "Install both anew from one place: pip install --force-reinstall torch torchvision"
    )


def _unknown(hub: str, name: str, known: Sequence[str]) -> ModelError:
    return ModelError(f"Unknown model {name!r} of {hub}.{did_you_mean(name, known)} It has {len(known)}.")


def _beyond(hub: str, name: str, why: str) -> ModelError:
    return ModelError(
        f"The transform of {hub}:{name} cannot be said as a seewhy.Preprocessing: {why}. {_GIVE_YOUR_OWN}"
    )
