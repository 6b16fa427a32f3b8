"""`seewhy explain`."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import typer

from seewhy.cli.batches import (
    AnyExplanation,
    ExplainBatch,
    ExplainRecording,
    Outcome,
    explain_images,
    explain_recordings,
    write_outcomes,
)
from seewhy.cli.compile_cache import check_is_jax, set_compile_cache
from seewhy.cli.image_search import ImageSearch
from seewhy.cli.layer_option import find_layer
from seewhy.cli.model_options import ModelArguments, check_targets
from seewhy.cli.output_files import REPORT, OutputFiles, check_output_folder
from seewhy.cli.result_printer import MAX_IN_FULL, ResultPrinter
from seewhy.cli.run_summary import RunSummary
from seewhy.cli.terminal import print_times
from seewhy.datasets.folder_labels import classes_by_folder
from seewhy.errors import OptionError, OutputError
from seewhy.explainer import BATCH_SIZE, Explainer
from seewhy.frameworks.tokens import TokenGrid
from seewhy.images.colour import color_table
from seewhy.images.figure import MAX_PANELS, VECTOR_SUFFIXES, check_matplotlib
from seewhy.images.style import Style, StyleOptions
from seewhy.methods import Method
from seewhy.models import Classifier
from seewhy.recordings.find_reader import is_recording
from seewhy.recordings.finding import NIFTI_SUFFIXES
from seewhy.results.explanation import IMAGE_SUFFIXES, SHOWN_PREDICTIONS, SUFFIXES, Explanation
from seewhy.results.figures import FigureKind
from seewhy.results.frame_explanation import MONTAGE_FRAMES
from seewhy.results.recording_explanation import RecordingExplanation
from seewhy.startup_log import quiet_start
from seewhy.timing import Times
from seewhy.types import Precision, Score


@dataclass(frozen=True)
class ExplainArguments:
    """The arguments and options of the command."""

    images: ImageSearch
    models: tuple[ModelArguments, ...]
    targets: list[str] | None
    methods: tuple[Method, ...]
    layer: str
    score: Score
    precision: Precision
    tokens: TokenGrid | None
    style: StyleOptions
    figure: FigureKind | None
    out: Path
    formats: tuple[str, ...]
    frames: int = MONTAGE_FRAMES
    slice_axis: int = 0
    reduce_to: int | None = None
    together: bool = False
    label_by_folder: bool = False
    check_heatmaps: bool = False
    compile_cache: Path | None = None
    batch_size: int | None = None

    def targets_of(self, classifier: Classifier) -> Sequence[str | int]:
        """Return the targets for a model.

        The default is the most probable class; the first few if the report, where a reader can switch between targets,
        is the only output; and all prompts, where the classes are those.
        """
        if self.targets is not None:
            return self.targets
        if classifier.prompts is not None:
            return list(range(len(classifier.prompts.names)))
        classes = 1 if classifier.class_names is None else max(len(classifier.class_names), 1)
        return [f"top-{min(SHOWN_PREDICTIONS, classes)}" if set(self.formats) == {"html"} else "top-1"]

    def check(self) -> None:
        """Raise UsageError for mistakes that can be found before a framework is imported, which takes seconds."""
        self._check_formats()
        color_table(Style(**self.style).colormap)
        specs = [model.check() for model in self.models]
        counts = [] if self.targets is None else [check_targets(self.targets, spec).target_count for spec in specs]
        has_several_prompts = not counts and any(len(model.prompts or ()) > 1 for model in self.models)
        if self._draws_figures(has_several_targets=has_several_prompts or counts not in ([], [1] * len(counts))):
            check_matplotlib()

    def _draws_figures(self, *, has_several_targets: bool) -> bool:
        """Whether an image is more than an overlay alone."""
        suffixes = {f".{name}" for name in self.formats}
        if self.figure in (None, "overlay"):
            is_grid = len(self.models) * len(self.methods) > 1 or (self.figure is None and has_several_targets)
            is_figure = is_grid or self.together or self.style.get("colorbar", False)
        else:
            is_figure = True
        return not suffixes.isdisjoint(IMAGE_SUFFIXES if is_figure else VECTOR_SUFFIXES)

    def _check_formats(self) -> None:
        for name in self.formats:
            if "." + name not in (*SUFFIXES, *NIFTI_SUFFIXES):
                known = ", ".join(suffix[1:] for suffix in (*SUFFIXES, *NIFTI_SUFFIXES))
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

        self._check_together(len(self.images.images))

    def _check_together(self, images: int) -> None:
        panels = images * len(self.models) * len(self.methods)
        if self.together and panels > MAX_PANELS:
            raise OptionError(
                f"--together would draw at least {panels} overlays in one image; it can have {MAX_PANELS}. Give "
                "fewer images, or leave it out."
            )


def run(request: ExplainArguments, *, as_json: bool, quiet: bool = False, times: Times | None = None) -> None:
    """Explain the images, write the files, and print the results; at the end, print where the time went.

    Raises:
        SeewhyError: The call is wrong, so that no image can be explained.
        typer.Exit: After the last image, with the exit code.
    """
    request.check()
    suffixes = [f".{name}" for name in request.formats]
    check_output_folder(request.out)
    summary = RunSummary.of_search(request.images)
    paths = [image.path for image in request.images.images]
    printer = ResultPrinter(len(paths), is_silent=as_json or quiet)
    explainers = make_explainers(request, progress=len(paths) <= MAX_IN_FULL and not quiet)
    labels = classes_by_folder(paths, explainers[0].classifier) if request.label_by_folder else None
    summary.labels = labels or {}
    files = OutputFiles(
        request.out,
        suffixes,
        inputs=request.images.images,
        labels=labels,
        frames={"frames": request.frames, "axis": request.slice_axis},
    )
    explained: list[Explanation] = []
    outcomes = _outcomes(request, explainers, files)
    for outcome in outcomes if quiet else printer.with_progress_bar(outcomes):
        if outcome.error is not None:
            summary.add_error(outcome.path, outcome.error)
            continue
        summary.add_explanations(outcome)
        if request.together:
            explained += [each for each in outcome.explanations if isinstance(each, Explanation)]
        printer.print_image(outcome)
    if explained:
        _write_together(explained, files, request, summary, printer)
    _write_report(files, summary, printer)
    printer.print_summary(summary, request.out)
    if times is not None:
        print_times(times, len(paths))
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), indent=2))
    raise typer.Exit(summary.exit_code)


def _outcomes(request: ExplainArguments, explainers: Sequence[Explainer], files: OutputFiles) -> Iterator[Outcome]:
    """Explain the images and write their files."""
    paths = request.images.paths
    # A few images, and slow methods, are explained one by one, so that each result is shown as soon as possible.
    is_one_by_one = len(paths) <= MAX_IN_FULL or any(method.needs_runner for method in request.methods)
    batch_size = request.batch_size or (1 if is_one_by_one else BATCH_SIZE)
    calls = [_explain_batch(request, explainer) for explainer in explainers]
    alone = [_explain_recording(request, explainer) for explainer in explainers]
    axes = explainers[0].framework.spatial_axes()
    runs = (
        explain_recordings(run, alone)
        if has_recordings
        else explain_images(list(run), calls, batch_size, request.reduce_to)
        for has_recordings, run in groupby(paths, lambda path: is_recording(path, axes))
    )

    def write(explanations: Sequence[AnyExplanation], path: Path) -> list[list[str]]:
        return files.write(explanations, path, request.figure, request.style)

    return write_outcomes(chain.from_iterable(runs), write, batch_size)


def _explain_recording(request: ExplainArguments, explainer: Explainer) -> ExplainRecording:
    """Return the function that explains a volume, a signal or a video."""

    def explain(path: Path) -> RecordingExplanation:
        for is_given, option in (
            (request.check_heatmaps, "--check covers parts of images"),
            (request.together, "--together draws images"),
            (request.reduce_to is not None, "--reduce-to is for JPEG files"),
        ):
            if is_given:
                raise OptionError(f"{option}, and {path} is a volume, a signal or a video. Leave it out.")
        # By its suffix, the path is read as a recording, so that its explanation is one of a recording.
        targets = request.targets_of(explainer.classifier)
        explained: list[Any] = explainer.explain([path], targets, batch_size=request.batch_size or BATCH_SIZE)
        explanation: RecordingExplanation = explained[0]
        return explanation

    return explain


def _explain_batch(request: ExplainArguments, explainer: Explainer) -> ExplainBatch:
    """Return the function that explains a batch of images, and checks their heatmaps if that was requested."""
    targets = request.targets_of(explainer.classifier)
    explain = partial(explainer.explain, targets=targets, batch_size=request.batch_size or BATCH_SIZE)
    if not request.check_heatmaps:
        return explain
    from seewhy.evaluate.check import with_checks  # imported late: it brings all metrics

    return lambda images: [with_checks(explainer, explanation) for explanation in explain(images)]


def make_explainers(request: ExplainArguments, *, progress: bool) -> list[Explainer]:
    """Return an explainer for each model and method."""
    if request.compile_cache is not None:
        set_compile_cache(request.compile_cache)
    with quiet_start():
        explainers = [
            Explainer(
                classifier,
                method,
                find_layer(classifier, request.layer),
                request.score,
                progress=progress,
                precision=request.precision,
                tokens=request.tokens,
            )
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
    printer: ResultPrinter,
) -> None:
    """Write one image with all explanations; a failure is added to the errors, and the other results stay."""
    try:
        for file in files.write_together(explanations, request.style):
            summary.files.add(file)
            printer.print_file(file)
    except (OptionError, OutputError) as error:
        summary.add_error(request.out / "together", error)


def _write_report(files: OutputFiles, summary: RunSummary, printer: ResultPrinter) -> None:
    """Write the report, if there is one; a failure is added to the errors, and the other results stay."""
    try:
        written = files.write_report()
    except OutputError as error:
        summary.add_error(Path(REPORT), error)
        return
    if written is not None:
        summary.add_shared_file(written)
        printer.print_file(written)
