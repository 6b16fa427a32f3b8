"""DICOM series, which pydicom reads where it is installed: one file, or a folder with the slices of one series."""

import importlib.util
import io
import math
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seewhy.errors import MAX_SHOWN, MissingExtraError, RecordingError, warn
from seewhy.recordings.affine import SIDES
from seewhy.recordings.dicom_pixels import has_voi, presented, shown_window, stored_values, stretched
from seewhy.recordings.files import open_recording, warnings_in_words
from seewhy.recordings.finding import is_dicom_file
from seewhy.recordings.recording import Volume, check_size
from seewhy.representation import one_line, shortened
from seewhy.types import DoubleArray, FloatArray

MAX_FILES = 10_000
"""How many files of a folder are looked at."""

MAX_BYTES = 512_000_000
"""The largest size of a file."""

MAX_INFLATED = 160_000_000
"""The largest size of a file that is compressed as a whole: that of a slice of 8,000 x 8,000 pixels of 16 bits."""

TOLERANCE = 0.01
"""By how much, as a share of the mean, the gaps between slices may differ; and by how much angles may, in radians."""

MAX_LISTED = 5

ASSUMED = (1.0, 1.0)
"""The distances between pixels, in mm, where a file does not say them."""

GREY_KINDS = ("MONOCHROME1", "MONOCHROME2", "")
"""The photometric interpretations whose values are intensities; a file may leave it out."""


class _Slice(NamedTuple):
    """What the header of a file says; pydicom decodes its elements only when they are read, and may fail then.

    Attributes:
        path: The file.
        series: The UID of its series.
        description: That of its series.
        size: Its rows and columns.
        position: (3,), the place of the centre of its first pixel, in mm, x to the left and y to the back; None where
            the file does not say.
        orientation: (2, 3), the directions of its rows and columns; None where the file does not say.
        distances: Those of pixels along a column and along a row, in mm; None where the file does not say.
        thickness: That of the slice, in mm; None where the file does not say.
        window: The values that it wants to be drawn black and white; None for no window.
        has_voi: Whether it has a VOI LUT or a window.
        inverted: Whether it is MONOCHROME1.
    """

    path: Path
    series: str
    description: str
    size: tuple[int, int]
    position: DoubleArray | None
    orientation: DoubleArray | None
    distances: tuple[float, float] | None
    thickness: float | None
    window: tuple[float, float] | None
    has_voi: bool
    inverted: bool


def check_pydicom() -> None:
    """Raise MissingExtraError if pydicom is not installed. It is not imported."""
    if importlib.util.find_spec("pydicom") is None:
        raise MissingExtraError("For DICOM files, pydicom", "volumes")


def read_dicom(path: Path, *, voi: bool = False) -> Volume:
    """Read a DICOM file, or a folder with the slices of one series.

    Slices are sorted by their position along the normal of their plane. Values are (slices, rows, columns).

    Args:
        path: The file or the folder; hidden files, and files that are not DICOM, are left out.
        voi: False gives values in the units of the modality, such as Hounsfield units: the stored values with the
            rescale slope and intercept or the modality LUT of the file. True gives what the file wants to be shown, in
            0..1: those through its VOI LUT or window, and inverted where it is MONOCHROME1. Without either, 0..1 is the
            range of all slices together.

    Raises:
        MissingExtraError: pydicom is not installed.
        RecordingError: The folder holds several series, its slices do not make one volume, or a file is damaged.
    """
    check_pydicom()
    with warnings_in_words(path):
        return _read(path, voi=voi)


def _read(path: Path, *, voi: bool) -> Volume:
    slices = [_read_header(file) for file in ([path] if not path.is_dir() else _dicom_files(path))]
    _check_one_series(path, slices)
    _check_alike(path, slices)
    slices, step = _sorted(path, slices)
    check_size((len(slices), *slices[0].size), 1, "volume", path)
    values = np.empty((len(slices), *slices[0].size), np.float32)
    for number, each in enumerate(slices):
        values[number] = _read_pixels(each, voi=voi)
    if voi and not slices[0].has_voi:
        values = stretched(values, inverted=slices[0].inverted)
    middle = slices[len(slices) // 2]
    return Volume(
        values,
        source=str(path),
        window=(0.0, 1.0) if voi else middle.window,
        inverted=middle.inverted and not voi,
        **_geometry(path, slices, step),
    )


def _files(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry, _ in zip(entries, range(MAX_FILES + 1), strict=False))
    except OSError as error:
        raise RecordingError(f"{folder} cannot be searched: {error.strerror or error}.") from error
    if len(names) > MAX_FILES:
        raise RecordingError(f"{folder} contains more than {MAX_FILES:,} files. Give a folder with one series.")
    return (folder / name for name in names if not name.startswith("."))


def _dicom_files(folder: Path) -> list[Path]:
    found = [file for file in _files(folder) if file.is_file() and is_dicom_file(file)]
    if not found:
        raise RecordingError(f"{folder} contains no DICOM files.")
    return found


@contextmanager
def _damage_in_words(path: Path) -> Iterator[None]:
    """Turn what pydicom raises for a damaged file into an error in words."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        yield
    except InvalidDicomError as error:
        raise RecordingError(f"{path} is not a DICOM file.") from error
    except (
        AttributeError,
        BytesLengthException,
        EOFError,
        KeyError,
        IndexError,
        NotImplementedError,
        OSError,
        OverflowError,
        struct.error,
        RuntimeError,
        TypeError,
        ValueError,
        zlib.error,
    ) as error:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)  # pydicom adds its traceback
        raise RecordingError(
            f"{path} is damaged, or of a kind that is not read: {one_line(first_line)[:MAX_SHOWN]}"
        ) from error


def _read_header(path: Path) -> _Slice:
    from pydicom import dcmread

    with open_recording(path, MAX_BYTES) as file, _damage_in_words(path):
        header = dcmread(_InMemory(file.read()), stop_before_pixels=True)
        if "Rows" not in header or "Columns" not in header:
            raise RecordingError(f"{path} is a DICOM file without an image.")
        frames, samples = int(header.get("NumberOfFrames") or 1), int(header.get("SamplesPerPixel") or 1)
        kind = str(header.get("PhotometricInterpretation", ""))
        distances = _numbers(header, "PixelSpacing", 2) or _numbers(header, "ImagerPixelSpacing", 2)
        if distances is not None and min(distances) <= 0:
            raise ValueError(f"its pixels are {distances[0]:g} and {distances[1]:g} mm apart; expected more than 0")
        position = _numbers(header, "ImagePositionPatient", 3)
        orientation = _numbers(header, "ImageOrientationPatient", 6)
        found = _Slice(
            path,
            series=str(header.get("SeriesInstanceUID", "")),
            description=str(header.get("SeriesDescription", "")) or "without a description",
            size=(int(header.Rows), int(header.Columns)),
            position=None if position is None else np.array(position),
            orientation=None if orientation is None else np.array(orientation).reshape(2, 3),
            distances=None if distances is None else (distances[0], distances[1]),
            thickness=_thickness(header),
            window=shown_window(header),
            has_voi=has_voi(header),
            inverted=kind == "MONOCHROME1",
        )
    if kind not in GREY_KINDS:
        raise RecordingError(
            f"{path} has pixels of the kind {one_line(shortened(kind))}, which are numbers of colours or colours; "
            f"expected {GREY_KINDS[0]} or {GREY_KINDS[1]}."
        )
    if frames > 1 or samples > 1:
        raise RecordingError(
            f"{path} has {frames} frame(s) and {samples} value(s) per pixel; expected one of each. Convert it to "
            "NIfTI, as with dcm2niix, or to a file for each slice."
        )
    return found


class _InMemory(io.BytesIO):
    """A copy of a file: read from the disk, an element of a false length would be allocated before it fails.

    pydicom reads the rest of a file in one go only if the file is deflated as a whole, to inflate it: a small file may
    become any size.
    """

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        if size is None or size < 0:
            inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, MAX_INFLATED + 1)
            if len(inflated) > MAX_INFLATED:
                raise ValueError(f"it is compressed as a whole, and becomes more than {MAX_INFLATED:,} bytes")
        return content


def _numbers(header: Any, name: str, count: int) -> tuple[float, ...] | None:
    """Return an element with so many numbers; None where it is missing or empty.

    Raises:
        ValueError: It has more or fewer, or one that is not finite.
    """
    value = header.get(name)
    if value is None or value == "" or value == []:
        return None
    numbers = tuple(map(float, value if hasattr(value, "__len__") else [value]))
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ValueError(f"its {name} is {shortened(str(value))}; expected {count} numbers")
    return numbers


def _thickness(header: Any) -> float | None:
    """Return the thickness of a slice, or else its distance to the next, in mm; None where the file says neither."""
    for name in ("SliceThickness", "SpacingBetweenSlices"):
        value = abs(float(header.get(name) or 0))  # the distance may have a sign
        if SIDES[0] < value < SIDES[1]:
            return value
    return None


def _check_one_series(path: Path, slices: Sequence[_Slice]) -> None:
    """Raise RecordingError if the files belong to several series, and list them."""
    keyed = sorted(slices, key=lambda each: each.series)
    series = [(uid, list(group)) for uid, group in groupby(keyed, key=lambda each: each.series)]
    if len(series) > 1:
        named = [
            f"{one_line(shortened(group[0].description))} ({len(group)} slices, {group[0].path.name} and on, "
            f"{one_line(shortened(uid)) or 'without a UID'})"
            for uid, group in series[:MAX_LISTED]
        ]
        more = f"; and {len(series) - MAX_LISTED} more" if len(series) > MAX_LISTED else ""
        raise RecordingError(
            f"{path} contains {len(series)} series: {'; '.join(named)}{more}. Put the files of one series into a "
            "folder of their own."
        )


def _check_alike(path: Path, slices: Sequence[_Slice]) -> None:
    """Raise RecordingError if slices differ in what a volume has once."""
    kinds: dict[str, set[Any]] = {
        "sizes": {each.size for each in slices},
        "distances between pixels": {tuple(round(each, 4) for each in one.distances or ()) for one in slices},
        "photometric interpretations": {"MONOCHROME1" if each.inverted else "MONOCHROME2" for each in slices},
        "ways to be shown": {"with a window" if each.has_voi else "without a window" for each in slices},
    }
    for what, found in kinds.items():
        if len(found) > 1:
            listed = ", ".join(map(str, sorted(found)[:MAX_LISTED]))
            raise RecordingError(
                f"The slices in {path} have different {what}: {listed}. One volume has "
                "one of each; put its slices into a folder of their own."
            )


def _sorted(path: Path, slices: list[_Slice]) -> tuple[list[_Slice], DoubleArray | None]:
    """Return the slices by their position along the normal, and the way from each to the next, in mm.

    Raises:
        RecordingError: A slice has no position, slices are not parallel, or the gaps between them differ.
    """
    if len(slices) == 1:
        return slices, None
    if any(each.position is None or each.orientation is None for each in slices):
        raise RecordingError(
            f"Not every slice in {path} says where it lies (ImagePositionPatient, ImageOrientationPatient), so that "
            "they cannot be sorted."
        )
    directions = np.stack([each.orientation for each in slices if each.orientation is not None])
    if np.abs(directions - directions[0]).max() > TOLERANCE:
        raise RecordingError(f"The slices in {path} are not parallel: their ImageOrientationPatient differs.")
    normal = np.cross(directions[0, 0], directions[0, 1])
    positions = np.stack([each.position for each in slices if each.position is not None])
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    gaps = np.diff(positions @ normal)
    step = (positions[-1] - positions[0]) / (len(slices) - 1)
    names = [slices[int(number)].path.name for number in order]
    _check_gaps(path, gaps, names)
    # One affine puts all slices on a line: a slice beside it would be drawn and saved at another place of the patient.
    beside = np.linalg.norm(positions - positions[0] - np.arange(len(slices))[:, None] * step, axis=1)
    if beside.max() > min(*(slices[0].distances or ASSUMED), float(gaps.mean())) / 2:
        raise RecordingError(
            f"The slices in {path} are not in a line: {names[int(beside.argmax())]} lies {beside.max():.4g} mm beside "
            "it. Put the files of one volume into a folder of their own."
        )
    return [slices[int(number)] for number in order], step


def _check_gaps(path: Path, gaps: DoubleArray, names: Sequence[str]) -> None:
    mean = float(gaps.mean())
    if gaps.min() < 1e-3:
        first = int(gaps.argmin())
        raise RecordingError(
            f"Two slices in {path} lie at the same place: {names[first]} and {names[first + 1]}. Put the files of one "
            "volume into a folder of their own."
        )
    if np.abs(gaps - mean).max() > max(TOLERANCE * mean, 1e-3):
        worst = int(gaps.argmax())
        raise RecordingError(
            f"The slices in {path} lie at uneven distances, from {gaps.min():.4g} to {gaps.max():.4g} mm; the largest "
            f"gap is between {names[worst]} and {names[worst + 1]}. A slice may be missing."
        )


def _geometry(path: Path, slices: Sequence[_Slice], step: DoubleArray | None) -> dict[str, Any]:
    """Return the affine of a `Volume`, or its spacing where the one slice does not say where it lies.

    Where the file does not say how large voxels are, a warning says what is assumed.
    """
    first = slices[0]
    missing = [] if first.distances else ["how far apart its pixels are (PixelSpacing)"]
    missing += [] if first.thickness or step is not None else ["how thick its one slice is (SliceThickness)"]
    if missing:
        warn(f"{path} does not say {' or '.join(missing)}: 1 mm is assumed, so that what is drawn may be distorted.")
    (down, right), thickness = first.distances or ASSUMED, first.thickness or 1.0
    if first.orientation is None or first.position is None:
        return {"spacing": (thickness, down, right)}
    along_row, along_column = first.orientation
    step = np.cross(along_row, along_column) * thickness if step is None else step
    affine = np.eye(4)
    affine[:3] = np.stack([step, along_column * down, along_row * right, first.position], axis=1)
    affine[:2] *= -1  # DICOM's x grows to the left and its y to the back
    return {"affine": affine}


def _read_pixels(each: _Slice, *, voi: bool) -> FloatArray:
    from pydicom import dcmread

    with open_recording(each.path, MAX_BYTES) as file, _damage_in_words(each.path):
        header = dcmread(_InMemory(file.read()))
        values = stored_values(header)
        if values.shape != each.size:
            raise RecordingError(f"{each.path} has pixels of shape {values.shape}; expected {each.size}.")
        return presented(values, header) if voi and each.has_voi else values
