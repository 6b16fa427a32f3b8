"""`seewhy evaluate`."""

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from seewhy.cli.evaluate_printer import StudyPrinter, print_cost
from seewhy.cli.exit_codes import INTERRUPTED
from seewhy.cli.layer_option import find_layer
from seewhy.cli.model_options import ModelArguments
from seewhy.cli.output_files import check_output_folder
from seewhy.cli.terminal import print_error
from seewhy.errors import OptionError, OutputError, SeewhyError
from seewhy.evaluate.bootstrap import check_statistics
from seewhy.evaluate.study_plan import StudyPlan, find_metrics, prepare
from seewhy.evaluate.study_progress import Progress
from seewhy.evaluate.study_result import Study
from seewhy.evaluate.study_store import StudyStore
from seewhy.evaluate.study_values import check_suffix
from seewhy.methods import Method
from seewhy.startup_log import quiet_start
from seewhy.types import Score

MAX_PROBLEMS = 10
"""How many problems of images are printed."""

REPORT = "report.html"

LINES = 20
"""Without a terminal, how many lines tell the progress."""


@dataclass(frozen=True)
class EvaluateArguments:
    """The arguments and options of the command."""

    source: tuple[str, ...]
    model: ModelArguments
    methods: tuple[Method, ...]
    metrics: tuple[str, ...]
    labels: str | None
    boxes: Path | None
    masks: Path | None
    maps: tuple[str, ...]
    out: Path
    resume: bool
    formats: tuple[str, ...]
    steps: int | None
    min_confidence: float | None
    batch_size: int
    seed: int
    layer: str
    score: Score
    recursive: bool = True
    limit: int | None = None

    def check(self) -> None:
        """Raise UsageError for mistakes that can be found before a framework is imported, which takes seconds."""
        for name in self.formats:
            check_suffix(f".{name}")
        check_statistics()
        find_metrics(self.metrics)
        self.given_maps()
        self.model.check()
        check_output_folder(self.out)
        for path in self.output_files:
            if path.is_dir():
                raise OutputError(f"Cannot write {path}: it is a folder. Remove it, or give another folder with --out.")
        if self.resume:
            StudyStore(self.out).saved_settings()
        else:
            StudyStore(self.out).check_new()

    @property
    def output_files(self) -> list[Path]:
        """The files that are written at the end: the values in every format, and the report."""
        return [*(self.out / f"values.{name}" for name in self.formats), self.out / REPORT]

    def given_maps(self) -> dict[str, str]:
        """Return the folders with maps of other tools, by the tools' names."""
        folders = {}
        for text in self.maps:
            name, equals, folder = text.partition("=")
            if not equals or not name.strip() or not folder.strip():
                raise OptionError(f"--maps is {text!r}; expected NAME=FOLDER, such as captum=maps.")
            folders[name.strip()] = folder.strip()
        return folders

    def prepare(self) -> StudyPlan:
        """Load the model, and check everything else."""
        with quiet_start():
            classifier = self.model.load()
            return prepare(
                classifier,
                list(self.source),
                self.methods,
                self.metrics,
                labels=self.labels,
                boxes=self.boxes,
                masks=self.masks,
                maps=self.given_maps(),
                out=self.out,
                resume=self.resume,
                layer=find_layer(classifier, self.layer),
                score=self.score,
                steps=self.steps,
                min_confidence=self.min_confidence,
                batch_size=self.batch_size,
                seed=self.seed,
                recursive=self.recursive,
                limit=self.limit,
            )


def run(request: EvaluateArguments, *, as_json: bool, quiet: bool) -> None:
    """Run the study, write its files, and print its table.

    Raises:
        SeewhyError: The call is wrong, so that nothing can be measured.
        typer.Exit: At the end, with the exit code.
    """
    request.check()
    plan = request.prepare()
    for problem in plan.problems:
        sys.stderr.write(f"Note: {problem}\n")
    is_silent = as_json or quiet
    if not is_silent:
        print_cost(plan)
    study = _run(plan, is_silent=quiet)
    if not study.is_complete:
        done = sum(study.store.image(position) is not None for position in range(len(study.images)))
        sys.stderr.write(
            f"Interrupted after {done} of {len(study.images)} images, whose results are saved in {request.out}. To go "
            "on, add --resume to the same command.\n"
        )
        raise typer.Exit(INTERRUPTED)
    files, exit_code = _write_files(study, request)
    if as_json:
        content = {**study.table.as_dict(), "notes": StudyPrinter(study).notes, "files": files}
        typer.echo(json.dumps(content, indent=2))
    elif not quiet:
        StudyPrinter(study).print(files)
    raise typer.Exit(max(exit_code, _exit_code(study)))


def _write_files(study: Study, request: EvaluateArguments) -> tuple[list[str], int]:
    """Write the values and the report; a failure is printed, and the other files are written."""
    files: list[str] = []
    code = 0
    for path in request.output_files:
        write = study.report if path.name == REPORT else study.save
        try:
            files.append(str(write(path)))
        except OutputError as error:
            print_error(error)
            code = error.exit_code
    return files, code


def _exit_code(study: Study) -> int:
    """Return 1 if an image, a method or a metric failed or has no value at all, 2 if a metric was left out, else 0."""
    store = study.store
    for position in range(len(study.images)):
        results = [store.result(position, number) for number in range(len(study.methods))]
        has_failed = any(result is None or result["error"] or result["errors"] for result in results)
        if has_failed or (store.image(position) or {}).get("error"):
            return SeewhyError.exit_code
    cells = [cell for cell in study.table.cells if not cell.is_baseline]
    if any(all(cell.count == 0 for cell in cells if cell.metric == metric) for metric in study.metrics):
        return SeewhyError.exit_code
    return OptionError.exit_code if study.has_omissions else 0


def _run(plan: StudyPlan, *, is_silent: bool) -> Study:
    """Run the study with a progress bar on a terminal, or some lines elsewhere."""
    console = Console(stderr=True)
    with _until_interrupted() as should_stop:
        if is_silent or not console.is_terminal:
            return plan.run(_Lines(is_silent=is_silent).show, should_stop)
        columns = (
            TextColumn("Measuring {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
        )
        with ProgressBar(*columns, console=console, transient=True) as bar:
            return plan.run(_Bar(bar, bar.add_task("images", total=len(plan.loop.images))).show, should_stop)


@contextlib.contextmanager
def _until_interrupted() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether Ctrl-C was pressed; the second time, it ends the process as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        pressed.set()
        sys.stderr.write("\nFinishing the current image; press Ctrl-C again to stop at once.\n")
        signal.signal(signal.SIGINT, previous)

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, previous)


class _Problems:
    """Prints the first problems of images on standard error."""

    def __init__(self) -> None:
        self._printed = 0

    def print(self, progress: Progress) -> None:
        for problem in progress.problems:
            self._printed += 1
            if self._printed <= MAX_PROBLEMS:
                sys.stderr.write(f"Error: {problem}\n")
            elif self._printed == MAX_PROBLEMS + 1:
                sys.stderr.write("Further errors are listed in the report.\n")


class _Bar:
    """Shows the progress on a terminal, with the time that is left."""

    def __init__(self, bar: ProgressBar, task: TaskID) -> None:
        self._bar, self._task, self._problems = bar, task, _Problems()

    def show(self, progress: Progress) -> None:
        self._problems.print(progress)
        if progress.stage and progress.done == 1:
            self._bar.reset(self._task)  # the time of an image says nothing about that of a part
        description = progress.stage or "images"
        self._bar.update(self._task, completed=progress.done, total=progress.total, description=description)


class _Lines:
    """Tells the progress in a few lines, with the time that is left."""

    def __init__(self, *, is_silent: bool) -> None:
        self._is_silent, self._problems, self._timer = is_silent, _Problems(), _Timer()

    def show(self, progress: Progress) -> None:
        self._problems.print(progress)
        if progress.stage and progress.done == 1:
            self._timer = _Timer()
        self._timer.add(progress)
        is_shown = progress.done == progress.total or progress.done % max(1, progress.total // LINES) == 0
        if not self._is_silent and is_shown and not progress.is_resumed:
            what = f"parts ({progress.stage})" if progress.stage else "images"
            sys.stderr.write(f"{progress.done} of {progress.total} {what}; about {self._timer.left(progress)} left\n")


class _Timer:
    """Estimates the time that is left from the images that were measured in this run."""

    def __init__(self) -> None:
        import time

        self._clock = time.monotonic
        self._start, self._measured = self._clock(), 0

    def add(self, progress: Progress) -> None:
        if progress.is_resumed:
            self._start = self._clock()
        else:
            self._measured += 1

    def left(self, progress: Progress) -> str:
        each = (self._clock() - self._start) / max(self._measured, 1)
        seconds = round(each * (progress.total - progress.done))
        return f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} min"
