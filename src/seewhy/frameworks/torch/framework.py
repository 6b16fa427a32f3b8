"""Native PyTorch models.

The model runs once, at rest. A forward hook on the layer, in this thread only, cuts the model there: what comes
before is not recorded, what comes after is, and is differentiated once for each target.

Images go in as (N, K, *space), and most modules lay their maps out so, but not all: `torch_layouts` tells. What leaves
this file is (N, *space, K), as everywhere else.
"""

import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any, final

import array_api_compat.torch as xp
import numpy as np
import torch
from numpy.typing import NDArray

from seewhy.frameworks.base import Framework, Head, check_precision
from seewhy.frameworks.compiled import CompiledCache
from seewhy.frameworks.layers import INPUT_CALL, LayerCall, LayerChoice, check_tapped
from seewhy.frameworks.structures import (
    Inputs,
    check_arrays,
    image_count,
    is_our_own,
    leaves,
    map_leaves,
    map_tree,
    model_run_error,
    shape_key,
)
from seewhy.frameworks.torch.graph import Tape, TapeTap
from seewhy.frameworks.torch.layouts import TorchLayouts
from seewhy.frameworks.torch.logits import TorchFunctions, Trunk
from seewhy.frameworks.torch.tap import (
    FAILURES,
    Tap,
    arrays_beside,
    autocast_to,
    detached,
    first_tensor,
    off_device,
    preserve_state,
    select_torch_outputs,
    without_autocast,
)
from seewhy.targets import Objective, TopK
from seewhy.types import Backward, Capture, Precision, Tensor

CallHook = Callable[[str, Any, Any], Any]
"""What is told of a call, by path, module and output; what it returns goes on in the output's place."""

POOLING = tuple(kind for name, kind in vars(torch.nn).items() if "Pool" in name and isinstance(kind, type))

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)

INPUT_CALL_TORCH = replace(INPUT_CALL, channels_first=True)

WRAPPERS = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
"""Modules that only run another, their `module`."""


@final
class Torch(Framework):
    """A native PyTorch model."""

    name = "torch"
    channels_first = True
    xp = xp

    def __init__(self, model: torch.nn.Module, precision: Precision = "float32") -> None:
        self._model = unwrap(model)
        check_precision(precision, map(_type_name, self._model.parameters()))
        self._precision = precision
        self._layers = modules_by_path(self._model)
        self._compiled = CompiledCache()

    def layer_paths(self) -> tuple[str, ...]:
        return tuple(self._layers)

    def path_of(self, layer: Any) -> str | None:
        return next((path for path, known in self._layers.items() if known is unwrap(layer)), None)

    def input_shape(self) -> None:
        """Return None: a module does not say what it takes."""

    def check_inputs(self, inputs: Any) -> Inputs:
        """Return `inputs` as float32 (N, ...).

        A list or tuple of arrays is handed to the model as positional arguments, a dict as keyword arguments.
        """
        return check_arrays(map_leaves(off_device, inputs), None)

    def to_numpy(self, tensor: Tensor) -> NDArray[Any]:
        array: NDArray[Any] = off_device(tensor)
        return array

    def calls(self, inputs: Inputs) -> tuple[LayerCall, ...]:
        found: tuple[LayerCall, ...] = self._compiled.get(shape_key(inputs), lambda: self._record_calls(inputs))
        return found

    def predict(self, inputs: Inputs, output: int | str | None = None) -> Tensor | None:
        functions = TorchFunctions()
        with preserve_state(self._model), torch.no_grad():
            raw = self._forward(inputs, functions)
            with without_autocast():
                selected = select_torch_outputs(raw, Objective(TopK(), output=output), functions, self.xp)
                return selected.read(selected.tensors).probabilities

    def capture(
        self, inputs: Inputs, layer: LayerChoice, objective: Objective, backward: Backward = "plain"
    ) -> Capture:
        functions = TorchFunctions()
        trunk = Trunk(functions)
        call = INPUT_CALL_TORCH if layer.is_input else check_tapped(layer, self.calls(inputs))
        tap = Tap(call, trunk, backward)
        with preserve_state(self._model), torch.enable_grad():
            with recording_calls(tap.hooked_layers(self._layers), tap.record):
                raw = self._forward(inputs, trunk, tap)
            tap.check()
            with without_autocast():
                selected = select_torch_outputs(raw, objective, functions, self.xp)
                tap.guide(selected)
                outputs = selected.read(selected.tensors)
                beside = tap.output if outputs.logits is None else outputs.logits
                arrays = arrays_beside(beside, objective, image_count(inputs))
                answer = outputs.answer(objective, arrays, self.xp)
                activations, scores = _channels_last(call, tap.output.detach().float()), answer.scores.float()
                products = tap.products(scores, activations)
                # The images of a batch do not meet, so the sum's gradient is each image's own.
                gradients = tap.gradients(scores.sum(dim=0))
        return Capture(
            activations=activations,
            gradients=None if gradients is None else _targets_second(call, gradients.float()),
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
        call = INPUT_CALL_TORCH if layer.is_input else check_tapped(layer, self.calls(inputs))
        tap = TapeTap(call, tape)
        with (
            preserve_state(self._model),
            torch.no_grad(),
            tape.running(),
            recording_calls(tap.hooked_layers(self._layers), tap.record),
        ):
            selected = select_torch_outputs(self._forward(inputs, functions, tap), objective, functions, self.xp)
        scores = tape.head(tap, selected, objective, self.xp)
        return lambda perturbations: scores(_as_module(call, perturbations))

    def is_unscaled(self, inputs: Inputs) -> bool:
        """Run the model, and see what its first convolution is given."""
        if isinstance(inputs, (list, dict)):
            return False
        given: list[Any] = []
        with preserve_state(self._model), torch.no_grad(), ExitStack() as restore:
            for layer in self._layers.values():
                if isinstance(layer, CONVOLUTIONS):
                    restore.callback(layer.register_forward_pre_hook(lambda _, args: given.append(args[0])).remove)
            self._forward(inputs, TorchFunctions())
            return bool(given) and torch.equal(given[0], self._to_tensor(inputs))

    def apply(self, method: Callable[[Capture], Tensor], capture: Capture) -> Tensor:
        with torch.no_grad(), without_autocast():
            return method(capture)

    def _record_calls(self, inputs: Inputs) -> tuple[LayerCall, ...]:
        layouts = TorchLayouts()
        recorder = _CallRecorder(layouts)
        with preserve_state(self._model), torch.no_grad(), layouts, recording_calls(self._layers, recorder.record):
            self._forward(inputs, TorchFunctions(), recorder)
        return tuple(recorder.calls)

    def _forward(
        self, inputs: Inputs, context: TorchFunctions | Trunk, tap: "Tap | _CallRecorder | None" = None
    ) -> Any:
        batch = map_leaves(self._to_tensor, inputs)
        try:
            with autocast_to(self._precision, batch), context:
                batch = batch if tap is None else tap.enter(batch)
                if isinstance(batch, dict):
                    return self._model(**batch)
                return self._model(*batch) if isinstance(batch, list) else self._model(batch)
        except FAILURES as error:
            if is_our_own(error):
                raise
            raise model_run_error(inputs, error) from error

    def _to_tensor(self, array: NDArray[Any]) -> Tensor:
        """Copy an array to the model's device, in its type and memory format."""
        like = first_tensor(chain(self._model.parameters(), self._model.buffers()))
        if like is None:
            return torch.tensor(array, dtype=torch.float32, device="cpu")
        tensor = torch.tensor(array, dtype=like.dtype, device=like.device)
        kernel = next((each for each in self._model.parameters() if each.ndim == 4), None)
        if kernel is None or tensor.ndim != 4 or kernel.is_contiguous():
            return tensor
        is_last = kernel.is_contiguous(memory_format=torch.channels_last)
        return tensor.contiguous(memory_format=torch.channels_last) if is_last else tensor


class _CallRecorder:
    """Notes every call of every module; `layouts` knows where the channels of what they give are."""

    def __init__(self, layouts: TorchLayouts) -> None:
        self.calls: list[LayerCall] = []
        self._layouts = layouts
        self._numbers: Counter[str] = Counter()
        self._givers: dict[Any, tuple[Any, LayerCall]] = {}

    def enter(self, batch: Any) -> Any:
        """Note how the model's inputs are laid out, and let them go in as they are."""
        for each in leaves(batch):
            self._layouts.note(each, channels_first=True)
        return batch

    def record(self, path: str, layer: Any, output: Any) -> Any:
        """Note a call, and let its output go on as it is."""
        self._numbers[path] += 1
        channels_first = _has_space(output) and self._is_channels_first(output)
        shape = _shape(output, channels_first)
        call = LayerCall(
            path=path,
            kind=type(layer).__name__,
            shape=shape,
            is_pooling=isinstance(layer, POOLING),
            is_passed_through=shape is not None and self._is_passed_through(path, layer, output),
            number=self._numbers[path],
            channels_first=channels_first,
        )
        if shape is not None:  # weakly: a model's outputs together may be more than memory holds
            self._givers[_storage_key(output)] = (weakref.ref(output), call)
        self.calls.append(call)
        return output

    def _is_channels_first(self, output: Tensor) -> bool:
        """Whether an output is (N, K, *space).

        Where that is not known, as of what a compiled function gave, it is as it was of the last call: for a block,
        the last inside of it.
        """
        known = self._layouts.is_channels_first(output)
        if known is None:
            known = next((call.channels_first for call in reversed(self.calls) if _is_map(call)), True)
            self._layouts.note(output, channels_first=known)
        return known

    def _is_passed_through(self, path: str, layer: Any, output: Tensor) -> bool:
        """Whether the values are another module's, where they were: dropout at rest, a Sequential round its last.

        What was worked on in place since is new: of a convolution and an in-place ReLU after it, the ReLU gave the
        values that the model goes on with. And of a block that ends in a module it calls several times, such as the
        one ReLU of a residual block, the block is meant: its path says which of the calls it was.
        """
        known, giver = self._givers.get(_storage_key(output), (None, None))
        if known is None or known() is None or giver is None:
            return isinstance(layer, torch.nn.Flatten)  # its output is its input's, even where it had to copy
        is_shared_inside = giver.number > 1 and giver.path.startswith(path + ".")
        return giver.is_pooling or giver.is_passed_through or not is_shared_inside


@contextmanager
def recording_calls(layers: dict[str, Any], record: CallHook) -> Iterator[None]:
    """Tell `record` of every call of `layers`, by path, for as long as this is open and in this thread only.

    The hook comes after those that the modules have, so that it hears what really goes on to the next.
    """
    thread = threading.get_ident()

    def hook_for(path: str) -> Callable[[Any, Any, Any], Any]:
        def hook(layer: Any, _: Any, output: Any) -> Any:
            return record(path, layer, output) if threading.get_ident() == thread else None

        return hook

    with ExitStack() as restore:
        for path, layer in layers.items():
            restore.callback(layer.register_forward_hook(hook_for(path)).remove)
        yield


def unwrap(model: Any) -> Any:
    """Return the module itself, out of what torch.compile or data parallelism put round it."""
    dynamo = sys.modules.get("torch._dynamo")
    while True:
        if isinstance(model, WRAPPERS):
            model = model.module
        elif dynamo is not None and isinstance(model, dynamo.OptimizedModule):
            model = model._orig_mod
        else:
            return model


def modules_by_path(model: torch.nn.Module) -> dict[str, Any]:
    """Return every module at every depth by its dotted path, outer before inner; of one held twice, the first path."""
    found: dict[str, Any] = {}
    seen = {id(model)}

    def walk(parent: Any, prefix: str) -> None:
        for name, child in parent.named_children():
            module = unwrap(child)
            if id(module) not in seen:
                seen.add(id(module))
                found[prefix + name] = module
                walk(module, f"{prefix}{name}.")

    walk(model, "")
    return found


def _channels_last(call: LayerCall, tensor: Tensor) -> Tensor:
    """Return a call's output as (N, *space, K), however the module lays it out."""
    return tensor.movedim(1, -1) if call.channels_first else tensor


def _as_module(call: LayerCall, perturbations: NDArray[Any]) -> NDArray[Any]:
    """Return perturbations (M, *space, K) as the module itself lays out its output."""
    return np.moveaxis(perturbations, -1, 1) if call.channels_first else perturbations


def _targets_second(call: LayerCall, gradients: Tensor) -> Tensor:
    """Return gradients (T, N, ...), laid out as the call's output, as (N, T, *space, K)."""
    gradients = gradients.swapaxes(0, 1)
    return gradients.movedim(2, -1) if call.channels_first else gradients


def _has_space(output: Any) -> bool:
    """Whether this is one tensor with an axis besides the batch and the channels."""
    return isinstance(output, torch.Tensor) and output.ndim > 2


def _is_map(call: LayerCall) -> bool:
    return call.shape is not None and len(call.shape) > 1


def _shape(output: Any, channels_first: bool) -> tuple[int | None, ...] | None:
    """Return (*space, K) of an output that is one tensor of real numbers; else None."""
    if not isinstance(output, torch.Tensor) or not output.is_floating_point() or output.layout != torch.strided:
        return None
    return (*output.shape[2:], output.shape[1]) if channels_first else tuple(output.shape[1:])


def _type_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _storage_key(tensor: Tensor) -> Any:
    """Return where a tensor's values lie, how they are laid out, and how often they were written to."""
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor._version
