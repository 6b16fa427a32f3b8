"""Whether the mean gradients that weight the channels of a layer are more than rounding errors."""

import numpy as np

from seewhy.attribution.evidence_key import evidence_key
from seewhy.errors import warn
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.structures import InputBatch
from seewhy.methods import Method
from seewhy.targets import Objective
from seewhy.types import Capture, FloatArray

CANCELLED = 2e-6
"""The sum of gradients, relative to that of their absolute values, up to which it is rounding."""


def check_channel_weights(
    framework: Framework, method: Method, inputs: InputBatch, layer: LayerChoice, objective: Objective, capture: Capture
) -> None:
    """Warn where a method averages gradients that cancel over the positions of every channel.

    That is so before a normalisation over positions: adding a constant to a channel changes nothing after it. It is
    checked once for each shape of input, layer and kind of objective.

    Args:
        framework: Keeps what was checked.
        method: Makes the heatmap.
        inputs: The batch.
        layer: Where it was captured.
        objective: What was differentiated.
        capture: With gradients (N, T, *space, K), or without.
    """
    key = ("channel weights", *evidence_key(inputs, layer, objective))
    if not method.averages_gradients or capture.gradients is None or framework.evidence.get(key) is not None:
        return
    gradients = framework.to_numpy(capture.gradients)
    if not gradients.any():
        return  # of another image it may be seen
    framework.evidence.add(key, True)
    if _cancel(gradients):
        warn(
            f"The gradients at the layer {capture.layer!r} cancel over the positions, as before a normalisation over "
            "them, so Grad-CAM's channel weights, and the heatmap, are rounding errors. Give a layer after the "
            "normalisation, or use a method that does not average gradients, such as hirescam."
        )


def _cancel(gradients: FloatArray) -> bool:
    by_position = gradients.reshape(*gradients.shape[:2], -1, gradients.shape[-1])
    total = np.abs(by_position).sum(axis=2).max(axis=2)
    is_cancelled = (total > 0) & (np.abs(by_position.sum(axis=2)).max(axis=2) <= CANCELLED * total)
    return bool(is_cancelled.any())
