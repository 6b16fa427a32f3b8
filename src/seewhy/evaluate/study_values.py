"""The value of each image, method and metric as a file: CSV, JSON or Parquet, a row for each."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seewhy.errors import MissingExtraError, OptionError
from seewhy.evaluate.study_data import StudyData
from seewhy.images.text import printable
from seewhy.images.writing import write_atomically

COLUMNS = ("image", "label", "predicted", "explained", "probability", "method", "metric", "value", "map", "note")
SUFFIXES = (".csv", ".json", ".parquet")

Row = dict[str, Any]


def check_suffix(suffix: str) -> None:
    """Raise an error if values cannot be written with this suffix.

    Raises:
        OptionError: The suffix is unknown.
        MissingExtraError: pyarrow, which writes Parquet, is not installed.
    """
    if suffix not in SUFFIXES:
        raise OptionError(
            f"Cannot write values as {suffix or 'a file without suffix'!r}; known: {', '.join(SUFFIXES)}."
        )
    if suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("For Parquet files, pyarrow", "parquet") from error


def value_rows(study: StudyData) -> Iterator[Row]:
    """Yield a row for each image, method and metric; an image that could not be measured has one row."""
    for position in range(len(study.images)):
        image = study.store.image(position)
        if image is None:
            continue
        facts = {
            "image": printable(image["image"]),
            "label": image["label"],
            "predicted": image.get("predicted"),
            "explained": image.get("target"),
            "probability": image.get("probability"),
        }
        if image["error"] is not None:
            yield {**dict.fromkeys(COLUMNS), **facts, "note": printable(image["error"])}
            continue
        for number, method in enumerate(study.methods):
            result = study.store.result(position, number) or {}
            for metric in study.metrics:
                yield {**facts, "method": method, **_value(result, metric, image)}


def write_values(study: StudyData, path: Path) -> Path:
    """Write the values in the format of the suffix; the file is written whole or not at all."""
    check_suffix(path.suffix.lower())
    writers = {".csv": _write_csv, ".json": _write_json, ".parquet": _write_parquet}
    writers[path.suffix.lower()](study, path)
    return path


def _value(result: Mapping[str, Any], metric: str, image: Mapping[str, Any]) -> Row:
    value = result.get("values", {}).get(metric)
    note = result.get("error") or result.get("errors", {}).get(metric)
    if value is None and note is None:
        note = "; ".join(image["problems"]) or "undefined"
    return {
        "metric": metric,
        "value": value,
        "map": result.get("map"),
        "note": None if note is None else printable(note),
    }


def _write_csv(study: StudyData, path: Path) -> None:
    def write(file: Any) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(value_rows(study))
        text.detach()

    write_atomically(path, write, durable=True)


def _write_json(study: StudyData, path: Path) -> None:
    def write(file: Any) -> None:
        file.write(b"[\n")
        for number, row in enumerate(value_rows(study)):
            file.write((",\n" if number else "").encode() + json.dumps(row, allow_nan=False).encode())
        file.write(b"\n]\n")

    write_atomically(path, write, durable=True)


def _write_parquet(study: StudyData, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"label": pa.int64(), "predicted": pa.int64(), "explained": pa.int64(), "probability": pa.float64()}
    kinds["value"] = pa.float64()
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])

    def write(file: Any) -> None:
        with pq.ParquetWriter(file, schema) as writer:
            for rows in _chunks(value_rows(study)):
                writer.write_table(pa.Table.from_pylist(rows, schema))

    write_atomically(path, write, durable=True)


def _chunks(rows: Iterator[Row], size: int = 10_000) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
