"""The logits before a model's final activation, found in a traced TensorFlow graph."""

import keras
import tensorflow as tf

from seewhy.errors import ModelError
from seewhy.frameworks.outputs import FinalActivation, Outputs, SelectedOutputs, select_outputs
from seewhy.frameworks.structures import ArrayTree
from seewhy.targets import Objective
from seewhy.types import NativeTensor

FUNCTION_ADVICE = (
    " Layers inside a tf.function of the model's own cannot be reached; under "
    "tf.config.run_functions_eagerly(True) they are part of the model's graph."
)
"""The advice for layers inside a tf.function."""

FUNCTION_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
"""Operations that call a tf.function."""


def select_tensorflow_outputs(tree: ArrayTree, objective: Objective) -> SelectedOutputs:
    """Select the outputs that an objective reads, and bypass a final softmax or sigmoid."""
    return select_outputs(tree, objective, tf.is_tensor, bypass_final_activation, _read)


def _read(raw: NativeTensor, logits: NativeTensor, activation: FinalActivation, tree: ArrayTree) -> Outputs:
    return Outputs.read(raw, tf.cast(logits, tf.float32), activation, keras.ops, tree)


ORDER_PRESERVING = {"Identity", "Cast", "Reshape", "Squeeze", "ExpandDims", "StopGradient"}
"""Operations that keep the order of the values."""


def bypass_final_activation(raw: NativeTensor) -> tuple[FinalActivation, NativeTensor]:
    """Return the model's final activation and its logits, in the outputs' shape.

    The final activation, be it an argument, a layer or a function, is the last operation of the graph, followed only by
    operations that keep the order of the values.
    """
    if raw.shape.rank is None:
        raise ModelError(
            "The model's output has an unknown number of axes in TensorFlow's graph, as after a squeeze without an "
            "axis of a batch of any size. Name the axis in the model: keras.ops.squeeze(x, axis=-1)."
        )
    operation = raw.op
    while operation.type in ORDER_PRESERVING:
        operation = operation.inputs[0].op
    activations: dict[str, FinalActivation] = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}
    if operation.type in FUNCTION_CALLS:
        raise ModelError(
            "The model's outputs are computed in a tf.function of its own, so SeeWhy cannot tell whether they are "
            f"those of a softmax.{FUNCTION_ADVICE}"
        )
    # A softmax over another axis than that of the classes has no logits for the classes.
    if operation.type not in activations or operation.inputs[0].shape[-1] != raw.shape[-1]:
        return "linear", raw
    return activations[operation.type], tf.reshape(operation.inputs[0], tf.shape(raw))
