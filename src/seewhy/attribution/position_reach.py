"""Whether the positions of a layer reach the score, which their gradients show.

A class token is the only position of a transformer's last layers that reaches the score, and the last step the only one
of a recurrent layer whose sequence is read no further. The gradient of all other positions is exactly 0, so a heatmap
of such a layer shows nothing about the image. Maximum pooling also gives few positions a gradient, but others in each
image; and where the outputs are those of positions, one class reads one of them, and others read others. So a layer is
judged by several images and classes: few positions have a gradient, and they are the same for all of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final

import numpy as np

from seewhy.frameworks.structures import InputBatch
from seewhy.types import BoolArray, FloatArray

MIN_SHARE = 0.25
"""The share of positions that must reach the score in some image, unless they differ from image to image."""

ROUNDING = 1e-6
"""The size of a position's gradient, relative to that of the largest, up to which it is rounding."""


@final
@dataclass(frozen=True)
class PositionReach:
    """Which positions of a layer reach the score.

    Attributes:
        reached: (M, positions), which positions have a gradient, for each target of each image that has any.
    """

    reached: BoolArray

    @property
    def is_enough(self) -> bool:
        """Whether enough positions reach a score of some image, or others in each image."""
        return self.share >= MIN_SHARE or bool((self.reached != self.reached[:1]).any())

    @property
    def is_too_little(self) -> bool:
        """Whether few positions reach the scores, the same in each of several images."""
        return len(self.reached) > 1 and not self.is_enough

    @property
    def count(self) -> int:
        """The number of positions that reach the score in some image."""
        return int(self.reached.any(axis=0).sum())

    @property
    def share(self) -> float:
        """The share of positions that reach the score in some image."""
        return self.count / max(int(self.reached.shape[1]), 1)


def reach_of_gradients(gradients: FloatArray, patches: slice) -> PositionReach:
    """Return which positions have a gradient.

    Args:
        gradients: (N, T, *space, K).
        patches: Which positions are those of the image: not those of class tokens.
    """
    images, targets, *_, channels = gradients.shape
    sizes = np.abs(gradients.reshape(images * targets, -1, channels)).max(axis=2)
    reached = sizes > ROUNDING * sizes.max(initial=0)
    return PositionReach(reached[reached.any(axis=1)][:, patches])


def measure_reach(batches: Iterable[InputBatch], reach_of: Callable[[InputBatch], PositionReach]) -> PositionReach:
    """Return which positions of a layer reach the scores, in as many batches as it takes to tell."""
    reach, rows = PositionReach(np.zeros((0, 1), bool)), []
    for batch in batches:
        rows.append(reach_of(batch).reached)
        reach = PositionReach(np.concatenate(rows))
        if len(reach.reached) and reach.is_enough:
            break
    return reach
