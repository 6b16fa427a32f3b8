"""XGrad-CAM (Fu et al., BMVC 2020, arXiv 2008.02312)."""

from seewhy.types import Capture, Tensor


def xgradcam(capture: Capture) -> Tensor:
    """Weight each channel by its mean gradient, to which positions count as much as they are active, and add them up.

    What the paper derives in its section 3, and writes with F for A; what is negative is cut off later:

        w_k^c = sum_ij (A^k_ij / sum_ab A^k_ab) dy^c/dA^k_ij
        L^c = ReLU(sum_k w_k^c A^k)

    A channel whose activations add up to 0 has no such mean. It is left out; of a layer after a ReLU it is 0
    everywhere, and would add nothing.

    Returns:
        (N, T, *space), in units of the score.
    """
    xp = capture.xp
    activations = capture.activations
    space = tuple(range(1, len(activations.shape) - 1))
    totals = xp.sum(activations, axis=space)[:, None]
    sums = xp.sum(capture.gradients * activations[:, None], axis=tuple(axis + 1 for axis in space))
    weights = xp.where(totals == 0, 0.0, sums) / xp.where(totals == 0, 1.0, totals)
    return xp.einsum("ntk,n...k->nt...", weights, activations)
