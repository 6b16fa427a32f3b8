"""Heatmaps that another tool made, as an explanation: in the viewer, in reports, in notebooks and as overlays."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import InputError, OptionError
from seewhy.images.geometry import Placement
from seewhy.images.reading import ImageLike, read
from seewhy.interpolation import resize
from seewhy.numpy_files import MAX_BYTES, read_npz
from seewhy.representation import ShortTuple
from seewhy.results.explanation import Explanation
from seewhy.results.target_result import TargetResult
from seewhy.types import FloatArray
from seewhy.viewer import notebook
from seewhy.viewer.viewer_data import Label

if TYPE_CHECKING:
    from anywidget import AnyWidget

METHOD = "another tool"

MIN_IMAGE_SIDE = 32
"""From this height and width on, an array whose last axis has 3 or 4 values is an image, not narrow heatmaps."""


def view(
    explanations: Any, maps: Any = None, *, names: Sequence[str] | None = None, labels: Sequence[Label] | None = None
) -> "AnyWidget":
    """Show explanations, or heatmaps that another tool made of an image, in the viewer as a notebook widget.

    Args:
        explanations: One explanation, or more: of one image, or one sample of several images, by different methods or
            layers, or of many. With `maps`, the image: a path, a PIL image or a uint8 array (H, W, 3).
        maps: Heatmaps of the image, made by any tool: as for `from_maps`.
        names: The name of each heatmap.
        labels: The true class of each explanation's image, by name or index; None where it is unknown.

    Returns:
        The widget. Set its `data` to the result of another `viewer_data(...)` to show other explanations.

    Raises:
        MissingExtraError: anywidget is not installed.
        InputError: No explanation was given, or the heatmaps do not have the shape of heatmaps.
        OptionError: The number of labels is not the number of explanations, or names were given without heatmaps.
    """
    if maps is not None:
        first = explanations[0] if isinstance(explanations, (list, tuple)) and explanations else explanations
        if hasattr(first, "heatmaps"):
            raise OptionError("maps= are heatmaps of an image. Give the labels of explanations by name: labels=[...].")
        return notebook.view(from_maps(explanations, maps, names), labels)
    if names is not None:
        raise OptionError(
            "names= are those of heatmaps of another tool; give the heatmaps: view(image, maps, names=...)."
        )
    return notebook.view(explanations, labels)


def from_maps(image: ImageLike, maps: Any, names: Sequence[str] | None = None, *, title: str = METHOD) -> Explanation:
    """Return heatmaps that another tool made of an image as an explanation, to be shown, drawn and saved.

    Args:
        image: A path, a PIL image or a uint8 array (H, W, 3).
        maps: (u, v), (T, u, v), a list of (u, v), or a dict of them by their names: arrays of NumPy or of a framework.
            Each covers the whole image, at any resolution; those of lower resolution are resized to the highest.
            Negative values are evidence against.
        names: The name of each heatmap; None for the keys of a dict, else "map 1" and so on.
        title: The name of the tool or the method.

    Returns:
        The explanation. Its targets are no classes, and have the score 0: the scores are not known.

    Raises:
        InputError: The heatmaps do not have the shape of heatmaps, are not finite in float32, have another number of
            names, or are too large when all are resized to the highest resolution.
        ImageError: The image cannot be read.
    """
    pixels = read(image)
    heatmaps, known = _heatmaps(maps, pixels.shape[:2])
    if names is None:
        names = known or [f"map {row}" for row in range(1, len(heatmaps) + 1)]
    names = [names] if isinstance(names, str) else list(names)
    if len(names) != len(heatmaps):
        raise InputError(f"{len(names)} names were given for {len(heatmaps)} heatmaps; expected one for each.")
    height, width = pixels.shape[:2]
    return Explanation(
        image=pixels,
        placement=Placement((height, width), (0.0, 0.0, float(height), float(width))),
        heatmaps=heatmaps,
        targets=ShortTuple(
            TargetResult(-1, str(name), 0.0, None, bool(heatmap.max() > 0))
            for name, heatmap in zip(names, heatmaps, strict=True)
        ),
        predictions=(),
        layer="input",
        method=title,
        title=title,
        source=os.fspath(image) if isinstance(image, (str, os.PathLike)) else None,
    )


def read_maps(path: Path) -> dict[str, NDArray[Any]]:
    """Read a file of heatmaps by name, as `numpy.savez` writes it; of `Explanation.save`, the heatmaps alone.

    Raises:
        InputError: There is no such file, it is no regular file or too large, or it holds something else.
    """
    try:
        arrays = read_npz(path)
    except OSError as error:
        raise InputError(f"The heatmaps {path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise InputError(f"{path} is not an .npz file of arrays, as numpy.savez writes it: {error}.") from error
    if not arrays:
        raise InputError(f"{path} holds no heatmap.")
    if {"heatmaps", "names"} <= set(arrays):  # `Explanation.save` wrote it
        names, heatmaps = arrays["names"], arrays["heatmaps"]
        if names.ndim != 1 or heatmaps.ndim < 1 or len(names) != len(heatmaps):
            raise InputError(
                f"{path} has names of shape {names.shape} and heatmaps of shape {heatmaps.shape}; expected a name for "
                "each heatmap, (T,) and (T, u, v)."
            )
        return dict(zip(map(str, names), heatmaps, strict=True))
    return arrays


def _heatmaps(maps: Any, image_size: Sequence[int]) -> tuple[FloatArray, list[str]]:
    """Return heatmaps (T, u, v) of one resolution, and their names, as far as they have some."""
    names: list[str] = []
    if isinstance(maps, Mapping):
        names, maps = [str(name) for name in maps], list(maps.values())
    if isinstance(maps, (list, tuple)):
        planes = [_checked(each, image_size) for each in maps]
        stacks = [plane[None] if plane.ndim == 2 else plane for plane in planes]
        names = _numbered(names, stacks) if names else []
    else:
        plane = _checked(maps, image_size)
        stacks = [plane[None] if plane.ndim == 2 else plane]
    if not stacks:
        raise InputError("There is nothing to show: no heatmap was given.")
    largest = tuple(max(sizes) for sizes in zip(*(stack.shape[1:] for stack in stacks), strict=True))
    count = sum(len(stack) for stack in stacks)
    nbytes = 4 * count * math.prod(largest)
    if nbytes > MAX_BYTES and any(stack.shape[1:] != largest for stack in stacks):  # a small file can ask for terabytes
        raise InputError(
            f"{count:,} heatmaps at the highest resolution among them, {largest}, take {nbytes:,} bytes; the limit is "
            f"{MAX_BYTES:,}. Give fewer heatmaps, or heatmaps of one resolution."
        )
    alike = [stack if stack.shape[1:] == largest else resize(stack, largest) for stack in stacks]
    return np.ascontiguousarray(np.concatenate(alike), dtype=np.float32), names


def _numbered(names: Iterable[str], stacks: Iterable[FloatArray]) -> list[str]:
    """Return the name of each heatmap; those of a stack of several are numbered."""
    return [
        name if len(stack) == 1 else f"{name} {row}"
        for name, stack in zip(names, stacks, strict=True)
        for row in range(1, len(stack) + 1)
    ]


def _checked(maps: Any, image_size: Sequence[int]) -> FloatArray:
    """Return heatmaps (u, v) or (T, u, v) of finite numbers."""
    if hasattr(maps, "detach"):  # a tensor of PyTorch, which may be on another device
        maps = maps.detach().cpu()
        maps = maps.float() if str(maps.dtype) == "torch.bfloat16" else maps
    try:
        array = np.asarray(maps)
    except (ValueError, TypeError) as error:  # lists of different lengths, sparse or quantized tensors
        raise InputError(f"The heatmaps are not an array: {error}. Expected numbers (u, v) or (T, u, v).") from error
    if array.dtype.name == "bfloat16":  # of JAX and TensorFlow, which NumPy does not count among the numbers
        array = array.astype(np.float32)
    given = f"Heatmaps of the shape {array.shape} and the type {array.dtype} were given"
    is_large = array.ndim == 3 and (array.shape[:2] == tuple(image_size) or min(array.shape[:2]) >= MIN_IMAGE_SIDE)
    if is_large and array.shape[-1] in (3, 4):
        raise InputError(f"{given}, which is an image in colours. Give the values before they were coloured, (u, v).")
    if array.ndim == 3 and array.shape[-1] == 1 < array.shape[1]:
        raise InputError(f"{given}, whose last axis is one of channels. Give heatmaps[..., 0], of the shape (u, v).")
    if array.ndim not in (2, 3) or not array.size or array.dtype.kind not in "fiub":
        raise InputError(
            f"{given}; expected numbers (u, v), or (T, u, v) for T heatmaps of one image. Take one image of a batch, "
            "and one value for each place."
        )
    with np.errstate(over="ignore"):  # which the check finds
        values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{given}, with values that are NaN, infinite or beyond float32, which cannot be shown.")
    return values
