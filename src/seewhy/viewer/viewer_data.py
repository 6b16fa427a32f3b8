"""What the viewer is given: explanations as a document, ready for JSON.

A document is a dict. Base64 stands for bytes; sizes and boxes are in pixels of the image, edges counted from its top
left corner; probabilities are in 0..1; null stands for what is not known.

    format          "seewhy-viewer"
    version         1
    colormaps       {name: base64 of uint8 (256, 3)}: "viridis", "inferno", "jet"; and "coolwarm" for what has a sign
    images        one for each image, in the order given:
      name          the file's name, or "image 3"
      label         the class that the image is known to be, or null
      correct       whether the first prediction is that class, or null
      width, height of the image
      photo         a URL: data:, or any that the host serves. The photo may be smaller than width x height
      predictions   the most probable classes, best first: [{index, name, probability}]
      maps          one for each model, method and layer that the image was explained by:
        model, method, title, layer
        predictions      as above, this model's own
        rows, columns    of each of its heatmaps
        box              [top, left, bottom, right] of what the model saw
        signed           whether a value is negative somewhere: evidence against a target was kept
        targets          [{index, name, score, probability, has_evidence, peak, signed_peak, values}]:
                         values is base64 of float32 (rows, columns), little-endian, in the method's units; `peak` is
                         the value that is drawn as 1, and `signed_peak` the same among absolute values

An image may also come without `photo` and `maps`: then the viewer asks the host for the whole of it once it is wanted
(`options.load`), which lets a report of a thousand images open at once.
"""

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seewhy.errors import InputError, OptionError
from seewhy.images.colour import color_table
from seewhy.images.normalization import peak_values
from seewhy.models import Prediction
from seewhy.viewer.photos import PhotoLimits, limits_for, photo_url

if TYPE_CHECKING:
    from seewhy.results.explanation import Explanation

COLORMAPS = ("viridis", "inferno", "jet", "coolwarm")
SHOWN_PREDICTIONS = 5

Label = str | int | None
"""The class an image is known to be: its name, or its index; None where that is not known."""


def document_of(
    explanations: Iterable["Explanation"],
    *,
    labels: Sequence[Label] | None = None,
    limits: PhotoLimits | None = None,
    photo_urls: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Make the document that shows explanations, ready for JSON.

    Args:
        explanations: Of one image or of several. Those of the same image, read from one path or given as one array,
            become one entry, with a choice of its methods and layers.
        labels: For each explanation the class that its image is known to be: a name or an index, or None.
        limits: How large the photos may be; None chooses by how many there are.
        photo_urls: For each explanation where its photo is served; None puts the photos into the document.

    Raises:
        InputError: There is no explanation.
        OptionError: There is not one label, or URL, for each explanation.
    """
    explanations = list(explanations)
    urls = _one_each("photo_urls", photo_urls, len(explanations))
    by_explanation = dict(zip(map(id, explanations), urls, strict=True))
    entries = entries_of(explanations, labels)
    limits = limits or limits_for(len(entries))
    images = []
    for number, (members, label) in enumerate(entries, 1):
        url = by_explanation[id(members[0])] or photo_url(members[0].image, limits)
        images.append(image_of(members, label, url, f"image {number}"))
    return {**frame(), "images": images}


def frame() -> dict[str, Any]:
    """Return a document without its images."""
    tables = {name: _base64(color_table(name)) for name in COLORMAPS}
    return {"format": "seewhy-viewer", "version": 1, "colormaps": tables}


def entries_of(
    explanations: Sequence["Explanation"], labels: Sequence[Label] | None = None
) -> list[tuple[list["Explanation"], Label]]:
    """Return the explanations of each image with its label, in the order of the first of each.

    Raises:
        InputError: There is no explanation.
        OptionError: There is not one label for each explanation.
    """
    if not explanations:
        raise InputError("There is nothing to show: no explanation was given.")
    entries: dict[object, tuple[list[Explanation], Label]] = {}
    for each, label in zip(explanations, _one_each("labels", labels, len(explanations)), strict=True):
        key = id(each.image) if each.source is None else (each.source, each.image.shape)
        entries.setdefault(key, ([], label))[0].append(each)
    return list(entries.values())


def image_of(explanations: Sequence["Explanation"], label: Label, photo: str, name: str) -> dict[str, Any]:
    """Return a document's entry for one image.

    Args:
        explanations: All of that image.
        label: The class it is known to be, or None.
        photo: The photo's URL.
        name: What it is called if it was read from no file.
    """
    first = explanations[0]
    height, width = first.placement.image_size
    return {
        "name": Path(first.source).name if first.source is not None else name,
        **_judged(first.predictions, label),
        "width": width,
        "height": height,
        "photo": photo,
        "predictions": _shown(first),
        "maps": [_maps(each) for each in explanations],
    }


def summary_of(image: dict[str, Any]) -> dict[str, Any]:
    """Return of an image's entry what a gallery needs before it shows the image."""
    return {name: value for name, value in image.items() if name not in ("photo", "maps")}


def _maps(explanation: "Explanation") -> dict[str, Any]:
    heatmaps = np.asarray(explanation.heatmaps, dtype=np.float32)
    peaks = peak_values(np.maximum(heatmaps, 0), explanation.peak_quantile).ravel().tolist()
    signed_peaks = peak_values(np.abs(heatmaps), explanation.peak_quantile).ravel().tolist()
    rows, columns = heatmaps.shape[1:]
    return {
        "model": explanation.model,
        "method": explanation.method,
        "title": explanation.title,
        "layer": explanation.layer,
        "predictions": _shown(explanation),
        "rows": rows,
        "columns": columns,
        "box": [float(edge) for edge in explanation.placement.box],
        "signed": bool((heatmaps < 0).any()),
        "targets": [
            {
                "index": int(target.index),
                "name": target.name,
                "score": float(target.score),
                "probability": None if target.probability is None else float(target.probability),
                "has_evidence": bool(target.has_evidence),
                "peak": peak_quantile,
                "signed_peak": signed_peak,
                "values": _base64(heatmap.astype("<f4")),
            }
            for target, heatmap, peak_quantile, signed_peak in zip(
                explanation.targets, heatmaps, peaks, signed_peaks, strict=True
            )
        ],
    }


def _shown(explanation: "Explanation") -> list[dict[str, Any]]:
    return [each._asdict() for each in explanation.predictions[:SHOWN_PREDICTIONS]]


def _judged(predictions: Sequence[Prediction], label: Label) -> dict[str, Any]:
    """Return the label as a name, and whether the first prediction is that class."""
    if label is None:
        return {"label": None, "correct": None}
    names = {each.index: each.name for each in predictions}
    name = names.get(label, f"class {label}") if isinstance(label, int) else label
    if not predictions:
        return {"label": name, "correct": None}
    best = predictions[0]
    is_it = best.index == label if isinstance(label, int) else _folded(best.name) == _folded(label)
    return {"label": name, "correct": is_it}


def _folded(name: str) -> str:
    """Return a class's name as it is compared: a folder is called tiger_cat, and the class tiger cat."""
    return name.casefold().replace("_", " ").replace("-", " ").strip()


def _one_each(what: str, given: Sequence[Any] | None, count: int) -> Sequence[Any]:
    if given is None:
        return [None] * count
    if isinstance(given, str) or len(given) != count:
        raise OptionError(f"{what} has {len(given)} entries for {count} explanations; expected one for each.")
    return given


def _base64(array: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
