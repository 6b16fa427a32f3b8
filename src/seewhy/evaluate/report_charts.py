"""The charts of a study's report, as SVG in the page: means with intervals, and curves."""

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from seewhy.evaluate.bootstrap import Values
from seewhy.evaluate.study_data import StudyData
from seewhy.evaluate.study_table import Cell
from seewhy.images.text import printable

COLORS = 8
"""The number of colours in `study.css`; further methods repeat them with dashed lines."""

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 44
ROW = 24
"""The height of a row in a chart of means, in pixels."""


@dataclass
class MeanCurve:
    """The mean of the curves of one method, summed up image by image.

    Attributes:
        x: (S,), of the first curve; others are interpolated to it.
        total: (S,), the sum of the curves.
        count: The number of curves.
        labels: What x and y are.
    """

    x: Values
    total: Values
    count: int
    labels: tuple[str, str]

    @property
    def mean(self) -> Values:
        return self.total / self.count


def mean_curves(study: StudyData, metric: str) -> dict[str, MeanCurve]:
    """Return the mean curve of each method that has one; one image is in memory at a time."""
    curves: dict[str, MeanCurve] = {}
    for image in range(len(study.images)):
        for number, method in enumerate(study.methods):
            curve = (study.store.result(image, number) or {}).get("curves", {}).get(metric)
            if curve is None:
                continue
            x, y = np.asarray(curve["x"], np.float64), np.asarray(curve["y"], np.float64)
            known = np.isfinite(y)
            if not known.any():
                continue
            if method not in curves:
                curves[method] = MeanCurve(x, np.zeros(len(x)), 0, (curve["labels"][0], curve["labels"][1]))
            own = curves[method]
            own.total += np.interp(own.x, x[known], y[known])
            own.count += 1
    return curves


def curve_chart(curves: dict[str, MeanCurve], study: StudyData, title: str) -> str:
    """Return a chart of mean curves with a legend; empty without curves."""
    if not curves:
        return ""
    x_low, x_high = (bound([curve.x for curve in curves.values()]) for bound in (_low, _high))
    y_low, y_high = (bound([curve.mean for curve in curves.values()]) for bound in (_low, _high))
    y_ticks = _ticks(min(y_low, 0), y_high)
    area = _Area((x_low, x_high), (y_ticks[0], y_ticks[-1]))
    labels = next(iter(curves.values())).labels
    lines = [_line(area, curve, _style(study, method), method) for method, curve in curves.items()]
    legend = "".join(
        f'<li><svg viewBox="0 0 24 8" aria-hidden="true"><path class="curve {_style(study, method)}" d="M0 4H24"/>'
        f"</svg> {_text(method)}</li>"
        for method in curves
    )
    name = f"{title}: {labels[1]} over {labels[0]}, the mean of each method"
    return (
        f'<figure class="chart"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_text(name)}">'
        f"{''.join(area.axes(_ticks(x_low, x_high), y_ticks, labels))}{''.join(lines)}</svg>"
        f'<ul class="legend">{legend}</ul></figure>'
    )


def means_chart(cells: Sequence[Cell], study: StudyData, title: str) -> str:
    """Return a chart of means as dots and their intervals as lines, a row for each method."""
    shown = [cell for cell in cells if cell.mean is not None]
    if not shown:
        return ""
    edges = [edge for cell in shown for edge in (*(cell.interval or ()), cell.mean) if edge is not None]
    ticks = _ticks(min(edges), max(edges))
    left, height = 170, TOP + ROW * len(shown) + BOTTOM
    scale = (WIDTH - left - RIGHT - 8) / ((ticks[-1] - ticks[0]) or 1)
    parts = []
    for tick in ticks:
        x = left + (tick - ticks[0]) * scale
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{height - BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{_number(tick)}</text>')
    for row, cell in enumerate(shown):
        y = TOP + ROW * (row + 0.5)
        style = _style(study, cell.method)
        parts.append(f'<text x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{_text(_short(cell.method))}</text>')
        if cell.interval is not None:
            low, high = (left + (edge - ticks[0]) * scale for edge in cell.interval)
            parts.append(f'<path class="curve {style}" d="M{low:.1f} {y:.1f}H{high:.1f}"/>')
        x = left + ((cell.mean or 0) - ticks[0]) * scale
        parts.append(f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    parts.append(f'<text x="{(left + WIDTH) / 2:.0f}" y="{height - 6}" text-anchor="middle">{_text(title)}</text>')
    name = f"{title}: the mean of each method and its 95% interval"
    return (
        f'<figure class="chart"><svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{_text(name)}">'
        f"{''.join(parts)}</svg></figure>"
    )


@dataclass(frozen=True)
class _Area:
    """Where a chart's values lie on its pixels."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        return LEFT + (value - self.x_range[0]) / ((self.x_range[1] - self.x_range[0]) or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.y_range[0]) / ((self.y_range[1] - self.y_range[0]) or 1)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def axes(self, x_ticks: Sequence[float], y_ticks: Sequence[float], labels: tuple[str, str]) -> Iterator[str]:
        bottom = HEIGHT - BOTTOM
        for tick in y_ticks:
            y = self.y(tick)
            yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>'
        for tick in x_ticks:
            if self.x_range[0] <= tick <= self.x_range[1]:
                yield f'<text x="{self.x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{_number(tick)}</text>'
        middle = (LEFT + WIDTH - RIGHT) / 2
        yield f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{_text(labels[0])}</text>'
        turned = f"translate(13 {HEIGHT // 2}) rotate(-90)"
        yield f'<text transform="{turned}" text-anchor="middle">{_text(labels[1])}</text>'


def _line(area: _Area, curve: MeanCurve, style: str, method: str) -> str:
    points = " ".join(f"{area.x(x):.1f},{area.y(y):.1f}" for x, y in zip(curve.x, curve.mean, strict=True))
    return f'<polyline class="curve {style}" points="{points}"><title>{_text(method)}</title></polyline>'


def _style(study: StudyData, method: str) -> str:
    """Return the classes of a method's lines: a colour; grey and dashed for a baseline."""
    if method in study.baselines:
        return f"baseline b{study.baselines.index(method) % 2}"
    position = [name for name in study.methods if name not in study.baselines].index(method)
    return f"c{position % COLORS}" + (" dashed" if position >= COLORS else "")


def _ticks(low: float, high: float) -> list[float]:
    """Return four to ten round numbers, the first at most `low` and the last at least `high`."""
    span = high - low or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next((factor for factor in (1, 2, 5) if span / (step * factor) <= 6), 10)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _low(arrays: Sequence[Values]) -> float:
    return float(min(array.min() for array in arrays))


def _high(arrays: Sequence[Values]) -> float:
    return float(max(array.max() for array in arrays))


def _number(value: float) -> str:
    return f"{value:.6g}" if abs(value) > 1e-12 else "0"


def _short(text: str, length: int = 20) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _text(text: str) -> str:
    return html.escape(printable(text))
