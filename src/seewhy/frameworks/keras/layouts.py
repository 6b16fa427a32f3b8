"""Where the channels of a Keras layer's output stand: first, (N, K, *space), or last, (N, *space, K).

Convolutions and pooling layers have a `data_format`, and normalisations an axis. All else takes its layout from what
it is given.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from seewhy.types import Tensor

NORMALISATIONS = tuple(
    kind for name, kind in vars(keras.layers).items() if name.endswith("Normalization") and isinstance(kind, type)
)
"""Layers that may have the channels' axis as their `axis`."""


def stated_channels_first(layer: Any, rank: int) -> bool | None:
    """Whether a layer says of its output of `rank` axes that its channels come first; None where it says nothing."""
    data_format = getattr(layer, "data_format", None)
    if data_format in ("channels_first", "channels_last"):
        return bool(data_format == "channels_first")
    if not isinstance(layer, NORMALISATIONS) or not hasattr(layer, "axis"):
        return None
    axes = np.ravel(layer.axis).tolist()
    return {1: True, -1: False, rank - 1: False}.get(axes[0]) if len(axes) == 1 and rank > 2 else None


def inherited_channels_first(layer: Any, channels_first: bool) -> bool:
    """Whether the channels come first in the output of a layer that says nothing and was given this layout."""
    if not isinstance(layer, keras.layers.Permute):
        return channels_first
    channels = 1 if channels_first else len(layer.dims)  # Permute counts its axes from 1, behind the batch
    return bool(layer.dims[0] == channels)


def tensors(given: Any) -> list[Tensor]:
    """Return the tensors among a layer's arguments, at any depth; `keras.tree` would leave some of them to the GC."""
    if isinstance(given, Mapping):
        given = tuple(given.values())
    if isinstance(given, (list, tuple)):
        return [tensor for each in given for tensor in tensors(each)]
    return [given] if keras.ops.is_tensor(given) else []
