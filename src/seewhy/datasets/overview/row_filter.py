"""Which rows a gallery shows, and in which order: the filters of `data_set_filter.js`, for the server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from seewhy.datasets.arrow import pyarrow_compute
from seewhy.datasets.overview.row_index import Integers, RowIndex
from seewhy.images.text import printable

Order = Literal["original", "name", "most-confident", "least-confident", "wrong-first"]
Confidence = Literal["any", "high", "middle", "low"]
Verdict = Literal["any", "correct", "wrong"]
Evidence = Literal["any", "some", "none"]

RANGES = {"high": (0.9, 2.0), "middle": (0.5, 0.9), "low": (0.0, 0.5)}


@final
@dataclass(frozen=True)
class RowFilter:
    """A filter; the defaults take every row.

    Attributes:
        search: A part of the key, the predicted class or the label, whatever the case of its letters.
        order: The order.
        predicted: The name of the predicted class; empty for any.
        label: The name of the true class; empty for any.
        confidence: The range of the probability.
        verdict: Whether the prediction is the true class.
        evidence: Whether the map has positive values.
        cluster: The key of a cluster; empty for any.
    """

    search: str = ""
    order: Order = "original"
    predicted: str = ""
    label: str = ""
    confidence: Confidence = "any"
    verdict: Verdict = "any"
    evidence: Evidence = "any"
    cluster: str = ""

    def rows(self, index: RowIndex, clusters: Mapping[str, Integers]) -> Integers:
        """Return the rows that pass, in order.

        Args:
            index: The rows.
            clusters: The rows of each cluster, by its key.
        """
        passes = np.ones(len(index), dtype=np.bool_)
        if self.cluster:
            passes[:] = False
            passes[clusters.get(self.cluster, np.zeros(0, np.int64))] = True
        if self.predicted:
            passes &= _is_named(index, index.predicted, lambda name: name == self.predicted)
        if self.label:
            passes &= _is_named(index, index.labels, lambda name: name == self.label)
        if self.confidence != "any":
            low, high = RANGES[self.confidence]
            passes &= (index.probabilities >= low) & (index.probabilities < high)
        if self.verdict != "any":
            passes &= index.correct == (self.verdict == "correct")
        if self.evidence != "any":
            passes &= index.has_evidence == (self.evidence == "some")
        if text := self.search.strip().lower():
            passes &= _search(index, text)
        return self._sort(index, np.flatnonzero(passes))

    def _sort(self, index: RowIndex, rows: Integers) -> Integers:
        confidence = np.nan_to_num(index.probabilities[rows], nan=-1.0)
        if self.order == "name":
            order = pyarrow_compute().sort_indices(index.keys.take(rows)).to_numpy()
        elif self.order == "most-confident":
            order = np.argsort(-confidence, kind="stable")
        elif self.order == "least-confident":
            order = np.argsort(confidence, kind="stable")
        elif self.order == "wrong-first":
            order = np.lexsort((-confidence, index.correct[rows] != 0))
        else:
            return rows
        sorted_rows: Integers = rows[order]
        return sorted_rows


def _is_named(index: RowIndex, codes: Integers, is_wanted: Callable[[str], bool]) -> NDArray[np.bool_]:
    """Return whether the name of each row is wanted; names are compared as they are shown."""
    wanted = np.array([is_wanted(printable(name)) for name in index.names] + [False])
    named: NDArray[np.bool_] = wanted[codes]  # -1 is the last
    return named


def _search(index: RowIndex, text: str) -> NDArray[np.bool_]:
    keys = pyarrow_compute().match_substring(index.keys, text, ignore_case=True).to_numpy(zero_copy_only=False)
    found: NDArray[np.bool_] = keys.astype(np.bool_)
    for codes in (index.predicted, index.labels):
        found = found | _is_named(index, codes, lambda name: text in name.lower())
    return found
