"""Grad-CAM (Selvaraju et al., ICCV 2017)."""

from typing import Literal

from seewhy.types import Capture, Tensor


def gradcam(capture: Capture, *, channels: Literal["sum", "mean"] = "sum") -> Tensor:
    """Weight each channel by its mean gradient, and sum the channels.

    Equations 1 and 2 of the paper, with Z the number of positions; the ReLU is applied to the raw heatmaps later:

        alpha_k^c = 1/Z sum_ij dy^c/dA^k_ij
        L^c = ReLU(sum_k alpha_k^c A^k)

    Args:
        capture: The activations and gradients of the layer.
        channels: "sum", as in the paper; or "mean", as in many tutorials, which divides by the number of channels.
            Normalized heatmaps are the same.

    Returns:
        Raw heatmaps (N, T, *space), in units of the score.

    Reference:
        Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
        ICCV 2017, arXiv 1610.02391.
    """
    xp = capture.xp
    space = tuple(range(2, len(capture.require_gradients().shape) - 1))
    weights = xp.mean(capture.require_gradients(), axis=space)
    if channels == "mean":
        weights = weights / weights.shape[-1]
    return xp.einsum("ntk,n...k->nt...", weights, capture.activations)
