"""XGrad-CAM (Fu et al., BMVC 2020)."""

from seewhy.types import Capture, Tensor


def xgradcam(capture: Capture) -> Tensor:
    """Weight each channel by the mean of its gradients weighted by its activations, and sum the channels.

    Section 3 of the paper, which writes F for A; the ReLU is applied to the raw heatmaps later:

        w_k^c = sum_ij (A^k_ij / sum_ab A^k_ab) dy^c/dA^k_ij
        L^c = ReLU(sum_k w_k^c A^k)

    A channel whose activations sum to 0 has no such mean, and gets the weight 0. After a ReLU such a channel is 0
    everywhere and contributes nothing in any case.

    Args:
        capture: The activations and gradients of the layer.

    Returns:
        Raw heatmaps (N, T, *space), in units of the score.

    Reference:
        Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC 2020,
        arXiv 2008.02312.
    """
    xp = capture.xp
    activations = capture.activations
    space = tuple(range(1, len(activations.shape) - 1))
    totals = xp.sum(activations, axis=space)[:, None]
    sums = xp.sum(capture.require_gradients() * activations[:, None], axis=tuple(axis + 1 for axis in space))
    weights = xp.where(totals == 0, 0.0, sums) / xp.where(totals == 0, 1.0, totals)
    return xp.einsum("ntk,n...k->nt...", weights, activations)
