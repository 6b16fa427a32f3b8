"""Eigen-CAM (Muhammad and Yeasin, IJCNN 2020, arXiv 2008.00299), and with gradients, Eigen-Grad-CAM."""

import math

from seewhy.types import Capture, Namespace, Tensor


def eigencam(capture: Capture) -> Tensor:
    """Project the activations on the direction in which they are largest, whatever the target.

    As the paper has it, with O the activations as a matrix of positions by channels, not centred, and V_1 the first of
    its right singular vectors:

        O = U Sigma V^T
        L = O V_1

    A singular vector may as well be its own negative. It is turned so that the map's sum is positive; after a ReLU the
    whole map is then positive.

    Returns:
        (N, T, *space), in units of the activations; the same for every target.
    """
    xp = capture.xp
    images, *space, channels = capture.activations.shape
    component = principal(xp.reshape(capture.activations, (images, -1, channels)), xp)
    component = xp.where(xp.sum(component, axis=-1, keepdims=True) < 0, -component, component)
    return xp.broadcast_to(xp.reshape(component, (images, 1, *space)), (images, capture.scores.shape[1], *space))


def eigengradcam(capture: Capture) -> Tensor:
    """Project the products of activations and gradients on the direction in which they are largest.

    No paper has it; it is Eigen-CAM of dy^c/dA * A in place of A:

        dy^c/dA * A = U Sigma V^T
        L^c = (dy^c/dA * A) V_1

    V_1 is turned so that its sum is positive, which is so that the map has a positive product with HiResCAM's: what is
    positive speaks for the target, and the map of the negated target is the negated map.

    Returns:
        (N, T, *space), in units of the score.
    """
    xp = capture.xp
    images, targets, *space, channels = capture.gradients.shape
    products = xp.reshape(capture.gradients * capture.activations[:, None], (images, targets, -1, channels))
    component = principal(products, xp)
    agreement = xp.sum(component * xp.sum(products, axis=-1), axis=-1, keepdims=True)
    component = xp.where(agreement < 0, -component, component)
    return xp.reshape(component, (images, targets, *space))


def principal(matrices: Tensor, xp: Namespace) -> Tensor:
    """Return O V_1 of each matrix O, with no more than the product of its smaller side with itself.

    Args:
        matrices: (..., positions, channels).
        xp: The functions that these tensors take.

    Returns:
        (..., positions), of either sign; 0 where the matrix is, NaN where it is not finite, which no solver takes.
    """
    sizes = xp.mean(xp.abs(matrices), axis=(-2, -1), keepdims=True)
    finite = sizes < math.inf
    # Of size 1, so that no square is too large or too small for a float.
    normalize = matrices / xp.where((sizes > 0) & finite, sizes, 1.0)
    positions, channels = matrices.shape[-2:]
    if positions <= channels:  # O O^T = U Sigma^2 U^T, and O V_1 = Sigma_1 U_1
        squares = xp.einsum("...pk,...qk->...pq", normalize, normalize)
        values, vectors = xp.linalg.eigh(xp.where(finite, squares, 0.0))
        largest = values[..., -1:]
        component = vectors[..., -1] * xp.sqrt(xp.where(largest > 0, largest, 0.0))
    else:  # O^T O = V Sigma^2 V^T
        squares = xp.einsum("...pk,...pl->...kl", normalize, normalize)
        vectors = xp.linalg.eigh(xp.where(finite, squares, 0.0))[1]
        component = xp.einsum("...pk,...k->...p", normalize, vectors[..., -1])
    return component * sizes[..., 0]
