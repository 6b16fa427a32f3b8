"""Where objects lie in images: boxes in COCO's format, or a folder of masks."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, NamedTuple, Protocol

import numpy as np

from seewhy.errors import ImageError, InputError, TargetError
from seewhy.evaluate.coco_file import read_coco_file
from seewhy.evaluate.file_matching import match_files
from seewhy.evaluate.labels import match_names
from seewhy.evaluate.study_settings import checksum, file_checksum
from seewhy.images.finding import SUFFIXES
from seewhy.images.reading import read
from seewhy.models import Classifier
from seewhy.types import BoolArray

Size = tuple[int, int]


class ObjectMask(NamedTuple):
    """The pixels of the objects of one image.

    Attributes:
        pixels: bool (H, W); None where the image has no usable annotation.
        problems: What is wrong with the image's annotation, if anything.
    """

    pixels: BoolArray | None
    problems: tuple[str, ...] = ()


class Annotations(Protocol):
    """The annotations of the images of a study."""

    @property
    def source(self) -> str:
        """Where they are from, for messages."""

    @property
    def unused(self) -> int:
        """The number of annotated images that are not there."""

    @property
    def checksum(self) -> str:
        """A checksum of them."""

    def label(self, name: str) -> int | None:
        """Return the class of an image whose objects are all of one class, if classes are known."""

    def mask(self, name: str, size: Size, target: int) -> ObjectMask:
        """Return the pixels of an image's objects of one class; of all its objects where their classes are unknown.

        Args:
            name: The image's name.
            size: (H, W) of the image, in pixels.
            target: The class that is explained.
        """


class Box(NamedTuple):
    """A box in pixels, and its class; None if its category is no class of the model."""

    left: float
    top: float
    width: float
    height: float
    category: int | None


@dataclass(frozen=True)
class CocoBoxes:
    """Boxes in COCO's format.

    Attributes:
        path: The file.
        boxes: The boxes of each image, by the image's name.
        sizes: (H, W) of the images, as the file states them.
        has_classes: Whether any category is a class of the model; if none is, all boxes count.
        unused: The number of annotated images that are not there.
        damaged: The number of boxes that have no four finite numbers.
    """

    path: Path
    boxes: Mapping[str, Sequence[Box]]
    sizes: Mapping[str, Size]
    has_classes: bool = True
    unused: int = 0
    damaged: Mapping[str, int] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return str(self.path)

    @property
    def checksum(self) -> str:
        boxes, sizes = sorted(self.boxes.items()), sorted(self.sizes.items())
        return checksum([repr(boxes), repr(sizes), repr(sorted(self.damaged.items())), repr(self.has_classes)])

    def label(self, name: str) -> int | None:
        categories = {box.category for box in self.boxes.get(name, ())}
        return next(iter(categories)) if len(categories) == 1 else None

    def mask(self, name: str, size: Size, target: int) -> ObjectMask:
        if name not in self.boxes:
            return ObjectMask(None, ("it has no boxes",))
        stated = self.sizes.get(name, size)
        if stated != size:
            return ObjectMask(
                None, (f"its boxes are for {stated[0]} x {stated[1]} pixels, and the image has {size[0]} x {size[1]}",)
            )
        problems = [f"{self.damaged[name]} of its boxes have no four finite numbers"] if name in self.damaged else []
        wanted = [box for box in self.boxes[name] if not self.has_classes or box.category == target]
        if not wanted:
            return ObjectMask(None, (*problems, "it has no box of the explained class"))
        pixels = np.zeros(size, dtype=bool)
        outside = [not _fill(pixels, box) for box in wanted]
        if any(outside):
            problems.append(
                f"{sum(outside)} of {len(outside)} boxes extend beyond the image, and are cut off at its edge"
            )
        if not pixels.any():
            return ObjectMask(None, (*problems, "no box covers a pixel of it"))
        return ObjectMask(pixels, tuple(problems))


@dataclass(frozen=True)
class MaskFolder:
    """A folder with a mask for each image: pixels that are not black are the object.

    Attributes:
        folder: The folder.
        paths: The mask of each image, by the image's name.
        unclear: Why it cannot be told which mask is an image's, by the image's name.
        unused: The number of masks of images that are not there.
    """

    folder: Path
    paths: Mapping[str, Path]
    unclear: Mapping[str, str] = field(default_factory=dict)
    unused: int = 0

    @property
    def source(self) -> str:
        return str(self.folder)

    @property
    def checksum(self) -> str:
        return checksum([part for name, path in sorted(self.paths.items()) for part in (name, file_checksum(path))])

    def label(self, name: str) -> int | None:
        return None

    def mask(self, name: str, size: Size, target: int) -> ObjectMask:
        if name in self.unclear:
            return ObjectMask(None, (f"it is not clear which mask is its own: {self.unclear[name]}",))
        if name not in self.paths:
            return ObjectMask(None, ("it has no mask",))
        try:
            pixels = read(self.paths[name]).any(axis=2)
        except ImageError as error:
            return ObjectMask(None, (f"its mask cannot be read: {error}",))
        if pixels.shape != size:
            height, width = pixels.shape
            return ObjectMask(
                None, (f"its mask has {height} x {width} pixels, and the image has {size[0]} x {size[1]}",)
            )
        return ObjectMask(pixels) if pixels.any() else ObjectMask(None, ("its mask is empty",))


@dataclass(frozen=True, eq=False)
class GivenMasks:
    """Masks in memory, bool (H, W) each; None for an image without one."""

    masks: Mapping[str, BoolArray | None]
    source: str = "masks"
    unused: int = 0

    @property
    def checksum(self) -> str:
        return checksum(b"" if mask is None else np.asarray(mask).tobytes() for mask in self.masks.values())

    def label(self, name: str) -> int | None:
        return None

    def mask(self, name: str, size: Size, target: int) -> ObjectMask:
        mask = self.masks.get(name)
        if mask is None:
            return ObjectMask(None, ("it has no mask",))
        pixels = np.asarray(mask) != 0
        if pixels.shape != size:
            return ObjectMask(
                None, (f"its mask has shape {pixels.shape}, and the image has {size[0]} x {size[1]} pixels",)
            )
        return ObjectMask(pixels) if pixels.any() else ObjectMask(None, ("its mask is empty",))


def read_coco(path: Path, names: Sequence[str], classifier: Classifier) -> CocoBoxes:
    """Read boxes in COCO's format: `images`, `annotations` with `bbox` [left, top, width, height], and `categories`.

    If any category is a class of the model, the boxes of the explained class count, else all boxes.

    Raises:
        InputError: The file cannot be read, is not in this format, or names none of the images.
    """
    content = read_coco_file(path)
    categories = {key: _find(classifier, name) for key, name in content.categories.items()}
    files = [file for file, *_ in content.images.values()]
    found = dict(zip(content.images, match_names(files, names), strict=True))
    sizes = {found[key]: size for key, (_, *sides) in content.images.items() if (size := _stated_size(*sides))}
    if not any(found.values()):
        example = f" The file names {files[0]!r}, and the first image is {names[0]!r}." if files and names else ""
        raise InputError(f"{path} has boxes for none of the {len(names)} images.{example}")
    boxes: dict[str, list[Box]] = defaultdict(list)
    damaged: dict[str, int] = defaultdict(int)
    for image, bbox, category in content.annotations:
        name = found.get(image)
        numbers = _four_numbers(bbox)
        if name is not None and numbers is None:
            damaged[name] += 1
        elif name is not None and numbers is not None:
            boxes[name].append(Box(*numbers, categories.get(category)))
    return CocoBoxes(
        path=path,
        boxes=dict(boxes),
        sizes={name: size for name, size in sizes.items() if name is not None},
        has_classes=any(index is not None for index in categories.values()),
        unused=sum(name is None for name in found.values()),
        damaged=dict(damaged),
    )


def read_masks(folder: Path, names: Sequence[str]) -> MaskFolder:
    """Find the masks of images: `cats/1.jpg` has the mask `cats/1.png`, or `1.png` if only one image has that name.

    Where images share a name, as `cats/1.jpg` and `cats/1.png` do, `cats/1.jpg.png` is the mask of the first.

    Raises:
        InputError: There is no such folder, or it has no mask for any of the images.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected a folder with a mask, such as 1.png, for each image.")
    masks = {path.relative_to(folder).as_posix(): path for path in _images_in(folder)}
    found = match_files(list(masks), names)
    if not found.files and not found.problems:
        example = f" It needs a mask named {PurePath(names[0]).stem}.png for {names[0]!r}." if names else ""
        raise InputError(f"{folder} has a mask for none of the {len(names)} images.{example}")
    paths = {name: masks[file] for name, file in found.files.items()}
    return MaskFolder(folder, paths, found.problems, found.unused)


def _fill(pixels: BoolArray, box: Box) -> bool:
    """Set the pixels of a box whose centres it contains; return whether it lies inside the image."""
    height, width = pixels.shape
    right, bottom = box.left + box.width, box.top + box.height
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    inside_rows, inside_columns = (rows >= box.top) & (rows < bottom), (columns >= box.left) & (columns < right)
    pixels |= inside_rows[:, None] & inside_columns[None, :]
    slack = 1.0  # boxes of whole pixels are often counted from 1, or end one pixel further
    return -slack <= box.left and -slack <= box.top and right <= width + slack and bottom <= height + slack


def _images_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            yield path


def _find(classifier: Classifier, name: str) -> int | None:
    try:
        return classifier.find_class(name)
    except TargetError:
        return None


def _stated_size(height: Any, width: Any) -> Size | None:
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _four_numbers(bbox: Any) -> tuple[float, float, float, float] | None:
    """Return the numbers of a box; None if it has others than four finite ones, or no area."""
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in bbox):
        return None
    left, top, width, height = map(float, bbox)
    return (left, top, width, height) if width > 0 and height > 0 else None
