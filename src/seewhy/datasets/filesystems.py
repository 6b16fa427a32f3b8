"""Files by their path or by a URL of fsspec, such as s3://bucket/photos."""

import contextlib
import io
import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast, final

from seewhy.errors import ImageError, ImageNotFoundError, MissingExtraError, OptionError, SeewhyError
from seewhy.images.finding import is_below
from seewhy.regular_files import open_regular_file

MAX_FILE_BYTES = 2**62
"""No limit: archives and tables are read piece by piece."""


class FoundFile(NamedTuple):
    """A file of a source.

    Attributes:
        key: Its name in the source: the path in the folder, or the path as it was given.
        path: The path or the URL by which it is opened.
        size: In bytes; -1 where there is none.
        modified: What changes when it is written again, such as the time; empty where it is not known.
    """

    key: str
    path: str
    size: int
    modified: str = ""


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
    except Exception as error:
        raise ImageError(f"{url} cannot be opened: {_said(error)}.") from error
    return filesystem, path


@contextlib.contextmanager
def image_errors(name: str, failure: str) -> Iterator[None]:
    """Turn whatever a file system raises into ImageError: those of fsspec raise the errors of a dozen packages.

    Args:
        name: What is read.
        failure: What went wrong, such as "cannot be read".
    """
    try:
        yield
    except FileNotFoundError as error:
        raise ImageNotFoundError(f"There is no file at {name}.") from error
    except SeewhyError:
        raise
    except Exception as error:
        raise ImageError(f"{name} {failure}: {_said(error)}.") from error


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def open_file(path: str) -> BinaryIO:
    """Open a file for reading, by its path or URL; the caller closes it.

    Raises:
        ImageNotFoundError: There is no such file.
        ImageError: It cannot be opened.
    """
    with image_errors(path, "cannot be read"):
        if not is_url(path):
            return open_regular_file(Path(path), MAX_FILE_BYTES)
        filesystem, inside = filesystem_of(path)
        return cast(BinaryIO, _RemoteReader(filesystem.open(inside, "rb")))


@final
class _RemoteReader(io.RawIOBase):
    """A file of fsspec that raises nothing but OSError, which those who read it expect."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        with _os_errors():
            return bytes(self._file.read(size))

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _os_errors():
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._file.close()


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(_said(error)) from error


def read_file(path: str, max_bytes: int) -> bytes:
    """Return the bytes of a file, by its path or URL.

    Raises:
        ImageError: It cannot be read, or has more than `max_bytes` bytes.
    """
    with open_file(path) as file, image_errors(path, "cannot be read"):
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ImageError(f"{path} is not read: it has more than {max_bytes:,} bytes.")
    return content


def find_remote(url: str, outside: Path | None = None, *, recursive: bool = True) -> list[FoundFile]:
    """Find the files that a URL names: a file, a folder with its subfolders, or a glob; sorted.

    Args:
        url: The URL.
        outside: A folder on the disk that is not searched, should the URL be one of the disk.
        recursive: False leaves out the files in subfolders of a folder.

    Raises:
        ImageNotFoundError: There is nothing.
        ImageError: It cannot be searched.
    """
    filesystem, root = filesystem_of(url)
    with image_errors(url, "cannot be searched"):
        found, base = _search(filesystem, root)
    files = sorted((path, info) for path, info in found.items() if info.get("type") == "file")
    is_disk = "file" in ((filesystem.protocol,) if isinstance(filesystem.protocol, str) else filesystem.protocol)
    if outside is not None and is_disk and is_below(outside, base or root):
        files = [(path, info) for path, info in files if not is_below(path, outside)]
    if base and not recursive:
        files = [(path, info) for path, info in files if "/" not in path.removeprefix(base)]
    if not files:
        raise ImageNotFoundError(f"There is no file at {url}.")
    return [
        FoundFile(path.removeprefix(base), path, int(info.get("size") or 0), _version(info)) for path, info in files
    ]


def _search(filesystem: Any, root: str) -> tuple[dict[str, Any], str]:
    """Return the files that a path names, and the folder that their keys leave out."""
    if any(character in root for character in "*?["):
        return filesystem.glob(root, detail=True), ""
    if posixpath.splitext(root)[1] and filesystem.isfile(root):  # HTTP's `find` would look for links in the file
        return {root: filesystem.info(root)}, ""
    found = filesystem.find(root, detail=True)
    return found, root.rstrip("/") + "/" if filesystem.isdir(root) else ""


def _version(info: dict[str, Any]) -> str:
    """Return what a file system says of a file's version."""
    names = ("ETag", "etag", "LastModified", "last_modified", "updated", "mtime", "created")
    return str(next((info[name] for name in names if info.get(name)), ""))


def found_file(key: str, path: str) -> FoundFile:
    """Return a file on the disk."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return FoundFile(key, path, -1)
    return FoundFile(key, path, status.st_size, str(status.st_mtime_ns))
