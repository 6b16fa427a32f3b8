"""Runs a model of one operator with its gradient: in ONNX Runtime, or in ONNX's reference where that lacks a type."""

from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import torch
from onnx import helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as errors
from tests.frameworks.onnx.cases.case import Case, Fixed

from seewhy.frameworks.onnx.backward import backward
from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.shapes import Shape, ValueInfo

MISSING_TYPE = (errors.NotImplemented, errors.InvalidGraph)
"""What ONNX Runtime raises where it does not implement an operator for a type."""


def model_of(case: Case, opset: int, dtype: Any, *, batched: bool) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Return a model of one node, and its inputs."""
    inputs, attributes = case.placed(opset)
    names = ["" if array is None else f"x{index}" for index, array in enumerate(inputs)]
    values, initializers, infos = {}, [], []
    for index, (name, given) in enumerate(zip(names, inputs, strict=True)):
        if isinstance(given, Fixed):
            array = given.array.astype(dtype) if given.array.dtype == np.float64 else given.array
            initializers.append(numpy_helper.from_array(array, name))
        elif given is not None:
            values[name] = given.astype(dtype)
            shape = ["N", *given.shape[1:]] if batched and index in case.batched else given.shape
            infos.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape))
    outputs = [f"y{index}" for index in range(case.outputs)]
    domain, _, operator = case.operator.rpartition(".")
    node = helper.make_node(operator, names, outputs, domain=domain, **attributes)
    graph = helper.make_graph(
        [node], "case", infos, [helper.make_empty_tensor_value_info(name) for name in outputs], initializers
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), values


def with_gradient(
    model: onnx.ModelProto, shapes: dict[str, Shape], outputs: dict[str, ValueInfo], sources: list[str]
) -> tuple[onnx.ModelProto, dict[str, str]]:
    """Return a model that computes its outputs and, from a seed for each, the gradients of sources."""
    graph = Graph(model, shapes)
    if unknown := {name: info for name, info in outputs.items() if graph.shape(name) is None}:
        graph = Graph(model, shapes, unknown)
    builder = GraphBuilder(graph.opset)
    found = backward(graph, builder, {name: f"seed_{name}" for name in outputs}, sources)
    joined = onnx.ModelProto()
    joined.CopyFrom(model)
    joined.graph.node.extend(builder.nodes)
    joined.graph.initializer.extend(builder.initializers)
    joined.graph.input.extend(_declared(graph, name, f"seed_{name}") for name in outputs)
    del joined.graph.output[:]
    joined.graph.output.extend(_declared(graph, name, name) for name in outputs)
    joined.graph.output.extend(_declared(graph, source, name) for source, name in found.items() if name is not None)
    return joined, {source: name for source, name in found.items() if name is not None}


def _declared(graph: Graph, like: str, name: str) -> onnx.ValueInfoProto:
    """Return the declaration of a value with the type and the shape of another one."""
    shape = ["N" if size is None else size for size in graph.shape(like) or ()]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(graph.dtype(like)), shape)


def run(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a model in ONNX Runtime, or in ONNX's reference where ONNX Runtime does not implement a type."""
    names = [value.name for value in model.graph.output]
    try:
        outputs = session(model).run(names, inputs)
    except MISSING_TYPE:
        outputs = onnx.reference.ReferenceEvaluator(model).run(names, inputs)
    return dict(zip(names, outputs, strict=True))


@cache
def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), _options(), providers=["CPUExecutionProvider"])


def torch_gradients(case: Case) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Return the outputs of a case's function of torch, a seed for each, and the gradients of its inputs."""
    arrays = [array for array in case.inputs if isinstance(array, np.ndarray)]
    tensors = [torch.from_numpy(array).requires_grad_() for array in arrays]
    found = case.function(*tensors)
    outputs = list(found) if isinstance(found, (tuple, list)) else [found]
    seeds = [np.random.default_rng(1).normal(size=tuple(output.shape)) for output in outputs]
    gradients = torch.autograd.grad(outputs, tensors, [torch.from_numpy(np.asarray(seed)) for seed in seeds])
    return [output.detach().numpy() for output in outputs], seeds, [gradient.numpy() for gradient in gradients]
