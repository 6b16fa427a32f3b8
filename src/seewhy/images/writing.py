"""Writing files atomically: a file is written completely or not at all."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from seewhy import timing
from seewhy.errors import OutputError
from seewhy.images.png import write_png
from seewhy.timing import Phase
from seewhy.types import ImageArray

Writer = Callable[[BinaryIO], object]
Move = Callable[[Path, Path], None]


@timing.phase(Phase.WRITING)
def write_atomically(path: Path, write: Writer, *, durable: bool = False, move: Move = os.replace) -> None:
    """Write a temporary file in the same folder, then move it to `path`, so that `path` never holds half a file.

    Args:
        path: The final path; its folder is created if missing.
        write: Writes the content to the binary file it is given.
        durable: Wait until the content is on the disk before it replaces the file at `path`; for a file that is the
            only copy of something. Without it, a power failure may leave an empty file; that is enough for caches and
            for images that can be drawn again.
        move: Moves the temporary file to `path`.

    Raises:
        OutputError: The folder cannot be created, or the file cannot be written there.
    """
    if "\0" in str(path):
        raise OutputError(f"Cannot write {str(path)!r}: a path cannot contain a null character.")
    temporary = path.with_name(f".seewhy-{secrets.token_hex(8)}")  # a name that is never too long
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            write(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        move(temporary, path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):  # after a success it has been moved already
            temporary.unlink()


def write_first(path: Path, write: Writer) -> bool:
    """Write a file as `write_atomically` with `durable`, unless it is there; of several processes, one writes it.

    Returns:
        Whether this call wrote it.

    Raises:
        OutputError: As for `write_atomically`.
    """
    try:
        write_atomically(path, write, durable=True, move=_move_unless_there)
    except OutputError as error:
        if isinstance(error.__cause__, FileExistsError) and path.is_file():
            return False
        raise
    return True


def _move_unless_there(temporary: Path, path: Path) -> None:
    """Move a file, or raise FileExistsError: `os.link` replaces nothing."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if isinstance(error, FileExistsError) or path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV):
            raise
        temporary.replace(path)  # a file system without links: two processes in the same moment may both write


@timing.phase(Phase.WRITING)
def write_together(path: Path, write: Callable[[Path], object]) -> None:
    """Let a function write a folder, or several files, in a temporary folder; then move all of it beside `path`.

    Args:
        path: The final path of the folder or of one of the files; its folder is created if missing. A folder that is
            there already is replaced.
        write: Is given a path of the same name in the temporary folder, whose other files are moved too. If it raises,
            nothing is left.

    Raises:
        OutputError: A folder cannot be created, or a file cannot be written.
    """
    temporary = path.parent / f".seewhy-{secrets.token_hex(8)}"
    try:
        temporary.mkdir(parents=True)
        write(temporary / path.name)
        if (temporary / path.name).is_dir() and path.is_dir():
            path.rename(temporary / ".replaced")
        # The file at `path` last: when it is there, the others are.
        written = [each for each in temporary.iterdir() if each.name != ".replaced"]
        for each in sorted(written, key=lambda each: each.name == path.name):
            each.replace(path.parent / each.name)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@timing.phase(Phase.WRITING)
def bring_to_disk(paths: Iterable[Path]) -> None:
    """Wait until files that were written are on the disk, with their names.

    Many files are brought to the disk in less time when all are written than each as it is written.

    Raises:
        OutputError: A file cannot be brought to the disk.
    """
    folders: dict[Path, None] = {}
    for path in paths:
        folders[path.parent] = None
        try:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error
    for folder in folders:
        try:
            _sync_folder(folder)
        except OSError as error:
            raise OutputError(f"Cannot write in {folder}: {error.strerror or error}.") from error


def _sync_folder(folder: Path) -> None:
    """Wait until the new name of a file is on the disk, where the system can do this for a folder."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # files may be written in this folder, but their names may not be listed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of file systems that sync no folders
            raise
    finally:
        os.close(descriptor)


def image_writer(pixels: ImageArray, suffix: str) -> Writer:
    """Return a function that writes pixels as PNG if the suffix is ".png" and as JPEG otherwise.

    Args:
        pixels: uint8 (H, W, 3), or (H, W) for grey.
        suffix: The suffix of the file.
    """

    def write(file: BinaryIO) -> None:
        if suffix == ".png":
            write_png(file, pixels)
        else:
            Image.fromarray(pixels).save(file, format="JPEG", quality=92, subsampling=0)

    return write
