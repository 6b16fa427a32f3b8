"""Operators of exported models in the forms that runtimes join with the operator before.

A runtime joins a convolution with the constants that are added to its output or multiplied with it, and with the
activation that follows. It knows the usual forms of them; converters also write others, and poolings over more axes
than a runtime has them for.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from seewhy.frameworks.onnx.graph import opset_of

LARGE = 2**16
"""Constants of more values are weights, which no form here is about."""

AXES_INPUT_SINCE = 13


class NormalForms:
    """Rewrites the nodes of a model. The names of values stay, and so does what they hold.

    Args:
        model: The model, which is changed.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._constants = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer if _is_small(tensor)
        }
        self._producers: dict[str, onnx.NodeProto] = {}
        self._opset = opset_of(model)
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self._constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)

    def rewrite(self) -> None:
        """Write every node in its usual form."""
        nodes: list[onnx.NodeProto] = []
        for node in self._graph.node:
            written = self._written(node)
            nodes += written
            self._producers.update({name: each for each in written for name in each.output})
        del self._graph.node[:]
        self._graph.node.extend(nodes)

    def _written(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        match node.op_type:
            case "Sub":
                return self._added(node)
            case "Max" | "Min" if len(node.input) == 2:
                return self._clipped(node)
            case "MaxPool" | "AveragePool" if self._opset >= AXES_INPUT_SINCE:
                return self._pooled(node)
            case "Squeeze":
                return self._squeezed(node)
            case "Erfc":
                return self._error_function(node)
        return [node]

    def _added(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Write x - c as x + -c."""
        constant = self._constants.get(node.input[1])
        if constant is None or constant.dtype.kind != "f":
            return [node]
        return [helper.make_node("Add", [node.input[0], self._constant(node, -constant)], node.output, name=node.name)]

    def _error_function(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Write erfc, which is no operator of ONNX, as 1 - erf."""
        (name,) = node.output
        one = self._constant(node, np.ones((), np.float32))
        return [
            helper.make_node("Erf", node.input, [f"{name}/erf"]),
            helper.make_node("Sub", [one, f"{name}/erf"], [name], name=node.name),
        ]

    def _clipped(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Write the larger or smaller of x and one number as Clip, and the larger of x and 0 as Relu."""
        x, constant = next(
            ((x, self._constants[c]) for x, c in (node.input, node.input[::-1]) if c in self._constants), ("", None)
        )
        if constant is None or constant.size != 1 or constant.dtype != np.float32 or constant.ndim > 1:
            return [node]
        if node.op_type == "Max" and constant.item() == 0:
            return [helper.make_node("Relu", [x], node.output, name=node.name)]
        inner = self._producers.get(x)
        limit = self._constant(node, constant.reshape(()))
        if node.op_type == "Min" and inner is not None and inner.op_type == "Relu":
            zero = self._constant(node, np.zeros((), np.float32), "zero")
            return [helper.make_node("Clip", [inner.input[0], zero, limit], node.output, name=node.name)]
        return [
            helper.make_node(
                "Clip", [x, limit] if node.op_type == "Max" else [x, "", limit], node.output, name=node.name
            )
        ]

    def _pooled(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Write a pooling over (1, 1, N, *space, K) as one over (N, K, *space)."""
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        kernel = list(attributes["kernel_shape"])
        x = self._without_two_axes(node.input[0])
        if len(kernel) < 4 or x is None or kernel[0] != 1 or kernel[-1] != 1 or len(node.output) > 1:
            return [node]
        for name in ("kernel_shape", "strides", "dilations"):
            if name in attributes:
                attributes[name] = list(attributes[name])[1:-1]
        if "pads" in attributes:
            begins, ends = np.split(np.asarray(attributes["pads"]), 2)
            attributes["pads"] = [*begins[1:-1].tolist(), *ends[1:-1].tolist()]
        rank, name = len(kernel), node.output[0]
        first = [0, rank - 1, *range(1, rank - 1)]
        return [
            helper.make_node("Transpose", [x], [f"{name}/first"], perm=first),
            helper.make_node(node.op_type, [f"{name}/first"], [f"{name}/pooled"], **attributes),
            helper.make_node("Transpose", [f"{name}/pooled"], [f"{name}/last"], perm=[0, *range(2, rank), 1]),
            helper.make_node("Unsqueeze", [f"{name}/last", self._constant(node, np.array([0, 1]))], node.output),
        ]

    def _without_two_axes(self, value: str) -> str | None:
        """Return the value to which one or two operators have added the axes 0 and 1."""
        axes: list[int] = []
        while len(axes) < 2 and (node := self._producers.get(value)) is not None and node.op_type == "Unsqueeze":
            added = self._constants.get(node.input[1]) if len(node.input) > 1 else None
            if added is None:
                return None
            axes += added.reshape(-1).tolist()
            value = node.input[0]
        return value if len(axes) == 2 and set(axes) <= {0, 1} else None

    def _squeezed(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Write the removal of axes that were just added as nothing."""
        inner = self._producers.get(node.input[0])
        if inner is None or inner.op_type != "Unsqueeze" or len(inner.input) < 2 or len(node.input) < 2:
            return [node]
        added, removed = self._constants.get(inner.input[1]), self._constants.get(node.input[1])
        if added is None or removed is None or sorted(added.tolist()) != sorted(removed.tolist()):
            return [node]
        return [helper.make_node("Identity", [inner.input[0]], node.output, name=node.name)]

    def _constant(self, node: onnx.NodeProto, array: NDArray[np.generic], what: str = "constant") -> str:
        name = f"{node.output[0]}/{what}"
        self._constants[name] = array
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


def _is_small(tensor: onnx.TensorProto) -> bool:
    return int(np.prod(tensor.dims, dtype=np.int64)) <= LARGE
