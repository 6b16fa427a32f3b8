"""KPCA-CAM (Karmani et al., 2024)."""

import math
from typing import Literal

from seewhy.errors import LayerError
from seewhy.methods.checks import Positive
from seewhy.types import Capture, Namespace, Tensor

Kernel = Literal["rbf", "sigmoid"]

MAX_POSITIONS = 4096
"""The maximum number of positions of a layer: a matrix (positions, positions) is decomposed."""


def kpcacam(capture: Capture, *, kernel: Kernel = "rbf", gamma: Positive | None = None) -> Tensor:
    """Project the activations on their first kernel principal component; the heatmap is the same for every target.

    With a_p the activations at position p, 1_P the (P, P) matrix of 1/P, and lambda_1 and u_1 the largest eigenvalue of
    the centred kernel matrix K' and its eigenvector (kernel PCA of Schoelkopf et al., 1998):

        rbf      K_pq = exp(-gamma |a_p - a_q|^2)
        sigmoid  K_pq = tanh(gamma a_p . a_q + 1)
        K' = K - 1_P K - K 1_P + 1_P K 1_P
        L_p = sqrt(lambda_1) u_1p

    The component is centred, so it sums to 0, and its sign is arbitrary. It is chosen so that the heatmap correlates
    with |a_p|: positive where the layer is more active.

    Args:
        capture: The activations of the layer; gradients are not read.
        kernel: "rbf", which is positive definite, as kernel PCA assumes; or "sigmoid", which is not.
        gamma: The scale of the kernel; None for 1 / channels.

    Returns:
        Raw heatmaps (N, T, *space), without a unit.

    Raises:
        LayerError: The layer has more than `MAX_POSITIONS` positions.

    Reference:
        Karmani et al., "KPCA-CAM: Visual Explainability of Deep Computer Vision Models using Kernel PCA", 2024,
        arXiv 2410.00267.
    """
    _check_positions(capture)
    xp = capture.xp
    images, *space, channels = capture.activations.shape
    rows = xp.reshape(capture.activations, (images, -1, channels))
    sizes = xp.mean(xp.abs(rows), axis=(1, 2), keepdims=True)
    rows = xp.where(sizes < math.inf, rows, 0.0)
    scale = 1 / channels if gamma is None else gamma
    values, vectors = xp.linalg.eigh(_centre(_kernel_matrix(rows, kernel, scale, xp), xp))
    largest = values[..., -1:]
    component = vectors[..., -1] * xp.sqrt(xp.where(largest > 0, largest, 0.0))
    correlation = xp.sum(component * _norms(rows, xp), axis=-1, keepdims=True)
    component = xp.where(correlation < 0, -component, component) + 0 * sizes[..., 0]  # NaN if the layer is not finite
    return xp.broadcast_to(xp.reshape(component, (images, 1, *space)), (images, capture.scores.shape[1], *space))


def _kernel_matrix(rows: Tensor, kernel: Kernel, gamma: float, xp: Namespace) -> Tensor:
    """Return the kernel matrix (N, P, P) of rows (N, P, K)."""
    if kernel == "sigmoid":
        return xp.tanh(gamma * xp.einsum("npk,nqk->npq", rows, rows) + 1)
    # Subtracting the mean leaves distances unchanged and reduces the cancellation in the difference below.
    rows = rows - xp.mean(rows, axis=1, keepdims=True)
    squares = xp.sum(rows * rows, axis=-1)
    distances = squares[:, :, None] + squares[:, None] - 2 * xp.einsum("npk,nqk->npq", rows, rows)
    return xp.exp(-gamma * xp.where(distances > 0, distances, 0.0))


def _centre(matrices: Tensor, xp: Namespace) -> Tensor:
    matrices = matrices - xp.mean(matrices, axis=-1, keepdims=True)
    return matrices - xp.mean(matrices, axis=-2, keepdims=True)


def _norms(rows: Tensor, xp: Namespace) -> Tensor:
    return xp.sqrt(xp.sum(rows * rows, axis=-1))


def _check_positions(capture: Capture) -> None:
    positions = math.prod(capture.activations.shape[1:-1])
    if positions > MAX_POSITIONS:
        raise LayerError(
            f"The output of the layer {capture.layer!r} has {positions} positions; KPCA-CAM takes at most "
            f"{MAX_POSITIONS}, because it decomposes a matrix (positions, positions). Give a later layer, or use "
            "eigencam."
        )
