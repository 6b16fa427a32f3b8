"""Captures of arrays, without a model."""

import array_api_compat.torch as xtorch
import keras
import numpy as np
import torch

from seewhy import methods
from seewhy.types import Capture

NAMESPACES = {"numpy": np, "keras": keras.ops, "torch": xtorch}

ONE_CAPTURE = [
    name
    for name, method in methods.METHODS.items()
    if not method.needs_runner and method.level == "layer" and method.family != "attention"
]
"""The methods that need one capture of a layer and no runner."""

GRADIENT_METHODS = [name for name in ONE_CAPTURE if methods.METHODS[name].family == "gradient"]


def tensor(array, xp=np):
    """Convert an array to the namespace, keeping its dtype."""
    if xp is keras.ops:
        return keras.ops.convert_to_tensor(array, dtype=str(array.dtype))
    return torch.from_numpy(array) if xp is xtorch else array


def capture(activations, gradients, xp=np):
    """Make a capture of arrays (N, *space, K) and (N, T, *space, K); the scores are zeros."""
    scores = tensor(np.zeros(gradients.shape[:2], gradients.dtype), xp)
    return Capture(tensor(activations, xp), tensor(gradients, xp), scores, None, None, None, "layer", xp)


def raw_heatmaps(name, activations, gradients, xp=np, **options):
    """Apply a method of the table to arrays, and return its raw heatmaps as a NumPy array."""
    return np.array(methods.get(name, **options)(capture(activations, gradients, xp)))


def drawn(seed=0, images=2, targets=3, space=(3, 4), channels=5, dtype=np.float64, relu=False):
    """Draw activations and gradients."""
    random = np.random.default_rng(seed)
    activations = random.normal(size=(images, *space, channels)).astype(dtype)
    gradients = random.normal(size=(images, targets, *space, channels)).astype(dtype)
    return (np.maximum(activations, 0) if relu else activations), gradients
