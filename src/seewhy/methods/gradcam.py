"""Grad-CAM (Selvaraju et al., ICCV 2017, arXiv 1610.02391)."""

from typing import Literal

from seewhy.methods import checks
from seewhy.types import Capture, Tensor


def gradcam(capture: Capture, *, channels: Literal["sum", "mean"] = "sum") -> Tensor:
    """Weight each channel by its mean gradient, and add the channels up.

    Equations 1 and 2 of the paper, with Z the number of positions in `*space`; what is negative is cut off later:

        alpha_k^c = 1/Z sum_ij dy^c/dA^k_ij
        L^c = ReLU(sum_k alpha_k^c A^k)

    Args:
        capture: What the model left.
        channels: "sum", as the paper has it; or "mean", as many tutorials do, which divides by the number of channels.
            The images are the same.

    Returns:
        (N, T, *space), in units of the score.

    Raises:
        OptionError: `channels` is something else.
    """
    checks.one_of("channels", channels, ("sum", "mean"))
    xp = capture.xp
    space = tuple(range(2, len(capture.gradients.shape) - 1))
    weights = xp.mean(capture.gradients, axis=space)
    if channels == "mean":
        weights = weights / weights.shape[-1]
    return xp.einsum("ntk,n...k->nt...", weights, capture.activations)
