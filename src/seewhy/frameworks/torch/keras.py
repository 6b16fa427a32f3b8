"""Keras models on PyTorch.

The model runs once, without side effects. The layer's `call` is intercepted, and its output is tapped as that of a
native module: gradients are recorded for the head and not for the trunk, whether or not the layers are trainable.
"""

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, final

import keras
import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.errors import ModelRunError
from seewhy.frameworks.base import CaptureType, Head
from seewhy.frameworks.compiled import CompiledCache
from seewhy.frameworks.device import Device
from seewhy.frameworks.exported_graph import ExportedGraph
from seewhy.frameworks.keras.calls import KerasRecorder
from seewhy.frameworks.keras.exported_outputs import ExportedOutputs, with_leaves
from seewhy.frameworks.keras.framework import KerasFramework, plain_message
from seewhy.frameworks.keras.operations import keras_layers
from seewhy.frameworks.keras.restore import preserve_keras_state
from seewhy.frameworks.layers import LayerCall, LayerChoice, check_tapped
from seewhy.frameworks.layouts import layer_layout
from seewhy.frameworks.model_layers import Layers
from seewhy.frameworks.recorder import translated_errors
from seewhy.frameworks.stem import StemInput, StemValues
from seewhy.frameworks.structures import (
    InputBatch,
    InputSpec,
    image_at,
    image_count,
    leaves,
    map_arrays,
    map_tree,
    shape_key,
)
from seewhy.frameworks.torch.attention_links import LinkRecorder
from seewhy.frameworks.torch.attention_recorder import AttentionMaps, AttentionRecorder
from seewhy.frameworks.torch.attention_tap import AttentionTap
from seewhy.frameworks.torch.carrying_calls import EdgeRecorder
from seewhy.frameworks.torch.clamp import ClampTap, clamped_scores
from seewhy.frameworks.torch.failures import FAILURES
from seewhy.frameworks.torch.finish_capture import finish_capture
from seewhy.frameworks.torch.keras_device import check_keras_device
from seewhy.frameworks.torch.logits import FunctionRecorder, select_torch_outputs
from seewhy.frameworks.torch.onnx import FunctionModule, export, input_names
from seewhy.frameworks.torch.origins import ValueRecorder, find_origins
from seewhy.frameworks.torch.precision import autocast_to, without_autocast
from seewhy.frameworks.torch.restore import preserve_state
from seewhy.frameworks.torch.stem import StemComplete, StemRecorder, stem_values
from seewhy.frameworks.torch.tap import TorchTap
from seewhy.frameworks.torch.tensors import TRANSFORMED, has_memory, to_array
from seewhy.frameworks.torch.trunk_and_head import Tape, TapeTap
from seewhy.frameworks.torch.weights_version import WeightsVersion
from seewhy.frameworks.torch.without_autograd import AutogradUse, Trunk
from seewhy.targets import Objective, TopK
from seewhy.types import (
    AttentionCapture,
    Capture,
    Derivatives,
    FloatArray,
    GradientRule,
    NativeTensor,
    Precision,
)


@final
class KerasTorchRecorder(KerasRecorder):
    """Records every call of every layer."""

    def obstacle_to(self, output: Any) -> str:
        return "" if not isinstance(output, torch.Tensor) or has_memory(output) else TRANSFORMED


@final
class KerasTorch(KerasFramework):
    """A Keras model on PyTorch."""

    name = "keras-torch"

    def __init__(self, model: keras.Model, precision: Precision = "float32") -> None:
        super().__init__(model, precision)
        self._calls = CompiledCache()
        self._autograd_use = AutogradUse()
        self._weights_version = WeightsVersion()

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        return super().check_inputs(map_arrays(to_array, inputs))

    def to_numpy(self, tensor: NativeTensor) -> NDArray[Any]:
        array: NDArray[Any] = to_array(tensor)
        return array

    def calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        return self._calls_of(self._model_layers.for_run(), inputs)

    def move_to(self, device: Device) -> None:
        check_keras_device(device)

    def predict(self, inputs: InputBatch, output: int | str | None = None) -> NativeTensor | None:
        def run(functions: FunctionRecorder) -> NativeTensor | None:
            with without_autocast():
                outputs = self._forward(inputs, functions)
                selected = select_torch_outputs(outputs, Objective(TopK(), output=output), functions, self.xp)
                probabilities = selected.read(selected.tensors).probabilities
            return None if probabilities is None else probabilities.detach()

        with self._preserve_state(self._model_layers.for_run()):
            return self._autograd_use.run(run)

    def capture(
        self,
        inputs: InputBatch,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives = "gradients",
        gradient_rule: GradientRule = "plain",
    ) -> Capture:
        functions, layers = FunctionRecorder(), self._model_layers.for_run()
        call = self._tapped_call(layers, inputs, layer)
        trunk = Trunk(functions, needs_autograd=self._autograd_use.is_needed)
        tap = TorchTap(call, trunk, derivatives, gradient_rule)
        with self._preserve_state(layers), torch.enable_grad():
            with self._recording(tap.hooked_layers(layers.by_path), tap):
                outputs = self._forward(inputs, trunk, tap)
            return finish_capture(tap, layer, outputs, objective, inputs, functions, self.xp, plain_message)

    def capture_attention(
        self, inputs: InputBatch, objective: Objective, derivatives: Derivatives = "gradients"
    ) -> AttentionCapture:
        functions, layers = FunctionRecorder(), self._model_layers.for_run()
        maps = self._attention_maps(layers, inputs)
        tap = AttentionTap(maps, Trunk(functions, needs_autograd=self._autograd_use.is_needed), derivatives)
        with self._preserve_state(layers), torch.enable_grad():
            outputs = self._forward(inputs, tap.open())
            return tap.finish(outputs, objective, inputs, functions, self.xp, plain_message)

    def attention_shapes(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        if self._is_free_of_attention:
            return ()
        return self._attention_maps(self._model_layers.for_run(), inputs).shapes

    def attention_links(self, inputs: InputBatch) -> tuple[bool, ...]:
        layers = self._model_layers.for_run()
        positions = () if self._is_free_of_attention else self._attention_maps(layers, inputs).positions

        def record() -> tuple[bool, ...]:
            trunk = Trunk(FunctionRecorder(), needs_autograd=self._autograd_use.is_needed)
            recorder = LinkRecorder([variable.value for variable in self._model.variables], trunk)
            with self._preserve_state(layers), torch.enable_grad():
                self._forward(inputs, recorder.open())
            return recorder.links(positions)

        key = ("attention links", layers.version, shape_key(inputs))
        links: tuple[bool, ...] = self._calls.get(key, record) if len(positions) > 1 else ()
        return links

    def _attention_maps(self, layers: Layers, inputs: InputBatch) -> AttentionMaps:
        def run(functions: FunctionRecorder) -> AttentionMaps:
            recorder = AttentionRecorder([variable.value for variable in self._model.variables])
            with recorder:
                self._forward(inputs, functions)
            return recorder.maps(image_count(inputs))

        def record() -> AttentionMaps:
            with self._preserve_state(layers):
                return self._autograd_use.run(run)

        maps: AttentionMaps = self._calls.get(("attention", layers.version, shape_key(inputs)), record)
        return maps

    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        functions, tape, objective = FunctionRecorder(), Tape(), objective.for_image(0)
        layers = self._model_layers.for_run()
        call = self._tapped_call(layers, inputs, layer)
        tap = TapeTap(call, tape)
        hooks = self._recording(tap.hooked_layers(layers.by_path), tap)
        with self._preserve_state(layers), self._autograd_use.grad_mode(), tape.recording(), hooks:
            outputs = self._forward(inputs, functions, tap)
            selected = select_torch_outputs(outputs, objective, functions, self.xp)
        scores = tape.head(tap, selected, objective, self.xp)
        return lambda perturbations: scores(layer_layout(call, perturbations))

    def weights_version(self) -> Hashable:
        values = self._weights_version(variable.value for variable in self._model.variables)
        return (self._model_layers.for_run().version, values)

    def export_onnx(self, inputs: InputBatch) -> ExportedGraph:
        recorders: list[ExportedOutputs] = []

        def forward(*tensors: NativeTensor) -> tuple[NativeTensor, ...]:
            recorders.append(recorder := ExportedOutputs(self._model))
            batch = with_leaves(inputs, iter(tensors))
            with self._recording(self._layers, recorder), preserve_keras_state(self._model):
                recorder.name_inputs(self.input_names(batch), leaves(batch))
                return tuple(recorder.flatten(self._model(batch, training=False)))

        names, arrays = input_names(inputs), [keras.ops.convert_to_tensor(array) for array in leaves(inputs)]
        with self._preserve_state(self._model_layers.for_run()):
            content = export(
                FunctionModule(self._model, forward), arrays, names, takes_any_batch=self.batch_size is None
            )
        return recorders[-1].graph(content, names)

    def clamp(
        self, inputs: InputBatch, layer: LayerChoice, objective: Objective, activations: FloatArray
    ) -> NativeTensor:
        layers, objective = self._model_layers.for_run(), objective.for_image(0)
        call = self._tapped_call(layers, inputs, layer)

        def run(functions: FunctionRecorder) -> NativeTensor:
            tap = ClampTap(call, activations)
            with self._recording(tap.hooked_layers(layers.by_path), tap):
                outputs = self._forward(inputs, functions, tap)
            return clamped_scores(tap, outputs, objective, functions, self.xp)

        with self._preserve_state(layers):
            return self._autograd_use.run(run)

    def carrying_calls(self, inputs: InputBatch, objective: Objective) -> frozenset[tuple[str, int]] | None:
        functions, layers, recorder = FunctionRecorder(), self._model_layers.for_run(), EdgeRecorder()
        try:
            with self._preserve_state(layers), torch.enable_grad(), self._recording(layers.by_path, recorder):
                outputs = self._forward(inputs, functions, recorder)
                selected = select_torch_outputs(outputs, objective, functions, self.xp)
                return recorder.carrying(selected.tensors)
        except ModelRunError:  # its input cannot be differentiated, unless the model fails without that too
            with self._preserve_state(layers):
                self._autograd_use.run(lambda functions: self._forward(inputs, functions))
            return None

    def origins(self, inputs: InputBatch) -> Mapping[tuple[str, int], frozenset[int]]:
        layers = self._model_layers.for_run()

        def run(batch: InputBatch, functions: FunctionRecorder) -> Mapping[tuple[str, int], NativeTensor]:
            recorder = ValueRecorder()
            with self._recording(layers.by_path, recorder):
                self._forward(batch, functions)
            return recorder.values

        def find() -> dict[tuple[str, int], frozenset[int]]:
            with self._preserve_state(layers):
                return find_origins(image_at(inputs, 0), lambda batch: self._autograd_use.run(partial(run, batch)))

        found: dict[tuple[str, int], frozenset[int]] = self._calls.get(
            ("origins", layers.version, shape_key(inputs)), find
        )
        return found

    def moves_image(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> bool:
        size = self.image_size(inputs, leaf)
        return any(stem.is_moved(size) for stem in self._stem(inputs, layer, leaf))

    def stem_values(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> list[StemValues]:
        return stem_values(self._stem(inputs, layer, leaf))

    def apply(self, method: Callable[[CaptureType], NativeTensor], capture: CaptureType) -> NativeTensor:
        with torch.no_grad(), without_autocast():
            return method(capture)

    def _preserve_state(self, layers: Layers) -> AbstractContextManager[None]:
        """Return the context in which the model runs."""
        self._model_layers.run()
        # A model's `modules()` lists neither the layers inside its layers nor the module in a TorchModuleWrapper.
        return preserve_state(self._model, *keras_layers(layers.by_path))

    def _stem(self, inputs: InputBatch, layer: LayerChoice, leaf: int) -> list[StemInput]:
        layers = self._model_layers.for_run()
        call = self._tapped_call(layers, inputs, layer)
        recorder = StemRecorder(call, leaf)
        hooks = self._recording({call.path: layers.by_path[call.path]}, recorder)
        with suppress(StemComplete), self._preserve_state(layers), self._autograd_use.grad_mode(), hooks:
            self._forward(inputs, recorder, recorder)
        return recorder.found

    def _tapped_call(self, layers: Layers, inputs: InputBatch, layer: LayerChoice) -> LayerCall:
        layers.check(layer)
        calls = self._calls_of(layers, inputs)  # for the input too: that run shows whether the model needs autograd
        return self._input_call(inputs, layer) if layer.is_input else check_tapped(layer, calls)

    def _calls_of(self, layers: Layers, inputs: InputBatch) -> tuple[LayerCall, ...]:
        def run(functions: FunctionRecorder) -> tuple[LayerCall, ...]:
            recorder = KerasTorchRecorder(self._model)
            with self._recording(layers.by_path, recorder):
                self._forward(inputs, functions, recorder)
            return recorder.ordered_calls()

        def record() -> tuple[LayerCall, ...]:
            with self._preserve_state(layers):
                return self._autograd_use.run(run)

        calls: tuple[LayerCall, ...] = self._calls.get((layers.version, shape_key(inputs)), record)
        return calls

    def _forward(
        self,
        inputs: InputBatch,
        context: AbstractContextManager[Any],
        recorder: TorchTap | KerasRecorder | StemRecorder | EdgeRecorder | None = None,
    ) -> Any:
        # Copied: a model may modify its input in place, and the array belongs to the caller.
        batch = map_tree(lambda array: keras.ops.convert_to_tensor(np.array(array)), inputs)
        if isinstance(recorder, KerasRecorder):
            recorder.name_inputs(self.input_names(batch), leaves(batch))
        with (
            translated_errors(inputs, FAILURES, recorder, plain_message),
            autocast_to(self._precision, batch),
            context,
            preserve_keras_state(self._model),
        ):
            batch = recorder.enter(batch) if isinstance(recorder, (TorchTap, StemRecorder, EdgeRecorder)) else batch
            return self._model(batch, training=False)
