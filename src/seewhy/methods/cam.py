"""CAM (Zhou et al., CVPR 2016)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import LayerError
from seewhy.methods.method import Runner
from seewhy.types import Capture, FloatArray

PROBES = ((1, False), (-1, False), (100, True), (-100, True))
"""The steps from the activations at which the head is tested for linearity: the distance, as a multiple of the largest
activation, and whether the direction differs between positions. A head that is not linear only farther away is linear
for every image in practice."""

TOLERANCE = 1e-3
"""How far a score may deviate from the linear prediction, relative to its change; float32 rounding is below 1e-5."""


def cam(capture: Capture, runner: Runner) -> FloatArray:
    """Weight each channel by its weight in the linear layer after global average pooling, and sum the channels.

    Equation 2 of the paper, with f_k = A^k and w_k^c the weights of the linear layer:

        M_c = sum_k w_k^c f_k

    The weights are computed from the gradients. If the score is b + sum_k w_k^c 1/Z sum_ij A^k_ij, the gradient
    dy^c/dA^k_ij is w_k^c / Z at every position, with Z the number of positions. For other heads too the gradients may
    be the same at every position, for example for pooling and two dense layers with a ReLU between them. So the head is
    also run on activations near and far from these: its scores must be the linear function given by the gradients.

    Args:
        capture: The activations and gradients of one image.
        runner: Runs the head.

    Returns:
        Raw heatmaps (1, T, *space), in units of the score; their mean is the score without the bias b.

    Raises:
        LayerError: The head is not global average pooling and one linear layer.

    Reference:
        Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, arXiv 1512.04150.
    """
    activations = np.asarray(capture.activations[0], dtype=np.float64)
    gradients = np.asarray(capture.require_gradients()[0], dtype=np.float64)
    space = tuple(range(activations.ndim - 1))
    slopes = gradients.mean(axis=tuple(axis + 1 for axis in space))
    flat = gradients.reshape(len(gradients), -1, gradients.shape[-1])
    differences, sizes = np.abs(flat - slopes[:, None]).max(axis=(1, 2)), np.abs(slopes).max(axis=1)
    if (differences > TOLERANCE * sizes).any():
        raise _not_pooling_and_linear(capture, "the gradients differ between positions")
    if np.isfinite(slopes).all() and not _is_linear(capture, runner, activations, slopes):
        raise _not_pooling_and_linear(capture, "the scores are not a linear function of the activations")
    positions = flat.shape[1]
    heatmaps: FloatArray = np.einsum("tk,...k->t...", positions * slopes, activations)[None].astype(np.float32)
    return heatmaps


def _is_linear(capture: Capture, runner: Runner, activations: NDArray[np.float64], slopes: NDArray[np.float64]) -> bool:
    """Return whether the head's scores at the probes are those of the linear function with these slopes (T, K).

    The deviation of a score is compared with the size of the change that such a step makes to scores of these slopes.
    """
    probe_scores = runner.head_scores(_probes(activations), len(PROBES))
    start = np.asarray(capture.scores[0], dtype=np.float64)
    for probe, scores in zip(_probes(activations), probe_scores, strict=True):
        changes = (probe - activations).reshape(-1, activations.shape[-1]).sum(axis=0) * slopes  # (T, K)
        deviation = np.abs(scores - (start + changes.sum(axis=1)))
        rounding = 1e-5 * np.maximum(np.abs(start), np.abs(scores))
        if not (deviation <= TOLERANCE * np.sqrt((changes**2).sum(axis=1)) + rounding).all():
            return False
    return True


def _probes(activations: NDArray[np.float64]) -> Iterator[FloatArray]:
    """Yield the activations after each step of `PROBES`, in random directions that are the same in every run."""
    random = np.random.default_rng(0)
    size = np.abs(activations).max() or 1.0
    channels = activations.shape[-1]
    shared, by_position = random.standard_normal(channels), random.standard_normal(activations.shape)
    for distance, differs_by_position in PROBES:
        direction = by_position if differs_by_position else shared
        yield (activations + distance * size * direction).astype(np.float32)


def _not_pooling_and_linear(capture: Capture, reason: str) -> LayerError:
    return LayerError(
        f"CAM needs a layer that is followed only by global average pooling and one linear layer, but after "
        f"{capture.layer!r} {reason}. Give the last layer before the pooling and explain logits; or use hirescam, "
        "which takes any layer and, where CAM applies, gives the same heatmap up to a factor."
    )
