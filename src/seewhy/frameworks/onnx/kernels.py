"""Kernels of ONNX models, and copies of a model with others."""

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray

from seewhy.frameworks.kernels import Kernels, is_kernel
from seewhy.frameworks.onnx.graph import AI_ONNX

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators with a kernel or a matrix."""

REARRANGED = ("Identity", "Transpose", "Reshape", "Cast", "Unsqueeze", "Squeeze")
"""Operators between weights and the product that they are part of."""


def kernels_of(model: onnx.ModelProto) -> Kernels:
    """Return the kernels of a model by the name of the value that is computed with them."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    found: dict[str, tuple[NDArray[np.generic], ...]] = {}
    seen: set[str] = set()
    for output, names in _names(model):
        own = [name for name in names if name not in seen]
        seen.update(own)
        if own:
            found[output] = tuple(np.asarray(onnx.numpy_helper.to_array(tensors[name])) for name in own)
    return found


def with_kernels(model: onnx.ModelProto, kernels: Kernels) -> onnx.ModelProto:
    """Return a copy of a model with other kernels."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in copy.graph.initializer}
    seen: set[str] = set()
    for output, names in _names(model):
        own = [name for name in names if name not in seen]
        seen.update(own)
        for name, values in zip(own, kernels.get(output, ()), strict=output in kernels):
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensors[name].data_type)
            tensors[name].CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), name))
    return copy


def _names(model: onnx.ModelProto) -> Iterator[tuple[str, list[str]]]:
    """Yield each value that is a product with weights, in the order of the nodes, and the names of these weights."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}

    def weights_behind(value: str) -> str | None:
        while (node := producers.get(value)) is not None and node.op_type in REARRANGED and node.domain in AI_ONNX:
            value = node.input[0]
        tensor = tensors.get(value)
        if tensor is None:
            return None
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).name
        return value if is_kernel(tuple(tensor.dims), dtype) else None

    for node in model.graph.node:
        if node.op_type in PRODUCTS and node.domain in AI_ONNX:
            names = [name for value in node.input[:2] if (name := weights_behind(value)) is not None]
            yield node.output[0], list(dict.fromkeys(names))
