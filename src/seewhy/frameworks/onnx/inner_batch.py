"""Models that say that they take any number of images, with one number of them fixed inside the graph.

An exporter that traces a model writes `reshape(1, -1)` or `reshape(x.shape[0], -1)` as a constant, and still declares
the first axis of the inputs as open. Such a model runs on that number of images only.
"""

import numpy as np
import onnx

from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.model import OnnxModel
from seewhy.frameworks.onnx.model_inputs import DEFAULT_SIZE, as_input, declared_inputs, with_default_sizes
from seewhy.frameworks.onnx.part import whole
from seewhy.frameworks.onnx.session import FAILURES
from seewhy.frameworks.onnx.sessions import Sessions

SHAPED = ("Reshape", "Expand")
"""Operators that are given a whole shape."""


def with_inner_batch_declared(model: OnnxModel) -> OnnxModel:
    """Return the model with the number of images that it runs on as the first size of its inputs; else the same one.

    It is run on blank images, where a constant shape inside suggests such a number.
    """
    shapes = declared_inputs(model.proto)
    if any(shape[0] is not None for shape in shapes.values()):
        return model
    graph = Graph(model.proto, {name: with_default_sizes(shape) for name, shape in shapes.items()})
    found = [graph.constant(node.input[1]) for node in graph.nodes if node.op_type in SHAPED and len(node.input) > 1]
    suspects = sorted({int(shape[0]) for shape in found if shape is not None and shape.ndim == 1 and shape[:1] > 0})
    if not suspects:
        return model
    session = Sessions(model).get(whole(graph, graph.outputs))

    def runs_on(images: int) -> bool:
        values = {value.name: value for value in model.proto.graph.input}
        sizes = {name: (images, *(size or DEFAULT_SIZE for size in shape[1:])) for name, shape in shapes.items()}
        try:
            session({name: as_input(np.zeros(shape, np.float32), values[name]) for name, shape in sizes.items()})
        except FAILURES:
            return False
        return True

    if runs_on(2) and runs_on(3):
        return model
    size = next((size for size in suspects if runs_on(size)), None)
    return model if size is None else _declared(model, size)


def _declared(model: OnnxModel, size: int) -> OnnxModel:
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    weights = {tensor.name for tensor in proto.graph.initializer}
    for value in proto.graph.input:
        if value.name not in weights:
            value.type.tensor_type.shape.dim[0].dim_value = size
    return OnnxModel(proto, name=model.name, providers=model.providers, threads=model.threads)
