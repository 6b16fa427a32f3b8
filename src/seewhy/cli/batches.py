"""Many images: read a few ahead, explained a batch at a time, and written while the next are explained."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from seewhy import timing
from seewhy.errors import ImageError, ModelRunError, OutputError, SeewhyError
from seewhy.images.reading import read_each
from seewhy.results.explanation import Explanation
from seewhy.timing import Phase
from seewhy.types import ImageArray

IMAGE_ERRORS = (ImageError, ModelRunError, OutputError)
"""What concerns one image: it is noted, and the others go on."""

BATCH_BYTES = 2**28
"""How much memory the pixels of a batch may take, unless one image takes more."""

Explain = Callable[[Sequence[ImageArray]], list[Explanation]]
"""Explains a batch of images, with one method."""

Write = Callable[[Sequence[Explanation], Path], list[list[str]]]
"""Writes one image's explanations, and returns the paths of each one's files."""


class Outcome(NamedTuple):
    """What came of one image: its explanations and the files of each, or what went wrong."""

    path: Path
    explanations: Sequence[Explanation] = ()
    files: Sequence[Sequence[str]] = ()
    error: SeewhyError | None = None


def explain_each(paths: Sequence[Path], explains: Sequence[Explain], at_once: int) -> Iterator[Outcome]:
    """Explain images in their order, `at_once` of them in a batch; nothing is written yet."""
    for batch in _batches(zip(paths, read_each(paths), strict=True), at_once):
        readable = [(path, image) for path, image in batch if not isinstance(image, ImageError)]
        explained = iter(_explain_batch(readable, explains) if readable else ())
        for path, image in batch:
            yield Outcome(path, error=image) if isinstance(image, ImageError) else next(explained)


def write_each(outcomes: Iterable[Outcome], write: Write, at_once: int) -> Iterator[Outcome]:
    """Write what was explained in a thread of its own, and return it, in order, when its files are there.

    It is one thread, for figures are drawn with matplotlib, which is not made for several.
    """
    with ThreadPoolExecutor(1) as writer:
        waiting: deque[tuple[Outcome, Future[list[list[str]]] | None]] = deque()
        try:
            for each in outcomes:
                waiting.append((each, None if each.error else writer.submit(write, each.explanations, each.path)))
                while len(waiting) >= at_once:
                    yield _written(*waiting.popleft())
        except SeewhyError:  # what was done before is reported all the same
            yield from (_written(*each) for each in waiting)
            raise
        yield from (_written(*each) for each in waiting)


def _batches(
    images: Iterable[tuple[Path, ImageArray | ImageError]], at_once: int
) -> Iterator[list[tuple[Path, ImageArray | ImageError]]]:
    batch: list[tuple[Path, ImageArray | ImageError]] = []
    held = 0
    for path, image in images:
        batch.append((path, image))
        held += 0 if isinstance(image, ImageError) else image.nbytes
        if len(batch) == at_once or held > BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _explain_batch(images: Sequence[tuple[Path, ImageArray]], explains: Sequence[Explain]) -> list[Outcome]:
    """Explain a batch; if that goes wrong, each image by itself, to see with which of them."""
    pixels = [image for _, image in images]
    try:
        found = list(zip(*(explain(pixels) for explain in explains), strict=True))
    except IMAGE_ERRORS as error:
        if len(images) == 1:
            return [Outcome(images[0][0], error=error)]
        return [outcome for each in images for outcome in _explain_batch([each], explains)]
    return [
        Outcome(path, [replace(each, source=os.fspath(path)) for each in explanations])
        for (path, _), explanations in zip(images, found, strict=True)
    ]


def _written(outcome: Outcome, writing: Future[list[list[str]]] | None) -> Outcome:
    """Wait until an explanation is written."""
    if writing is None:
        return outcome
    try:
        with timing.phase(Phase.AWAITING_FILES):
            return outcome._replace(files=writing.result())
    except IMAGE_ERRORS as error:
        return Outcome(outcome.path, error=error)
