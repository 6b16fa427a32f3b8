"""Read files of limited size, and refuse what is not a regular file: reading a FIFO or a device may never end."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from seewhy.errors import ModelError


def open_regular(path: Path, max_size: int) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        ModelError: The path is not that of a regular file, or the file is larger than `max_size` bytes.
        OSError: The file cannot be opened; also for a folder.
    """
    check_regular(path, max_size)
    # Should the file have been replaced by a FIFO meanwhile, O_NONBLOCK opens it without waiting for a writer.
    file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115
    try:
        _check(path, os.fstat(file.fileno()), max_size)
    except ModelError:
        file.close()
        raise
    return file


def check_regular(path: Path, max_size: int) -> None:
    """Raise ModelError if a path is not that of a regular file of at most `max_size` bytes; OSError for a folder."""
    _check(path, path.stat(), max_size)


def _check(path: Path, status: os.stat_result, max_size: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(None, "Is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path} is a FIFO, a device or a socket; expected a regular file.")
    if status.st_size > max_size:
        raise ModelError(f"{path} has {status.st_size:,} bytes; at most {max_size:,} are read.")
