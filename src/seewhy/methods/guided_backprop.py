"""Guided backpropagation (Springenberg et al., 2014, arXiv 1412.6806), and Guided Grad-CAM made with it."""

from typing import Literal

import numpy as np

from seewhy.errors import LayerError, OptionError
from seewhy.methods.gradcam import gradcam
from seewhy.methods.method import Backward, Runner
from seewhy.methods.resizing import bilinear_weights, combine
from seewhy.types import Capture, FloatArray, Tensor

Others = Literal["refuse", "pass"]


def guided_rule(*, others: Others = "refuse") -> Backward:
    """Return the way back that goes with an option.

    Args:
        others: What is done about activations that are no ReLUs: "refuse" them, for the rule says nothing of them; or
            let gradients "pass" them as they are.

    Raises:
        OptionError: It is neither.
    """
    if others not in ("refuse", "pass"):
        raise OptionError(f"others is {others!r}; expected 'refuse' or 'pass'.")
    return "guided" if others == "refuse" else "guided-where-relu"


def guided_backprop(capture: Capture) -> Tensor:
    """Add up each pixel's guided gradients over its channels.

    Section 3.4 of the paper: on the way back a ReLU lets the gradient R pass only where R is positive and the
    activation f was:

        R^l_i = (f^l_i > 0) * (R^(l+1)_i > 0) * R^(l+1)_i

    Args:
        capture: Of the input, its gradients guided.

    Returns:
        (N, T, *space), in units of the score per unit of the input.
    """
    return capture.xp.sum(capture.gradients, axis=-1)


def guided_gradcam(capture: Capture, runner: Runner) -> FloatArray:
    """Multiply the guided gradients by the Grad-CAM of the layer, brought bilinearly to the input's size.

    Section 3.2 of arXiv 1610.02391; each pixel's channels are added up.

    Args:
        capture: Of one image, of its input, its gradients guided.
        again: Runs the model for the Grad-CAM.

    Returns:
        (1, T, *space).

    Raises:
        LayerError: The layer's output has other axes of space than the input.
    """
    fine = guided_backprop(capture)
    (at_layer,) = runner.captures([runner.inputs], 1)
    coarse = np.maximum(gradcam(at_layer), 0)
    if coarse.ndim != fine.ndim:
        raise LayerError(
            f"The output of the layer {at_layer.layer!r} has {coarse.ndim - 2} axes of space and the input has "
            f"{fine.ndim - 2}, so one cannot be laid over the other. Give a layer that still has the input's axes."
        )
    weights = [bilinear_weights(cells, pixels) for cells, pixels in zip(coarse.shape[2:], fine.shape[2:], strict=True)]
    evidence: FloatArray = fine * np.stack([combine(heatmap, weights) for heatmap in coarse[0]])[None]
    return evidence
