"""Finding images: the files that a path, a folder or a pattern names. It imports neither NumPy nor Pillow."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seewhy.errors import ImageError, ImageNotFoundError

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".avif")
"""The suffixes of image files that are found in a folder."""


class FoundImage(NamedTuple):
    """An image file.

    Attributes:
        path: Its path.
        folder: The folder that contains it, relative to the folder that was searched; `.` if none was searched.
    """

    path: Path
    folder: Path = Path()


class FoundImages(NamedTuple):
    """The files that a path, a folder or a pattern names.

    Attributes:
        images: The images, sorted by path.
        skipped: The files of a folder, not hidden, that do not have the suffix of an image; sorted.
    """

    images: list[FoundImage]
    skipped: list[Path]


def find_images(path: str, *, outside: Path | None = None, recursive: bool = True) -> FoundImages:
    """Find the images that a file, folder or glob names.

    A folder is searched with its subfolders, except for hidden ones. Links to folders are followed, once each.

    Args:
        path: A file; a folder; or a glob such as "photos/*.jpg".
        outside: A folder that is not searched, such as the one with the output files, unless it is `path` itself.
        recursive: False searches a folder without its subfolders.

    Raises:
        ImageNotFoundError: There is no such file, or the folder or glob contains no image.
        ImageError: The folder cannot be searched, or the glob is malformed.
    """
    if "\0" in path:
        raise ImageError(f"{path!r} cannot be read: a path cannot contain a null character.")
    try:
        if Path(path).is_dir():
            return _in_folder(Path(path), outside, recursive=recursive)
        if any(character in path for character in "*?[") and not Path(path).exists():
            return _by_glob(path, outside)
        return _single_file(Path(path))
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: symbolic links form a loop
        where = getattr(error, "filename", None) or path
        raise ImageError(f"{where} cannot be searched: {getattr(error, 'strerror', None) or error}.") from error


def folder_of(path: Path) -> str:
    """Return the name of an image's folder."""
    return path.absolute().parent.name


def _single_file(path: Path) -> FoundImages:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageNotFoundError(f"There is no image at {path}.") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}.") from error
    return FoundImages([FoundImage(path)], [])


def _by_glob(pattern: str, outside: Path | None) -> FoundImages:
    root = Path(Path(pattern).anchor)
    found: Iterator[Path] = filter(_may_be_read, root.glob(str(Path(pattern).relative_to(root))))
    if outside is not None and is_below(outside, os.path.dirname(re.split(r"[*?[]", pattern)[0]) or "."):
        found = (file for file in found if not is_below(file, outside))
    files = sorted(found)
    if not files:
        raise ImageNotFoundError(f"No file matches {pattern}.")
    return FoundImages([FoundImage(file) for file in files], [])


def _in_folder(folder: Path, outside: Path | None, *, recursive: bool) -> FoundImages:
    found = _files(folder, outside, recursive=recursive)
    files = sorted(found, key=lambda file: os.fspath(file).replace(os.sep, "\0"))  # folder by folder
    parents: dict[Path, Path] = {}  # one for all images of a folder: there may be millions
    images = [
        FoundImage(file, parents.setdefault(parent := file.relative_to(folder).parent, parent))
        for file in files
        if file.suffix.lower() in SUFFIXES
    ]
    if not images:
        raise ImageNotFoundError(
            f"{folder} contains no images{', nor do its subfolders' if recursive else ''}: {len(files)} files, none "
            f"with the suffix of an image ({', '.join(SUFFIXES)})."
        )
    return FoundImages(images, [file for file in files if file.suffix.lower() not in SUFFIXES])


def _files(folder: Path, outside: Path | None, *, recursive: bool) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders, which are visited once each, also where links form a loop."""
    visited = set() if outside is None else {os.path.realpath(outside)}
    visited.discard(os.path.realpath(folder))
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        visited.add(os.path.realpath(parent))
        folders[:] = folders if recursive else []
        folders[:] = [name for name in sorted(folders) if not name.startswith(".")]
        folders[:] = [name for name in folders if os.path.realpath(os.path.join(parent, name)) not in visited]
        paths = (Path(parent, name) for name in names if not name.startswith("."))
        yield from (path for path in paths if _may_be_read(path))


def _may_be_read(path: Path) -> bool:
    """Whether this is a file, or is named like an image: reading a pipe or a broken link says what is wrong with it."""
    return path.is_file() or (path.suffix.lower() in SUFFIXES and not path.is_dir())


def is_below(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> bool:
    """Whether a path is within a folder, however both are written."""
    return os.path.realpath(path).startswith(os.path.realpath(folder).rstrip(os.sep) + os.sep)


def _raise(error: OSError) -> None:
    raise error
