"""HiResCAM (Draelos and Carin, 2020)."""

from seewhy.types import Capture, Tensor


def hirescam(capture: Capture) -> Tensor:
    """Multiply each activation by its own gradient, and sum the channels.

    Section 3.3 of the paper; the ReLU is applied to the raw heatmaps later. Unlike in Grad-CAM, gradients are not
    averaged over positions first, so for a model that ends in one fully connected layer the heatmap shows exactly the
    positions that raise the score:

        L^c = ReLU(sum_k dy^c/dA^k * A^k)

    Args:
        capture: The activations and gradients of the layer.

    Returns:
        Raw heatmaps (N, T, *space), in units of the score.

    Reference:
        Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
        networks", 2020, arXiv 2011.08891.
    """
    return capture.xp.einsum("nt...k,n...k->nt...", capture.require_gradients(), capture.activations)
