"""The part of a model's input that its heatmaps show: not all of it where the model itself crops or pads.

Noise is put through the model up to its first convolutions. A second time the same noise grows linearly from row to
row, so that at every position the ratio of the two tells from which row of the input its values come; and likewise for
columns. The ratio cancels whatever the model does to the values, and noise has no mean and no contrast that a
normalisation could remove.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.attribution.plan import Plan
from seewhy.errors import LayerError, OptionError, warn
from seewhy.frameworks import LayerChoice
from seewhy.frameworks.stem import StemValues
from seewhy.frameworks.structures import InputBatch, is_image_batch, map_tree, only_leaf, shape_key
from seewhy.images.geometry import WHOLE, InputBox
from seewhy.types import FloatArray

TOLERANCE = 0.01
"""Edges this close to those of the input, as a share of its size, or within a pixel of them, are taken to be its."""

MAX_LINES = 64
"""How many rows or columns are fitted by a line."""

RAMP = 3**0.5
"""The factor of the noise at the last row; its negative at the first."""

Array = NDArray[np.float64]


class _Lines(NamedTuple):
    """Where the rows, or the columns, of a stem's input come from.

    Attributes:
        positions: (n,), which rows these are, at their centres.
        sources: (n,), the rows of the model's input, in 0..1.
        total: The number of all rows.
        drift: How far the columns move from the upper to the lower half, in 0..1: 0 unless the image is rotated.
    """

    positions: Array
    sources: Array
    total: int
    drift: float


def input_box(plan: Plan, layers: Sequence[LayerChoice], inputs: InputBatch, heatmaps: FloatArray) -> InputBox:
    """Return which part of the model's input the heatmaps of these layers show.

    It is all of it where the heatmaps (N, T, *space) are no images, such as those of tokens.

    Raises:
        LayerError: The layers that are fused show different parts.
        OptionError: There is augmentation, and the part is not in the centre.
    """
    if plan.method.level == "input" or heatmaps.ndim != 4 or not layers:
        return WHOLE
    boxes = [layer_input_box(plan, layer, inputs) for layer in layers]
    if len(boxes) > 1 and not np.allclose(boxes, boxes[0], atol=TOLERANCE):
        raise LayerError(
            f"The layers {', '.join(map(str, layers))} show different parts of the input, because the model crops "
            "or pads it between them. Give layers before or after that step."
        )
    if plan.augmentations and not _is_centred(boxes[0]):
        raise OptionError(
            "augmentation= flips and zooms the input about its centre, and the model crops or pads it so that its "
            "centre is elsewhere. Leave augmentation= out, or move that step into the preprocessing."
        )
    return boxes[0]


def _is_centred(box: InputBox) -> bool:
    top, left, bottom, right = box
    return abs(top + bottom - 1) <= 2 * TOLERANCE and abs(left + right - 1) <= 2 * TOLERANCE


def layer_input_box(plan: Plan, layer: LayerChoice, inputs: InputBatch) -> InputBox:
    """Return which part of the model's input one layer shows; all of it where it cannot be measured."""
    return measured_box(plan, layer, inputs) or WHOLE


def measured_box(plan: Plan, layer: LayerChoice, inputs: InputBatch) -> InputBox | None:
    """Return which part of the model's input one layer shows; all of it where the input is not one batch of images.

    None where it cannot be measured; a warning says so.
    """
    if not is_image_batch(inputs):
        return WHOLE
    evidence, key = plan.framework.evidence, ("input box", shape_key(inputs), layer)
    known: tuple[InputBox | None] | None = evidence.get(key)
    if known is not None:
        return known[0]
    box = _measure(plan, layer, inputs) if plan.framework.moves_image(inputs, layer) else WHOLE
    if box is None:
        warn(_warning(plan.classifier.name))
    evidence.add(key, (box,))
    return box


def _warning(name: str | None) -> str:
    return (
        f"The model {name!r} moves its input before its first convolution in a way that could not be measured: it "
        "mirrors, rotates or warps it, or shows its branches different parts. Its heatmaps are stretched over the "
        "whole input, and may lie at the wrong place. Move that step from the model into its preprocessing, "
        "seewhy.Preprocessing."
    )


def _measure(plan: Plan, layer: LayerChoice, inputs: InputBatch) -> InputBox | None:
    """Return the box that all convolutions of the stem share; None if there is none."""
    framework, image = plan.framework, only_leaf(inputs)
    probes = _probes(image, rows=2 if framework.channels_first else 1)
    batch = np.resize(probes, (-(-len(probes) // len(image)) * len(image), *image.shape[1:]))

    def values_of(part: FloatArray) -> list[StemValues]:
        return framework.stem_values(map_tree(lambda _: part, inputs), layer)

    parts = [values_of(part) for part in np.split(batch, len(batch) // len(image))]
    size = framework.image_size(inputs)
    images = [stem for stem, (values, _) in enumerate(parts[0]) if 1 not in values.shape[1:3]]
    boxes = [_fit([part[stem] for part in parts], size, len(image)) for stem in images]
    if not boxes or boxes[0] is None:
        return None
    first = boxes[0]
    return first if all(box is not None and np.allclose(box, first, atol=TOLERANCE) for box in boxes) else None


def _probes(inputs: FloatArray, rows: int) -> FloatArray:
    """Return six inputs: plus and minus noise, noise that grows from row to row, and from column to column.

    They are in the range of the inputs' own values, so that the model does not clip them.
    """
    random = np.random.default_rng(0)
    low, high = float(inputs.min()), float(inputs.max())
    middle, step = ((low + high) / 2, (high - low) / 10) if high > low else (low + 0.5, 0.1)
    shape = inputs.shape[1:]
    noise = random.choice((-step / 4, step / 4), shape)
    base = middle + step * random.uniform(-1, 1, shape)
    # With as much contrast as the noise that does not grow, for models that normalise the contrast.
    ramps = [RAMP * np.linspace(-1, 1, shape[axis] * 2 + 1)[1::2] for axis in (rows - 1, rows)]
    along_rows = np.expand_dims(ramps[0], tuple(axis for axis in range(3) if axis != rows - 1))
    along_columns = np.expand_dims(ramps[1], tuple(axis for axis in range(3) if axis != rows))
    changes = (noise, noise * along_rows, noise * along_columns)
    probes = np.stack([base + sign * change for change in changes for sign in (1, -1)])
    return (np.rint(probes) if inputs.dtype.kind in "iu" else probes).astype(inputs.dtype)


def _fit(parts: list[StemValues], size: tuple[int, int], count: int) -> InputBox | None:
    """Return the box on the input that one convolution of the stem receives; None if it is none.

    Args:
        parts: What the convolution receives of the probes, in batches of `count`.
        size: (h, w) of the input.
        count: The number of images in a batch.
    """
    if any(len(part.values) != count for part in parts):
        return None
    values = np.concatenate([part.values for part in parts])[:6].astype(np.float64)
    noise, by_row, by_column = values[0::2] - values[1::2]
    window = parts[0].window
    rows = _edges(_lines(noise, by_row, by_column), size[0], window[0])
    noise, by_row, by_column = (change.swapaxes(0, 1) for change in (noise, by_row, by_column))
    columns = _edges(_lines(noise, by_column, by_row), size[1], window[1])
    return None if rows is None or columns is None else (rows[0], columns[0], rows[1], columns[1])


def _lines(noise: Array, along: Array, across: Array) -> _Lines:
    """Return where each row (the first axis) comes from, of the changes (h, w, C) that the probes made."""
    strength: Array = (noise**2).sum(axis=(1, 2))
    seen = _seen(strength)
    chosen = seen[np.linspace(0, len(seen) - 1, min(len(seen), MAX_LINES)).astype(int)] if len(seen) else seen
    sources: Array = (along * noise).sum(axis=(1, 2))[chosen] / strength[chosen] / RAMP
    return _Lines(np.add(chosen, 0.5, dtype=np.float64), (sources + 1) / 2, len(noise), _drift(noise, across))


def _drift(noise: Array, across: Array) -> float:
    middle = len(noise) // 2
    strengths = [(half**2).sum(axis=(0, 2)) for half in (noise[:middle], noise[middle:])]
    products = [(across[rows] * noise[rows]).sum(axis=(0, 2)) for rows in (slice(middle), slice(middle, None))]
    seen = np.intersect1d(_seen(strengths[0]), _seen(strengths[1]))
    upper, lower = (product[seen] / strength[seen] for product, strength in zip(products, strengths, strict=True))
    return float(np.median(lower - upper)) / RAMP / 2 if len(seen) else 0.0


def _seen(strength: Array) -> NDArray[np.intp]:
    """Return the lines that come from the image; others are padding."""
    return np.flatnonzero(strength > 1e-3 * strength.max(initial=0))


def _edges(lines: _Lines, pixels: int, window: int) -> tuple[float, float] | None:
    """Return where the first and the last row end on the input, as shares of its height; None if they form no line."""
    if len(lines.positions) < 2:
        return None
    slope, start = _robust_line(lines.positions, lines.sources)
    deviations = np.abs(lines.sources - slope * lines.positions - start)
    tolerance = max(1 / pixels, 2 * TOLERANCE)
    if slope <= 0 or np.mean(deviations > tolerance) > 0.4 or abs(lines.drift) > 5 * TOLERANCE:
        return None
    stop = start + slope * lines.total
    padding = (max(0.0, -start) + max(0.0, stop - 1)) / slope
    if round(padding, 3) <= window - 1:  # the convolution uses it up
        start, stop = max(start, 0.0), min(stop, 1.0)
    margin = max(TOLERANCE, 1.001 / pixels)
    return (0.0 if abs(start) <= margin else start, 1.0 if abs(stop - 1) <= margin else stop)


def _robust_line(positions: Array, sources: Array) -> tuple[float, float]:
    """Return slope and intercept of a line by Theil and Sen: up to 29% of the rows may be padded with mirrored ones."""
    first, second = np.triu_indices(len(positions), 1)
    slope = float(np.median((sources[second] - sources[first]) / (positions[second] - positions[first])))
    return slope, float(np.median(sources - slope * positions))
