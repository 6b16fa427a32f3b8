"""An image that is explained for itself, and not as a row of arrays."""

from dataclasses import dataclass
from typing import final

from seewhy.images.geometry import Placement


@final
@dataclass(frozen=True)
class OwnImage:
    """An image whose explanation need not have as many targets as those of other images.

    Attributes:
        name: How messages call it.
        placement: Where the model's input lies on it.
    """

    name: str
    placement: Placement
