"""The images of a study: their names, by which labels and annotations find them, and what is known of each."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from seewhy.errors import InputError, OptionError, short_repr
from seewhy.evaluate.study_settings import checksum, file_checksum
from seewhy.images.finding import find_images
from seewhy.images.reading import EncodedImage, ImageLike

Source = ImageLike | Iterable[ImageLike]


@dataclass(frozen=True, eq=False)
class StudyImage:
    """One image of a study.

    Attributes:
        name: Its path in the folder that was searched, or "image 3"; no two images have the same.
        image: A path, a PIL image, an array or the bytes of a file.
    """

    name: str
    image: ImageLike

    @property
    def checksum(self) -> str:
        """A checksum of the image: of its name, and of its file's content or its pixels."""
        if isinstance(self.image, (str, os.PathLike)):
            return checksum([self.name, file_checksum(Path(self.image))])
        if isinstance(self.image, EncodedImage):
            return checksum([self.name, self.image.content])
        pixels = np.asarray(self.image)
        return checksum([self.name, str(pixels.shape), pixels.tobytes()])


def find_study_images(source: Source, *, recursive: bool = True, limit: int | None = None) -> tuple[StudyImage, ...]:
    """Return the images of a study.

    Args:
        source: A path, a folder, which is searched with its subfolders, a pattern such as "photos/*.jpg"; a PIL image,
            an array; or several of those.
        recursive: False searches folders without their subfolders.
        limit: The maximum number of images: those after the first so many are left out. None for all.

    Raises:
        OptionError: The limit is not 1 or more.
        ImageError: A path names no image, or a folder has none.
        InputError: There is no image.
    """
    if limit is not None and (type(limit) is not int or limit < 1):
        raise OptionError(f"limit is {short_repr(limit)}; expected 1 or more, or None for all.")
    found: list[tuple[str, ImageLike]] = []
    for item in _as_list(source):
        if isinstance(item, (str, os.PathLike)):
            images = find_images(os.fspath(item), recursive=recursive).images
            found += [((each.folder / each.path.name).as_posix(), each.path) for each in images]
        else:
            found.append((f"image {len(found) + 1}", item))
    if not found:
        raise InputError("There is no image to study.")
    return tuple(StudyImage(name, image) for name, image in _with_unique_names(found)[:limit])


def _as_list(source: Source) -> Sequence[ImageLike]:
    if isinstance(source, (str, os.PathLike, np.ndarray, Image.Image, EncodedImage)):
        return [source]
    return list(source)


def _with_unique_names(found: Sequence[tuple[str, ImageLike]]) -> list[tuple[str, ImageLike]]:
    """Name images by their whole paths where the short names of two are the same; the same file counts once."""
    names = [name for name, _ in found]
    if len(set(names)) == len(names):
        return list(found)
    unique: dict[str, ImageLike] = {}
    for name, image in found:
        is_path = isinstance(image, (str, os.PathLike))
        unique[Path(os.fspath(image)).as_posix() if is_path else name] = image  # type: ignore[arg-type]
    return list(unique.items())
