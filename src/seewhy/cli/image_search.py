"""The images that the arguments of a command name. It imports no library, for a mistake to be said at once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seewhy.errors import ImageError, OptionError
from seewhy.images.finding import FoundImage, find_images, is_below
from seewhy.recordings.finding import DICOM_SUFFIXES, RECORDING_SUFFIXES, find_recordings


@dataclass
class ImageSearch:
    """What was found.

    Attributes:
        images: The images, in the order of the arguments; and the volumes, signals and videos.
        skipped: The files in searched folders that are not images.
        errors: The arguments that name no image, and why.
    """

    images: list[FoundImage] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    errors: list[tuple[Path, ImageError]] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        """The paths of the images."""
        return [image.path for image in self.images]


def search_images(
    arguments: Sequence[str], *, outside: Path | None = None, recursive: bool = True, limit: int | None = None
) -> ImageSearch:
    """Find the images that the arguments name.

    Args:
        arguments: Files, folders and globs.
        outside: A folder whose files are not images to explain: the output folder.
        recursive: Whether folders are searched with their subfolders.
        limit: The maximum number of images; None for all.
    """
    search = ImageSearch()
    for argument in arguments:
        try:
            found = find_images(argument, outside=outside, recursive=recursive)
        except ImageError as error:
            recordings = _recordings_in(argument, outside, recursive=recursive)
            search.images += recordings
            if not recordings:
                search.errors.append((Path(argument), error))
            continue
        search.images += found.images
        search.skipped += found.skipped
    search.images = search.images[:limit]
    return search


def _recordings_in(argument: str, outside: Path | None, *, recursive: bool) -> list[FoundImage]:
    """Return the volumes, signals and videos in a folder that contains no images."""
    if not os.path.isdir(argument):  # which says False of names that no file can have, where Path raises
        return []
    folder = Path(argument)
    recordings = find_recordings(folder, recursive=recursive)
    found = (path for path in recordings if outside is None or not is_below(path, outside))
    return [FoundImage(path, path.parent.relative_to(folder) if path != folder else Path()) for path in found]


def check_single_image(path: Path) -> None:
    """Raise ImageError if there is no file at the path, or OptionError for a folder or a recording."""
    if path.is_dir():
        raise OptionError(f"{path} is a folder; expected an image.")
    find_images(str(path))
    if path.name.lower().endswith((*RECORDING_SUFFIXES, *DICOM_SUFFIXES)):
        raise OptionError(f"{path} is a volume, a signal or a video; expected an image.")
