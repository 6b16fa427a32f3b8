"""The layers of a method that fuses several: one at each resolution of the model."""

from collections.abc import Iterator
from dataclasses import replace

from seewhy.attribution.auto_layer import carrying_calls, choice_of, try_layer
from seewhy.attribution.evidence_key import evidence_key
from seewhy.attribution.layer_evidence import classes_of
from seewhy.attribution.plan import Plan
from seewhy.errors import LayerError
from seewhy.frameworks import LayerCall, LayerChoice
from seewhy.frameworks.structures import InputBatch
from seewhy.targets import Objective, TopK
from seewhy.types import Capture

STAGES = 4
"""How many layers are fused at most: as many as the stages of a ResNet, which the RefineCAM paper fuses."""

MAX_TRIED = 8
"""How many layers of one resolution are tried at most, each in a few runs of the model."""


def stage_layers(
    plan: Plan, last: LayerChoice, inputs: InputBatch, objective: Objective, capture: Capture
) -> tuple[LayerChoice, ...]:
    """Return the layers before the last one that are fused with it, the coarsest resolution first.

    At each finer resolution this is the last layer that carries the whole score and whose positions reach it. They are
    searched once for each shape of input and kind of objective.

    Args:
        plan: Has the framework.
        last: The layer that is explained.
        inputs: The batch.
        objective: What is explained.
        capture: What was captured at that layer.

    Raises:
        LayerError: There is no such layer.
    """
    key, evidence = ("stages", *evidence_key(inputs, last, objective), plan.tokens), plan.framework.evidence
    known: tuple[LayerChoice, ...] | None = evidence.get(key)
    if known is not None:
        return known
    found = tuple(_search(plan, last, inputs, classes_of(objective, capture) or replace(objective, target=TopK(1))))
    if not found:
        raise LayerError(
            f"{plan.method.title} multiplies the heatmaps of layers of several resolutions, and no layer of a finer "
            f"one than {capture.layer!r} was found that carries the whole score. Name two or more layers: "
            "Explainer(model, method, layer=[...])."
        )
    evidence.add(key, found)
    return found


def _search(plan: Plan, last: LayerChoice, inputs: InputBatch, objective: Objective) -> Iterator[LayerChoice]:
    """Yield the layer of each finer resolution, up to `STAGES` with the last one."""
    calls = plan.framework.calls(inputs)
    index = max(index for index, call in enumerate(calls) if last.admits(call))
    carrying, positions, count = carrying_calls(plan.framework, inputs, objective), calls[index].positions, 1
    before = [
        call
        for call in reversed(calls[:index])
        if call.is_candidate
        and _rank(call) == _rank(calls[index])
        and _is_known(call)
        and (carrying is None or (call.path, call.execution) in carrying)
    ]
    for resolution in sorted({call.positions for call in before if call.positions > positions}):
        tried = [choice_of(plan, inputs, call) for call in before if call.positions == resolution][:MAX_TRIED]
        trials = (try_layer(plan, choice, inputs, objective) for choice in tried)
        found = next((trial.layer for trial in trials if trial.evidence is not None and trial.evidence.is_exact), None)
        if found is not None:
            yield found
            count += 1
        if count == STAGES:
            return


def _rank(call: LayerCall) -> int:
    return len(call.shape or ())


def _is_known(call: LayerCall) -> bool:
    return call.shape is not None and None not in call.shape
