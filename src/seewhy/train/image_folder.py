"""A data set as a folder of images for each class, split into training and validation images."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from seewhy.errors import ImageError, InputError, OptionError
from seewhy.images.finding import SUFFIXES
from seewhy.images.reading import read

SplitName = Literal["train", "validation", "skipped"]

SPLIT_FOLDERS: tuple[SplitName, ...] = ("train", "validation")


@dataclass(frozen=True)
class LabeledImage:
    """An image of a data folder.

    Attributes:
        path: The path relative to the data folder.
        class_name: The name of its class.
        split: Whether it is for training or validation, or skipped.
        reason: Why it is skipped; empty if it is not.
        sha256: The checksum of the file, in hexadecimal.
    """

    path: Path
    class_name: str
    split: SplitName
    reason: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class ImageFolder:
    """The images of a data folder.

    Attributes:
        folder: The data folder.
        class_names: The names of the class folders, sorted.
        images: All images, including those that cannot be read.
    """

    folder: Path
    class_names: tuple[str, ...]
    images: tuple[LabeledImage, ...]

    def split(self, name: SplitName) -> list[LabeledImage]:
        """Return the images of a split."""
        return [image for image in self.images if image.split == name]

    def paths(self, split: SplitName) -> list[Path]:
        """Return the paths of the images of a split."""
        return [self.folder / image.path for image in self.split(split)]

    def labels(self, split: SplitName) -> list[int]:
        """Return the class indices of the images of a split."""
        return [self.class_names.index(image.class_name) for image in self.split(split)]

    @property
    def sha256(self) -> str:
        """A checksum of the path, split and content of all images."""
        lines = "".join(f"{image.path.as_posix()} {image.split} {image.sha256}\n" for image in self.images)
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def find_labeled_images(
    folder: Path, fraction: float, seed: int, track: Callable[[list[Path]], Iterable[Path]] = iter
) -> ImageFolder:
    """Find the classes and their images, read each image once, and split them into training and validation images.

    Args:
        folder: Contains a folder for each class; or the folders `train` and `validation`, which contain those.
        fraction: The fraction of each class for validation, between 0 and 1, if there is no `validation` folder. Each
            class has at least one training and one validation image.
        seed: The seed of the split.
        track: Yields the paths that it is given, and may show the progress.

    Raises:
        OptionError: The fraction is out of range.
        InputError: Fewer than two classes have enough images, or `train` and `validation` have different classes.
    """
    if not 0 < fraction < 1:
        raise OptionError(f"validation is {fraction}; expected a fraction between 0 and 1, such as 0.2.")
    is_split = _is_split(folder)
    class_folders = find_class_folders(folder)
    files = [file for paths in class_folders for path in paths for file in _image_files(path)]
    images = [_label_image(folder, file, is_split) for file in track(files)]
    class_names = tuple(path.name for path in class_folders[0])
    if not is_split:
        images = list(_split_images(images, class_names, fraction, seed))
    image_folder = ImageFolder(folder, class_names, tuple(images))
    _check_counts(image_folder)
    return image_folder


def find_class_folders(folder: Path) -> list[list[Path]]:
    """Return the class folders of a data folder: those of `train` and of `validation`, or a single list.

    Raises:
        InputError: There are fewer than two classes, or `train` and `validation` have different classes.
    """
    roots = [folder / name for name in SPLIT_FOLDERS] if _is_split(folder) else [folder]
    class_folders = [_class_folders(root) for root in roots]
    _check_classes(folder, [[path.name for path in paths] for paths in class_folders])
    return class_folders


def _is_split(folder: Path) -> bool:
    return all((folder / name).is_dir() for name in SPLIT_FOLDERS)


def _class_folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"Cannot read the data folder {root}: {error.strerror or error}.") from error


def _check_classes(folder: Path, classes_by_root: Sequence[Sequence[str]]) -> None:
    """Raise InputError for fewer than two classes, or if the training and validation classes differ."""
    training, validation = classes_by_root[0], classes_by_root[-1]
    if set(training) != set(validation):
        differences = [
            f"{', '.join(sorted(set(classes) - set(others)))} only in {split}"
            for split, classes, others in (("train", training, validation), ("validation", validation, training))
            if set(classes) - set(others)
        ]
        raise InputError(f"The classes in {folder}/train and {folder}/validation differ: {'; '.join(differences)}.")
    if len(training) < 2:
        classes = f"one class, {training[0]!r}" if training else "no classes"
        hint = " With a train folder, it needs a validation folder too." if list(training) == ["train"] else ""
        raise InputError(
            f"The data folder {folder} contains {classes}; expected a folder of images for each of two or more "
            f"classes.{hint}"
        )


def _image_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def _label_image(folder: Path, file: Path, is_split: bool) -> LabeledImage:
    """Return an image with its label; one that cannot be read is skipped, so that it does not stop the training."""
    path = file.relative_to(folder)
    split: SplitName = "validation" if is_split and path.parts[0] == "validation" else "train"
    try:
        read(file)
    except ImageError as error:
        return LabeledImage(path, file.parent.name, "skipped", str(error))
    return LabeledImage(path, file.parent.name, split, sha256=hashlib.sha256(file.read_bytes()).hexdigest())


def _split_images(
    images: Sequence[LabeledImage], class_names: Sequence[str], fraction: float, seed: int
) -> Iterator[LabeledImage]:
    """Select a random fraction of each class for validation; the order within each class is kept."""
    for number, class_name in enumerate(class_names):
        of_class = [image for image in images if image.class_name == class_name]
        readable = [image for image in of_class if image.split != "skipped"]
        if len(readable) == 1:
            raise InputError(
                f"The class {class_name!r} has 1 readable image; expected 2 or more, at least one for training and one "
                "for validation."
            )
        count = min(max(1, round(fraction * len(readable))), len(readable) - 1)
        selected = np.random.default_rng((seed, number)).permutation(len(readable))[:count].tolist()
        validation = {readable[position].path for position in selected}
        yield from (replace(image, split="validation") if image.path in validation else image for image in of_class)


def _check_counts(images: ImageFolder) -> None:
    for split in SPLIT_FOLDERS:
        present = {image.class_name for image in images.split(split)}
        empty = [name for name in images.class_names if name not in present]
        if empty:
            purpose = "training" if split == "train" else "validation"
            raise InputError(
                f"There are no readable {purpose} images of {', '.join(map(repr, empty))} in {images.folder}; "
                f"{len(images.split('skipped'))} images cannot be read. Supported formats: {', '.join(SUFFIXES)}."
            )
