"""Capturing at a layer whose positions reach the score, which their gradients show.

A class token is the only position of a transformer's last layers that reaches the score, and the last step the only one
of a recurrent layer whose sequence is read no further. The gradient of all other positions is exactly 0, so a heatmap
of such a layer shows nothing about the image. Maximum pooling also gives few positions a gradient, but others in each
image; and where the outputs are those of positions, one class reads one of them, and others read others. So a layer is
judged by several images and classes: few positions have a gradient, and they are the same for all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.attribution.checks import check_channel_weights
from seewhy.attribution.evidence_key import evidence_key
from seewhy.attribution.independence import capture_images
from seewhy.attribution.plan import Plan
from seewhy.attribution.token_layout import captured_grid, fold_tokens
from seewhy.errors import LayerError, NoGradientError, warn
from seewhy.frameworks import LayerCall, LayerChoice
from seewhy.frameworks.structures import InputBatch, map_tree
from seewhy.targets import Class, Objective, TopK
from seewhy.types import BoolArray, Capture

MIN_SHARE = 0.25
"""The share of positions that must reach the score in some image, unless they differ from image to image."""

CLASSES = 4
"""How many classes judge a layer."""

MAX_TRIED = 48
"""How many layers "auto" tries at most, each in a run of the model."""


@final
@dataclass(frozen=True)
class _Reach:
    """Which positions of a layer reach the score.

    Attributes:
        reached: (M, positions), which positions have a gradient, for each target of each image that has any.
    """

    reached: BoolArray

    @property
    def is_enough(self) -> bool:
        """Whether enough positions reach a score of some image, or others in each image."""
        return self.count >= MIN_SHARE * self.reached.shape[1] or bool((self.reached != self.reached[:1]).any())

    @property
    def is_too_little(self) -> bool:
        """Whether few positions reach the scores, the same in each of several images."""
        return len(self.reached) > 1 and not self.is_enough

    @property
    def count(self) -> int:
        """The number of positions that reach the score in some image."""
        return int(self.reached.any(axis=0).sum())


def capture_reaching(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective
) -> tuple[LayerChoice, Capture]:
    """Capture at a layer; for "auto", at the last candidate whose positions reach the score.

    A layer is judged once for each shape of input and kind of objective. A layer that the caller named is captured as
    it is; a warning says if its positions do not reach the score.

    Returns:
        The layer, and what was captured there.

    Raises:
        NoGradientError: No gradient reaches the layer; for "auto", none reaches any candidate either. Otherwise as for
            `Framework.capture`.
    """
    if plan.method.level == "input":
        return layer, _capture(plan, inputs, objective, plan.tap(layer))
    layer, capture = _capture_reaching(plan, layer, inputs, objective)
    return layer, fold_tokens(plan, inputs, capture, objective)


def _capture_reaching(
    plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective
) -> tuple[LayerChoice, Capture]:
    """Do the same for a layer's positions as they are, with tokens along one axis."""
    capture_at = partial(_capture, plan, inputs, objective)
    key, evidence = ("reach", *evidence_key(inputs, layer, objective)), plan.framework.evidence
    known: LayerChoice | None = evidence.get(key)
    if known is not None:
        return known, capture_at(known)
    try:
        capture = capture_at(layer)
    except NoGradientError:
        earlier = _last_reaching(plan, layer, inputs, _few_targets(plan, objective))
        if earlier is None:
            raise
    else:
        reach = _judge(plan, layer, inputs, objective, capture)
        is_too_little = reach is not None and reach.is_too_little
        earlier = _last_reaching(plan, layer, inputs, _some_classes(objective, capture)) if is_too_little else None
        if earlier is None:
            _warn(plan, layer, fold_tokens(plan, inputs, capture, objective), reach)
            if reach is None or len(reach.reached):
                evidence.add(key, layer)
            return layer, capture
    evidence.add(key, earlier)
    return earlier, capture_at(earlier)


def _capture(plan: Plan, inputs: InputBatch, objective: Objective, layer: LayerChoice) -> Capture:
    return capture_images(plan.framework, inputs, layer, objective, plan.derivatives, plan.method.gradient_rule)


def _judge(plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective, capture: Capture) -> _Reach | None:
    """Return which positions reach the score; None where there is no need to know, or no way to.

    Where the output is not one score for each class, the target itself may select positions. The closed form exists
    only where the mean of all positions is read.
    """
    if len(getattr(capture.outputs, "shape", ())) != 2 or capture.closed_form is not None:
        return None
    if capture.gradients is not None:
        reach = _Reach(_reached(plan, inputs, objective, capture))
        if reach.is_enough:
            return reach
    elif not layer.is_auto and plan.method.family != "gradient":
        return None  # such a method reads activations or scores, of whatever layer the caller wants
    try:
        return _reach(plan, layer, inputs, _some_classes(objective, capture))
    except LayerError:
        return None  # there is no gradient; a method that needs none goes on


def _reach(plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective) -> _Reach:
    """Return which positions of a layer reach the scores, in as many images as it takes to tell."""
    reach, rows = _Reach(np.zeros((0, 1), bool)), []
    for batch in _variants(inputs):
        rows.append(_reached(plan, batch, objective, plan.framework.capture(batch, layer, objective)))
        reach = _Reach(np.concatenate(rows))
        if len(reach.reached) and reach.is_enough:
            break
    return reach


def _reached(plan: Plan, inputs: InputBatch, objective: Objective, capture: Capture) -> BoolArray:
    """Return which positions have a gradient, (M, positions), for the M targets of images for which any has one.

    The positions of tokens are those of patches: a class token alone makes no heatmap.
    """
    gradients = plan.framework.to_numpy(capture.require_gradients())
    images, targets, *_, channels = gradients.shape
    reached = (gradients.reshape(images * targets, -1, channels) != 0).any(axis=2)
    rows = np.asarray(reached[reached.any(axis=1)])
    grid = captured_grid(plan, inputs, capture, objective)
    return rows if grid is None else rows[:, grid.prefix : grid.prefix + grid.patches]


def _some_classes(objective: Objective, capture: Capture) -> Objective:
    """Return an objective of some classes of an output that is a score for each class."""
    indices = np.linspace(0, int(capture.outputs.shape[1]) - 1, CLASSES).astype(int)
    return replace(objective, target=Class(tuple(sorted(set(indices.tolist())))), score="logit")


def _few_targets(plan: Plan, objective: Objective) -> Objective:
    """Return the objective, or one class where it is many: the gradients of all would take much memory."""
    return replace(objective, target=TopK(1)) if plan.strategy == "chunks" else objective


def _variants(inputs: InputBatch) -> Iterator[InputBatch]:
    """Yield the batch, and then the same values in other places: other images of the same shape."""
    yield inputs
    inputs = map_tree(_varied, inputs)
    for change in (_reversed, _rolled, lambda array: _reversed(_rolled(array))):
        yield map_tree(change, inputs)


def _varied(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array whose values differ: those of a blank image are the same in any places."""
    if (array != array.flat[0]).any() or array.dtype.kind != "f":
        return array
    noise = np.random.default_rng(0).standard_normal(array.shape)
    return (array + noise).astype(array.dtype)


def _reversed(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(np.flip(array, axis=tuple(range(1, array.ndim))))


def _rolled(array: NDArray[Any]) -> NDArray[Any]:
    axes = tuple(range(1, array.ndim))
    return np.roll(array, tuple(array.shape[axis] // 3 for axis in axes), axes)


def _last_reaching(plan: Plan, layer: LayerChoice, inputs: InputBatch, objective: Objective) -> LayerChoice | None:
    """Return the last candidate of "auto" whose positions reach the score; None if there is none, or a layer was named.

    Candidates with the same positions as the last one come first: the parts of an attention layer have others.
    """
    if not layer.is_auto:
        return None
    calls = plan.framework.calls(inputs)
    last, *earlier = [call for call in reversed(calls) if call.is_candidate]
    for call in sorted(earlier, key=lambda call: _space(call) != _space(last))[:MAX_TRIED]:
        is_last_call = call.number == max(other.number for other in calls if other.path == call.path)
        candidate = LayerChoice(call.path, None if is_last_call else call.number)
        try:
            reach = _reach(plan, candidate, inputs, objective)
        except LayerError:
            continue  # the scores do not depend on it, or its output cannot be reached
        if len(reach.reached) and reach.is_enough:
            return candidate
    return None


def _space(call: LayerCall) -> tuple[int | None, ...]:
    return () if call.shape is None else call.shape[:-1]


def _warn(plan: Plan, layer: LayerChoice, capture: Capture, reach: _Reach | None) -> None:
    """Warn of a layer whose heatmap shows nothing."""
    if reach is None or not reach.is_too_little:
        if plan.method.name == "gradcam" and capture.gradients is not None:
            check_channel_weights(plan.framework.to_numpy(capture.gradients), capture.layer)
        return
    advice = (
        "No earlier layer was found whose positions do. Name the layer to explain."
        if layer.is_auto
        else "Name an earlier layer; layer='auto' takes the last one whose positions reach the score."
    )
    warn(
        f"Only {reach.count} of {reach.reached.shape[1]} positions of the layer {capture.layer!r} reach the score, the "
        "same in every image, such as that of a class token. The heatmap shows nothing about the others: their "
        f"gradient is always 0. {advice}"
    )
