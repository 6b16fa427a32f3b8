"""Find what a source is: a folder, a glob, a list, Parquet files, tar archives or a data set of Hugging Face."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, final

from seewhy.datasets.file_source import of_files, of_found_images, of_list
from seewhy.datasets.filesystems import FoundFile, filesystem_of, find_remote, found_file, is_url
from seewhy.datasets.hugging_face_source import PREFIX, of_hugging_face
from seewhy.datasets.parquet_source import of_parquet_files
from seewhy.datasets.records import Source
from seewhy.datasets.tar_source import of_tar_shards
from seewhy.errors import ImageNotFoundError, OptionError, short_repr
from seewhy.images.finding import SUFFIXES, FoundImages, find_images, is_below

LIST_SUFFIXES = (".txt", ".lst", ".csv", ".tsv")
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
PARQUET_SUFFIXES = (".parquet", ".pq")


@final
@dataclass(frozen=True)
class SourceOptions:
    """How a source is read.

    Attributes:
        image_column: The column of paths or of images, of lists and tables; None for one with a usual name.
        label_column: The column of labels; None for one with a usual name, if there is one.
        key_column: The column of keys, of Parquet files; None for the number of the row.
        label_by_folder: Whether the name of the folder of an image is its label.
        recursive: Whether a folder is searched with its subfolders.
        limit: The maximum number of records: those after the first so many are left out. None for all.
    """

    image_column: str | None = None
    label_column: str | None = None
    key_column: str | None = None
    label_by_folder: bool = False
    recursive: bool = True
    limit: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the options by name; without `recursive` and `limit` where they leave nothing out."""
        options = asdict(self)
        for name, everything in (("recursive", True), ("limit", None)):
            if options[name] is everything:
                del options[name]
        return options


def find_source(
    name: str | os.PathLike[str], chunk_size: int, options: SourceOptions | None = None, *, outside: Path | None = None
) -> Source:
    """Find a source and divide it into chunks.

    Args:
        name: What the caller gave.
        chunk_size: The number of records of a chunk.
        options: How it is read.
        outside: A folder that is not searched: the output folder.

    Raises:
        ImageNotFoundError: There is nothing, or no image in it.
        ImageError: It cannot be read.
        OptionError: An option does not fit the source.
    """
    options = options or SourceOptions()
    if not isinstance(name, (str, os.PathLike)) or not isinstance(name := os.fspath(name), str) or not name:
        raise OptionError(f"The source is {short_repr(name)}; expected a folder, a file, a glob, a URL, or hf:NAME.")
    if options.label_by_folder and options.label_column is not None:
        raise OptionError("label_by_folder=True and label_column= both say what the labels are. Give one of them.")
    if options.limit is not None and (type(options.limit) is not int or options.limit < 1):
        raise OptionError(f"limit is {short_repr(options.limit)}; expected 1 or more, or None for all.")
    suffix = PurePosixPath(name).suffix.lower()
    if name.startswith(PREFIX):
        _check_unused(name, options, "label_by_folder=", "key_column=")
        source = of_hugging_face(name, chunk_size, options.image_column, options.label_column)
    elif suffix in LIST_SUFFIXES and "*" not in name:
        _check_unused(name, options, "key_column=")
        source = of_list(name, chunk_size, options.image_column, options.label_column, options.label_by_folder)
    elif is_url(name):
        files = find_remote(name, outside, recursive=options.recursive)
        source = _of_files(name, files, chunk_size, options) or _of_remote_images(name, files, chunk_size, options)
    else:
        source = _of_local(name, chunk_size, options, outside)
    return source.first(options.limit).check()


def check_source(name: str) -> None:
    """Raise ImageNotFoundError for a path on the disk at which there is nothing, without searching what is there."""
    is_path = not (name.startswith(PREFIX) or is_url(name) or any(character in name for character in "*?["))
    if is_path and "\0" not in name and not os.path.lexists(name):
        raise ImageNotFoundError(f"There is no image at {name}.")


def _of_local(name: str, chunk_size: int, options: SourceOptions, outside: Path | None) -> Source:
    try:
        found = find_images(name, outside=outside, recursive=options.recursive)
    except ImageNotFoundError:
        shards = _files_in(name, outside, recursive=options.recursive)  # a folder without images may hold them
        source = _of_files(name, shards, chunk_size, options)
        if source is None:
            raise
        return source
    if found.images[0].path.name.lower().endswith(PARQUET_SUFFIXES + TAR_SUFFIXES):
        files = [found_file(each.path.name, os.fspath(each.path)) for each in found.images]
        if (source := _of_files(name, files, chunk_size, options)) is not None:
            return source
    return _of_images(name, found, chunk_size, options)


def _of_images(name: str, found: FoundImages, chunk_size: int, options: SourceOptions) -> Source:
    _check_unused(name, options, "image_column=", "label_column=", "key_column=")
    return of_found_images(name, found.images, len(found.skipped), chunk_size, options.label_by_folder)


def _of_remote_images(name: str, files: Sequence[FoundFile], chunk_size: int, options: SourceOptions) -> Source:
    _check_unused(name, options, "image_column=", "label_column=", "key_column=")
    shown = [file for file in files if not any(part.startswith(".") for part in file.key.split("/"))]
    images = [file for file in shown if PurePosixPath(file.path).suffix.lower() in SUFFIXES]
    if not images:
        raise ImageNotFoundError(
            f"{name} contains no images: {len(shown)} files, none with the suffix of an image ({', '.join(SUFFIXES)})."
        )
    filesystem = filesystem_of(name)[0]
    return of_files(name, images, len(shown) - len(images), chunk_size, options.label_by_folder, filesystem)


def _of_files(name: str, files: Sequence[FoundFile], chunk_size: int, options: SourceOptions) -> Source | None:
    """Return the source of Parquet files or of archives, if the files are such; their paths become URLs again."""
    paths = [file.path.lower() for file in files]
    if is_url(name):
        filesystem = filesystem_of(name)[0]
        files = [file._replace(path=filesystem.unstrip_protocol(file.path)) for file in files]
    if paths and all(path.endswith(PARQUET_SUFFIXES) for path in paths):
        _check_unused(name, options, "label_by_folder=")
        columns = (options.image_column, options.label_column, options.key_column)
        return of_parquet_files(name, files, chunk_size, *columns)
    if paths and all(path.endswith(TAR_SUFFIXES) for path in paths):
        _check_unused(name, options, "image_column=", "label_column=", "key_column=", "label_by_folder=")
        return of_tar_shards(name, list(files), chunk_size)
    return None


def _files_in(folder: str, outside: Path | None, *, recursive: bool) -> list[FoundFile]:
    """Return the files of a folder that are no images, but may be Parquet files or archives."""
    if not Path(folder).is_dir():
        return []
    outside = outside if outside is not None and is_below(outside, folder) else None
    paths = sorted(
        path
        for path in Path(folder).glob("**/*" if recursive else "*")
        if path.name.lower().endswith(PARQUET_SUFFIXES + TAR_SUFFIXES)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and (outside is None or not is_below(path, outside))
    )
    return [found_file(path.relative_to(folder).as_posix(), os.fspath(path)) for path in paths]


def check_apart(name: str, out: Path) -> None:
    """Raise OptionError if the output folder is the one that is searched: the next search would find the output."""
    searched = name.partition("*")[0] if "**" in name else name
    if not is_url(name) and os.path.isdir(searched or ".") and os.path.realpath(searched) == os.path.realpath(out):
        raise OptionError(f"The output folder {out} is the folder of the images. Give a folder of its own.")


def absolute_name(name: str) -> str:
    """Return the name of a source that means the same in another working directory."""
    if is_url(name):
        return name
    if not name.startswith(PREFIX):
        return os.path.abspath(name)
    path, at, split = name.removeprefix(PREFIX).partition("@")
    return f"{PREFIX}{os.path.abspath(path)}{at}{split}" if os.path.isdir(path) else name


def _check_unused(name: str, options: SourceOptions, *unused: str) -> None:
    """Raise OptionError for an option that this kind of source does not have."""
    given = next((option for option in unused if getattr(options, option[:-1])), None)
    if given is not None:
        raise OptionError(f"{given} does not apply to the source {name}. Leave it out.")
