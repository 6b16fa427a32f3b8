"""Images in folders, one folder for each class; given as `train/` and `validation/`, or split here."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from seewhy.errors import ImageError, InputError, OptionError
from seewhy.images.reading import SUFFIXES, read

GIVEN = ("train", "validation")

Part = Literal["train", "validation", "skipped"]


@dataclass(frozen=True)
class LabeledImage:
    """An image of a data folder.

    Attributes:
        path: Within the data folder.
        name: Its class's.
        part: What it is for.
        reason: Why it is skipped; empty if it is not.
        sha256: Of the file, in hexadecimal.
    """

    path: Path
    name: str
    part: Part
    reason: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class ImageFolder:
    """The images of a data folder.

    Attributes:
        folder: The data folder.
        class_names: The names of the classes' folders, sorted.
        all: Every image, also those that cannot be read.
    """

    folder: Path
    class_names: tuple[str, ...]
    all: tuple[LabeledImage, ...]

    def part(self, part: Part) -> list[LabeledImage]:
        """Return the images of one part."""
        return [each for each in self.all if each.part == part]

    def paths(self, part: Part) -> list[Path]:
        """Return where the images of one part are."""
        return [self.folder / each.path for each in self.part(part)]

    def labels(self, part: Part) -> list[int]:
        """Return the classes of the images of one part."""
        return [self.class_names.index(each.name) for each in self.part(part)]

    @property
    def sha256(self) -> str:
        """A checksum over every image's path, part and content."""
        lines = "".join(f"{each.path.as_posix()} {each.part} {each.sha256}\n" for each in self.all)
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def find_images(
    folder: Path, fraction: float, seed: int, track: Callable[[list[Path]], Iterable[Path]] = iter
) -> ImageFolder:
    """Find the classes and their images, read each image once, and say which are for validation.

    Args:
        folder: Has a folder for each class; or `train` and `validation`, which have.
        fraction: Of each class's images, how many are for validation, where the folder does not say: from 0 to 1,
            both excluded. At least one is, and one is not.
        seed: Of the split.
        track: Hands on the paths, and shows how far it is.

    Raises:
        OptionError: The fraction is out of range.
        InputError: There are no two classes with enough images, or the two folders differ in their classes.
    """
    if not 0 < fraction < 1:
        raise OptionError(f"validation is {fraction}; expected a part between 0 and 1, such as 0.2.")
    is_given = all((folder / name).is_dir() for name in GIVEN)
    roots = [folder / name for name in GIVEN] if is_given else [folder]
    classes = [_class_folders(root) for root in roots]
    _check_classes(folder, [[each.name for each in found] for found in classes])
    files = [file for found in classes for each in found for file in _images(each)]
    checked = [_check(folder, file, is_given) for file in track(files)]
    names = tuple(each.name for each in classes[0])
    if not is_given:
        checked = list(_split(checked, names, fraction, seed))
    found = ImageFolder(folder, names, tuple(checked))
    _check_counts(found)
    return found


def _class_folders(root: Path) -> list[Path]:
    try:
        return sorted(each for each in root.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError as error:
        raise InputError(f"Cannot look into the data folder {root}: {error.strerror or error}.") from error


def _check_classes(folder: Path, found: Sequence[Sequence[str]]) -> None:
    """Refuse what cannot be told apart, and parts that differ in their classes."""
    training, validation = found[0], found[-1]
    if set(training) != set(validation):
        only = [
            f"{', '.join(sorted(set(these) - set(others)))} only in {part}"
            for part, these, others in (("train", training, validation), ("validation", validation, training))
            if set(these) - set(others)
        ]
        raise InputError(f"The classes in {folder}/train and {folder}/validation differ: {'; '.join(only)}.")
    if len(training) < 2:
        held = f"one class, {training[0]!r}" if training else "no classes"
        hint = (
            " Where it holds a train folder, it needs a validation folder too." if list(training) == ["train"] else ""
        )
        raise InputError(
            f"The data folder {folder} holds {held}; expected a folder of images for each of two classes or more.{hint}"
        )


def _images(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES and each.is_file())


def _check(folder: Path, file: Path, is_given: bool) -> LabeledImage:
    """Read an image once, so that training does not meet one that cannot be read."""
    within = file.relative_to(folder)
    part: Part = "validation" if is_given and within.parts[0] == "validation" else "train"
    try:
        read(file)
    except ImageError as error:
        return LabeledImage(within, file.parent.name, "skipped", str(error))
    return LabeledImage(within, file.parent.name, part, sha256=hashlib.sha256(file.read_bytes()).hexdigest())


def _split(images: Sequence[LabeledImage], names: Sequence[str], fraction: float, seed: int) -> Iterator[LabeledImage]:
    """Put a part of each class aside for validation, drawn by chance; every class keeps its order."""
    for number, name in enumerate(names):
        good = [each for each in images if each.name == name and each.part != "skipped"]
        if len(good) == 1:
            raise InputError(
                f"The class {name!r} has 1 image that can be read; it needs 2 or more, one to train on and one to "
                "validate on."
            )
        count = min(max(1, round(fraction * len(good))), len(good) - 1)
        drawn = set(np.random.default_rng((seed, number)).permutation(len(good))[:count].tolist())
        aside = {good[position].path for position in drawn}
        yield from (
            replace(each, part="validation") if each.path in aside else each for each in images if each.name == name
        )


def _check_counts(found: ImageFolder) -> None:
    for part in GIVEN:
        there = {each.name for each in found.part(part)}  # type: ignore[arg-type]  # they are parts
        empty = [name for name in found.class_names if name not in there]
        if empty:
            skipped = len(found.part("skipped"))
            raise InputError(
                f"There are no images that can be read of {', '.join(map(repr, empty))} in {found.folder} to "
                f"{'train' if part == 'train' else 'validate'} on; {skipped} cannot be read. Images end in "
                f"{', '.join(SUFFIXES)}."
            )
