"""The best and the worst images of a study, and their explanations as the viewer shows them."""

from dataclasses import dataclass

import numpy as np

from seewhy.evaluate.study_data import StudyData
from seewhy.evaluate.study_store import Record
from seewhy.images.geometry import Placement
from seewhy.images.reading import read
from seewhy.models import Prediction
from seewhy.results.explanation import Explanation
from seewhy.results.target_result import TargetResult

MAX_SHOWN = 12
"""How many images a report shows."""


@dataclass(frozen=True)
class Extremes:
    """The images with the best and the worst value of one method by one metric.

    Attributes:
        metric: The metric.
        method: The method.
        best: The position of the best image.
        worst: That of the worst.
        values: Their values.
    """

    metric: str
    method: str
    best: int
    worst: int
    values: tuple[float, float]


def find_extremes(study: StudyData) -> list[Extremes]:
    """Return the best and the worst image of each method by each metric, where two images differ."""
    found = []
    for column, metric in enumerate(study.metrics.values()):
        for row, method in enumerate(study.methods):
            values = study.values[:, row, column]
            if method in study.baselines or np.isnan(values).all():
                continue
            low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
            best, worst = (high, low) if metric.higher_is_better else (low, high)
            if values[best] != values[worst]:
                pair = (float(values[best]), float(values[worst]))
                found.append(Extremes(metric.name, method, best, worst, pair))
    return found


def shown_images(study: StudyData, extremes: list[Extremes]) -> list[int]:
    """Return the positions of the images that a report shows: these, and those on which methods differ most."""
    chosen = [image for each in extremes for image in (each.worst, each.best)]
    measured = [image for image in range(len(study.images)) if (study.store.image(image) or {}).get("error") is None]
    rows = [row for row, method in enumerate(study.methods) if method not in study.baselines]
    values = np.nan_to_num(study.values[:, rows, 0])
    spread = np.ptp(values, axis=1) if rows else np.zeros(len(values))
    chosen += sorted(measured, key=lambda image: -spread[image])
    return list(dict.fromkeys(chosen))[:MAX_SHOWN]


def stored_explanations(study: StudyData, image: int) -> list[Explanation]:
    """Return the explanations of an image by all methods that have a finite heatmap."""
    found = []
    pixels = read(study.sources[image].image)
    for number, method in enumerate(study.methods):
        record, heatmap = study.store.result(image, number), study.store.heatmap(image, number)
        if record is None or heatmap is None or record["map"] == "not finite":
            continue
        placement = Placement(_pair(record["image_size"]), _four(record["box"]), _four(record["input_box"]))
        found.append(
            Explanation(
                image=pixels,
                heatmaps=heatmap[None],
                targets=(TargetResult(*record["target"]),),
                predictions=tuple(Prediction(*each) for each in record["predictions"]),
                layer=record["layer"],
                method=method,
                title=_title(record, method),
                placement=placement,
                model=record["model"],
                source=study.images[image],
                peak_quantile=record["peak_quantile"],
            )
        )
    return found


def _title(record: Record, method: str) -> str:
    """Return the title of a method, with its options where it has others than usual."""
    _, parenthesis, options = method.partition("(")
    return str(record["title"]) + (f" ({options}" if parenthesis and not method.startswith(record["title"]) else "")


def _pair(values: list[int]) -> tuple[int, int]:
    height, width = values
    return height, width


def _four(values: list[float]) -> tuple[float, float, float, float]:
    top, left, bottom, right = values
    return top, left, bottom, right
