"""Keras models on PyTorch.

The model runs once, without side effects. The layer's `call` is intercepted, and its output is tapped as that of a
native module: gradients are recorded for the head and not for the trunk, whether or not the layers are trainable.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, final

import keras
import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.frameworks.base import Head
from seewhy.frameworks.compiled import CompiledCache
from seewhy.frameworks.keras.calls import KerasRecorder
from seewhy.frameworks.keras.framework import KerasFramework, plain_message
from seewhy.frameworks.keras.restore import preserve_keras_state
from seewhy.frameworks.layers import LayerCall, LayerChoice, check_tapped
from seewhy.frameworks.layouts import layer_layout
from seewhy.frameworks.recorder import translated_errors
from seewhy.frameworks.structures import InputBatch, InputSpec, image_count, leaves, map_arrays, map_tree, shape_key
from seewhy.frameworks.torch.finish_capture import finish_capture
from seewhy.frameworks.torch.framework import FAILURES
from seewhy.frameworks.torch.logits import FunctionRecorder, select_torch_outputs
from seewhy.frameworks.torch.precision import autocast_to, without_autocast
from seewhy.frameworks.torch.restore import preserve_state
from seewhy.frameworks.torch.tap import TorchTap
from seewhy.frameworks.torch.tensors import to_array
from seewhy.frameworks.torch.trunk_and_head import Tape, TapeTap
from seewhy.frameworks.torch.without_autograd import Trunk
from seewhy.targets import Objective, TopK
from seewhy.types import Capture, Derivatives, GradientRule, NativeTensor, Precision


@final
class KerasTorch(KerasFramework):
    """A Keras model on PyTorch."""

    name = "keras-torch"

    def __init__(self, model: keras.Model, precision: Precision = "float32") -> None:
        super().__init__(model, precision)
        self._calls = CompiledCache()

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        return super().check_inputs(map_arrays(to_array, inputs))

    def to_numpy(self, tensor: NativeTensor) -> NDArray[Any]:
        array: NDArray[Any] = to_array(tensor)
        return array

    def calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        calls: tuple[LayerCall, ...] = self._calls.get(shape_key(inputs), lambda: self._record_calls(inputs))
        return calls

    def predict(self, inputs: InputBatch, output: int | str | None = None) -> NativeTensor | None:
        functions = FunctionRecorder()
        with self._preserve_state(), torch.no_grad(), without_autocast():
            outputs = self._forward(inputs, functions)
            selected = select_torch_outputs(outputs, Objective(TopK(), output=output), functions, self.xp)
            return selected.read(selected.tensors).probabilities

    def capture(
        self,
        inputs: InputBatch,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives = "gradients",
        gradient_rule: GradientRule = "plain",
    ) -> Capture:
        functions = FunctionRecorder()
        trunk = Trunk(functions)
        call = self._input_call if layer.is_input else check_tapped(layer, self.calls(inputs))
        tap = TorchTap(call, trunk, derivatives, gradient_rule)
        with self._preserve_state(), torch.enable_grad():
            with self._recording(tap.hooked_layers(self._layers), tap):
                outputs = self._forward(inputs, trunk, tap)
            return finish_capture(tap, layer, outputs, objective, image_count(inputs), functions, self.xp)

    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        functions, tape, objective = FunctionRecorder(), Tape(), objective.for_image(0)
        call = self._input_call if layer.is_input else check_tapped(layer, self.calls(inputs))
        tap = TapeTap(call, tape)
        hooks = self._recording(tap.hooked_layers(self._layers), tap)
        with self._preserve_state(), torch.no_grad(), tape.recording(), hooks:
            outputs = self._forward(inputs, functions, tap)
            selected = select_torch_outputs(outputs, objective, functions, self.xp)
        scores = tape.head(tap, selected, objective, self.xp)
        return lambda perturbations: scores(layer_layout(call, perturbations))

    def apply(self, method: Callable[[Capture], NativeTensor], capture: Capture) -> NativeTensor:
        with torch.no_grad(), without_autocast():
            return method(capture)

    def _preserve_state(self) -> AbstractContextManager[None]:
        # A model's `modules()` lists neither the layers inside its layers nor the module in a TorchModuleWrapper.
        return preserve_state(self._model, *self._layers.values())

    def _record_calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        recorder = KerasRecorder(self._model)
        with self._preserve_state(), torch.no_grad(), self._recording(self._layers, recorder):
            self._forward(inputs, FunctionRecorder(), recorder)
        return recorder.ordered_calls()

    def _forward(
        self, inputs: InputBatch, context: FunctionRecorder | Trunk, recorder: TorchTap | KerasRecorder | None = None
    ) -> Any:
        # Copied: a model may modify its input in place, and the array belongs to the caller.
        batch = map_tree(lambda array: keras.ops.convert_to_tensor(np.array(array)), inputs)
        if isinstance(recorder, KerasRecorder):
            recorder.name_inputs(self._input_names(batch), leaves(batch))
        with (
            translated_errors(inputs, FAILURES, recorder, plain_message),
            autocast_to(self._precision, batch),
            context,
            preserve_keras_state(self._model),
        ):
            return self._model(recorder.enter(batch) if isinstance(recorder, TorchTap) else batch, training=False)
