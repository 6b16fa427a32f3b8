"""The values of a DICOM slice: in the units of its modality, and as the file wants them to be shown (PS3.3 C.11)."""

import math
from typing import Any

import numpy as np

from seewhy.types import FloatArray


def stored_values(header: Any) -> FloatArray:
    """Return the pixels of a slice in the units of its modality, float32 (rows, columns).

    They are the stored values times the rescale slope plus the intercept, or those of the modality LUT.

    Raises:
        NotImplementedError: Nothing that is installed decompresses them.
        ValueError: The slope is 0.
    """
    from pydicom.pixels import apply_modality_lut, get_decoder

    syntax = header.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated and not get_decoder(syntax).is_available:
        raise NotImplementedError(
            f"its pixels are compressed ({syntax.name}), and no decoder is installed: pip install 'pylibjpeg[all]'"
        )
    if header.get("RescaleSlope") == 0:
        raise ValueError("its rescale slope is 0, which makes all values equal")
    with np.errstate(over="ignore", invalid="ignore"):  # a `Volume` checks that all values are finite
        return np.asarray(apply_modality_lut(header.pixel_array, header), dtype=np.float32)


def presented(values: FloatArray, header: Any) -> FloatArray:
    """Return values in the units of the modality as they are to be shown, in 0..1.

    They go through the first VOI LUT of the file, or else through its first window; one of them must be there.
    MONOCHROME1 is inverted.
    """
    window = _window(header)
    if header.get("VOILUTSequence") or window is None:
        shown = _through_table(values, header)
    else:
        shown = _through_window(values, *window, function=str(header.get("VOILUTFunction") or "LINEAR"))
    is_inverted = str(header.get("PhotometricInterpretation", "")) == "MONOCHROME1"
    return np.asarray(1 - shown if is_inverted else shown, dtype=np.float32)


def has_voi(header: Any) -> bool:
    """Whether a file says how its values are to be shown, by a VOI LUT or a window."""
    return bool(header.get("VOILUTSequence")) or _window(header) is not None


def stretched(values: FloatArray, *, inverted: bool) -> FloatArray:
    """Return the values of all slices with their range as 0..1, or as 1..0 where they are inverted."""
    low, high = float(values.min()), float(values.max())
    shown = (values - low) / ((high - low) or 1.0)
    return np.asarray(1 - shown if inverted else shown, dtype=np.float32)


def shown_window(header: Any) -> tuple[float, float] | None:
    """Return the values that the first window of a file shows black and white; None without a window that has width."""
    window = _window(header)
    if window is None:
        return None
    centre, width = window
    if str(header.get("VOILUTFunction") or "LINEAR") == "LINEAR":
        low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    else:
        low, high = centre - width / 2, centre + width / 2
    return (low, high) if high > low else None


def _window(header: Any) -> tuple[float, float] | None:
    """Return the centre and the width of the first window."""
    pair = [header.get(name) for name in ("WindowCenter", "WindowWidth")]
    if any(value is None or value == "" for value in pair):
        return None
    centre, width = (float(value[0]) if hasattr(value, "__len__") else float(value) for value in pair)
    return (centre, width) if math.isfinite(centre) and math.isfinite(width) else None


def _through_window(values: FloatArray, centre: float, width: float, *, function: str) -> FloatArray:
    """Return values through a window, in 0..1, by PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    if width <= 0:
        return np.asarray(values > centre, dtype=np.float32)
    if function == "SIGMOID":  # 1 / (1 + exp(-4 (x - c) / w)), whose exp overflows far below the centre
        return np.asarray(0.5 * (1 + np.tanh(2 * (values - centre) / width)), dtype=np.float32)
    return np.asarray(np.clip((values - centre) / width + 0.5, 0, 1), dtype=np.float32)


def _through_table(values: FloatArray, header: Any) -> FloatArray:
    """Return values through the first VOI LUT, in 0..1 of the range of its entries."""
    from pydicom.pixels import apply_voi

    bits = int(header.VOILUTSequence[0].LUTDescriptor[2])
    if not 1 <= bits <= 16:
        raise ValueError(f"the entries of its VOI LUT have {bits} bits; expected 8 to 16")
    table = apply_voi(np.rint(values).astype(np.int64), header)
    return np.asarray(table / (2**bits - 1), dtype=np.float32)
