"""The middle of the pipeline: capture and method, from a plan to raw heatmaps."""

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import final

import numpy as np

from seewhy import timing
from seewhy.attribution.attention import attribute_attention, last_layer
from seewhy.attribution.augmentation import Augmentation, average_augmented
from seewhy.attribution.channel_weights import check_channel_weights
from seewhy.attribution.checks import check_capture, check_finite, check_saturation, check_scores
from seewhy.attribution.fusion import fuse_heatmaps
from seewhy.attribution.input_box import layer_input_box
from seewhy.attribution.layer_capture import capture_layer
from seewhy.attribution.perturbation_runner import PerturbationRunner, run_perturbations
from seewhy.attribution.plan import Plan, gradcam_plan
from seewhy.attribution.stages import stage_layers
from seewhy.attribution.target_chunks import heatmaps_by_chunks
from seewhy.attribution.token_layout import fold_tokens
from seewhy.errors import LayerError
from seewhy.frameworks import LayerChoice
from seewhy.frameworks.structures import InputBatch, image_count, map_tree
from seewhy.targets import Objective
from seewhy.timing import Phase
from seewhy.types import AttentionCapture, Capture, FloatArray


@final
@dataclass(frozen=True)
class Attribution:
    """Raw heatmaps, and what they were made of.

    Attributes:
        capture: What the first layer's run captured; `layer` names all layers, with commas. For methods of the family
            "attention", what all attention layers computed.
        heatmaps: float32 (N, T, *space), before the ReLU.
        layers: The layers that were explained; for "auto", those that it selected. For methods of the family
            "attention" the last layer of the model that has positions, by which the heatmap is placed; empty if there
            is none.
    """

    capture: Capture | AttentionCapture
    heatmaps: FloatArray
    layers: tuple[LayerChoice, ...]


def attribute(plan: Plan, inputs: InputBatch, objective: Objective) -> Attribution:
    """Return the raw heatmaps of a batch.

    Args:
        plan: What is tapped, and which strategy makes the heatmaps.
        inputs: Checked by `Framework.check_inputs`.
        objective: What is differentiated; of the kind that the plan was made for.

    Raises:
        LayerError, TargetError, ModelRunError: The layer, the target or the model does not allow it.
    """
    layers = [_attribute_layer(plan, layer, inputs, objective) for layer in plan.layers]
    capture = layers[0].capture
    if plan.method.fuse is not None and len(layers) == 1 and isinstance(capture, Capture):
        more = stage_layers(plan, layers[0].layers[0], inputs, objective, capture)
        layers += [_attribute_layer(plan, layer, inputs, objective) for layer in more]
    attribution = layers[0] if len(layers) == 1 else _fuse(plan, layers)
    return _average(plan, inputs, objective, attribution) if plan.augmentations else attribution


@timing.phase(Phase.RUNNING)
def _attribute_layer(plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective) -> Attribution:
    """Capture at one layer, make heatmaps by the plan's strategy, and check both."""
    if plan.strategy == "attention":
        attention, heatmaps = attribute_attention(plan, inputs, objective)
        check_scores(attention, image_count(inputs), plan.classifier)
        _check_heatmaps(plan, objective, attention, heatmaps)
        return Attribution(attention, heatmaps, last_layer(plan.framework, inputs))
    layer, capture = capture_layer(plan, layer, inputs, objective)
    check_capture(capture, image_count(inputs), plan.classifier)
    if plan.strategy == "perturbations":
        heatmaps = _from_perturbations(plan, layer, inputs, objective, capture)
    elif plan.strategy == "chunks":
        heatmaps = _from_chunks(plan, layer, inputs, objective, capture)
    else:
        heatmaps = plan.framework.to_numpy(plan.framework.apply(plan.method, capture))
    _check_heatmaps(plan, objective, capture, heatmaps)
    return Attribution(capture, heatmaps, (layer,))


def _check_heatmaps(
    plan: Plan, objective: Objective, capture: Capture | AttentionCapture, heatmaps: FloatArray
) -> None:
    scores = plan.framework.to_numpy(capture.scores)
    check_finite(heatmaps, scores)
    if objective.score == "probability" and plan.method.family in ("gradient", "attention"):
        check_saturation(heatmaps, scores)


def _from_chunks(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective, capture: Capture
) -> FloatArray:
    if capture.closed_form is not None:
        return plan.framework.to_numpy(capture.closed_form)
    tap, prepare = plan.tap(layer), partial(_prepare, plan, layer, objective)
    return heatmaps_by_chunks(plan.framework, plan.method, inputs, tap, objective, capture, prepare)


def _from_perturbations(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective, capture: Capture
) -> FloatArray:
    method, framework = plan.method, plan.framework

    @cache
    def find_layer() -> LayerChoice:
        """Return the layer; for a method of the input that reads one too, found as that of Grad-CAM is."""
        return layer if method.level == "layer" else capture_layer(gradcam_plan(plan), layer, inputs, objective)[0]

    runner = PerturbationRunner(
        framework,
        inputs,
        find_layer,
        objective,
        plan.batch_size,
        title=method.title,
        progress=plan.progress,
        input_box=lambda: layer_input_box(plan, find_layer(), inputs),
        prepare=lambda inputs, capture: _prepare(plan, find_layer(), objective, inputs, capture),
    )
    return run_perturbations(method, runner, capture)


def _prepare(plan: Plan, layer: LayerChoice, objective: Objective, inputs: InputBatch, capture: Capture) -> Capture:
    """Fold the tokens of a layer that was captured again, and check its gradients."""
    capture = fold_tokens(plan, inputs, capture, objective)
    check_channel_weights(plan.framework, plan.method, inputs, layer, objective, capture)
    return capture


def _fuse(plan: Plan, layers: list[Attribution]) -> Attribution:
    """Fuse the heatmaps of several layers."""
    names = ", ".join(attribution.capture.layer for attribution in layers)
    heatmaps = fuse_heatmaps([attribution.heatmaps for attribution in layers], plan.fuse)
    choices = tuple(layer for attribution in layers for layer in attribution.layers)
    capture = layers[0].capture
    assert isinstance(capture, Capture)  # noqa: S101  # attention layers are explained together, as one
    return Attribution(replace(capture, layer=names), heatmaps, choices)


def _average(plan: Plan, inputs: InputBatch, objective: Objective, attribution: Attribution) -> Attribution:
    """Average the heatmaps with those of augmented inputs, for the classes that the inputs themselves gave."""
    objective = objective.with_classes(plan.framework.to_numpy(attribution.capture.indices))
    heatmaps = (
        (augmentation, _augmented_heatmaps(plan, augmentation, inputs, objective))
        for augmentation in plan.augmentations
    )
    return replace(attribution, heatmaps=average_augmented(attribution.heatmaps, heatmaps))


def _augmented_heatmaps(plan: Plan, augmentation: Augmentation, inputs: InputBatch, objective: Objective) -> FloatArray:
    """Return the heatmaps of augmented inputs, not yet moved back into place."""

    def augment(images: FloatArray) -> FloatArray:
        if plan.framework.channels_first:
            images = np.moveaxis(augmentation.apply(np.moveaxis(images, 1, -1)), -1, 1)
        else:
            images = augmentation.apply(images)
        return np.ascontiguousarray(images)

    attribution = attribute(
        plan.without_augmentation(), map_tree(augment, inputs), objective.transform(augmentation.apply)
    )
    if attribution.heatmaps.ndim != 4:
        raise LayerError(
            f"augmentation= needs heatmaps with two spatial axes, and the layer {attribution.capture.layer!r} has "
            f"{attribution.heatmaps.ndim - 2}. Leave it out, or give another layer."
        )
    return attribution.heatmaps
