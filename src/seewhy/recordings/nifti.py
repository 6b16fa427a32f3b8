"""NIfTI files, which nibabel reads and writes where it is installed."""

import gzip
import importlib.util
import logging
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import MissingExtraError, RecordingError, warn
from seewhy.images.writing import Writer
from seewhy.recordings.files import open_recording, truncated
from seewhy.recordings.recording import MAX_VALUES, Volume, check_size
from seewhy.types import DoubleArray, FloatArray

MAX_BYTES = 8 * MAX_VALUES + 2**20
"""The largest size of a file that is not compressed: that of float64 values and a header."""


_SILENT = logging.Logger("seewhy.nifti", level=logging.CRITICAL + 1)
"""For nibabel's notes on headers: what it cannot mend is an error here."""


def check_nibabel() -> None:
    """Raise MissingExtraError if nibabel is not installed. It is not imported."""
    if importlib.util.find_spec("nibabel") is None:
        raise MissingExtraError("For NIfTI files, nibabel", "volumes")


def nifti_writer(values: FloatArray, affine: DoubleArray, suffix: str) -> Writer:
    """Return a function that writes values, (D, H, W) or (D, H, W, T), to a NIfTI file.

    Args:
        values: The values, in the order of the affine's axes.
        affine: float64 (4, 4).
        suffix: ".nii", or ".nii.gz", which is compressed.

    Raises:
        MissingExtraError: nibabel is not installed.
    """
    check_nibabel()
    import nibabel

    image = nibabel.Nifti1Image(np.asarray(values, dtype=np.float32), affine)
    image.header.set_xyzt_units("mm")
    content: bytes = image.to_bytes()

    def write(file: BinaryIO) -> None:
        # Without a time, equal heatmaps are equal files.
        file.write(gzip.compress(content, 6, mtime=0) if suffix == ".nii.gz" else content)

    return write


def read_nifti(path: Path) -> Volume:
    """Read a NIfTI file, version 1 or 2, compressed or not.

    Its values are scaled by its slope and intercept, and stay in the order of its axes. The size that its header
    announces is checked before memory is allocated, and of a compressed file no more is decompressed than that.

    Raises:
        MissingExtraError: nibabel is not installed.
        RecordingError: The file is damaged, truncated, too large, or no volume.
    """
    check_nibabel()
    with open_recording(path, MAX_BYTES) as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            return _read(path, gzip.GzipFile(fileobj=file) if is_compressed else file)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RecordingError(f"{path} is truncated or damaged: {error}. Copy it again.") from error


def _read(path: Path, file: "BinaryIO | gzip.GzipFile") -> Volume:
    start = _read_up_to(file, 540, b"")
    header = _header(path, start)
    shape, dtype, start_byte = tuple(map(int, header.get_data_shape())), header.get_data_dtype(), header["vox_offset"]
    space, channels = _axes(path, shape)
    check_size(space, channels, "volume", path)
    if dtype.kind not in "fiu" or not int(header["sizeof_hdr"]) <= start_byte <= 2**20:
        raise RecordingError(
            f"{path} has values of the type {dtype}, from byte {start_byte} on; expected real numbers after the header "
            "and within the first MB."
        )
    offset = int(start_byte)
    expected = offset + int(np.prod(shape)) * dtype.itemsize
    content = _read_up_to(file, expected, start)
    if len(content) < expected:
        raise truncated(path, len(content), expected)
    raw = np.frombuffer(content, dtype, count=int(np.prod(shape)), offset=offset)
    values = _scaled(raw.reshape((*space, channels), order="F"), *header.get_slope_inter())
    return Volume(values if channels > 1 else values[..., 0], source=str(path), **_geometry(header))


def _scaled(raw: NDArray[Any], slope: float | None, intercept: float | None) -> FloatArray:
    """Return raw values (D, H, W, C) times the slope plus the intercept, slice by slice to save memory."""
    values = np.empty(raw.shape, np.float32)
    for number in range(raw.shape[0]):
        with np.errstate(over="ignore", invalid="ignore"):  # a `Volume` checks that all values are finite
            values[number] = raw[number] if slope is None or intercept is None else raw[number] * slope + intercept
    return values


def _header(path: Path, start: bytearray) -> Any:
    """Return the header, of version 1 or 2, of a file that begins with these bytes."""
    from nibabel import Nifti1Header, Nifti2Header
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    for kind in (Nifti1Header, Nifti2Header):
        size = int(kind.sizeof_hdr)
        if len(start) < size or start[:4] not in (size.to_bytes(4, "little"), size.to_bytes(4, "big")):
            continue
        try:
            header = kind(bytes(start[:size]), check=False)
            if bytes(header["magic"].tobytes())[:2] == b"n+":
                if not int(header["sform_code"]) and (header["pixdim"][1:4] == 0).any():
                    warn(f"{path} does not say how far apart its voxels are along each axis (pixdim): 1 is assumed.")
                # As nibabel reads them: a sign of 0 is 1, negative sizes of voxels are positive, sizes of 0 are 1.
                header.check_fix(logger=_SILENT, error_level=logging.CRITICAL + 1)
                header.get_data_shape(), header.get_data_dtype(), header.get_slope_inter(), header.get_xyzt_units()
                return header
        except (HeaderDataError, WrapStructError, KeyError, ValueError) as error:
            raise RecordingError(f"{path} has a damaged header: {error}.") from error
    raise RecordingError(f"{path} is not a NIfTI file in one piece (.nii or .nii.gz), or its header is truncated.")


def _axes(path: Path, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Return the three axes of space of a shape, and the number of channels: the one longer axis after them."""
    more = [side for side in shape[3:] if side != 1]
    if len(shape) < 3 or len(more) > 1:
        raise RecordingError(
            f"{path} has the shape {shape}; expected three axes, and of several channels a fourth. Take one volume "
            "out of it."
        )
    return shape[:3], more[0] if more else 1


def _geometry(header: Any) -> dict[str, Any]:
    """Return the affine of a `Volume` in mm, or its spacing where the file does not say where the volume lies."""
    scale = {"meter": 1000.0, "micron": 0.001}.get(header.get_xyzt_units()[0], 1.0)
    if int(header["sform_code"]) or int(header["qform_code"]):
        with np.errstate(all="ignore"):  # a `Volume` checks its affine
            affine = np.array(header.get_best_affine(), dtype=np.float64)
            affine[:3] *= scale
        return {"affine": affine}
    return {"spacing": tuple(float(each) * scale or 1.0 for each in header.get_zooms()[:3])}


def _read_up_to(file: "BinaryIO | gzip.GzipFile", count: int, start: bytes | bytearray) -> bytearray:
    """Return the first bytes of a file, of which these were read; fewer than `count` where the file ends."""
    content = bytearray(start)
    while len(content) < count:
        part = file.read(min(count - len(content), 2**24))
        if not part:
            break
        content += part
    return content
