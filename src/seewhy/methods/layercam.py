"""LayerCAM (Jiang et al., IEEE Transactions on Image Processing, 2021)."""

from seewhy.types import Capture, Tensor


def layercam(capture: Capture) -> Tensor:
    """Multiply each activation by its own gradient where that is positive, and add the channels up.

    Section III of the paper; what is negative, which only negative activations make, is cut off later:

        w_ij^kc = ReLU(dy^c/dA^k_ij)
        L^c = ReLU(sum_k w^kc * A^k)

    Returns:
        (N, T, *space), in units of the score.
    """
    xp = capture.xp
    return xp.einsum("nt...k,n...k->nt...", xp.maximum(capture.gradients, 0.0), capture.activations)
