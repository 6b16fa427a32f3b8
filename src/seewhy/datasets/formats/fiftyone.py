"""FiftyOne's JSON of a data set, which `fiftyone.Dataset.from_json` reads."""

import base64
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from seewhy.datasets.formats.image_locations import Locate, image_locations
from seewhy.datasets.formats.json_lists import as_json, as_number, write_list
from seewhy.datasets.formats.placed_heatmaps import PLACED_COLUMNS, heatmap_bytes
from seewhy.datasets.readable_output import Filter, ReadableOutput, Row
from seewhy.images.writing import write_atomically
from seewhy.types import ImageArray

PIXELS_PER_CELL, MAX_SIDE = 4, 64
"""The longest side of a heatmap, for each of its cells and at most: FiftyOne has all of them in its database."""

_FIELDS = "fiftyone.core.fields"
_LABELS = "fiftyone.core.labels"


def write_fiftyone(output: ReadableOutput, path: Path, where: Filter, images: str | None) -> None:
    """Write the results of a run as a data set of FiftyOne; see `Output.to_fiftyone`."""
    locate = image_locations(output, images)
    settings = output.settings
    head = {
        "name": f"{settings['model']} {settings['method']}",
        "media_type": "image",
        "sample_fields": _sample_fields(settings["heatmap_shape"][0]),
        "info": {name: settings[name] for name in ("model", "method", "layer", "source", "seewhy_version")},
    }

    def write(file: BinaryIO) -> None:
        file.write(as_json(head)[:-1] + b',\n"samples": ')
        columns = ["position", "key", "label", "predictions", "targets", *PLACED_COLUMNS]
        write_list(file, _samples(output, columns, where, locate))
        file.write(b"}\n")

    write_atomically(path, write, durable=True)


def _sample_fields(targets: int) -> dict[str, str]:
    """Return the type of each field, as FiftyOne names it."""
    labels = {"ground_truth": "Classification", "prediction": "Classification", "evidence": "Detections"}
    labels |= {heatmap_field(number): "Heatmap" for number in range(targets)}
    return {
        "position": f"{_FIELDS}.IntField",
        "key": f"{_FIELDS}.StringField",
        **{name: f"{_FIELDS}.EmbeddedDocumentField({_LABELS}.{kind})" for name, kind in labels.items()},
    }


def heatmap_field(target: int) -> str:
    """Return the name of the field of the heatmap of a target, by its number."""
    return "heatmap" if target == 0 else f"heatmap_{target + 1}"


def _samples(output: ReadableOutput, columns: list[str], where: Filter, locate: Locate) -> Iterator[dict[str, Any]]:
    quantile = output.settings["peak_quantile"]
    side = min(PIXELS_PER_CELL * max(output.settings["heatmap_shape"][1:]), MAX_SIDE)
    for row in output.rows(columns, where):
        best = row["predictions"][0] if row["predictions"] else None
        sample = {
            "filepath": locate(row),
            "tags": [],
            "metadata": {"_cls": "ImageMetadata", "width": row["width"], "height": row["height"]},
            "position": row["position"],
            "key": row["key"],
            "ground_truth": None if row["label"] is None else _classification(row["label"]),
            "prediction": None if best is None else _classification(best["name"], best["probability"]),
            "evidence": {"_cls": "Detections", "detections": list(_detections(row))},
        }
        for number, target in enumerate(row["targets"]):
            values = heatmap_bytes(row, number, quantile, side)
            field = {"_cls": "Heatmap", "tags": [], "map": _as_binary(values), "range": [0, 255]}
            sample[heatmap_field(number)] = {**field, "label": target["name"], "score": as_number(target["score"])}
        yield sample


def _classification(label: str, confidence: float | None = None) -> dict[str, Any]:
    return {"_cls": "Classification", "tags": [], "label": label, "confidence": as_number(confidence)}


def _detections(row: Row) -> Iterator[dict[str, Any]]:
    """Yield the boxes, as shares of the image's sides."""
    width, height = row["width"], row["height"]
    for target in row["targets"]:
        if (box := target["box"]) is not None:
            sides = (box["right"] - box["left"]) / width, (box["bottom"] - box["top"]) / height
            yield {
                "_cls": "Detection",
                "tags": [],
                "attributes": {},
                "label": target["name"],
                "bounding_box": [box["left"] / width, box["top"] / height, *sides],
                "confidence": as_number(target["probability"]),
            }


def _as_binary(values: ImageArray) -> dict[str, Any]:
    """Return an array as FiftyOne has it in its database: NumPy's format, compressed, in MongoDB's JSON for bytes."""
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    text = base64.b64encode(zlib.compress(content.getvalue())).decode("ascii")
    return {"$binary": {"base64": text, "subType": "00"}}
