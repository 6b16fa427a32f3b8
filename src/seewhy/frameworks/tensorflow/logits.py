"""The logits before a model's final activation, found in a traced TensorFlow graph."""

from typing import NamedTuple

import keras
import tensorflow as tf

from seewhy.errors import ModelError
from seewhy.frameworks.outputs import Outputs, SelectedOutputs, select_outputs
from seewhy.frameworks.structures import ArrayTree
from seewhy.frameworks.tensorflow.private_api import function_graph
from seewhy.targets import Objective
from seewhy.types import FinalActivation, NativeTensor

FUNCTION_ADVICE = (
    " Layers inside a tf.function of the model's own cannot be reached; under "
    "tf.config.run_functions_eagerly(True) they are part of the model's graph."
)
"""The advice for layers inside a tf.function."""

FUNCTION_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
"""Operations that call a tf.function."""

ORDER_PRESERVING = {"Identity", "Cast", "Reshape", "Squeeze", "ExpandDims", "StopGradient"}
"""Operations that keep the order of the values."""

CUSTOM_DERIVATIVE = "IdentityN"
"""The operation that returns what a function with a derivative of its own computed: `tf.custom_gradient`, and
`tf.recompute_grad`, which is Keras's rematerialization."""

ACTIVATIONS: dict[str, FinalActivation] = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}

BIASES = ("BiasAdd", "Add", "AddV2")
"""Operations that add a bias, their second input, to a matrix product."""


class TensorflowOutputs(NamedTuple):
    """The outputs that an objective reads.

    Attributes:
        selected: The outputs.
        is_taped: Whether a gradient tape records how the logits are computed. It does not where they are inside a
            function with a derivative of its own, or inside a tf.function.
        is_inlined: Whether the logits are computed by copies of the operations of a tf.function.
    """

    selected: SelectedOutputs
    is_taped: bool
    is_inlined: bool


def select_tensorflow_outputs(tree: ArrayTree, objective: Objective) -> TensorflowOutputs:
    """Select the outputs that an objective reads, and bypass a final softmax or sigmoid."""
    bypass = _Bypass()
    selected = select_outputs(tree, objective, tf.is_tensor, bypass.final_activation, _read)
    return TensorflowOutputs(selected, not bypass.is_inside, bypass.is_inlined)


def _read(raw: NativeTensor, logits: NativeTensor, activation: FinalActivation, tree: ArrayTree) -> Outputs:
    return Outputs.read(raw, tf.cast(logits, tf.float32), activation, keras.ops, tree)


class _Bypass:
    """Bypasses final activations.

    Attributes:
        is_inside: Whether the logits were found inside a function.
        is_inlined: Whether that is a tf.function.
    """

    is_inside = False
    is_inlined = False

    def final_activation(self, raw: NativeTensor) -> tuple[FinalActivation, NativeTensor]:
        """Return the model's final activation and its logits, in the outputs' shape.

        The final activation, be it an argument, a layer or a function, is the last operation, followed only by
        operations that keep the order of the values. It is found inside functions that the model calls, too.
        """
        if raw.shape.rank is None:
            raise ModelError(
                "The model's output has an unknown number of axes in TensorFlow's graph, as after a squeeze without an "
                "axis of a batch of any size. Name the axis in the model: keras.ops.squeeze(x, axis=-1)."
            )
        tensor, graphs = raw, [raw.graph]
        is_inside = False
        while (operation := tensor.op).type in {*ORDER_PRESERVING, CUSTOM_DERIVATIVE, *FUNCTION_CALLS}:
            if operation.type in ORDER_PRESERVING:
                tensor = operation.inputs[0]
                continue
            is_inside = True
            if operation.type == CUSTOM_DERIVATIVE:
                tensor = operation.inputs[tensor.value_index]
            else:
                tensor = _inlined(operation, tensor.value_index, graphs)
        # A softmax over another axis than that of the classes has no logits for the classes.
        if operation.type not in ACTIVATIONS or operation.inputs[0].shape[-1] != raw.shape[-1]:
            return ("logits" if _is_product(operation) else "linear"), raw
        self.is_inside, self.is_inlined = self.is_inside or is_inside, self.is_inlined or len(graphs) > 1
        return ACTIVATIONS[operation.type], tf.reshape(operation.inputs[0], tf.shape(raw))


def _is_product(operation: tf.Operation) -> bool:
    """Whether this is a matrix product (N, C), with or without a bias, of other values than those of a softmax."""
    if operation.type in BIASES and operation.inputs[1].shape.rank == 1:
        operation = operation.inputs[0].op
    if operation.type != "MatMul":
        return False
    while (before := operation.inputs[0].op).type in ORDER_PRESERVING:
        operation = before
    return before.type not in ACTIVATIONS


def _inlined(operation: tf.Operation, output: int, graphs: list[tf.Graph]) -> NativeTensor:
    """Return an output of a function call, computed by copies of the function's operations in the caller's graph.

    Args:
        operation: The call.
        output: The position of the output.
        graphs: The graphs in which the function is looked up; the function's own is added to them.

    Raises:
        ModelError: The function's operations are not known.
    """
    graph = function_graph(operation, graphs)
    if graph is None:
        raise ModelError(
            "The model's outputs are computed in a function whose operations TensorFlow does not show, so SeeWhy "
            f"cannot tell whether they are those of a softmax.{FUNCTION_ADVICE}"
        )
    graphs.append(graph)
    result = graph.outputs[output]
    if any(result is placeholder for placeholder in graph.inputs):
        return operation.inputs[[result is placeholder for placeholder in graph.inputs].index(True)]
    given = {placeholder.name: value for placeholder, value in zip(graph.inputs, operation.inputs, strict=True)}
    (tensor,) = tf.graph_util.import_graph_def(
        graph.as_graph_def(), input_map=given, return_elements=[result.name], name="inlined"
    )
    tensor.set_shape(result.shape)
    return tensor
