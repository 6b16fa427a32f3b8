"""The statistics of a study: means with intervals, paired differences between methods, and verdicts in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seewhy.evaluate.bootstrap import Values, holm, mean_interval, sign_flip_test
from seewhy.evaluate.enumeration import enumerated
from seewhy.evaluate.metric import Metric

SIGNIFICANCE = 0.05
"""A difference counts if it, or a larger one, would be found by chance in fewer than this share of studies."""

JUDGED = ("faithfulness", "localisation")
"""The families by which a map that does not know the model should be worse; it may be as smooth or as small as any."""


@dataclass(frozen=True)
class Cell:
    """One method by one metric.

    Attributes:
        method: The method.
        metric: The metric.
        mean: Over the images with a value; None without one.
        interval: (low, high), the 95% interval of the mean; None for fewer than two images.
        count: The number of images with a value.
        undefined: The number of images without one.
        is_baseline: Whether the method does not know the model.
        verdict: How it compares with the baselines, in words; empty for a baseline, and for a metric by which maps that
            do not know the model may be good.
        is_beaten: Whether it is not shown to be better than every baseline.
    """

    method: str
    metric: str
    mean: float | None
    interval: tuple[float, float] | None
    count: int
    undefined: int
    is_baseline: bool
    verdict: str
    is_beaten: bool


@dataclass(frozen=True)
class Comparison:
    """Two methods by one metric, over the images for which both have a value.

    Attributes:
        metric: The metric.
        first: A method.
        second: Another method, or a baseline.
        difference: The mean of first - second.
        interval: (low, high), the 95% interval of that mean, which is not corrected; None for fewer than two images.
        count: The number of images.
        p_value: Of the test of sign flips, two-sided.
        corrected: The same by Holm's correction for all comparisons of this metric.
        better: The method that is better where `corrected` is below 0.05; None where no difference is established.
    """

    metric: str
    first: str
    second: str
    difference: float
    interval: tuple[float, float] | None
    count: int
    p_value: float
    corrected: float
    better: str | None


@dataclass(frozen=True)
class StudyTable:
    """The statistics of a study.

    Attributes:
        cells: For every metric, every method.
        comparisons: For every metric, every pair of methods, and every method with every baseline.
    """

    cells: tuple[Cell, ...]
    comparisons: tuple[Comparison, ...]

    def cell(self, method: str, metric: str) -> Cell:
        """Return the statistics of one method by one metric."""
        return next(each for each in self.cells if (each.method, each.metric) == (method, metric))

    def as_dict(self) -> dict[str, Any]:
        """Return the statistics, ready for JSON."""
        return {
            "means": [_plain(cell) for cell in self.cells],
            "comparisons": [_plain(comparison) for comparison in self.comparisons],
        }


def study_table(
    values: Values, methods: Sequence[str], baselines: Sequence[str], metrics: Sequence[Metric], seed: int
) -> StudyTable:
    """Compute the statistics of a study.

    Args:
        values: (N, M, K), of images, methods and metrics; NaN where undefined.
        methods: The M names, among them those of the baselines.
        baselines: The names of the baselines.
        metrics: The K metrics.
        seed: Determines the random draws.
    """
    cells: list[Cell] = []
    comparisons: list[Comparison] = []
    for column, metric in enumerate(metrics):
        compared = _compare(values[:, :, column], methods, baselines, metric, seed)
        comparisons += compared
        for row, method in enumerate(methods):
            own = values[:, row, column]
            is_baseline = method in baselines
            is_judged = not is_baseline and metric.family in JUDGED
            verdict, is_beaten = _verdict(method, baselines, compared, own) if is_judged else ("", False)
            cells.append(_cell(own, method, metric.name, seed, is_baseline, verdict, is_beaten))
    return StudyTable(tuple(cells), tuple(comparisons))


def _cell(
    values: Values, method: str, metric: str, seed: int, is_baseline: bool, verdict: str, is_beaten: bool
) -> Cell:
    known = values[~np.isnan(values)]
    return Cell(
        method=method,
        metric=metric,
        mean=float(known.mean()) if len(known) else None,
        interval=mean_interval(values, seed),
        count=len(known),
        undefined=len(values) - len(known),
        is_baseline=is_baseline,
        verdict=verdict,
        is_beaten=is_beaten,
    )


def _pairs(methods: Sequence[str], baselines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield pairs of positions: two methods, or a method and a baseline; baselines are not compared."""
    for first, name in enumerate(methods):
        for second in range(first + 1, len(methods)):
            if name not in baselines or methods[second] not in baselines:
                yield (second, first) if name in baselines else (first, second)


def _compare(
    values: Values, methods: Sequence[str], baselines: Sequence[str], metric: Metric, seed: int
) -> list[Comparison]:
    """Compare all pairs by one metric."""
    pairs = list(_pairs(methods, baselines))
    if not pairs:
        return []
    differences = np.stack([values[:, first] - values[:, second] for first, second in pairs], axis=1)
    p_values = sign_flip_test(differences, seed)
    compared = []
    for column, ((first, second), corrected) in enumerate(zip(pairs, holm(p_values), strict=True)):
        own = differences[:, column]
        known = own[~np.isnan(own)]
        if not len(known):
            continue
        difference = float(known.mean())
        is_first_better = (difference > 0) == metric.higher_is_better
        is_established = corrected < SIGNIFICANCE and difference != 0
        better = methods[first if is_first_better else second] if is_established else None
        compared.append(
            Comparison(
                metric=metric.name,
                first=methods[first],
                second=methods[second],
                difference=difference,
                interval=mean_interval(own, seed),
                count=len(known),
                p_value=float(p_values[column]),
                corrected=float(corrected),
                better=better,
            )
        )
    return compared


def _verdict(method: str, baselines: Sequence[str], compared: Sequence[Comparison], values: Values) -> tuple[str, bool]:
    """Return how a method compares with the baselines, in words, and whether it fails to be better than all of them."""
    by_baseline = {each.second: each for each in compared if each.first == method and each.second in baselines}
    if not by_baseline:
        return ("no value" if np.isnan(values).all() else "not compared: the baselines have no value"), False
    if max(each.count for each in by_baseline.values()) < 2:
        return "one image: not compared", False
    worse = [name for name, each in by_baseline.items() if each.better == name]
    equal = [name for name, each in by_baseline.items() if each.better is None]
    parts = [f"worse than {_joined(worse)}"] if worse else []
    parts += [f"not shown to be better than {_joined(equal)}"] if equal else []
    return "; ".join(parts) or f"better than {_joined(list(by_baseline))}", bool(parts)


def _joined(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) == 2 else enumerated(names)


def _plain(row: Cell | Comparison) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(row).items()}
