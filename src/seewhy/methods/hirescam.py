"""HiResCAM (Draelos and Carin, 2020, arXiv 2011.08891)."""

from seewhy.types import Capture, Tensor


def hirescam(capture: Capture) -> Tensor:
    """Multiply each activation by its own gradient, and add the channels up.

    Section 3.3 of the paper; unlike Grad-CAM, gradients are not averaged over positions first, so the map shows
    exactly the positions the score rises with when one fully connected layer follows:

        L^c = ReLU(sum_k dy^c/dA^k * A^k)

    Returns:
        (N, T, *space), in units of the score.
    """
    return capture.xp.einsum("nt...k,n...k->nt...", capture.gradients, capture.activations)
