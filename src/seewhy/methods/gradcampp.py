"""Grad-CAM++ (Chattopadhyay et al., WACV 2018)."""

from seewhy.types import Capture, Tensor


def gradcampp(capture: Capture) -> Tensor:
    """Weight each channel by a weighted sum of its positive gradients, and sum the channels.

    Equation 19 of the paper gives alpha; the last ReLU is applied to the raw heatmaps later:

        alpha_ij^kc = (dS^c/dA^k_ij)^2 / (2 (dS^c/dA^k_ij)^2 + sum_ab A^k_ab (dS^c/dA^k_ij)^3)
        w_k^c = sum_ij alpha_ij^kc ReLU(dS^c/dA^k_ij)
        L^c = ReLU(sum_k w_k^c A^k)

    The paper explains y = exp(S), whose n-th derivative is exp(S) (dS/dA)^n for a head that is piecewise linear. In
    alpha the factor exp(S) cancels. In w it is one factor for the whole heatmap; it is left out, so that the heatmap
    is in units of S and no score overflows. A squared gradient cancels too, which leaves
    alpha = 1 / (2 + sum_ab A^k_ab dS^c/dA^k_ij) and nothing that could underflow.

    The paper assumes activations after a ReLU. Where negative activations make the denominator 0 or less, alpha is not
    a weight, and is set to 0.

    Args:
        capture: The activations and gradients of the layer.

    Returns:
        Raw heatmaps (N, T, *space), in units of the score.

    Reference:
        Chattopadhyay et al., "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks", WACV 2018,
        arXiv 1710.11063.
    """
    xp = capture.xp
    gradients = capture.require_gradients()
    space = tuple(range(2, len(gradients.shape) - 1))
    totals = xp.sum(capture.activations, axis=tuple(axis - 1 for axis in space), keepdims=True)[:, None]
    positive = xp.maximum(gradients, 0.0)
    denominators = 2 + totals * positive
    terms = xp.maximum(positive / xp.where(denominators == 0, -1.0, denominators), 0.0)
    return xp.einsum("ntk,n...k->nt...", xp.sum(terms, axis=space), capture.activations)
