"""Between a layer's own layout and channels last, (N, *space, K), the layout outside `frameworks/`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks.layers import LayerCall
from seewhy.types import Namespace, NativeTensor


def channels_last(call: LayerCall, tensor: NativeTensor, xp: Namespace) -> NativeTensor:
    """Return a call's output as (N, *space, K)."""
    return xp.moveaxis(tensor, 1, -1) if call.channels_first else tensor


def targets_second(call: LayerCall, gradients: NativeTensor, xp: Namespace) -> NativeTensor:
    """Return gradients (T, N, ...) in the layout of the call's output as (N, T, *space, K)."""
    gradients = xp.swapaxes(gradients, 0, 1)
    return xp.moveaxis(gradients, 2, -1) if call.channels_first else gradients


def layer_layout(call: LayerCall, perturbations: NDArray[Any]) -> NDArray[Any]:
    """Return perturbations (M, *space, K) in the layout of the call's output."""
    return np.moveaxis(perturbations, -1, 1) if call.channels_first else perturbations


def spatial_axes(call: LayerCall, rank: int) -> range:
    """Return the spatial axes of a call's output of `rank` axes."""
    return range(2, rank) if call.channels_first else range(1, rank - 1)
