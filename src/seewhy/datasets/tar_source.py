"""Sources whose images are members of tar archives, as WebDataset writes them: shards.

Nothing is extracted to the disk. A first pass over the headers finds the samples; each chunk is then read from its own
place in the archive.
"""

import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple, cast, final

from seewhy.datasets.filesystems import FoundFile, open_file
from seewhy.datasets.records import BrokenChunk, Chunk, Record, Source, chunk_ranges, fingerprint_of
from seewhy.errors import ImageError, ImageTooLargeError, OptionError
from seewhy.images.finding import SUFFIXES
from seewhy.images.reading import MAX_BYTES, EncodedImage
from seewhy.images.text import printable

MAX_HEADER_BYTES = 1_000_000
"""The maximum size of what a header says beside its 512 bytes, such as a long name."""

MAX_LABEL_BYTES = 10_000

MAX_SAMPLES = 1_000_000
"""The maximum number of samples of an archive."""


class Sample(NamedTuple):
    """The members of one name: an image, and maybe its label.

    Attributes:
        name: The path in the archive up to the first dot of the file's name.
        offset: The place of the first header.
        image: The offset and the size of the image in the archive; None where there is none.
        label: Those of the label, `.cls`.
        skipped: How many samples that begin at the same header come before this one.
    """

    name: str
    offset: int
    image: tuple[int, int] | None
    label: tuple[int, int] | None
    skipped: int = 0


class CutShortError(Exception):
    """The archive ends in the middle of a member, or has no header where one is due."""


@final
@dataclass(frozen=True)
class TarChunk:
    """Samples of one archive that follow each other.

    Attributes:
        key: The key of the archive.
        path: Its path or URL.
        offset: The place of the first header.
        skipped: How many samples that begin there come before the first one.
        repeated: The indices, in the chunk, of samples with the name of an earlier one.
    """

    number: int
    start: int
    count: int
    key: str
    path: str
    offset: int
    skipped: int
    repeated: frozenset[int]

    def records(self) -> Iterator[Record]:
        """Read the samples."""
        count, problem = 0, ImageError(f"{self.path} has changed: it has fewer images than before.")
        try:
            for record in self._samples():
                count += 1
                yield record
        except CutShortError as error:
            problem = ImageError(f"{self.path} is damaged: {error}")
        except ImageError as error:
            problem = error
        for missing in range(count, self.count):
            yield Record(self.start + missing, f"{self.key}/{self.start + missing}", None, problem)

    def _samples(self) -> Iterator[Record]:
        with open_file(self.path) as file:
            samples = (sample for sample in _samples(file, self.offset) if sample.image is not None)
            for index, sample in enumerate(islice(samples, self.skipped, self.skipped + self.count)):
                key = f"{self.key}/{printable(sample.name)}"
                image: Any = ImageError(f"{key} is in the archive twice; the first one is explained.")
                if index not in self.repeated:
                    image = _content(file, cast(tuple[int, int], sample.image), key)
                yield Record(self.start + index, key, _label(file, sample), image)


def of_tar_shards(name: str, shards: list[FoundFile], chunk_size: int) -> Source:
    """Return the source of archives.

    Raises:
        OptionError: An archive is compressed.
    """
    chunks: list[Chunk] = []
    items: list[tuple[Any, ...]] = []
    skipped = 0
    for shard in shards:
        if not shard.path.lower().endswith(".tar"):
            raise OptionError(f"{shard.path} is compressed, and its images cannot be found in it. Decompress it first.")
        skipped += _add_shard(shard, chunks, items, chunk_size)
    return Source(name, chunks, fingerprint_of(items), skipped)


def _add_shard(shard: FoundFile, chunks: list[Chunk], items: list[tuple[Any, ...]], chunk_size: int) -> int:
    """Add the chunks of an archive, and return the number of samples without an image."""
    found, problem = _find_samples(shard)
    samples = [sample for sample in found if sample.image is not None]
    known: dict[str, int] = {}
    repeated = {index for index, sample in enumerate(samples) if known.setdefault(sample.name, index) != index}
    for rows in chunk_ranges(len(samples), chunk_size):
        own = frozenset(index - rows.start for index in rows if index in repeated)
        place = (shard.key, shard.path, samples[rows.start].offset, samples[rows.start].skipped)
        chunks.append(TarChunk(len(chunks), _next_start(chunks), len(rows), *place, own))
    items.append((shard.key, shard.size, shard.modified))
    items.extend((shard.key, *sample) for sample in samples)
    if problem is not None:
        chunks.append(BrokenChunk(len(chunks), _next_start(chunks), shard.key, problem))
        items.append((shard.key, "damaged"))
    return len(found) - len(samples)


def _find_samples(shard: FoundFile) -> tuple[list[Sample], ImageError | None]:
    """Return the samples of an archive, and why it was not read to its end."""
    samples: list[Sample] = []
    try:
        with open_file(shard.path) as file:
            for sample in _samples(file, 0):
                samples.append(sample)
                if len(samples) > MAX_SAMPLES:
                    return samples[:-1], ImageError(f"{shard.path} has more than {MAX_SAMPLES:,} samples. Divide it.")
    except CutShortError as error:
        where = (
            f"is cut short or damaged after {len(samples):,} samples" if samples else "is no tar archive, or damaged"
        )
        return samples, ImageError(f"{shard.path} {where}: {error}")
    except ImageError as error:
        return samples, error
    return samples, None


def _next_start(chunks: list[Chunk]) -> int:
    return chunks[-1].start + chunks[-1].count if chunks else 0


def _samples(file: BinaryIO, offset: int) -> Iterator[Sample]:
    """Yield the samples of an archive from a header on.

    Raises:
        CutShortError: The archive ends in the middle of a member, or has no header where one is due; after the samples
            before.
    """
    sample, others = Sample("", 0, None, None), dict[str, tuple[int, int]]()
    try:
        for start, member in _members(file, offset):
            path = PurePosixPath(member.name)
            stem, _, suffix = path.name.partition(".")
            if not member.isreg() or member.issparse() or not stem:
                continue
            name, place = str(path.parent / stem), (member.offset_data, member.size)
            if sample.name != name:
                yield from _named(sample, others)
                sample, others = Sample(name, start, None, None), {}
            if sample.image is None and f".{suffix.lower()}" in SUFFIXES:
                sample = sample._replace(image=place)
            elif suffix.lower() == "cls":
                sample = sample._replace(label=place)
            elif path.suffix.lower() in SUFFIXES:
                others.setdefault(f"{name}.{suffix.rpartition('.')[0]}", place)
    except CutShortError:
        yield from _named(sample, others)
        raise
    yield from _named(sample, others)


def _named(sample: Sample, others: Mapping[str, tuple[int, int]]) -> Iterator[Sample]:
    """Yield a sample; if all its images have a second name, such as photo.2021.jpg, a sample for each of them."""
    if sample.image is not None or (sample.name and not others):
        yield sample
    else:
        for skipped, (name, place) in enumerate(others.items()):
            yield sample._replace(name=name, image=place, skipped=skipped)


def _members(file: BinaryIO, offset: int) -> Iterator[tuple[int, tarfile.TarInfo]]:
    """Yield each member of an archive with the place of its header, without keeping them."""
    size = file.seek(0, 2)
    file.seek(offset)
    try:
        with tarfile.open(fileobj=cast(BinaryIO, _Headers(file)), mode="r:") as archive:
            start = offset
            while (member := archive.next()) is not None:
                if member.offset_data + (0 if member.issparse() else member.size) > size:
                    raise CutShortError("its last member is incomplete.")
                yield start, member
                archive.members = []  # type: ignore[attr-defined]  # which it would keep
                start = archive.offset
            file.seek(archive.offset)
            if file.read(512) != bytes(512):  # an archive ends in blocks of zeros
                raise CutShortError("there is no header where one is due.")
    except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError) as error:
        raise CutShortError(f"{error}.") from error


@final
class _Headers:
    """A file of which `tarfile` reads headers only: more is refused, whatever a header says."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, lambda: True

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes is refused")
        return self._file.read(size)


def _content(file: BinaryIO, place: tuple[int, int], key: str) -> EncodedImage | ImageError:
    offset, size = place
    if size > MAX_BYTES:
        return ImageTooLargeError(f"{key} is not read: it has {size:,} bytes; the limit is {MAX_BYTES:,}.")
    try:
        file.seek(offset)
        content = file.read(size)
        return EncodedImage(content, key) if len(content) == size else ImageError(f"{key} is cut short.")
    except OSError as error:
        return ImageError(f"{key} cannot be read: {error.strerror or error}.")


def _label(file: BinaryIO, sample: Sample) -> str | None:
    if sample.label is None or sample.label[1] > MAX_LABEL_BYTES:
        return None
    try:
        file.seek(sample.label[0])
        return file.read(sample.label[1]).decode("utf-8", "replace").strip() or None
    except OSError as error:
        raise CutShortError(f"{error}.") from error
