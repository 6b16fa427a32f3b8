"""The output files of `seewhy explain`."""

import os
import re
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from seewhy.cli.batches import AnyExplanation
from seewhy.errors import OutputError
from seewhy.images.finding import FoundImage, folder_of
from seewhy.images.style import StyleOptions
from seewhy.recordings.finding import stem_of
from seewhy.results.comparison import Comparison
from seewhy.results.explanation import IMAGE_SUFFIXES, Explanation
from seewhy.results.figures import FigureKind
from seewhy.results.frame_explanation import FrameExplanation
from seewhy.results.target_result import TargetResult
from seewhy.viewer.report import ReportWriter
from seewhy.viewer.viewer_data import Shown

MAX_STEM_BYTES = 215
"""The maximum size of a file's stem: file systems allow 255 bytes for a name."""

MAX_LABEL_BYTES = 24
"""The maximum size of a target's name in that of a file, which follows the stem."""

REPORT = "report.html"


class OutputFiles:
    """Writes explanations to a folder. Input images are never overwritten; images of the same name get a number.

    The explanation of an image that was found in a subfolder is written to a subfolder of the same name.

    Args:
        folder: The output folder; created if missing, when the first file is written.
        suffixes: The suffixes of the files for each explanation; `.html` is one report for all of them.
        inputs: The images that are explained.
        labels: The true class of the images in each folder, by the folder's name, for the report.
        frames: Which frames of volumes and videos are drawn: `frames` and `axis` of `FrameExplanation.save`.

    Raises:
        OutputError: The folder cannot be created or written to.
    """

    def __init__(
        self,
        folder: Path,
        suffixes: Sequence[str],
        inputs: Sequence[FoundImage],
        *,
        labels: Mapping[str, int] | None = None,
        frames: Mapping[str, int] | None = None,
    ) -> None:
        check_output_folder(folder)
        self._folder = folder
        self._suffixes = [suffix for suffix in suffixes if suffix != ".html"]
        self._report = ReportWriter(folder / REPORT, len(inputs)) if ".html" in suffixes else None
        self._labels = labels or {}
        self._frames = frames or {}
        self._inputs = {os.path.realpath(image.path) for image in inputs}
        self._subfolders = {image.path: image.folder for image in inputs}
        self._stems: set[Path] = set()

    def write(
        self, given: Sequence[AnyExplanation], image: Path, kind: FigureKind | None, style: StyleOptions
    ) -> list[list[str]]:
        """Write the explanations of one image, one for each model and method, in every format.

        They share one comparison image, and one entry in the report, which `write_report` writes. Those of a volume, a
        signal or a video have files of their own.

        Returns:
            The paths of each explanation's files.

        Raises:
            OptionError: A volume, a signal or a video cannot be written in one of the formats.
        """
        explanations = [each for each in given if isinstance(each, Explanation)]
        if len(explanations) < len(given):
            written = self._write_recordings(given, image, kind, style)
        else:
            written = self._write(explanations, image, kind, style)
        if self._report is not None:
            self._report.add(cast("Sequence[Shown]", given), self._labels.get(folder_of(image)))
        return written

    def write_report(self) -> str | None:
        """Write the report of all explanations so far and return its path; None if there is no report.

        Raises:
            OutputError: The report cannot be written.
        """
        if self._report is None or not self._report.images:
            return None
        self._output_path(REPORT)
        return str(self._report.write())

    def _write_recordings(
        self, explanations: Sequence[AnyExplanation], image: Path, kind: FigureKind | None, style: StyleOptions
    ) -> list[list[str]]:
        place, has_several_models = self._subfolders[image], len({each.model for each in explanations}) > 1
        written = []
        for explanation in explanations:
            model = (_slug(explanation.model),) if has_several_models else ()
            stem = self._unused_stem(place, stem_of(image), *model, explanation.method)
            written.append(self._write_one(explanation, stem, self._suffixes, kind, style))
        return written

    def _write(
        self, explanations: Sequence[Explanation], image: Path, kind: FigureKind | None, style: StyleOptions
    ) -> list[list[str]]:
        place = self._subfolders[image]
        try:
            (self._folder / place).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _folder_error(self._folder / place, error.strerror or error) from error
        if len(explanations) == 1:
            stem = self._unused_stem(place, image.stem, explanations[0].method)
            return [self._write_one(explanations[0], stem, self._suffixes, kind, style)]
        image_suffixes = [suffix for suffix in self._suffixes if suffix in IMAGE_SUFFIXES]
        other_suffixes = [suffix for suffix in self._suffixes if suffix not in IMAGE_SUFFIXES]
        has_several_models = len({explanation.model for explanation in explanations}) > 1
        written = []
        for explanation in explanations:
            model = (_slug(explanation.model),) if has_several_models else ()
            stem = self._unused_stem(place, image.stem, *model, explanation.method)
            written.append(self._write_one(explanation, stem, other_suffixes, kind, style))
        stem = self._unused_stem(place, image.stem, *_models_and_methods(explanations))
        for suffix in image_suffixes:
            path = self._output_path(f"{stem}{suffix}")
            Comparison(tuple(explanations)).save(path, **style)
            written = [[str(path), *files] for files in written]
        return written

    def write_together(self, explanations: Sequence[Explanation], style: StyleOptions) -> list[str]:
        """Write one image with all explanations, in every image format, and return the paths."""
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = self._unused_stem(Path(), "together", *_models_and_methods(explanations))
        paths = [self._output_path(f"{stem}{suffix}") for suffix in self._suffixes if suffix in IMAGE_SUFFIXES]
        return [str(Comparison(tuple(explanations)).save(path, **style)) for path in paths]

    def _write_one(
        self,
        explanation: AnyExplanation,
        stem: Path,
        suffixes: Sequence[str],
        kind: FigureKind | None,
        style: StyleOptions,
    ) -> list[str]:
        """Write one explanation in every format, and return the paths."""
        written = []
        for suffix in suffixes:
            for file, target in _files_and_targets(str(stem), suffix, explanation, kind):
                path = self._output_path(file)
                if isinstance(explanation, FrameExplanation):
                    # Only images of a target each are files of their own.
                    shown = kind if suffix in IMAGE_SUFFIXES else None
                    explanation.save(path, shown, target=target, **self._frames, **style)
                else:
                    explanation.save(path, kind, target=target, **style)
                written.append(str(path))
        return written

    def _output_path(self, name: str) -> Path:
        """Return the path of an output file; raise OutputError if it is one of the input images."""
        return check_not_an_input(self._folder / name, self._inputs)

    def _unused_stem(self, place: Path, image: str, *rest: str) -> Path:
        """Return the path in the output folder, without a suffix, of a file that does not have the path of another."""
        first_choice = fitting_stem(image, *rest)
        stem, number = place / first_choice, 1
        while stem in self._stems:
            number += 1
            stem = place / f"{first_choice}-{number}"
        self._stems.add(stem)
        return stem


def check_output_folder(folder: Path) -> None:
    """Raise OutputError if an output folder cannot be created or written to, before the images are explained."""
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        raise _folder_error(folder, error.strerror or error) from error
    if not existing.is_dir():
        raise _folder_error(folder, f"{existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise _folder_error(folder, f"{existing} cannot be written to")


def fitting_stem(image: str, *rest: str) -> str:
    """Return the parts of a file name joined by `_`, of which the image's name is shortened if the whole is too long.

    The result leaves room for a number, the index of a target and a suffix.
    """
    end = "".join(f"_{part}" for part in rest)
    end = _cut(end, MAX_STEM_BYTES // 2)
    return _cut(image, MAX_STEM_BYTES - len(os.fsencode(end))) + end


def _cut(text: str, limit: int) -> str:
    """Return the beginning of a text, as much as fits into a number of bytes."""
    while len(os.fsencode(text)) > limit:
        text = text[:-1]
    return text


def check_not_an_input(path: Path, inputs: Container[str]) -> Path:
    """Return the path of an output file; raise OutputError if its real path is one of `inputs`."""
    if os.path.realpath(path) in inputs:
        raise OutputError(f"{path} is one of the input images and is not overwritten. Change --out.")
    return path


def _models_and_methods(explanations: Sequence[Explanation]) -> list[str]:
    """Return the parts of a file name that follow the image's name: the models, if there are several, and methods."""
    models = dict.fromkeys(_slug(explanation.model) for explanation in explanations)
    methods = dict.fromkeys(explanation.method for explanation in explanations)
    return [*(models if len(models) > 1 else ()), *methods]


def _slug(name: str | None) -> str:
    """Return the name of a model or a target as part of a file name, in characters that file names can have here."""
    encoding = sys.getfilesystemencoding()
    return re.sub(r"[^\w.-]+", "-", (name or "").encode(encoding, "replace").decode(encoding))


def _folder_error(folder: Path, reason: object) -> OutputError:
    return OutputError(f"Cannot create the folder {folder}: {reason}. Give another folder with --out.")


def _files_and_targets(
    stem: str, suffix: str, explanation: AnyExplanation, kind: FigureKind | None
) -> Iterator[tuple[str, int]]:
    """Yield the name of each file and its target: there is a file for each target, unless one file shows them all."""
    if suffix not in IMAGE_SUFFIXES or kind in (None, "grid") or len(explanation.targets) == 1:
        yield stem + suffix, 0
        return
    names = target_labels(explanation.targets)
    yield from {f"{stem}_{name}{suffix}": position for position, name in enumerate(names)}.items()


def target_labels(targets: Sequence[TargetResult]) -> list[str]:
    """Return what file names say of each target: its class index, or the name of a target that has none.

    A target that was given twice has one label; different ones never share one.
    """
    labels: dict[tuple[int, str], str] = {}
    for target in targets:
        label = str(target.index) if target.index >= 0 else _cut(_slug(target.name), MAX_LABEL_BYTES)
        if (target.index, target.name) not in labels and label in labels.values():
            label = f"{label}-{len(labels) + 1}"
        labels.setdefault((target.index, target.name), label)
    return [labels[target.index, target.name] for target in targets]
