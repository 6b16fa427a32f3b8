"""Inspect an ONNX file in a process of its own, with limited memory and time, before it is loaded.

The process is started by `file_inspection`. It parses and checks the model. Where the graph does not tell how much
memory the model needs, it lets ONNX Runtime load it, and run it once on zeros.
"""

import json
import os
import re
import resource
import sys
from pathlib import Path
from typing import Any

import onnx

from seewhy.errors import ModelError, WeightsError
from seewhy.frameworks.onnx.support import check_ends, check_nodes
from seewhy.frameworks.onnx.tensors import model_tensors
from seewhy.frameworks.onnx.versions import first_line, prepare, updated
from seewhy.models.onnx_external_data import MAX_MODEL_SIZE
from seewhy.models.onnx_memory import SIDES, check_sizes_from_values, clear_output_shapes, fill_input_shapes, is_bounded
from seewhy.models.onnx_reading import read_model
from seewhy.models.onnx_tensor_sizes import check_tensor, tensor_bytes
from seewhy.models.process_limits import limit_memory, limit_process
from seewhy.regular_files import FileTooLargeError, NotRegularFileError

FREE_MEMORY, MAX_RATIO = 2**30, 4
"""The process may allocate `FREE_MEMORY` bytes, and `MAX_RATIO` times those of the file and the files with weights. To
load VGG16, of 553 MB, takes 2.3 times as much."""

MAX_PROCESSOR_TIME = 60
"""Seconds."""

KEPT_BYTES = 4096
"""Tensors of more bytes are checked, and not kept: they say nothing about shapes."""

PROVEN_OPSET, PROVEN_IR = 21, 10
"""What every supported ONNX Runtime can load; whether it can load a newer model is seen when it does."""

OUT_OF_MEMORY = (
    "bad_alloc",
    "bad allocation",
    "allocate memory",
    "integer overflow",
    "length_error",
    "supported maximum",
)
"""What ONNX Runtime says of tensors that are too large."""


def main() -> None:
    """Inspect the file of the request on the standard input, and write a report to the standard output, both JSON."""
    limit_process(resource.RLIMIT_DATA, FREE_MEMORY + MAX_RATIO * MAX_MODEL_SIZE, MAX_PROCESSOR_TIME)
    path = Path(json.load(sys.stdin)["path"])
    json.dump(_report(path), sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # without freeing every object, which takes a while


def _report(path: Path) -> dict[str, Any]:
    try:
        _inspect(path)
    except (ModelError, WeightsError) as error:
        return {"error": type(error).__name__, "message": str(error)}
    except (NotRegularFileError, FileTooLargeError) as error:
        return {"error": "ModelError", "message": f"{path} is not read: {error}."}
    except OSError as error:
        return {"error": "WeightsError", "message": f"Cannot read {path}: {error.strerror or error}."}
    except MemoryError:
        return {"error": "ModelError", "message": _too_large(path, "be inspected")}
    return {}


def _inspect(path: Path) -> None:
    _limit(path.stat().st_size if path.is_file() else 0)
    model, size = read_model(path, KEPT_BYTES)
    _limit(size)
    for tensor in model_tensors(model):
        check_tensor(tensor, path)
    check_ends(model, path)
    weights = {tensor.name: tensor_bytes(tensor, path) for tensor in model.graph.initializer}
    is_as_in_file = not model.functions
    model = _without_weights(model)
    opsets = [entry.version for entry in model.opset_import]
    model = updated(model, path)
    is_as_in_file = is_as_in_file and opsets == [entry.version for entry in model.opset_import]
    open_sides = fill_input_shapes(model.graph)
    _check(model, weights, path)
    clear_output_shapes(model.graph)
    is_proven = max(opsets) <= PROVEN_OPSET and model.ir_version <= PROVEN_IR
    if not (is_proven and is_bounded(model, weights, _limit(size))):
        session = _load(path, is_as_in_file)
        inputs = [value for value in model.graph.input if value.name not in weights]
        _run(path, session, inputs, open_sides)


def _limit(size: int) -> int:
    max_bytes = FREE_MEMORY + MAX_RATIO * size
    limit_memory(resource.RLIMIT_DATA, max_bytes)
    return max_bytes


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model in which large weights are inputs; the model is changed."""
    graph = model.graph
    inputs = {value.name for value in graph.input}
    large = [tensor for tensor in graph.initializer if tensor.ByteSize() > KEPT_BYTES or tensor.external_data]
    for tensor in large:
        if tensor.name not in inputs:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        tensor.Clear()
    small = [tensor for tensor in graph.initializer if tensor.name]
    copy = onnx.GraphProto()
    copy.initializer.extend(small)
    del graph.initializer[:]
    graph.initializer.extend(copy.initializer)
    # What was deleted is freed with the message that held it.
    return onnx.ModelProto.FromString(model.SerializeToString())


def _check(model: onnx.ModelProto, weights: dict[str, int], path: Path) -> None:
    check_nodes(model.graph, path)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(
            f"{path} is damaged or not a valid ONNX model: {first_line(error)} Export it again, and check it with "
            "onnx.checker.check_model."
        ) from error
    check_sizes_from_values(model.graph, weights, path)


def _load(path: Path, is_as_in_file: bool) -> Any:
    """Let ONNX Runtime load the model, which computes what depends on constants only."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # which would reserve more than it needs
    options.log_severity_level = 4
    model = os.fspath(path) if is_as_in_file else prepare(read_model(path)[0], path).SerializeToString()
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except runtime_failures() as error:
        raise _load_error(path, error) from error


def _run(path: Path, session: Any, inputs: list[Any], open_sides: list[Any]) -> None:
    """Run the model on zeros: one image of the size that it declares, or of several sizes until it takes one."""
    first = None
    for size in SIDES if open_sides else SIDES[:1]:
        for side in open_sides:
            side.dim_value = size
        try:
            session.run(None, {value.name: _zeros(value.type.tensor_type) for value in inputs})
            return
        except runtime_failures() as error:
            if is_out_of_memory(error):
                raise ModelError(_too_large(path, "be run on one image")) from error
            first = first or error
    raise ModelError(
        f"{path} is refused: ONNX Runtime {_runtime_version()} cannot run it on one image of zeros, so that it is not "
        f"known how much memory it needs: {runtime_message(first)} Export it with inputs of fixed size. If the file is "
        "your own, load it with trust=True (--trust on the command line)."
    ) from first


def _zeros(tensor_type: Any) -> Any:
    import numpy as np

    shape = [side.dim_value for side in tensor_type.shape.dim]
    return np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(tensor_type.elem_type))


def _load_error(path: Path, error: Exception) -> ModelError:
    text = runtime_message(error)
    if is_out_of_memory(error):
        return ModelError(_too_large(path, "be loaded"))
    if "opset" in text.lower() or "ir version" in text.lower():
        return ModelError(
            f"{path} is newer than ONNX Runtime {_runtime_version()}: {text} Upgrade it, pip install --upgrade "
            "onnxruntime, or export the model with an older opset, such as 17."
        )
    return ModelError(f"ONNX Runtime {_runtime_version()} cannot load {path}: {text}")


def _runtime_version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)


def runtime_failures() -> tuple[type[Exception], ...]:
    """Return the classes of errors that ONNX Runtime raises; they have no base class and are in no public module."""
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    kinds = [kind for kind in vars(runtime).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*kinds, MemoryError, RuntimeError, ValueError)


def runtime_message(error: BaseException | None) -> str:
    """Return the message of an error of ONNX Runtime, without its codes and the lines of its source."""
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"^Load model from .*? failed:\s*", "", text)
    text = re.sub(r"/onnxruntime_src/\S+ .*?\) |/onnxruntime_src/\S+ ", "", text)[:300]
    return text if text.endswith(".") else f"{text}."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ONNX Runtime failed because a tensor would have been too large."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(part in text for part in OUT_OF_MEMORY)


def _too_large(path: Path, purpose: str) -> str:
    megabytes = resource.getrlimit(resource.RLIMIT_DATA)[0] // 2**20
    return (
        f"{path} is refused: it cannot {purpose} in {megabytes:,} MB of memory, far more than its weights have. If the "
        "file is your own, load it with trust=True (--trust on the command line)."
    )
