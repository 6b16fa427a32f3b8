"""What a source consists of: records, one for each image, in fixed chunks that are read independently of each other."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple, Protocol, final

from seewhy.datasets.filesystems import filesystem_of, image_errors
from seewhy.errors import ImageError, ImageNotFoundError, ImageTooLargeError, UsageError
from seewhy.images.reading import MAX_BYTES, EncodedImage, ImageLike


class RemoteFile(NamedTuple):
    """A file of a file system of fsspec.

    Attributes:
        filesystem: The file system; None for that of the URL `path`.
        path: The path in it, or the URL.
        name: The file's name in messages.
    """

    filesystem: Any
    path: str
    name: str

    def fetch(self) -> EncodedImage:
        """Return the bytes of the file.

        Raises:
            ImageError: There is no such file, it is too large, or it cannot be read.
        """
        with image_errors(self.name, "cannot be read"):
            filesystem, path = (self.filesystem, self.path) if self.filesystem is not None else self._of_url()
            with filesystem.open(path, "rb") as file:
                content = file.read(MAX_BYTES + 1)
        return checked_size(content, self.name)

    def _of_url(self) -> tuple[Any, str]:
        """Return the file system of the URL and the path in it; each row of a list may have another one."""
        try:
            return filesystem_of(self.path)
        except UsageError as error:  # an error of this image, and not of the call
            raise ImageError(str(error)) from error


def checked_size(content: bytes, name: str) -> EncodedImage:
    """Return the bytes of a file as an image, or raise ImageTooLargeError."""
    if len(content) > MAX_BYTES:
        raise ImageTooLargeError(f"{name} is not read: it has more than {MAX_BYTES:,} bytes, which is the limit.")
    return EncodedImage(content, name)


class Record(NamedTuple):
    """One image of a source.

    Attributes:
        position: Its position in the source.
        key: Its name in the source, such as its path in a folder.
        label: The name, the index or the id of its true class; None where it is not known.
        image: Where it is read from, or why it cannot be read.
    """

    position: int
    key: str
    label: str | None
    image: ImageLike | RemoteFile | ImageError


class Chunk(Protocol):
    """A fixed part of a source, which becomes one part of the output."""

    @property
    def number(self) -> int:
        """Its position among the chunks, which names the part."""

    @property
    def start(self) -> int:
        """The position of its first record."""

    @property
    def count(self) -> int:
        """The number of its records."""

    def records(self) -> Iterator[Record]:
        """Read the records, as many as `count`."""


@final
@dataclass(frozen=True)
class BrokenChunk:
    """A chunk that stands for a file that cannot be read: its only record is an error."""

    number: int
    start: int
    key: str
    error: ImageError
    count: int = 1

    def records(self) -> Iterator[Record]:
        """Yield the error."""
        yield Record(self.start, self.key, None, self.error)


@final
@dataclass(frozen=True)
class FirstRecords:
    """The first records of a chunk.

    Attributes:
        chunk: The chunk.
        count: How many of its records.
    """

    chunk: Chunk
    count: int

    @property
    def number(self) -> int:
        """The position of the chunk among the chunks."""
        return self.chunk.number

    @property
    def start(self) -> int:
        """The position of its first record."""
        return self.chunk.start

    def records(self) -> Iterator[Record]:
        """Read the records."""
        return islice(self.chunk.records(), self.count)


@final
@dataclass(frozen=True)
class Source:
    """A source that was found.

    Attributes:
        name: What the caller gave.
        chunks: Its chunks, in order.
        fingerprint: A hash of what it consists of.
        skipped: The number of files that are not images.
        folders: The names of the folders that hold images, where a folder may name a class.
    """

    name: str
    chunks: Sequence[Chunk]
    fingerprint: str
    skipped: int = 0
    folders: Sequence[str] = field(default=())

    @property
    def count(self) -> int:
        """The number of records."""
        return sum(chunk.count for chunk in self.chunks)

    def first(self, limit: int | None) -> "Source":
        """Return the source without the records after the first `limit`; None leaves out none."""
        if limit is None or limit >= self.count:
            return self
        kept = [chunk for chunk in self.chunks if chunk.start < limit]
        kept[-1] = FirstRecords(kept[-1], limit - kept[-1].start)
        return replace(self, chunks=kept)

    def check(self) -> "Source":
        """Return the source, or raise ImageError if nothing of it can be read.

        Raises:
            ImageError: There are no records, or all of them are files that cannot be read.
        """
        if not self.chunks:
            raise ImageNotFoundError(f"{self.name} contains no images.")
        broken = [chunk.error for chunk in self.chunks if isinstance(chunk, BrokenChunk)]
        if len(broken) == len(self.chunks):
            raise broken[0]
        return self


def fingerprint_of(items: Iterable[Sequence[Any]]) -> str:
    """Return a hash of what a source consists of, in hexadecimal."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(json.dumps(item).encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


def chunk_ranges(count: int, chunk_size: int) -> Iterator[range]:
    """Yield the ranges of positions of chunks of this size; the last one may be shorter."""
    for start in range(0, count, chunk_size):
        yield range(start, min(start + chunk_size, count))
