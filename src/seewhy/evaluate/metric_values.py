"""The values of a metric, and its curves, as the results of a study hold them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seewhy.evaluate.metric import Metric
from seewhy.evaluate.study_store import Record

CurveRecord = dict[str, Any]


def metric_values(
    metric: Metric, arguments: tuple[Any, ...], options: Mapping[str, Any], images: int
) -> list[tuple[float | None, CurveRecord | None]]:
    """Return the value of each image, and its curve if the metric has one; None where they are undefined.

    Args:
        metric: The metric.
        arguments: What it takes.
        options: Of which the metric gets those that it has.
        images: The number of images; each has one target.
    """
    own = {name: value for name, value in options.items() if name in metric.options}
    if metric.curve is None:
        values = np.asarray(metric(*arguments, **own)).reshape(images)
        return [(_finite(value), None) for value in values]
    curve = metric.curve(*arguments, **own)
    values, heights = np.asarray(curve.values).reshape(images), curve.y.reshape(images, -1)
    labels = [curve.x_label, curve.y_label]
    return [
        (_finite(value), {"x": curve.x.tolist(), "y": y.tolist(), "labels": labels} if np.isfinite(y).all() else None)
        for value, y in zip(values, heights, strict=True)
    ]


def add_value(record: Record, metric: str, value: float | None, curve: CurveRecord | None) -> None:
    """Add the value of a metric to the results of an image and a method."""
    record["values"][metric] = value
    if curve is not None:
        record["curves"][metric] = curve


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
