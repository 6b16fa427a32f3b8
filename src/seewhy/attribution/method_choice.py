"""What `method="auto"` stands for: the method that suits the model, chosen by what the model computes.

In a convolutional model a position of the last layer holds what the model saw there, and Grad-CAM shows which of the
positions raise the score. In a vision transformer attention has carried information between all positions by then, and
the path that it took through the attention maps shows where it came from.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seewhy.errors import LayerError
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.structures import InputBatch, is_float, only_leaf
from seewhy.methods import Method, get
from seewhy.methods.attention_chain import chain_steps

LEAST_MAPS = 2
"""One attention map alone pools what convolutions computed, as in the attention pooling of CLIP's ResNets."""

STEPS_IN_WINDOWS = 16
"""Steps of integrated gradients where attention runs within windows, which the default runs for every image: in the
where-test more steps found no more squares."""


class MethodChoice(NamedTuple):
    """A method, and why "auto" chose it; the reason is empty where the caller named the method."""

    method: Method
    reason: str


def choose_method(
    method: Method, framework: Framework, inputs: InputBatch, layers: Sequence[LayerChoice]
) -> MethodChoice:
    """Return the method itself, or for "auto" the method that suits the model.

    Args:
        method: What the caller asked for.
        framework: Runs the model.
        inputs: Checked by `Framework.check_inputs`.
        layers: The layers to explain.
    """
    if not method.is_auto:
        return MethodChoice(method, "")
    if not all(layer.is_auto for layer in layers):
        return MethodChoice(get("gradcam"), "a layer is named")
    if not _is_one_batch_of_images(inputs):
        return MethodChoice(get("gradcam"), "the input is not one batch of images")
    shapes = framework.attention_shapes(inputs)
    if not shapes:
        return MethodChoice(get("gradcam"), "no attention in the model")
    if any(len(shape) > 3 for shape in shapes) and is_float(only_leaf(inputs)):
        return MethodChoice(get("integrated_gradients", steps=STEPS_IN_WINDOWS), "attention within windows")
    if not lead_to_score(shapes):
        return MethodChoice(get("gradcam"), "the attention layers form no chain")
    return MethodChoice(get("legrad_rollout"), f"{len(shapes)} attention layers form a chain")


def lead_to_score(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether attention maps of shapes (H, Lq, Lk) lead from the image's tokens to the score, one after the other."""
    if len(shapes) < LEAST_MAPS:
        return False
    try:
        chain_steps(shapes)
    except LayerError:
        return False
    return True


def _is_one_batch_of_images(inputs: InputBatch) -> bool:
    image = only_leaf(inputs)
    return isinstance(image, np.ndarray) and image.ndim == 4
