"""HiResCAM (Draelos and Carin, 2020, arXiv 2011.08891)."""

from seewhy.types import Capture, Tensor


def hirescam(capture: Capture) -> Tensor:
    """Multiply each activation by its own gradient, add the channels up, keep what speaks for the target.

    Section 3.3 of the paper; unlike Grad-CAM, gradients are not averaged over positions first, so the map shows
    exactly the positions the score rises with when one fully connected layer follows:

        L^c = ReLU(sum_k dy^c/dA^k * A^k)

    Returns:
        (N, T, *space), in units of the score.
    """
    xp = capture.xp
    evidence = xp.einsum("nt...k,n...k->nt...", capture.gradients, capture.activations)
    return xp.where(evidence < 0, xp.zeros_like(evidence), evidence)  # this way round, NaN stays to be seen
