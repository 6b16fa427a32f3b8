"""CSV with a row for each target of each image."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from seewhy.datasets.formats.json_lists import as_number
from seewhy.datasets.readable_output import Filter, ReadableOutput, Row
from seewhy.images.writing import write_atomically

PLAIN = ("position", "key", "width", "height", "label", "label_index")
PREDICTED = ("predicted_index", "predicted_name", "predicted_probability")
TARGET = ("target", "index", "name", "score", "probability", "has_evidence")
BOX = ("top", "left", "bottom", "right")
COLUMNS = (*PLAIN, *PREDICTED, *TARGET, *BOX)


def write_csv(output: ReadableOutput, path: Path, where: Filter) -> None:
    """Write the targets of a run as CSV; see `Output.to_csv`."""

    def write(file: BinaryIO) -> None:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in output.rows([*PLAIN, "predictions", "targets"], where):
            writer.writerows(_lines(row))
        text.detach()  # flushes, and leaves the file open

    write_atomically(path, write, durable=True)


def _lines(row: Row) -> Iterator[list[Any]]:
    best = row["predictions"][0] if row["predictions"] else {"index": None, "name": None, "probability": None}
    first = [row[name] for name in PLAIN] + [best["index"], best["name"], as_number(best["probability"])]
    for number, target in enumerate(row["targets"]):
        box = target["box"] or dict.fromkeys(BOX)
        numbers = [as_number(target[name]) for name in ("score", "probability")]
        own = [number, target["index"], target["name"], *numbers, target["has_evidence"]]
        yield first + own + [box[side] for side in BOX]
