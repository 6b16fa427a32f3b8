"""Open and read regular files only, of limited size: reading a pipe or a device may never end, or act on the device."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotRegularFileError(OSError):
    """The path names a pipe, a socket or a device."""


class FileTooLargeError(OSError):
    """The file has more bytes than the limit."""


def open_regular_file(path: Path, max_bytes: int) -> BinaryIO:
    """Open a regular file for reading.

    A pipe or a device is not opened: opening one can wait for ever, or act on the device.

    Raises:
        NotRegularFileError: The path names something that is not a file.
        FileTooLargeError: The file has more than `max_bytes` bytes.
        OSError, ValueError: The file cannot be opened, or is a folder; ValueError for a null character in the path.
    """
    _check(path.stat(), max_bytes)
    file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 - the caller closes it
    try:
        _check(os.fstat(file.fileno()), max_bytes)  # again: the path may name another file by now
    except OSError:
        file.close()
        raise
    return file


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        NotRegularFileError: The path names something that is not a file.
        FileTooLargeError: The file has more than `max_bytes` bytes.
        OSError, ValueError: The file cannot be read, or is a folder; ValueError for a null character in the path.
    """
    with open_regular_file(path, max_bytes) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:  # it has grown meanwhile
        raise FileTooLargeError(f"it has more than {max_bytes:,} bytes")
    return content


def _check(status: os.stat_result, max_bytes: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularFileError("it is a FIFO, a device or a socket, not a regular file")
    if status.st_size > max_bytes:
        raise FileTooLargeError(f"it has {status.st_size:,} bytes; the limit is {max_bytes:,}")


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # should the path have become that of a FIFO meanwhile
