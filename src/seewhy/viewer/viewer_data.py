"""The viewer's input: explanations as a dict that is ready for JSON, whose format `viewer_format` defines."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from seewhy.errors import InputError, OptionError, did_you_mean, short_repr, warn
from seewhy.images.colour import color_table
from seewhy.images.normalization import peak_values
from seewhy.images.style import Style
from seewhy.models import Prediction
from seewhy.types import FloatArray
from seewhy.viewer.encoding import base64_of
from seewhy.viewer.explanation_like import (
    ExplainedLike,
    ExplanationLike,
    FramesLike,
    SampleLike,
    SignalLike,
    TargetLike,
)
from seewhy.viewer.kinds import kind_of
from seewhy.viewer.photos import PhotoLimits, limits_for
from seewhy.viewer.viewer_format import (
    ExplanationData,
    ImageEntry,
    ImageSummary,
    InputData,
    PredictionData,
    TargetData,
    ViewerData,
    ViewerHeader,
)

COLORMAPS = ("viridis", "inferno", "jet", "coolwarm")
"""The colour maps that a reader can choose; the last is for signed heatmaps. The default of `Style` is always there."""

SHOWN_PREDICTIONS = 5

Label = str | int | None
"""The true class of an image: its name or its index; None if it is unknown."""

Single = ExplanationLike | FramesLike | SignalLike
"""The explanation of an image, a volume, a video or a signal."""

Shown = Single | SampleLike
"""What the viewer shows: one of these, or the explanation of a sample of several images."""

Item = TypeVar("Item")

_NUMBER = re.compile(r" \(\d+\)$")
"""What tells detections of one class apart, as in "dog (2)"."""


def viewer_data(
    explanations: Iterable[Shown],
    *,
    labels: Sequence[Label] | None = None,
    limits: PhotoLimits | None = None,
    photo_urls: Sequence[str] | None = None,
) -> ViewerData:
    """Return the viewer's input for explanations, ready for JSON.

    Args:
        explanations: Explanations of one or more images, or of samples of several images. Those of the same image, read
            from one path or given as one array, become one entry, in which the reader chooses the method and the layer.
        labels: The true class of each explanation's image: a name or an index, or None.
        limits: The largest size of a photo; None chooses it by the number of images.
        photo_urls: Where each explanation's photo is served; None puts the photos into the data.

    Raises:
        InputError: No explanation was given.
        OptionError: The number of labels or URLs is not the number of explanations, or a sample of several images has
            one URL.
    """
    explanations = list(explanations)
    urls = _one_per_explanation("photo_urls", photo_urls, len(explanations))
    url_of = dict(zip(map(id, explanations), urls, strict=True))
    groups = group_by_image(explanations, labels)
    limits = limits or limits_for(len(groups))
    images = []
    for number, (group, label) in enumerate(groups, 1):
        url = url_of[id(group[0])]
        if url is not None and len(images_of(group[0])) > 1:
            raise OptionError(
                "photo_urls has one URL for a sample of several images; leave it out to embed the photos."
            )
        images.append(image_entry(group, label, f"image {number}", limits, url))
    return {**viewer_header(), "images": images}


def viewer_header() -> ViewerHeader:
    """Return the viewer's input without its images."""
    style = Style()
    tables = {name: base64_of(color_table(name)) for name in dict.fromkeys((*COLORMAPS, style.colormap))}
    return {
        "format": "seewhy-viewer",
        "version": 1,
        "colormaps": tables,
        "style": {"alpha": style.alpha, "colormap": style.colormap},
    }


def images_of(shown: Shown) -> dict[str, Single]:
    """Return the explanation of each image by the name of its input; of an image alone, by an empty name."""
    return dict(shown.items()) if isinstance(shown, SampleLike) else {"": shown}


def group_by_image(
    explanations: Sequence[Shown], labels: Sequence[Label] | None = None
) -> list[tuple[list[Shown], Label]]:
    """Return the explanations of each image or sample with its label, in the order in which the images first occur.

    Raises:
        InputError: No explanation was given.
        OptionError: The number of labels is not the number of explanations.
    """
    if not explanations:
        raise InputError("There is nothing to show: no explanation was given.")
    groups: dict[object, tuple[list[Shown], Label]] = {}
    labels = _one_per_explanation("labels", labels, len(explanations))
    for explanation, label in zip(explanations, labels, strict=True):
        key = tuple((name, _image_key(each)) for name, each in images_of(explanation).items())
        groups.setdefault(key, ([], label))[0].append(explanation)
    return list(groups.values())


def _image_key(explanation: Single) -> object:
    given, size = kind_of(explanation).given(explanation)
    return id(given) if explanation.source is None else (explanation.source, size)


def image_entry(
    explanations: Sequence[Shown], label: Label, name: str, limits: PhotoLimits, url: str | None = None
) -> ImageEntry:
    """Return the entry of one image, of one sample of several images, or of one recording.

    Args:
        explanations: All explanations of it.
        label: Its true class, or None.
        name: The name of an image that was not read from a file.
        limits: The largest size of a photo; it bounds recordings and their heatmaps too.
        url: Where the photo of an image is served; None puts it into the entry.
    """
    sample = explanations[0]
    images = images_of(sample)
    first = next(iter(images.values()))
    inputs = [_input_data(key, each, limits, url) for key, each in images.items()]
    label_name, correct = _compare(first.predictions, label)
    entry: ImageEntry = {
        "name": ", ".join(dict.fromkeys(Path(each.source).name for each in images.values() if each.source))
        or name.replace("image", first.noun),
        "label": label_name,
        "correct": correct,
        "width": inputs[0]["width"],
        "height": inputs[0]["height"],
        "photo": inputs[0]["photo"],
        "predictions": _top_predictions(first),
        "explanations": [_sample_data(explanation, limits) for explanation in explanations],
    }
    if len(inputs) > 1:
        entry["inputs"] = inputs
    if detections := _detections(first.targets):
        entry["detections"] = detections
    notes = [_other_inputs(sample), kind_of(first).add_recording(entry, first, limits)]
    if any(notes):
        entry["note"] = " ".join(filter(None, notes))
    return entry


def _other_inputs(shown: Shown) -> str:
    """Return what else the model received, in a sentence; nothing where it received nothing else."""
    if not isinstance(shown, SampleLike) or not shown.other_inputs:
        return ""
    others = ", ".join(f"{key} = {short_repr(value)}" for key, value in shown.other_inputs.items())
    return f"The model also received {others}."


def _input_data(name: str, explanation: Single, limits: PhotoLimits, url: str | None) -> InputData:
    photo = kind_of(explanation).photo(explanation, limits, url)
    return {"name": name, "width": photo.width, "height": photo.height, "photo": photo.url}


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


def _sample_data(shown: Shown, limits: PhotoLimits) -> ExplanationData:
    first, *others = (_explanation_data(each, limits) for each in images_of(shown).values())
    if others:
        first["others"] = others
    return first


def _explanation_data(explanation: Single, limits: PhotoLimits) -> ExplanationData:
    cells = kind_of(explanation).cells(explanation, limits)
    data: ExplanationData = {
        "model": explanation.model,
        "method": explanation.method,
        "title": explanation.title,
        "layer": explanation.layer,
        "predictions": _top_predictions(explanation),
        "rows": cells.rows,
        "columns": cells.columns,
        "box": cells.box,
        "input": cells.input,
        "signed": bool((np.asarray(explanation.heatmaps) < 0).any()),
        "speckled": explanation.peak_quantile < 1,
        "targets": _target_data(explanation, cells.values),
    }
    if cells.axes is not None:
        data["axes"] = cells.axes
    if cells.extent is not None:
        data["extent"] = cells.extent
    return data


def _target_data(explanation: ExplainedLike, cells: Sequence[FloatArray]) -> list[TargetData]:
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
            "heatmap": base64_of(heatmap.astype("<f4")),
            "check": target.check,
            "box": _rows_first(target.box),
        }
        for target, heatmap, peak, signed_peak in zip(explanation.targets, cells, peaks, signed_peaks, strict=True)
    ]


def _rows_first(box: tuple[float, float, float, float] | None) -> list[float] | None:
    """Return (left, top, right, bottom) in the order of the format's boxes."""
    return None if box is None else [float(box[edge]) for edge in (1, 0, 3, 2)]


def _detections(targets: Sequence[TargetLike]) -> list[PredictionData]:
    """Return the classes of the detections among targets, the surest first, without the numbers in their names.

    A detection that is a target twice, as the surest of all and of its class, is one.
    """
    found = list({(target.name, target.box): target for target in targets if target.box is not None}.values())
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


def _top_predictions(explanation: ExplainedLike) -> list[PredictionData]:
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
