"""Capturing at the layer that is explained: the one that the caller named, or that the evidence supports for "auto"."""

import logging
from dataclasses import replace

from seewhy.attribution.auto_layer import layer_after, search_layer
from seewhy.attribution.channel_weights import check_channel_weights
from seewhy.attribution.evidence_key import evidence_key
from seewhy.attribution.independence import capture_images
from seewhy.attribution.layer_evidence import LayerEvidence, classes_of, judge_capture
from seewhy.attribution.layer_warnings import no_layer, warn_of_auto, warn_of_named
from seewhy.attribution.pixel_classes import pixel_layer, reads_pixels
from seewhy.attribution.plan import Plan
from seewhy.attribution.token_layout import fold_tokens
from seewhy.errors import NoGradientError, TokenGridError, warn
from seewhy.frameworks import LayerChoice
from seewhy.frameworks.structures import InputBatch, shape_key
from seewhy.targets import Objective, TopK
from seewhy.types import Capture

_logger = logging.getLogger("seewhy.attribution")


def capture_layer(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective
) -> tuple[LayerChoice, Capture]:
    """Capture at a layer; for "auto", at the last candidate that the evidence supports.

    For "auto" and regions of a segmentation, that is the layer of `pixel_layer`.

    A layer is judged once for each shape of input and kind of objective. A layer that the caller named is captured as
    it is; a warning says if the evidence is against it.

    Returns:
        The layer, and what was captured there, with tokens folded into the rows and columns of the image.

    Raises:
        NoGradientError: No gradient reaches the layer; for "auto", none reaches any candidate either.
        LayerError: For "auto", the evidence supports no layer; or the grid of the layer's tokens cannot be
            determined. Otherwise as for `Framework.capture`.
    """
    if plan.method.level == "input":
        return layer, _capture(plan, inputs, objective, plan.tap(layer))
    if layer.is_auto and reads_pixels(objective.target):
        layer = pixel_layer(plan, inputs, objective)
    key, evidence = ("layer", *evidence_key(inputs, layer, objective), plan.tokens), plan.framework.evidence
    known: LayerChoice | None = evidence.get(key)
    if known is not None:
        return known, fold_tokens(plan, inputs, _capture(plan, inputs, objective, known), objective)
    capture_judged = _capture_auto if layer.is_auto else _capture_named
    layer, capture, found = capture_judged(plan, layer, inputs, objective)
    capture = fold_tokens(plan, inputs, capture, objective)
    if found.is_sound:
        check_channel_weights(plan.framework, plan.method, inputs, layer, objective, capture)
    if found.reach is None or len(found.reach.reached):
        evidence.add(key, layer)
    return layer, capture


def trust_layer(plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective) -> None:
    """Have `capture_layer` capture at a layer as it is, without judging it."""
    plan.framework.evidence.add(("layer", *evidence_key(inputs, layer, objective), plan.tokens), layer)


def _capture(plan: Plan, inputs: InputBatch, objective: Objective, layer: LayerChoice) -> Capture:
    return capture_images(plan.framework, inputs, layer, objective, plan.derivatives, plan.method.gradient_rule)


def _capture_named(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective
) -> tuple[LayerChoice, Capture, LayerEvidence]:
    capture = _capture(plan, inputs, objective, layer)
    found = judge_capture(plan, layer, inputs, objective, capture)
    if not found.is_sound:
        judged_by = classes_of(objective, capture) or _few_targets(plan, objective)
        is_compiled = capture.is_bypassed is not None
        warn_of_named(found, capture.layer, _better(plan, layer, inputs, judged_by, found, is_compiled=is_compiled))
    return layer, capture, found


def _capture_auto(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective
) -> tuple[LayerChoice, Capture, LayerEvidence]:
    """Capture at the last candidate, or at an earlier one where the evidence is against it.

    What "auto" took before for the same output and other targets is tried first.
    """
    evidence, key = plan.framework.evidence, _auto_key(plan, inputs, objective)
    likely: LayerChoice = evidence.get(key) or layer
    found: LayerEvidence | None = None
    judged_by, failure = _few_targets(plan, objective), None
    try:
        capture = _capture(plan, inputs, objective, likely)
        judged_by = classes_of(objective, capture) or judged_by
        found = judge_capture(plan, likely, inputs, objective, capture, is_auto=True)
    except (NoGradientError, TokenGridError) as error:
        failure = error
    else:
        if found.is_sound:
            _logger.info("layer=auto takes %s: %s", capture.layer, found)
            evidence.add(key, likely)
            return likely, capture, found
    search = search_layer(plan, inputs, judged_by, found if likely.is_auto else None)
    if search.found is None or search.found.evidence is None:
        raise failure or no_layer(search.trials)
    chosen, found = search.found.layer, search.found.evidence
    if isinstance(failure, TokenGridError):
        warn(f"{failure} layer='auto' takes {str(chosen)!r} instead.")
    _logger.info("layer=auto takes %s, after %d candidates were tried: %s", chosen, len(search.trials), found)
    warn_of_auto(found, str(chosen))
    evidence.add(key, chosen)
    return chosen, _capture(plan, inputs, objective, chosen), found


def _auto_key(plan: Plan, inputs: InputBatch, objective: Objective) -> tuple[object, ...]:
    return ("auto", shape_key(inputs), objective.output, objective.reads_one_output, plan.tokens)


def _few_targets(plan: Plan, objective: Objective) -> Objective:
    """Return the objective, or one class where it is many: the gradients of all would take much memory."""
    return replace(objective, target=TopK(1)) if plan.strategy == "chunks" else objective


def _better(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective, found: LayerEvidence, *, is_compiled: bool
) -> str | None:
    """Return the layer to name instead: the next one that carries the score, or else the one that "auto" takes.

    None if there is none, or if finding one takes the compilation of a function for each layer that is tried.
    """
    after = None
    if found.is_reached and found.is_image:
        after = layer_after(plan, layer, inputs, objective, is_compiled=is_compiled)
    known: LayerChoice | None = after or plan.framework.evidence.get(_auto_key(plan, inputs, objective))
    if known is not None:
        return str(known)
    search = None if is_compiled else search_layer(plan, inputs, objective)
    return None if search is None or search.found is None else str(search.found.layer)
