"""Opening files of recordings: regular files of limited size, with errors in words."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from seewhy.errors import MAX_SHOWN, ImageNotFoundError, RecordingError, SeewhyWarning, warn
from seewhy.regular_files import FileTooLargeError, open_regular_file
from seewhy.representation import one_line
from seewhy.threads import ForkSafeLock

UNKNOWN_SIZE = (0, 0xFFFFFFFF)
"""What programs write into a RIFF file whose size they do not know yet."""

_SHOWN_BY_ONE_THREAD = ForkSafeLock()


@contextmanager
def open_recording(path: Path, max_bytes: int) -> Iterator[BinaryIO]:
    """Open a file for reading, and close it.

    Raises:
        ImageNotFoundError: There is no file at the path.
        RecordingError: It is a folder or a device, has more than `max_bytes` bytes, or cannot be read.
    """
    try:
        with open_regular_file(path, max_bytes) as file:
            yield file
    except FileNotFoundError as error:
        raise ImageNotFoundError(f"There is no file at {path}.") from error
    except FileTooLargeError as error:
        raise RecordingError(f"{path} is not read: {error}.") from error
    except (OSError, ValueError) as error:  # ValueError: the path contains a null character
        raise RecordingError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


@contextmanager
def warnings_in_words(path: Path) -> Iterator[None]:
    """Turn the warnings of a library into one that names the file or folder.

    Python keeps how warnings are shown for the whole process, so one thread at a time changes it.
    """
    with _SHOWN_BY_ONE_THREAD.lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    messages = list(dict.fromkeys(str(each.message) for each in caught if each.category is not SeewhyWarning))
    for each in caught:
        if each.category is SeewhyWarning:
            warn(str(each.message))
    if messages:
        more = f" And {len(messages) - 1} more such notes." if len(messages) > 1 else ""
        warn(
            f"{path} is not as its format's standard says, and may be read wrong: "
            f"{one_line(messages[0])[:MAX_SHOWN]}{more}"
        )


def check_riff(path: Path, file: BinaryIO) -> None:
    """Raise RecordingError for a file of the format RIFF, as WAV and WebP, or AIFF that is shorter than it says.

    What decodes such files would give what is there.
    """
    start = file.read(28)
    size = file.seek(0, 2)
    file.seek(0)
    if len(start) < 28 or start[:4] not in (b"RIFF", b"FORM", b"RF64"):
        return
    if start[:4] == b"RF64":  # that of files of more than 4 GB is in their first chunk
        (announced,) = struct.unpack("<Q", start[20:]) if start[12:16] == b"ds64" else (0,)
    else:
        (announced,) = struct.unpack(">I" if start[:4] == b"FORM" else "<I", start[4:8])
    if announced not in UNKNOWN_SIZE and announced + 8 > size:
        raise truncated(path, size, announced + 8)


def truncated(path: Path, bytes_there: int, expected: int) -> RecordingError:
    """Return the error for a file that ends before its content does."""
    return RecordingError(
        f"{path} is truncated: its header announces {expected:,} bytes, and there are {bytes_there:,}. Copy it again."
    )
