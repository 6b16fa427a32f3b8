"""The report of a study: one HTML file with tables, charts, and the best and worst images in the viewer."""

import html
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from seewhy.errors import OutputError
from seewhy.evaluate.report_charts import curve_chart, mean_curves, means_chart
from seewhy.evaluate.report_images import find_extremes, shown_images, stored_explanations
from seewhy.evaluate.report_tables import comparison_table, extremes_table, means_table
from seewhy.evaluate.study_data import StudyData
from seewhy.evaluate.study_notes import findings, notes
from seewhy.images.text import printable
from seewhy.representation import counted
from seewhy.viewer.assets import style_sheet
from seewhy.viewer.report import ReportWriter

STATISTICS = (
    "Means are over images, with their 95% interval by the bias-corrected bootstrap (9,999 draws of the images). "
    "Differences are paired: both methods on the same images. p is two-sided, of a test that flips the signs of the "
    "differences, and is corrected by Holm's method for all comparisons of one metric; a difference is established "
    "where it is below 0.05. The intervals of differences are not corrected."
)


def write_study_report(study: StudyData, path: str | os.PathLike[str]) -> Path:
    """Write the report of a study.

    Args:
        study: The study.
        path: `.html` or `.htm`.

    Returns:
        The path.

    Raises:
        OptionError: The suffix is another.
        OutputError: No image was measured, or the file cannot be written.
    """
    extremes = find_extremes(study)
    shown = shown_images(study, extremes)
    writer = ReportWriter(path, len(shown))
    for image in shown:
        explanations = stored_explanations(study, image)
        if explanations:
            writer.add(explanations, (study.store.image(image) or {}).get("label"))
    if not writer.images:
        raise OutputError("There is no report to write: no image was measured.")
    sections = [*_head(study), *_metrics(study), extremes_table(study, extremes), *_foot(study, writer.images)]
    return writer.write(
        heading="\n".join(sections),
        style=style_sheet("study.css"),
        title=f"SeeWhy: a study of {study.settings.model} on {counted(len(study.images), 'image')}",
    )


def _head(study: StudyData) -> Iterator[str]:
    settings = study.settings
    methods = len(study.methods) - len(study.baselines)
    yield '<h1>Which method should be trusted here?</h1><div class="study">'
    yield (
        f"<p>{counted(methods, 'method')} and {counted(len(study.baselines), 'baseline')} that do not know the model, "
        f"measured on {counted(len(study.images), 'image')} with {_text(settings.model)} "
        f"({_text(settings.framework)}).</p>"
    )
    yield _list(findings(study), "findings")
    yield means_table(study)
    remarks = notes(study)
    if remarks:
        yield "<h2>What was left out, and what failed</h2>" + _list(remarks, "notes")


def _metrics(study: StudyData) -> Iterator[str]:
    for metric in study.metrics.values():
        direction = "higher is better" if metric.higher_is_better else "lower is better"
        cells = [study.table.cell(method, metric.name) for method in study.methods]
        yield f"<section><h2>{_text(metric.title)}</h2>"
        yield f'<p class="note">{_text(metric.family)}; {direction}; {_paper(metric.paper)}</p><div class="charts">'
        yield means_chart(cells, study, f"{metric.title}, {direction}")
        yield curve_chart(mean_curves(study, metric.name), study, metric.title) if metric.has_curve else ""
        yield "</div>" + comparison_table(study, metric) + "</section>"


def _foot(study: StudyData, shown: int) -> Iterator[str]:
    settings = study.settings
    yield f"<h2>How it was measured</h2><p>{STATISTICS}</p>"
    steps = f"{settings.steps} steps" if settings.steps else "the default steps of each metric"
    facts = [
        f"SeeWhy {settings.seewhy}; seed {settings.seed}; {steps}; batches of {settings.batch_size}",
        f"layer {settings.layer}; what is explained: the {settings.score}",
        f"images: {settings.images}; labels: {settings.labels}; annotations: {settings.annotations}",
    ]
    yield _list(facts, "notes")
    yield f"<h2>{counted(shown, 'image')}: the worst and the best, and those on which methods differ most</h2></div>"


def _list(items: Sequence[str], name: str) -> str:
    return f'<ul class="{name}">' + "".join(f"<li>{_text(item)}</li>" for item in items) + "</ul>" if items else ""


def _paper(paper: str) -> str:
    return f"arXiv {_text(paper)}" if paper[:4].isdecimal() else _text(paper)


def _text(text: object) -> str:
    return html.escape(printable(str(text)))
