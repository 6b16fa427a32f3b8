"""The results of `seewhy explain`: what `--json` prints, what is printed at the end, and the exit code."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy.cli.error_messages import command_line_message
from seewhy.cli.image_search import ImageSearch
from seewhy.cli.terminal import print_error
from seewhy.errors import SeewhyError, UsageError
from seewhy.images.finding import folder_of

if TYPE_CHECKING:
    from seewhy.cli.batches import Outcome

MAX_LISTED = 10
"""How many errors, skipped files and predicted classes are printed."""


@dataclass
class RunSummary:
    """The results so far.

    Attributes:
        skipped: The files in searched folders that are not images.
        images: The number of images that were explained.
        explanations: What `--json` prints for each explanation.
        errors: What `--json` prints for each image that failed.
        predictions: How often each class is the most probable one, by the class's name, for the first model.
        labels: The true class of the images in each folder, by the folder's name; empty where it is not known.
        labelled: The number of explained images whose true class is known.
        misclassified: The number of those whose most probable class, of the first model, is another.
        files: The files that were written.
        exit_code: The exit code of the command.
    """

    skipped: Sequence[Path] = ()
    images: int = 0
    explanations: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    predictions: Counter[str] = field(default_factory=Counter)
    labels: Mapping[str, int] = field(default_factory=dict)
    labelled: int = 0
    misclassified: int = 0
    files: set[str] = field(default_factory=set)
    exit_code: int = 0

    @classmethod
    def of_search(cls, search: ImageSearch) -> "RunSummary":
        """Return the results before the first image is explained: the arguments that name no image are errors."""
        summary = cls(search.skipped)
        for path, error in search.errors:
            summary.add_error(path, error)
        return summary

    def add_shared_file(self, name: str) -> None:
        """Add a file that all explanations share."""
        self.files.add(name)
        for explanation in self.explanations:
            explanation["files"].append(name)

    def add_explanations(self, outcome: "Outcome") -> None:
        """Add the explanations of an image."""
        self.images += 1
        self.explanations += [
            {**explanation.as_dict(), "files": files}
            for explanation, files in zip(outcome.explanations, outcome.files, strict=True)
        ]
        self.files.update(*outcome.files)
        best = outcome.explanations[0].predictions[:1]
        self.predictions.update(prediction.name for prediction in best)
        if best and (label := self.labels.get(folder_of(outcome.path))) is not None:
            self.labelled += 1
            self.misclassified += best[0].index != label

    def add_error(self, image: Path, error: SeewhyError) -> None:
        """Add and print the error of an image; the first few are printed."""
        self.errors.append({"image": str(image), "error": command_line_message(error)})
        # The exit code is 2 only if all errors are usage errors.
        is_usage = isinstance(error, UsageError) and self.exit_code in (0, UsageError.exit_code)
        self.exit_code = UsageError.exit_code if is_usage else SeewhyError.exit_code
        if len(self.errors) <= MAX_LISTED:
            print_error(error, str(image))

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "explanations": self.explanations,
            "errors": self.errors,
            "skipped": [str(path) for path in self.skipped],
        }

    def lines(self, out: Path) -> Iterator[str]:
        """Yield the lines that are printed at the end."""
        yield f"explained {_count(self.images, 'image')}; wrote {_count(len(self.files), 'file')} to {out}"
        if self.images > 1 and self.predictions:
            common = self.predictions.most_common(MAX_LISTED)
            rest = f", {_count(len(self.predictions) - len(common), 'other class', 'other classes')}"
            listed = ", ".join(f"{name} {count}" for name, count in common)
            yield f"predictions: {listed}{rest if len(common) < len(self.predictions) else ''}"
        yield from self.problems()

    def problems(self) -> Iterator[str]:
        """Yield a line about misclassified images, one about those that failed and one about skipped files, if any."""
        if self.labelled:
            yield f"misclassified: {self.misclassified:,} of {_count(self.labelled, 'image')}"
        if self.errors:
            listed = "the error is above" if len(self.errors) == 1 else "the errors are above"
            if len(self.errors) > MAX_LISTED:
                listed = f"the first {MAX_LISTED} errors are above, and --json lists all"
            yield f"failed: {len(self.errors)}; {listed}"
        if self.skipped:
            names = ", ".join(str(path) for path in self.skipped[:MAX_LISTED])
            more = f" and {len(self.skipped) - MAX_LISTED} more" if len(self.skipped) > MAX_LISTED else ""
            yield f"skipped {_count(len(self.skipped), 'file')} without the suffix of an image: {names}{more}"


def _count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
