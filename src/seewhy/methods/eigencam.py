"""Eigen-CAM (Muhammad and Yeasin, IJCNN 2020), and Eigen-Grad-CAM, which uses gradients too."""

import math

from seewhy.types import Capture, Namespace, Tensor


def eigencam(capture: Capture) -> Tensor:
    """Project the activations on their first right singular vector; the heatmap is the same for every target.

    With O the activations as a matrix (positions, channels), not centred, as in the paper:

        O = U Sigma V^T
        L = O V_1

    The sign of a singular vector is arbitrary. It is chosen so that the heatmap's sum is positive; after a ReLU the
    whole heatmap is then 0 or more.

    Args:
        capture: The activations of the layer; gradients are not read.

    Returns:
        Raw heatmaps (N, T, *space), in units of the activations.

    Reference:
        Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020,
        arXiv 2008.00299.
    """
    xp = capture.xp
    images, *space, channels = capture.activations.shape
    component = first_component(xp.reshape(capture.activations, (images, -1, channels)), xp)
    component = xp.where(xp.sum(component, axis=-1, keepdims=True) < 0, -component, component)
    return xp.broadcast_to(xp.reshape(component, (images, 1, *space)), (images, capture.scores.shape[1], *space))


def eigengradcam(capture: Capture) -> Tensor:
    """Project the products of activations and gradients on their first right singular vector.

    The method has no paper; it is Eigen-CAM with dy^c/dA * A in place of A:

        dy^c/dA * A = U Sigma V^T
        L^c = (dy^c/dA * A) V_1

    The sign of V_1 is chosen so that the heatmap has a positive inner product with HiResCAM's: positive values are
    evidence for the target, and the heatmap of the negated target is the negated heatmap.

    Args:
        capture: The activations and gradients of the layer.

    Returns:
        Raw heatmaps (N, T, *space), in units of the score.

    Reference:
        The method of this name in the library pytorch-grad-cam.
    """
    xp = capture.xp
    images, targets, *space, channels = capture.require_gradients().shape
    products = xp.reshape(capture.require_gradients() * capture.activations[:, None], (images, targets, -1, channels))
    component = first_component(products, xp)
    agreement = xp.sum(component * xp.sum(products, axis=-1), axis=-1, keepdims=True)
    component = xp.where(agreement < 0, -component, component)
    return xp.reshape(component, (images, targets, *space))


def first_component(matrices: Tensor, xp: Namespace) -> Tensor:
    """Return O V_1 for each matrix O, from the eigenvectors of the smaller of O O^T and O^T O.

    Args:
        matrices: (..., positions, channels).
        xp: The array namespace of the matrices.

    Returns:
        (..., positions), of arbitrary sign; 0 where the matrix is 0, NaN where it is not finite.
    """
    sizes = xp.mean(xp.abs(matrices), axis=(-2, -1), keepdims=True)
    is_finite = sizes < math.inf
    # Scaled to a mean size of 1, so that no square overflows or underflows; solvers do not accept NaN or infinity.
    scaled = matrices / xp.where((sizes > 0) & is_finite, sizes, 1.0)
    positions, channels = matrices.shape[-2:]
    if positions <= channels:  # O O^T = U Sigma^2 U^T, and O V_1 = Sigma_1 U_1
        squares = xp.einsum("...pk,...qk->...pq", scaled, scaled)
        values, vectors = xp.linalg.eigh(xp.where(is_finite, squares, 0.0))
        largest = values[..., -1:]
        component = vectors[..., -1] * xp.sqrt(xp.where(largest > 0, largest, 0.0))
    else:  # O^T O = V Sigma^2 V^T
        squares = xp.einsum("...pk,...pl->...kl", scaled, scaled)
        vectors = xp.linalg.eigh(xp.where(is_finite, squares, 0.0))[1]
        component = xp.einsum("...pk,...k->...p", scaled, vectors[..., -1])
    return component * sizes[..., 0]
