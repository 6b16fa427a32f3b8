"""The tap on TensorFlow: one layer's output in a traced graph, and the gradients of what follows it."""

from typing import Any, final

import tensorflow as tf

from seewhy.errors import LayerError
from seewhy.frameworks.guided import GUIDED
from seewhy.frameworks.keras.calls import KerasRecorder
from seewhy.frameworks.layers import LayerCall, LayerChoice, check_tapped, no_gradient
from seewhy.frameworks.tensorflow.logits import FUNCTION_CALLS, INLINE
from seewhy.types import GradientRule, Tensor


@final
class Tap(KerasRecorder):
    """Finds one layer's output, and makes it the only thing that is differentiated, if there is a tape.

    The tape starts anew at every output that could be the one. When the model has run, it holds what followed the
    last of them, and nothing from before.
    """

    def __init__(self, layer: LayerChoice, tape: tf.GradientTape | None = None) -> None:
        super().__init__()
        self.layer = layer
        self.path = layer.path
        self.call: Any = None
        self.output: Any = None
        self._tape = tape

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        call = self.note(path, layer, output, arguments)
        if self.layer.admits(call):
            self.take(call, output)
        return output

    @property
    def space(self) -> range:
        """The output's axes of space."""
        rank = len(self.output.shape)
        return range(2, rank) if self.call.channels_first else range(1, rank - 1)

    def take(self, call: LayerCall, output: Any) -> None:
        """Start the tape anew at this output."""
        self.path, self.call, self.output = call.path, call, output
        if self._tape is not None:
            self._tape.reset()
            self._tape.watch(output)

    def check(self) -> None:
        """Raise LayerError unless there is an output to explain."""
        if self.layer.is_input:
            return
        check_tapped(self.layer, self.calls, INLINE)
        operations = self.output.graph.get_operations()
        later = operations[operations.index(self.output.op) :]
        if self.layer.is_auto and any(operation.type in FUNCTION_CALLS for operation in later):
            raise LayerError(
                f"layer='auto' cannot tell which layer is the last: after {self.path!r} the model runs a "
                f"tf.function of its own. Name the layer.{INLINE}"
            )
        if self.output.graph is not tf.compat.v1.get_default_graph():
            raise LayerError(
                f"The layer {self.path!r} runs inside a loop, a branch or a tf.function of the model's own, where "
                f"its output cannot be reached. Give a layer outside of it.{INLINE}"
            )


def gradients(
    tape: tf.GradientTape, totals: Tensor, tap: Tap, gradient_rule: GradientRule, *, is_small: bool
) -> Tensor:
    """Differentiate every total (T,) by the tapped output, giving (T, N, ...).

    A small head is gone through once, backwards, with all targets side by side. Else there is one pass for each target,
    in a loop inside the graph, so that memory is that of one pass. T is free in both.
    """

    def backward(seed: Tensor) -> Tensor:
        if (
            gradient_rule in GUIDED
        ):  # a tape does not ask the operations for the gradients they were given in place of their own
            (gradient,) = tf.gradients(totals, tap.output, grad_ys=seed)
        else:
            gradient = tape.gradient(totals, tap.output, output_gradients=seed)
        if gradient is None:
            raise no_gradient(tap.path)
        return gradient

    seeds = tf.eye(tf.size(totals))
    if is_small:
        return tf.vectorized_map(backward, seeds)
    return tf.map_fn(backward, seeds, fn_output_signature=tap.output.dtype)
