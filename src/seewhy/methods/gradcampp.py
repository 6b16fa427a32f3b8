"""Grad-CAM++ (Chattopadhyay et al., WACV 2018, arXiv 1710.11063)."""

from seewhy.types import Capture, Tensor


def gradcampp(capture: Capture) -> Tensor:
    """Weight each channel by the sum of its positive gradients, each with a weight of its own, and add them up.

    Equation 19 of the paper gives alpha; what is negative is cut off later:

        alpha_ij^kc = (dS^c/dA^k_ij)^2 / (2 (dS^c/dA^k_ij)^2 + sum_ab A^k_ab (dS^c/dA^k_ij)^3)
        w_k^c = sum_ij alpha_ij^kc ReLU(dS^c/dA^k_ij)
        L^c = ReLU(sum_k w_k^c A^k)

    The paper explains y = exp(S), for which every derivative is a power of dS/dA times exp(S). In alpha that factor
    cancels. In w it is one number for the whole map; it is left out, so that the map is in units of S, and no score is
    too large for it. A squared gradient cancels as well, which leaves alpha = 1 / (2 + sum_ab A^k_ab dS^c/dA^k_ij) and
    nothing that could underflow.

    The paper has activations that a ReLU gave. Where negative ones make the denominator 0 or less, alpha is no weight
    any more, and is taken as 0.

    Returns:
        (N, T, *space), in units of the score.
    """
    xp = capture.xp
    gradients = capture.gradients
    space = tuple(range(2, len(gradients.shape) - 1))
    totals = xp.sum(capture.activations, axis=tuple(axis - 1 for axis in space), keepdims=True)[:, None]
    positive = xp.maximum(gradients, 0.0)
    denominators = 2 + totals * positive
    terms = xp.maximum(positive / xp.where(denominators == 0, -1.0, denominators), 0.0)
    return xp.einsum("ntk,n...k->nt...", xp.sum(terms, axis=space), capture.activations)
