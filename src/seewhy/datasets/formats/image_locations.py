"""Where the images of a run are, for programs that show them beside what was found."""

import os
from collections.abc import Callable

from seewhy.datasets.file_source import FileChunk
from seewhy.datasets.filesystems import is_url
from seewhy.datasets.readable_output import ReadableOutput, Row
from seewhy.errors import OptionError
from seewhy.images.text import printable

Locate = Callable[[Row], str]
"""Returns the path or the URL of the image of a row with `position` and `key`."""


def image_locations(output: ReadableOutput, images: str | None) -> Locate:
    """Return what finds the images of a run.

    Args:
        output: The output.
        images: The folder, or the beginning of the URLs, in which each image has its key as its path; None for where
            the source has them.

    Raises:
        OptionError: The images of the source are no files of their own, and `images` was not given.
        ImageError: The source has changed since the run.
    """
    if images is not None:
        start = images if is_url(images) else os.path.abspath(images)
        return lambda row: _join(start, row["key"])
    chunks = {chunk.number: chunk for chunk in output.find_source().chunks}
    if any(not isinstance(chunk, FileChunk) for chunk in chunks.values()):
        raise OptionError(
            f"The images of {output.settings['source']} are no files of their own, and the other program shows files. "
            "Write them to a folder, with their keys as their paths, and give it with images=."
        )
    size = output.settings["chunk_size"]

    def locate(row: Row) -> str:
        chunk = chunks[row["position"] // size]
        assert isinstance(chunk, FileChunk)  # noqa: S101  # as was checked
        path = printable(chunk.paths[row["position"] - chunk.start])
        if is_url(path):
            return path
        return os.path.abspath(path) if chunk.filesystem is None else str(chunk.filesystem.unstrip_protocol(path))

    return locate


def _join(start: str, key: str) -> str:
    """Return the location of a key, which may be an absolute path or a URL of its own."""
    return key if is_url(key) or os.path.isabs(key) else f"{start.rstrip('/')}/{key}"
