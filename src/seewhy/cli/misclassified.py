"""`seewhy errors`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import typer
from rich.console import Console

from seewhy import methods
from seewhy.cli.layer_option import find_layer
from seewhy.cli.model_options import ModelArguments
from seewhy.cli.output_files import check_output_folder
from seewhy.cli.tables import print_line, print_table
from seewhy.cli.terminal import print_error
from seewhy.errors import ModelError
from seewhy.explainer import BATCH_SIZE
from seewhy.images.figure import check_matplotlib
from seewhy.startup_log import quiet_start
from seewhy.train.image_folder import find_class_folders
from seewhy.train.misclassified import MisclassifiedImages, explain_errors, explain_misclassified, images_by_folder
from seewhy.train.plots import write_figure
from seewhy.train.run_folder import Run, write_table

MAX_LISTED = 10
"""The number of skipped images that are printed."""


Report = Literal["text", "json", "nothing"]
"""What is printed on standard output."""


def run_of_training(
    folder: Path,
    limit: int,
    data: Path | None,
    method: str,
    report: Report,
    batch_size: int = BATCH_SIZE,
    device: str | None = None,
) -> None:
    """Explain the misclassified images of a run, print them, and write errors.png and errors.csv to its folder.

    Raises:
        SeewhyError: The folder does not contain a run, or the data are missing.
    """
    check_matplotlib()
    methods.get(method)
    training_run = Run(folder)
    _check_run(training_run)
    with quiet_start():
        misclassified = explain_misclassified(training_run, limit, data, method, batch_size, device)
    _print_and_write(misclassified, folder, report)


def run_of_model(
    model: ModelArguments,
    data: Path,
    limit: int,
    method: str,
    layer: str,
    out: Path,
    report: Report,
    *,
    batch_size: int = BATCH_SIZE,
    recursive: bool = True,
) -> None:
    """Explain the misclassified images in class folders, print them, and write errors.png and errors.csv.

    Raises:
        SeewhyError: The model cannot be loaded, or the folders are not named after its classes.
    """
    check_matplotlib()
    methods.get(method)
    find_class_folders(data)
    check_output_folder(out)
    with quiet_start():
        classifier = model.load()
        images = images_by_folder(data, classifier, recursive=recursive)
        misclassified = explain_errors(classifier, images, limit, method, find_layer(classifier, layer), batch_size)
    _print_and_write(misclassified, out, report)


def _check_run(run: Run) -> None:
    """Raise ModelError if the folder is not that of a training, with a word on the argument that other models need."""
    try:
        run.config()
    except ModelError as error:
        if run.config_path.exists():
            raise
        raise ModelError(
            f"{error} For any other model, add the folder of class folders: seewhy errors {run.folder} DATA."
        ) from error


def _print_and_write(misclassified: MisclassifiedImages, out: Path, report: Report) -> None:
    rows = _rows(misclassified)
    files = [str(out / name) for name in ("errors.png", "errors.csv")] if rows else []
    if rows:
        out.mkdir(parents=True, exist_ok=True)
        write_table(out / "errors.csv", rows)
        write_figure(misclassified.figure(), out / "errors.png")
    if report == "json":
        typer.echo(json.dumps(_as_dict(misclassified, rows, files), indent=2))
    elif report == "text":
        _print(misclassified, rows, files)
    else:
        for error in misclassified.skipped[:MAX_LISTED]:
            print_error(error)


def _rows(misclassified: MisclassifiedImages) -> list[dict[str, Any]]:
    """Return what errors.csv has for each image."""
    return [
        {
            "image": image.name,
            "true_class": image.explanation.targets[0].name,
            "true_probability": image.prediction.true_probability,
            "predicted_class": image.explanation.targets[1].name,
            "predicted_probability": image.prediction.predicted_probability,
        }
        for image in misclassified.explained
    ]


def _as_dict(misclassified: MisclassifiedImages, rows: list[dict[str, Any]], files: list[str]) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "evaluated": misclassified.evaluated,
        "misclassified": misclassified.count,
        "explained": rows,
        "skipped": [str(error) for error in misclassified.skipped],
        "files": files,
    }


def _print(misclassified: MisclassifiedImages, rows: list[dict[str, Any]], files: list[str]) -> None:
    console = Console(highlight=False)
    print_line(console, f"{misclassified.count} of {misclassified.evaluated} images are misclassified")
    for line in _skipped(misclassified):
        console.print(line, markup=False, soft_wrap=True)
    if not rows:
        return
    cells = [[f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    headings = ("image", "true class", "probability", "predicted class", "probability")
    print_table(console, headings, cells, right=(2, 4))
    console.print(f"wrote {files[0]} and errors.csv", markup=False, soft_wrap=True)


def _skipped(misclassified: MisclassifiedImages) -> Iterator[str]:
    """Yield lines about the images that cannot be read."""
    skipped = misclassified.skipped
    if skipped:
        more = f", of which the first {MAX_LISTED} are" if len(skipped) > MAX_LISTED else ""
        yield f"skipped {len(skipped)} that cannot be read{more}:"
        yield from (f"  {error}" for error in skipped[:MAX_LISTED])
