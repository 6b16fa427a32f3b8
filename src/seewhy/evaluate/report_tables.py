"""The tables of a study's report, as HTML."""

import html

from seewhy.evaluate.metric import Metric
from seewhy.evaluate.report_images import Extremes
from seewhy.evaluate.study_data import StudyData
from seewhy.evaluate.study_notes import number, value_text
from seewhy.evaluate.study_table import Cell, Comparison
from seewhy.images.text import printable


def means_table(study: StudyData) -> str:
    """Return the table of methods and metrics: the mean with its interval, and the verdict in words."""
    heads = "".join(
        f'<th scope="col">{_text(metric.title)} {"↑" if metric.higher_is_better else "↓"}</th>'
        for metric in study.metrics.values()
    )
    rows = "".join(_means_row(study, method) for method in study.methods)
    return (
        '<div class="wide"><table class="means"><caption>Mean and 95% interval; ↑ higher is better, ↓ lower is better'
        f'</caption><thead><tr><th scope="col">Method</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def comparison_table(study: StudyData, metric: Metric) -> str:
    """Return the paired differences of one metric, folded up."""
    compared = [each for each in study.table.comparisons if each.metric == metric.name]
    if not compared:
        return ""
    rows = "".join(_comparison_row(each) for each in compared)
    heads = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("First", "Second", "First - second", "95% interval", "Images", "p, corrected", "Conclusion")
    )
    return (
        f"<details><summary>Paired differences: {len(compared)}</summary>"
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></details>'
    )


def extremes_table(study: StudyData, extremes: list[Extremes]) -> str:
    """Return the table of the best and the worst image of each method by each metric, folded up."""
    if not extremes:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{_text(each.method)}</th><td>{_text(study.metrics[each.metric].title)}</td>'
        f"<td>{_text(study.images[each.best])}</td><td>{number(each.values[0])}</td>"
        f"<td>{_text(study.images[each.worst])}</td><td>{number(each.values[1])}</td></tr>"
        for each in extremes
    )
    return (
        "<details><summary>The best and the worst image of each method</summary>"
        '<div class="wide"><table><thead><tr><th scope="col">Method</th><th scope="col">Metric</th>'
        '<th scope="col">Best image</th><th scope="col">Value</th><th scope="col">Worst image</th>'
        f'<th scope="col">Value</th></tr></thead><tbody>{rows}</tbody></table></div></details>'
    )


def _means_row(study: StudyData, method: str) -> str:
    cells = "".join(_cell(study.table.cell(method, metric)) for metric in study.metrics)
    is_baseline = method in study.baselines
    note = '<span class="verdict">baseline</span>' if is_baseline else ""
    return f'<tr{" class=baseline" if is_baseline else ""}><th scope="row">{_text(method)}{note}</th>{cells}</tr>'


def _cell(cell: Cell) -> str:
    mark = ' class="beaten"' if cell.is_beaten else ""
    counts = f"; {cell.undefined} undefined" if cell.undefined and cell.count else ""
    verdict = f'<span class="verdict">{_text(cell.verdict + counts)}</span>' if cell.verdict or counts else ""
    return f'<td{mark}><span class="value">{_text(value_text(cell))}</span>{verdict}</td>'


def _comparison_row(each: Comparison) -> str:
    interval = "one image" if each.interval is None else f"[{number(each.interval[0])}, {number(each.interval[1])}]"
    conclusion = f"{each.better} is better" if each.better else "no difference established"
    cells = (each.second, number(each.difference), interval, str(each.count), f"{each.corrected:.2g}", conclusion)
    row = "".join(f"<td>{_text(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{_text(each.first)}</th>{row}</tr>'


def _text(text: str) -> str:
    return html.escape(printable(text))
