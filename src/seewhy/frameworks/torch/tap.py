"""The tap on PyTorch, for native models and for Keras ones: one layer's output, and all that is differentiated."""

import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch

from seewhy.errors import LayerError
from seewhy.frameworks.base import FinalActivation, Outputs
from seewhy.frameworks.guided import GUIDED
from seewhy.frameworks.layers import INPUT, LayerCall, no_gradient
from seewhy.frameworks.outputs import SelectedOutputs, select_outputs
from seewhy.frameworks.structures import leaves
from seewhy.frameworks.torch.guided import guide
from seewhy.frameworks.torch.logits import TorchFunctions, Trunk
from seewhy.frameworks.torch.pooling import only_mean, products
from seewhy.targets import Objective
from seewhy.types import Backward, Namespace, Precision, Tensor

RUN_LOCK = threading.RLock()
"""Held while a model is at rest: two threads must not put on and take off each other's hooks and modes."""

TARGETS_AT_ONCE = 32
"""How many targets go backwards together: more are hardly faster, and memory is that of all of them."""

FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)
"""What PyTorch, Keras and the libraries of models raise when a model cannot run on its input."""


class Tap:
    """Makes the output of one call of one layer the only thing that is differentiated; or the model's input.

    Args:
        call: The call; `INPUT_CALL` taps the input.
        trunk: What comes before that call, and ends there; None where all is heard alike.
        backward: How the gradients are taken; with "none" nothing is recorded.
    """

    def __init__(self, call: LayerCall, trunk: Trunk | None, backward: Backward) -> None:
        self.path = call.path
        self.output: Any = None
        self._call = call
        self._left = call.number
        self._trunk = trunk
        self._backward_kind = backward
        self._makers: dict[Any, str] = {}  # what was recorded of a layer's output, and the layer

    def hooked_layers(self, layers: dict[str, Any]) -> dict[str, Any]:
        """Return those of all layers whose calls have to be heard: the one that is tapped; none for the input."""
        if self._backward_kind in GUIDED:  # to name the layer of an activation
            return layers
        return {} if self.path == INPUT else {self.path: layers[self.path]}

    def enter(self, batch: Any) -> Any:
        """Return the batch that goes into the model: what was tapped, if that is the input."""
        return self.record(INPUT, None, batch) if self.path == INPUT else batch

    def record(self, path: str, layer: Any, output: Any, *_: Any) -> Any:
        """Cut the model at the call that is meant, and have everything after it recorded."""
        if path != self.path and isinstance(output, torch.Tensor):
            self._makers.setdefault(output.grad_fn, path)
        self._left -= path == self.path
        if self._left or path != self.path:
            return output
        # Two copies: one the model cannot reach, for it may hold the layer's output in other places and write over
        # it; and one to go on in the output's place, on which even the next layer may work in place.
        self.output = output.detach().clone()
        if self._trunk is not None:
            self._trunk.end(is_recorded=self._backward_kind != "none")
        if self._backward_kind == "none":
            return output
        self.output.requires_grad_()
        return self.output.clone()

    def check(self) -> None:
        """Raise LayerError unless the layer was called as it was before."""
        if self.output is None:
            raise LayerError(
                f"The layer {self.path!r} was called in an earlier run and is not now: which layers the model calls "
                "depends on its input. Give a layer that is always called."
            )

    def guide(self, selected: SelectedOutputs) -> None:
        """Have the ReLUs between the tapped output and the logits let back only what is positive, if that is asked."""
        if self._backward_kind in GUIDED and selected.one_logits.requires_grad:
            guide(selected.one_logits, self.output, self._makers, self._backward_kind)

    def gradients(self, totals: Tensor) -> Tensor | None:
        """Differentiate every total (T,) by the tapped output, giving (T, N, ...) in the layer's own layout.

        None where they are not wanted.
        """
        if self._backward_kind in ("none", "products"):
            return None
        if not totals.requires_grad:
            raise no_gradient(self.path)
        count = len(totals)
        at_once = 1 if count == 1 or _has_functions_of_its_own(totals) else min(count, TARGETS_AT_ONCE)
        seeds = torch.split(torch.eye(count, dtype=totals.dtype, device=totals.device), at_once)
        return torch.cat([self._backward(totals, each, is_last=each is seeds[-1]) for each in seeds])

    def products(self, scores: Tensor, activations: Tensor) -> Tensor | None:
        """Return the sums of activations times gradients over channels, of scores (N, T), giving (N, T, *space).

        None where they are not wanted, or where the scores depend on more than the mean of the activations.
        """
        if self._backward_kind != "products" or not scores.requires_grad or _has_functions_of_its_own(scores):
            return None
        rank = self.output.ndim
        mean = only_mean(scores, self.output, range(2, rank) if self._call.channels_first else range(1, rank - 1))
        return None if mean is None else products(scores, mean, activations)

    def _backward(self, totals: Tensor, seeds: Tensor, *, is_last: bool) -> Tensor:
        """Go backwards once for these seeds, (t, T)."""
        batched = len(seeds) > 1
        # Of one total a seed says nothing, and for a seed PyTorch imports SymPy, which takes a third of a second.
        alone = None if len(totals) == 1 else seeds[0]
        (gradients,) = torch.autograd.grad(
            totals,
            self.output,
            seeds if batched else alone,
            retain_graph=not is_last,
            allow_unused=True,
            is_grads_batched=batched,
        )
        if gradients is None:
            raise no_gradient(self.path)
        return gradients if batched else gradients[None]


def select_torch_outputs(whole: Any, objective: Objective, functions: TorchFunctions, xp: Namespace) -> SelectedOutputs:
    """Find what a question asks of all that a model returned, seeing through a final softmax or sigmoid."""

    def read(raw: Tensor, logits: Tensor, head: FinalActivation, whole: Any) -> Outputs:
        return Outputs.read(raw, logits.float(), head, xp, whole)

    return select_outputs(
        whole, objective, lambda each: isinstance(each, torch.Tensor), functions.bypass_final_activation, read
    )


@contextmanager
def preserve_state(*models: torch.nn.Module) -> Iterator[None]:
    """Let a model run as in a prediction, whatever goes on around it, and be afterwards what it was before.

    It is given with those of its parts that its `modules()` does not list.
    Every module is in evaluation mode, nothing is compiled, and no inference mode is on. Autocast stays as it is.
    Afterwards each module has its own mode again, and every buffer its values, also when the model failed.
    """
    modules = _modules(models)
    with RUN_LOCK, torch.inference_mode(False), _uncompiled(), _preserve_buffers(modules), _eval_mode(modules):
        yield


def autocast_to(precision: Precision, batch: Any) -> AbstractContextManager[object]:
    """Run a model on a batch in this precision; in float32, which is the default, as it runs anyway.

    No weight is kept in bfloat16: most are used once, and an autocast of the caller's own would find them.
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(leaves(batch)[0].device.type, torch.bfloat16, cache_enabled=False)


@contextmanager
def without_autocast() -> Iterator[None]:
    """Compute in the types that the tensors have: what is left of gradients in float16 may be nothing."""
    with ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps", "xpu"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Run what torch.compile made as it was written: compiled code does not see that there is a hook."""
    if "torch._dynamo" not in sys.modules:  # nothing has been compiled, and importing it takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def _modules(models: Iterable[torch.nn.Module]) -> list[torch.nn.Module]:
    """Return every module of these models, once: the `modules()` of each would go through nested ones again."""
    found: dict[int, torch.nn.Module] = {}
    waiting = list(models)
    while waiting:
        module = waiting.pop()
        if id(module) not in found:
            found[id(module)] = module
            waiting.extend(each for each in module._modules.values() if each is not None)
    return list(found.values())


@contextmanager
def _eval_mode(modules: Iterable[Any]) -> Iterator[None]:
    """Put modules into evaluation mode; past `eval()`, for some merge or fuse their weights when it is called."""
    training = [(module, module.training) for module in modules if module.training]
    try:
        for module, _ in training:
            _set_training(module, False)
        yield
    finally:
        for module, mode in training:
            _set_training(module, mode)


def _set_training(module: Any, training: bool) -> None:
    """Set a module's mode past its own `__setattr__`: Keras' does more than set; TorchScript's knows no other way."""
    if "training" in vars(module):
        vars(module)["training"] = training
    else:
        module.training = training


@contextmanager
def _preserve_buffers(modules: Iterable[Any]) -> Iterator[None]:
    """Give every buffer back the values it has now, when this is left."""
    held = [
        (module._buffers, name, buffer)
        for module in modules
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    versions = [version_of(buffer) for _, _, buffer in held]
    copies = [(alike, _together(alike)) for alike in _alike(buffer for _, _, buffer in held)]
    try:
        yield
    finally:
        for buffers, name, buffer in held:
            buffers[name] = buffer
        if versions != (now := [version_of(buffer) for _, _, buffer in held]):
            written = {id(held[at][2]) for at in range(len(held)) if versions[at] != now[at]}
            with torch.no_grad():
                for alike, together in copies:
                    for buffer, kept in zip(alike, _apart(together, alike), strict=True):
                        if id(buffer) in written:
                            buffer.copy_(kept)


def _alike(tensors: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Return tensors in groups that are copied in one go: batch normalisation has three small ones in each layer."""
    groups: dict[Any, list[Tensor]] = defaultdict(list)
    for each in tensors:
        is_small = each.ndim < 2 and each.layout == torch.strided and not each.is_quantized
        groups[(each.ndim, each.dtype, each.device) if is_small else id(each)].append(each)
    return groups.values()


def _together(alike: list[Tensor]) -> Tensor:
    """Copy such a group into one tensor."""
    with torch.no_grad():
        if len(alike) == 1:
            return alike[0].detach().clone()
        return torch.cat(alike) if alike[0].ndim else torch.stack(alike)


def _apart(together: Tensor, alike: list[Tensor]) -> Sequence[Tensor]:
    """Return the copy of each of a group."""
    if len(alike) == 1:
        return [together]
    return torch.split(together, [len(each) for each in alike]) if alike[0].ndim else torch.unbind(together)


def version_of(tensor: Tensor) -> int | None:
    """Return what changes when a tensor is written to; an inference tensor cannot be, and has none."""
    return None if tensor.is_inference() else int(tensor._version)


def _has_functions_of_its_own(totals: Tensor) -> bool:
    """Whether the way back runs through Python: an autograd.Function of the model's own, or a backward hook.

    Such code was written for one gradient, not for a batch of them: it may look at values, or keep what it is given.
    Everything of PyTorch's own can be batched. So this alone decides whether targets go backwards one by one.
    """
    waiting: list[Any] = [totals.grad_fn]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            return True
        seen.add(node)
        waiting.extend(following for following, _ in node.next_functions)
    return False


def arrays_beside(tensor: Tensor, objective: Objective, count: int) -> list[Tensor]:
    """Return the arrays of a target for `count` images, on the device of a tensor."""
    arrays = [torch.tensor(each, device=tensor.device) for each in objective.target.arrays(count)]
    return [each if each.is_floating_point() else each.to(torch.int64) for each in arrays]  # what indexing takes


def detached(value: Any) -> Any:
    """Return a tensor apart from what was recorded; anything else as it is."""
    return value.detach() if isinstance(value, torch.Tensor) else value


def first_tensor(tensors: Iterable[Tensor]) -> Tensor | None:
    """Return the first tensor of real numbers."""
    return next((each for each in tensors if each.is_floating_point()), None)


def off_device(value: Any) -> Any:
    """Copy a tensor to a NumPy array, real numbers as float32; anything else is given back."""
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach().cpu()
    return (value.float() if value.is_floating_point() else value).numpy()
