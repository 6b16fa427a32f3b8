"""Read an `.onnx` file: the model with all its weights, also those in other files."""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from seewhy.errors import WeightsError
from seewhy.frameworks.onnx.tensors import model_tensors
from seewhy.models.onnx_external_data import MAX_MODEL_SIZE, read_external_data
from seewhy.regular_files import open_regular_file

LFS_START = b"version https://git-lfs"


def read_model(path: Path, max_external: int = MAX_MODEL_SIZE) -> tuple[onnx.ModelProto, int]:
    """Read a file, and the files with weights that it names.

    Args:
        path: The file.
        max_external: Weights in other files that have more bytes than this are checked, and not read.

    Returns:
        The model as it is in the file, and the bytes of the file and of those with weights.

    Raises:
        ModelError: The file is not a regular file, is too large, or names files that it may not.
        WeightsError: The file is empty, damaged or not ONNX; or a file with weights is missing.
        OSError: The file cannot be read.
    """
    content = _read(path)
    size = len(content)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise WeightsError(f"{path} is damaged or not an ONNX model: it cannot be parsed.") from error
    del content
    if not model.HasField("graph") or model.ir_version < 1 or not model.graph.node:
        raise WeightsError(f"{path} is damaged or not an ONNX model: it contains no graph.")
    return model, size + read_external_data(model_tensors(model), path, max_external)


def _read(path: Path) -> bytes:
    with open_regular_file(path, MAX_MODEL_SIZE) as file:
        content = file.read()
    if not content:
        raise WeightsError(f"{path} is empty; expected an ONNX model.")
    if content.startswith(LFS_START):
        raise WeightsError(f"{path} is a pointer of Git LFS and not the model. Get the file itself: git lfs pull.")
    return content
