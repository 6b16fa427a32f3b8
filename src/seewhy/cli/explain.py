"""`seewhy explain`."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from seewhy.cli.batches import Outcome, explain_each, write_each
from seewhy.cli.compile_cache import check_is_jax, keep_compiled
from seewhy.cli.files import REPORT, Files
from seewhy.cli.sources import ModelRequest
from seewhy.cli.terminal import print_error, print_times, quiet_start
from seewhy.errors import ImageError, OptionError, OutputError, SeewhyError, UsageError
from seewhy.explainer import BATCH_SIZE, Explainer
from seewhy.images import reading
from seewhy.images.colour import color_table
from seewhy.images.figure import MAX_PANELS
from seewhy.images.style import Style, StyleOptions
from seewhy.methods import Method
from seewhy.models import Classifier
from seewhy.results.explanation import IMAGE_SUFFIXES, SHOWN_PREDICTIONS, SUFFIXES, Explanation
from seewhy.results.figures import FigureKind
from seewhy.timing import Times
from seewhy.types import Precision, Score

A_FEW = 3
"""Above so many images a progress bar is shown."""


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    images: tuple[str, ...]
    models: tuple[ModelRequest, ...]
    targets: list[str] | None
    methods: tuple[Method, ...]
    layer: str
    score: Score
    precision: Precision
    style: StyleOptions
    figure: FigureKind | None
    out: Path
    formats: tuple[str, ...]
    together: bool = False
    label_by_folder: bool = False
    compile_cache: Path | None = None

    def targets_of(self, classifier: Classifier) -> list[str]:
        """Return what is asked: in a report that stands alone, where nothing else is said, about the first few classes.

        A reader of the report can then go from one to the other.
        """
        if self.targets is not None:
            return self.targets
        classes = 1 if classifier.class_names is None else max(len(classifier.class_names), 1)
        return [f"top-{min(SHOWN_PREDICTIONS, classes)}" if set(self.formats) == {"html"} else "top-1"]

    def check(self) -> None:
        """Raise UsageError for what can be told before a framework is imported, which takes seconds."""
        color_table(Style(**self.style).colormap)
        for name in self.formats:
            if "." + name not in SUFFIXES:
                known = ", ".join(suffix[1:] for suffix in SUFFIXES)
                raise OptionError(f"Cannot write the format {name!r}; known: {known}.")
        if self.figure not in (None, "grid") and len(self.models) * len(self.methods) > 1:
            raise OptionError(
                f"--figure {self.figure} draws one explanation, and several models or methods are drawn in one grid. "
                "Leave it out, or give one --model and one --method."
            )
        if self.together and not any(f".{name}" in IMAGE_SUFFIXES for name in self.formats):
            raise OptionError("--together writes one image of all; add png or jpg to --format.")
        if self.label_by_folder and "html" not in self.formats:
            raise OptionError("--label-by-folder is for the report; add html to --format.")

    def check_together(self, images: int) -> None:
        """Raise UsageError where so many images would not fit into one, before they are explained."""
        panels = images * len(self.models) * len(self.methods)
        if self.together and panels > MAX_PANELS:
            raise OptionError(
                f"--together would draw at least {panels} overlays in one image; it can have {MAX_PANELS}. Give "
                "fewer images, or leave it out."
            )


@dataclass
class Report:
    """What came of the images so far."""

    explanations: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    exit_code: int = 0

    def add_file(self, name: str) -> None:
        """Note a file that all explanations share."""
        for each in self.explanations:
            each["files"].append(name)

    def add_error(self, image: Path, error: SeewhyError) -> None:
        """Note what went wrong with one image."""
        self.errors.append({"image": str(image), "error": str(error)})
        # 2 only while nothing but the call was wrong.
        is_usage = isinstance(error, UsageError) and self.exit_code in (0, UsageError.exit_code)
        self.exit_code = UsageError.exit_code if is_usage else SeewhyError.exit_code


def run(request: Request, *, as_json: bool, times: Times | None = None) -> None:
    """Explain the images, write the files, print what came of it; and at the end where the time went.

    Raises:
        SeewhyError: The call was wrong as a whole: no image was begun, or every one would fail alike.
        typer.Exit: With the exit code, after the last image.
    """
    request.check()
    report = Report()
    paths = list(_found(request.images, report))
    if not paths:
        _finish(report, as_json)
    request.check_together(len(paths))
    suffixes = [f".{name}" for name in request.formats]
    files = Files(request.out, suffixes, inputs=paths, label_by_folder=request.label_by_folder)
    explainers = _explainers(request, progress=len(paths) <= A_FEW)
    console = Console(stderr=as_json, highlight=False)
    together: list[Explanation] = []
    # Of few images, and of methods that take minutes for each, one shows what it has before the next is begun.
    at_once = 1 if len(paths) <= A_FEW or any(method.reruns for method in request.methods) else BATCH_SIZE
    explains = [partial(each.explain, targets=request.targets_of(each.classifier)) for each in explainers]
    outcomes = explain_each(paths, explains, at_once)
    outcomes = write_each(
        outcomes, lambda found, path: files.write(found, path, request.figure, request.style), at_once
    )
    for path, explanations, written, error in _tracked(outcomes, len(paths), console):
        if error is not None:
            report.add_error(path, error)
            print_error(error)
            continue
        report.explanations += [
            {**each.as_dict(), "files": names} for each, names in zip(explanations, written, strict=True)
        ]
        if request.together:
            together += explanations
        if not as_json:
            _print_explanations(explanations, written, console)
    if together:
        _write_together(together, files, request, report, console)
    _write_report(files, report, console)
    if times is not None:
        print_times(times, len(paths))
    _finish(report, as_json)


def _explainers(request: Request, *, progress: bool) -> list[Explainer]:
    if request.compile_cache is not None:
        keep_compiled(request.compile_cache)
    with quiet_start():
        explainers = [
            Explainer(classifier, method, request.layer, request.score, progress=progress, precision=request.precision)
            for classifier in _classifiers(request.models)
            for method in request.methods
        ]
    if request.compile_cache is not None:
        check_is_jax(each.framework for each in explainers)
    return explainers


def _classifiers(models: Sequence[ModelRequest]) -> list[Classifier]:
    """Load the models; those of one name are called what was given for them, which tells them apart."""
    classifiers = [model.load() for model in models]
    count = Counter(each.name for each in classifiers)
    for model, classifier in zip(models, classifiers, strict=True):
        if count[classifier.name] > 1:
            classifier.name = model.source
    return classifiers


def _write_together(
    explanations: Sequence[Explanation], files: Files, request: Request, report: Report, console: Console
) -> None:
    """Write the image of all; if that fails, it is noted like an image that does, and the others are reported."""
    try:
        for file in files.write_together(explanations, request.style):
            console.print(f"wrote {file}", markup=False, soft_wrap=True)
    except (OptionError, OutputError) as error:
        report.add_error(request.out / "together", error)
        print_error(error)


def _write_report(files: Files, report: Report, console: Console) -> None:
    """Write the report, if it is asked for; that it cannot be written takes nothing from what was."""
    try:
        written = files.write_report()
    except OutputError as error:
        report.add_error(Path(REPORT), error)
        print_error(error)
        return
    if written is not None:
        report.add_file(written)
        console.print(f"wrote {written}", markup=False, soft_wrap=True)


def _finish(report: Report, as_json: bool) -> NoReturn:
    """Print the JSON, if it is asked for, and end with the exit code."""
    if as_json:
        typer.echo(json.dumps({"explanations": report.explanations, "errors": report.errors}, indent=2))
    raise typer.Exit(report.exit_code)


def _found(images: Sequence[str], report: Report) -> Iterator[Path]:
    """Find the images; what holds none, or cannot be searched, is noted."""
    for image in images:
        try:
            yield from reading.find_images(image)
        except ImageError as error:
            report.add_error(Path(image), error)
            print_error(error)


def _tracked(outcomes: Iterable[Outcome], count: int, console: Console) -> Iterable[Outcome]:
    """Go through what comes of `count` images; with a progress bar if they are more than a few.

    The bar is the last line of the terminal, below the results; where these go to a file, it is on standard error.
    """
    if count <= A_FEW:
        return outcomes
    shown = console if console.is_terminal else Console(stderr=True)
    return track(outcomes, description="Explaining", total=count, console=shown)


def _print_explanations(explanations: Sequence[Explanation], files: Sequence[Sequence[str]], console: Console) -> None:
    """Print what each model predicts, which its methods share; what was explained; and where the images are."""
    for model in dict.fromkeys(each.model for each in explanations):
        of_model = [each for each in explanations if each.model == model]
        is_alone = len(of_model) == len(explanations)
        _print_model(of_model, str(of_model[0].source) + ("" if is_alone else f", {model}"), console)
    for file in dict.fromkeys(chain.from_iterable(files)):
        console.print(f"wrote {file}", markup=False, soft_wrap=True)


def _print_model(explanations: Sequence[Explanation], title: str, console: Console) -> None:
    first = explanations[0]
    console.print(Text(title), soft_wrap=True)
    table = Table()
    for heading, justify in (("id", "right"), ("name", "left"), ("probability", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for prediction in first.predictions[:SHOWN_PREDICTIONS]:
        table.add_row(str(prediction.index), Text(prediction.name), f"{prediction.probability:.4f}")
    console.print(table)
    for target in first.targets:
        probability = "" if target.probability is None else f", probability {target.probability:.4f}"
        console.print(f"explained {target.index} {target.name}: score {target.score:.3f}{probability}", markup=False)
    for each in explanations:
        empty = ", ".join(target.name for target in each.targets if not target.has_evidence)
        nothing = f"; nothing in the image speaks for {empty}" if empty else ""
        console.print(f"layer {each.layer}, method {each.method}{nothing}", markup=False)
