"""Recordings in the viewer's input: the frames of volumes and videos, and signals, each with its heatmaps.

All of it is bounded, whatever the size of the recording: of many frames as many are taken at equal distances, larger
ones are scaled down, and so are heatmaps with more cells than fit. The entry says so in its note.
"""

import math
from collections.abc import Sequence

import numpy as np

from seewhy.types import FloatArray
from seewhy.viewer.encoding import base64_of
from seewhy.viewer.explanation_like import FramesLike, SignalLike
from seewhy.viewer.photos import PhotoLimits, photo_url
from seewhy.viewer.viewer_format import AxisData, AxisHeatmaps, FrameData, RecordingData, SignalData

MAX_SIDE = 512
"""The longest side of a frame, in pixels."""

MIN_FRAMES = 24
"""Frames are scaled down further before fewer are taken."""

CELLS_PER_PIXEL = 1 / 16
"""How many cells all heatmaps of an explanation may have for each pixel that a photo may have."""

MAX_POINTS = 2000
"""A signal with more than twice as many samples is drawn as the range of its values in so many parts."""

MAX_CHANNELS = 8
"""How many channels of a signal are drawn."""

BYTES_PER_PIXEL = 0.35
"""The size of a frame as JPEG; those of most recordings are smaller than that at the best quality."""


def axes_of(explanation: FramesLike) -> range:
    """Return the axes that the frames can be across: all three of a volume, time of a video."""
    return range(3 if explanation.noun == "volume" else 1)


def recording_data(explanation: FramesLike, limits: PhotoLimits) -> RecordingData:
    """Return the frames of a volume or a video.

    Args:
        explanation: Of the recording.
        limits: All frames together have at most as many pixels as a square photo of this side.
    """
    axes = [_axis_data(explanation, axis, limits) for axis in axes_of(explanation)]
    return {"kind": explanation.noun, "seconds": explanation.frame_seconds, "axes": axes}


def _axis_data(explanation: FramesLike, axis: int, limits: PhotoLimits) -> AxisData:
    count = explanation.frame_count(axis)
    height, width = explanation.frame_placement(axis).image_size
    shown, side = _frames_within(count, height, width, limits.side**2 // len(axes_of(explanation)))
    pixels = math.ceil(side**2 * min(height, width) / max(height, width))
    frame_limits = PhotoLimits(side, limits.png_bytes // shown, 4000 + int(BYTES_PER_PIXEL * pixels))
    positions = [int((part + 0.5) * count / shown) for part in range(shown)]
    frames: list[FrameData] = [
        {
            "position": position,
            "label": explanation.frame_label(position, axis),
            "photo": photo_url(explanation.frame(position, axis), frame_limits),
        }
        for position in positions
    ]
    return {
        "name": explanation.axis_name(axis),
        "width": width,
        "height": height,
        "side": side,
        "count": count,
        "frames": frames,
    }


def _frames_within(count: int, height: int, width: int, pixels: int) -> tuple[int, int]:
    """Return how many frames fit into a number of pixels, and their longer side."""
    side = min(MAX_SIDE, max(height, width))
    share = min(height, width) / max(height, width)
    shown = min(count, max(int(pixels / (side**2 * share)), 1))
    if shown < (least := min(count, MIN_FRAMES)):
        side = max(1, min(side, int(math.sqrt(pixels / (least * share)))))
        shown = least
    return shown, side


def axis_heatmaps(explanation: FramesLike, limits: PhotoLimits) -> tuple[list[AxisHeatmaps], list[FloatArray]]:
    """Return where the heatmaps lie across each axis, and the cells of each target, those across the first axis first.

    Args:
        explanation: Of a volume or a video.
        limits: Bound the number of cells.
    """
    axes, cells = [], []
    limit = int(CELLS_PER_PIXEL * limits.side**2 / (len(explanation.targets) * len(axes_of(explanation))))
    for axis in axes_of(explanation):
        planes = reduced(explanation.heatmap_planes(axis), limit)
        box = [float(edge) for edge in explanation.frame_placement(axis).heatmap_box]
        start, stop = explanation.placement.extents[axis]
        _, depth, rows, columns = planes.shape
        where: AxisHeatmaps = {"depth": depth, "rows": rows, "columns": columns, "box": box, "extent": [start, stop]}
        axes.append(where)
        cells.append(planes.reshape(len(planes), -1))
    return axes, list(np.concatenate(cells, axis=1))


def reduced(maps: FloatArray, limit: int) -> FloatArray:
    """Return maps (T, *space) whose cells are averaged along all axes until each has at most so many."""
    size = math.prod(maps.shape[1:])
    if size <= limit:
        return maps
    share = (limit / size) ** (1 / (maps.ndim - 1))
    for axis in range(1, maps.ndim):
        count = maps.shape[axis]
        weights = _averaging(count, max(1, math.floor(count * share)))
        maps = np.moveaxis(np.tensordot(maps, weights, axes=(axis, 1)), -1, axis)
    return np.ascontiguousarray(maps, dtype=np.float32)


def _averaging(count: int, parts: int) -> FloatArray:
    """Return float32 (parts, count): the share of each cell in the mean of each of so many equal parts."""
    edges = np.linspace(0, count, parts + 1)
    cells = np.arange(count)
    overlaps = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return np.asarray(np.clip(overlaps, 0, None) * (parts / count), dtype=np.float32)


def frames_note(explanation: FramesLike, recording: RecordingData, axes: Sequence[AxisHeatmaps]) -> str:
    """Return what is not shown in full, in sentences."""
    texts = []
    noun = "slices" if recording["kind"] == "volume" else "frames"
    reduced_axes = [
        f"{len(axis['frames'])} of {axis['count']} {noun} ({axis['name']})"
        for axis in recording["axes"]
        if len(axis["frames"]) < axis["count"]
    ]
    if reduced_axes:
        texts.append(f"This page has {', '.join(reduced_axes)}, at equal distances.")
    smaller = [axis for axis in recording["axes"] if axis["side"] < max(axis["height"], axis["width"])]
    if smaller:
        names = " and ".join(axis["name"] for axis in smaller)
        texts.append(f"The {noun} ({names}) are scaled down to at most {max(axis['side'] for axis in smaller)} pixels.")
    own, cells = list(explanation.heatmaps.shape[1:]), [axes[0]["depth"], axes[0]["rows"], axes[0]["columns"]]
    if math.prod(cells) < math.prod(own):
        texts.append(f"The {_times(own)} cells of each heatmap are averaged to {_times(cells)}; saved files have all.")
    return " ".join(texts)


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def signal_heatmaps(explanation: SignalLike) -> FloatArray:
    """Return the heatmaps of a signal, float32 (T, cells); of many cells the strongest of each of many parts."""
    maps = np.asarray(explanation.heatmaps, dtype=np.float32)
    count = maps.shape[1]
    if count <= 2 * MAX_POINTS:
        return maps
    starts = np.arange(MAX_POINTS) * count // MAX_POINTS
    lows, highs = (f.reduceat(maps, starts, axis=1) for f in (np.minimum, np.maximum))
    return np.where(highs >= -lows, highs, lows)


def signal_data(explanation: SignalLike) -> SignalData:
    """Return the values of a signal, of a long one the lowest and the highest value of each of many parts."""
    samples = np.asarray(explanation.signal.samples[:, :MAX_CHANNELS].T, dtype="<f4")
    count = samples.shape[1]
    lows = highs = samples
    if count > 2 * MAX_POINTS:
        starts = np.arange(MAX_POINTS) * count // MAX_POINTS
        lows, highs = (f.reduceat(samples, starts, axis=1) for f in (np.minimum, np.maximum))
    return {
        "samples": count,
        "rate": explanation.signal.rate,
        "channels": len(samples),
        "points": lows.shape[1],
        "lows": base64_of(lows),
        "highs": base64_of(highs),
    }


def signal_note(explanation: SignalLike, signal: SignalData) -> str:
    """Return what is not shown in full, in sentences."""
    texts = []
    channels = explanation.signal.samples.shape[1]
    if channels > MAX_CHANNELS:
        texts.append(f"The first {MAX_CHANNELS} of {channels} channels are drawn.")
    if signal["points"] < signal["samples"]:
        texts.append(
            f"Of {signal['samples']:,} samples, the range of the values and the strongest evidence in each of "
            f"{signal['points']:,} equal parts are drawn."
        )
    return " ".join(texts)
