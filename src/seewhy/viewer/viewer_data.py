"""The viewer's input: explanations as a dict that is ready for JSON.

The classes below are its format. Bytes are base64; sizes and boxes are in pixels of the image, and edges are counted
from its top left corner; probabilities are in 0..1; None stands for an unknown value.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from seewhy.errors import InputError, OptionError, did_you_mean, warn
from seewhy.images.colour import color_table
from seewhy.images.normalization import peak_values
from seewhy.images.style import Style
from seewhy.models import Prediction
from seewhy.viewer.explanation_like import ExplanationLike, TargetLike
from seewhy.viewer.photos import PhotoLimits, limits_for, photo_url

COLORMAPS = ("viridis", "inferno", "jet", "coolwarm")
"""The colour maps that a reader can choose; the last is for signed heatmaps. The default of `Style` is always there."""

SHOWN_PREDICTIONS = 5

Label = str | int | None
"""The true class of an image: its name or its index; None if it is unknown."""

Item = TypeVar("Item")

_NUMBER = re.compile(r" \(\d+\)$")
"""What tells detections of one class apart, as in "dog (2)"."""


class PredictionData(TypedDict):
    """A class and its probability."""

    index: int
    name: str
    probability: float


class TargetData(TypedDict):
    """One target and its heatmap.

    Attributes:
        index: The class, or -1.
        name: The class name, or a description of the target.
        score: The explained score.
        probability: None for a target that is not a class.
        has_evidence: Whether the heatmap has a positive value.
        peak: The value that is drawn as 1.
        signed_peak: The absolute value that is drawn as 1 where evidence against the target is shown too.
        heatmap: Base64 of float32 (rows, columns), little-endian, in the method's units.
        check: What the check of the heatmap says, in words; empty without one.
        box: [top, left, bottom, right] of a detection on the image; None for any other target.
    """

    index: int
    name: str
    score: float
    probability: float | None
    has_evidence: bool
    peak: float
    signed_peak: float
    heatmap: str
    check: str
    box: list[float] | None


class ExplanationData(TypedDict):
    """The explanation of an image by one model, method and layer.

    Attributes:
        model: The name of the model, or None.
        method: The name of the method.
        title: The name of the method as it is shown.
        layer: The path of the layer.
        predictions: The most probable classes of this model, best first.
        rows: Of each heatmap.
        columns: Of each heatmap.
        box: [top, left, bottom, right] of the heatmaps on the image.
        input: The same of the model's input. It differs where the model itself crops or pads its input; the model saw
            only what is in both.
        signed: Whether a heatmap has negative values: evidence against a target.
        speckled: Whether the heatmaps are smoothed before boxes are drawn, as in `Explanation.boxes`.
        targets: One for each heatmap.
    """

    model: str | None
    method: str
    title: str
    layer: str
    predictions: list[PredictionData]
    rows: int
    columns: int
    box: list[float]
    input: list[float]
    signed: bool
    speckled: bool
    targets: list[TargetData]


class ImageSummary(TypedDict):
    """What a gallery needs to know of an image before it is shown.

    An image may be given as its summary alone: the viewer then loads the full entry from its host when it is needed
    (`options.load`), so that a report of a thousand images opens at once.

    Attributes:
        name: The file name, or such as "image 3".
        label: The name of the true class, or None.
        correct: Whether the first prediction is the true class, or None.
        width: Of the image.
        height: Of the image.
        predictions: The most probable classes, best first.
        detections: The classes of the explained detections, the surest first; left out if there are none.
    """

    name: str
    label: str | None
    correct: bool | None
    width: int
    height: int
    predictions: list[PredictionData]
    detections: NotRequired[list[PredictionData]]


class ImageEntry(ImageSummary):
    """One image with all of its explanations.

    Attributes:
        photo: The URL of a copy of the image, data: or any that the host serves; it may be smaller than width x height.
        explanations: One for each model, method and layer.
        notice: What the reader must know of the image, such as that it is missing; left out if there is nothing.
    """

    photo: str
    explanations: list[ExplanationData]
    notice: NotRequired[str]


class StyleData(TypedDict):
    """How overlays are drawn until the reader changes it: the defaults of `seewhy.images.style.Style`.

    Attributes:
        alpha: The weight of the colours, 0..1.
        colormap: A name in the header's `colormaps`.
    """

    alpha: float
    colormap: str


class ViewerHeader(TypedDict):
    """The viewer's input without its images.

    Attributes:
        format: "seewhy-viewer".
        version: 1.
        colormaps: Name to base64 of uint8 (256, 3). "coolwarm" is for signed heatmaps.
        style: How overlays are drawn at first.
    """

    format: str
    version: int
    colormaps: dict[str, str]
    style: StyleData


class ViewerData(ViewerHeader):
    """The viewer's input.

    Attributes:
        images: In the order given.
    """

    images: list[ImageEntry]


def viewer_data(
    explanations: Iterable[ExplanationLike],
    *,
    labels: Sequence[Label] | None = None,
    limits: PhotoLimits | None = None,
    photo_urls: Sequence[str] | None = None,
) -> ViewerData:
    """Return the viewer's input for explanations, ready for JSON.

    Args:
        explanations: Explanations of one or more images. Those of the same image, read from one path or given as one
            array, become one entry, in which the reader chooses the method and the layer.
        labels: The true class of each explanation's image: a name or an index, or None.
        limits: The largest size of a photo; None chooses it by the number of images.
        photo_urls: Where each explanation's photo is served; None puts the photos into the data.

    Raises:
        InputError: No explanation was given.
        OptionError: The number of labels or URLs is not the number of explanations.
    """
    explanations = list(explanations)
    urls = _one_per_explanation("photo_urls", photo_urls, len(explanations))
    url_of = dict(zip(map(id, explanations), urls, strict=True))
    groups = group_by_image(explanations, labels)
    limits = limits or limits_for(len(groups))
    images = []
    for number, (group, label) in enumerate(groups, 1):
        url = url_of[id(group[0])] or photo_url(group[0].image, limits)
        images.append(image_entry(group, label, url, f"image {number}"))
    return {**viewer_header(), "images": images}


def viewer_header() -> ViewerHeader:
    """Return the viewer's input without its images."""
    style = Style()
    tables = {name: _base64(color_table(name)) for name in dict.fromkeys((*COLORMAPS, style.colormap))}
    return {
        "format": "seewhy-viewer",
        "version": 1,
        "colormaps": tables,
        "style": {"alpha": style.alpha, "colormap": style.colormap},
    }


def group_by_image(
    explanations: Sequence[ExplanationLike], labels: Sequence[Label] | None = None
) -> list[tuple[list[ExplanationLike], Label]]:
    """Return the explanations of each image with its label, in the order in which the images first occur.

    Raises:
        InputError: No explanation was given.
        OptionError: The number of labels is not the number of explanations.
    """
    if not explanations:
        raise InputError("There is nothing to show: no explanation was given.")
    groups: dict[object, tuple[list[ExplanationLike], Label]] = {}
    labels = _one_per_explanation("labels", labels, len(explanations))
    for explanation, label in zip(explanations, labels, strict=True):
        image = explanation.image
        key = id(image) if explanation.source is None else (explanation.source, image.shape)
        groups.setdefault(key, ([], label))[0].append(explanation)
    return list(groups.values())


def image_entry(explanations: Sequence[ExplanationLike], label: Label, photo: str, name: str) -> ImageEntry:
    """Return the entry of one image.

    Args:
        explanations: All explanations of that image.
        label: Its true class, or None.
        photo: The URL of the photo.
        name: The name of an image that was not read from a file.
    """
    first = explanations[0]
    height, width = first.placement.image_size
    label_name, correct = _compare(first.predictions, label)
    entry: ImageEntry = {
        "name": Path(first.source).name if first.source is not None else name,
        "label": label_name,
        "correct": correct,
        "width": width,
        "height": height,
        "photo": photo,
        "predictions": _top_predictions(first),
        "explanations": [_explanation_data(explanation) for explanation in explanations],
    }
    if detections := _detections(first.targets):
        entry["detections"] = detections
    return entry


def image_summary(image: ImageEntry) -> ImageSummary:
    """Return an entry without its photo and its explanations."""
    summary: ImageSummary = {
        "name": image["name"],
        "label": image["label"],
        "correct": image["correct"],
        "width": image["width"],
        "height": image["height"],
        "predictions": image["predictions"],
    }
    if "detections" in image:
        summary["detections"] = image["detections"]
    return summary


def _explanation_data(explanation: ExplanationLike) -> ExplanationData:
    heatmaps = np.asarray(explanation.heatmaps, dtype=np.float32)
    rows, columns = heatmaps.shape[1:]
    return {
        "model": explanation.model,
        "method": explanation.method,
        "title": explanation.title,
        "layer": explanation.layer,
        "predictions": _top_predictions(explanation),
        "rows": rows,
        "columns": columns,
        "box": [float(edge) for edge in explanation.placement.heatmap_box],
        "input": [float(edge) for edge in explanation.placement.box],
        "signed": bool((heatmaps < 0).any()),
        "speckled": explanation.peak_quantile < 1,
        "targets": _target_data(explanation),
    }


def _target_data(explanation: ExplanationLike) -> list[TargetData]:
    heatmaps = np.asarray(explanation.heatmaps, dtype=np.float32)
    peaks = peak_values(np.maximum(heatmaps, 0), explanation.peak_quantile).ravel().tolist()
    signed_peaks = peak_values(np.abs(heatmaps), explanation.peak_quantile).ravel().tolist()
    return [
        {
            "index": int(target.index),
            "name": target.name,
            "score": float(target.score),
            "probability": None if target.probability is None else float(target.probability),
            "has_evidence": bool(target.has_evidence),
            "peak": peak,
            "signed_peak": signed_peak,
            "heatmap": _base64(heatmap.astype("<f4")),
            "check": target.check,
            "box": _rows_first(target.box),
        }
        for target, heatmap, peak, signed_peak in zip(explanation.targets, heatmaps, peaks, signed_peaks, strict=True)
    ]


def _rows_first(box: tuple[float, float, float, float] | None) -> list[float] | None:
    """Return (left, top, right, bottom) in the order of the format's boxes."""
    return None if box is None else [float(box[edge]) for edge in (1, 0, 3, 2)]


def _detections(targets: Sequence[TargetLike]) -> list[PredictionData]:
    """Return the classes of the detections among targets, the surest first, without the numbers in their names."""
    found = [target for target in targets if target.box is not None]
    stems = [_NUMBER.sub("", target.name) for target in found]
    rows: list[PredictionData] = [
        {
            "index": int(target.index),
            "name": stem if stems.count(stem) > 1 else target.name,
            "probability": float(target.probability or 0),
        }
        for target, stem in zip(found, stems, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["probability"])


def _top_predictions(explanation: ExplanationLike) -> list[PredictionData]:
    return [
        {"index": index, "name": name, "probability": probability}
        for index, name, probability in explanation.predictions[:SHOWN_PREDICTIONS]
    ]


def _compare(predictions: Sequence[Prediction], label: Label) -> tuple[str | None, bool | None]:
    """Return the name of the true class, and whether it is the first prediction; None where that is unknown."""
    if label is None:
        return None, None
    classes = [row for row in predictions if row.index == label or _has_name(row, label)]
    is_known = bool(classes) or not predictions
    if not is_known:
        near = did_you_mean(str(label), [row.name for row in predictions])
        warn(f"The label {label!r} is not a class of the model, so that no verdict is given on the prediction.{near}")
    name = label if isinstance(label, str) else classes[0].name if classes else f"class {label}"
    return name, predictions[0] in classes if classes else None


def _has_name(prediction: Prediction, label: Label) -> bool:
    """Whether a label is a prediction's name, with or without the index that tells it from others of the same name."""
    if not isinstance(label, str):
        return False
    name = prediction.name
    return _folded(label) in (_folded(name), _folded(name.removesuffix(f" ({prediction.index})")))


def _folded(name: str) -> str:
    """Return a class name as it is compared: the folder tiger_cat holds images of the class "tiger cat"."""
    return name.casefold().replace("_", " ").replace("-", " ").strip()


def _one_per_explanation(name: str, values: Sequence[Item] | None, count: int) -> Sequence[Item | None]:
    if values is None:
        return [None] * count
    if isinstance(values, str) or len(values) != count:
        raise OptionError(f"{name} has {len(values)} entries for {count} explanations; expected one per explanation.")
    return values


def _base64(array: ArrayLike) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
