"""Ablation-CAM (Desai and Ramaswamy, WACV 2020)."""

from collections.abc import Iterator

import numpy as np

from seewhy.methods.method import Runner
from seewhy.types import Capture, FloatArray


def ablationcam(capture: Capture, runner: Runner) -> FloatArray:
    """Weight each channel by the drop in score when the channel is set to 0, and sum the channels.

    The weights of the paper without their division by y; y_k is the score with channel k set to 0, and the ReLU is
    applied to the raw heatmaps later:

        w_k = y - y_k            (in the paper: (y - y_k) / y)
        L = ReLU(sum_k w_k A^k)

    Where y is positive, the division only scales the heatmap. But logits may be negative or close to 0, where the
    division would flip its sign or make it arbitrarily large. Without it, heatmaps of an image compare across targets.

    The head is run once for each channel that is not 0 everywhere, and once for y.

    Args:
        capture: The activations of one image.
        runner: Runs the head.

    Returns:
        Raw heatmaps (1, T, *space), in units of the score times the activations.

    Reference:
        Desai and Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via Gradient-free
        Localization", WACV 2020.
    """
    channels = capture.activations[0]
    active = np.flatnonzero(channels.any(axis=tuple(range(channels.ndim - 1))))

    def ablations() -> Iterator[FloatArray]:
        yield channels
        for k in active:
            ablated = channels.copy()
            ablated[..., k] = 0
            yield ablated

    scores = runner.head_scores(ablations(), 1 + len(active)).astype(np.float64)
    weights = np.zeros((channels.shape[-1], scores.shape[1]))
    weights[active] = scores[0] - scores[1:]
    return np.asarray(np.einsum("kt,n...k->nt...", weights, np.asarray(capture.activations)), dtype=np.float32)
