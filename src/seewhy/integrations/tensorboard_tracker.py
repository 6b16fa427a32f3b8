"""Images in TensorBoard, written by tensorboardX, which needs no TensorFlow."""

import os
from collections.abc import Mapping
from typing import Any

from seewhy.errors import MissingExtraError, OutputError
from seewhy.representation import description
from seewhy.types import ImageArray


class TensorBoard:
    """Logs images to TensorBoard.

    Args:
        folder: The folder of the event files, which `tensorboard --logdir` reads.

    Raises:
        MissingExtraError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            import tensorboardX
        except ModuleNotFoundError as error:
            raise MissingExtraError("To log to TensorBoard, tensorboardX", "tensorboard") from error
        self._writer_class = tensorboardX.SummaryWriter
        self.folder = os.fspath(folder)
        self._writer: Any = None

    def __repr__(self) -> str:
        return description(self, f"to {self.folder}")

    def start(self) -> None:
        """Open an event file."""
        try:
            self._writer = self._writer_class(self.folder)
        except OSError as error:
            raise OutputError(f"Cannot write event files in {self.folder}: {error.strerror or error}.") from error

    def log(self, images: Mapping[str, ImageArray], epoch: int) -> None:
        """Add the images of an epoch, whose number is their step."""
        try:
            for name, image in images.items():
                self._writer.add_image(name, image, epoch, dataformats="HWC")
            self._writer.flush()
        except OSError as error:
            raise OutputError(f"Cannot write event files in {self.folder}: {error.strerror or error}.") from error

    def close(self) -> None:
        """Close the event file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except OSError as error:
                raise OutputError(f"Cannot write event files in {self.folder}: {error.strerror or error}.") from error
