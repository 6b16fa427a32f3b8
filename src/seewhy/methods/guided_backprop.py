"""Guided backpropagation (Springenberg et al., 2014), and Guided Grad-CAM, which uses it."""

from typing import Literal

import numpy as np

from seewhy.errors import LayerError
from seewhy.interpolation import resize
from seewhy.methods.gradcam import gradcam
from seewhy.methods.method import Runner
from seewhy.types import Capture, FloatArray, GradientRule, Tensor

Others = Literal["refuse", "pass"]


def guided_rule(*, others: Others = "refuse") -> GradientRule:
    """Return the guided gradient rule.

    Args:
        others: What happens to models with activations other than ReLU, for which the rule is not defined: "refuse"
            raises an error; "pass" leaves the gradients of those activations unchanged.
    """
    return "guided" if others == "refuse" else "guided-where-relu"


def guided_backprop(capture: Capture) -> Tensor:
    """Sum each pixel's guided gradients over its channels.

    Section 3.4 of the paper: in the backward pass, a ReLU propagates the gradient R only where both R and the
    activation f are positive:

        R^l_i = (f^l_i > 0) * (R^(l+1)_i > 0) * R^(l+1)_i

    The option `others` of `guided_rule` is an option of this method too.

    Args:
        capture: The guided gradients of the input.

    Returns:
        Raw heatmaps (N, T, *space), in units of the score per unit of the input.

    Reference:
        Springenberg et al., "Striving for Simplicity: The All Convolutional Net", 2014, arXiv 1412.6806.
    """
    return capture.xp.sum(capture.require_gradients(), axis=-1)


def guided_gradcam(capture: Capture, runner: Runner) -> FloatArray:
    """Multiply the guided gradients by the layer's Grad-CAM, resized bilinearly to the input.

    Section 3.2 of the paper, summed over each pixel's channels, with G^c the heatmap of guided backpropagation:

        M^c = G^c * resize(L^c_Grad-CAM)

    The option `others` of `guided_rule` is an option of this method too.

    Args:
        capture: The guided gradients of one image's input.
        runner: Runs the model for the Grad-CAM.

    Returns:
        Raw heatmaps (1, T, *space).

    Raises:
        LayerError: The layer's output does not have as many spatial axes as the input.

    Reference:
        Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
        ICCV 2017, arXiv 1610.02391.
    """
    fine = np.asarray(guided_backprop(capture))
    (layer_capture,) = runner.captures([runner.inputs], 1)
    coarse = np.maximum(np.asarray(gradcam(layer_capture)), 0)
    if coarse.ndim != fine.ndim:
        raise LayerError(
            f"The output of the layer {layer_capture.layer!r} has {coarse.ndim - 2} spatial axes and the input has "
            f"{fine.ndim - 2}, so they cannot be multiplied. Give a layer whose output has as many axes as the input."
        )
    resized = np.stack([resize(heatmap, fine.shape[2:], runner.layer_extents) for heatmap in coarse[0]])
    heatmaps: FloatArray = fine * resized[None]
    return heatmaps
