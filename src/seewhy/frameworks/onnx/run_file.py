"""Running an exported model as any user of ONNX Runtime does: a session of the whole file, with its defaults."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seewhy.errors import ModelError
from seewhy.frameworks.onnx.session import FAILURES, FATAL_ONLY


def run_model(content: bytes, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the outputs of a model by name, run on batches of its own size if it has one.

    Args:
        content: The file.
        feeds: (N, ...) for each input.

    Raises:
        ModelError: ONNX Runtime cannot load or run it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        sizes = {value.shape[0] for value in session.get_inputs()}
        size = next((size for size in sizes if isinstance(size, int)), None)
        names = [value.name for value in session.get_outputs()]
        parts = [session.run(names, batch) for batch in _batches(feeds, size)]
    except FAILURES as error:
        raise ModelError(f"ONNX Runtime cannot run the exported model: {error}") from error
    images = len(next(iter(feeds.values())))
    joined = [np.concatenate(values)[:images] for values in zip(*parts, strict=True)]
    return dict(zip(names, joined, strict=True))


def _batches(feeds: Mapping[str, NDArray[Any]], size: int | None) -> list[dict[str, NDArray[Any]]]:
    """Return batches of a size, the last one filled with copies; all images at once where any number is taken."""
    images = len(next(iter(feeds.values())))
    size = size or images
    rows = [np.minimum(np.arange(start, start + size), images - 1) for start in range(0, images, size)]
    return [{name: np.ascontiguousarray(array[index]) for name, array in feeds.items()} for index in rows]
