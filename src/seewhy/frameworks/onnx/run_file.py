"""Running an exported model as any user of ONNX Runtime does: a session of the whole file, with its defaults."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from seewhy.errors import ModelError
from seewhy.frameworks.onnx.batches import full_batches
from seewhy.frameworks.onnx.model_inputs import as_input
from seewhy.frameworks.onnx.session import FAILURES, FATAL_ONLY


def run_model(model: onnx.ModelProto, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the outputs of a model by name, run on batches of its own size if it has one.

    Args:
        model: The model.
        feeds: (N, ...) for each input.

    Raises:
        ModelError: ONNX Runtime cannot load or run it.
    """
    feeds = {value.name: as_input(feeds[value.name], value) for value in model.graph.input}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        sizes = {value.shape[0] for value in session.get_inputs()}
        size = next((size for size in sizes if isinstance(size, int)), None)
        names = [value.name for value in session.get_outputs()]
        parts = [session.run(names, batch) for batch in full_batches(feeds, size)]
    except FAILURES as error:
        raise ModelError(f"ONNX Runtime cannot run the exported model: {error}") from error
    images = len(next(iter(feeds.values())))
    joined = [np.concatenate(values)[:images] for values in zip(*parts, strict=True)]
    return dict(zip(names, joined, strict=True))
