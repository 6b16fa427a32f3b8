"""The index of the rows of an output: what filters and counts need of each row, without its heatmaps."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.datasets.arrow import pyarrow, pyarrow_compute
from seewhy.datasets.output import Output

Integers = NDArray[np.int64]

COLUMNS = ["position", "key", "width", "height", "label", "label_index", "predictions", "targets"]


@final
@dataclass(frozen=True)
class RowIndex:
    """The rows of an output, in the order of the source.

    A row has one map in statistics: that of the class that the model predicts, where it was explained, and otherwise
    that of the first target.

    Attributes:
        part: The number of the part in which the row is, (N,).
        positions: Its position in the source, (N,).
        keys: Its key, a `pyarrow` array of strings.
        widths: The width of the image, in pixels.
        heights: Its height.
        predicted: The predicted class, a position in `names`; -1 where the outputs are not class scores.
        probabilities: The probability of that class; NaN where there is none.
        labels: The true class as the source names it, a position in `names`; -1 where it is not known.
        correct: 1 where the prediction is the true class, 0 where it is another, -1 where that is not known.
        targets: Which of the heatmaps is the row's map.
        classes: The class of that map, a position in `names`.
        has_evidence: Whether that map has a positive value.
        names: The names of classes and of other targets.
    """

    part: Integers
    positions: Integers
    keys: Any
    widths: Integers
    heights: Integers
    predicted: Integers
    probabilities: NDArray[np.float32]
    labels: Integers
    correct: Integers
    targets: Integers
    classes: Integers
    has_evidence: NDArray[np.bool_]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.positions)

    def key(self, row: int) -> str:
        """Return the key of a row."""
        return str(self.keys[row].as_py())

    def name(self, code: int) -> str | None:
        """Return the name at a position in `names`; None for -1."""
        return None if code < 0 else self.names[code]


def index_rows(output: Output) -> RowIndex:
    """Read the index of an output, part by part."""
    names: dict[str, int] = {}
    parts = [_index_part(number, table, names) for number, table in output.parts(COLUMNS) if table.num_rows]
    pa = pyarrow()
    keys = pa.chunked_array([part.pop("keys") for part in parts], pa.string()).combine_chunks()
    columns = {
        name: np.concatenate([np.zeros(0, kind), *(part[name] for part in parts)]) for name, kind in _TYPES.items()
    }
    return RowIndex(keys=keys, names=tuple(names), **columns)


_TYPES: dict[str, type] = {
    "part": np.int64,
    "positions": np.int64,
    "widths": np.int64,
    "heights": np.int64,
    "predicted": np.int64,
    "probabilities": np.float32,
    "labels": np.int64,
    "correct": np.int64,
    "targets": np.int64,
    "classes": np.int64,
    "has_evidence": np.bool_,
}


def _index_part(number: int, table: Any, names: dict[str, int]) -> dict[str, Any]:
    count = table.num_rows
    best_rows, best = _first_items(table.column("predictions"))
    predicted, indices = np.full(count, -1), np.full(count, -1)
    probabilities = np.full(count, np.nan, np.float32)
    predicted[best_rows] = _codes(best.field("name"), names)
    indices[best_rows] = best.field("index").to_numpy(zero_copy_only=False)
    probabilities[best_rows] = best.field("probability").to_numpy(zero_copy_only=False)
    targets = table.column("targets").combine_chunks().flatten()
    target_indices = targets.field("index").to_numpy(zero_copy_only=False).reshape(count, -1)
    is_predicted = (target_indices == indices[:, None]) & (indices[:, None] >= 0)
    chosen = is_predicted.argmax(axis=1) if count else np.zeros(0, np.int64)  # the first, where none is
    at = np.arange(count) * target_indices.shape[1] + chosen
    evidence = targets.field("has_evidence").to_numpy(zero_copy_only=False)
    label_index = table.column("label_index").fill_null(-1).to_numpy()
    is_known = (label_index >= 0) & (indices >= 0)
    return {
        "part": np.full(count, number),
        "positions": table.column("position").to_numpy(),
        "widths": table.column("width").to_numpy(),
        "heights": table.column("height").to_numpy(),
        "keys": table.column("key").combine_chunks(),
        "predicted": predicted,
        "probabilities": probabilities,
        "labels": _codes(table.column("label").combine_chunks(), names),
        "correct": np.where(is_known, label_index == indices, -1),
        "targets": chosen,
        "classes": _codes(targets.field("name"), names)[at],
        "has_evidence": evidence[at].astype(np.bool_),
    }


def _first_items(column: Any) -> tuple[Integers, Any]:
    """Return the rows whose list is not empty, and the first item of each."""
    lists = column.combine_chunks()
    lengths = pyarrow_compute().list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(lengths > 0)
    return rows, lists.values.take(pyarrow().array(lists.offsets.to_numpy()[rows]))


def _codes(strings: Any, names: dict[str, int]) -> Integers:
    """Return the position in `names` of each string, -1 for one that is missing; new names are added."""
    encoded = strings.dictionary_encode()
    known = np.array([names.setdefault(name, len(names)) for name in encoded.dictionary.to_pylist()], np.int64)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    positions: Integers = np.append(known, -1)[codes]
    return positions
