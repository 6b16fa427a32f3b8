"""A study in words: what it found, and what was left out."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from seewhy.evaluate.enumeration import enumerated
from seewhy.evaluate.metric import Metric
from seewhy.evaluate.study_data import StudyData
from seewhy.evaluate.study_table import Cell
from seewhy.representation import counted

REASONS = {
    "grid_pointing_game": " A mosaic needs four images of different classes, each with a probability of at least 50%, "
    "or min_confidence.",
}
"""Why metrics may have no value, of those for which that is not plain."""

FEW = 6
"""With fewer images, not even differences of one sign are established: 2 / 2^5 is more than 0.05."""

STATES = {
    "zero": "has no positive value (no evidence)",
    "constant": "is constant, so that it orders no pixels",
    "not finite": "has NaN or infinite values, so that nothing is measured",
}


def findings(study: StudyData) -> list[str]:
    """Return a sentence or two for each metric: which method is best, and which do not beat the baselines."""
    return [_finding(study, metric) for metric in study.metrics.values()]


def notes(study: StudyData) -> list[str]:
    """Return what was left out and what failed: every image, map and value that is not in the means is counted."""
    return [*study.problems, *_image_notes(study), *_map_notes(study), *_value_notes(study)]


def _finding(study: StudyData, metric: Metric) -> str:
    cells = [study.table.cell(method, metric.name) for method in study.methods if method not in study.baselines]
    known = [cell for cell in cells if cell.mean is not None]
    if not known:
        return f"{metric.title}: no method has a value."
    sign = -1 if metric.higher_is_better else 1
    most = max(cell.count for cell in known)
    # A method that has a value for a few images only is not called the best of those that have one for all.
    best = min((cell for cell in known if 2 * cell.count > most), key=lambda cell: sign * (cell.mean or 0.0))
    text = f"{metric.title}: {best.method} is best, {value_text(best)}"
    if most < 2:
        return f"{text}. This is one image: there is no interval, and nothing can be said about other images."
    rivals = [
        each.second if each.first == best.method else each.first
        for each in study.table.comparisons
        if each.metric == metric.name and best.method in (each.first, each.second) and each.better is None
    ]
    rivals = [name for name in rivals if name not in study.baselines]
    text += f"; no difference from {enumerated(rivals)} is established." if rivals else "."
    beaten: dict[str, list[str]] = {}
    for cell in known:
        if cell.is_beaten:
            beaten.setdefault(cell.verdict, []).append(cell.method)
    return text + "".join(
        f" {verdict[0].upper()}{verdict[1:]}: {enumerated(methods)}." for verdict, methods in beaten.items()
    )


def value_text(cell: Cell) -> str:
    """Return a mean with its interval: `0.312 [0.280, 0.345]`; a dash without a value."""
    if cell.mean is None:
        return "-"
    interval = "" if cell.interval is None else f" [{number(cell.interval[0])}, {number(cell.interval[1])}]"
    return number(cell.mean) + interval


def number(value: float) -> str:
    """Return a number with three digits after the point, or three significant ones where it is large or small."""
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.3f}"
    return f"{value:.2e}"


def _image_notes(study: StudyData) -> Iterator[str]:
    failed, annotated = [], []
    needs_annotations = any(metric.needs == "annotations" for metric in study.metrics.values())
    for position, name in enumerate(study.images):
        record = study.store.image(position)
        if record is None:
            continue
        if record["error"] is not None:
            failed.append(f"{name} ({record['error'].rstrip('.')})")
        elif record["problems"] and needs_annotations:
            annotated.append(f"{name} ({'; '.join(record['problems'])})")
    if not study.is_complete:
        yield "The study is not complete: it was stopped, and can be resumed."
    if failed:
        yield f"{counted(len(failed), 'image')} could not be measured: {enumerated(failed)}."
    if annotated:
        yield f"{counted(len(annotated), 'image')} with incomplete annotations: {enumerated(annotated)}."


def _map_notes(study: StudyData) -> Iterator[str]:
    states: Counter[tuple[str, str]] = Counter()
    errors: Counter[tuple[str, str]] = Counter()
    for image, position in np.ndindex(len(study.images), len(study.methods)):
        record = study.store.result(image, position)
        if record is None:
            continue
        method = study.methods[position]
        if record["map"] in STATES:
            states[method, record["map"]] += 1
        failed = [(f"{metric} of {method}", message) for metric, message in record["errors"].items()]
        errors.update(failed if record["error"] is None else [(method, record["error"])])
    for (method, message), count in errors.items():
        yield f"{method} failed for {counted(count, 'image')}: {message}"
    for (method, state), count in states.items():
        yield f"{counted(count, 'map')} of {method} {STATES[state]}."


def _value_notes(study: StudyData) -> Iterator[str]:
    """Yield a note on few images, and one for each set of metrics that lack the same values."""
    most = max((cell.count for cell in study.table.cells), default=0)
    if 1 < most < FEW:
        yield (
            f"{most} images are few: the intervals are too narrow, and no difference between two methods can be "
            f"established with fewer than {FEW}."
        )
    failed = study.failed_images
    lacking: dict[str, list[str]] = {}
    for metric in study.metrics.values():
        cells = [study.table.cell(method, metric.name) for method in study.methods]
        if metric.needs == "explainer":
            cells = [cell for cell in cells if not cell.is_baseline]
        missing = [
            f"{cell.method} {cell.undefined - failed}" for cell in cells if cell.undefined > failed and cell.count
        ]
        never = [cell.method for cell in cells if cell.count == 0]
        if missing:
            text = f"images without a value, which are not in the mean: {enumerated(missing)}."
            lacking.setdefault(text, []).append(metric.name)
        if never:
            reason = REASONS.get(metric.name, "")
            lacking.setdefault(f"no value at all for {enumerated(never)}.{reason}", []).append(metric.name)
    for text, metrics in lacking.items():
        yield f"{enumerated(metrics)}: {text}"
