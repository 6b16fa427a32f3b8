"""The evidence by which a layer is judged: that its positions reach the score, carry it, and show the image.

It is gathered in runs of the model on real inputs, once for each shape of input, layer and kind of objective.
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from seewhy.attribution.bypass import EXACT, MAX_BYPASS, distance, measure_bypass
from seewhy.attribution.image_axes import ImageAxes, measure_axes, occluded_images
from seewhy.attribution.independence import are_mixed
from seewhy.attribution.input_box import measured_box
from seewhy.attribution.input_variants import variants, varied
from seewhy.attribution.plan import Plan
from seewhy.attribution.position_reach import PositionReach, measure_reach, reach_of_gradients
from seewhy.attribution.token_layout import captured_grid
from seewhy.errors import LayerError, ModelRunError, NoGradientError
from seewhy.frameworks import LayerChoice
from seewhy.frameworks.structures import InputBatch, image_at, image_count, is_image_batch, leaves, map_tree, only_leaf
from seewhy.frameworks.tokens import TokenGrid
from seewhy.targets import Class, Objective
from seewhy.types import Capture, Derivatives, FloatArray, GradientRule

CLASSES = 4
"""How many classes judge a layer."""

BATCHES = 2
"""How many batches judge the positions of a layer that "auto" tries: other images have other positions at once."""

RANKS = (3, 4, 5)
"""The numbers of axes of inputs, and of outputs of layers, that are compared: those of signals, images and volumes."""

IMAGES = 4
"""How many images of a batch judge a layer that "auto" tries."""


@final
@dataclass(frozen=True)
class LayerEvidence:
    """What runs of the model showed about a layer; None for what they cannot show, or what need not be known.

    Attributes:
        reach: Which positions reach the score.
        bypass: The share of the score that bypasses the layer.
        axes: How the layer's axes follow those of the image.
    """

    reach: PositionReach | None = None
    bypass: float | None = None
    axes: ImageAxes | None = None

    def __str__(self) -> str:
        """Return what is known, in a few words."""
        parts = []
        if self.reach is not None:
            parts.append(f"{self.reach.count} of {self.reach.reached.shape[1]} positions reach the score")
        if self.bypass is not None:
            parts.append(f"{self.bypass:.1%} of the score bypasses it")
        if self.axes is not None:
            parts.append(self.axes.fault or "its axes are those of the image")
        return ", ".join(parts) or "nothing is against it"

    @property
    def is_reached(self) -> bool:
        """Whether enough positions reach the score, as far as is known."""
        return self.reach is None or not self.reach.is_too_little

    @property
    def is_image(self) -> bool:
        """Whether the layer's axes are those of the image, as far as is known."""
        return self.axes is None or not self.axes.fault

    @property
    def carries_score(self) -> bool:
        """Whether most of the score passes the layer, as far as is known."""
        return self.bypass is None or self.bypass <= MAX_BYPASS

    @property
    def is_sound(self) -> bool:
        """Whether a heatmap of the layer shows where the score comes from."""
        return self.is_reached and self.is_image and self.carries_score

    @property
    def is_exact(self) -> bool:
        """Whether a heatmap of the layer shows where the score comes from, and nothing bypasses it."""
        return self.is_sound and (self.bypass is None or self.bypass <= EXACT)


class Probe(NamedTuple):
    """What runs on other images showed.

    Attributes:
        images: The images.
        activations: (M, *space, K), the layer's output for each.
        scores: (1, T), those of the first and the second image; None where the runs were for other targets.
        axes: How the layer's axes follow those of the image; None where there is no image, or no change.
    """

    images: InputBatch
    activations: FloatArray
    scores: tuple[FloatArray, FloatArray] | None
    axes: ImageAxes | None = None


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

    @property
    def is_of_one_input(self) -> bool:
        """Whether the model has one input; others than the one that a layer is computed from bypass it by design."""
        return len(leaves(self.inputs)) == 1

    def positions(self, capture: Capture) -> PositionReach:
        """Return which positions of the image have a gradient in a capture."""
        grid = self.grid(capture)
        patches = slice(None) if grid is None else slice(grid.prefix, grid.prefix + grid.patches)
        return reach_of_gradients(self.plan.framework.to_numpy(capture.require_gradients()), patches)

    def grid(self, capture: Capture) -> TokenGrid | None:
        """Return how the layer's tokens lie on the image; None if they do not."""
        return captured_grid(self.plan, self.inputs, capture, self.objective)

    def reach(self, objective: Objective, batches: int | None = None) -> PositionReach:
        """Return which positions reach the scores of an objective, in as many batches as it takes to tell."""
        framework = self.plan.framework

        def reach_of(batch: InputBatch) -> PositionReach:
            return self.positions(framework.capture(batch, self.layer, objective))

        return measure_reach(islice(variants(self.inputs), batches), reach_of)

    def probe(self, capture: Capture) -> Probe:
        """Run the model on other images than that of the capture."""
        occluded = self._occluded(capture)
        if occluded is None:
            return self._run(capture, self._pair())
        images, places = occluded
        is_blank = len(images) > len(places)
        changed, first = map_tree(lambda _: images, self.inputs), 0
        if not is_image_batch(self.inputs):
            # A patch of a volume or a signal is too small a part to tell how much of the score bypasses the layer.
            pair = self._pair()
            changed, first = _joined(pair, changed), image_count(pair)
        probe = self._run(capture, changed)
        before = probe.activations[-1:] if is_blank else self.plan.framework.to_numpy(capture.activations[:1])
        after, grid = probe.activations[first : first + len(places)], self.grid(capture)
        if grid is not None:
            before, after = (np.asarray(grid.fold(values, 1, np)) for values in (before, after))
        return probe._replace(axes=measure_axes(before, after, places))

    def _pair(self) -> InputBatch:
        """Return the first image and another one."""
        first = image_at(self.inputs, 0)
        *_, other = variants(first)
        return _joined(first, other)

    def bypass(self, capture: Capture, probe: Probe) -> float | None:
        """Return the share of the scores that bypasses the layer; None where that cannot be told.

        Where the graph shows that no path does, the model is not run.
        """
        if not self.is_of_one_input:
            return None
        if capture.is_bypassed is False:
            return 0.0
        clamp = partial(self._clamped, probe, classes_of(self.objective, capture) or self.objective.for_image(0))
        try:
            first, second = probe.scores if probe.scores is not None else (clamp(0, 0), clamp(1, 1))
            found = measure_bypass(first, clamp(0, 1), second)
            if found is None or found <= EXACT:
                return found
            noise = distance(clamp(1, 1), second)  # of a model that draws random numbers
            return max(0.0, found - noise / distance(first, second))
        except LayerError:
            return None  # the head cannot be run apart from the trunk

    def _occluded(self, capture: Capture) -> tuple[FloatArray, NDArray[np.float64]] | None:
        """Return images with changed patches and where these are; of a blank one, the image itself with noise too."""
        framework, image = self.plan.framework, only_leaf(self.inputs)
        has_rows = isinstance(image, np.ndarray) and image.ndim == len(capture.activations.shape) in RANKS
        has_rows = has_rows and (image.ndim == 4 or _has_clear_channels(image.shape, first=framework.channels_first))
        if not (has_rows or (is_image_batch(self.inputs) and self.grid(capture) is not None)):
            return None
        axes = image.ndim - 2
        box = measured_box(self.plan, self.layer, self.inputs) if axes == 2 else (*[0.0] * axes, *[1.0] * axes)
        base = varied(image[:1])
        occluded = None if box is None else occluded_images(base, box, 2 if framework.channels_first else 1)
        if occluded is None or np.array_equal(base, image[:1]):
            return occluded
        return np.concatenate([occluded[0], base]), occluded[1]

    def _run(self, capture: Capture, images: InputBatch) -> Probe:
        """Capture images in batches of no more images than the caller's.

        A framework that compiles a function for each kind of targets runs the one that it has for the caller's. Any
        other returns the scores of some classes too.
        """
        framework, count = self.plan.framework, image_count(images)
        is_compiled = capture.is_bypassed is not None
        size = image_count(self.inputs)
        if are_mixed(framework, self.inputs, self.layer, self.objective):
            size = 1
        elif not framework.compiles_batch_size:
            size = min(size, count)
        objective = None if is_compiled else classes_of(self.objective, capture)
        has_scores = objective is not None
        objective = objective or self.objective
        objective = replace(objective, target=objective.target.slice_images(0, size))
        how = (self.derivatives, self.gradient_rule) if is_compiled else ("none", "plain")
        captures = [
            framework.capture(_rows(images, start, size), self.layer, objective, *how)
            for start in range(0, count, size)
        ]
        activations = np.concatenate([framework.to_numpy(part.activations) for part in captures])[:count]
        scores = np.concatenate([framework.to_numpy(part.scores) for part in captures])
        pair = (scores[:1], scores[1:2]) if has_scores else None
        return Probe(images, activations, pair)

    def _clamped(self, probe: Probe, objective: Objective, image: int, source: int) -> FloatArray:
        """Return the scores (1, T) of an image with the layer's activations of another one."""
        framework = self.plan.framework
        batch = image_at(probe.images, image)
        return framework.to_numpy(framework.clamp(batch, self.layer, objective, probe.activations[source : source + 1]))


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
        return _probed(judge, capture, None, with_bypass=False)
    reach = _judge_reach(judge, capture)
    if reach is not None and reach.is_too_little:
        return LayerEvidence(reach)
    return _probed(judge, capture, reach)


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
    if not plan.framework.compiles_batch_size and image_count(inputs) > IMAGES:
        try:
            first = map_tree(lambda array: array[:IMAGES], inputs)
            return _judge_batch(plan, layer, first, objective, is_complete=is_complete)
        except ModelRunError:
            pass  # a model that is written for batches of the caller's size
    return _judge_batch(plan, layer, inputs, objective, is_complete=is_complete)


def _judge_batch(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective, *, is_complete: bool
) -> LayerEvidence:
    """Judge a candidate by all images of a batch."""
    count = image_count(inputs)
    objective = replace(objective, target=objective.target.slice_images(0, count))
    judge = LayerJudge(plan, layer, inputs, objective)
    capture = plan.framework.capture(inputs, layer, objective)
    if capture.activations.shape[0] != count:
        raise LayerError(f"The layer {capture.layer!r} has {capture.activations.shape[0]} rows for {count} images.")
    own = judge.positions(capture)
    reach: PositionReach | None = own
    if not (len(own.reached) and own.is_enough):
        reach = _reach_in_others(judge, objective, BATCHES) if _has_classes(capture) else None
    if reach is not None and reach.is_too_little and not is_complete:
        return LayerEvidence(reach)
    return _probed(judge, capture, reach)


def _probed(
    judge: LayerJudge, capture: Capture, reach: PositionReach | None, *, with_bypass: bool = True
) -> LayerEvidence:
    """Return evidence with what runs on other images show."""
    try:
        probe = judge.probe(capture)
        return LayerEvidence(reach, judge.bypass(capture, probe) if with_bypass else None, probe.axes)
    except ModelRunError:
        return LayerEvidence(reach)  # the model runs on the caller's batch, and not on others or on one image


def classes_of(objective: Objective, capture: Capture) -> Objective | None:
    """Return an objective of some classes of an output that is a score for each class; None for other outputs."""
    return some_classes(objective, int(capture.outputs.shape[1])) if _has_classes(capture) else None


def some_classes(objective: Objective, count: int) -> Objective:
    """Return an objective of some of `count` classes."""
    indices = np.linspace(0, count - 1, CLASSES).astype(int)
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
        reach = judge.positions(capture)
        if reach.is_enough:
            return reach
    try:
        return _reach_in_others(judge, objective)
    except NoGradientError:
        return None  # a method that needs none goes on


def _reach_in_others(judge: LayerJudge, objective: Objective, batches: int | None = None) -> PositionReach | None:
    """Return which positions reach the scores in other images too; None where the model does not run on these."""
    try:
        return judge.reach(objective, batches)
    except ModelRunError:
        return None


def _rows(images: InputBatch, start: int, size: int) -> InputBatch:
    """Return `size` images from one on, and from the first one again after the last."""
    rows = np.arange(start, start + size) % image_count(images)
    return map_tree(partial(np.take, indices=rows, axis=0), images)


def _has_clear_channels(shape: tuple[int, ...], *, first: bool) -> bool:
    """Whether an input of one or three axes of space surely has its channels first, or last.

    A PyTorch model of videos may take (N, T, C, H, W), and one of signals (N, L, C).
    """
    channels, space = (shape[1], shape[2:]) if first else (shape[-1], shape[1:-1])
    return channels < min(space) and not (first and len(space) == 3 and space[0] == 3)


def _joined(first: InputBatch, second: InputBatch) -> InputBatch:
    """Return two batches of one structure as one."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {name: _joined(first[name], second[name]) for name in first}
    if isinstance(first, (list, tuple)):
        return [_joined(*pair) for pair in zip(first, second, strict=True)]
    return np.concatenate([first, second])
