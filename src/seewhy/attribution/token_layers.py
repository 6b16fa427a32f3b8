"""The layers whose tokens attention maps are about, and whether these lie on the image as a heatmap assumes."""

from collections.abc import Sequence
from dataclasses import replace

from seewhy.attribution.auto_layer import is_carried
from seewhy.attribution.layer_evidence import LayerJudge
from seewhy.attribution.plan import Plan
from seewhy.errors import LayerError, ModelRunError, warn
from seewhy.frameworks import Framework, LayerCall, LayerChoice
from seewhy.frameworks.structures import InputBatch, image_at, image_count, shape_key
from seewhy.methods import get
from seewhy.methods.attention_chain import chain_steps
from seewhy.targets import Objective

MAX_TRIED = 4
"""How many layers are tried whose output may have a row for each image."""


def end_in_tokens(framework: Framework, inputs: InputBatch, shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether the last layer with positions has the tokens of a chain of attention maps, as a transformer's last block.

    In a convolutional model with attention in some of its blocks it has rows and columns; where attention runs along
    rows or within windows it has more tokens than the maps.

    Args:
        framework: Runs the model.
        inputs: The batch.
        shapes: (H, Lq, Lk) of each map.
    """
    last = next((call for call in reversed(framework.calls(inputs)) if call.is_candidate), None)
    if last is None or last.shape is None or len(last.shape) != 2:
        return False
    tokens = shapes[0][-1]
    return last.shape[0] in (tokens, tokens + 1) or "pool" in chain_steps(shapes)


def check_token_layers(plan: Plan, inputs: InputBatch, objective: Objective, tokens: int) -> None:
    """Check that layers have as many positions as attention maps have tokens, and in the order of the image.

    Args:
        plan: Has the framework.
        inputs: The batch.
        objective: What is explained.
        tokens: The number of tokens that are attended to.

    Raises:
        LayerError: No layer has as many positions: the maps are of windows, of rows, or of something else. Or it
            cannot be told how the tokens lie on the image, or `tokens=` does not fit them.
    """
    evidence, key = plan.framework.evidence, ("token layers", shape_key(inputs), tokens, plan.tokens)
    fault: str | None = evidence.get(key)
    if fault is None:
        calls = [call for call in plan.framework.calls(inputs) if call.positions == tokens]
        # Where layers have the tokens along one axis, their order matters, and not that of the rows before.
        calls = [call for call in calls if len(call.shape or ()) == 2] or calls
        fault = _order_fault(plan, inputs, objective, calls)
        if fault is None:
            raise LayerError(
                f"The attention maps of this model are about {tokens} tokens, and no layer was found that has as many "
                "for each image: attention may run within windows or along rows, which the maps do not tell. Use a "
                "method that explains a layer or the input, such as gradcam or integrated_gradients."
            )
        evidence.add(key, fault)
    if fault:
        warn(
            f"The tokens of this model's attention layers do not lie on the image row by row: {fault}. The heatmap "
            "lies at the wrong places. Use a method that explains a layer before the tokens, or the input, such as "
            "integrated_gradients."
        )
    if not is_carried(plan.framework, inputs, objective):
        warn(
            "No layer of this model carries all of the score: a branch bypasses the attention layers, and the heatmap "
            "shows only what passes through these. Use a method that explains the input, such as integrated_gradients."
        )


def _order_fault(plan: Plan, inputs: InputBatch, objective: Objective, calls: Sequence[LayerCall]) -> str | None:
    """Return how the axes of the first layer that tells differ from those of the image; "" for not at all.

    None if no layer has a row for each image, as an embedding of positions and layers inside windows have not.
    """
    plan = replace(plan, method=get("gradcam"), derivatives="none")
    if plan.framework.batch_size is None and image_count(inputs) > 1:
        try:
            return _order_fault_in(plan, image_at(inputs, 0), objective.for_image(0), calls)
        except ModelRunError:
            pass  # a model that is written for batches of the caller's size
    return _order_fault_in(plan, inputs, objective, calls)


def _order_fault_in(plan: Plan, inputs: InputBatch, objective: Objective, calls: Sequence[LayerCall]) -> str | None:
    """Return what `_order_fault` does, by runs on a batch and on other images."""
    found: str | None = None
    for call in calls[:MAX_TRIED]:
        judge = LayerJudge(_plan_of(plan, call), LayerChoice(call.path, call.number), inputs, objective, "none")
        try:
            capture = plan.framework.capture(inputs, judge.layer, objective, "none")
        except LayerError:
            continue  # the layer's output cannot be reached
        if capture.activations.shape[0] != image_count(inputs):
            continue
        found = ""
        try:
            axes = judge.probe(capture).axes
        except ModelRunError:
            continue  # the model runs on the caller's images, and not on others
        if axes is not None:
            return axes.fault
    return found


def _plan_of(plan: Plan, call: LayerCall) -> Plan:
    """Return the plan of a layer: `tokens=` is about the maps, and not about a layer that has rows and columns."""
    return plan if len(call.shape or ()) == 2 else replace(plan, tokens=None)
