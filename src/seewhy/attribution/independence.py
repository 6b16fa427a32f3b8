"""Capturing a batch so that its images do not influence each other, whatever the model does.

The gradient of the sum of all scores is each image's own only where a score depends on one image. That does not hold
for a model that normalises by statistics of the batch, or whose attention runs along the axis of the images. So in the
first run of a batch some of its images are replaced by others of the batch: whatever changes for the images that were
kept depends on the others. Such a model is run on one image at a time.
"""

import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from seewhy.attribution.checks import other_batch_axis, output_of
from seewhy.attribution.evidence_key import evidence_key
from seewhy.errors import LayerError, ModelRunError, warn
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.layers import INPUT, OTHER_AXIS, no_attention
from seewhy.frameworks.structures import InputBatch, image_at, image_count, leaves, map_tree
from seewhy.targets import Objective
from seewhy.types import AttentionCapture, Capture, Derivatives, GradientRule, Namespace

_logger = logging.getLogger("seewhy.attribution")

Finding = Literal["independent", "mixed", "other axis"]
"""Images do not influence each other; they do; or what is captured has another axis for the images than the first."""

TOLERANCE = 1e-5
"""The change of an image's values, relative to the largest, that counts as rounding: most devices repeat them."""

NOISE_FACTOR = 4
"""How much more values must change than those of the same batch run twice, for a model that draws random numbers."""

FIELDS = ("gradients", "scores", "indices", "outputs", "probabilities")
"""The fields of a capture that are joined where each image is run alone, besides those of one kind of capture."""

MIXED = (
    "The images of a batch influence each other in this model, or in the target function: what it computes for an "
    "image depends on the others, as with a normalisation by statistics of the batch, or attention along the axis of "
    "the images. Each image is explained alone, as a batch of one."
)

Captured = Capture | AttentionCapture

CaptureType = TypeVar("CaptureType", Capture, AttentionCapture)

Run = Callable[[InputBatch, Objective], CaptureType]
"""Captures a batch."""


class _Replacement(NamedTuple):
    """A batch in which some images are replaced, and the rows of those that are not."""

    inputs: InputBatch
    kept: slice


def capture_images(
    framework: Framework,
    inputs: InputBatch,
    layer: LayerChoice,
    objective: Objective,
    derivatives: Derivatives = "gradients",
    gradient_rule: GradientRule = "plain",
) -> Capture:
    """Capture a batch as `Framework.capture` does, and one image at a time where the images influence each other.

    Whether they do is found out once for each shape of input, layer and kind of objective, in two more runs.

    Raises:
        LayerError: The layer's output has another axis for the images than the first. Otherwise as for
            `Framework.capture`.
    """
    run = partial(_run, framework, layer, derivatives, gradient_rule)
    return _capture_checked(framework, run, inputs, objective, _key(inputs, layer, objective))


def capture_attention_of_images(
    framework: Framework, inputs: InputBatch, objective: Objective, derivatives: Derivatives
) -> AttentionCapture:
    """Capture a batch as `Framework.capture_attention` does, and one image at a time where the images mix.

    Raises:
        LayerError: As for `Framework.capture_attention`; or the maps have another axis for the images than the first.
    """

    def run(inputs: InputBatch, objective: Objective) -> AttentionCapture:
        return framework.capture_attention(inputs, objective, derivatives)

    key = ("images, attention", *evidence_key(inputs, LayerChoice(INPUT), objective))
    return _capture_checked(framework, run, inputs, objective, key)


def _capture_checked(
    framework: Framework, run: Run[CaptureType], inputs: InputBatch, objective: Objective, key: Hashable
) -> CaptureType:
    """Capture a batch, or each of its images where they influence each other; the finding is kept by its key."""
    if image_count(inputs) == 1:
        return run(inputs, objective)
    finding: Finding | None = framework.evidence.get(key)
    if finding != "mixed":
        capture = run(inputs, objective)
        if finding is None:
            finding = _find(framework, run, inputs, objective, capture)
            if finding is not None:
                framework.evidence.add(key, finding)
            if finding == "mixed":
                warn(MIXED)
        if finding == "other axis":
            raise _other_axis(capture, image_count(inputs))
        if finding != "mixed":
            return capture
    _logger.info("the %d images of a batch influence each other, and run one at a time", image_count(inputs))
    return _capture_each(run, inputs, objective)


def _other_axis(capture: Captured, images: int) -> LayerError:
    """Return the error for a capture that has its images along another axis than the first."""
    is_layer = isinstance(capture, Capture)
    return other_batch_axis(output_of(capture), images) if is_layer else no_attention(OTHER_AXIS)


def are_independent(framework: Framework, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> bool:
    """Whether it was found that the images of such a batch do not influence each other."""
    return image_count(inputs) == 1 or bool(framework.evidence.get(_key(inputs, layer, objective)) == "independent")


def are_mixed(framework: Framework, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> bool:
    """Whether it was found that the images of such a batch influence each other."""
    return bool(framework.evidence.get(_key(inputs, layer, objective)) == "mixed")


def _key(inputs: InputBatch, layer: LayerChoice, objective: Objective) -> tuple[Hashable, ...]:
    return ("images", *evidence_key(inputs, layer, objective))


def _run(
    framework: Framework,
    layer: LayerChoice,
    derivatives: Derivatives,
    gradient_rule: GradientRule,
    inputs: InputBatch,
    objective: Objective,
) -> Capture:
    return framework.capture(inputs, layer, objective, derivatives, gradient_rule)


def _capture_each(run: Run[CaptureType], inputs: InputBatch, objective: Objective) -> CaptureType:
    """Run every image as a batch of one, and join the captures."""
    rows = range(image_count(inputs))
    try:
        captures = [run(image_at(inputs, row), objective.for_image(row)) for row in rows]
    except ModelRunError as error:
        raise ModelRunError(
            "The images of a batch influence each other in this model, so each has to be explained alone, and the "
            f"model does not run on a batch of one. Make it independent of the batch. {error}"
        ) from error
    first = captures[0]
    own: tuple[str, ...] = ("activations", "closed_form") if isinstance(first, Capture) else ("maps",)
    joined: dict[str, Any] = {
        name: _join([getattr(each, name) for each in captures], first.xp) for name in (*own, *FIELDS)
    }
    return replace(first, **joined)


def _join(values: Sequence[Any], xp: Namespace) -> Any:
    """Join the values of a field of every image: tensors along the first axis, in lists and dicts too.

    Values that cannot be joined, such as the boxes of a detector, become a list.
    """
    first = values[0]
    if first is None:
        return None
    if isinstance(first, dict):
        return {name: _join([value[name] for value in values], xp) for name in first}
    if isinstance(first, (list, tuple)):
        joined = [_join(parts, xp) for parts in zip(*values, strict=False)]
        return tuple(joined) if type(first) is tuple else joined
    shapes = {tuple(value.shape[1:]) if hasattr(value, "shape") else None for value in values}
    return xp.concatenate(list(values), axis=0) if len(shapes) == 1 and None not in shapes else list(values)


def _find(
    framework: Framework, run: Run[CaptureType], inputs: InputBatch, objective: Objective, capture: CaptureType
) -> Finding | None:
    """Return whether images influence each other; None where all are the same, which shows nothing."""
    count, before = image_count(inputs), _arrays(framework, capture)
    if any(len(array) != count for array in before):
        return None  # the checks of a capture say what is wrong
    finding: Finding | None = None
    for replacement in _replacements(inputs):
        after = _arrays(framework, run(replacement.inputs, objective))
        finding = finding or "independent"
        noise: list[float] | None = None
        for position, changes in enumerate(zip(before, after, strict=False)):
            if _change(*changes, replacement.kept) <= TOLERANCE:
                continue
            if noise is None:
                again = _arrays(framework, run(inputs, objective))
                noise = [_change(*pair, slice(None)) for pair in zip(before, again, strict=False)]
            if _change(*changes, replacement.kept) <= NOISE_FACTOR * noise[position]:
                continue
            if position == 0 and _has_other_axis(*changes, replacement.kept):
                return "other axis"
            finding = "mixed"
    return finding


def _replacements(inputs: InputBatch) -> Iterator[_Replacement]:
    """Yield batches with some images replaced by others of the batch, if any two of its images differ.

    In one, all images but the first are replaced; in the other, the first is. Values remain those of real images, so
    that nothing in a model or a target function can fail for them.
    """
    distances = sum(np.abs(_flat(array) - _flat(array)[:1]).mean(axis=1) for array in leaves(inputs))
    other = int(np.argmax(distances))
    if np.ravel(distances)[other] > 0:
        yield _Replacement(map_tree(lambda array: np.repeat(array[:1], len(array), axis=0), inputs), slice(0, 1))
        yield _Replacement(
            map_tree(lambda array: np.concatenate([array[other : other + 1], array[1:]]), inputs), slice(1, None)
        )


def _flat(array: NDArray[Any]) -> NDArray[np.float64]:
    return array.reshape(len(array), -1).astype(np.float64)


def _arrays(framework: Framework, capture: Captured) -> list[NDArray[Any]]:
    """Return what must not depend on other images, in NumPy; of the gradients those of the first target.

    Outputs that are not class scores need not have a row for each image, as the boxes of a detector have not.
    """
    if isinstance(capture, Capture):
        gradients = None if capture.gradients is None else capture.gradients[:, :1]
        fields = [capture.activations, capture.scores, gradients, capture.probabilities]
    else:
        first_gradients = [each[:, :1] for each in capture.gradients or ()]
        fields = [*capture.maps, capture.scores, *first_gradients, capture.probabilities]
    return [framework.to_numpy(field) for field in fields if field is not None]


def _change(before: NDArray[Any], after: NDArray[Any], kept: slice, axis: int = 0) -> float:
    """Return the largest change of a row that was kept, relative to its largest value.

    0 for values that are not finite, which other checks report.
    """
    rows, changed = (_flat(np.moveaxis(array, axis, 0)[kept]) for array in (before, after))
    if not (np.isfinite(before).all() and np.isfinite(changed).all()):
        return 0.0
    # Small values of one image count too, though not those that are next to nothing beside the others.
    largest = np.maximum(np.abs(rows).max(axis=1), 1e-3 * np.abs(before).max())
    changes = np.abs(rows - changed).max(axis=1)
    return float(np.max(np.divide(changes, largest, out=(changes > 0).astype(np.float64), where=largest > 0)))


def _has_other_axis(before: NDArray[Any], after: NDArray[Any], kept: slice) -> bool:
    """Whether the images that were kept did not change along another axis of the same size."""
    count = len(before)
    axes = [axis for axis, size in enumerate(before.shape) if axis and size == count]
    return any(_change(before, after, kept, axis) <= TOLERANCE for axis in axes)
