"""Methods in NumPy, for captures of which every operation takes longer to call than to compute.

TensorFlow and JAX run a method operation by operation, as it is no part of the compiled capture. Each operation takes
100 µs or more to call after a run of the model has emptied the caches; Grad-CAM of a layer of 7 x 7 positions took a
tenth of EfficientNet-Lite0's forward pass. In NumPy, which reads the same memory, it takes a hundredth.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks import array_namespace
from seewhy.frameworks.structures import map_tree
from seewhy.types import Capture, NativeTensor, Tensor

MAX_BYTES = 2**24
"""The size of the gradients of a capture up to which a method runs in NumPy; the framework uses all processors."""

FIELDS = (
    "activations",
    "gradients",
    "scores",
    "indices",
    "outputs",
    "probabilities",
    "closed_form",
    "prefix_tokens",
    "suffix_tokens",
)
"""The fields of a capture that hold tensors."""

OWN_CODE = "seewhy."
"""How the names of SeeWhy's modules begin."""


def runs_in_numpy(method: Callable[..., Tensor], capture: Capture) -> bool:
    """Whether a method is applied in NumPy, if the capture is in the memory of the processor.

    The methods of plug-ins and users are not: they may call what only the framework's tensors have, or change them.
    """
    function = getattr(method, "function", method)
    while isinstance(function, partial):
        function = function.func
    return is_small(capture) and getattr(function, "__module__", "").startswith(OWN_CODE)


def is_small(capture: Capture) -> bool:
    """Whether a method takes less time in NumPy, if the capture is in the memory of the processor."""
    return 4 * math.prod(map(int, capture.activations.shape)) * int(capture.scores.shape[1]) <= MAX_BYTES


def apply_in_numpy(
    method: Callable[[Capture], Tensor], capture: Capture, to_numpy: Callable[[NativeTensor], NDArray[Any]]
) -> Tensor:
    """Compute heatmaps (N, T, *space) from a capture in NumPy.

    Values that are not finite warn of nothing, as they do not in a framework: the heatmaps are checked afterwards.
    """
    arrays = {name: map_tree(to_numpy, field) for name, field in _tensors(capture)}
    with np.errstate(all="ignore"):
        return method(replace(capture, **arrays, xp=array_namespace))


def _tensors(capture: Capture) -> list[tuple[str, Any]]:
    found = [(name, getattr(capture, name)) for name in FIELDS]
    return [(name, field) for name, field in found if field is not None]
