"""KPCA-CAM (Karmani et al., 2024, arXiv 2410.00267)."""

import math
from typing import Literal

from seewhy.errors import LayerError, OptionError
from seewhy.methods.checks import positive
from seewhy.types import Capture, Namespace, Tensor

Kernel = Literal["rbf", "sigmoid"]

MOST_POSITIONS = 4096
"""How many positions a layer may have: a matrix of the positions by themselves is decomposed."""


def kpcacam(capture: Capture, *, kernel: Kernel = "rbf", gamma: float | None = None) -> Tensor:
    """Project the activations on their first principal component in the space of a kernel, whatever the target.

    With a_p the activations of position p, over all channels, 1_P the matrix of 1/P, and lambda_1 and u_1 the greatest
    eigenvalue of the centred kernel matrix and its eigenvector (Schoelkopf et al., 1998):

        rbf      K_pq = exp(-gamma |a_p - a_q|^2)
        sigmoid  K_pq = tanh(gamma a_p . a_q + 1)
        K' = K - 1_P K - K 1_P + 1_P K 1_P
        L_p = sqrt(lambda_1) u_1p

    The component is centred, so its sum is 0, and it may as well be its own negative. It is turned so that it rises
    with |a_p|: positive where the layer is the more active.

    Args:
        capture: What the model left; gradients are not read.
        kernel: "rbf", which is positive definite, as kernel PCA assumes; or "sigmoid", which is not.
        gamma: The kernel's; None takes 1 / channels.

    Returns:
        (N, T, *space), without a unit; the same for every target.

    Raises:
        OptionError: There is no such kernel, or gamma is not above 0.
        LayerError: The layer has too many positions.
    """
    _check(capture, kernel, gamma)
    xp = capture.xp
    images, *space, channels = capture.activations.shape
    rows = xp.reshape(capture.activations, (images, -1, channels))
    sizes = xp.mean(xp.abs(rows), axis=(1, 2), keepdims=True)
    rows = xp.where(sizes < math.inf, rows, 0.0)
    rate = 1 / channels if gamma is None else gamma
    values, vectors = xp.linalg.eigh(_centred(_kernel(rows, kernel, rate, xp), xp))
    largest = values[..., -1:]
    component = vectors[..., -1] * xp.sqrt(xp.where(largest > 0, largest, 0.0))
    rises = xp.sum(component * _lengths(rows, xp), axis=-1, keepdims=True)
    component = xp.where(rises < 0, -component, component) + 0 * sizes[..., 0]  # what is not finite gives NaN
    return xp.broadcast_to(xp.reshape(component, (images, 1, *space)), (images, capture.scores.shape[1], *space))


def _kernel(rows: Tensor, kernel: Kernel, gamma: float, xp: Namespace) -> Tensor:
    """Return K of rows (N, P, K), as (N, P, P)."""
    if kernel == "sigmoid":
        return xp.tanh(gamma * xp.einsum("npk,nqk->npq", rows, rows) + 1)
    # Distances do not change when the mean is taken off, and small numbers lose less when they are subtracted.
    rows = rows - xp.mean(rows, axis=1, keepdims=True)
    squares = xp.sum(rows * rows, axis=-1)
    distances = squares[:, :, None] + squares[:, None] - 2 * xp.einsum("npk,nqk->npq", rows, rows)
    return xp.exp(-gamma * xp.where(distances > 0, distances, 0.0))


def _centred(matrices: Tensor, xp: Namespace) -> Tensor:
    matrices = matrices - xp.mean(matrices, axis=-1, keepdims=True)
    return matrices - xp.mean(matrices, axis=-2, keepdims=True)


def _lengths(rows: Tensor, xp: Namespace) -> Tensor:
    return xp.sqrt(xp.sum(rows * rows, axis=-1))


def _check(capture: Capture, kernel: str, gamma: float | None) -> None:
    if kernel not in ("rbf", "sigmoid"):
        raise OptionError(f"Unknown kernel {kernel!r}; expected 'rbf' or 'sigmoid'.")
    if gamma is not None:
        positive("gamma", gamma)
    positions = math.prod(capture.activations.shape[1:-1])
    if positions > MOST_POSITIONS:
        raise LayerError(
            f"The output of the layer {capture.layer!r} has {positions} positions, and KPCA-CAM can take "
            f"{MOST_POSITIONS}: it decomposes a matrix of the positions by themselves. Give a later layer, or use "
            "eigencam."
        )
