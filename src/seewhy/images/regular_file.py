"""Reading a file whole: only a regular file, and only up to a limit."""

import errno
import os
import stat
from pathlib import Path


class NotRegularFileError(OSError):
    """The path names a pipe, a socket or a device, which may have no end or may never answer."""


class FileTooLargeError(OSError):
    """The file has more bytes than the limit."""


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of a regular file.

    A pipe or a device is not opened: opening one can wait for ever, or act on the device.

    Raises:
        NotRegularFileError: The path names something that is not a file.
        FileTooLargeError: The file has more than `max_bytes` bytes; it is not read.
        OSError, ValueError: The file cannot be read; ValueError for a null character in the path.
    """
    _check(path.stat(), max_bytes)
    with open(path, "rb", opener=_open_without_waiting) as file:
        _check(os.fstat(file.fileno()), max_bytes)  # again: the path may name another file by now
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise FileTooLargeError(f"it has more than {max_bytes:,} bytes")
    return content


def _check(status: os.stat_result, max_bytes: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularFileError("it is not a regular file")
    if status.st_size > max_bytes:
        raise FileTooLargeError(f"it has {status.st_size:,} bytes; the limit is {max_bytes:,}")


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
