"""The logits behind a model's outputs, read from a traced TensorFlow graph."""

import keras
import tensorflow as tf

from seewhy.errors import ModelError
from seewhy.frameworks.outputs import FinalActivation, Outputs, SelectedOutputs, select_outputs
from seewhy.frameworks.structures import ArrayTree
from seewhy.targets import Objective
from seewhy.types import Tensor

INLINE = (
    " Layers inside a tf.function of the model's own cannot be reached; under "
    "tf.config.run_functions_eagerly(True) it is run in the open."
)
"""What to do about layers that a tf.function hides."""

FUNCTION_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
"""Operations that run a tf.function."""


def select_tensorflow_outputs(tree: ArrayTree, objective: Objective) -> SelectedOutputs:
    """Select what an objective reads of all outputs, and bypass a final softmax or sigmoid."""
    return select_outputs(tree, objective, tf.is_tensor, bypass_final_activation, _read)


def _read(raw: Tensor, logits: Tensor, activation: FinalActivation, tree: ArrayTree) -> Outputs:
    return Outputs.read(raw, tf.cast(logits, tf.float32), activation, keras.ops, tree)


ORDER_KEEPING = {"Identity", "Cast", "Reshape", "Squeeze", "ExpandDims", "StopGradient"}
"""Operations that leave every value where it was in the order of values."""


def bypass_final_activation(raw: Tensor) -> tuple[FinalActivation, Tensor]:
    """Find the logits behind the outputs, wherever the final activation was written: an argument, a layer, a function.

    The graph tells: it is the last operation but for those that only relabel values.
    """
    operation = raw.op
    while operation.type in ORDER_KEEPING:
        operation = operation.inputs[0].op
    activations: dict[str, FinalActivation] = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}
    if operation.type in FUNCTION_CALLS:
        raise ModelError(
            "The model's outputs come out of a tf.function of its own, so whether a softmax stands at the end "
            f"cannot be seen.{INLINE}"
        )
    # A softmax over another axis than the classes' has no logits for the classes.
    if operation.type not in activations or operation.inputs[0].shape[-1] != raw.shape[-1]:
        return "linear", raw
    return activations[operation.type], tf.reshape(operation.inputs[0], tf.shape(raw))
