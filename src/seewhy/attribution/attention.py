"""Explaining all attention layers of a model together: from their maps to heatmaps on the grid of tokens."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.attribution.checks import output_of
from seewhy.attribution.evidence_key import evidence_key
from seewhy.attribution.independence import capture_attention_of_images
from seewhy.attribution.plan import Plan
from seewhy.attribution.token_layers import check_token_layers
from seewhy.attribution.token_layout import find_token_grid
from seewhy.errors import LayerError
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.layers import AUTO
from seewhy.frameworks.structures import InputBatch, image_count, map_tree
from seewhy.methods.attention_chain import chain_steps, check_links, map_shapes
from seewhy.targets import Class, Objective, TopK
from seewhy.types import AttentionCapture, Derivatives, FloatArray, IndexArray

ATTENTION_BYTES = 2**30
"""How much memory the gradients of one run may take: those of a small transformer are 6 MB for each target of an image.
"""


def attribute_attention(plan: Plan, inputs: InputBatch, objective: Objective) -> tuple[AttentionCapture, FloatArray]:
    """Capture the attention maps of a batch, and return them with raw heatmaps (N, T, h, w) on the grid of tokens.

    Raises:
        LayerError: The model computes no attention, or its maps cannot be chained or folded into a grid.
    """
    shapes = plan.framework.attention_shapes(inputs)
    if shapes:
        chain_steps(shapes)  # refuses maps that cannot be explained before any is captured
        check_token_layers(plan, inputs, objective, shapes[0][-1])
    is_many = isinstance(objective.target, (Class, TopK)) and objective.target.target_count > _chunk(shapes, inputs)
    capture = _capture(plan, inputs, objective, "none" if is_many else plan.method.derivatives)
    heatmaps = _heatmaps(plan, inputs, objective, capture)
    return capture, _folded(plan, inputs, objective, capture, heatmaps)


def last_layer(framework: Framework, inputs: InputBatch) -> tuple[LayerChoice, ...]:
    """Return the last layer that can be named, in a tuple; an empty one if there is none."""
    calls = [call for call in framework.calls(inputs) if call.has_space]
    return tuple(LayerChoice(call.path, call.number) for call in calls[-1:])


def _capture(plan: Plan, inputs: InputBatch, objective: Objective, derivatives: Derivatives) -> AttentionCapture:
    return capture_attention_of_images(plan.framework, inputs, objective, derivatives)


def _chunk(shapes: Iterable[tuple[int, ...]], inputs: InputBatch) -> int:
    """Return for how many targets the gradients of all maps, of shapes (H, Lq, Lk), may be held."""
    return max(1, ATTENTION_BYTES // max(1, 4 * image_count(inputs) * sum(map(math.prod, shapes))))


def _heatmaps(plan: Plan, inputs: InputBatch, objective: Objective, capture: AttentionCapture) -> FloatArray:
    """Return raw heatmaps (N, T, L) over tokens."""
    framework = plan.framework
    if plan.method.derivatives == "none":
        reads = _known_reads(plan, inputs, objective, capture)
        if reads is not None:
            check_links(plan.framework.attention_links(inputs), reads.map_count)
            arrays = tuple(framework.to_numpy(each) for each in capture.maps[: reads.map_count])
            scores = framework.to_numpy(capture.scores)
            capture = replace(capture, maps=arrays, scores=scores, reads=reads.shares, xp=np)
            return np.asarray(plan.method(capture), dtype=np.float32)
        objective = _unsaturated(objective)
    parts = (capture,) if capture.gradients is not None else _chunks(plan, inputs, objective, capture)
    heatmaps = []
    for part in parts:
        part_read = with_reads(framework, part)
        check_links(framework.attention_links(inputs), len(part_read.maps))
        heatmaps.append(framework.to_numpy(framework.apply(plan.method, part_read)))
    return np.concatenate(heatmaps, axis=1)


def _chunks(
    plan: Plan, inputs: InputBatch, objective: Objective, capture: AttentionCapture
) -> Iterator[AttentionCapture]:
    """Capture gradients, those of some classes at a time."""
    if not isinstance(objective.target, (Class, TopK)):
        yield _capture(plan, inputs, objective, "gradients")
        return
    indices = plan.framework.to_numpy(capture.indices)
    chunk = _chunk(map_shapes(capture), inputs)
    for start in range(0, indices.shape[1], chunk):
        yield _capture(plan, inputs, _of_classes(objective, indices[:, start : start + chunk]), "gradients")


def _of_classes(objective: Objective, indices: IndexArray) -> Objective:
    return replace(objective, target=Class(tuple(map(tuple, indices.tolist()))))


def _unsaturated(objective: Objective) -> Objective:
    """Return the objective of the logits of classes: the gradient of a probability of 1 is 0, whatever is read."""
    return replace(objective, score="logit") if isinstance(objective.target, (Class, TopK)) else objective


def with_reads(framework: Framework, capture: AttentionCapture) -> AttentionCapture:
    """Return a capture with what the scores read of its last map, found by the gradients.

    A row of the last map whose gradient is 0 is not read: all but the class token's, or none where tokens are averaged.
    Maps after the last one that the scores depend on are left out, such as those of another output.
    """
    xp = capture.xp
    gradients = capture.require_gradients()
    has_gradient = [bool(framework.to_numpy(xp.any(each != 0))) for each in gradients]
    count = max((number for number, each in enumerate(has_gradient, 1) if each), default=len(gradients))
    is_read = xp.any(gradients[count - 1] != 0, axis=(2, 4))
    ones = xp.where(is_read, xp.ones_like(capture.scores)[:, :, None], xp.zeros_like(capture.scores)[:, :, None])
    shares = ones / xp.maximum(xp.sum(ones, axis=-1, keepdims=True), 1.0)
    return replace(capture, maps=capture.maps[:count], gradients=gradients[:count], reads=shares)


class _Reads(NamedTuple):
    """How many of the maps the scores depend on, and what they read of the last one's rows, (1, 1, Lq)."""

    map_count: int
    shares: FloatArray


def _known_reads(plan: Plan, inputs: InputBatch, objective: Objective, capture: AttentionCapture) -> _Reads | None:
    """Return what the scores read, for a method that needs no gradients; None where it is not always the same.

    It is found by the gradients of two classes, and of other images made of these. A model that has a class token for
    each class reads another one for each, and a head that takes the maximum of all tokens others in each image.
    """
    framework = plan.framework
    key = ("attention reads", *evidence_key(inputs, LayerChoice(AUTO), objective))
    known: tuple[_Reads | None] | None = framework.evidence.get(key)
    if known is not None:
        return known[0]
    reads: _Reads | None = None
    for batch, judged_by in _read_by(framework, inputs, _unsaturated(objective), capture):
        found = with_reads(framework, _capture(plan, batch, judged_by, "gradients"))
        shares = framework.to_numpy(found.require_reads())
        if not shares.any(axis=2).all():
            return None  # of other images it may be seen what is read
        reads = reads or _Reads(len(found.maps), shares[:1, :1])
        if len(found.maps) != reads.map_count or (shares != reads.shares).any():
            reads = None
            break
    framework.evidence.add(key, (reads,))
    return reads


def _read_by(
    framework: Framework, inputs: InputBatch, objective: Objective, capture: AttentionCapture
) -> Iterator[tuple[InputBatch, Objective]]:
    """Yield what shows which rows are read: the batch with two classes, one at a time, and with other images."""
    if isinstance(objective.target, (Class, TopK)):
        indices, shape = framework.to_numpy(capture.indices)[:, :1], capture.outputs.shape
        if len(shape) == 2 and shape[1] > 1:
            yield inputs, _of_classes(objective, (indices + 1) % shape[1])
        objective = _of_classes(objective, indices)
    yield inputs, objective
    for flipped in _flipped(inputs):
        yield flipped, objective


def _flipped(inputs: InputBatch) -> Iterator[InputBatch]:
    """Yield other images of the same values."""
    for flips in ((1, -1), (-1, 1), (-1, -1)):
        index = (..., *(slice(None, None, step) for step in flips))
        yield map_tree(partial(_flip, index=index), inputs)


def _flip(array: NDArray[Any], index: tuple[Any, ...]) -> NDArray[Any]:
    return np.ascontiguousarray(array[index]) if array.ndim > 3 else array


def _folded(
    plan: Plan, inputs: InputBatch, objective: Objective, capture: AttentionCapture, heatmaps: FloatArray
) -> FloatArray:
    """Return heatmaps (N, T, L) as (N, T, h, w), without the tokens that belong to no patch."""
    grid = find_token_grid(plan, inputs, heatmaps.shape[2:], output_of(capture), objective)
    if grid is None:
        raise LayerError(
            f"The {capture.layer} of this model attend to {heatmaps.shape[2]} positions, which are not tokens of an "
            "image: the input is not one batch of images. Use a method that explains a layer, such as "
            "method='gradcam', or the input."
        )
    return np.asarray(grid.fold(heatmaps, 2, np))
