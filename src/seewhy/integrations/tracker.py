"""What a callback writes its images to, beside its folder."""

from collections.abc import Mapping
from typing import Protocol

from seewhy.types import ImageArray


class Tracker(Protocol):
    """An experiment tracker. Any object with these methods is one."""

    def start(self) -> None:
        """Begin to log, before the first image.

        Raises:
            OptionError: The tracker cannot be used, such as one that is not logged in.
        """

    def log(self, images: Mapping[str, ImageArray], epoch: int) -> None:
        """Log the images of an epoch.

        Args:
            images: uint8 (H, W, 3) by name.
            epoch: The number of epochs trained so far; 0 before training.

        Raises:
            OutputError: They cannot be written.
        """

    def close(self) -> None:
        """End what `start` began, after the training.

        Raises:
            OutputError: What was logged cannot be written.
        """
