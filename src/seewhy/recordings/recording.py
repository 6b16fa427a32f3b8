"""What a model with one or three spatial axes is given: a volume, a signal or a video."""

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import RecordingError, short_repr
from seewhy.recordings.affine import SIDES, affine_of_spacing, check_affine, spacing_of_affine
from seewhy.representation import ShortRepr
from seewhy.types import DoubleArray, FloatArray, ImageArray

MAX_VALUES = 200_000_000
"""The maximum number of values of a recording: 800 MB in float32, such as a volume of 512 x 512 x 762 voxels."""

MAX_SIDE = 65_535
"""The maximum number of slices, frames, rows or columns."""

MAX_CHANNELS = 64
"""The maximum number of channels of a volume or a signal."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class Volume(ShortRepr):
    """A volume, such as a CT or an MR scan.

    Attributes:
        values: float32 (D, H, W), or (D, H, W, C) with C channels, in the order and the units of the file: those of
            NIfTI files are in the order of their axes, those of DICOM series are slices, rows and columns.
        spacing: The distances between the centres of neighbouring voxels along each axis, in mm. None takes those of
            the affine, or 1.
        affine: float64 (4, 4), from the position of a voxel's centre on the three axes to its place in mm, where x
            grows to the patient's left-to-right, y from back to front and z from feet to head, as in NIfTI files. None
            where it is unknown.
        source: The path that it was read from; None for a volume in memory.
        window: The values that are drawn black and white. None draws the 0.5% and the 99.5% quantile so.
        inverted: Whether the lower values are drawn brighter, as DICOM's MONOCHROME1 says.

    Raises:
        RecordingError: The values are no volume, or the spacing or the affine does not fit.
    """

    values: FloatArray
    spacing: tuple[float, float, float] = None  # type: ignore[assignment]  # __post_init__ replaces None
    affine: DoubleArray | None = None
    source: str | None = None
    window: tuple[float, float] | None = None
    inverted: bool = False
    noun: ClassVar[str] = "volume"
    axes: ClassVar[int] = 3

    def __post_init__(self) -> None:
        values = checked_values(self.values, "volume", self.axes, self.source)
        affine = None if self.affine is None else check_affine(self.affine, self.source)
        own = None if affine is None else spacing_of_affine(affine)
        spacing = own or (1.0, 1.0, 1.0) if self.spacing is None else _check_spacing(self.spacing, self.source)
        if own is not None and not np.allclose(own, spacing, rtol=1e-3):
            raise RecordingError(
                f"spacing is {spacing} mm, and the affine has voxels of {tuple(round(each, 4) for each in own)} mm. "
                "Give one of them."
            )
        if self.window is not None:
            object.__setattr__(self, "window", _check_window(self.window))
        for name, value in (("values", values), ("spacing", spacing), ("affine", affine)):
            object.__setattr__(self, name, value)

    @property
    def space(self) -> tuple[int, int, int]:
        """(D, H, W)."""
        depth, height, width = self.values.shape[:3]
        return depth, height, width

    @property
    def samples(self) -> FloatArray:
        """float32 (D, H, W, C)."""
        return self.values if self.values.ndim == 4 else self.values[..., None]

    @property
    def world(self) -> DoubleArray:
        """float64 (4, 4): the affine, or where it is unknown the one that puts the first voxel at 0."""
        return affine_of_spacing(self.spacing) if self.affine is None else self.affine

    def transpose(self, *order: int) -> "Volume":
        """Return the same volume with its axes in another order: `volume.transpose(2, 1, 0)` reverses them.

        Raises:
            RecordingError: The order is not one of the three axes.
        """
        if sorted(order) != [0, 1, 2]:
            raise RecordingError(f"The order of a volume's axes is {order}; expected 0, 1 and 2 in any order.")
        rest = range(3, self.values.ndim)
        spacing = (self.spacing[order[0]], self.spacing[order[1]], self.spacing[order[2]])
        affine = None if self.affine is None else self.affine[:, [*order, 3]]
        return replace(self, values=self.values.transpose(*order, *rest), spacing=spacing, affine=affine)


@final
@dataclass(frozen=True, eq=False, repr=False)
class Signal(ShortRepr):
    """A signal over time, such as a sound or an electrocardiogram.

    Attributes:
        values: float32 (L,), or (L, C) with C channels, such as those of stereo sound; sound is in -1..1.
        rate: The number of samples in a second; None where it is unknown.
        source: The path that it was read from; None for a signal in memory.

    Raises:
        RecordingError: The values are no signal, or the rate is not a number above 0.
    """

    values: FloatArray
    rate: float | None = None
    source: str | None = None
    noun: ClassVar[str] = "signal"
    axes: ClassVar[int] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", checked_values(self.values, "signal", self.axes, self.source))
        object.__setattr__(self, "rate", check_rate("rate", self.rate))

    @property
    def space(self) -> tuple[int]:
        """(L,)."""
        return (self.values.shape[0],)

    @property
    def samples(self) -> FloatArray:
        """float32 (L, C)."""
        return self.values if self.values.ndim == 2 else self.values[:, None]

    @property
    def times(self) -> DoubleArray:
        """float64 (L,): when each sample was taken, in seconds; its number where the rate is unknown."""
        return np.arange(len(self.values)) / (self.rate or 1.0)


@final
@dataclass(frozen=True, eq=False, repr=False)
class Video(ShortRepr):
    """A video: frames of one size.

    Attributes:
        frames: uint8 (T, H, W, 3).
        fps: The number of frames in a second; None where it is unknown.
        source: The path that it was read from; None for a video in memory.

    Raises:
        RecordingError: The frames are no video, or `fps` is not a number above 0.
    """

    frames: ImageArray
    fps: float | None = None
    source: str | None = None
    noun: ClassVar[str] = "video"
    axes: ClassVar[int] = 3

    def __post_init__(self) -> None:
        frames = np.asarray(self.frames)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or frames.size == 0:
            raise RecordingError(
                f"An array of shape {frames.shape} and type {frames.dtype} is not a video; expected uint8 (T, H, W, 3) "
                "with values 0 to 255."
            )
        check_size(frames.shape[:3], 3, "video", self.source)
        object.__setattr__(self, "frames", frames)
        object.__setattr__(self, "fps", check_rate("fps", self.fps))

    @property
    def space(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        count, height, width = self.frames.shape[:3]
        return count, height, width

    @property
    def samples(self) -> FloatArray:
        """float32 (T, H, W, 3) in 0..255."""
        return self.frames.astype(np.float32)


Recording = Volume | Signal | Video
"""What a model with one or three spatial axes is given."""

UNITS = {"volume": "voxels", "signal": "samples", "video": "frames x pixels"}


def size_text(space: Sequence[int]) -> str:
    """Return a size as messages show it: "91 x 109 x 91"."""
    return " x ".join(map(str, space))


def checked_values(values: Any, noun: str, axes: int, source: str | None = None) -> FloatArray:
    """Return the values of a volume or a signal as finite float32, with or without an axis of channels.

    Args:
        values: The values.
        noun: "volume" or "signal".
        axes: The number of its spatial axes.
        source: The path that it was read from, which errors name.

    Raises:
        RecordingError: They are no such array.
    """
    array: NDArray[Any] = np.asarray(values)
    if array.dtype.kind not in "fiub" or array.ndim not in (axes, axes + 1) or array.size == 0:
        shapes = {"volume": "(D, H, W) or (D, H, W, C)", "signal": "(L,) or (L, C)"}[noun]
        raise RecordingError(
            f"An array of shape {array.shape} and type {array.dtype} is not a {noun}; expected numbers {shapes}."
        )
    channels = array.shape[axes] if array.ndim > axes else 1
    check_size(array.shape[:axes], channels, noun, source)
    if channels > MAX_CHANNELS:
        hint = " The samples come first: values.T." if noun == "signal" else ""
        raise RecordingError(f"{_named(noun, source)} has {channels:,} channels; the limit is {MAX_CHANNELS}.{hint}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        raise RecordingError(
            f"{_named(noun, source)} holds values that are NaN, infinite, or too large for float32. Replace them, "
            "as with numpy.nan_to_num."
        )
    return array


def check_size(space: Sequence[int], channels: int, noun: str, source: Any = None) -> None:
    """Raise RecordingError for a size beyond the limits, before memory is allocated."""
    if min(space) < 1 or channels < 1:
        raise RecordingError(f"{_named(noun, source)}, of {size_text(space)} {UNITS[noun]}, is empty.")
    limit = MAX_VALUES if noun == "signal" else MAX_SIDE
    if max(space) > limit or math.prod(space) * channels > MAX_VALUES:
        raise RecordingError(
            f"{_named(noun, source)}, of {size_text(space)} {UNITS[noun]} and {channels} channel(s), is too large; the "
            f"limit is {MAX_VALUES:,} values. Cut it, or lower its resolution."
        )


def check_rate(name: str, rate: Any) -> float | None:
    """Return a rate as a float; raise RecordingError unless it is None or a number above 0."""
    if rate is None:
        return None
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not 0 < float(rate) < 1e12:
        raise RecordingError(f"{name} is {short_repr(rate)}; expected a number above 0.")
    return float(rate)


def _named(noun: str, source: Any) -> str:
    """Return how messages name a recording: "The volume", or "The volume in scan.nii.gz"."""
    return f"The {noun}" if source is None else f"The {noun} in {source}"


def _check_spacing(spacing: Any, source: str | None) -> tuple[float, float, float]:
    try:
        first, second, third = map(float, spacing)
    except (TypeError, ValueError):
        first = second = third = math.nan
    if not all(SIDES[0] < each < SIDES[1] for each in (first, second, third)):
        of = "" if source is None else f" of {source}"
        raise RecordingError(f"The spacing{of} is {short_repr(spacing)}; expected three numbers above 0, in mm.")
    return first, second, third


def _check_window(window: Any) -> tuple[float, float]:
    try:
        low, high = map(float, window)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise RecordingError(f"window is {short_repr(window)}; expected two numbers, the lower one first.")
    return low, high
