"""Batches of images of which some cannot be read or explained: those fail, and the others are explained."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from seewhy.errors import ImageError, ModelRunError, NotPredictedError, OutputError, SeewhyError
from seewhy.images.read_ahead import READ_AHEAD
from seewhy.images.reading import ImageLike, read_each
from seewhy.results.explanation import Explanation
from seewhy.targets import Target
from seewhy.types import ImageArray

_logger = logging.getLogger("seewhy.batches")

IMAGE_ERRORS = (ImageError, ModelRunError, NotPredictedError, OutputError)
"""Errors that concern a single image: they are recorded, and the other images are explained."""

MAX_BATCH_BYTES = 2**28
"""The memory for the pixels of a batch; a single image may exceed it."""

Image = TypeVar("Image")
Result = TypeVar("Result")
Source = TypeVar("Source", bound=ImageLike)
ExplainPixels = Callable[[Sequence[ImageLike], Sequence[ImageArray], Target, int], list[Explanation]]


def read_batches(
    images: Iterable[Source], batch_size: int, ahead: int = READ_AHEAD, least_side: int | None = None
) -> Iterator[list[tuple[Source, ImageArray | ImageError]]]:
    """Read images in batches; each image comes with its pixels, or with the error that reading it gave.

    Args:
        images: In any number; taken a few ahead.
        batch_size: The number of images of a batch.
        ahead: How many images are decoded ahead.
        least_side: As for `read`.
    """
    given: list[Source] = []

    def remember() -> Iterator[Source]:
        for image in images:
            given.append(image)
            yield image

    def pairs() -> Iterator[tuple[Source, ImageArray | ImageError]]:
        for pixels in read_each(remember(), ahead, least_side):
            yield given.pop(0), pixels

    return batches(pairs(), batch_size, lambda pair: 0 if isinstance(pair[1], ImageError) else pair[1].nbytes)


def batches(items: Iterable[Image], batch_size: int, size: Callable[[Image], int]) -> Iterator[list[Image]]:
    """Collect items in lists of `batch_size`, or fewer if they take more than `MAX_BATCH_BYTES` of memory.

    If `items` raises an exception, it is raised again after everything before it was yielded.
    """
    batch: list[Image] = []
    batch_bytes = 0
    try:
        for item in items:
            batch.append(item)
            batch_bytes += size(item)
            if len(batch) == batch_size or batch_bytes > MAX_BATCH_BYTES:
                if len(batch) < batch_size:
                    _logger.info("%d images run at once, not %d: their pixels fill the memory", len(batch), batch_size)
                yield batch
                batch, batch_bytes = [], 0
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def explain_each(
    images: Sequence[Image], explain: Callable[[Sequence[Image]], Sequence[Result]]
) -> list[Result | SeewhyError]:
    """Explain a batch; if that fails, explain each image separately, so that only those that fail are lost."""
    if not images:
        return []
    try:
        return list(explain(images))
    except IMAGE_ERRORS as error:
        if len(images) == 1:
            return [error]
        _logger.info("a batch of %d images failed, and each is explained alone: %s", len(images), error)
    return [result for image in images for result in explain_each([image], explain)]


def in_order(
    images: Sequence[tuple[Source, ImageArray | ImageError]], results: Iterable[Result | SeewhyError]
) -> Iterator[tuple[Source, Result | SeewhyError]]:
    """Yield each image of a batch with its result, where `results` are those of the images that could be read."""
    remaining = iter(results)
    for image, pixels in images:
        yield image, pixels if isinstance(pixels, ImageError) else next(remaining)


def consecutive(items: Iterable[Image], number: Callable[[Image], int]) -> list[list[Image]]:
    """Return items in lists in each of which the numbers follow each other without a gap."""
    runs: list[list[Image]] = []
    for item in items:
        if runs and number(runs[-1][-1]) + 1 == number(item):
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def explain_stream(
    images: Iterable[ImageLike], target: Target, batch_size: int, errors: str, explain_pixels: ExplainPixels
) -> Iterator[Explanation | SeewhyError]:
    """Yield the explanation of each of any number of images, in order.

    Args:
        images: Taken and decoded a few ahead.
        target: What is explained.
        batch_size: How many images run at once.
        errors: "raise" raises the error of an image; "yield" yields it in the place of its explanation.
        explain_pixels: Explains a batch of images, given with their pixels, their targets and the batch size.

    Raises:
        TargetError: There are targets for another number of images.
    """
    count = 0

    def explain(batch: Sequence[tuple[int, ImageLike, ImageArray]]) -> list[Explanation]:
        rows, sources, pixels = zip(*batch, strict=True)
        of_batch = target.slice_images(rows[0], rows[-1] + 1)
        return explain_pixels(sources, pixels, of_batch, batch_size)

    for batch in read_batches(images, batch_size, ahead=max(batch_size, READ_AHEAD)):
        rows = [(count + row, *pair) for row, pair in enumerate(batch)]
        readable = [(row, source, image) for row, source, image in rows if not isinstance(image, ImageError)]
        parts = [readable] if target.slice_images(0, 1) is target else consecutive(readable, lambda item: item[0])
        results = (result for part in parts for result in explain_each(part, explain))
        for _, result in in_order(batch, results):
            if errors == "raise" and isinstance(result, SeewhyError):
                raise result
            yield result
        count += len(batch)
    target.check_images(count)
