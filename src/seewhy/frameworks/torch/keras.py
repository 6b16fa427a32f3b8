"""Keras models on PyTorch.

The model runs once, at rest. The layer's `call` is intercepted, and the model is cut there as a native one is:
what comes before is not recorded, what comes after is, whether or not its layers are trainable.
"""

from contextlib import AbstractContextManager
from typing import Any, final

import keras
import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.frameworks.base import Head
from seewhy.frameworks.compiled import CompiledCache
from seewhy.frameworks.keras.framework import CallRecorder, KerasFramework, plain, preserve_keras_state, recording_calls
from seewhy.frameworks.layers import LayerCall, LayerChoice, check_tapped
from seewhy.frameworks.structures import (
    Inputs,
    image_count,
    is_our_own,
    map_leaves,
    map_tree,
    model_run_error,
    shape_key,
)
from seewhy.frameworks.torch.graph import Tape, TapeTap
from seewhy.frameworks.torch.logits import TorchFunctions, Trunk
from seewhy.frameworks.torch.tap import (
    FAILURES,
    Tap,
    autocast_to,
    detached,
    off_device,
    preserve_state,
    select_torch_outputs,
    without_autocast,
)
from seewhy.targets import Objective, TopK
from seewhy.types import Backward, Capture, Precision, Tensor


@final
class KerasTorch(KerasFramework):
    """A Keras model on PyTorch."""

    name = "keras-torch"

    def __init__(self, model: keras.Model, precision: Precision = "float32") -> None:
        super().__init__(model, precision)
        self._compiled = CompiledCache()

    def check_inputs(self, inputs: Any) -> Inputs:
        return super().check_inputs(map_leaves(off_device, inputs))

    def to_numpy(self, tensor: Tensor) -> NDArray[Any]:
        array: NDArray[Any] = off_device(tensor)
        return array

    def calls(self, inputs: Inputs) -> tuple[LayerCall, ...]:
        found: tuple[LayerCall, ...] = self._compiled.get(shape_key(inputs), lambda: self._record_calls(inputs))
        return found

    def predict(self, inputs: Inputs, output: int | str | None = None) -> Tensor | None:
        functions = TorchFunctions()
        with self._preserve_state(), torch.no_grad(), without_autocast():
            raw = self._forward(inputs, functions)
            selected = select_torch_outputs(raw, Objective(TopK(), output=output), functions, self.xp)
            return selected.read(selected.tensors).probabilities

    def capture(
        self, inputs: Inputs, layer: LayerChoice, objective: Objective, backward: Backward = "plain"
    ) -> Capture:
        functions = TorchFunctions()
        trunk = Trunk(functions)
        call = self._input_call if layer.is_input else check_tapped(layer, self.calls(inputs))
        tap = Tap(call, trunk, backward)
        with self._preserve_state(), torch.enable_grad():
            with recording_calls(tap.hooked_layers(self._layers), tap.record):
                raw = self._forward(inputs, trunk, tap)
            tap.check()
            with without_autocast():
                selected = select_torch_outputs(raw, objective, functions, self.xp)
                tap.guide(selected)
                outputs = selected.read(selected.tensors)
                arrays = [keras.ops.convert_to_tensor(each) for each in objective.target.arrays(image_count(inputs))]
                answer = outputs.answer(objective, arrays, self.xp)
                activations, scores = self._channels_last(call, tap.output.detach().float()), answer.scores.float()
                products = tap.products(scores, activations)
                # The images of a batch do not meet, so the sum's gradient is each image's own.
                gradients = tap.gradients(scores.sum(dim=0))
        return Capture(
            activations=activations,
            gradients=None if gradients is None else self._targets_second(call, gradients.float()),
            scores=scores.detach(),
            indices=answer.indices.to(torch.int32),
            outputs=map_tree(detached, outputs.raw),
            probabilities=None if outputs.probabilities is None else outputs.probabilities.detach(),
            layer=layer.named(call),
            xp=self.xp,
            products=products,
        )

    def head(self, inputs: Inputs, layer: LayerChoice, objective: Objective) -> Head:
        functions, tape, objective = TorchFunctions(), Tape(), objective.for_image(0)
        call = self._input_call if layer.is_input else check_tapped(layer, self.calls(inputs))
        tap = TapeTap(call, tape)
        with (
            self._preserve_state(),
            torch.no_grad(),
            tape.running(),
            recording_calls(tap.hooked_layers(self._layers), tap.record),
        ):
            selected = select_torch_outputs(self._forward(inputs, functions, tap), objective, functions, self.xp)
        scores = tape.head(tap, selected, objective, self.xp)
        return lambda perturbations: scores(self._laid_out(call, perturbations))

    def apply(self, method: Any, capture: Capture) -> Tensor:
        with torch.no_grad(), without_autocast():
            return method(capture)

    def _preserve_state(self) -> AbstractContextManager[None]:
        # A model's `modules()` does not list the layers inside of its layers, nor what a TorchModuleWrapper wraps.
        return preserve_state(self._model, *self._layers.values())

    def _record_calls(self, inputs: Inputs) -> tuple[LayerCall, ...]:
        recorder = CallRecorder()
        with self._preserve_state(), torch.no_grad(), recording_calls(self._layers, recorder.record):
            self._forward(inputs, TorchFunctions())
        return tuple(recorder.calls)

    def _forward(self, inputs: Inputs, context: TorchFunctions | Trunk, tap: Tap | None = None) -> Any:
        # Copied: a model may work on its input in place, and the array is the caller's.
        batch = map_leaves(lambda each: keras.ops.convert_to_tensor(np.array(each)), inputs)
        try:
            with autocast_to(self._precision, batch), context, preserve_keras_state(self._model):
                return self._model(batch if tap is None else tap.enter(batch), training=False)
        except FAILURES as error:
            if is_our_own(error):
                raise
            raise model_run_error(inputs, plain(error)) from error
