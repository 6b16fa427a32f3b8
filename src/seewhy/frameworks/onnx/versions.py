"""The version of an ONNX model: brought up where it is old, and with its functions inlined."""

import onnx
import onnx.defs
import onnx.inliner
import onnx.version_converter

from seewhy.errors import ModelError, WeightsError
from seewhy.frameworks.onnx.exported_file import without_explanation
from seewhy.frameworks.onnx.support import check_ends, check_functions, check_nodes

MIN_OPSET, CONVERTED_OPSET = 11, 13
"""Models of an older opset than the first are converted to the second."""


def prepare(model: onnx.ModelProto, origin: object) -> onnx.ModelProto:
    """Return a model that can be explained, as far as its graph tells; the same one if nothing has to be changed.

    Args:
        model: The model.
        origin: Its file or its name, as the subject of messages.

    Raises:
        ModelError: The model contains what cannot be explained, or is too old or too new.
        WeightsError: The model has no inputs or outputs.
    """
    check_ends(model, origin)
    model = updated(model, origin)
    check_nodes(model.graph, origin)
    return model


def updated(model: onnx.ModelProto, origin: object) -> onnx.ModelProto:
    """Return a model without functions and heatmaps, and of opset 11 or newer; the same one if it is so.

    Raises:
        ModelError: An operator is custom, or the model is too old or too new.
        WeightsError: The model does not say its opset.
    """
    _check_versions(model, origin)
    check_functions(model, origin)
    model = without_explanation(model)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model, convert_version=True)
        check_functions(model, origin)
    if _opset(model) >= MIN_OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, CONVERTED_OPSET)
    except (RuntimeError, ValueError, onnx.version_converter.ConvertError) as error:
        raise ModelError(
            f"{origin} has opset {_opset(model)}, and cannot be converted to opset {CONVERTED_OPSET}: "
            f"{first_line(error)} Export the model again, with opset {CONVERTED_OPSET} or newer."
        ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of a message, as a sentence."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
    return line if line.endswith(".") else f"{line}."


def _opset(model: onnx.ModelProto) -> int:
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _check_versions(model: onnx.ModelProto, origin: object) -> None:
    opset, newest = _opset(model), onnx.defs.onnx_opset_version()
    if opset < 1:
        raise WeightsError(f"{origin} is damaged or not an ONNX model: it does not name its opset.")
    for what, version, known in (("opset", opset, newest), ("IR version", model.ir_version, onnx.IR_VERSION)):
        if version > known:
            raise ModelError(
                f"{origin} has {what} {version}, and onnx {onnx.__version__} knows {what}s up to {known}. Upgrade it "
                "and ONNX Runtime, pip install --upgrade onnx onnxruntime, or export the model with an older opset, "
                "such as 17."
            )
