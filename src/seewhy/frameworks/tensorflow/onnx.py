"""Exporting what a Keras model computes on TensorFlow to ONNX."""

import importlib
import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from seewhy.errors import MissingExtraError

OPSET = 17


def export(function: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> tuple[bytes, list[str]]:
    """Return a function as an ONNX model, and the names of its inputs.

    The converter's own optimizers are not used: they move transpositions, and with them the outputs of layers, out of
    what is computed. ONNX Runtime optimizes each part of the model that it runs.

    Args:
        function: From tensors to a list of tensors.
        specs: The tensors.

    Raises:
        MissingExtraError: tf2onnx is not installed.
    """
    try:
        importlib.import_module("tf2onnx")
        loader, conversion = (importlib.import_module(f"tf2onnx.{name}") for name in ("tf_loader", "tfonnx"))
    except ModuleNotFoundError as error:
        raise MissingExtraError("For backend='onnx' and Keras on TensorFlow, tf2onnx", "onnx-tensorflow") from error

    def distinct(*tensors: Any) -> list[Any]:
        return [tf.identity(tensor) for tensor in function(*tensors)]  # a graph returns no tensor twice

    concrete = tf.function(distinct, autograph=False).get_concrete_function(*specs)
    inputs = [tensor.name for tensor in concrete.inputs[: len(specs)]]
    outputs = [tensor.name for tensor in concrete.outputs]
    with _quiet_converter(), tf.device("/cpu:0"):
        frozen = loader.from_function(concrete, inputs, outputs)
        _set_constants(frozen, concrete.graph.captures)
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(frozen, name="")
            converted = conversion.process_tf_graph(graph, opset=OPSET, input_names=inputs, output_names=outputs)
    content: bytes = converted.make_model("model").SerializeToString()
    return content, inputs


def _set_constants(graph: Any, captures: Sequence[tuple[Any, Any]]) -> None:
    """Make constants of the tensors that a function captured, such as the mean of a `Normalization`.

    Those are inputs of its graph, and only variables among them are constants by now.
    """
    values = {inner.op.name: outer for outer, inner in captures if outer.dtype not in (tf.resource, tf.variant)}
    for node in graph.node:
        if node.op == "Placeholder" and node.name in values:
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values[node.name]))
            del node.attr["shape"]
            node.op = "Const"


@contextmanager
def _quiet_converter() -> Iterator[None]:
    """Hide what the converter says of itself."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _readable(variable: Any) -> Any:
    """Return the value of a variable in the same memory, as whole numbers where NumPy does not know its type."""
    if variable.dtype.as_numpy_dtype.__module__ == "numpy":
        return tf.identity(variable)
    return tf.bitcast(variable, tf.uint16 if variable.dtype.size == 2 else tf.uint8)


class WeightReader:
    """Tells whether weights were changed, by where they are in memory.

    TensorFlow writes to the memory of a variable only while no tensor that was read from it is kept. Those that were
    read last are kept, so that changed weights are somewhere else.
    """

    def __init__(self, variables: Sequence[Any]) -> None:
        self._read = tf.function(lambda: [_readable(variable) for variable in variables], autograph=False)
        self._tensors: list[Any] = []

    def __call__(self) -> Hashable:
        self._tensors = self._read()
        return tuple(np.asarray(memoryview(tensor)).__array_interface__["data"][0] for tensor in self._tensors)
