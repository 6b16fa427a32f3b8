"""Element-wise Grad-CAM: HiResCAM with the ReLU inside the sum over channels."""

from seewhy.types import Capture, Tensor


def elementwise(capture: Capture) -> Tensor:
    """Multiply each activation by its own gradient, and add up those channels that speak for the target there.

    No paper has it; it is the method of this name in the library pytorch-grad-cam:

        L^c = sum_k ReLU(dy^c/dA^k * A^k)

    Returns:
        (N, T, *space), in units of the score; nowhere negative.
    """
    xp = capture.xp
    return xp.sum(xp.maximum(capture.gradients * capture.activations[:, None], 0.0), axis=-1)
