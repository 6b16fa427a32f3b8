"""Explain chunks one after the other in this process."""

import logging
from collections.abc import Callable, Sequence

from seewhy.datasets.part import Explained, PartWriter
from seewhy.datasets.progress import Progress, ProgressCallback
from seewhy.datasets.records import Chunk
from seewhy.datasets.schema import FailedImage

_logger = logging.getLogger("seewhy.datasets")


def explain_chunks(
    writer: PartWriter,
    chunks: Sequence[Chunk],
    state: Progress,
    progress: ProgressCallback | None,
    should_stop: Callable[[], bool],
) -> None:
    """Explain chunks and write their parts.

    Args:
        writer: Writes the part of a chunk.
        chunks: Those that are not done.
        state: How far the run is; it is updated.
        progress: Is called with it after each batch.
        should_stop: Is called before each chunk; True ends the run.
    """

    def add(batch: Sequence[Explained]) -> None:
        state.add(batch)
        for image in batch:
            if isinstance(image, FailedImage):
                _logger.warning("%s: %s", image.key, image.error)
        if progress is not None:
            progress(state)

    for chunk in chunks:
        if should_stop():
            _logger.info("stopped before part %d", chunk.number)
            return
        counts = writer.write(chunk, add)
        _logger.info("part %d: %d results, %d errors", chunk.number, counts.results, counts.errors)
