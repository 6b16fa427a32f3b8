"""LayerCAM (Jiang et al., IEEE Transactions on Image Processing, 2021)."""

from seewhy.types import Capture, Tensor


def layercam(capture: Capture) -> Tensor:
    """Multiply each activation by its own gradient where that is positive, and sum the channels.

    Section III of the paper; the second ReLU, which matters only for negative activations, is applied to the raw
    heatmaps later:

        w_ij^kc = ReLU(dy^c/dA^k_ij)
        L^c = ReLU(sum_k w^kc * A^k)

    Args:
        capture: The activations and gradients of the layer.

    Returns:
        Raw heatmaps (N, T, *space), in units of the score.

    Reference:
        Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE TIP 2021.
    """
    xp = capture.xp
    return xp.einsum("nt...k,n...k->nt...", xp.maximum(capture.require_gradients(), 0.0), capture.activations)
