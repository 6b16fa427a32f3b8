"""What `method="auto"` stands for: the method that suits the model, chosen by what the model computes.

In a convolutional model a position of the last layer holds what the model saw there, and Grad-CAM shows which of the
positions raise the score. In a vision transformer attention has carried information between all positions by then, and
the path that it took through the attention maps shows where it came from.
"""

from collections.abc import Sequence
from typing import NamedTuple

from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.structures import InputBatch
from seewhy.methods import Method, get

LEAST_MAPS = 2
"""One attention map alone pools what convolutions computed, as in the attention pooling of CLIP's ResNets."""


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
    shapes = framework.attention_shapes(inputs)
    if not shapes:
        return MethodChoice(get("gradcam"), "the model computes no attention")
    if not follow_each_other(shapes):
        return MethodChoice(get("gradcam"), "attention runs between other layers")
    return MethodChoice(get("gradient_rollout"), f"{len(shapes)} attention maps follow each other to the score")


def follow_each_other(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether attention maps of shapes (H, Lq, Lk) lead from the same tokens to the score, one after the other.

    The last one may pool: it may have other queries, such as the single one of attention pooling.
    """
    *earlier, last = shapes
    if len(shapes) < LEAST_MAPS or any(len(shape) != 3 for shape in shapes):
        return False
    tokens = earlier[0][-1]
    return last[-1] == tokens and all(shape[1:] == (tokens, tokens) for shape in earlier)
