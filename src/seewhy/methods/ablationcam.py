"""Ablation-CAM (Desai and Ramaswamy, WACV 2020)."""

from collections.abc import Iterator

import numpy as np

from seewhy.methods.method import Runner
from seewhy.types import Capture, FloatArray


def ablationcam(capture: Capture, runner: Runner) -> FloatArray:
    """Weight each channel by how much the score drops without it.

    The paper's weights, with y_k the score when the channel's map is set to 0, but without their division by y:

        w_k = y - y_k            (the paper: (y - y_k) / y)
        L = ReLU(sum_k w_k A^k)

    Dividing every weight by the same y scales the map and no more where y is positive. Logits are negative and near 0
    as well, where it would turn the map around or blow it up. Undivided, maps of one image compare across targets.

    What follows the layer is run once for every channel whose map is not 0 everywhere, and once for y.

    Returns:
        (1, T, *space), in units of the score times the activations'.
    """
    maps = capture.activations[0]
    live = np.flatnonzero(maps.any(axis=tuple(range(maps.ndim - 1))))

    def ablated() -> Iterator[FloatArray]:
        yield maps
        for k in live:
            without = maps.copy()
            without[..., k] = 0
            yield without

    scores = runner.head_scores(ablated(), 1 + len(live)).astype(np.float64)
    weights = np.zeros((maps.shape[-1], scores.shape[1]))
    weights[live] = scores[0] - scores[1:]
    return np.asarray(np.einsum("kt,n...k->nt...", weights, capture.activations), dtype=np.float32)
