"""The search of "auto": the last layer in call order that the evidence supports."""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import final

from seewhy.attribution.evidence_key import evidence_key
from seewhy.attribution.layer_evidence import LayerEvidence, judge_candidate, some_classes
from seewhy.attribution.plan import Plan
from seewhy.errors import LayerError, ModelRunError
from seewhy.frameworks import Framework, LayerCall, LayerChoice
from seewhy.frameworks.layers import AUTO
from seewhy.frameworks.structures import InputBatch, image_at, image_count, leaves
from seewhy.targets import Objective

_logger = logging.getLogger("seewhy.attribution")

MAX_UNKNOWN = 8
"""After how many sound candidates whose bypass cannot be told "auto" looks for no better one."""

MAX_TRIED = 48
"""How many layers "auto" tries at most, each in a few runs of the model."""

MAX_BYPASSED = 12
"""How many of them may be layers that the model's graph shows to be bypassed."""

MAX_AFTER = 8
"""How many layers after a named one are tried, to say which of them carries the score."""

NOTHING = 0.9
"""The share of the score that bypasses a layer above which the layer is not explained for want of a better one."""


@final
@dataclass(frozen=True)
class Trial:
    """A candidate that was tried.

    Attributes:
        layer: The candidate.
        evidence: The evidence about it; None where it cannot be explained.
        obstacle: Why not.
    """

    layer: LayerChoice
    evidence: LayerEvidence | None
    obstacle: str = ""


@final
@dataclass(frozen=True)
class Search:
    """What "auto" found among its candidates.

    Attributes:
        found: The candidate that it takes; None if the evidence supports none.
        trials: The candidates that were tried, in this order.
    """

    found: Trial | None
    trials: tuple[Trial, ...]


def search_layer(plan: Plan, inputs: InputBatch, objective: Objective, last: LayerEvidence | None = None) -> Search:
    """Search the candidates of "auto" for the last one that the evidence supports.

    That is the last one that is bypassed by at most `EXACT` of the score: which of several that are bypassed more
    carries enough would be a matter of degree. If there is none, the last one is taken of those whose bypass cannot be
    told, as where the scores of two images are equal; and else the candidate that is bypassed least.

    Args:
        plan: Has the framework.
        inputs: The caller's batch.
        objective: What candidates are judged by.
        last: The evidence about the last candidate, which is then not tried again.
    """
    candidates = [call for call in reversed(plan.framework.calls(inputs)) if call.is_candidate]
    trials: list[Trial] = []
    unknown: list[Trial] = []
    if last is not None and candidates:
        trials.append(Trial(choice_of(plan, inputs, candidates[0]), last))
    for call in _ordered(plan, inputs, objective, candidates[len(trials) :], candidates[:1])[:MAX_TRIED]:
        trial = try_layer(plan, choice_of(plan, inputs, call), inputs, objective)
        trials.append(trial)
        _logger.debug("candidate %s: %s", trial.layer, trial.obstacle or trial.evidence)
        if trial.evidence is not None and trial.evidence.is_exact:
            if trial.evidence.bypass is not None or len(leaves(inputs)) > 1:
                return Search(trial, tuple(trials))
            unknown.append(trial)
            if len(unknown) == MAX_UNKNOWN:
                break
    return Search(unknown[0] if unknown else _least_bypassed(trials), tuple(trials))


def layer_after(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective, *, is_compiled: bool
) -> LayerChoice | None:
    """Return the first layer after a named one that carries the score; None if none of the next ones does.

    Where functions are compiled, it is taken by the graph alone.
    """
    calls = plan.framework.calls(inputs)
    carrying = carrying_calls(plan.framework, inputs, objective)
    named = max((index for index, call in enumerate(calls) if layer.admits(call)), default=len(calls))
    following = [
        call
        for call in calls[named + 1 :]
        if call.is_candidate and (carrying is None or (call.path, call.execution) in carrying)
    ]
    if is_compiled:
        return choice_of(plan, inputs, following[0]) if following else None
    for call in following[:MAX_AFTER]:
        trial = try_layer(plan, choice_of(plan, inputs, call), inputs, objective)
        if trial.evidence is not None and trial.evidence.is_sound:
            return trial.layer
    return None


def try_all_layers(plan: Plan, inputs: InputBatch, objective: Objective) -> tuple[tuple[LayerCall, Trial], ...]:
    """Judge every call whose output has positions, by all tests.

    Raises:
        LayerError: The output is not one score for each class.
    """
    probabilities = plan.framework.predict(inputs, objective.output)
    if probabilities is None:
        raise LayerError(
            "The outputs of the model are not class scores, by which layers are judged. List the layers without "
            "judging them, or name a layer and explain it."
        )
    judged_by = some_classes(objective, int(probabilities.shape[1]))
    calls = [call for call in plan.framework.calls(inputs) if call.has_space]
    return tuple(
        (call, try_layer(plan, choice_of(plan, inputs, call), inputs, judged_by, is_complete=True)) for call in calls
    )


def try_layer(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective, *, is_complete: bool = False
) -> Trial:
    """Judge one layer."""
    try:
        return Trial(layer, judge_candidate(plan, layer, inputs, objective, is_complete=is_complete))
    except LayerError as error:  # such as that the scores do not depend on it, or that it has no grid of tokens
        return Trial(layer, None, str(error).split(". ")[0])


def choice_of(plan: Plan, inputs: InputBatch, call: LayerCall) -> LayerChoice:
    """Return what selects a call."""
    numbers = [other.number for other in plan.framework.calls(inputs) if other.path == call.path]
    return LayerChoice(call.path, None if call.number == max(numbers) else call.number)


def _ordered(
    plan: Plan, inputs: InputBatch, objective: Objective, candidates: Sequence[LayerCall], last: Iterable[LayerCall]
) -> list[LayerCall]:
    """Return candidates in the order in which they are tried.

    Those with the same positions as the last one come first: the parts of an attention layer have others. Before them
    all come those that nothing bypasses, where the framework's graph shows which these are.
    """
    spaces = {_space(call) for call in last}
    ordered = sorted(candidates, key=lambda call: _space(call) not in spaces)
    carrying = carrying_calls(plan.framework, inputs, objective)
    if carrying is None:
        return ordered
    is_carrying = [(call.path, call.execution) in carrying for call in ordered]
    first = [call for call, carries in zip(ordered, is_carrying, strict=True) if carries]
    return first + [call for call, carries in zip(ordered, is_carrying, strict=True) if not carries][:MAX_BYPASSED]


def carrying_calls(framework: Framework, inputs: InputBatch, objective: Objective) -> frozenset[tuple[str, int]] | None:
    """Return the calls that nothing bypasses, by path and execution; None where no graph shows it."""
    objective = replace(objective, target=objective.target.for_image(0))
    evidence, key = framework.evidence, ("carrying calls", *evidence_key(inputs, LayerChoice(AUTO), objective))
    found: tuple[frozenset[tuple[str, int]] | None] | None = evidence.get(key)
    if found is None:
        found = (_find_carrying_calls(framework, inputs, objective),)
        evidence.add(key, found)
    return found[0]


def is_carried(framework: Framework, inputs: InputBatch, objective: Objective) -> bool:
    """Whether there is a candidate of `layer="auto"` that nothing bypasses, as far as the data flow tells."""
    carrying = carrying_calls(framework, inputs, objective)
    return carrying is None or any(
        call.is_candidate and (call.path, call.execution) in carrying for call in framework.calls(inputs)
    )


def _find_carrying_calls(
    framework: Framework, inputs: InputBatch, objective: Objective
) -> frozenset[tuple[str, int]] | None:
    if not framework.compiles_batch_size and image_count(inputs) > 1:
        with suppress(ModelRunError):  # the model takes no batch of one image
            return framework.carrying_calls(image_at(inputs, 0), objective)
    return framework.carrying_calls(inputs, objective)


def _space(call: LayerCall) -> tuple[int | None, ...]:
    return () if call.shape is None else call.shape[:-1]


def _least_bypassed(trials: Sequence[Trial]) -> Trial | None:
    """Return the candidate that most of the score passes, of those that show an image whose positions reach it."""
    eligible = [
        (trial.evidence.bypass, trial)
        for trial in trials
        if trial.evidence is not None
        and trial.evidence.is_reached
        and trial.evidence.is_image
        and trial.evidence.bypass is not None
        and trial.evidence.bypass <= NOTHING
    ]
    return min(eligible, key=lambda pair: pair[0])[1] if eligible else None
