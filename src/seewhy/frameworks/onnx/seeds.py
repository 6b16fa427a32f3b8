"""The derivatives of an objective by the outputs that it reads, in NumPy.

They are where a backward pass starts. The scores of classes have theirs in closed form. Any other objective is a
function of numbers that are already computed, and its derivatives are differences of it in float64.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError
from seewhy.frameworks import array_namespace as xp
from seewhy.frameworks.outputs import Outputs
from seewhy.targets import Class, Combined, Objective, Region, Target, TopK
from seewhy.targets.contrast import similar_classes

MAX_VALUES = 4096
"""The most values of an image's outputs for which derivatives are found by differences: each takes four evaluations."""

STEP = 2.0**-14
"""The larger of two steps by which a value of 1 or less is changed; larger values are changed in proportion."""

ReadValues = Callable[[Sequence[NDArray[Any]]], Outputs]


def output_gradients(
    read: ReadValues,
    values: Sequence[NDArray[Any]],
    is_read: Sequence[bool],
    objective: Objective,
    arrays: Sequence[NDArray[Any]],
    scores: NDArray[Any],
    indices: NDArray[Any],
) -> list[NDArray[np.float32]]:
    """Return dy/dv for each value v that the objective reads.

    Args:
        read: Reads outputs from values.
        values: The values, (N, ...) each.
        is_read: Whether the objective depends on a value; the derivatives of the others are 0.
        objective: What is differentiated.
        arrays: The arrays of the objective's target.
        scores: (N, T), the objective's scores for these values.
        indices: (N, T), the class of each; negative for a score that is not a class's.

    Returns:
        (N, T, ...) for each value.

    Raises:
        TargetError: The objective is a function of too many values.
    """
    images, targets = scores.shape
    gradients = [np.zeros((len(value), targets, *value.shape[1:]), np.float32) for value in values]
    for position, value in enumerate(values):
        if not is_read[position] or len(value) != images:
            continue  # a function of a user may give scores of another shape, which is refused later
        closed = _closed_form(read, value, objective, arrays, scores, indices) if sum(is_read) == 1 else None
        if closed is None:
            _check_size(value, objective)
            # A small step must not exchange the classes that were found.
            fixed = objective.with_classes(indices) if objective.target.is_classes else objective
            closed = _differences(read, values, position, fixed, targets)
        gradients[position][...] = closed
    return gradients


def _closed_form(
    read: ReadValues,
    value: NDArray[Any],
    objective: Objective,
    arrays: Sequence[NDArray[Any]],
    scores: NDArray[Any],
    indices: NDArray[Any],
) -> NDArray[Any] | None:
    """Return the derivatives of logits of classes, or of their sums in regions; None for any other objective."""
    if objective.score != "logit":
        return None
    images, targets = scores.shape
    gradients = np.zeros((images, targets, *value.shape[1:]), np.float32)
    if isinstance(objective.target, (Class, TopK)) and value.ndim == 2:
        if value.shape[1] > 1:
            np.put_along_axis(gradients, indices[..., None], 1.0, axis=-1)
        else:  # one unit for two classes
            gradients[..., 0] = np.where(indices == 1, 1.0, -1.0)
        if objective.contrast is not None:
            _subtract_similar(gradients, read, value, objective, arrays)
            return gradients if _is_sum(gradients, value, scores) else None
        return gradients if are_logits(value, scores, indices) else None
    regions = [_regions(objective.target.for_image(image)) for image in range(images)]
    if all(len(of_image) == targets for of_image in regions):
        logits: Any = read([value, value]).logits
        for image, of_image in enumerate(regions):
            for position, region in enumerate(of_image):
                _fill_region(gradients[image, position], region, np.shape(logits))
        return gradients if _is_sum(gradients, value, scores) else None
    return None


def _regions(target: Target) -> list[Region]:
    """Return the regions that a target of one image is made of; none if it is anything else."""
    parts = target.parts if isinstance(target, Combined) else (target,)
    regions = [part for part in parts if isinstance(part, Region)]
    return regions if len(regions) == len(parts) else []


def _fill_region(gradients: NDArray[Any], region: Region, logits: tuple[int, ...]) -> None:
    """Set the derivatives of a region's score by a value of one image.

    Args:
        gradients: (C, *space) or (*space, C), zeros.
        region: Of one image.
        logits: The shape of the logits, which has two channels where the value has one with a sigmoid.
    """
    axis = 1 if region.has_channels_first(logits) else -1
    by_class, index = np.moveaxis(gradients, 0 if axis == 1 else -1, 0), int(region.class_)
    is_single = len(by_class) == 1 and logits[axis] == 2
    by_class[0 if is_single else index] = region.mask * (-1.0 if is_single and index == 0 else 1.0)


def _subtract_similar(
    gradients: NDArray[Any], read: ReadValues, value: NDArray[Any], objective: Objective, arrays: Sequence[NDArray[Any]]
) -> None:
    """Subtract the derivatives of the classes with which each class is compared."""
    contrast = objective.contrast
    assert contrast is not None  # noqa: S101  # the caller asked
    outputs: Any = read([value, value]).logits
    classes = objective.target(outputs, arrays, xp)
    nearest, is_compared = map(np.asarray, similar_classes(classes, outputs, contrast, xp))
    shares = contrast.alpha / (nearest.shape[-1] - 1) * np.asarray(is_compared, np.float32)
    compared = np.zeros((*gradients.shape[:2], np.shape(outputs)[1]), np.float32)
    np.put_along_axis(compared, nearest, shares, axis=-1)
    gradients -= compared if value.shape[1] > 1 else compared[..., 1:] - compared[..., :1]


def are_logits(value: NDArray[Any], scores: NDArray[Any], indices: NDArray[Any]) -> bool:
    """Whether the scores are the values at their indices, or of one unit for two classes the value and its negative."""
    if value.shape[1] > 1:
        return _are_close(np.take_along_axis(value, indices, axis=1), scores)
    return _are_close(np.where(indices == 1, value, -value), scores)


def _is_sum(gradients: NDArray[Any], value: NDArray[Any], scores: NDArray[Any]) -> bool:
    """Whether the scores are sums of values times their derivatives, as those in closed form are."""
    axes = tuple(range(2, gradients.ndim))
    return _are_close(np.asarray(np.sum(gradients * value[:, None], axis=axes, dtype=np.float64)), scores)


def _are_close(found: NDArray[Any], scores: NDArray[Any]) -> bool:
    if not np.isfinite(scores).all():
        return True  # which is refused later
    sizes = np.abs(scores)
    return bool((np.abs(found - scores) <= 1e-3 * (sizes + np.max(sizes, initial=0))).all())


def _check_size(value: NDArray[Any], objective: Objective) -> None:
    size = int(np.prod(value.shape[1:]))
    if size > MAX_VALUES:
        raise TargetError(
            f"{objective.target!r} is a function of {size:,} values, and an ONNX file has no derivatives of its own: "
            f"they are found by differences, of at most {MAX_VALUES:,} values. Give a class, a Region of a "
            "segmentation, or a function of an output with fewer values; or explain the model in its own framework."
        )


def _differences(
    read: ReadValues, values: Sequence[NDArray[Any]], position: int, objective: Objective, targets: int
) -> NDArray[Any]:
    """Return derivatives by central differences with two steps, of which an extrapolation is taken."""
    arrays = objective.target.arrays(len(values[0]))
    wide = [np.asarray(value, np.float64) for value in values]
    original = wide[position].reshape(len(wide[position]), -1)
    gradients = np.empty((len(original), targets, original.shape[1]))
    with np.errstate(all="ignore"):
        for index in range(original.shape[1]):
            slopes = []
            for step in (STEP, STEP / 2):
                steps = step * np.maximum(1.0, np.abs(original[:, index]))
                above, below = (
                    _score(read, wide, position, index, sign * steps, objective, arrays) for sign in (1.0, -1.0)
                )
                slopes.append((above - below) / (2 * steps[:, None]))
            gradients[..., index] = (4 * slopes[1] - slopes[0]) / 3
    return gradients.reshape(*gradients.shape[:2], *values[position].shape[1:])


def _score(
    read: ReadValues,
    values: Sequence[NDArray[Any]],
    position: int,
    index: int,
    steps: NDArray[Any],
    objective: Objective,
    arrays: Sequence[NDArray[Any]],
) -> NDArray[Any]:
    """Return the scores (N, T) after one value of every image was changed by a step."""
    changed = values[position].reshape(len(values[position]), -1).copy()
    changed[:, index] += steps
    outputs = list(values)
    outputs[position] = changed.reshape(values[position].shape)
    return np.asarray(read(outputs).score(objective, arrays, xp).scores, dtype=np.float64)
