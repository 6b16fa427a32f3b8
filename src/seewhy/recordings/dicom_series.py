"""DICOM series, which pydicom reads where it is installed: one file, or a folder with the slices of one series."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seewhy.errors import MissingExtraError, RecordingError
from seewhy.recordings.dicom_pixels import presented, shown_window, stored_values
from seewhy.recordings.files import open_recording
from seewhy.recordings.finding import is_dicom_file
from seewhy.recordings.recording import MAX_VALUES, Volume, check_size
from seewhy.types import DoubleArray, FloatArray

MAX_FILES = 10_000
"""How many files of a folder are looked at."""

MAX_BYTES = 8 * MAX_VALUES + 2**20

TOLERANCE = 0.01
"""By how much, as a share of the mean, the gaps between slices may differ; and by how much angles may, in radians."""

MAX_LISTED = 5


class _Slice(NamedTuple):
    """A file of a series, without its pixels.

    Attributes:
        path: The file.
        header: What pydicom read.
        position: (3,), the place of the centre of its first pixel, in mm, x to the left and y to the back; None where
            the file does not say.
    """

    path: Path
    header: Any
    position: DoubleArray | None


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
            0..1: those through its VOI LUT or window, and inverted where it is MONOCHROME1.

    Raises:
        MissingExtraError: pydicom is not installed.
        RecordingError: The folder holds several series, the gaps between slices are uneven, or a file is damaged.
    """
    check_pydicom()
    slices = [_read_header(file) for file in ([path] if not path.is_dir() else _dicom_files(path))]
    _check_one_series(path, slices)
    slices, step = _sorted(path, slices)
    first = slices[0].header
    rows, columns = int(first.Rows), int(first.Columns)
    check_size((len(slices), rows, columns), 1, "volume")
    values = np.empty((len(slices), rows, columns), np.float32)
    for number, each in enumerate(slices):
        values[number] = _read_pixels(each, (rows, columns), voi=voi)
    middle = slices[len(slices) // 2].header
    is_inverted = str(middle.get("PhotometricInterpretation", "")) == "MONOCHROME1"
    return Volume(
        values,
        source=str(path),
        window=(0.0, 1.0) if voi else shown_window(middle),
        inverted=is_inverted and not voi,
        **_geometry(slices, step),
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
    from pydicom.errors import InvalidDicomError

    try:
        yield
    except InvalidDicomError as error:
        raise RecordingError(f"{path} is not a DICOM file.") from error
    except (
        AttributeError,
        EOFError,
        KeyError,
        IndexError,
        NotImplementedError,
        OSError,
        OverflowError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)  # pydicom adds its traceback
        raise RecordingError(f"{path} is damaged, or of a kind that is not read: {first_line}") from error


def _read_header(path: Path) -> _Slice:
    from pydicom import dcmread

    with open_recording(path, MAX_BYTES) as file, _damage_in_words(path):
        header = dcmread(file, stop_before_pixels=True)
        if "Rows" not in header or "Columns" not in header:
            raise RecordingError(f"{path} is a DICOM file without an image.")
        frames, samples = int(header.get("NumberOfFrames") or 1), int(header.get("SamplesPerPixel") or 1)
        position = header.get("ImagePositionPatient")
        place = None if position is None else np.array([float(each) for each in position], dtype=np.float64)
    if frames > 1 or samples > 1:
        raise RecordingError(
            f"{path} has {frames} frame(s) and {samples} value(s) per pixel; expected one of each. Convert it to "
            "NIfTI, as with dcm2niix, or to a file for each slice."
        )
    return _Slice(path, header, place)


def _check_one_series(path: Path, slices: Sequence[_Slice]) -> None:
    """Raise RecordingError if the files belong to several series, and list them."""
    keyed = sorted(slices, key=lambda each: str(each.header.get("SeriesInstanceUID", "")))
    series = [
        (uid, list(group))
        for uid, group in groupby(keyed, key=lambda each: str(each.header.get("SeriesInstanceUID", "")))
    ]
    if len(series) > 1:
        named = [
            f"{str(group[0].header.get('SeriesDescription', '')) or 'without a description'} ({len(group)} slices, "
            f"{group[0].path.name} and on, {uid or 'without a UID'})"
            for uid, group in series[:MAX_LISTED]
        ]
        more = f"; and {len(series) - MAX_LISTED} more" if len(series) > MAX_LISTED else ""
        raise RecordingError(
            f"{path} contains {len(series)} series: {'; '.join(named)}{more}. Put the files of one series into a "
            "folder of their own."
        )
    sizes = {(int(each.header.Rows), int(each.header.Columns)) for each in slices}
    if len(sizes) > 1:
        raise RecordingError(f"The slices in {path} have different sizes: {sorted(sizes)}.")


def _sorted(path: Path, slices: list[_Slice]) -> tuple[list[_Slice], DoubleArray | None]:
    """Return the slices by their position along the normal, and the way from each to the next, in mm.

    Raises:
        RecordingError: A slice has no position, slices are not parallel, or the gaps between them differ.
    """
    if len(slices) == 1:
        return slices, None
    orientations = [_orientation(each) for each in slices]
    if any(each.position is None for each in slices) or any(each is None for each in orientations):
        raise RecordingError(
            f"Not every slice in {path} says where it lies (ImagePositionPatient, ImageOrientationPatient), so that "
            "they cannot be sorted."
        )
    directions = np.stack([each for each in orientations if each is not None])
    if np.abs(directions - directions[0]).max() > TOLERANCE:
        raise RecordingError(f"The slices in {path} are not parallel: their ImageOrientationPatient differs.")
    normal = np.cross(directions[0, 0], directions[0, 1])
    positions = np.stack([each.position for each in slices if each.position is not None])
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    gaps = np.diff(positions @ normal)
    step = (positions[-1] - positions[0]) / (len(slices) - 1)
    _check_gaps(path, gaps, [slices[int(number)].path.name for number in order])
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


def _orientation(each: _Slice) -> DoubleArray | None:
    """Return the directions of a slice's rows and columns, (2, 3); None where the file does not say."""
    given = each.header.get("ImageOrientationPatient")
    with _damage_in_words(each.path):
        return None if given is None else np.array([float(number) for number in given]).reshape(2, 3)


def _geometry(slices: Sequence[_Slice], step: DoubleArray | None) -> dict[str, Any]:
    """Return the affine of a `Volume`, or its spacing where the one slice does not say where it lies."""
    first = slices[0]
    with _damage_in_words(first.path):
        given = first.header.get("PixelSpacing") or first.header.get("ImagerPixelSpacing") or (1.0, 1.0)
        down, right = (float(each) for each in given)
        thickness = float(first.header.get("SpacingBetweenSlices") or first.header.get("SliceThickness") or 1.0)
    orientation = _orientation(first)
    if orientation is None or first.position is None:
        return {"spacing": (thickness, down, right)}
    along_row, along_column = orientation
    step = np.cross(along_row, along_column) * thickness if step is None else step
    affine = np.eye(4)
    affine[:3] = np.stack([step, along_column * down, along_row * right, first.position], axis=1)
    affine[:2] *= -1  # DICOM's x grows to the left and its y to the back
    return {"affine": affine}


def _read_pixels(each: _Slice, size: tuple[int, int], *, voi: bool) -> FloatArray:
    from pydicom import dcmread

    with open_recording(each.path, MAX_BYTES) as file, _damage_in_words(each.path):
        header = dcmread(file)
        values = stored_values(header)
        if values.shape != size:
            raise RecordingError(f"{each.path} has pixels of shape {values.shape}; expected {size}.")
        return presented(values, header) if voi else values
