"""Between a layer's own layout and channels last, (N, *space, K), the layout outside `frameworks/`.

A layer's own layout is that, or channels first, (N, K, *space); or for tokens also sequence first, (L, N, K), as in
PyTorch's attention without `batch_first`. Where a model folds the frames of a video into the batch, it is the layout of
N * frames images.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks.layers import LayerCall
from seewhy.types import Namespace, NativeTensor


def channels_last(call: LayerCall, tensor: NativeTensor, xp: Namespace) -> NativeTensor:
    """Return a call's output as (N, *space, K)."""
    if call.images_second:
        return xp.swapaxes(tensor, 0, 1)
    tensor = xp.moveaxis(tensor, 1, -1) if call.channels_first else tensor
    return tensor if call.frames == 1 else xp.reshape(tensor, (-1, call.frames, *tensor.shape[1:]))


def targets_second(call: LayerCall, gradients: NativeTensor, xp: Namespace) -> NativeTensor:
    """Return gradients (T, ...), of which each is in the layout of the call's output, as (N, T, *space, K)."""
    if call.images_second:
        return xp.moveaxis(gradients, 2, 0)
    gradients = xp.swapaxes(gradients, 0, 1)
    gradients = xp.moveaxis(gradients, 2, -1) if call.channels_first else gradients
    if call.frames == 1:
        return gradients
    return xp.swapaxes(xp.reshape(gradients, (-1, call.frames, *gradients.shape[1:])), 1, 2)


def layer_layout(call: LayerCall, perturbations: NDArray[Any]) -> NDArray[Any]:
    """Return perturbations (M, *space, K) in the layout of the call's output, but with the M of them first."""
    if call.frames > 1:
        perturbations = perturbations.reshape(-1, *perturbations.shape[2:])
    return np.moveaxis(perturbations, -1, 1) if call.channels_first else perturbations


def spatial_axes(call: LayerCall, rank: int) -> range:
    """Return the spatial axes of a call's output of `rank` axes."""
    if call.images_second:
        return range(1)
    return range(2, rank) if call.channels_first else range(1, rank - 1)
