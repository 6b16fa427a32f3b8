"""Explain many images: read ahead, explain in batches, and write in another thread at the same time."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from seewhy import timing
from seewhy.batches import IMAGE_ERRORS, explain_each, in_order, read_batches
from seewhy.errors import ImageError, SeewhyError
from seewhy.images.pillow_memory import keep_image_memory
from seewhy.images.read_ahead import READ_AHEAD
from seewhy.results.explanation import Explanation
from seewhy.results.recording_explanation import RecordingExplanation
from seewhy.timing import Phase
from seewhy.types import ImageArray

AnyExplanation = Explanation | RecordingExplanation
"""The explanation of an image, or of a volume, a signal or a video."""

ExplainBatch = Callable[[Sequence[ImageArray]], list[Explanation]]
"""Explains a batch of images with one method."""

ExplainRecording = Callable[[Path], RecordingExplanation]
"""Reads a volume, a signal or a video, and explains it with one method."""

WriteFiles = Callable[[Sequence[AnyExplanation], Path], list[list[str]]]
"""Writes the explanations of one image, and returns the paths of the files of each explanation."""


class Outcome(NamedTuple):
    """The explanations of one image and the files of each explanation; or the error."""

    path: Path
    explanations: Sequence[AnyExplanation] = ()
    files: Sequence[Sequence[str]] = ()
    error: SeewhyError | None = None


def explain_images(
    paths: Sequence[Path], explainers: Sequence[ExplainBatch], batch_size: int, least_side: int | None = None
) -> Iterator[Outcome]:
    """Explain images in batches, and yield their outcomes in order; nothing is written yet.

    Args:
        paths: Of the images.
        explainers: One for each method and model.
        batch_size: The number of images of a batch. As many are decoded while the model runs.
        least_side: As for `read`: JPEG files are decoded at a reduced size.
    """
    keep_image_memory()
    for batch in read_batches(paths, batch_size, max(batch_size, READ_AHEAD), least_side):
        readable = [(path, image) for path, image in batch if not isinstance(image, ImageError)]
        outcomes = explain_each(readable, lambda images: _explain_batch(images, explainers))
        for path, outcome in in_order(batch, outcomes):
            yield Outcome(path, error=outcome) if isinstance(outcome, SeewhyError) else outcome


def explain_recordings(paths: Iterable[Path], explainers: Sequence[ExplainRecording]) -> Iterator[Outcome]:
    """Explain volumes, signals or videos one by one, and yield their outcomes in order; nothing is written yet."""
    for path in paths:
        try:
            yield Outcome(path, [explain(path) for explain in explainers])
        except IMAGE_ERRORS as error:
            yield Outcome(path, error=error)


def write_outcomes(outcomes: Iterable[Outcome], write: WriteFiles, max_waiting: int) -> Iterator[Outcome]:
    """Write explanations in another thread, and yield the outcomes in order, once their files are written.

    A single thread writes, for matplotlib, which draws the figures, is not thread-safe.
    """
    with ThreadPoolExecutor(1) as writer:
        waiting: deque[tuple[Outcome, Future[list[list[str]]] | None]] = deque()
        try:
            for outcome in outcomes:
                files = None if outcome.error else writer.submit(write, outcome.explanations, outcome.path)
                waiting.append((outcome, files))
                while len(waiting) >= max_waiting:
                    yield _wait_for_files(*waiting.popleft())
        except SeewhyError:  # the outcomes before the error are yielded all the same
            yield from (_wait_for_files(*pair) for pair in waiting)
            raise
        yield from (_wait_for_files(*pair) for pair in waiting)


def _explain_batch(images: Sequence[tuple[Path, ImageArray]], explainers: Sequence[ExplainBatch]) -> list[Outcome]:
    pixels = [image for _, image in images]
    by_image = zip(*(explain(pixels) for explain in explainers), strict=True)
    return [
        Outcome(path, [replace(explanation, source=os.fspath(path)) for explanation in explanations])
        for (path, _), explanations in zip(images, by_image, strict=True)
    ]


def _wait_for_files(outcome: Outcome, files: Future[list[list[str]]] | None) -> Outcome:
    """Wait until the files are written, and add their paths to the outcome."""
    if files is None:
        return outcome
    try:
        with timing.phase(Phase.AWAITING_FILES):
            return outcome._replace(files=files.result())
    except IMAGE_ERRORS as error:
        return Outcome(outcome.path, error=error)
