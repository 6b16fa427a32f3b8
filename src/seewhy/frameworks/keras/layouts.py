"""The layout of a Keras layer's output: channels first, (N, K, *space), or channels last, (N, *space, K).

Convolutions and pooling layers have a `data_format`, and normalisation layers an axis. Other layers inherit the layout
of their inputs.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from seewhy.frameworks.keras.operations import axes_order
from seewhy.types import NativeTensor

NORMALISATIONS = tuple(
    kind for name, kind in vars(keras.layers).items() if name.endswith("Normalization") and isinstance(kind, type)
)
"""Layers whose `axis` may be the channels' axis."""


def declared_channels_first(layer: Any, rank: int) -> bool | None:
    """Whether a layer declares its output of `rank` axes channels first; None if it declares no layout."""
    data_format = getattr(layer, "data_format", None)
    if data_format in ("channels_first", "channels_last"):
        return bool(data_format == "channels_first")
    if not isinstance(layer, NORMALISATIONS) or not hasattr(layer, "axis"):
        return None
    axes = np.ravel(layer.axis).tolist()
    return {1: True, -1: False, rank - 1: False}.get(axes[0]) if len(axes) == 1 and rank > 2 else None


def inherited_channels_first(layer: Any, channels_first: bool, rank: int) -> bool:
    """Whether the output is channels first, for a layer without a layout of its own and an input of this layout.

    Args:
        layer: The layer or operation.
        channels_first: The layout of its input.
        rank: The number of the output's axes.
    """
    order = axes_order(layer, rank)
    if order is None:
        return channels_first
    return order[1] == (1 if channels_first else rank - 1)


def tensors(arguments: Any) -> list[NativeTensor]:
    """Return the tensors in a layer's arguments, at any depth. `keras.tree` leaves reference cycles that hold them."""
    if isinstance(arguments, Mapping):
        arguments = tuple(arguments.values())
    if isinstance(arguments, (list, tuple)):
        return [tensor for argument in arguments for tensor in tensors(argument)]
    return [arguments] if keras.ops.is_tensor(arguments) else []
