"""Read an `.onnx` file: the model with all its weights, its functions inlined, in a version that ONNX Runtime has."""

from pathlib import Path

import onnx
import onnx.checker
import onnx.defs
import onnx.inliner
import onnx.version_converter
from google.protobuf.message import DecodeError

from seewhy.errors import ModelError, WeightsError
from seewhy.frameworks.onnx.tensors import model_tensors
from seewhy.models.onnx_external_data import MAX_MODEL_SIZE, read_external_data
from seewhy.models.onnx_support import check_functions
from seewhy.regular_files import open_regular_file

MIN_OPSET, CONVERTED_OPSET = 11, 13
"""Models of an older opset than the first are converted to the second."""

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


def prepare(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Return a model without functions, and of opset 11 or newer.

    Args:
        model: The model; it is changed.
        path: Its file, for messages.

    Raises:
        ModelError: An operator is custom, or the model is too old or too new.
    """
    del model.training_info[:]  # how the model was trained, which is not read
    _check_versions(model, path)
    check_functions(model, path)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model, convert_version=True)
        check_functions(model, path)
    if _opset(model) >= MIN_OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, CONVERTED_OPSET)
    except (RuntimeError, ValueError, onnx.version_converter.ConvertError) as error:
        raise ModelError(
            f"{path} has opset {_opset(model)}, and cannot be converted to opset {CONVERTED_OPSET}: "
            f"{first_line(error)} Export the model again, with opset {CONVERTED_OPSET} or newer."
        ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of a message, as a sentence."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
    return line if line.endswith(".") else f"{line}."


def _read(path: Path) -> bytes:
    with open_regular_file(path, MAX_MODEL_SIZE) as file:
        content = file.read()
    if not content:
        raise WeightsError(f"{path} is empty; expected an ONNX model.")
    if content.startswith(LFS_START):
        raise WeightsError(f"{path} is a pointer of Git LFS and not the model. Get the file itself: git lfs pull.")
    return content


def _opset(model: onnx.ModelProto) -> int:
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _check_versions(model: onnx.ModelProto, path: Path) -> None:
    opset, newest = _opset(model), onnx.defs.onnx_opset_version()
    if opset < 1:
        raise WeightsError(f"{path} is damaged or not an ONNX model: it does not name its opset.")
    for what, version, known in (("opset", opset, newest), ("IR version", model.ir_version, onnx.IR_VERSION)):
        if version > known:
            raise ModelError(
                f"{path} has {what} {version}, and onnx {onnx.__version__} knows {what}s up to {known}. Upgrade it and "
                "ONNX Runtime, pip install --upgrade onnx onnxruntime, or export the model with an older opset, such "
                "as 17."
            )
