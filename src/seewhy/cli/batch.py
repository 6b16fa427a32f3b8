"""`seewhy batch`."""

import contextlib
import json
import logging
import os
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from seewhy import datasets
from seewhy.cli.exit_codes import INTERRUPTED
from seewhy.cli.layer_option import find_layer
from seewhy.cli.log_option import is_logging, log_to_stderr
from seewhy.cli.model_options import ModelArguments, check_targets
from seewhy.cli.output_files import check_output_folder
from seewhy.cli.run_summary import MAX_LISTED
from seewhy.cli.terminal import print_error
from seewhy.datasets.find_source import check_source
from seewhy.datasets.output import Output
from seewhy.datasets.progress import Progress
from seewhy.errors import OptionError, OutputError
from seewhy.explainer import Explainer
from seewhy.frameworks.tokens import TokenGrid
from seewhy.images.pillow_memory import keep_image_memory
from seewhy.methods import Method
from seewhy.startup_log import quiet_start
from seewhy.types import Precision, Score

LINE_SECONDS = 10.0
"""How often the progress is printed where standard error is no terminal."""


@dataclass(frozen=True)
class BatchArguments:
    """The arguments and options of the command; `options` are those of `seewhy.datasets.run`."""

    source: str
    out: Path
    model: ModelArguments
    targets: list[str]
    methods: tuple[Method, ...]
    layer: str
    score: Score
    precision: Precision
    tokens: TokenGrid | None
    shard: str | None
    options: Mapping[str, Any]

    def check(self) -> None:
        """Raise SeewhyError for mistakes that can be found before a framework is imported, which takes seconds."""
        if len(self.methods) != 1:
            raise OptionError("A data set is explained by one method. Give one --method.")
        check_targets(self.targets, self.model.check())
        check_output_folder(self.out)
        check_source(self.source)


def run(request: BatchArguments, *, log: bool, quiet: bool, as_json: bool) -> None:
    """Explain the data set, showing the progress, and print the summary.

    Raises:
        SeewhyError: The call is wrong, or the output cannot be written.
        typer.Exit: At the end, with the exit code.
    """
    request.check()
    keep_image_memory()
    shard = _parse_shard(request.shard)
    make = partial(_explainer, request)
    model = make if request.options["executor"] == "ray" else make()  # each worker of Ray makes its own
    line = ProgressLine(is_silent=quiet or log or is_logging(logging.INFO))
    started = time.monotonic()
    try:
        with _stopping() as is_stopped, line, _logging(FirstErrors(line), log=log):
            output = datasets.run(
                model,
                request.source,
                request.out,
                request.targets,
                shard=shard,
                progress=line.show,
                should_stop=is_stopped,
                **request.options,
            )
    except OutputError as error:
        raise OutputError(
            f"{error} What was written stays. To go on, make room and run: {_resume_command()}"
        ) from error
    speed = {"seconds": round(time.monotonic() - started, 1), "images_per_second": round(line.rate, 2)}
    _print_summary({**output.summary(), **speed}, output, was_stopped=is_stopped(), quiet=quiet, as_json=as_json)


def _explainer(request: BatchArguments) -> Explainer:
    with quiet_start():
        classifier = request.model.load()
        return Explainer(
            classifier,
            request.methods[0],
            find_layer(classifier, request.layer),
            request.score,
            precision=request.precision,
            tokens=request.tokens,
        )


def _parse_shard(shard: str | None) -> tuple[int, int] | None:
    if shard is None:
        return None
    match = re.fullmatch(r"(\d{1,7})/(\d{1,7})", shard.strip())
    if match is None:
        raise OptionError(f"--shard is {shard!r}; expected I/N, such as 1/8.")
    return int(match[1]), int(match[2])


@contextlib.contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Let Ctrl+C and SIGTERM stop the run after the part in hand, and a second one at once."""
    stopped = threading.Event()

    def stop(*_: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        with contextlib.suppress(OSError):  # not sys.stderr, which this handler may have interrupted in a call
            os.write(2, b"\nFinishing the part in hand; once more to stop at once.\n")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _logging(errors: "FirstErrors", *, log: bool) -> Iterator[None]:
    """Print what SeeWhy logs: everything, with the time; or the first errors alone."""
    if is_logging(logging.WARNING):  # errors are among what --log-level writes
        yield
        return
    if log:
        with log_to_stderr(logging.INFO):
            yield
        return
    logger = logging.getLogger("seewhy")
    logger.addHandler(errors)
    try:
        yield
    finally:
        logger.removeHandler(errors)


class FirstErrors(logging.Handler):
    """Prints the first few errors of images, as `seewhy explain` does.

    Args:
        line: The line that shows the progress, which is cleared first.
    """

    def __init__(self, line: "ProgressLine") -> None:
        super().__init__(logging.WARNING)
        self._line = line
        self.printed = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Print the error that a record holds."""
        if isinstance(record.args, tuple) and isinstance(record.args[-1], Exception) and self.printed < MAX_LISTED:
            self.printed += 1
            self._line.clear()
            print_error(record.args[-1], str(record.args[0]))


class ProgressLine:
    """Shows how far a run is: a line that is written over on a terminal, else a line from time to time.

    Args:
        is_silent: True shows nothing.

    Attributes:
        rate: Images a second so far.
    """

    def __init__(self, *, is_silent: bool) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._is_silent = is_silent
        self._shown = 0.0
        self._length = 0
        self.rate = 0.0

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._length and self._console.is_terminal:
            sys.stderr.write("\n")

    def clear(self) -> None:
        """Clear the line on a terminal, for what is printed in its place."""
        if self._length and self._console.is_terminal:
            sys.stderr.write(f"\r{'':{self._length}}\r")
            self._length, self._shown = 0, 0.0

    def show(self, progress: Progress) -> None:
        """Show the progress, a few times a second at most."""
        now, is_last, self.rate = time.monotonic(), progress.done == progress.total, progress.rate
        interval = 0.2 if self._console.is_terminal else LINE_SECONDS
        if self._is_silent or (now - self._shown < interval and not is_last):
            return
        self._shown, text = now, progress_text(progress)
        if self._console.is_terminal:
            text = text[: self._console.width - 1]  # a line that is wrapped cannot be written over
            sys.stderr.write(f"\r{text:<{self._length}}")
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
        self._length = len(text)


def progress_text(progress: Progress) -> str:
    """Return how far a run is, in one line."""
    share = progress.done / max(progress.total, 1)
    remaining = progress.remaining_seconds
    left = "" if remaining is None or progress.done == progress.total else f", {_duration(remaining)} left"
    errors = f", {progress.errors:,} failed" if progress.errors else ""
    return f"{progress.done:,} of {progress.total:,} images ({share:.0%}), {progress.rate:.1f} a second{left}{errors}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02.0f}"


def _print_summary(
    summary: Mapping[str, Any], output: Output, *, was_stopped: bool, quiet: bool, as_json: bool
) -> None:
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    elif not quiet:
        for line in _lines(summary, output):
            typer.echo(line)
    if not summary["complete"] and was_stopped:
        sys.stderr.write(f"Stopped. To go on, run: {_resume_command()}\n")
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(1 if summary["failed"] else 0)


def _lines(summary: Mapping[str, Any], output: Output) -> Iterator[str]:
    yield f"explained {summary['explained']:,} of {summary['images']:,} images; wrote {output.path}"
    if predictions := summary["predictions"]:
        shown = list(predictions.items())[:MAX_LISTED]
        more = f", {len(predictions) - len(shown):,} other classes" if len(predictions) > len(shown) else ""
        yield f"predictions: {', '.join(f'{name} {count:,}' for name, count in shown)}{more}"
    if summary["labelled"]:
        yield f"misclassified: {summary['misclassified']:,} of {summary['labelled']:,} images"
    if unknown := summary["labels_without_class"]:
        yield f"labels that name no class of the model: {', '.join(list(unknown)[:MAX_LISTED])}"
    if summary["without_evidence"]:
        yield f"without evidence: {summary['without_evidence']:,}"
    if summary["failed"]:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in summary["errors"].items())
        yield f"failed: {summary['failed']:,} ({kinds}); {os.fspath(output.path / 'errors')} says why"


def _resume_command() -> str:
    arguments = [argument for argument in sys.argv[1:] if argument != "--resume"]
    return shlex.join(["seewhy", *arguments, "--resume"])
