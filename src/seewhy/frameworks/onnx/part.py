"""A part of a model as a model of its own: the whole of it with more outputs, a head, or a backward pass."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

import numpy as np
import onnx
from onnx import helper

from seewhy.frameworks.onnx.graph import AI_ONNX, Graph, reads

MICROSOFT = "com.microsoft"


class Kind(NamedTuple):
    """What is known of a value that is not the model's.

    Attributes:
        dtype: Its type.
        rank: Its number of axes; None if it is unknown. OpenVINO needs it where a convolution reads the value.
    """

    dtype: np.dtype[Any]
    rank: int | None

    @classmethod
    def of(cls, graph: Graph, value: str) -> "Kind":
        """Return the kind of a value of the model."""
        shape = graph.shape(value)
        return cls(graph.dtype(value), None if shape is None else len(shape))


class CountSource(NamedTuple):
    """A value that tells a part for how many images it runs.

    Attributes:
        value: One of the part's inputs.
        axis: The axis of it with a row for each image.
    """

    value: str
    axis: int


@final
@dataclass
class Part:
    """Nodes that compute some values from others.

    Attributes:
        graph: The model.
        given: The values that the part is given, whatever computes them in the model.
        outputs: The values that it computes.
        recomputed: Values of the model that it computes itself, where it needs them. All other values of the model that
            depend on its input are given to it.
        extra_nodes: Nodes that are not the model's, in an order in which they can run after the model's.
        extra_initializers: The initializers of those nodes.
        kinds: The kinds of those of `given` that are not the model's.
        count_source: Where the number of images is read; None where it is the model's own.
        inputs: The values that it is given, in order: `given`, and what else it needs.
        nodes: Its nodes.
    """

    graph: Graph
    given: Sequence[str]
    outputs: Sequence[str]
    recomputed: Collection[str]
    extra_nodes: Sequence[onnx.NodeProto] = ()
    extra_initializers: Sequence[onnx.TensorProto] = ()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    count_source: CountSource | None = None
    inputs: list[str] = field(init=False)
    nodes: list[onnx.NodeProto] = field(init=False)

    def __post_init__(self) -> None:
        self.inputs = list(self.given)
        extra = {name for node in self.extra_nodes for name in node.output}
        needed = set(self.outputs)
        nodes = self._needed_nodes(reversed(self.extra_nodes), needed)
        self.nodes = [*self._model_nodes(needed - extra)[::-1], *nodes[::-1]]

    @property
    def bypass(self) -> list[str]:
        """The values of the model that the part needs besides `given`."""
        return self.inputs[len(self.given) :]

    def model(self) -> onnx.ModelProto:
        """Return the part as a model."""
        read = {name for node in self.nodes for name in reads(node)} | set(self.outputs)
        initializers = [self.graph.initializers[name] for name in self.graph.initializers if name in read]
        initializers += [tensor for tensor in self.extra_initializers if tensor.name in read]
        graph = helper.make_graph(
            self.nodes,
            "part",
            [self._value_info(name) for name in self.inputs],
            [onnx.ValueInfoProto(name=name) for name in self.outputs],
            initializers,
        )
        domains = {node.domain for node in self.nodes}
        own = [entry for entry in self.graph.model.opset_import if entry.domain in AI_ONNX or entry.domain in domains]
        if MICROSOFT in domains and all(entry.domain != MICROSOFT for entry in own):
            own.append(helper.make_opsetid(MICROSOFT, 1))
        return helper.make_model(graph, opset_imports=own, ir_version=self.graph.model.ir_version)

    def _needed_nodes(self, backwards: Iterable[onnx.NodeProto], needed: set[str]) -> list[onnx.NodeProto]:
        """Return those of the nodes, last to first, that compute what is needed, and add what they read to it."""
        nodes = []
        for node in backwards:
            if not needed.isdisjoint(node.output):
                nodes.append(node)
                needed.update(reads(node))
        return nodes

    def _model_nodes(self, needed: set[str]) -> list[onnx.NodeProto]:
        """Return the nodes of the model that compute what is needed, last to first; the rest becomes inputs."""
        needed, given, nodes = set(needed), set(self.given), []
        for node in reversed(self.graph.nodes):
            wanted = [name for name in node.output if name in needed and name not in given]
            if not wanted:
                continue
            if (shape := self._shape_node(node)) is not None:
                nodes += shape
            elif all(self._is_computed(name) for name in wanted):
                nodes.append(node)
                needed.update(reads(node))
            else:
                self.inputs += wanted
        self.inputs += [name for name in self.graph.inputs if name in needed and name not in given]
        return nodes

    def _is_computed(self, value: str) -> bool:
        """Whether the part computes a value of the model itself: not if it depends on the input alone, unless asked."""
        if value not in self.graph.dependent or value in self.recomputed:
            return True
        # What is computed of shapes depends on the number of images for which the part runs.
        shape = self.graph.shape(value)
        return not self.graph.is_float(value) and shape is not None and len(shape) < 2 and None not in shape

    def _shape_node(self, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        """Return nodes, last to first, that compute the shape of a value which the part does not compute.

        None for a node that does not compute a shape, or the shape of a value that the part computes.
        """
        if node.op_type != "Shape" or node.domain not in AI_ONNX or self.count_source is None:
            return None
        (value,) = node.input
        shape, axis = self.graph.shape(value), self.graph.image_axis(value)
        if value in self.recomputed or value in self.given or shape is None or (None in shape and axis is None):
            return None
        bounds = {attribute.name: attribute.i for attribute in node.attribute}
        sizes = list(range(len(shape)))[bounds.get("start", 0) : bounds.get("end", len(shape))]
        name, source = node.output[0], self.count_source
        prefix = f"seewhy/shape_of/{name}/"
        numbers = [shape[axis] for axis in sizes]
        if axis not in sizes:
            return [_constant_node(name, [int(number) for number in numbers if number is not None])]
        constants = [
            _constant_node(f"{prefix}{axis}", [0 if number is None else number])
            for axis, number in zip(sizes, numbers, strict=True)
        ]
        parts = [f"{prefix}count" if each == axis else f"{prefix}{each}" for each in sizes]
        return [
            helper.make_node("Concat", parts, [name], axis=0),
            helper.make_node("Gather", [f"{prefix}shape", f"{prefix}axis"], [f"{prefix}count"]),
            helper.make_node("Shape", [source.value], [f"{prefix}shape"]),
            _constant_node(f"{prefix}axis", [source.axis]),
            *constants,
        ]

    def _value_info(self, name: str) -> onnx.ValueInfoProto:
        shape: Sequence[int | None] | None
        if name in self.kinds:
            dtype, rank = self.kinds[name]
            shape = None if rank is None else [None] * rank
        else:
            dtype, shape = self.graph.dtype(name), self.graph.shape(name)
        sizes = (
            None if shape is None else [f"{name}/{axis}" if size is None else size for axis, size in enumerate(shape)]
        )
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), sizes)


def whole(graph: Graph, outputs: Sequence[str]) -> Part:
    """Return the whole model with other outputs; those of the model that they do not depend on are left out."""
    return Part(graph, graph.inputs, list(dict.fromkeys(outputs)), graph.dependent)


def _constant_node(name: str, values: Sequence[int]) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(np.array(values, np.int64)))
