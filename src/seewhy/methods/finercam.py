"""Finer-CAM (Zhang et al., CVPR 2025)."""

from functools import partial
from typing import Annotated

from seewhy.methods.base_methods import BASES, Base
from seewhy.methods.checks import integer, not_negative
from seewhy.types import Capture, Contrast, Tensor

MAX_ALPHA = 1000
"""The maximum strength of the comparison; the paper uses 0 to 1."""

Strength = Annotated[float, partial(not_negative, most=MAX_ALPHA)]


def finer_contrast(*, alpha: Strength = 0.6, similar: Annotated[int, integer] = 3) -> Contrast:
    """Return what Finer-CAM subtracts from the score of a class.

    Args:
        alpha: The strength of the comparison, gamma in the paper: 0 explains the class alone, 1 what distinguishes it.
        similar: The number of classes that are compared, those whose scores are closest; all others if there are fewer.
    """
    return Contrast(alpha, similar)


def finercam(capture: Capture, *, base: Base = "gradcam") -> Tensor:
    """Explain how the score of a class differs from those of similar classes.

    The gradients of the capture are those of the paper's contrast, with d_1 to d_T the classes most similar to c; a
    base method makes a heatmap of them, and the ReLU is applied to the raw heatmaps later:

        y^c - alpha 1/T sum_t y^(d_t)

    Evidence that the classes share cancels. For a base method that is linear in the gradients, such as Grad-CAM, the
    heatmap is that of c minus alpha times the mean of those of the d_t; but it costs no more than that of c alone.

    Args:
        capture: The activations of the layer and the gradients of the contrast.
        base: The method that makes the heatmap: "gradcam", "hirescam", "gradcam++", "xgradcam" or "layercam".

    Returns:
        Raw heatmaps (N, T, *space), in units of the score.

    Reference:
        Zhang et al., "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation", CVPR 2025,
        arXiv 2501.11309.
    """
    return BASES[base](capture)
