"""Element-wise Grad-CAM: HiResCAM with the ReLU inside the sum over channels."""

from seewhy.types import Capture, Tensor


def elementwise(capture: Capture) -> Tensor:
    """Multiply each activation by its own gradient, and sum the positive products over the channels.

    The method has no paper:

        L^c = sum_k ReLU(dy^c/dA^k * A^k)

    Args:
        capture: The activations and gradients of the layer.

    Returns:
        Raw heatmaps (N, T, *space), in units of the score, 0 or more.

    Reference:
        The method of this name in the library pytorch-grad-cam.
    """
    xp = capture.xp
    return xp.sum(xp.maximum(capture.require_gradients() * capture.activations[:, None], 0.0), axis=-1)
