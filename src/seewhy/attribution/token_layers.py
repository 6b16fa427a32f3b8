"""The layers whose tokens attention maps are about, and whether these lie on the image as a heatmap assumes."""

import math
from collections.abc import Iterator
from dataclasses import replace

from seewhy.attribution.layer_evidence import LayerJudge
from seewhy.attribution.plan import Plan
from seewhy.errors import LayerError, warn
from seewhy.frameworks import Framework, LayerCall, LayerChoice
from seewhy.frameworks.structures import InputBatch, image_count, map_tree, shape_key
from seewhy.methods import get
from seewhy.targets import Objective

MAX_TRIED = 4
"""How many layers are tried whose output may have a row for each image."""


def ends_in_tokens(framework: Framework, inputs: InputBatch) -> bool:
    """Whether the last layer with positions has them along one axis, as the blocks of a transformer have.

    In a convolutional model with attention in some of its blocks it has rows and columns.
    """
    last = next((call for call in reversed(framework.calls(inputs)) if call.is_candidate), None)
    return last is not None and last.shape is not None and len(last.shape) == 2


def check_token_layers(plan: Plan, inputs: InputBatch, objective: Objective, tokens: int) -> None:
    """Check that layers have as many positions as attention maps have tokens, and in the order of the image.

    Args:
        plan: Has the framework.
        inputs: The batch.
        objective: What is explained.
        tokens: The number of tokens that are attended to.

    Raises:
        LayerError: No layer has as many positions: the maps are of windows, of rows, or of something else.
    """
    evidence, key = plan.framework.evidence, ("token layers", shape_key(inputs), tokens)
    fault: str | None = evidence.get(key)
    if fault is None:
        calls = [call for call in plan.framework.calls(inputs) if _positions(call) == tokens]
        if not calls:
            raise LayerError(
                f"The attention maps of this model are about {tokens} tokens, and no layer has an output of as many: "
                "attention may run within windows or along rows, which the maps do not tell. Use a method that "
                "explains a layer or the input, such as gradcam or integrated_gradients."
            )
        fault = next(_order_faults(plan, inputs, objective, calls), "")
        evidence.add(key, fault)
    if fault:
        warn(
            f"The tokens of this model's attention layers do not lie on the image row by row: {fault}. The heatmap lies "
            "at the wrong places. Use a method that explains a layer before the tokens, or the input, such as "
            "integrated_gradients."
        )


def _order_faults(plan: Plan, inputs: InputBatch, objective: Objective, calls: list[LayerCall]) -> Iterator[str]:
    """Yield how the axes of layers differ from those of the image, from the first layer that tells on; "" for not."""
    plan = replace(plan, method=get("gradcam"), derivatives="none")
    first = map_tree(lambda array: array[:1], inputs) if plan.framework.batch_size is None else inputs
    objective = objective.for_image(0) if image_count(first) == 1 else objective
    for call in calls[:MAX_TRIED]:
        judge = LayerJudge(plan, LayerChoice(call.path, call.number), first, objective, "none")
        try:
            capture = plan.framework.capture(first, judge.layer, objective, "none")
            is_of_images = capture.activations.shape[0] == image_count(first)  # an embedding of positions is not
            axes = judge.probe(capture).axes if is_of_images else None
        except LayerError:
            continue  # the layer's output cannot be reached
        if axes is not None:
            yield axes.fault


def _positions(call: LayerCall) -> int:
    """Return the number of positions of a layer's output; 0 where it has none, or a size is unknown."""
    return math.prod(size or 0 for size in call.shape[:-1]) if call.shape is not None and call.has_space else 0
