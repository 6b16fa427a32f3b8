"""Prints the results of `seewhy explain`: of a few images in full, of many a line for each, and a summary."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from seewhy.cli.batches import Outcome
from seewhy.cli.run_summary import RunSummary
from seewhy.cli.tables import print_line, print_table
from seewhy.results.explained_targets import SHOWN_PREDICTIONS, ExplainedTargets
from seewhy.results.multi_image_explanation import MultiImageExplanation

MAX_IN_FULL = 3
"""The number of images above which each image gets a single line, and a progress bar is shown."""

MAX_LINES = 20
"""How many images get a line."""


class ResultPrinter:
    """Prints the results on standard output.

    Args:
        count: The number of images.
        is_silent: True prints nothing.
    """

    def __init__(self, count: int, *, is_silent: bool) -> None:
        self._console = Console(highlight=False)
        self._count = count
        self._is_brief = count > MAX_IN_FULL
        self._is_silent = is_silent
        self._lines = 0

    def with_progress_bar(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes, on a terminal with a progress bar if there are more than a few.

        The bar is the last line of the terminal, below the results; it is on standard error if these go elsewhere.
        """
        has_results = self._console.is_terminal and not self._is_silent
        terminal = self._console if has_results else Console(stderr=True)
        if not self._is_brief or not terminal.is_terminal:
            yield from outcomes
            return
        with Progress(console=terminal, transient=True, redirect_stdout=has_results) as progress:
            yield from progress.track(outcomes, total=self._count, description="Explaining")

    def print_image(self, outcome: Outcome) -> None:
        """Print the result of an image, unless there are too many."""
        if self._is_silent:
            return
        if not self._is_brief:
            self._print_in_full(outcome.explanations, outcome.files)
            return
        self._lines += 1
        if self._lines <= MAX_LINES:
            self._print_path(_brief(outcome))
        elif self._lines == MAX_LINES + 1:
            print_line(self._console, "further images are not listed; --json lists all")

    def print_sample(self, explanation: MultiImageExplanation, files: Sequence[str]) -> None:
        """Print the result of a sample of several images."""
        if self._is_silent:
            return
        for name, image in explanation.items():
            self._print_path(f"{name}: {image.source}" if image.source else name)
        first = next(iter(explanation.values()))
        self._print_scores(first)
        for name, image in explanation.items():
            self._print_layer(image, f"{name}: ")
        for file in files:
            self._print_path(f"wrote {file}")

    def print_file(self, path: str) -> None:
        """Print the path of a file that all images share."""
        if not self._is_silent:
            self._print_path(f"wrote {path}")

    def print_summary(self, summary: RunSummary, out: Path) -> None:
        """Print what was done with many images, and in any case what failed and what was skipped."""
        if self._is_silent:
            return
        for line in summary.lines(out) if self._is_brief else summary.problems():
            self._print_path(line)

    def _print_path(self, line: str) -> None:
        """Print a line with paths, which is not wrapped, to be copied."""
        self._console.print(line, markup=False, soft_wrap=True)

    def _print_in_full(self, explanations: Sequence[ExplainedTargets], files: Sequence[Sequence[str]]) -> None:
        """Print each model's predictions, which its methods share, then the targets and the paths of the files."""
        for model in dict.fromkeys(explanation.model for explanation in explanations):
            of_model = [explanation for explanation in explanations if explanation.model == model]
            is_only_model = len(of_model) == len(explanations)
            self._print_path(str(of_model[0].source) + ("" if is_only_model else f", {model}"))
            self._print_model(of_model)
        for file in dict.fromkeys(chain.from_iterable(files)):
            self._print_path(f"wrote {file}")

    def _print_model(self, explanations: Sequence[ExplainedTargets]) -> None:
        self._print_scores(explanations[0])
        for explanation in explanations:
            self._print_layer(explanation)

    def _print_scores(self, first: ExplainedTargets) -> None:
        """Print the predictions and the scores of the targets."""
        rows = [
            (str(prediction.index), prediction.name, f"{prediction.probability:.4f}")
            for prediction in first.predictions[:SHOWN_PREDICTIONS]
        ]
        if rows:
            print_table(self._console, ("index", "class", "probability"), rows, right=(0, 2))
        for target in first.targets:
            probability = "" if target.probability is None else f", probability {target.probability:.4f}"
            name = target.name if target.index < 0 else f"{target.index} {target.name}"
            place = "" if target.box is None else f", at ({', '.join(f'{edge:.0f}' for edge in target.box)})"
            line = f"explained {name}: score {target.score:.3f}{probability}{place}"
            print_line(self._console, line)

    def _print_layer(self, explanation: ExplainedTargets, prefix: str = "") -> None:
        """Print the layer and the method, for which targets there is no evidence, and the checks of heatmaps."""
        empty = ", ".join(target.name for target in explanation.targets if not target.has_evidence)
        note = f"; no evidence for {empty} in the {explanation.noun}" if empty else ""
        reason = f" (auto: {explanation.method_reason})" if explanation.method_reason else ""
        print_line(self._console, f"{prefix}layer {explanation.layer}, method {explanation.method}{reason}{note}")
        for target in explanation.targets:
            if target.check:
                print_line(self._console, f"check of {target.name}: {target.check}")


def _brief(outcome: Outcome) -> str:
    """Return the line of an image: its path, each model's prediction, and its first file."""
    models = {explanation.model: explanation for explanation in outcome.explanations}
    predictions = ", ".join(
        f"{explanation.predictions[0].name} {explanation.predictions[0].probability:.3f}"
        for explanation in models.values()
        if explanation.predictions
    )
    files = list(dict.fromkeys(chain.from_iterable(outcome.files)))
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{outcome.path}: {predictions or 'explained'}" + (f"; wrote {files[0]}{more}" if files else "")
