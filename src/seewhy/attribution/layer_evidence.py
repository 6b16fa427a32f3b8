"""The evidence by which a layer is judged: that its positions reach the score, that it carries it, and shows a picture.

It is gathered in runs of the model on real inputs, once for each shape of input, layer and kind of objective.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np

from seewhy.attribution.bypass import EXACT, MAX_BYPASS, measure_bypass
from seewhy.attribution.independence import capture_images
from seewhy.attribution.input_box import measured_box
from seewhy.attribution.input_variants import noise_like, varied, variants
from seewhy.attribution.picture_axes import PictureAxes, measure_axes, occluded_images
from seewhy.attribution.plan import Plan
from seewhy.attribution.position_reach import PositionReach, measure_reach, reach_of_gradients
from seewhy.errors import LayerError
from seewhy.frameworks import LayerChoice
from seewhy.frameworks.structures import InputBatch, image_count, map_tree, only_leaf
from seewhy.images.geometry import WHOLE
from seewhy.targets import Class, Objective
from seewhy.types import Capture, Derivatives, FloatArray, GradientRule

CLASSES = 4
"""How many classes judge a layer."""

IMAGES = 4
"""How many images of a batch judge a layer that "auto" tries."""


@final
@dataclass(frozen=True)
class LayerEvidence:
    """What runs of the model showed about a layer; None for what they cannot show, or what need not be known.

    Attributes:
        reach: Which positions reach the score.
        bypass: The share of the score that bypasses the layer.
        axes: How the layer's axes follow those of the picture.
    """

    reach: PositionReach | None = None
    bypass: float | None = None
    axes: PictureAxes | None = None

    @property
    def is_reached(self) -> bool:
        """Whether enough positions reach the score, as far as is known."""
        return self.reach is None or not self.reach.is_too_little

    @property
    def is_picture(self) -> bool:
        """Whether the layer's axes are those of the picture, as far as is known."""
        return self.axes is None or not self.axes.fault

    @property
    def carries_score(self) -> bool:
        """Whether most of the score passes the layer, as far as is known."""
        return self.bypass is None or self.bypass <= MAX_BYPASS

    @property
    def is_sound(self) -> bool:
        """Whether a heatmap of the layer shows where the score comes from."""
        return self.is_reached and self.is_picture and self.carries_score

    @property
    def is_exact(self) -> bool:
        """Whether a heatmap of the layer shows where the score comes from, and nothing bypasses it."""
        return self.is_sound and (self.bypass is None or self.bypass <= EXACT)


@final
@dataclass(frozen=True)
class LayerJudge:
    """Gathers evidence about one layer.

    Args:
        plan: Has the framework.
        layer: The layer.
        inputs: The caller's batch.
        objective: Of the caller, or one of some classes, for whose captures a function is compiled.
        derivatives: Likewise.
        gradient_rule: Likewise.
    """

    plan: Plan
    layer: LayerChoice
    inputs: InputBatch
    objective: Objective
    derivatives: Derivatives = "gradients"
    gradient_rule: GradientRule = "plain"

    def reach(self, objective: Objective) -> PositionReach:
        """Return which positions reach the scores of an objective, in as many images as it takes to tell."""
        framework = self.plan.framework

        def gradients_of(batch: InputBatch) -> FloatArray:
            capture = framework.capture(batch, self.layer, objective)
            return framework.to_numpy(capture.require_gradients())

        return measure_reach(variants(self.inputs), gradients_of)

    def bypass(self, capture: Capture) -> float | None:
        """Return the share of the scores that bypasses the layer; None where the framework cannot tell.

        Where the graph shows that no path does, the model is not run.
        """
        if capture.is_bypassed is False:
            return 0.0
        objective = classes_of(self.objective, capture) or self.objective.for_image(0)
        for images in self._pairs():
            try:
                activations = self._activations(images)
                found = measure_bypass(partial(self._clamped, images, activations, objective))
            except LayerError:
                return None  # the head cannot be run apart from the trunk
            if found is not None:
                return found
        return None

    def axes(self, capture: Capture) -> PictureAxes | None:
        """Return how the layer's axes follow those of the picture; None where there is no picture, or no change."""
        image, framework = only_leaf(self.inputs), self.plan.framework
        if not isinstance(image, np.ndarray) or image.ndim != 4 or not 3 <= len(capture.activations.shape) <= 4:
            return None
        is_flat = len(capture.activations.shape) < 4
        box = WHOLE if is_flat else measured_box(self.plan, self.layer, self.inputs)
        base = varied(image[:1])
        occluded = None if box is None else occluded_images(base, box, 2 if framework.channels_first else 1)
        if occluded is None:
            return None  # a warning says that the box cannot be measured
        images, places = occluded
        is_blank = not np.array_equal(base, image[:1])
        if is_blank:
            images = np.concatenate([images, base])
        after = self._activations(map_tree(lambda _: images, self.inputs))
        before = after[len(places) :] if is_blank else framework.to_numpy(capture.activations[:1])
        return measure_axes(before, after[: len(places)], places)

    def _pairs(self) -> Iterator[InputBatch]:
        """Yield pairs of images: the first image beside itself with its values in other places, and beside noise."""
        first = map_tree(lambda array: array[:1], self.inputs)
        *_, other = variants(first)
        for second in (other, map_tree(lambda array: noise_like(array, array.shape), first)):
            yield _joined(first, second)

    def _activations(self, images: InputBatch) -> FloatArray:
        """Return the layer's activations (M, *space, K) of images, run in batches of no more images than the caller's.

        The function is used that is compiled for the caller's capture.
        """
        framework, count = self.plan.framework, image_count(images)
        size = image_count(self.inputs)
        size = size if framework.compiles_batch_size else min(size, count)
        objective = replace(self.objective, target=self.objective.target.slice_images(0, size))
        parts = []
        for start in range(0, count, size):
            rows = np.arange(start, start + size) % count
            batch = map_tree(partial(np.take, indices=rows, axis=0), images)
            capture = capture_images(framework, batch, self.layer, objective, self.derivatives, self.gradient_rule)
            parts.append(framework.to_numpy(capture.activations))
        return np.concatenate(parts)[:count]

    def _clamped(
        self, images: InputBatch, activations: FloatArray, objective: Objective, rows: list[int], sources: list[int]
    ) -> FloatArray:
        batch = map_tree(lambda array: array[rows], images)
        framework = self.plan.framework
        return framework.to_numpy(framework.clamp(batch, self.layer, objective, activations[sources]))


def judge_capture(
    plan: Plan,
    layer: LayerChoice,
    inputs: InputBatch,
    objective: Objective,
    capture: Capture,
    *,
    is_auto: bool = False,
) -> LayerEvidence:
    """Return the evidence about a layer that was captured for a plan.

    A method that reads no gradients may be given whatever layer the caller wants, so only the axes of such a layer are
    judged, unless it is for "auto".
    """
    if capture.activations.shape[0] != image_count(inputs):
        return LayerEvidence()  # the checks of a capture say what is wrong
    judge = LayerJudge(plan, layer, inputs, objective, plan.derivatives, plan.method.gradient_rule)
    if not (is_auto or plan.method.family == "gradient"):
        return LayerEvidence(axes=judge.axes(capture))
    reach = _judge_reach(judge, capture)
    if reach is not None and reach.is_too_little:
        return LayerEvidence(reach)
    return LayerEvidence(reach, judge.bypass(capture), judge.axes(capture))


def judge_candidate(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective, *, is_complete: bool = False
) -> LayerEvidence:
    """Return the evidence about a candidate of "auto", by an objective of some classes.

    Args:
        plan: Has the framework.
        layer: The candidate.
        inputs: The caller's batch.
        objective: What the candidate is judged by; each image has the same targets.
        is_complete: Go on where one test failed already.

    Raises:
        LayerError: The scores do not depend on it, or its output cannot be reached.
    """
    inputs = inputs if plan.framework.compiles_batch_size else map_tree(lambda array: array[:IMAGES], inputs)
    count = image_count(inputs)
    objective = replace(objective, target=objective.target.slice_images(0, count))
    judge = LayerJudge(plan, layer, inputs, objective)
    capture = plan.framework.capture(inputs, layer, objective)
    if capture.activations.shape[0] != count:
        raise LayerError(f"The layer {capture.layer!r} has {capture.activations.shape[0]} rows for {count} images.")
    reach: PositionReach | None = reach_of_gradients(plan.framework.to_numpy(capture.require_gradients()))
    if reach is not None and not (len(reach.reached) and reach.is_enough):
        reach = judge.reach(objective) if _has_classes(capture) else None
    if reach is not None and reach.is_too_little and not is_complete:
        return LayerEvidence(reach)
    found = LayerEvidence(reach, judge.bypass(capture))
    return found if not (found.is_sound or is_complete) else replace(found, axes=judge.axes(capture))


def classes_of(objective: Objective, capture: Capture) -> Objective | None:
    """Return an objective of some classes of an output that is a score for each class; None for other outputs."""
    if not _has_classes(capture):
        return None
    indices = np.linspace(0, int(capture.outputs.shape[1]) - 1, CLASSES).astype(int)
    return replace(objective, target=Class(tuple(sorted(set(indices.tolist())))), score="logit")


def _has_classes(capture: Capture) -> bool:
    return len(getattr(capture.outputs, "shape", ())) == 2


def _judge_reach(judge: LayerJudge, capture: Capture) -> PositionReach | None:
    """Return which positions reach the score; None where there is no need to know, or no way to.

    Where the output is not one score for each class, the target itself may select positions. The closed form exists
    only where the mean of all positions is read.
    """
    objective = classes_of(judge.objective, capture)
    if objective is None or capture.closed_form is not None:
        return None
    if capture.gradients is not None:
        reach = reach_of_gradients(judge.plan.framework.to_numpy(capture.gradients))
        if reach.is_enough:
            return reach
    try:
        return judge.reach(objective)
    except LayerError:
        return None  # there is no gradient; a method that needs none goes on


def _joined(first: InputBatch, second: InputBatch) -> InputBatch:
    """Return two batches of one structure as one."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {name: _joined(first[name], second[name]) for name in first}
    if isinstance(first, (list, tuple)):
        return [_joined(*pair) for pair in zip(first, second, strict=True)]
    return np.concatenate([first, second])
