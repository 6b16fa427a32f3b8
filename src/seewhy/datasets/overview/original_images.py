"""The images of an output, read from where they were; they may have been moved, changed or deleted since."""

import threading
from bisect import bisect_right
from itertools import islice
from typing import final

from seewhy.datasets.decoding import Decode, decode
from seewhy.datasets.file_source import FileChunk
from seewhy.datasets.find_source import SourceOptions, find_source
from seewhy.datasets.output import Output
from seewhy.datasets.records import Chunk, Record, Source
from seewhy.errors import ImageError, ImageNotFoundError, SeewhyError
from seewhy.images.reading import EncodedImage
from seewhy.types import ImageArray

MAX_CACHED_BYTES = 2**26
"""The maximum size of the images of an archive or a table that are cached, still encoded."""


@final
class OriginalImages:
    """Reads the images of the source by position and key.

    Only images that the source lists are read: a key alone opens no file. Threads may share it.

    Args:
        output: The output of the run.
        read: Reads the image of a record.
    """

    def __init__(self, output: Output, read: Decode = decode) -> None:
        self._output, self._read = output, read
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._problem: ImageError | None = None
        self._by_key: dict[str, tuple[FileChunk, int]] | None = None
        self._cached: dict[int, Record] = {}

    def read(self, position: int, key: str, size: tuple[int, int]) -> ImageArray:
        """Read an image, uint8 (H, W, 3).

        Args:
            position: Its position in the source.
            key: Its key.
            size: Its height and width when it was explained.

        Raises:
            ImageError: It cannot be read any more, or is another image.
        """
        with self._lock:
            record = self._find(position, key)
        image = self._read(record)
        if image.shape[:2] != size:
            height, width = image.shape[:2]
            raise ImageError(
                f"{key} has changed since the run: it was {size[1]} x {size[0]} pixels, and is {width} x {height} now."
            )
        return image

    def _find(self, position: int, key: str) -> Record:
        if self._source is None and self._problem is None:
            self._find_source()
        if self._problem is not None:
            raise self._problem
        assert self._source is not None  # noqa: S101  # or there is a problem
        if self._by_key is not None:
            if key not in self._by_key:
                raise ImageNotFoundError(f"{key} is no longer in {self._source.name}.")
            chunk, index = self._by_key[key]
            return _nth(chunk, index)
        starts = [chunk.start for chunk in self._source.chunks]
        chunk_at = self._source.chunks[bisect_right(starts, position) - 1]
        return (
            _nth(chunk_at, position - chunk_at.start)
            if isinstance(chunk_at, FileChunk)
            else self._read_chunk(chunk_at, position)
        )

    def _find_source(self) -> None:
        settings = self._output.settings
        options = SourceOptions(**settings["source_options"])
        try:
            source = find_source(settings["source"], settings["chunk_size"], options, outside=self._output.path)
        except SeewhyError as error:
            self._problem = ImageError(f"The source cannot be read any more: {error}")
            return
        if source.fingerprint != settings["source_fingerprint"]:
            files = [chunk for chunk in source.chunks if isinstance(chunk, FileChunk)]
            if len(files) < len(source.chunks):
                self._problem = ImageError(f"The source {source.name} has changed since the run.")
                return
            self._by_key = {
                record.key: (chunk, index) for chunk in files for index, record in enumerate(chunk.records())
            }
        self._source = source

    def _read_chunk(self, chunk: Chunk, position: int) -> Record:
        """Read the records of a chunk of an archive or a table, and cache those that fit."""
        if position not in self._cached:
            records, size = {}, 0
            for record in chunk.records():
                size += len(record.image.content) if isinstance(record.image, EncodedImage) else 0
                if size <= MAX_CACHED_BYTES or record.position == position:
                    records[record.position] = record
            self._cached = records
        return self._cached[position]


def _nth(chunk: FileChunk, index: int) -> Record:
    return next(islice(chunk.records(), index, None))
