"""The tap on TensorFlow: one layer's output in a traced graph."""

from typing import Any, final

import tensorflow as tf

from seewhy.errors import LayerError
from seewhy.frameworks.keras.call_order import Position
from seewhy.frameworks.keras.calls import KerasRecorder
from seewhy.frameworks.layers import LayerCall, LayerChoice, check_tapped
from seewhy.frameworks.layouts import spatial_axes
from seewhy.frameworks.tensorflow.logits import FUNCTION_ADVICE, FUNCTION_CALLS
from seewhy.types import NativeTensor


@final
class TensorflowTap(KerasRecorder):
    """Taps one layer's output, and makes it the only tensor that a gradient tape watches.

    The tape restarts at every call that the layer choice admits, unless it stands before one that ran earlier. After
    the run it holds the operations that follow the last of these calls, which is tapped.

    Args:
        model: The model that runs.
        layer: The layer, and the number of its call.
        execution: Which call of the layer has that number, in the order in which they run.
        tape: The tape; None to find the output only.
    """

    def __init__(
        self, model: Any, layer: LayerChoice, execution: int | None = None, tape: tf.GradientTape | None = None
    ) -> None:
        super().__init__(model)
        self.layer = layer
        self._execution = execution
        self._tapped_position: Position = ()
        self.path = layer.path
        self.call: Any = None  # a LayerCall once the layer was called
        self.output: NativeTensor = None
        self._tape = tape

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        call = self.add_call(path, layer, output, arguments)
        is_admitted = self.layer.admits(call, by_number=False) and self._execution in (None, call.execution)
        if is_admitted and self.position > self._tapped_position:
            self._tapped_position = self.position
            self.watch(call, output)
        return output

    @property
    def space(self) -> range:
        """The spatial axes of the tapped output."""
        return spatial_axes(self.call, len(self.output.shape))

    def watch(self, call: LayerCall, output: Any) -> None:
        """Tap this output, and restart the tape there."""
        self.path, self.call, self.output = call.path, call, output
        if self._tape is not None:
            self._tape.reset()
            self._tape.watch(output)

    def check(self) -> None:
        """Raise LayerError unless an output was tapped and can be explained."""
        if self.layer.is_input:
            return
        check_tapped(self.layer, self.ordered_calls(), FUNCTION_ADVICE)
        operations = self.output.graph.get_operations()
        head = operations[operations.index(self.output.op) :]
        if self.layer.is_auto and any(operation.type in FUNCTION_CALLS for operation in head):
            raise LayerError(
                f"layer='auto' cannot tell which layer is the last: after {self.path!r} the model calls a "
                f"tf.function of its own. Name the layer.{FUNCTION_ADVICE}"
            )
        if self.output.graph is not tf.compat.v1.get_default_graph():
            raise LayerError(
                f"The layer {self.path!r} runs inside a loop, a branch or a tf.function of the model's own, where "
                f"its output cannot be reached. Give a layer outside of it.{FUNCTION_ADVICE}"
            )


@final
class OutputRecorder(KerasRecorder):
    """Records the output of every call that is one tensor.

    Attributes:
        outputs: By the path of the layer and the number of the execution.
    """

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.outputs: dict[tuple[str, int], NativeTensor] = {}

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        call = self.add_call(path, layer, output, arguments)
        if call.shape is not None:
            self.outputs[call.path, call.execution] = output
        return output
