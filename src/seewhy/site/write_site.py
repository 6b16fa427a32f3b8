"""`seewhy.write_site`: a model as a page for any static host, which runs it in the visitor's browser."""

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from seewhy import methods
from seewhy.attribution.checks import check_images
from seewhy.errors import ModelError, OptionError
from seewhy.explainer import Explainer
from seewhy.exporter.exporter import Export, export
from seewhy.exporter.pixels import pixel_transform
from seewhy.exporter.scope import ALL, check_explainer, class_count
from seewhy.frameworks.export_settings import MAX_BACKWARD_PASSES, PREFIX
from seewhy.images.reading import ImageLike, read
from seewhy.models import Classifier
from seewhy.models.class_names import imagenet
from seewhy.models.classifier import preprocessing_of
from seewhy.site.browser_runtime import check_runtime
from seewhy.site.manifest import SiteModel
from seewhy.site.site_folder import Samples, check_folder, write_folder
from seewhy.targets import TargetSpec

MANY_CLASSES = "top-5"
"""What a model of many classes explains where each takes a backward pass."""

MAX_BYTES = 1_000_000_000
"""The maximum size of a model. A browser holds it twice while it prepares it, in at most 4 GB."""


def write_site(
    explainer: Explainer,
    folder: str | os.PathLike[str],
    *,
    targets: TargetSpec | None = None,
    samples: ImageLike | Iterable[ImageLike] | None = None,
) -> Path:
    """Write a page for any static host, which explains the visitor's photos in the visitor's browser.

    The model is exported with its heatmaps, as `seewhy.export` does, and runs in ONNX Runtime Web. The host only serves
    files; photos never leave the browser.

    Args:
        explainer: Explains the model, by a method and at a layer that `seewhy.export` takes.
        folder: The folder to write: a new or an empty one, or one with a site, which is replaced.
        targets: The classes that visitors can have explained: "all", "top-5", a class or a list of classes. None takes
            all where their heatmaps are one product, or are at most 32; otherwise the 5 most probable ones.
        samples: Sample photos that visitors can try. None takes three photos that come with SeeWhy for a model with the
            classes of ImageNet, and none for any other.

    Returns:
        The folder.

    Raises:
        MethodError, LayerError, TargetError, OptionError, ModelError: The explainer cannot be exported so.
        ImageError: A sample cannot be read.
        OutputError: The folder has other files or cannot be written; or ONNX Runtime Web is not in this installation.
        MissingExtraError: A package that exports the model is not installed.
    """
    destination = Path(folder)
    check_runtime()
    check_folder(destination)
    check_explainer(explainer)
    _check_preprocessing(explainer.classifier)
    photos = _samples(explainer.classifier, samples)
    with tempfile.TemporaryDirectory() as temporary:
        exported = _export(explainer, Path(temporary) / "model.onnx", targets)
        content = exported.path.read_bytes()
    if len(content) > MAX_BYTES:
        raise ModelError(
            f"The exported model has {len(content) / 1e9:.1f} GB; a browser runs at most {MAX_BYTES / 1e9:g} GB. Take "
            "a smaller model."
        )
    return write_folder(_site_model(explainer, exported, content), destination, photos)


def _check_preprocessing(classifier: Classifier) -> None:
    """Raise OptionError where the exported model could not do what is left of preprocessing."""
    preprocessing = preprocessing_of(classifier)
    if preprocessing.letterbox is not None or preprocessing.resample == "linear":
        raise OptionError(
            f"The preprocessing of {classifier.name!r} puts a border around images, or resizes them without averaging, "
            "which the page does not do. Give another, such as seewhy.Preprocessing(size, std=255.0)."
        )
    if pixel_transform(classifier) is None:
        raise OptionError(
            f"The preprocessing of {classifier.name!r} is more than cropping and resizing, which the page does, and a "
            "weighted sum of the channels of each pixel, which the exported model does. Give one that is no more, such "
            "as seewhy.Preprocessing(size, mean=..., std=...)."
        )


def _export(explainer: Explainer, path: Path, targets: TargetSpec | None) -> Export:
    """Export the model, with the heatmaps of all classes where they cost little."""
    if targets is not None:
        return export(explainer, path, targets=targets, preprocess=True)
    if _class_count(explainer) <= MAX_BACKWARD_PASSES:
        return export(explainer, path, targets=ALL, preprocess=True)
    exported = export(explainer, path, targets=MANY_CLASSES, preprocess=True)
    return exported if exported.backward_passes else export(explainer, path, targets=ALL, preprocess=True)


def _class_count(explainer: Explainer) -> int:
    classifier = explainer.classifier
    blank = np.zeros((*classifier.input_size, 3), np.uint8)
    return class_count(explainer, explainer.framework.check_inputs(classifier.preprocess([blank])))


def _site_model(explainer: Explainer, exported: Export, content: bytes) -> SiteModel:
    """Describe an exported model for the page."""
    method, about = methods.METHODS[exported.method], exported.metadata
    count, targets = _class_count(explainer), about[f"{PREFIX}targets"]
    top = int(targets.removeprefix("top-")) if targets.startswith("top-") else None
    first, start, last, stop = json.loads(about[f"{PREFIX}input_box"])
    return SiteModel(
        content=content,
        name=str(explainer.classifier.name),
        method=method.name,
        title=method.title,
        layer=exported.layer,
        input_box=(first, start, last, stop),
        preprocessing=preprocessing_of(explainer.classifier),
        class_names=explainer.classifier.class_names,
        class_count=count,
        top=top,
        classes=None if top is not None or targets == ALL else tuple(json.loads(targets)),
        peak_quantile=method.peak_quantile,
    )


def _samples(classifier: Classifier, samples: ImageLike | Iterable[ImageLike] | None) -> Samples:
    if samples is None:
        return Samples.of_seewhy() if classifier.class_names is imagenet() else Samples({}, {})
    images = check_images(samples)
    return Samples.of_images([read(image) for image in images], [_name(image) for image in images])


def _name(sample: ImageLike) -> str:
    return Path(sample).stem if isinstance(sample, (str, os.PathLike)) else "A sample"
