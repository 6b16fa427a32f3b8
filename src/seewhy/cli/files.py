"""Which files an explanation is written to."""

import os
import re
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from seewhy.errors import OutputError
from seewhy.images.style import StyleOptions
from seewhy.results.comparison import Comparison
from seewhy.results.explanation import IMAGE_SUFFIXES, Explanation
from seewhy.results.figures import FigureKind
from seewhy.viewer.report import ReportWriter

REPORT = "report.html"


class Files:
    """Writes explanations into one folder, two images of one name beside each other, and never over an image read.

    Args:
        folder: Where to write; it is made if need be, when there is something to write.
        suffixes: What to write of each explanation; but all of them share one report, `.html`.
        inputs: The images that are explained.
        label_by_folder: Whether each image lies in a folder that has its class's name, which the report then tells.

    Raises:
        OutputError: The folder cannot be made or written to.
    """

    def __init__(
        self, folder: Path, suffixes: Sequence[str], inputs: Sequence[Path], *, label_by_folder: bool = False
    ) -> None:
        try:  # that can be told before the images are worked on
            there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        except OSError as error:
            raise _no_folder(folder, error.strerror or error) from error
        if not there.is_dir():
            raise _no_folder(folder, f"{there} is a file")
        self._folder = folder
        self._suffixes = [suffix for suffix in suffixes if suffix != ".html"]
        self._report = ReportWriter(folder / REPORT, len(inputs)) if ".html" in suffixes else None
        self._label_by_folder = label_by_folder
        self._inputs = {os.path.realpath(path) for path in inputs}
        self._stems: set[str] = set()

    def write(
        self, explanations: Sequence[Explanation], image: Path, kind: FigureKind | None, style: StyleOptions
    ) -> list[list[str]]:
        """Write one image's explanations, one for each model and method, in every format.

        They share one image, their comparison; and one entry of the report, which `write_report` writes.

        Returns:
            The paths of each explanation's files.
        """
        written = self._write(explanations, image, kind, style)
        if self._report is not None:
            self._report.add(explanations, image.absolute().parent.name if self._label_by_folder else None)
        return written

    def write_report(self) -> str | None:
        """Write the report of all that was written so far and return its path; None where there is nothing to report.

        Raises:
            OutputError: It cannot be written.
        """
        if self._report is None or not self._report.images:
            return None
        self._free(REPORT)
        return str(self._report.write())

    def _write(
        self, explanations: Sequence[Explanation], image: Path, kind: FigureKind | None, style: StyleOptions
    ) -> list[list[str]]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _no_folder(self._folder, error.strerror or error) from error
        if len(explanations) == 1:
            return [self._write_one(explanations[0], image.stem, self._suffixes, kind, style)]
        images = [suffix for suffix in self._suffixes if suffix in IMAGE_SUFFIXES]
        others = [suffix for suffix in self._suffixes if suffix not in IMAGE_SUFFIXES]
        are_several = len({each.model for each in explanations}) > 1
        stems = [f"{image.stem}_{_file_name(each.model)}" if are_several else image.stem for each in explanations]
        written = [
            self._write_one(each, stem, others, kind, style) for each, stem in zip(explanations, stems, strict=True)
        ]
        stem = self._new_stem("_".join([image.stem, *_in_name(explanations)]))
        for suffix in images:
            path = self._free(stem + suffix)
            Comparison(tuple(explanations)).save(path, **style)
            written = [[str(path), *each] for each in written]
        return written

    def write_together(self, explanations: Sequence[Explanation], style: StyleOptions) -> list[str]:
        """Write one image of all explanations, in every format that images have, and return the paths."""
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = self._new_stem("_".join(["together", *_in_name(explanations)]))
        paths = [self._free(stem + suffix) for suffix in self._suffixes if suffix in IMAGE_SUFFIXES]
        return [str(Comparison(tuple(explanations)).save(path, **style)) for path in paths]

    def _write_one(
        self,
        explanation: Explanation,
        name: str,
        suffixes: Sequence[str],
        kind: FigureKind | None,
        style: StyleOptions,
    ) -> list[str]:
        """Write one explanation in every format, and return the paths."""
        stem = self._new_stem(f"{name}_{explanation.method}")
        written = []
        for suffix in suffixes:
            for file, target in _parts(stem, suffix, explanation, kind):
                path = self._free(file)
                explanation.save(path, kind, target=target, **style)
                written.append(str(path))
        return written

    def _free(self, name: str) -> Path:
        """Return the path of a file to write, unless it is one of the images explained."""
        return free_path(self._folder / name, self._inputs)

    def _new_stem(self, wanted: str) -> str:
        stem, number = wanted, 1
        while stem in self._stems:
            number += 1
            stem = f"{wanted}-{number}"
        self._stems.add(stem)
        return stem


def free_path(path: Path, inputs: Container[str]) -> Path:
    """Return the path of a file to write, or raise OutputError where it is one of those that are read, by realpath."""
    if os.path.realpath(path) in inputs:
        raise OutputError(f"{path} is one of the images explained, and is not written over. Change --out.")
    return path


def _in_name(explanations: Sequence[Explanation]) -> list[str]:
    """Return what explanations of one image have in the name of their file: their models if several, methods."""
    models = dict.fromkeys(_file_name(each.model) for each in explanations)
    return [*(models if len(models) > 1 else ()), *dict.fromkeys(each.method for each in explanations)]


def _file_name(model: str | None) -> str:
    """Return what a model is called, as part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", model or "")


def _no_folder(folder: Path, why: object) -> OutputError:
    return OutputError(f"Cannot make the folder {folder}: {why}. Give another with --out.")


def _parts(stem: str, suffix: str, explanation: Explanation, kind: FigureKind | None) -> Iterator[tuple[str, int]]:
    """Yield each file's name and the target it shows: overlays and panels show one target each, all else shows all."""
    if suffix not in IMAGE_SUFFIXES or kind in (None, "grid") or len(explanation.targets) == 1:
        yield stem + suffix, 0
        return
    names = {f"{stem}_{target.index}{suffix}": position for position, target in enumerate(explanation.targets)}
    yield from names.items()  # a class asked for twice has one image
