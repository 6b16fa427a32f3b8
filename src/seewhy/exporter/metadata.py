"""What an exported model says of itself: where it comes from, what its heatmaps are, its classes and preprocessing."""

import json
import sys
from dataclasses import replace

import numpy as np

from seewhy.errors import ModelError, warn
from seewhy.explainer import Explainer
from seewhy.exporter.pixels import pixel_transform
from seewhy.frameworks.export_settings import PREFIX, Classes
from seewhy.models import Classifier
from seewhy.models.classifier import sidecar_of
from seewhy.models.sidecar import PreprocessingConfig, Sidecar
from seewhy.results.heatmaps import Heatmaps


def metadata(
    explainer: Explainer, heatmaps: Heatmaps, classes: Classes, *, takes_pixels: bool, is_placed: bool, tolerance: float
) -> dict[str, str]:
    """Return the metadata of an exported model, from key to text.

    Args:
        explainer: The source.
        heatmaps: Heatmaps of it, which tell the layer and the method.
        classes: The classes that are explained.
        takes_pixels: Whether the exported model takes pixels.
        is_placed: Whether its heatmaps have the size of its input.
        tolerance: How far it may deviate from the source.
    """
    classifier = explainer.classifier
    method = explainer.method if not explainer.method.is_auto else None
    own = {
        "version": package_version(),
        "model": str(classifier.name),
        "method": heatmaps.method,
        "options": json.dumps({} if method is None else method.options, default=str),
        "score": explainer.score,
        "signed": json.dumps(explainer.signed),
        "targets": _targets(classes),
        "placed": json.dumps(is_placed),
        "input_box": json.dumps(list(map(float, heatmaps.input_box))),
        "tolerance": json.dumps(tolerance),
    }
    fields = json.loads(_sidecar(classifier, takes_pixels=takes_pixels).as_json())
    fields.pop("version"), fields.pop("layer", None)
    own.update((name, json.dumps(value, ensure_ascii=False)) for name, value in fields.items())
    return {f"{PREFIX}{name}": value for name, value in own.items()}


def package_version() -> str:
    """Return the version of SeeWhy. An import of it here would be a cycle, as it names what this room has."""
    return str(sys.modules["seewhy"].__version__)


def _targets(classes: Classes) -> str:
    if classes is None:
        return "all"
    return f"top-{classes}" if isinstance(classes, int) else json.dumps(classes)


def _sidecar(classifier: Classifier, *, takes_pixels: bool) -> Sidecar:
    """Return class names, and how an image becomes the input of the exported model."""
    size = None if not _has_size(classifier) else classifier.input_size
    if takes_pixels:
        return Sidecar(classifier.class_names, size, _moving(classifier))
    try:
        return replace(sidecar_of(classifier), layer=None, input_size=size)
    except ModelError:  # a function of Python
        config = _as_scaling(classifier)
    if config is None:
        warn(
            f"The preprocessing of {classifier.name!r} is a function of Python, which the exported model does not "
            "record: give preprocessing=... when it is loaded; or export with preprocess=True."
        )
    return Sidecar(classifier.class_names, size, config)


def _as_scaling(classifier: Classifier) -> PreprocessingConfig | None:
    """Return a function of Python as a mean and a divisor of each channel; None where it is none."""
    transform = pixel_transform(classifier)
    if transform is None or transform.matrix.shape != (3, 3):
        return None
    scales = np.diag(transform.matrix)
    if np.count_nonzero(transform.matrix) != 3 or not np.all(scales > 0):
        return None
    means, stds = (list(map(float, values)) for values in (-transform.offset / scales, 1 / scales))
    return replace(_moving(classifier), mean=(means[0], means[1], means[2]), std=(stds[0], stds[1], stds[2]))


def _moving(classifier: Classifier) -> PreprocessingConfig:
    """Return how images are cropped and resized, without what is done to the values of pixels."""
    known = classifier.preprocessing
    if known is None:
        return PreprocessingConfig()
    return PreprocessingConfig(crop=known.crop, resize=known.resize, letterbox=known.letterbox, resample=known.resample)


def _has_size(classifier: Classifier) -> bool:
    try:
        return bool(classifier.input_size)
    except ModelError:
        return False
