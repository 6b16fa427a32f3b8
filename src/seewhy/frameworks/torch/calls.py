"""The modules of a PyTorch model, and recording their calls."""

import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, final

import torch

from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.recorder import Recorder
from seewhy.frameworks.structures import leaves
from seewhy.frameworks.torch.dispatch import compiled_module, version_of
from seewhy.frameworks.torch.layouts import TorchLayouts
from seewhy.types import Tensor

POOLING = tuple(kind for name, kind in vars(torch.nn).items() if "Pool" in name and isinstance(kind, type))

WRAPPERS = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
"""Modules that only run another, their `module`."""


@final
class TorchRecorder(Recorder):
    """Records every call of every module; `layouts` knows the axis of the channels."""

    def __init__(self, layouts: TorchLayouts) -> None:
        self.calls: list[LayerCall] = []
        self._layouts = layouts
        self._numbers: Counter[str] = Counter()
        self._calls_by_storage: dict[Any, tuple[Any, LayerCall]] = {}

    def enter(self, batch: Any) -> Any:
        """Record the layout of the model's inputs, and return them unchanged."""
        for tensor in leaves(batch):
            self._layouts.note(tensor, channels_first=True)
        return batch

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        """Record a call, and return its output unchanged."""
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
            self._calls_by_storage[_storage_key(output)] = (weakref.ref(output), call)
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
        known, previous = self._calls_by_storage.get(_storage_key(output), (None, None))
        if known is None or known() is None or previous is None:
            return isinstance(layer, torch.nn.Flatten)  # its output is its input's, even where it had to copy
        is_shared_inside = previous.number > 1 and previous.path.startswith(path + ".")
        return previous.is_pooling or previous.is_passed_through or not is_shared_inside


@contextmanager
def recording_calls(layers: dict[str, Any], recorder: Recorder) -> Iterator[None]:
    """Have a recorder observe every call of `layers`, by path, while this is open and in this thread only.

    The hook comes after those that the modules have, so that it observes what goes on to the next module.
    """
    thread = threading.get_ident()

    def hook_for(path: str) -> Callable[[Any, Any, Any], Any]:
        def hook(layer: Any, _: Any, output: Any) -> Any:
            return recorder.observe(path, layer, output) if threading.get_ident() == thread else None

        return hook

    with ExitStack() as restore:
        for path, layer in layers.items():
            restore.callback(layer.register_forward_hook(hook_for(path)).remove)
        yield


def unwrap(model: Any) -> Any:
    """Return the module itself, out of what torch.compile or data parallelism put round it."""
    while True:
        inner = model.module if isinstance(model, WRAPPERS) else compiled_module(model)
        if inner is None:
            return model
        model = inner


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


def _storage_key(tensor: Tensor) -> Any:
    """Return where a tensor's values lie, how they are laid out, and how often they were written to."""
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), version_of(tensor)
