"""Exported models in OpenVINO's own format, converted by OpenVINO from ONNX and run by it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from seewhy.errors import ModelError
from seewhy.frameworks.onnx.batches import full_batches

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
"""On processors with instructions for bfloat16, OpenVINO computes in that type unless it is told otherwise."""


def write_openvino(content: bytes, path: Path) -> None:
    """Write a model, given as ONNX, as `path` and a `.bin` with its weights. Metadata become its runtime information.

    Raises:
        ModelError: OpenVINO does not have an operator of the model.
    """
    try:
        # Not `convert_model`, which reports its use to the makers of OpenVINO.
        model = openvino.Core().read_model(content, b"")
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot read the exported model: {_reason(error)}") from error


def run_openvino(path: Path, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the outputs of a model by name, computed in float32.

    Args:
        path: The `.xml` file.
        feeds: (N, ...) for each input.
        outputs: The names of the outputs, which have others in OpenVINO too.

    Raises:
        ModelError: OpenVINO cannot run it.
    """
    try:
        model = openvino.Core().compile_model(path, "CPU", EXACT)
        given = {name: array.astype(model.input(name).element_type.to_dtype()) for name, array in feeds.items()}
        images = model.input(next(iter(feeds))).partial_shape[0]
        size = images.get_length() if images.is_static else None
        parts = [model(batch) for batch in full_batches(given, size)]
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot run the exported model: {_reason(error)}") from error
    count = len(next(iter(feeds.values())))
    return {name: np.concatenate([part[model.output(name)] for part in parts])[:count] for name in outputs}


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
