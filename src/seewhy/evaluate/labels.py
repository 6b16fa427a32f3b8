"""The true classes of images: by the names of their folders, or from a table."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from seewhy.errors import InputError, TargetError, did_you_mean
from seewhy.images.text import printable
from seewhy.models import Classifier
from seewhy.regular_files import read_regular_file

MAX_LISTED = 10
"""How many unknown labels an error lists."""

MAX_BYTES = 512_000_000

HEADER = ("image", "label")


@dataclass(frozen=True)
class Labels:
    """The classes of images.

    Attributes:
        classes: The class of each image by the image's name.
        problems: Why an image has no class although it has a label, by the image's name.
        missing: The names of the images without a label.
        unused: The labels of images that are not there.
    """

    classes: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()
    unused: Sequence[str] = ()


def labels_by_folder(names: Sequence[str], classifier: Classifier) -> Labels:
    """Take the name of an image's folder as its class; names are paths whose last folder counts.

    Raises:
        TargetError: No folder is named after a class.
    """
    folders = {name: PurePath(name).parent.name for name in names}
    return _resolve({name: folder for name, folder in folders.items() if folder}, names, classifier, "folder")


def labels_from_table(path: Path, names: Sequence[str], classifier: Classifier) -> Labels:
    """Read a CSV file with an image and its class in each row.

    Args:
        path: The file. Its first row names the columns, among them `image` and `label`; without such a row, they are
            the first and the second.
        names: The images' names. A row names an image by this name, or by its last part, if only one image has that.
        classifier: Finds a class by its name, its index or its id.

    Raises:
        InputError: The file cannot be read, or has other columns.
        TargetError: No label is a class.
    """
    rows = _read_rows(path)
    found = match_names([image for image, _ in rows], names)
    texts = {name: label for (image, label), name in zip(rows, found, strict=True) if name is not None}
    unused = [image for (image, _), name in zip(rows, found, strict=True) if name is None]
    if not texts:
        example = f" The first row names {rows[0][0]!r}, and the first image is {names[0]!r}." if rows and names else ""
        raise InputError(f"{path} has a label for none of the {len(names)} images.{example}")
    labels = _resolve(texts, names, classifier, "label")
    different = _different_labels(zip(found, (label for _, label in rows), strict=True))
    classes = {name: index for name, index in labels.classes.items() if name not in different}
    return Labels(classes, {**labels.problems, **different}, labels.missing, unused)


def match_names(wanted: Sequence[str], names: Sequence[str]) -> list[str | None]:
    """Return the image that each text names: by its name, or by the last part of it, if only one has that."""
    by_name = {PurePath(name).as_posix(): name for name in names}
    by_file: dict[str, list[str]] = {}
    for name in names:
        by_file.setdefault(PurePath(name).name, []).append(name)
    matches: list[str | None] = []
    for text in wanted:
        path = PurePath(text.strip().replace("\\", "/"))
        same_file = by_file.get(path.name, [])
        matches.append(by_name.get(path.as_posix()) or (same_file[0] if len(same_file) == 1 else None))
    return matches


def _different_labels(rows: Iterable[tuple[str | None, str]]) -> dict[str, str]:
    """Return what is wrong with the images that have several labels: none of them can be trusted."""
    texts: dict[str, dict[str, None]] = {}
    for name, label in rows:
        if name is not None:
            texts.setdefault(name, {})[label] = None
    return {
        name: f"it has several labels: {', '.join(repr(printable(label)) for label in own)}"
        for name, own in texts.items()
        if len(own) > 1
    }


def _resolve(texts: Mapping[str, str], names: Sequence[str], classifier: Classifier, kind: str) -> Labels:
    """Find the class of each label."""
    classes: dict[str, int | None] = {}
    problems: dict[str, str] = {}
    for text in dict.fromkeys(texts.values()):
        try:
            classes[text] = classifier.find_class(text)
        except TargetError:
            classes[text] = None
            known = classifier.class_names
            near = "" if known is None else did_you_mean(text, known)
            problems[text] = f"the {kind} {printable(text)!r} is not a class of the model.{near}".rstrip(".")
    if not any(index is not None for index in classes.values()):
        listed = ", ".join(repr(printable(text)) for text in list(classes)[:MAX_LISTED]) or "none"
        more = ", ..." if len(classes) > MAX_LISTED else ""
        raise TargetError(
            f"No {kind} of the images is a class of the model {classifier.name!r}: {listed}{more}. Expected a class's "
            "name, index or id."
        )
    return Labels(
        classes={name: index for name, text in texts.items() if (index := classes[text]) is not None},
        problems={name: problems[text] for name, text in texts.items() if classes[text] is None},
        missing=[name for name in names if name not in texts],
    )


def _read_rows(path: Path) -> list[tuple[str, str]]:
    """Return the images and labels of a table."""
    try:
        text = read_regular_file(path, MAX_BYTES).decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(cell.strip() for cell in row)]
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot read the labels in {path}: {reason}. Expected a CSV file in UTF-8.") from error
    if not rows:
        raise InputError(f"{path} has no rows; expected a row for each image, with the columns image and label.")
    columns, rows = _find_columns(path, rows)
    short = next((row for row in rows if len(row) <= max(columns)), None)
    if short is not None:
        raise InputError(f"A row of {path} has {len(short)} columns: {short!r}; expected an image and its label.")
    image, label = columns
    return [(row[image], row[label].strip()) for row in rows]


def _find_columns(path: Path, rows: list[list[str]]) -> tuple[tuple[int, int], list[list[str]]]:
    """Return the columns of image and label, and the rows without their header."""
    header = [cell.strip().casefold() for cell in rows[0]]
    if all(name in header for name in HEADER):
        return (header.index(HEADER[0]), header.index(HEADER[1])), rows[1:]
    if any(name in header for name in HEADER) or len(header) != len(HEADER):
        raise InputError(
            f"The columns of {path} are {', '.join(rows[0])!r}; expected image and label among their names, or two "
            "columns without names."
        )
    return (0, 1), rows
