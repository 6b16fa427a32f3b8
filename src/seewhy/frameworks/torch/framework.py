"""Native PyTorch modules.

The model runs once, without side effects. A forward hook on the layer, in this thread only, taps its output: gradients
are recorded for the head and not for the trunk, and the head is differentiated once for each target.

Input images are (N, K, *space), and so are the outputs of most modules, but not of all: `layouts` follows the channels'
axis. Captures are (N, *space, K), as in every framework.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any, final

import array_api_compat.torch as xp
import torch
from numpy.typing import NDArray

from seewhy.frameworks.base import Framework, Head, check_precision
from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.compiled import CompiledCache
from seewhy.frameworks.layers import INPUT_CALL, LayerCall, LayerChoice, check_tapped
from seewhy.frameworks.layouts import layer_layout
from seewhy.frameworks.recorder import translated_errors
from seewhy.frameworks.structures import (
    InputBatch,
    InputSpec,
    check_arrays,
    image_count,
    map_arrays,
    map_tree,
    only_leaf,
    shape_key,
)
from seewhy.frameworks.torch.calls import TorchRecorder, modules_by_path, recording_calls, unwrap
from seewhy.frameworks.torch.finish_capture import finish_capture
from seewhy.frameworks.torch.layouts import TorchLayouts
from seewhy.frameworks.torch.logits import FunctionRecorder, select_torch_outputs
from seewhy.frameworks.torch.precision import autocast_to, without_autocast
from seewhy.frameworks.torch.private_api import remove_hook
from seewhy.frameworks.torch.restore import preserve_state
from seewhy.frameworks.torch.tap import TorchTap
from seewhy.frameworks.torch.tensors import first_float_tensor, to_array
from seewhy.frameworks.torch.trunk_and_head import Tape, TapeTap
from seewhy.frameworks.torch.without_autograd import Trunk
from seewhy.targets import Objective, TopK
from seewhy.types import Capture, Derivatives, GradientRule, NativeTensor, Precision

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)

MODULE_INPUT_CALL = replace(INPUT_CALL, channels_first=True)
"""The input of a module, treated as the output of a first layer."""

FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)
"""The exceptions of PyTorch, Keras and model libraries for a model that cannot run on its input."""


@final
class Torch(Framework):
    """A native PyTorch module."""

    name = "torch"
    channels_first = True
    xp = xp

    def __init__(self, model: torch.nn.Module, precision: Precision = "float32") -> None:
        self._model = unwrap(model)
        check_precision(precision, map(_type_name, self._model.parameters()))
        self._precision = precision
        self._layers = modules_by_path(self._model)
        self._calls = CompiledCache()

    def layer_paths(self) -> tuple[str, ...]:
        return tuple(self._layers)

    def path_of(self, layer: object) -> str | None:
        return next((path for path, module in self._layers.items() if module is unwrap(layer)), None)

    def input_shape(self) -> None:
        """Return None: a module does not declare its input's shape."""

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        """Return `inputs` as float32 (N, ...).

        A list or tuple of arrays becomes the model's positional arguments, a dict its keyword arguments.
        """
        return check_arrays(map_arrays(to_array, inputs), None)

    def to_numpy(self, tensor: NativeTensor) -> NDArray[Any]:
        array: NDArray[Any] = to_array(tensor)
        return array

    def calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        calls: tuple[LayerCall, ...] = self._calls.get(shape_key(inputs), lambda: self._record_calls(inputs))
        return calls

    def predict(self, inputs: InputBatch, output: int | str | None = None) -> NativeTensor | None:
        functions = FunctionRecorder()
        with preserve_state(self._model), torch.no_grad():
            outputs = self._forward(inputs, functions)
            with without_autocast():
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
        call = MODULE_INPUT_CALL if layer.is_input else check_tapped(layer, self.calls(inputs))
        tap = TorchTap(call, trunk, derivatives, gradient_rule)
        with preserve_state(self._model), torch.enable_grad():
            with recording_calls(tap.hooked_layers(self._layers), tap):
                outputs = self._forward(inputs, trunk, tap)
            return finish_capture(tap, layer, outputs, objective, image_count(inputs), functions, self.xp)

    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        functions, tape, objective = FunctionRecorder(), Tape(), objective.for_image(0)
        call = MODULE_INPUT_CALL if layer.is_input else check_tapped(layer, self.calls(inputs))
        tap = TapeTap(call, tape)
        hooks = recording_calls(tap.hooked_layers(self._layers), tap)
        with preserve_state(self._model), torch.no_grad(), tape.recording(), hooks:
            outputs = self._forward(inputs, functions, tap)
            selected = select_torch_outputs(outputs, objective, functions, self.xp)
        scores = tape.head(tap, selected, objective, self.xp)
        return lambda perturbations: scores(layer_layout(call, perturbations))

    def is_unscaled(self, inputs: InputBatch) -> bool:
        """Run the model, and compare the input of its first convolution."""
        image = only_leaf(inputs)
        if isinstance(image, (list, dict)):
            return False
        convolutions = [layer for layer in self._layers.values() if isinstance(layer, CONVOLUTIONS)]
        convolution_inputs: list[Any] = []

        def record_input(_: Any, arguments: Any) -> None:
            convolution_inputs.append(arguments[0])

        def remove() -> None:
            for layer in convolutions:
                remove_hook(layer, record_input)

        with preserve_state(self._model), torch.no_grad(), restoring(remove):
            for layer in convolutions:
                layer.register_forward_pre_hook(record_input)
            self._forward(inputs, FunctionRecorder())
            return bool(convolution_inputs) and torch.equal(convolution_inputs[0], self._to_tensor(image))

    def apply(self, method: Callable[[Capture], NativeTensor], capture: Capture) -> NativeTensor:
        with torch.no_grad(), without_autocast():
            return method(capture)

    def _record_calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        layouts = TorchLayouts()
        recorder = TorchRecorder(layouts)
        with preserve_state(self._model), torch.no_grad(), layouts, recording_calls(self._layers, recorder):
            self._forward(inputs, FunctionRecorder(), recorder)
        return tuple(recorder.calls)

    def _forward(
        self, inputs: InputBatch, context: FunctionRecorder | Trunk, recorder: TorchTap | TorchRecorder | None = None
    ) -> Any:
        batch = map_tree(self._to_tensor, inputs)
        with translated_errors(inputs, FAILURES, recorder), autocast_to(self._precision, batch), context:
            batch = batch if recorder is None else recorder.enter(batch)
            if isinstance(batch, dict):
                return self._model(**batch)
            return self._model(*batch) if isinstance(batch, list) else self._model(batch)

    def _to_tensor(self, array: NDArray[Any]) -> NativeTensor:
        """Copy an array to the model's device, type and memory format."""
        like = first_float_tensor(chain(self._model.parameters(), self._model.buffers()))
        if like is None:
            return torch.tensor(array, dtype=torch.float32, device="cpu")
        tensor = torch.tensor(array, dtype=like.dtype, device=like.device)
        kernel = next((weights for weights in self._model.parameters() if weights.ndim == 4), None)
        if kernel is None or tensor.ndim != 4 or kernel.is_contiguous():
            return tensor
        is_last = kernel.is_contiguous(memory_format=torch.channels_last)
        return tensor.contiguous(memory_format=torch.channels_last) if is_last else tensor


def _type_name(tensor: NativeTensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
