"""The columns of the output, and turning what was explained into rows."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from seewhy.datasets.arrow import pyarrow
from seewhy.errors import ImageError, SeewhyError
from seewhy.images.bounding_boxes import BoundingBox
from seewhy.images.geometry import Placement
from seewhy.images.text import printable
from seewhy.results.target_result import TargetResult
from seewhy.types import FloatArray, ImageArray

SCHEMA_VERSION = 1
"""Raised whenever a column is renamed or removed, or its values change their meaning."""

HeatmapType = Literal["float16", "float32"]
RequestedType = Literal["auto", "float16", "float32"]

FLOAT16_STEPS = 16
"""The fewest steps between 0 and the maximum of a heatmap; float16 has steps of 2^-24 for values near 0."""

METADATA_KEY = "seewhy"
"""The key, in the metadata of each file, of the version of the schema and of what the run was made with."""


class ExplainedImage(NamedTuple):
    """What becomes a row of the results.

    Attributes:
        position: The position in the source.
        key: The key of the record.
        label: The label; None where it is not known.
        label_index: Its class; None where it is not known.
        predictions: The index, the name and the probability of the most probable classes.
        targets: The results of the targets.
        boxes: The box of each target; None without evidence.
        heatmaps: float32 (T, u, v).
        placement: Where the heatmaps lie on the image.
        pixels: The image, uint8 (H, W, 3), where its overlays are drawn.
    """

    position: int
    key: str
    label: str | None
    label_index: int | None
    predictions: Sequence[tuple[int, str, float]]
    targets: Sequence[TargetResult]
    boxes: Sequence[BoundingBox | None]
    heatmaps: FloatArray
    placement: Placement
    pixels: ImageArray | None = None


class FailedImage(NamedTuple):
    """What becomes a row of the errors."""

    position: int
    key: str
    label: str | None
    error: SeewhyError


def result_schema(shape: Sequence[int], heatmaps: HeatmapType, metadata: Mapping[str, Any]) -> Any:
    """Return the Arrow schema of the results.

    Args:
        shape: (T, u, v) of the heatmaps of an image.
        heatmaps: Their type.
        metadata: What the run was made with.
    """
    pa = pyarrow()
    sides = ("top", "left", "bottom", "right")
    box = pa.struct([(side, pa.int32()) for side in sides])
    place = pa.struct([(side, pa.float64()) for side in sides])
    prediction = [("index", pa.int32()), ("name", pa.string()), ("probability", pa.float32())]
    target = [
        *(*prediction[:2], ("score", pa.float32()), prediction[2], ("has_evidence", pa.bool_())),
        *(("box", box), ("detection", place)),
    ]
    return pa.schema(
        [
            ("position", pa.int64()),
            ("key", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("label", pa.string()),
            ("label_index", pa.int32()),
            ("predictions", pa.list_(pa.struct(prediction))),
            ("targets", pa.list_(pa.struct(target))),
            ("heatmaps", pa.fixed_shape_tensor(getattr(pa, heatmaps)(), list(shape))),
            ("input_on_image", place),
            ("heatmap_on_input", place),
            ("layer", pa.string()),
            ("method", pa.string()),
            ("model", pa.string()),
            ("model_fingerprint", pa.string()),
            ("seewhy_version", pa.string()),
        ],
        _metadata(metadata),
    )


def error_schema(metadata: Mapping[str, Any]) -> Any:
    """Return the Arrow schema of the errors."""
    pa = pyarrow()
    columns = [("position", pa.int64()), *((name, pa.string()) for name in ("key", "label", "kind", "message"))]
    return pa.schema(columns, _metadata(metadata))


def _metadata(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {METADATA_KEY: json.dumps({"schema": SCHEMA_VERSION, **metadata}, sort_keys=True)}


def result_table(images: Sequence[ExplainedImage], schema: Any, constants: Mapping[str, str]) -> Any:
    """Return the rows of explained images as an Arrow table.

    Args:
        images: What was explained.
        schema: As `result_schema` returns it.
        constants: The columns that are the same for all images, by name.
    """
    made = {**_plain_columns(images), **_nested_columns(images, schema)}
    made |= {name: [value] * len(images) for name, value in constants.items()}
    pa = pyarrow()
    columns = [
        made[field.name] if isinstance(made[field.name], pa.Array) else pa.array(made[field.name], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _plain_columns(images: Sequence[ExplainedImage]) -> dict[str, list[Any]]:
    columns = {name: [getattr(image, name) for image in images] for name in ("position", "key", "label", "label_index")}
    sizes = [image.placement.image_size for image in images]
    return columns | {"height": [height for height, _ in sizes], "width": [width for _, width in sizes]}


def _nested_columns(images: Sequence[ExplainedImage], schema: Any) -> dict[str, Any]:
    predictions = [list(image.predictions) for image in images]
    targets = [
        [(target.index, target.name, target.score, target.probability, target.has_evidence) for target in image.targets]
        for image in images
    ]
    kind = _item_type(schema, "targets")
    boxes = _boxes([box for image in images for box in image.boxes], kind.field("box").type)
    detections = _boxes(
        [target.box and _top_first(target.box) for image in images for target in image.targets],
        kind.field("detection").type,
    )
    return {
        "predictions": _lists(predictions, _item_type(schema, "predictions")),
        "targets": _lists(targets, kind, boxes, detections),
        "heatmaps": _heatmap_column(images, schema.field("heatmaps").type),
        "input_on_image": _boxes([image.placement.box for image in images], schema.field("input_on_image").type),
        "heatmap_on_input": _boxes(
            [image.placement.input_box for image in images], schema.field("heatmap_on_input").type
        ),
    }


def _item_type(schema: Any, column: str) -> Any:
    return schema.field(column).type.value_type


def _lists(rows: Sequence[Sequence[tuple[Any, ...]]], kind: Any, *last: Any) -> Any:
    """Return a column of lists of structs; the last fields may be given as columns of all structs."""
    pa = pyarrow()
    fields = list(kind)
    items = [item for row in rows for item in row]
    columns = zip(*items, strict=True) if items else ([] for _ in fields[: len(fields) - len(last)])
    arrays = [pa.array(values, field.type) for values, field in zip(columns, fields, strict=False)]
    structs = pa.StructArray.from_arrays([*arrays, *last], fields=fields)
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), structs)


def _top_first(box: Sequence[float]) -> tuple[float, ...]:
    """Return (left, top, right, bottom) in the order of the table: top, left, bottom, right."""
    left, top, right, bottom = box
    return (top, left, bottom, right)


def _boxes(boxes: Sequence[Sequence[float] | None], kind: Any) -> Any:
    """Return a column of structs of four sides; None becomes a struct that is missing."""
    pa = pyarrow()
    missing = np.array([box is None for box in boxes], dtype=np.bool_)
    sides = np.array([(0, 0, 0, 0) if box is None else box for box in boxes]).reshape(-1, 4)
    arrays = [pa.array(sides[:, side], field.type) for side, field in enumerate(kind)]
    return pa.StructArray.from_arrays(arrays, fields=list(kind), mask=pa.array(missing))


def error_table(images: Iterable[FailedImage], schema: Any) -> Any:
    """Return the rows of images that failed as an Arrow table."""
    rows = [
        {
            "position": image.position,
            "key": image.key,
            "label": image.label,
            "kind": type(image.error).__name__,
            "message": printable(str(image.error)),
        }
        for image in images
    ]
    return pyarrow().Table.from_pylist(rows, schema=schema)


def _heatmap_column(images: Sequence[ExplainedImage], kind: Any) -> Any:
    pa = pyarrow()
    size = int(np.prod(kind.shape))
    values = np.zeros((len(images), size), np.float16 if pa.types.is_float16(kind.value_type) else np.float32)
    for row, image in enumerate(images):
        values[row] = image.heatmaps.reshape(-1)
    flat = pa.array(values.reshape(-1), kind.value_type)
    return pa.ExtensionArray.from_storage(kind, pa.FixedSizeListArray.from_arrays(flat, size))


def check_fits(heatmaps: FloatArray, kind: HeatmapType, shape: Sequence[int], key: str) -> None:
    """Raise ImageError for heatmaps that the column cannot hold.

    Args:
        heatmaps: (T, u, v).
        kind: The type of the column.
        shape: Its (T, u, v).
        key: The image's name in the message.
    """
    if list(heatmaps.shape) != list(shape):
        raise ImageError(f"The heatmaps of {key} have the shape {heatmaps.shape}; those of the run {tuple(shape)}.")
    if kind != "float16":
        return
    peaks = np.abs(heatmaps).max(axis=(1, 2), initial=0.0)
    if (largest := float(peaks.max(initial=0.0))) > float(np.finfo(np.float16).max):
        raise ImageError(f"The heatmaps of {key} reach {largest:g}, too much for float16. Take heatmaps='float32'.")
    if (smallest := float(peaks[peaks > 0].min(initial=np.inf))) < FLOAT16_STEPS * 2.0**-24:
        raise ImageError(
            f"A heatmap of {key} reaches {smallest:g} only, too little for float16. Take heatmaps='float32'."
        )
