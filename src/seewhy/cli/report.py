"""`seewhy report`."""

import json
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import typer

from seewhy import datasets
from seewhy.datasets.decoding import DecoderProcesses, decode
from seewhy.datasets.overview.clusters import scikit_learn
from seewhy.datasets.overview.overview import Overview
from seewhy.datasets.overview.page_sections import place_words, shortcut_words, why_none
from seewhy.datasets.overview.report import check_sample
from seewhy.errors import OptionError
from seewhy.results.foreign_maps import from_maps, read_maps
from seewhy.viewer.report import SUFFIXES


def run(
    folder: Path, out: Path, sample: int, seed: int, time_limit: float | None, *, quiet: bool, as_json: bool
) -> None:
    """Write the report of a data set, and print what is suspected.

    Args:
        folder: The output of `seewhy batch`.
        out: The page.
        sample: The number of images in its gallery.
        seed: The seed of what is drawn at random.
        time_limit: Seconds that decoding an image may take, in processes of their own; None for this process.
        quiet: Whether nothing is printed.
        as_json: Whether the numbers are printed as JSON.

    Raises:
        SeewhyError: The folder holds no results, an option is invalid, or the page cannot be written.
    """
    if out.suffix.lower() not in SUFFIXES:  # before the output is read
        raise OptionError(f"A report is an HTML page; given {out.name!r}, expected a name ending in .html.")
    check_sample(sample)
    output = datasets.open(folder)
    scikit_learn("cluster")
    overview = datasets.make_overview(output, seed=seed)
    with closing(DecoderProcesses(time_limit)) if time_limit is not None else nullcontext() as processes:
        read = decode if processes is None else processes.decode
        datasets.write_report(output, out, sample=sample, seed=seed, overview=overview, read=read)
    if as_json:
        typer.echo(json.dumps({"file": str(out), **overview.as_dict()}, indent=2))
    elif not quiet:
        for line in _lines(overview, out):
            typer.echo(line)


def show_maps(image: Path, maps: Path, out: Path, *, quiet: bool, as_json: bool) -> None:
    """Write the report of heatmaps of one image that another tool made.

    Args:
        image: The image.
        maps: An .npz file with the heatmaps by name.
        out: The page.
        quiet: Whether nothing is printed.
        as_json: Whether the names of the heatmaps are printed as JSON.

    Raises:
        SeewhyError: A file cannot be read, the heatmaps have a wrong shape, or the page cannot be written.
    """
    explanation = from_maps(image, read_maps(maps))
    explanation.report(out)
    if as_json:
        typer.echo(json.dumps({"file": str(out), "maps": [target.name for target in explanation.targets]}, indent=2))
    elif not quiet:
        typer.echo(f"showed {len(explanation.targets)} heatmaps of {image}; wrote {out}")


def _lines(overview: Overview, out: Path) -> Iterator[str]:
    yield f"looked at {len(overview.index):,} images in {len(overview.classes):,} classes; wrote {out}"
    for each, cluster in overview.shortcuts:
        if cluster.shortcut is not None:
            place = place_words(cluster.shortcut.centre)
            yield f"suspected shortcut: {each.name}, {place}. {shortcut_words(each, cluster, cluster.shortcut)}"
    if not overview.shortcuts:
        yield why_none(overview)
