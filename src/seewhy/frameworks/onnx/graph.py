"""A model as a graph of values and nodes.

A *value* is a tensor with a name, which one node computes and others read. An ONNX model has no layers, so every value
that depends on the model's input is one.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, final

import numpy as np
import onnx
from numpy.typing import NDArray

from seewhy.errors import ModelError
from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.onnx.shapes import Shape, ValueInfo, infer_values

AI_ONNX = ("", "ai.onnx")
"""The names of the domain of ONNX's own operators."""

_versions = itertools.count()


@final
class Graph:
    """A model's nodes, and what is known of its values for inputs of certain shapes.

    Args:
        model: The model, without functions of its own.
        input_shapes: The shape of each input; None for the number of images.
        measured: What running the model has shown of values whose shapes cannot be inferred.

    Attributes:
        inputs, outputs: The names of the model's inputs and outputs.
        dependent: The values that depend on the inputs, with the inputs themselves.
        unknown: Those of them whose shapes are not known.
        version: A number that no other graph has.

    Raises:
        ModelError: A node reads a value before it is computed, or two nodes compute the same value.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        input_shapes: Mapping[str, Shape],
        measured: Mapping[str, ValueInfo] | None = None,
    ) -> None:
        self.model = model
        self.version = next(_versions)
        self.nodes: list[onnx.NodeProto] = list(model.graph.node)
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self.inputs = tuple(value.name for value in model.graph.input if value.name not in self.initializers)
        self.outputs = tuple(value.name for value in model.graph.output)
        self.opset = opset_of(model)
        _check_order(self.nodes, {*self.inputs, *self.initializers})
        self._producers = {name: node for node in self.nodes for name in node.output if name}
        self._consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(reads(node)):
                self._consumers.setdefault(name, []).append(node)
        self._values = {**infer_values(model, input_shapes), **(measured or {})}
        self._known = input_shapes, measured
        self._constants: dict[str, NDArray[Any]] = {}
        self._image_axes: dict[str, int | None] = {}
        self.dependent = self.descendants(self.inputs) | set(self.inputs)
        self.unknown = [
            name for node in self.nodes for name in node.output if name in self.dependent and self.shape(name) is None
        ]

    def with_model(self, model: onnx.ModelProto) -> "Graph":
        """Return the graph of a model that has this one's nodes and more, with what is known of this one's values."""
        graph = Graph(model, *self._known)
        graph.set_image_axes(self._image_axes)
        return graph

    @property
    def batch_size(self) -> int | None:
        """The number of images that the model takes; None for any."""
        shape = self.shape(self.inputs[0])
        return shape[0] if shape else None

    def value_of(self, call: LayerCall) -> str:
        """Return the value that a call of a layer returns; of a call that stands for an input, that input."""
        return call.path or self.inputs[call.execution - 1]

    def producer(self, value: str) -> onnx.NodeProto | None:
        """Return the node that computes a value; None for inputs and initializers."""
        return self._producers.get(value)

    def consumers(self, value: str) -> list[onnx.NodeProto]:
        """Return the nodes that read a value."""
        return self._consumers.get(value, [])

    def shape(self, value: str) -> Shape | None:
        """Return a value's shape, with None for sizes that vary with the number of images; None if it is unknown."""
        if value in self.initializers:
            return tuple(self.initializers[value].dims)
        info = self._values.get(value)
        return None if info is None else info.shape

    def sizes(self, value: str, images: int) -> tuple[int, ...] | None:
        """Return a value's shape for a number of images; None where it does not follow from that number alone."""
        shape, info = self.shape(value), self._values.get(value)
        if shape is None or info is None or (None in shape and info.per_image is None):
            return None
        return tuple(images * (info.per_image or 1) if size is None else size for size in shape)

    def image_axis(self, value: str) -> int | None:
        """Return the axis of a value with one part for each image; None where there is none, or more varies."""
        if value in self._image_axes:
            return self._image_axes[value]
        info = self._values.get(value)
        return None if info is None or value not in self.dependent else info.image_axis

    def set_image_axes(self, axes: Mapping[str, int | None]) -> None:
        """Say what `image_axis` returns for some values, which the shapes alone do not tell."""
        self._image_axes = dict(axes)

    def dtype(self, value: str) -> np.dtype[Any]:
        """Return a value's type; float32 where it is unknown."""
        if value in self.initializers:
            dtype: np.dtype[Any] = onnx.helper.tensor_dtype_to_np_dtype(self.initializers[value].data_type)
            return dtype
        info = self._values.get(value)
        return np.dtype(np.float32) if info is None else info.dtype

    def is_float(self, value: str) -> bool:
        """Whether a value holds floating-point numbers."""
        return "float" in self.dtype(value).name

    def constant(self, value: str) -> NDArray[Any] | None:
        """Return the values of an initializer or of a node's constant; None for what the model computes."""
        if value not in self._constants:
            found = self._find_constant(value)
            if found is None:
                return None
            self._constants[value] = found
        return self._constants[value]

    def _find_constant(self, value: str) -> NDArray[Any] | None:
        if value in self.initializers:
            return np.asarray(onnx.numpy_helper.to_array(self.initializers[value]))
        node = self._producers.get(value)
        if node is None or node.domain not in AI_ONNX:
            return None
        if node.op_type == "Identity":
            return self.constant(node.input[0])
        if node.op_type != "Constant":
            return None
        (attribute,) = node.attribute
        content = onnx.helper.get_attribute_value(attribute)
        if isinstance(content, onnx.TensorProto):
            return np.asarray(onnx.numpy_helper.to_array(content))
        is_float = attribute.name in ("value_float", "value_floats")
        return np.asarray(content, dtype=np.float32 if is_float else None)

    def descendants(self, values: Iterable[str]) -> set[str]:
        """Return the values that depend on any of these, which are not among them."""
        found, given = set[str](), set(values)
        for node in self.nodes:
            if any(name in found or name in given for name in reads(node)):
                found.update(name for name in node.output if name)
        return found

    def nodes_for(self, values: Iterable[str], given: Iterable[str]) -> list[onnx.NodeProto]:
        """Return the nodes that compute values from given ones, in an order in which they can run."""
        needed, given = set(values), set(given)
        nodes = []
        for node in reversed(self.nodes):
            if any(name in needed and name not in given for name in node.output):
                nodes.append(node)
                needed.update(reads(node))
        return nodes[::-1]


def _check_order(nodes: Iterable[onnx.NodeProto], known: set[str]) -> None:
    """Check that each value is computed once, and before it is read."""
    known = set(known)
    for node in nodes:
        name = node.name or node.op_type
        if (unknown := next((value for value in reads(node) if value not in known), None)) is not None:
            raise ModelError(f"The ONNX model is damaged: its node {name!r} reads {unknown!r} before it is computed.")
        if (twice := next((value for value in node.output if value and value in known), None)) is not None:
            raise ModelError(f"The ONNX model is damaged: its node {name!r} computes {twice!r} once more.")
        known.update(node.output)


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that a model uses."""
    return next((int(entry.version) for entry in model.opset_import if entry.domain in AI_ONNX), 1)


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the names of the values that a node reads, also inside the graphs of its attributes."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from _outer_reads(graph)


def _outer_reads(graph: onnx.GraphProto) -> Iterator[str]:
    inner = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    inner |= {name for node in graph.node for name in node.output}
    yield from (name for node in graph.node for name in reads(node) if name not in inner)
    yield from (value.name for value in graph.output if value.name not in inner)
