"""Kernels of ONNX models, and copies of a model with others."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from seewhy.frameworks.kernels import Kernels, is_kernel
from seewhy.frameworks.onnx.graph import AI_ONNX

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators with a kernel or a matrix."""

REARRANGED = ("Identity", "Transpose", "Reshape", "Cast", "Unsqueeze", "Squeeze")
"""Operators between weights and the product that they are part of."""


class Weights(NamedTuple):
    """Weights of a product.

    Attributes:
        name: The name of the initializer.
        values: As the model stores them.
        places: Where each number of the kernel, in the order of `Kernels`, is among the flattened values.
    """

    name: str
    values: NDArray[np.generic]
    places: NDArray[np.intp]


def kernels_of(model: onnx.ModelProto) -> Kernels:
    """Return the kernels of a model by the name of the value that is computed with them."""
    return {output: tuple(each.values.ravel()[each.places] for each in own) for output, own in _weights(model).items()}


def with_kernels(model: onnx.ModelProto, kernels: Kernels) -> onnx.ModelProto:
    """Return a copy of a model with other kernels."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in copy.graph.initializer}
    for output, own in _weights(model).items():
        for (name, array, places), values in zip(own, kernels.get(output, ()), strict=output in kernels):
            stored = np.empty_like(array)
            stored.ravel()[places] = values
            tensors[name].CopyFrom(onnx.numpy_helper.from_array(stored, name))
    return copy


def _weights(model: onnx.ModelProto) -> dict[str, list[Weights]]:
    """Return the weights of each value that is a product with them, in the order of the nodes; each weight once."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    found: dict[str, list[Weights]] = {}
    seen: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in PRODUCTS or node.domain not in AI_ONNX:
            continue
        for position, value in enumerate(node.input[:2]):
            name, between = _behind(value, producers)
            if name not in tensors or name in seen:
                continue
            array = np.asarray(onnx.numpy_helper.to_array(tensors[name]))
            if is_kernel(array.shape, array.dtype.name):
                seen.add(name)
                places = np.arange(array.size).reshape(array.shape)
                for rearranging in reversed(between):
                    places = _rearranged(places, rearranging, tensors)
                own = _ordered(places, node, position)
                found.setdefault(node.output[0], []).append(Weights(name, array, own))
    return found


def _behind(value: str, producers: Mapping[str, onnx.NodeProto]) -> tuple[str, list[onnx.NodeProto]]:
    """Return what a value is a rearrangement of, and the nodes between, the last one first."""
    between = []
    while (node := producers.get(value)) is not None and node.op_type in REARRANGED and node.domain in AI_ONNX:
        between.append(node)
        value = node.input[0]
    return value, between


def _rearranged(
    places: NDArray[np.intp], node: onnx.NodeProto, tensors: Mapping[str, onnx.TensorProto]
) -> NDArray[np.intp]:
    """Return places as a node rearranges them; as they are where the node only changes axes of 1, or is not known."""
    if node.op_type == "Transpose":
        axes = next((list(each.ints) for each in node.attribute if each.name == "perm"), list(range(places.ndim))[::-1])
        return places.transpose(axes) if len(axes) == places.ndim else places
    if node.op_type == "Reshape" and node.input[1] in tensors:
        sizes = onnx.numpy_helper.to_array(tensors[node.input[1]]).tolist()
        return places.reshape([places.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)])
    return places


def _ordered(places: NDArray[np.intp], node: onnx.NodeProto, position: int) -> NDArray[np.intp]:
    """Return the places of a weight in the order of `Kernels`, for its position among the inputs of a product."""
    if node.op_type not in ("Gemm", "MatMul") or places.ndim < 2:
        return places
    transposed = "transB" if position else "transA"
    is_transposed = any(each.name == transposed and each.i for each in node.attribute)
    is_in_out = (position == 1) != is_transposed  # x W, but for x W^T and W x
    return places.swapaxes(-1, -2) if is_in_out else places
