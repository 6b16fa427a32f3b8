"""CAM (Zhou et al., CVPR 2016, arXiv 1512.04150)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import LayerError
from seewhy.methods.method import Runner
from seewhy.types import Capture, FloatArray

PROBES = ((1, False), (-1, False), (100, True), (-100, True))
"""What the head is tried with: how far from the activations, in their own size, and whether every position has its own
direction. What bends only further away than that is linear for any image."""

TOLERANCE = 1e-3
"""How far a score may lie beside the plane, against how far it has moved: float32 stays below 1e-5."""


def cam(capture: Capture, runner: Runner) -> FloatArray:
    """Weight each channel by its weight in the linear layer that follows global average pooling, and add them up.

    Equation 2 of the paper, with f_k = A^k and w_k^c the weights of the linear layer:

        M_c = sum_k w_k^c f_k

    The weights are found from the gradients. Where the score is b + sum_k w_k^c 1/Z sum_ij A^k_ij, the gradient
    dy^c/dA^k_ij is w_k^c / Z at every position, with Z the number of positions. Other heads have gradients alike at
    every position too, such as pooling and two dense layers with a ReLU between. So the head is also tried with other
    activations, near and far: the score must lie on the plane that the gradients are the slope of.

    Returns:
        (1, T, *space), in units of the score; its mean is the score without b.

    Raises:
        LayerError: What follows the layer is not global average pooling and a linear layer.
    """
    activations = np.asarray(capture.activations[0], dtype=np.float64)
    gradients = np.asarray(capture.gradients[0], dtype=np.float64)
    space = tuple(range(activations.ndim - 1))
    slopes = gradients.mean(axis=tuple(axis + 1 for axis in space))
    flat = gradients.reshape(len(gradients), -1, gradients.shape[-1])
    differences, sizes = np.abs(flat - slopes[:, None]).max(axis=(1, 2)), np.abs(slopes).max(axis=1)
    if (differences > TOLERANCE * sizes).any():
        raise _refusal(capture, "the gradients differ from position to position")
    if np.isfinite(slopes).all() and _bends(capture, runner, activations, slopes):
        raise _refusal(capture, "the scores are no linear function of the activations")
    positions = flat.shape[1]
    evidence: FloatArray = np.einsum("tk,...k->t...", positions * slopes, activations)[None].astype(np.float32)
    return evidence


def _bends(capture: Capture, runner: Runner, activations: NDArray[np.float64], slopes: NDArray[np.float64]) -> bool:
    """Whether the head's scores leave the plane through the score of these activations with these slopes.

    What is compared is how far the scores leave it, and how far steps of this size move scores of these slopes.
    """
    found = runner.head_scores(_probes(activations), len(PROBES))
    for probe, scores in zip(_probes(activations), found, strict=True):
        moved = (probe - activations).reshape(-1, activations.shape[-1]).sum(axis=0) * slopes  # (T, K)
        start = np.asarray(capture.scores[0], dtype=np.float64)
        beside = np.abs(scores - (start + moved.sum(axis=1)))
        rounding = 1e-5 * np.maximum(np.abs(start), np.abs(scores))
        if not (beside <= TOLERANCE * np.sqrt((moved**2).sum(axis=1)) + rounding).all():
            return True
    return False


def _probes(activations: NDArray[np.float64]) -> Iterator[FloatArray]:
    """Yield the activations, moved in directions that are the same in every run."""
    random = np.random.default_rng(0)
    size = np.abs(activations).max() or 1.0
    channels = activations.shape[-1]
    everywhere, here = random.standard_normal(channels), random.standard_normal(activations.shape)
    for distance, by_position in PROBES:
        yield (activations + distance * size * (here if by_position else everywhere)).astype(np.float32)


def _refusal(capture: Capture, found: str) -> LayerError:
    return LayerError(
        f"CAM needs a layer that only global average pooling and one linear layer follow, and after {capture.layer!r} "
        f"{found}. Give the last layer before the pooling and explain logits; or use hirescam, which is the same map "
        "there up to a factor, and takes any layer."
    )
