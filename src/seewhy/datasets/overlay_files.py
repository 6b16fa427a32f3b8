"""The overlays of a part, drawn and written in another thread while the next batch is explained."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, final

from seewhy.datasets.formats.safe_names import safe_stem
from seewhy.datasets.schema import ExplainedImage
from seewhy.images.normalization import normalize
from seewhy.images.overlay import placed_overlay
from seewhy.images.style import Style
from seewhy.images.writing import bring_to_disk, image_writer, write_atomically

OverlayFormat = Literal["png", "jpg"]

OVERLAYS = "overlays"
"""The folder of the overlays."""

IMAGES_PER_FOLDER = 1000
"""A folder of a million files is slow to open."""


@final
class OverlayFiles:
    """Writes the overlays of a part; on leaving its context, all of them are on the disk.

    Args:
        folder: The output folder.
        format: The format of the files; None draws nothing.
        peak_quantile: The quantile of a heatmap that has the last colour.
    """

    def __init__(self, folder: Path, format: OverlayFormat | None, peak_quantile: float) -> None:  # noqa: A002
        self._folder = folder
        self._format = format
        self._peak_quantile = peak_quantile
        self._thread = ThreadPoolExecutor(1, "seewhy-overlays")
        self._drawing: Future[list[Path]] | None = None
        self._written: list[Path] = []

    def __enter__(self) -> "OverlayFiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._thread:
            if kind is None:
                self._wait()
        if kind is None:
            bring_to_disk(self._written)

    def draw(self, images: Sequence[ExplainedImage]) -> None:
        """Draw and write overlays, once those before are done: the pixels of two batches are in memory at most.

        Raises:
            OutputError: A file of those before cannot be written.
        """
        if self._format is not None:
            self._wait()
            self._drawing = self._thread.submit(self._write, images, self._format)

    def _wait(self) -> None:
        if self._drawing is not None:
            self._written += self._drawing.result()
            self._drawing = None

    def _write(self, images: Sequence[ExplainedImage], format: OverlayFormat) -> list[Path]:  # noqa: A002
        written = []
        for image in images:
            assert image.pixels is not None  # noqa: S101  # they are kept where overlays are drawn
            normalized = normalize(image.heatmaps, self._peak_quantile, "max")
            paths = overlay_paths(self._folder, image.position, image.key, len(normalized), format)
            for path, heatmap in zip(paths, normalized, strict=True):
                pixels = placed_overlay(image.pixels, heatmap, image.placement, Style())
                write_atomically(path, image_writer(pixels, path.suffix))
            written += paths
        return written


def overlay_paths(
    folder: Path,
    position: int,
    key: str,
    targets: int,
    format: OverlayFormat,  # noqa: A002
) -> list[Path]:
    """Return the path of the overlay of each target of an image.

    They depend on nothing else: whoever explains an image again overwrites its overlays, and no other's.
    """
    place = folder / OVERLAYS / f"{position // IMAGES_PER_FOLDER:06}"
    stem = f"{position:09}_{safe_stem(key)}"
    numbers = [f"_{target}" for target in range(targets)] if targets > 1 else [""]
    return [place / f"{stem}{number}.{format}" for number in numbers]
