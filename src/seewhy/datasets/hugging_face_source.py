"""Sources that are data sets of Hugging Face, from the local cache or saved on the disk: nothing is downloaded."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from seewhy.datasets.arrow import pyarrow
from seewhy.datasets.file_source import LABEL_COLUMNS
from seewhy.datasets.filesystems import is_url
from seewhy.datasets.records import Chunk, Record, Source, checked_size, chunk_ranges, fingerprint_of
from seewhy.errors import ImageError, ImageNotFoundError, MissingExtraError, OptionError, did_you_mean

PREFIX = "hf:"


@final
@dataclass(frozen=True)
class HuggingFaceChunk:
    """Rows of a data set that follow each other.

    Attributes:
        dataset: The data set, whose images are not decoded.
        image: The column of the images.
        label: The column of the labels; None where there is none.
        label_names: The name of each label, where the labels are numbers with names.
    """

    number: int
    start: int
    count: int
    dataset: Any
    image: str
    label: str | None
    label_names: tuple[str, ...]

    def records(self) -> Iterator[Record]:
        """Read the rows."""
        rows = iter(self.dataset.select(range(self.start, self.start + self.count)))
        for position in range(self.start, self.start + self.count):
            key = f"row {position}"
            try:
                row = next(rows)
            except (pyarrow().ArrowException, OSError) as error:
                problem = ImageError(f"{key} is damaged: {(str(error).splitlines() or [type(error).__name__])[0]}.")
                yield from (
                    Record(row, f"row {row}", None, problem) for row in range(position, self.start + self.count)
                )
                return
            yield Record(position, key, self._label(row), _image(row[self.image], position))

    def _label(self, row: Mapping[str, Any]) -> str | None:
        value = None if self.label is None else row[self.label]
        if isinstance(value, int) and 0 <= value < len(self.label_names):
            return self.label_names[value]
        return None if value is None or (value == -1 and self.label_names) else str(value)


def of_hugging_face(name: str, chunk_size: int, image_column: str | None, label_column: str | None) -> Source:
    """Return the source of a data set: hf:NAME or hf:FOLDER; of several, hf:NAME:CONFIGURATION and hf:NAME@SPLIT.

    Images are in a column of the type `Image`, or of bytes.

    Raises:
        MissingExtraError: The package `datasets` is not installed.
        ImageNotFoundError: It is neither in the cache nor a folder.
        OptionError: There is no such configuration, split or column.
    """
    path, _, split = name.removeprefix(PREFIX).partition("@")
    dataset = _select_split(name, _load(name, path), split)
    features = dataset.features
    images = _image_columns(features)
    if image_column is not None and image_column not in images:
        hint = did_you_mean(image_column, images)
        raise OptionError(
            f"{name} has no column of images {image_column!r}; it has {', '.join(images) or 'none'}.{hint}"
        )
    if not images:
        raise OptionError(f"{name} has no column of images: it has {', '.join(features)}.")
    image = image_column or images[0]
    is_decoded = type(features[image]).__name__ == "Image"
    if label_column is not None and label_column not in features:
        hint = did_you_mean(label_column, features)
        raise OptionError(f"{name} has no column {label_column!r}: it has {', '.join(features)}.{hint}")
    label = label_column or next((column for column in LABEL_COLUMNS if column in features), None)
    names = tuple(getattr(features[label], "names", None) or ()) if label is not None else ()
    rows = dataset.cast_column(image, type(features[image])(decode=False)) if is_decoded else dataset
    rows = rows.with_format(None).select_columns([image] if label is None else [image, label])
    chunks: list[Chunk] = [
        HuggingFaceChunk(number, part.start, len(part), rows, image, label, names)
        for number, part in enumerate(chunk_ranges(len(dataset), chunk_size))
    ]
    sizes = [os.path.getsize(file["filename"]) for file in dataset.cache_files]
    fingerprint = fingerprint_of([(len(dataset), image, label, str(dataset.features), str(dataset.split), sizes)])
    return Source(name, chunks, fingerprint)


def _image_columns(features: Mapping[str, Any]) -> list[str]:
    """Return the columns of images; where none has the type of images, those of bytes."""
    images = [column for column, feature in features.items() if type(feature).__name__ == "Image"]
    return images or [column for column, feature in features.items() if _holds_bytes(feature)]


def _holds_bytes(feature: Any) -> bool:
    """Whether a feature is bytes, or a struct with the field `bytes`, as `Image` is stored."""
    if isinstance(feature, Mapping):
        return _holds_bytes(feature.get("bytes"))
    return getattr(feature, "dtype", None) in ("binary", "large_binary")


def _load(name: str, path: str) -> Any:
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")  # read when the package is imported
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"For {name}, the package datasets of Hugging Face", "datasets") from error
    if not path:
        raise OptionError(f"{name} names no data set; expected hf:NAME@SPLIT or hf:FOLDER.")
    if Path(path).is_dir():
        return _load_folder(name, path)
    path, _, configuration = path.partition(":")
    try:
        options = datasets.DownloadConfig(local_files_only=True)
        return datasets.load_dataset(path, configuration or None, download_config=options)
    except (OSError, ValueError) as error:  # ConnectionError is an OSError
        reason = str(error).splitlines()[0]
        if "configurations in the cache" in reason:
            raise OptionError(f"{name}: {reason}. Name one of them: {PREFIX}{path}:CONFIGURATION.") from error
        call = ", ".join(map(repr, [path, *([configuration] if configuration else [])]))
        raise ImageNotFoundError(
            f"There is no data set {path!r} in the local cache, nor a folder of that name that "
            f"Dataset.save_to_disk wrote: {reason} Download it first, in Python: datasets.load_dataset({call})."
        ) from error


def _load_folder(name: str, path: str) -> Any:
    import datasets

    try:
        return datasets.load_from_disk(path)
    except (OSError, ValueError) as error:
        raise ImageError(
            f"{name} is not a folder that Dataset.save_to_disk wrote: {str(error).splitlines()[0]} For a folder of "
            f"images, Parquet files or archives, give {path} without {PREFIX}."
        ) from error


def _select_split(name: str, found: Any, split: str) -> Any:
    if not isinstance(found, Mapping):
        if split:
            raise OptionError(f"{name} names a split, and the data set has none. Leave it out.")
        return found
    if not split and len(found) == 1:
        return next(iter(found.values()))
    if split not in found:
        example = f"{name.partition('@')[0]}@{next(iter(found))}"
        raise OptionError(f"{name}: the data set has the splits {', '.join(found)}. Name one of them: {example}.")
    return found[split]


def _image(value: Any, position: int) -> Any:
    name = f"row {position}"
    path = value.get("path") if isinstance(value, Mapping) else None
    content = value.get("bytes") if isinstance(value, Mapping) else value
    if content is not None:
        return checked_size(content, name)
    if not path:
        return ImageError(f"Row {position} has no image.")
    return ImageError(f"Row {position} is at {path}, which is not on the disk.") if is_url(path) else Path(path)
