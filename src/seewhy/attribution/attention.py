"""Explaining all attention layers of a model together: from their maps to heatmaps on the grid of tokens."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.attribution.evidence_key import evidence_key
from seewhy.attribution.independence import capture_attention_of_images
from seewhy.attribution.plan import Plan
from seewhy.attribution.token_layers import check_token_layers
from seewhy.attribution.token_layout import find_token_grid
from seewhy.errors import LayerError
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.layers import AUTO
from seewhy.frameworks.structures import InputBatch, image_count, map_tree
from seewhy.methods.attention_chain import chain_steps
from seewhy.targets import Class, Objective, TopK
from seewhy.types import AttentionCapture, Derivatives, FloatArray

GRADIENT_BYTES = 2**30
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
    chunk = _targets_at_once(shapes, image_count(inputs))
    is_chunked = plan.method.derivatives == "gradients" and _is_many_classes(objective, chunk)
    capture = _capture(plan, inputs, objective, "none" if is_chunked else plan.method.derivatives)
    parts = _chunks(plan, inputs, objective, capture, chunk) if is_chunked else iter((capture,))
    heatmaps = np.concatenate([_heatmaps(plan, inputs, objective, part) for part in parts], axis=1)
    return capture, _folded(plan, inputs, objective, capture, heatmaps)


def last_layer(framework: Framework, inputs: InputBatch) -> tuple[LayerChoice, ...]:
    """Return the last layer that can be named, in a tuple; an empty one if there is none."""
    calls = [call for call in framework.calls(inputs) if call.has_space]
    return tuple(LayerChoice(call.path, call.number) for call in calls[-1:])


def _capture(plan: Plan, inputs: InputBatch, objective: Objective, derivatives: Derivatives) -> AttentionCapture:
    return capture_attention_of_images(plan.framework, inputs, objective, derivatives)


def _targets_at_once(shapes: tuple[tuple[int, ...], ...], images: int) -> int:
    """Return for how many targets the gradients of all maps may be held."""
    return max(1, GRADIENT_BYTES // max(1, 4 * images * sum(map(math.prod, shapes))))


def _is_many_classes(objective: Objective, chunk: int) -> bool:
    target = objective.target
    return isinstance(target, (Class, TopK)) and target.target_count > chunk


def _chunks(
    plan: Plan, inputs: InputBatch, objective: Objective, capture: AttentionCapture, chunk: int
) -> Iterator[AttentionCapture]:
    """Capture the gradients of some of the classes at a time."""
    indices = plan.framework.to_numpy(capture.indices)
    classes = Class(tuple(map(tuple, indices.tolist())))
    for start in range(0, indices.shape[1], chunk):
        part = replace(objective, target=classes.slice_targets(start, start + chunk))
        yield _capture(plan, inputs, part, plan.method.derivatives)


def _heatmaps(plan: Plan, inputs: InputBatch, objective: Objective, capture: AttentionCapture) -> FloatArray:
    """Return raw heatmaps (N, T, L) over tokens."""
    framework = plan.framework
    if capture.gradients is not None:
        return framework.to_numpy(framework.apply(plan.method, with_reads(framework, capture)))
    reads = _known_reads(plan, inputs, objective, capture)
    arrays = tuple(framework.to_numpy(each) for each in capture.maps[: reads.maps])
    scores = framework.to_numpy(capture.scores)
    capture = replace(capture, maps=arrays, scores=scores, reads=reads.shares, xp=np)
    return np.asarray(plan.method(capture), dtype=np.float32)


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
    """How many of the maps the scores depend on, and what they read of the last one's rows, (N or 1, 1, Lq)."""

    maps: int
    shares: FloatArray


def _known_reads(plan: Plan, inputs: InputBatch, objective: Objective, capture: AttentionCapture) -> _Reads:
    """Return what the scores read, for a method that needs no gradients: found by those of one target.

    It is kept where it is the same for all of these images, and for others made of them: a head that takes the maximum
    of all tokens reads others in each image.
    """
    framework = plan.framework
    key = ("attention reads", *evidence_key(inputs, LayerChoice(AUTO), objective))
    known: _Reads | None = framework.evidence.get(key)
    if known is not None:
        return known
    if isinstance(objective.target, (Class, TopK)):
        classes = framework.to_numpy(capture.indices)[:, :1]
        objective = replace(objective, target=Class(tuple(map(tuple, classes.tolist()))))
    found = with_reads(framework, _capture(plan, inputs, objective, "gradients"))
    shares = framework.to_numpy(found.require_reads())[:, :1]
    reads, is_same = _Reads(len(found.maps), shares), bool((shares == shares[:1]).all())
    for flipped in _flipped(inputs):
        if is_same:
            other = with_reads(framework, _capture(plan, flipped, objective, "gradients"))
            is_same = np.array_equal(shares, framework.to_numpy(other.require_reads())[:, :1])
    if is_same:
        reads = _Reads(len(found.maps), shares[:1])
        framework.evidence.add(key, reads)
    return reads


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
    grid = find_token_grid(plan, inputs, heatmaps.shape[2:], layer=capture.layer, objective=objective)
    if grid is None:
        raise LayerError(
            f"The {capture.layer} of this model attend to {heatmaps.shape[2]} positions, which are not tokens of an "
            "image: the input is not one batch of images."
        )
    return np.asarray(grid.fold(heatmaps, 2, np))
