"""Reading the image of a record, in this process or in a process that is ended when it takes too long."""

import queue
from collections.abc import Callable
from pathlib import Path
from typing import final

from seewhy.datasets.records import Record, RemoteFile
from seewhy.errors import ImageError, ImageNotFoundError, ImageTooLargeError, OptionError, short_repr
from seewhy.images.decoder_process import DecoderProcess
from seewhy.images.read_ahead import READERS
from seewhy.images.reading import MAX_BYTES, MAX_PIXELS, EncodedImage, read
from seewhy.regular_files import FileTooLargeError, read_regular_file
from seewhy.types import ImageArray

Decode = Callable[[Record], ImageArray]
"""Reads the image of a record, or raises ImageError."""

MAX_SECONDS = 86_400


def decode(record: Record) -> ImageArray:
    """Read the image of a record in this process.

    Raises:
        ImageError: It cannot be read.
    """
    image = record.image
    if isinstance(image, ImageError):
        raise image
    return read(image.fetch() if isinstance(image, RemoteFile) else image)


def check_time_limit(time_limit: float) -> None:
    """Raise OptionError unless this is a number of seconds."""
    is_number = isinstance(time_limit, (int, float)) and not isinstance(time_limit, bool)
    if not is_number or not 0 < time_limit <= MAX_SECONDS:
        raise OptionError(f"time_limit is {short_repr(time_limit)}; expected seconds, above 0, up to {MAX_SECONDS:,}.")


@final
class DecoderProcesses:
    """Decodes images in processes, one for each reading thread; for files that may be made to do harm.

    Args:
        time_limit: Seconds that one image may take.

    Raises:
        OptionError: The limit is no number of seconds.
    """

    def __init__(self, time_limit: float) -> None:
        check_time_limit(time_limit)
        self._processes = [DecoderProcess(time_limit) for _ in range(READERS)]
        self._idle: queue.SimpleQueue[DecoderProcess] = queue.SimpleQueue()
        for process in self._processes:
            self._idle.put(process)

    def decode(self, record: Record) -> ImageArray:
        """Read the image of a record.

        Raises:
            ImageTooLargeError: It takes longer than the limit.
            ImageError: It cannot be read.
        """
        image = _encoded(record)
        process = self._idle.get()
        try:
            return process.decode(image.content, image.name, MAX_PIXELS)
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.close()


def _encoded(record: Record) -> EncodedImage:
    image = record.image
    if isinstance(image, ImageError):
        raise image
    if isinstance(image, RemoteFile):
        return image.fetch()
    if isinstance(image, EncodedImage):
        return image
    path = Path(image)  # type: ignore[arg-type]  # a source has no images in memory
    try:
        return EncodedImage(read_regular_file(path, MAX_BYTES), str(path))
    except FileNotFoundError as error:
        raise ImageNotFoundError(f"There is no image at {path}.") from error
    except FileTooLargeError as error:
        raise ImageTooLargeError(f"{path} is not read: {error}. Convert the image to another format.") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
