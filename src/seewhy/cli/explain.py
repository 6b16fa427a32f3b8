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

from seewhy.cli.batches import Outcome, explain_images, write_outcomes
from seewhy.cli.compile_cache import check_is_jax, set_compile_cache
from seewhy.cli.error_messages import command_line_message
from seewhy.cli.folder_labels import classes_by_folder
from seewhy.cli.model_options import ModelArguments
from seewhy.cli.output_files import REPORT, OutputFiles, check_output_folder
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

MAX_WITHOUT_PROGRESS_BAR = 3
"""The number of images above which a progress bar is shown."""


@dataclass(frozen=True)
class ExplainArguments:
    """The arguments and options of the command."""

    images: tuple[str, ...]
    models: tuple[ModelArguments, ...]
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
        """Return the targets for a model.

        The default is the most probable class; the first few if the report, where a reader can switch between targets,
        is the only output.
        """
        if self.targets is not None:
            return self.targets
        classes = 1 if classifier.class_names is None else max(len(classifier.class_names), 1)
        return [f"top-{min(SHOWN_PREDICTIONS, classes)}" if set(self.formats) == {"html"} else "top-1"]

    def check(self) -> None:
        """Raise UsageError for mistakes that can be found before a framework is imported, which takes seconds."""
        color_table(Style(**self.style).colormap)
        for name in self.formats:
            if "." + name not in SUFFIXES:
                known = ", ".join(suffix[1:] for suffix in SUFFIXES)
                raise OptionError(f"Cannot write the format {name!r}; known: {known}.")
        if self.figure not in (None, "grid") and len(self.models) * len(self.methods) > 1:
            raise OptionError(
                f"--figure {self.figure} shows one explanation, and several models or methods are drawn in one grid. "
                "Leave it out, or give one --model and one --method."
            )
        if self.together and not any(f".{name}" in IMAGE_SUFFIXES for name in self.formats):
            raise OptionError("--together writes an image; add png or jpg to --format.")
        if self.label_by_folder and "html" not in self.formats:
            raise OptionError("--label-by-folder is for the report; add html to --format.")

    def check_together(self, images: int) -> None:
        """Raise UsageError if one image would have too many overlays, before the images are explained."""
        panels = images * len(self.models) * len(self.methods)
        if self.together and panels > MAX_PANELS:
            raise OptionError(
                f"--together would draw at least {panels} overlays in one image; it can have {MAX_PANELS}. Give "
                "fewer images, or leave it out."
            )


@dataclass
class RunSummary:
    """The results so far: what `--json` prints, and the exit code."""

    explanations: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    exit_code: int = 0

    def add_shared_file(self, name: str) -> None:
        """Add a file that all explanations share."""
        for explanation in self.explanations:
            explanation["files"].append(name)

    def add_explanations(self, outcome: Outcome) -> None:
        """Add the explanations of an image."""
        self.explanations += [
            {**explanation.as_dict(), "files": files}
            for explanation, files in zip(outcome.explanations, outcome.files, strict=True)
        ]

    def add_error(self, image: Path, error: SeewhyError) -> None:
        """Add the error of an image."""
        self.errors.append({"image": str(image), "error": command_line_message(error)})
        # The exit code is 2 only if all errors are usage errors.
        is_usage = isinstance(error, UsageError) and self.exit_code in (0, UsageError.exit_code)
        self.exit_code = UsageError.exit_code if is_usage else SeewhyError.exit_code


def run(request: ExplainArguments, *, as_json: bool, times: Times | None = None) -> None:
    """Explain the images, write the files, and print the results; at the end, print where the time went.

    Raises:
        SeewhyError: The call is wrong, so that no image can be explained.
        typer.Exit: After the last image, with the exit code.
    """
    request.check()
    summary = RunSummary()
    paths = list(_find_images(request.images, summary))
    if not paths:
        _exit(summary, as_json)
    request.check_together(len(paths))
    suffixes = [f".{name}" for name in request.formats]
    check_output_folder(request.out)
    explainers = _explainers(request, progress=len(paths) <= MAX_WITHOUT_PROGRESS_BAR)
    labels = classes_by_folder(paths, explainers[0].classifier) if request.label_by_folder else None
    files = OutputFiles(request.out, suffixes, inputs=paths, labels=labels)
    console = Console(stderr=as_json, highlight=False)
    explained: list[Explanation] = []
    for outcome in _with_progress_bar(_outcomes(request, paths, explainers, files), len(paths), console):
        if outcome.error is not None:
            summary.add_error(outcome.path, outcome.error)
            print_error(outcome.error)
            continue
        summary.add_explanations(outcome)
        if request.together:
            explained += outcome.explanations
        if not as_json:
            _print_explanations(outcome.explanations, outcome.files, console)
    if explained:
        _write_together(explained, files, request, summary, console)
    _write_report(files, summary, console)
    if times is not None:
        print_times(times, len(paths))
    _exit(summary, as_json)


def _outcomes(
    request: ExplainArguments, paths: Sequence[Path], explainers: Sequence[Explainer], files: OutputFiles
) -> Iterator[Outcome]:
    """Explain the images and write their files."""
    # A few images, and slow methods, are explained one by one, so that each result is shown as soon as possible.
    is_one_by_one = len(paths) <= MAX_WITHOUT_PROGRESS_BAR or any(method.needs_runner for method in request.methods)
    batch_size = 1 if is_one_by_one else BATCH_SIZE
    calls = [partial(explainer.explain, targets=request.targets_of(explainer.classifier)) for explainer in explainers]

    def write(explanations: Sequence[Explanation], path: Path) -> list[list[str]]:
        return files.write(explanations, path, request.figure, request.style)

    return write_outcomes(explain_images(paths, calls, batch_size), write, batch_size)


def _explainers(request: ExplainArguments, *, progress: bool) -> list[Explainer]:
    if request.compile_cache is not None:
        set_compile_cache(request.compile_cache)
    with quiet_start():
        explainers = [
            Explainer(classifier, method, request.layer, request.score, progress=progress, precision=request.precision)
            for classifier in _classifiers(request.models)
            for method in request.methods
        ]
    if request.compile_cache is not None:
        check_is_jax(explainer.framework for explainer in explainers)
    return explainers


def _classifiers(models: Sequence[ModelArguments]) -> list[Classifier]:
    """Load the models; those with the same name are named after their sources, to tell them apart."""
    classifiers = [model.load() for model in models]
    count = Counter(classifier.name for classifier in classifiers)
    for model, classifier in zip(models, classifiers, strict=True):
        if count[classifier.name] > 1:
            classifier.name = model.source
    return classifiers


def _write_together(
    explanations: Sequence[Explanation],
    files: OutputFiles,
    request: ExplainArguments,
    summary: RunSummary,
    console: Console,
) -> None:
    """Write one image with all explanations; a failure is added to the errors, and the other results stay."""
    try:
        for file in files.write_together(explanations, request.style):
            console.print(f"wrote {file}", markup=False, soft_wrap=True)
    except (OptionError, OutputError) as error:
        summary.add_error(request.out / "together", error)
        print_error(error)


def _write_report(files: OutputFiles, summary: RunSummary, console: Console) -> None:
    """Write the report, if there is one; a failure is added to the errors, and the other results stay."""
    try:
        written = files.write_report()
    except OutputError as error:
        summary.add_error(Path(REPORT), error)
        print_error(error)
        return
    if written is not None:
        summary.add_shared_file(written)
        console.print(f"wrote {written}", markup=False, soft_wrap=True)


def _exit(summary: RunSummary, as_json: bool) -> NoReturn:
    """Print JSON, if requested, and exit with the exit code."""
    if as_json:
        typer.echo(json.dumps({"explanations": summary.explanations, "errors": summary.errors}, indent=2))
    raise typer.Exit(summary.exit_code)


def _find_images(images: Sequence[str], summary: RunSummary) -> Iterator[Path]:
    """Yield the paths of the images; an argument without images is added to the errors."""
    for image in images:
        try:
            yield from reading.find_images(image)
        except ImageError as error:
            summary.add_error(Path(image), error)
            print_error(error)


def _with_progress_bar(outcomes: Iterable[Outcome], count: int, console: Console) -> Iterable[Outcome]:
    """Yield the outcomes of `count` images, with a progress bar if there are more than a few.

    The bar is the last line of the terminal, below the results; it is on standard error if these go to a file.
    """
    if count <= MAX_WITHOUT_PROGRESS_BAR:
        return outcomes
    terminal = console if console.is_terminal else Console(stderr=True)
    return track(outcomes, description="Explaining", total=count, console=terminal)


def _print_explanations(explanations: Sequence[Explanation], files: Sequence[Sequence[str]], console: Console) -> None:
    """Print each model's predictions, which its methods share, then the targets and the paths of the files."""
    for model in dict.fromkeys(explanation.model for explanation in explanations):
        of_model = [explanation for explanation in explanations if explanation.model == model]
        is_only_model = len(of_model) == len(explanations)
        _print_model(of_model, str(of_model[0].source) + ("" if is_only_model else f", {model}"), console)
    for file in dict.fromkeys(chain.from_iterable(files)):
        console.print(f"wrote {file}", markup=False, soft_wrap=True)


def _print_model(explanations: Sequence[Explanation], title: str, console: Console) -> None:
    first = explanations[0]
    console.print(Text(title), soft_wrap=True)
    table = Table()
    for heading, justify in (("index", "right"), ("class", "left"), ("probability", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for prediction in first.predictions[:SHOWN_PREDICTIONS]:
        table.add_row(str(prediction.index), Text(prediction.name), f"{prediction.probability:.4f}")
    console.print(table)
    for target in first.targets:
        probability = "" if target.probability is None else f", probability {target.probability:.4f}"
        console.print(f"explained {target.index} {target.name}: score {target.score:.3f}{probability}", markup=False)
    for explanation in explanations:
        empty = ", ".join(target.name for target in explanation.targets if not target.has_evidence)
        note = f"; no evidence for {empty} in the image" if empty else ""
        console.print(f"layer {explanation.layer}, method {explanation.method}{note}", markup=False)
