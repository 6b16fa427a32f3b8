"""Sources whose images are files: a folder, a glob, or a list of paths; on the disk or at a URL."""

import codecs
import csv
import io
import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, final

from seewhy.datasets.filesystems import FoundFile, found_file, is_url, read_file
from seewhy.datasets.records import Chunk, Record, RemoteFile, Source, chunk_ranges, fingerprint_of
from seewhy.errors import ImageError, OptionError, did_you_mean
from seewhy.images.finding import FoundImage
from seewhy.images.text import printable

MAX_LIST_BYTES = 1_000_000_000
"""The maximum size of a list of images."""

PATH_COLUMNS = ("path", "image", "file", "filename", "filepath", "file_name", "image_path", "url")
LABEL_COLUMNS = ("label", "class", "target", "category")


@final
@dataclass(frozen=True)
class FileChunk:
    """A chunk of files.

    Attributes:
        keys: The key of each.
        paths: The path of each, or its URL; empty where a list names none.
        labels: The label of each, or None where none is known.
        first_positions: By its index in the chunk, the position at which a path was listed before.
        filesystem: The file system of fsspec that all paths are in; None for the disk and for URLs.
    """

    number: int
    start: int
    keys: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[str | None, ...] | None
    first_positions: dict[int, int]
    filesystem: Any = None

    @property
    def count(self) -> int:
        """The number of files."""
        return len(self.keys)

    def records(self) -> Iterator[Record]:
        """Yield a record for each file; it is read later."""
        for index, (key, path) in enumerate(zip(self.keys, self.paths, strict=True)):
            label = None if self.labels is None else self.labels[index]
            position, key = self.start + index, printable(key)
            if not path:
                image: Any = ImageError(f"{key} of the list names no image.")
            elif index in self.first_positions:
                first = self.first_positions[index] + 1
                image = ImageError(f"{key} is listed twice; it is explained as image {first:,} of the list.")
            elif self.filesystem is not None or is_url(path):
                image = RemoteFile(self.filesystem, path, path)
            else:
                image = Path(path)
            yield Record(position, key, label, image)


def of_found_images(name: str, images: Sequence[FoundImage], skipped: int, chunk_size: int, by_folder: bool) -> Source:
    """Return the source of images that were found on the disk, in their order; a key is a path in the folder."""
    keys = [(image.folder / image.path.name).as_posix() for image in images]
    if len(set(keys)) < len(keys):  # of a glob, whose images have no folder
        keys = [os.fspath(image.path) for image in images]
    files = [found_file(key, os.fspath(image.path)) for key, image in zip(keys, images, strict=True)]
    return of_files(name, files, skipped, chunk_size, by_folder)


def of_files(
    name: str, files: Sequence[FoundFile], skipped: int, chunk_size: int, by_folder: bool, filesystem: Any = None
) -> Source:
    """Return the source of files."""
    folders = [_folder(file.path) for file in files] if by_folder else []
    chunks = _chunks(files, folders or None, {}, chunk_size, filesystem)
    fingerprint = fingerprint_of((file.key, file.size, file.modified) for file in files)
    return Source(name, chunks, fingerprint, skipped, sorted(set(folders)))


def of_list(name: str, chunk_size: int, image_column: str | None, label_column: str | None, by_folder: bool) -> Source:
    """Return the source of a list: a text file with a path in each line, or a CSV file with a column of paths.

    Paths are relative to the folder of the list.

    Raises:
        OptionError: There is no column of paths, or the text is not UTF-8.
        ImageError: The list cannot be read.
    """
    rows = _rows(name, read_file(name, MAX_LIST_BYTES), image_column, label_column)
    files = [_listed(name, row, path) for row, (path, _) in enumerate(rows, start=1)]
    labels = [label for _, label in rows]
    if by_folder:
        labels = [_folder(file.path) if file.path else None for file in files]
    known: dict[str, int] = {}
    repeated = {
        index: known[file.path] for index, file in enumerate(files) if known.setdefault(file.path, index) != index
    }
    has_labels = any(label is not None for label in labels)
    chunks = _chunks(files, labels if has_labels else None, repeated, chunk_size)
    folders = sorted({label for label in labels if label is not None}) if by_folder else []
    fingerprint = fingerprint_of((*row, file.size, file.modified) for row, file in zip(rows, files, strict=True))
    return Source(name, chunks, fingerprint, 0, folders)


def _listed(name: str, row: int, path: str) -> FoundFile:
    """Return the file that a row of a list names; files at URLs are found when they are read."""
    if not path:
        return FoundFile(f"row {row}", "", -1)
    beside = _beside(name, path)
    return FoundFile(path, beside, -1) if is_url(beside) else found_file(path, beside)


def _chunks(
    files: Sequence[FoundFile],
    labels: Sequence[str | None] | None,
    repeated: dict[int, int],
    chunk_size: int,
    filesystem: Any = None,
) -> list[Chunk]:
    return [
        FileChunk(
            number,
            rows.start,
            tuple(file.key for file in files[rows.start : rows.stop]),
            tuple(file.path for file in files[rows.start : rows.stop]),
            None if labels is None else tuple(labels[rows.start : rows.stop]),
            {index - rows.start: repeated[index] for index in rows if index in repeated},
            filesystem,
        )
        for number, rows in enumerate(chunk_ranges(len(files), chunk_size))
    ]


def _folder(path: str) -> str:
    return PurePosixPath(path).parent.name if is_url(path) else Path(path).absolute().parent.name


def _beside(source: str, path: str) -> str:
    """Return a path of a list, which is relative to the folder of the list."""
    if is_url(path) or os.path.isabs(path):
        return path
    if is_url(source):
        scheme, _, inside = source.partition("://")
        return f"{scheme}://{posixpath.normpath(posixpath.join(posixpath.dirname(inside), path))}"
    return os.path.join(os.path.dirname(source), path)


def _rows(
    name: str, content: bytes, image_column: str | None, label_column: str | None
) -> list[tuple[str, str | None]]:
    """Return the path and the label of each row of a list."""
    lines, suffix = io.StringIO(_text(name, content), newline=None), PurePosixPath(name).suffix.lower()
    if suffix not in (".csv", ".tsv"):
        return [(line.strip(), None) for line in lines if line.strip()]
    reader = csv.DictReader(lines, delimiter="\t" if suffix == ".tsv" else ",")
    try:
        columns = list(reader.fieldnames or ())
        path = find_column(name, columns, image_column, PATH_COLUMNS, "paths of images", "image_column=")
        label = find_label_column(name, columns, label_column)
        return [((row[path] or "").strip(), (row[label] or None) if label else None) for row in reader]
    except csv.Error as error:
        raise OptionError(f"{name} is not a CSV file: {error}.") from error


def _text(name: str, content: bytes) -> str:
    """Decode a list: UTF-8, or UTF-16 with its mark, as PowerShell writes it."""
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise OptionError(f"{name} is not a list of images: it is not text in UTF-8 ({error}).") from error
    if "\0" in text:
        raise OptionError(f"{name} is not a list of images: it has null characters. Save it as text in UTF-8.")
    return text


def find_label_column(name: str, columns: Sequence[str], given: str | None) -> str | None:
    """Return the name of the column of labels; None where there is none, and none was named."""
    if given is None and not set(LABEL_COLUMNS) & {column.lower() for column in columns}:
        return None
    return find_column(name, columns, given, LABEL_COLUMNS, "labels", "label_column=")


def find_column(
    name: str, columns: Sequence[str], given: str | None, usual: Sequence[str], content: str, option: str
) -> str:
    """Return the name of a column: the one that was named, or the first that has a usual name.

    Raises:
        OptionError: There is no such column.
    """
    by_name = {column.lower(): column for column in reversed(columns)}
    if given is not None:
        if given in columns:
            return given
        hint = did_you_mean(given, columns)
        raise OptionError(f"{name} has no column {given!r}: it has {', '.join(columns) or 'none'}.{hint}")
    found = next((by_name[column] for column in usual if column in by_name), None)
    if found is None:
        raise OptionError(
            f"{name} has no column of {content}: it has {', '.join(columns) or 'none'}, and {', '.join(usual)} are "
            f"looked for. Name it with {option}."
        )
    return found
