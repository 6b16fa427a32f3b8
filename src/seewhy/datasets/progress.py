"""How far a run is."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

from seewhy.datasets.part import Explained
from seewhy.datasets.schema import FailedImage


@final
@dataclass
class Progress:
    """How far a run is.

    Attributes:
        total: The number of images of the source; of a shard, those of the shard.
        before: How many were done by runs before this one, which it resumes.
        done: How many are done, with those.
        errors: How many of these failed.
    """

    total: int
    before: int = 0
    done: int = 0
    errors: int = 0
    _started: float = field(default_factory=time.monotonic, repr=False)

    def start(self) -> None:
        """Count the seconds from now on: while workers start, no image is explained."""
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start of this run."""
        return time.monotonic() - self._started

    @property
    def rate(self) -> float:
        """Images a second of this run; 0 before the first."""
        return (self.done - self.before) / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """The seconds that the rest takes at this rate; None before the first image."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None

    def add(self, images: Sequence[Explained]) -> None:
        """Count the images of a batch."""
        self.done += len(images)
        self.errors += sum(isinstance(image, FailedImage) for image in images)


ProgressCallback = Callable[[Progress], object]
"""Is called after each batch."""
