"""Files by their path or by a URL of fsspec, such as s3://bucket/photos."""

import os
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from seewhy.errors import ImageError, ImageNotFoundError, MissingExtraError, OptionError
from seewhy.regular_files import open_regular_file

MAX_FILE_BYTES = 2**62
"""No limit: archives and tables are read piece by piece."""


class FoundFile(NamedTuple):
    """A file of a source.

    Attributes:
        key: Its name in the source: the path in the folder, or the path as it was given.
        path: The path or the URL by which it is opened.
        size: In bytes.
    """

    key: str
    path: str
    size: int


def is_url(source: str) -> bool:
    """Whether a source is a URL; a chain of them too, such as zip://*.png::s3://bucket/photos.zip."""
    return "://" in source


def filesystem_of(url: str) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it.

    Raises:
        MissingExtraError: fsspec, or what it needs for this kind of URL, is not installed.
        OptionError: The kind of URL is unknown.
    """
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"For {url}, fsspec", "datasets") from error
    try:
        filesystem, path = url_to_fs(url)
    except ImportError as error:
        raise OptionError(f"{url} cannot be opened: {error}.") from error
    except ValueError as error:
        raise OptionError(f"{url} is no URL that fsspec knows: {error}.") from error
    except OSError as error:
        raise ImageError(f"{url} cannot be opened: {error.strerror or error}.") from error
    return filesystem, path


def open_file(path: str) -> BinaryIO:
    """Open a file for reading, by its path or URL; the caller closes it.

    Raises:
        ImageNotFoundError: There is no such file.
        ImageError: It cannot be opened.
    """
    try:
        if not is_url(path):
            return open_regular_file(Path(path), MAX_FILE_BYTES)
        filesystem, inside = filesystem_of(path)
        file: BinaryIO = filesystem.open(inside, "rb")
        return file
    except FileNotFoundError as error:
        raise ImageNotFoundError(f"There is no file at {path}.") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def read_file(path: str, max_bytes: int) -> bytes:
    """Return the bytes of a file, by its path or URL.

    Raises:
        ImageError: It cannot be read, or has more than `max_bytes` bytes.
    """
    with open_file(path) as file:
        try:
            content = file.read(max_bytes + 1)
        except OSError as error:
            raise ImageError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > max_bytes:
        raise ImageError(f"{path} is not read: it has more than {max_bytes:,} bytes.")
    return content


def find_remote(url: str) -> list[FoundFile]:
    """Find the files that a URL names: a file, a folder with its subfolders, or a glob; sorted.

    Raises:
        ImageNotFoundError: There is nothing.
        ImageError: It cannot be searched.
    """
    filesystem, root = filesystem_of(url)
    try:
        if any(character in root for character in "*?["):
            found, base = filesystem.glob(root, detail=True), ""
        else:
            found = filesystem.find(root, detail=True)
            base = root.rstrip("/") + "/" if filesystem.isdir(root) else ""
    except FileNotFoundError as error:
        raise ImageNotFoundError(f"There is nothing at {url}.") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{url} cannot be searched: {getattr(error, 'strerror', None) or error}.") from error
    files = sorted((path, info) for path, info in found.items() if info.get("type") == "file")
    if not files:
        raise ImageNotFoundError(f"There is no file at {url}.")
    shown = [path.removeprefix(base) if base else path for path, _ in files]
    return [FoundFile(key, path, int(info.get("size") or 0)) for key, (path, info) in zip(shown, files, strict=True)]


def size_of(path: str) -> int:
    """Return the size of a local file in bytes; -1 where there is none."""
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return -1
