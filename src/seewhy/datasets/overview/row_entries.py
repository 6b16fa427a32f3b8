"""The rows of an output as the viewer reads them: summaries for the gallery, entries with photo and heatmaps."""

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Any, NamedTuple, final

import numpy as np

from seewhy.datasets.output import Output, explanation_of_row
from seewhy.datasets.overview.original_images import OriginalImages
from seewhy.datasets.overview.row_index import RowIndex
from seewhy.errors import ImageError
from seewhy.images.text import printable
from seewhy.results.explanation import Explanation
from seewhy.types import ImageArray
from seewhy.viewer.photos import PhotoLimits
from seewhy.viewer.viewer_data import image_entry
from seewhy.viewer.viewer_format import ImageEntry

GREY = 128
"""The colour in the place of an image that is missing."""

KEPT_PARTS = 4
"""The number of parts of the output that are kept for the next row."""


class ShownRow(NamedTuple):
    """A row with its image.

    Attributes:
        explanation: The explanation, of a grey image where it is missing.
        missing: Why it is missing; empty if it is there.
    """

    explanation: Explanation
    missing: str


@final
class RowEntries:
    """Reads rows and their images. Threads may share it.

    Args:
        output: The output.
        index: Its rows.
        images: Reads images.
    """

    def __init__(self, output: Output, index: RowIndex, images: OriginalImages) -> None:
        self.index = index
        self._output, self._images = output, images
        self._first_rows = {
            int(part): int(row) for part, row in zip(*np.unique(index.part, return_index=True), strict=True)
        }
        self._tables: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    def summary(self, row: int) -> dict[str, Any]:
        """Return what a gallery shows of a row, and by what it is filtered."""
        index = self.index
        predicted = index.name(int(index.predicted[row]))
        best = [] if predicted is None else [_prediction(printable(predicted), float(index.probabilities[row]))]
        return {**self._facts(row), "width": int(index.widths[row]), "height": int(index.heights[row])} | {
            "predictions": best,
            "has_evidence": bool(index.has_evidence[row]),
        }

    def entry(self, row: int, limits: PhotoLimits) -> ImageEntry:
        """Return a row with its photo and heatmaps.

        Args:
            row: The row of the index.
            limits: The largest size of the photo.
        """
        explanation, missing = self.show(row)
        entry = image_entry([explanation], None, "", limits)
        entry.update(self._facts(row))  # type: ignore[typeddict-item]
        if missing:
            entry["notice"] = printable(f"The map alone is shown, for the image is missing: {missing}")
        return entry

    def show(self, row: int) -> ShownRow:
        """Return the explanation of a row, of all its targets."""
        index = self.index
        part = int(index.part[row])
        table = self._table(part).slice(row - self._first_rows[part], 1)
        heatmaps = table.column("heatmaps").combine_chunks().to_numpy_ndarray()[0]
        (facts,) = table.drop_columns("heatmaps").to_pylist()
        size, missing = (facts["height"], facts["width"]), ""
        try:
            image = self._images.read(facts["position"], facts["key"], size)
        except ImageError as error:
            image, missing = _grey(size), str(error)
        explanation = explanation_of_row(facts, heatmaps, image, facts["key"], self._output.settings)
        return ShownRow(explanation, missing)

    def example(self, row: int) -> ShownRow:
        """Return the explanation of a row for the target whose map it has in statistics."""
        explanation, missing = self.show(row)
        target = int(self.index.targets[row])
        own = replace(
            explanation,
            heatmaps=explanation.heatmaps[target : target + 1],
            targets=explanation.targets[target : target + 1],
        )
        return ShownRow(own, missing)

    def _facts(self, row: int) -> dict[str, Any]:
        index = self.index
        label = index.name(int(index.labels[row]))
        correct = int(index.correct[row])
        return {
            "name": printable(index.key(row)),
            "label": None if label is None else printable(label),
            "correct": None if correct < 0 else bool(correct),
        }

    def _table(self, part: int) -> Any:
        with self._lock:
            if part not in self._tables:
                self._tables[part] = self._output.part(part)
                while len(self._tables) > KEPT_PARTS:
                    self._tables.popitem(last=False)
            return self._tables[part]


def _prediction(name: str, probability: float) -> dict[str, Any]:
    return {"index": -1, "name": name, "probability": None if np.isnan(probability) else probability}


def _grey(size: tuple[int, int]) -> ImageArray:
    """Return a grey image in the place of one of this size."""
    return np.broadcast_to(np.uint8(GREY), (*size, 3))
