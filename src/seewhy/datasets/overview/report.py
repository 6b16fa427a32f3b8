"""The report of a data set: one HTML file with its overview and the images of a sample."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.datasets.decoding import Decode, decode
from seewhy.datasets.output import Output
from seewhy.datasets.overview.original_images import OriginalImages
from seewhy.datasets.overview.overview import Overview, make_overview
from seewhy.datasets.overview.page_sections import cluster_key, clustered_classes, page_sections
from seewhy.datasets.overview.row_entries import RowEntries
from seewhy.datasets.overview.row_index import Integers, RowIndex
from seewhy.errors import OptionError, short_repr
from seewhy.images.text import printable
from seewhy.representation import counted
from seewhy.viewer.assets import style_sheet
from seewhy.viewer.photos import limits_for
from seewhy.viewer.report import ReportWriter

SAMPLE = 200
"""The number of images that a report shows by default."""

MAX_SAMPLE = 5_000
"""The largest number, with which a report has some 500 MB."""


def write_report(
    output: Output,
    path: str | os.PathLike[str],
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    overview: Overview | None = None,
    read: Decode = decode,
) -> Path:
    """Write a report of a data set: one file that needs neither a model nor other files.

    It says where the model looks for each class, shows clusters of maps, names those that are suspected to be a
    shortcut, and has a gallery with filters of a sample of the images and of the examples of all clusters. The images
    are read from where they were when they were explained; of one that is missing the map alone is shown.

    Args:
        output: The output of a run, as `seewhy.datasets.open` returns it.
        path: `.html` or `.htm`.
        sample: The number of images in the gallery, drawn at random.
        seed: The seed of all that is drawn at random.
        overview: The overview of the data set, where it was made already with this seed.
        read: Reads the image of a record.

    Returns:
        The path.

    Raises:
        OptionError: An argument is invalid, or there are no results.
        MissingExtraError: scikit-learn is not installed.
        OutputError: The file cannot be written.
    """
    check_sample(sample)
    writer = ReportWriter(path, sample)
    overview = overview or make_overview(output, seed=seed)
    index = overview.index
    entries = RowEntries(output, index, OriginalImages(output, read))
    clusters = rows_of_clusters(overview)
    rows = _sample(overview, sample, seed)
    limits, missing = limits_for(len(rows)), 0
    cluster_of = {int(row): key for key, own in clusters.items() for row in own}
    for row in map(int, rows):
        entry = entries.entry(row, limits)
        missing += "notice" in entry
        facts = {"has_evidence": bool(index.has_evidence[row]), "cluster": cluster_of.get(row, "")}
        writer.add_entry(entry, facts)
    summary = output.summary()
    heading = page_sections(overview, summary, entries) + _sample_note(index, len(rows), sample, seed, missing)
    return writer.write(
        heading=heading,
        style=style_sheet("data_set.css"),
        title=f"SeeWhy: {counted(len(index), 'image')} of {printable(Path(summary['source']).name)}",
        script="data_set_report.js",
        data={"total": len(rows), "choices": page_choices(overview, clusters, rows)},
    )


def check_sample(sample: int) -> None:
    """Raise OptionError unless this is a number of images of which a report can be written."""
    if type(sample) is not int or not 1 <= sample <= MAX_SAMPLE:
        raise OptionError(f"sample is {short_repr(sample)}; expected 1 to {MAX_SAMPLE:,}.")


def rows_of_clusters(overview: Overview) -> dict[str, Integers]:
    """Return the rows of each cluster that is shown, by its key."""
    return {
        cluster_key(each, number): cluster.rows
        for each in clustered_classes(overview)
        for number, cluster in enumerate(each.clusters)
    }


def page_choices(overview: Overview, clusters: Mapping[str, Integers], rows: Integers | slice) -> dict[str, Any]:
    """Return what a reader of the page can choose, of these rows of the index."""
    index = overview.index
    return {
        "predicted": _names(index, index.predicted[rows]),
        "labels": _names(index, index.labels[rows]),
        "clusters": [[key, key] for key in clusters],
        "has_verdicts": bool((index.correct[rows] >= 0).any()),
    }


def _names(index: RowIndex, codes: Integers) -> list[str]:
    return sorted({printable(index.names[code]) for code in np.unique(codes) if code >= 0})


def _sample(overview: Overview, sample: int, seed: int) -> Integers:
    """Return the rows of the gallery: some that are drawn at random, and the examples of all clusters."""
    count = len(overview.index)
    drawn = np.random.default_rng(seed).choice(count, min(sample, count), replace=False)
    examples = [cluster.examples for each in clustered_classes(overview) for cluster in each.clusters]
    return np.unique(np.concatenate([drawn, *examples]))


def _sample_note(index: RowIndex, shown: int, sample: int, seed: int, missing: int) -> str:
    """Return what the gallery shows, as HTML."""
    if shown == len(index):
        text = f"All {shown:,} images." if shown > 1 else "The image."
    else:
        drawn = min(sample, len(index))
        text = (
            f"{shown:,} of {len(index):,} images: {drawn:,} were drawn at random with the seed {seed}, and examples of "
            "clusters were added. A filter by cluster shows those that are among them."
        )
    if missing:
        text += f" {counted(missing, 'image')} cannot be read any more: the maps are shown alone."
    return f'<p class="intro">{text}</p>\n'
