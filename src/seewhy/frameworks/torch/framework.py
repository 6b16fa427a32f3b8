"""Native PyTorch modules.

The model runs once, without side effects. A forward hook on the layer, in this thread only, taps its output: gradients
are recorded for the head and not for the trunk, and the head is differentiated once for each target.

Input images are (N, K, *space), and so are the outputs of most modules, but not of all: `layouts` follows the channels'
axis. Captures are (N, *space, K), as in every framework.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any, final

import numpy as np
import torch

from seewhy.errors import ModelRunError
from seewhy.frameworks.base import CaptureType, Head, Scorer
from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.compiled import CompiledCache
from seewhy.frameworks.detections import CLASS_LOGITS, DetectedBox, DetectorRunner
from seewhy.frameworks.exported_graph import ExportedGraph, numbered
from seewhy.frameworks.layers import INPUT_CALL, LayerCall, LayerChoice, check_tapped
from seewhy.frameworks.layouts import layer_layout
from seewhy.frameworks.model_layers import Layers
from seewhy.frameworks.prompts import are_images
from seewhy.frameworks.recorder import translated_errors
from seewhy.frameworks.stem import StemInput, StemValues
from seewhy.frameworks.structures import (
    InputBatch,
    image_at,
    image_count,
    leaves,
    map_tree,
    message_of,
    only_leaf,
    shape_key,
)
from seewhy.frameworks.torch import ultralytics
from seewhy.frameworks.torch.attention_links import LinkRecorder
from seewhy.frameworks.torch.attention_recorder import AttentionMaps, AttentionRecorder
from seewhy.frameworks.torch.attention_tap import AttentionTap
from seewhy.frameworks.torch.calls import (
    TorchRecorder,
    check_hookable,
    check_image_axes,
    recording_calls,
)
from seewhy.frameworks.torch.carrying_calls import EdgeRecorder
from seewhy.frameworks.torch.clamp import ClampTap, clamped_scores
from seewhy.frameworks.torch.detectors import (
    Found,
    ReachRecorder,
    check_scores_detections,
    declared_detector,
    detector_of_outputs,
    find_detections,
    find_entries,
)
from seewhy.frameworks.torch.failures import FAILURES
from seewhy.frameworks.torch.finish_capture import finish_capture
from seewhy.frameworks.torch.layouts import TorchLayouts
from seewhy.frameworks.torch.linear_layer import Shortcut
from seewhy.frameworks.torch.logits import FunctionRecorder, may_be_probabilities, select_torch_outputs
from seewhy.frameworks.torch.module import CONVOLUTIONS, TorchModule
from seewhy.frameworks.torch.onnx import export, input_names
from seewhy.frameworks.torch.origins import ValueRecorder, find_origins
from seewhy.frameworks.torch.precision import autocast_to, without_autocast
from seewhy.frameworks.torch.private_api import has_backward_hooks, remove_hook
from seewhy.frameworks.torch.restore import preserve_modules
from seewhy.frameworks.torch.stem import StemComplete, StemRecorder, stem_values
from seewhy.frameworks.torch.tap import TorchTap
from seewhy.frameworks.torch.tensors import target_arrays
from seewhy.frameworks.torch.trunk_and_head import Tape, TapeTap
from seewhy.frameworks.torch.without_autograd import AutogradUse, Trunk
from seewhy.images.geometry import InputBox
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

MODULE_INPUT_CALL = replace(INPUT_CALL, channels_first=True)
"""The input of a module, treated as the output of a first layer."""


Recorders = TorchTap | TorchRecorder | StemRecorder | EdgeRecorder | ReachRecorder | None


@final
class Torch(TorchModule):
    """A native PyTorch module."""

    def __init__(self, model: torch.nn.Module, precision: Precision = "float32") -> None:
        super().__init__(model, precision)
        self._calls = CompiledCache()
        self._autograd_use = AutogradUse()
        self._detector = declared_detector(self._model)
        self._is_read = self._detector is not None
        self._returns_pair = ultralytics.returns_pair(self._model)

    def calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        return self._calls_of(self._model_layers.for_run(), inputs)

    def predict(self, inputs: InputBatch, output: int | str | None = None) -> NativeTensor | None:
        def run(functions: FunctionRecorder) -> NativeTensor | None:
            objective = Objective(TopK(), output=output)
            outputs = self._forward(inputs, functions, None, objective)
            with without_autocast():
                selected = select_torch_outputs(outputs, objective, functions, self.xp)
                probabilities = selected.read(selected.tensors).probabilities
            return None if probabilities is None else probabilities.detach()

        with self._preserve_state():
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
        with self._preserve_state(), torch.enable_grad():
            with recording_calls(tap.hooked_layers(layers.by_path), tap):
                outputs = self._forward(inputs, trunk, tap, objective)
            shortcut = partial(self._shortcut, functions, layers, call, inputs, objective)
            return finish_capture(tap, layer, outputs, objective, inputs, functions, self.xp, shortcut=shortcut)

    def _shortcut(
        self,
        functions: FunctionRecorder,
        layers: Layers,
        call: LayerCall,
        inputs: InputBatch,
        objective: Objective,
        logits: NativeTensor,
        classes: NativeTensor,
    ) -> Shortcut | None:
        """Return a shorter backward pass for the logits of classes (N, T).

        None if there is none, if hooks might see it, and for a single class, for which it takes as long.
        """
        count = classes.shape[1]
        linear = functions.linear_layer(logits) if count > 1 else None
        if linear is None or has_backward_hooks(self._structure.found_modules):
            return None
        key = (call.path, call.execution, shape_key(inputs, with_batch=True), objective.output, count)
        return linear.shortcut(classes, layers.evidence, ("shortcut", key))

    def scorer(self, objective: Objective) -> Scorer:
        is_bypassed: bool | None = None  # whether the first batch had a final activation to bypass
        may_be_activated = False  # whether the values of a batch may be those of one: the model may decide by its input

        def run(inputs: InputBatch, functions: FunctionRecorder, context: AbstractContextManager[Any]) -> NativeTensor:
            nonlocal is_bypassed, may_be_activated
            outputs = self._forward(inputs, context, None, objective)
            with without_autocast():
                selected = select_torch_outputs(outputs, objective, functions, self.xp)
                read = selected.read(selected.tensors)
                device_tensor = self._to_tensor(leaves(inputs)[0][:1]) if read.logits is None else read.logits
                arrays = target_arrays(objective, image_count(inputs), device_tensor)
                scores: NativeTensor = read.score(objective, arrays, self.xp).scores
            is_bypassed = read.activation not in ("logits", "linear")
            may_be_activated = read.logits is not None and may_be_probabilities(read.logits)
            return scores.float()

        def score(inputs: InputBatch) -> NativeTensor:
            with self._preserve_state():
                # Then nothing has to be recorded.
                if is_bypassed is False and not may_be_activated and objective.score == "logit":
                    with self._autograd_use.grad_mode():
                        scores = run(inputs, FunctionRecorder(), nullcontext())
                    if not may_be_activated:
                        return scores
                return self._autograd_use.run(lambda functions: run(inputs, functions, functions))

        return score

    def capture_attention(
        self, inputs: InputBatch, objective: Objective, derivatives: Derivatives = "gradients"
    ) -> AttentionCapture:
        functions = FunctionRecorder()
        maps = self._attention_maps(inputs)
        tap = AttentionTap(maps, Trunk(functions, needs_autograd=self._autograd_use.is_needed), derivatives)
        with self._preserve_state(), torch.enable_grad():
            outputs = self._forward(inputs, tap.open())
            return tap.finish(outputs, objective, inputs, functions, self.xp)

    def attention_shapes(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        return self._attention_maps(inputs).shapes

    def attention_links(self, inputs: InputBatch) -> tuple[bool, ...]:
        positions = self._attention_maps(inputs).positions

        def record() -> tuple[bool, ...]:
            trunk = Trunk(FunctionRecorder(), needs_autograd=self._autograd_use.is_needed)
            recorder = LinkRecorder([*self._model.parameters(), *self._model.buffers()], trunk)
            with self._preserve_state(), torch.enable_grad():
                self._forward(inputs, recorder.open())
            return recorder.links(positions)

        key = ("attention links", self._model_layers.for_run().version, shape_key(inputs))
        links: tuple[bool, ...] = self._calls.get(key, record) if len(positions) > 1 else ()
        return links

    def _attention_maps(self, inputs: InputBatch) -> AttentionMaps:
        def run(functions: FunctionRecorder) -> AttentionMaps:
            recorder = AttentionRecorder([*self._model.parameters(), *self._model.buffers()])
            with recorder:
                self._forward(inputs, functions)
            return recorder.maps(image_count(inputs))

        def record() -> AttentionMaps:
            with self._preserve_state():
                return self._autograd_use.run(run)

        key = ("attention", self._model_layers.for_run().version, shape_key(inputs))
        maps: AttentionMaps = self._calls.get(key, record)
        return maps

    def detector(self, inputs: InputBatch) -> DetectorRunner | None:
        if not self._is_read:
            self._calls_of(self._model_layers.for_run(), inputs)
            if self._detector is not None and image_count(inputs) > 1:
                # Each image is run alone from now on, and a model that loops over images calls layers once then.
                self._calls = CompiledCache()
        return None if self._detector is None else self

    def detections(self, inputs: InputBatch) -> tuple[DetectedBox, ...]:
        with self._preserve_state():
            return find_detections(self._autograd_use.run(partial(self._found, inputs)))

    def class_logit_entries(self, inputs: InputBatch, numbers: Sequence[int]) -> list[tuple[int, int]]:
        with self._preserve_state(), torch.no_grad():
            return find_entries(self._found(inputs, FunctionRecorder(), is_differentiated=True), numbers)

    def detection_reaches(self, inputs: InputBatch, objective: Objective) -> list[dict[tuple[str, int], InputBox]]:
        functions, layers = FunctionRecorder(), self._model_layers.for_run()
        calls = {
            (call.path, call.execution): call for call in self._calls_of(layers, inputs) if len(call.shape or ()) == 3
        }
        recorder = ReachRecorder(calls)
        with self._preserve_state(), torch.enable_grad():
            with recording_calls({path: layers.by_path[path] for path, _ in calls}, recorder):
                outputs = self._forward(inputs, functions, recorder, objective)
            selected = select_torch_outputs(outputs, objective, functions, self.xp)
            read = selected.read(selected.tensors)
            scores, _ = read.score(objective, target_arrays(objective, 1, read.logits), self.xp)
            return [recorder.reaches(score) for score in scores[0]]

    def export_onnx(self, inputs: InputBatch) -> ExportedGraph:
        with self._preserve_state():
            outputs = self._autograd_use.run(lambda functions: self._forward(inputs, functions))
        structure, _ = numbered(outputs, torch.is_tensor)
        names = input_names(inputs)
        return ExportedGraph(export(self._model, map_tree(self._to_tensor, inputs), names), names, structure)

    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        functions, tape, objective = FunctionRecorder(), Tape(), objective.for_image(0)
        layers = self._model_layers.for_run()
        call = self._tapped_call(layers, inputs, layer)
        tap = TapeTap(call, tape)
        hooks = recording_calls(tap.hooked_layers(layers.by_path), tap)
        with self._preserve_state(), self._autograd_use.grad_mode(), tape.recording(), hooks:
            outputs = self._forward(inputs, functions, tap)
            selected = select_torch_outputs(outputs, objective, functions, self.xp)
        scores = tape.head(tap, selected, objective, self.xp)
        return lambda perturbations: scores(layer_layout(call, perturbations))

    def clamp(
        self, inputs: InputBatch, layer: LayerChoice, objective: Objective, activations: FloatArray
    ) -> NativeTensor:
        layers, objective = self._model_layers.for_run(), objective.for_image(0)
        call = self._tapped_call(layers, inputs, layer)

        def run(functions: FunctionRecorder) -> NativeTensor:
            tap = ClampTap(call, activations)
            with recording_calls(tap.hooked_layers(layers.by_path), tap):
                outputs = self._forward(inputs, functions, tap)
            return clamped_scores(tap, outputs, objective, functions, self.xp)

        with self._preserve_state():
            return self._autograd_use.run(run)

    def carrying_calls(self, inputs: InputBatch, objective: Objective) -> frozenset[tuple[str, int]] | None:
        functions, layers, recorder = FunctionRecorder(), self._model_layers.for_run(), EdgeRecorder()
        try:
            with self._preserve_state(), torch.enable_grad(), recording_calls(layers.by_path, recorder):
                outputs = self._forward(inputs, functions, recorder)
                selected = select_torch_outputs(outputs, objective, functions, self.xp)
                return recorder.carrying(selected.tensors)
        except ModelRunError:  # its input cannot be differentiated, unless the model fails without that too
            with self._preserve_state():
                self._autograd_use.run(lambda functions: self._forward(inputs, functions))
            return None

    def origins(self, inputs: InputBatch) -> Mapping[tuple[str, int], frozenset[int]]:
        layers = self._model_layers.for_run()

        def run(batch: InputBatch, functions: FunctionRecorder) -> Mapping[tuple[str, int], NativeTensor]:
            recorder = ValueRecorder()
            with recording_calls(layers.by_path, recorder):
                self._forward(batch, functions)
            return recorder.values

        def find() -> dict[tuple[str, int], frozenset[int]]:
            with self._preserve_state():
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

    def is_unscaled(self, inputs: InputBatch) -> bool:
        """Run the model, and compare the input of its first convolution."""
        image = only_leaf(inputs)
        if isinstance(image, (list, dict)):
            return False
        layers = self._model_layers.for_run().by_path.values()
        convolutions = [layer for layer in layers if isinstance(layer, CONVOLUTIONS)]
        convolution_inputs: list[Any] = []

        def record_input(_: Any, arguments: Any) -> None:
            convolution_inputs.append(arguments[0])

        def remove() -> None:
            for layer in convolutions:
                remove_hook(layer, record_input)

        with self._preserve_state(), restoring(remove):
            for layer in convolutions:
                layer.register_forward_pre_hook(record_input)
            self._autograd_use.run(lambda functions: self._forward(inputs, functions))
            return bool(convolution_inputs) and torch.equal(convolution_inputs[0], self._to_tensor(image))

    def apply(self, method: Callable[[CaptureType], NativeTensor], capture: CaptureType) -> NativeTensor:
        with torch.no_grad(), without_autocast():
            return method(capture)

    def _stem(self, inputs: InputBatch, layer: LayerChoice, leaf: int) -> list[StemInput]:
        layers = self._model_layers.for_run()
        call = self._tapped_call(layers, inputs, layer)
        recorder = StemRecorder(call, leaf)
        hooks = recording_calls({call.path: layers.by_path[call.path]}, recorder)
        with suppress(StemComplete), self._preserve_state(), self._autograd_use.grad_mode(), hooks:
            self._forward(inputs, recorder, recorder)
        return recorder.found

    def _tapped_call(self, layers: Layers, inputs: InputBatch, layer: LayerChoice) -> LayerCall:
        layers.check(layer)
        calls = self._calls_of(layers, inputs)  # for the input too: that run shows whether the model needs autograd
        if layer.is_input:
            return replace(MODULE_INPUT_CALL, execution=layer.leaf + 1)
        check_hookable(layer.path, layers.by_path)
        return check_tapped(layer, calls)

    def _calls_of(self, layers: Layers, inputs: InputBatch) -> tuple[LayerCall, ...]:
        def run(batch: InputBatch, functions: FunctionRecorder) -> list[LayerCall]:
            layouts = TorchLayouts()
            recorder = TorchRecorder(layouts)
            with layouts, recording_calls(layers.by_path, recorder):
                self._forward(batch, functions, recorder)
            return recorder.calls

        def calls_for(batch: InputBatch) -> list[LayerCall]:
            with self._preserve_state():
                return self._autograd_use.run(partial(run, batch))

        def record() -> tuple[LayerCall, ...]:
            return check_image_axes(calls_for(inputs), image_count(inputs), lambda: calls_for(_one_more(inputs)))

        calls: tuple[LayerCall, ...] = self._calls.get((layers.version, shape_key(inputs)), record)
        return calls

    def _preserve_state(self) -> AbstractContextManager[None]:
        """Return the context in which the model runs."""
        self._model_layers.run()
        return preserve_modules(self._structure.modules, self._structure.attributes)

    def _forward(
        self,
        inputs: InputBatch,
        context: AbstractContextManager[Any],
        recorder: Recorders = None,
        objective: Objective | None = None,
    ) -> Any:
        """Run the model; for an objective of detections, return what `Found.tree` makes of its outputs."""
        if objective is not None and objective.target.reads_detections:
            found = self._found(inputs, context, recorder)
            return found.tree(reads_logits=objective.output == CLASS_LOGITS)
        batch = map_tree(self._to_tensor, inputs)
        failures = translated_errors(inputs, FAILURES, recorder, partial(self._failure, inputs))
        with failures, autocast_to(self._precision, batch), context:
            batch = batch if recorder is None else recorder.enter(batch)
            if self._towers is not None and are_images(batch):
                outputs = self._towers.run(only_leaf(batch), self.prompt_classes)
            elif isinstance(batch, dict):
                outputs = self._model(**batch)
            else:
                outputs = self._model(*batch) if isinstance(batch, list) else self._model(batch)
        outputs = outputs[0] if self._returns_pair else outputs
        if not self._is_read:
            self._is_read, self._detector = True, detector_of_outputs(self._model, outputs) or self._detector
        if objective is not None and self._detector is not None:
            check_scores_detections(objective)
        return outputs

    def _failure(self, inputs: InputBatch, error: Exception) -> str:
        """Return why the model cannot run; where one argument was given several inputs, that first."""
        is_whole = isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], (list, dict))
        if is_whole and len(leaves(inputs)) > 1:
            what = f"{len(leaves(inputs))} inputs in a {type(inputs[0]).__name__}"
            return f"its forward takes one argument, {self._parameters.all_names()[0]!r}, and was given {what}: {error}"
        return message_of(error)

    def _found(
        self,
        inputs: InputBatch,
        context: AbstractContextManager[Any],
        recorder: Recorders = None,
        *,
        is_differentiated: bool = False,
    ) -> Found:
        """Run a detector, and return what it found."""
        assert self._detector is not None  # noqa: S101  # as `detector` returned this
        with self._detector.recording(is_differentiated=is_differentiated) as class_logits:
            outputs = self._forward(inputs, context, recorder)
        size = self.image_size(inputs)
        return self._detector.read(outputs, class_logits[0] if class_logits else None, size)


def _one_more(inputs: InputBatch) -> InputBatch:
    """Return a batch with one more image, a copy of the first."""
    return map_tree(lambda array: np.concatenate([array, array[:1]]), inputs)
