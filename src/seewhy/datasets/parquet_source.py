"""Sources whose images are bytes in a column of Parquet files."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, final

import numpy as np

from seewhy.datasets.arrow import pyarrow, pyarrow_parquet
from seewhy.datasets.file_source import find_column, find_label_column
from seewhy.datasets.filesystems import FoundFile, open_file
from seewhy.datasets.records import (
    BrokenChunk,
    Chunk,
    Record,
    Source,
    checked_size,
    chunk_ranges,
    fingerprint_of,
)
from seewhy.errors import ImageError, OptionError
from seewhy.images.loaders import IMAGE_COLUMNS
from seewhy.images.text import printable

BATCH_ROWS = 16
"""How many rows are read at once."""

MAX_ROW_GROUP_BYTES = 2**33
"""The maximum size of a row group that a file declares; its pages are read piece by piece."""

BUFFER_BYTES = 2**20


@final
@dataclass(frozen=True)
class Columns:
    """The columns that are read.

    Attributes:
        image: The images: bytes, or structs with a field `bytes`, as Hugging Face writes them.
        label: The labels.
        key: The keys; None for the number of the row.
    """

    image: str
    label: str | None
    key: str | None

    @property
    def read(self) -> list[str]:
        """Their names."""
        return [name for name in (self.image, self.label, self.key) if name is not None]


@final
@dataclass(frozen=True)
class ParquetChunk:
    """Rows of one row group that follow each other.

    Attributes:
        file: The file.
        row_group: The row group.
        first: The first row, in the row group.
        first_in_file: The first row, in the file.
        columns: The columns that are read.
        repeated: The indices, in the chunk, of rows with the key of an earlier one.
    """

    number: int
    start: int
    count: int
    file: FoundFile
    row_group: int
    first: int
    first_in_file: int
    columns: Columns
    repeated: frozenset[int]

    def records(self) -> Iterator[Record]:
        """Read the rows; those after damage are errors."""
        pa = pyarrow()

        index, problem = -1, ImageError(f"{self.file.path} has changed: it has fewer rows than before.")
        try:
            for index, row in enumerate(islice(self._rows(), self.first, self.first + self.count)):
                yield self._record(index, row)
        except (pa.ArrowException, OSError, ValueError) as error:
            problem = ImageError(f"{self.file.path} is damaged: {str(error).splitlines()[0]}.")
        for missing in range(index + 1, self.count):
            yield Record(self.start + missing, self._row_key(missing), None, problem)

    def _rows(self) -> Iterator[dict[str, Any]]:
        with open_file(self.file.path) as file:
            table = pyarrow_parquet().ParquetFile(file, buffer_size=BUFFER_BYTES, pre_buffer=False)
            batches = table.iter_batches(BATCH_ROWS, row_groups=[self.row_group], columns=self.columns.read)
            passed = 0
            for batch in batches:
                if passed + batch.num_rows <= self.first:
                    passed += batch.num_rows
                    yield from ({} for _ in range(batch.num_rows))  # before the chunk
                else:
                    passed += batch.num_rows
                    yield from batch.to_pylist()

    def _record(self, index: int, row: dict[str, Any]) -> Record:
        columns = self.columns
        given = None if columns.key is None else row[columns.key]
        key = self._row_key(index) if given is None else printable(str(given))
        label = None if columns.label is None else label_text(row[columns.label])
        content = row[columns.image]
        content = content.get("bytes") if isinstance(content, dict) else content
        image: Any
        if index in self.repeated:
            image = ImageError(f"{key} is the key of an earlier row, which is explained.")
        elif content is None:
            image = ImageError(f"{key} has no bytes in the column {columns.image!r}.")
        else:
            image = checked_size(content, key)
        return Record(self.start + index, key, label, image)

    def _row_key(self, index: int) -> str:
        return f"{self.file.key}:{self.first_in_file + index}"


def label_text(value: Any) -> str | None:
    """Return a label; pandas writes the numbers of classes as floating-point numbers where some are missing."""
    if isinstance(value, float):
        return None if np.isnan(value) else f"{value:.15g}"
    return None if value is None else str(value)


def of_parquet_files(
    name: str,
    files: Sequence[FoundFile],
    chunk_size: int,
    image_column: str | None,
    label_column: str | None,
    key_column: str | None,
) -> Source:
    """Return the source of Parquet files.

    Raises:
        OptionError: There is no such column, or none holds bytes.
    """
    chunks: list[Chunk] = []
    items: list[tuple[Any, ...]] = []
    known: set[bytes] = set()
    for file in files:
        start = chunks[-1].start + chunks[-1].count if chunks else 0
        try:
            added = _chunks_of(file, len(chunks), start, chunk_size, (image_column, label_column, key_column), known)
        except ImageError as error:
            added = [BrokenChunk(len(chunks), start, file.key, error)]
        chunks += added
        items.append((file.key, file.size, file.modified, sum(chunk.count for chunk in added)))
    return Source(name, chunks, fingerprint_of([*items, (image_column, label_column, key_column)]))


def _chunks_of(
    file: FoundFile,
    number: int,
    start: int,
    chunk_size: int,
    names: tuple[str | None, str | None, str | None],
    known: set[bytes],
) -> list[Chunk]:
    pa = pyarrow()

    chunks: list[Chunk] = []
    first_in_file = 0
    try:
        with open_file(file.path) as opened:
            table = pyarrow_parquet().ParquetFile(opened)
            columns = _find_columns(file.path, table.schema_arrow, *names)
            for row_group in range(table.num_row_groups):
                metadata = table.metadata.row_group(row_group)
                if metadata.total_byte_size > MAX_ROW_GROUP_BYTES:
                    raise ImageError(f"{file.path} is not read: a row group has {metadata.total_byte_size:,} bytes.")
                repeated = _repeated_keys(table, row_group, columns.key, known)
                for rows in chunk_ranges(metadata.num_rows, chunk_size):
                    own = frozenset(row - rows.start for row in repeated if row in rows)
                    place = (file, row_group, rows.start, first_in_file + rows.start)
                    chunks.append(ParquetChunk(number + len(chunks), start, len(rows), *place, columns, own))
                    start += len(rows)
                first_in_file += metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise ImageError(f"{file.path} is no Parquet file, or damaged: {str(error).splitlines()[0]}.") from error
    return chunks


def _repeated_keys(table: Any, row_group: int, key_column: str | None, known: set[bytes]) -> list[int]:
    """Return the rows of a row group whose key an earlier row has."""
    if key_column is None:
        return []
    repeated, row = [], 0
    for batch in table.iter_batches(1024, row_groups=[row_group], columns=[key_column]):
        for key in batch.column(0).to_pylist():
            digest = hashlib.blake2b(str(key).encode("utf-8", "surrogatepass"), digest_size=12).digest()
            if key is not None and digest in known:
                repeated.append(row)
            known.add(digest)
            row += 1
    return repeated


def _find_columns(path: str, schema: Any, image: str | None, label: str | None, key: str | None) -> Columns:
    names = [field.name for field in schema if _holds_bytes(field.type)]
    if repeated := [name for name in (image, label, key, *names) if schema.names.count(name) > 1]:
        raise OptionError(f"{path} has several columns {repeated[0]!r}, which cannot be told apart. Rename them.")
    if image is not None and image in schema.names and image not in names:
        raise OptionError(f"The column {image!r} of {path} is {schema.field(image).type}; expected bytes of images.")
    if image is None and len(names) == 1:
        image = names[0]
    if image is None and not names:
        listed = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise OptionError(f"{path} has no column with bytes of images: it has {listed}.")
    found = find_column(path, names if image is None else schema.names, image, IMAGE_COLUMNS, "images", "image_column=")
    if key is not None:
        key = find_column(path, schema.names, key, (), "keys", "key_column=")
    others = [name for name in schema.names if name != found]
    return Columns(found, find_label_column(path, others, label), key)


def _holds_bytes(kind: Any) -> bool:
    pa = pyarrow()

    if pa.types.is_struct(kind):
        names = [kind.field(position).name for position in range(kind.num_fields)]
        return "bytes" in names and _holds_bytes(kind.field(names.index("bytes")).type)
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or getattr(pa.types, "is_binary_view", bool)(kind)
    )
