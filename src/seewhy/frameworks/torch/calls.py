"""The modules of a PyTorch model, and recording their calls."""

import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Self, final

import torch

from seewhy.errors import LayerError, ModelRunError
from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.recorder import Recorder
from seewhy.frameworks.structures import leaves
from seewhy.frameworks.torch.layouts import TorchLayouts
from seewhy.frameworks.torch.private_api import (
    children_of,
    compiled_module,
    remove_hook,
    submodules,
    version_of,
)
from seewhy.frameworks.torch.tensor_attributes import TensorAttributes
from seewhy.frameworks.torch.tensors import TRANSFORMED, has_memory
from seewhy.frameworks.torch.ultralytics import inner_model
from seewhy.threads import this_thread
from seewhy.types import NativeTensor

POOLING = tuple(kind for name, kind in vars(torch.nn).items() if "Pool" in name and isinstance(kind, type))

NOT_HOOKABLE = (torch.jit.RecursiveScriptModule,)  # type: ignore[attr-defined]
"""Modules that take no hooks."""

WRAPPERS = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
"""Modules that only run another, their `module`."""


@final
class TorchRecorder(Recorder):
    """Records every call of every module; `layouts` follows the channels' axis."""

    def __init__(self, layouts: TorchLayouts) -> None:
        self.calls: list[LayerCall] = []
        self._layouts = layouts
        self._numbers: Counter[str] = Counter()
        self._calls_by_storage: dict[Any, tuple[Any, LayerCall]] = {}
        self._images = 0
        self._frames: set[int] = set()

    def enter(self, batch: Any) -> Any:
        """Record the layout of the model's inputs, and return them unchanged."""
        first = leaves(batch)[0]
        self._images, self._frames = len(first), set(first.shape[1:3]) if first.ndim == 5 else set()
        for tensor in leaves(batch):
            self._layouts.set_layout(tensor, channels_first=True)
        return batch

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        """Record a call, and return its output unchanged."""
        self._numbers[path] += 1
        is_reachable = not isinstance(output, torch.Tensor) or has_memory(output)
        channels_first = is_reachable and _has_spatial_axes(output) and self._is_channels_first(output)
        images_second = is_reachable and not channels_first and _has_images_second(output, self._images)
        frames = self._frames_of(output) if is_reachable else 1
        shape = _shape(output, channels_first, images_second) if is_reachable else None
        shape = shape if shape is None or frames == 1 else (frames, *shape)
        call = LayerCall(
            path=path,
            kind=type(layer).__name__,
            shape=shape,
            is_pooling=isinstance(layer, POOLING),
            is_pass_through=shape is not None and self._is_pass_through(path, layer, output),
            number=self._numbers[path],
            execution=self._numbers[path],
            channels_first=channels_first,
            images_second=images_second and shape is not None,
            frames=frames,
            obstacle="" if is_reachable else TRANSFORMED,
        )
        if shape is not None:  # a weak reference: all of a model's outputs together may exceed the memory
            self._calls_by_storage[_storage_key(output)] = (weakref.ref(output), call)
        self.calls.append(call)
        return output

    def _frames_of(self, output: Any) -> int:
        """Return how many rows of an output with rows and columns are one video: its frames, folded into the batch."""
        if not isinstance(output, torch.Tensor) or output.is_nested or output.ndim != 4 or not self._images:
            return 1
        frames, rest = divmod(output.shape[0], self._images)
        return frames if not rest and frames in self._frames else 1

    def _is_channels_first(self, output: NativeTensor) -> bool:
        """Whether an output is (N, K, *space).

        An unknown layout, as of the output of a compiled function, is that of the last call: for a block, the last
        call inside it.
        """
        channels_first = self._layouts.is_channels_first(output)
        if channels_first is None:
            channels_first = next((call.channels_first for call in reversed(self.calls) if _is_map(call)), True)
            self._layouts.set_layout(output, channels_first=channels_first)
        return channels_first

    def _is_pass_through(self, path: str, layer: Any, output: NativeTensor) -> bool:
        """Whether a module returns another module's output: dropout in inference mode, a Sequential around its last.

        An output that was modified in place since is new: after a convolution and an in-place ReLU, the ReLU computed
        the values that the model continues with. A block that ends in a module that it calls several times, such as
        the one ReLU of a residual block, or of the whole model, is not a pass-through: the block's path names that
        call.
        """
        reference, previous = self._calls_by_storage.get(_storage_key(output), (None, None))
        if reference is None or reference() is None or previous is None:
            return isinstance(layer, torch.nn.Flatten)  # it keeps the values, even where it has to copy them
        is_block = previous.path.startswith(path + ".") or any(submodules(layer))
        is_shared_inside = previous.number > self._numbers[path] and is_block  # called more often than the block
        return previous.is_pooling or previous.is_pass_through or not is_shared_inside


@contextmanager
def recording_calls(layers: dict[str, Any], recorder: Recorder) -> Iterator[None]:
    """Let a recorder observe the calls of `layers`, by path, in this thread and while this is open.

    The hook runs after the modules' own hooks, so that it observes the output that the next module receives.
    """
    thread, is_open = this_thread(), True

    def hook_for(path: str) -> Callable[[Any, Any, Any], Any]:
        def hook(layer: Any, _: Any, output: Any) -> Any:
            # Another thread may have copied the model, with this hook, while it was open.
            return recorder.observe(path, layer, output) if is_open and this_thread() is thread else None

        return hook

    layers = {path: layer for path, layer in layers.items() if not isinstance(layer, NOT_HOOKABLE)}
    hooks = {path: hook_for(path) for path in layers}

    def remove() -> None:
        nonlocal is_open
        is_open = False
        for path, layer in layers.items():
            remove_hook(layer, hooks[path])

    with restoring(remove):
        for path, layer in layers.items():
            layer.register_forward_hook(hooks[path])
        yield


def unwrap(model: Any) -> Any:
    """Return the module that torch.compile, data parallelism or a YOLO object of ultralytics wraps."""
    while True:
        inner = model.module if isinstance(model, WRAPPERS) else compiled_module(model)
        inner = inner_model(model) if inner is None else inner
        if inner is None:
            return model
        model = inner


class _Found(NamedTuple):
    """Every module of a model, and what its children were.

    Attributes:
        modules: Each once.
        children: Of each, with their names and in order; equal lists are of equal structures.
        by_name: Of each, as a dictionary; None for a TorchScript module, which is walked through in every run.
        several: The modules that have several children, whose order matters.
        names: Of their children.
        attributes: Those of the modules that may be tensors.
    """

    modules: list[torch.nn.Module]
    children: list[tuple[tuple[str, torch.nn.Module | None], ...]]
    by_name: list[dict[str, torch.nn.Module | None] | None]
    several: list[torch.nn.Module]
    names: list[tuple[str, ...]]
    attributes: TensorAttributes

    @classmethod
    def of(cls, model: torch.nn.Module) -> Self:
        """Walk through a model."""
        modules, visited = [model], {id(model)}
        for parent in modules:  # which grows
            for child in submodules(parent):
                if id(child) not in visited:
                    visited.add(id(child))
                    modules.append(child)
        own = children_of(modules)
        children = [tuple(each.items()) for each in own]
        by_name = [dict(each) if isinstance(each, dict) else None for each in own]
        several = [
            module for module, names in zip(modules, by_name, strict=True) if names is not None and len(names) > 1
        ]
        names = list(map(tuple, children_of(several)))
        return cls(modules, children, by_name, several, names, TensorAttributes(modules))

    def is_now(self) -> bool:
        """Whether the modules have these children still; dictionaries are equal in any order of their names."""
        return children_of(self.modules) == self.by_name and list(map(tuple, children_of(self.several))) == self.names


@final
class Structure:
    """Every module of a model, with its children and their names, quicker than `modules_by_path`.

    In every run the children of the modules that were found last are compared. The model is walked through only where
    they are others.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._found = _Found.of(model)

    def __call__(self) -> list[Any]:
        """Return the children of each module; equal lists are of equal structures."""
        return self._now().children

    def modules(self) -> list[torch.nn.Module]:
        """Return every module that the model has now, each once."""
        return self._now().modules

    def attributes(self) -> list[dict[str, Any]]:
        """Return the attributes of those modules, when they were last looked up, that may keep tensors."""
        return self._found.attributes.owners()

    @property
    def found_modules(self) -> list[torch.nn.Module]:
        """Every module that the model had when they were last looked up."""
        return self._found.modules

    def _now(self) -> _Found:
        found = self._found
        if not found.is_now():
            found = self._found = _Found.of(self._model)
        return found


def modules_by_path(model: torch.nn.Module) -> dict[str, Any]:
    """Return all modules by dotted path, outer before inner; a module that occurs twice has its first path."""
    modules: dict[str, Any] = {}
    seen = {id(model)}

    def walk(parent: Any, prefix: str) -> None:
        for name, child in parent.named_children():
            module = unwrap(child)
            if id(module) not in seen:
                seen.add(id(module))
                modules[prefix + name] = module
                walk(module, f"{prefix}{name}.")

    walk(model, "")
    return modules


def check_hookable(path: str, layers: dict[str, Any]) -> None:
    """Raise LayerError for a layer that PyTorch compiled as a whole, or inside such a layer."""
    names = path.split(".")
    outer = [layers.get(".".join(names[:count])) for count in range(1, len(names))]
    if isinstance(layers.get(path), NOT_HOOKABLE) or any(isinstance(layer, torch.jit.ScriptModule) for layer in outer):
        raise LayerError(
            f"The layer {path!r} is a TorchScript module or inside one, which is compiled as a whole: its output "
            "cannot be reached. Give a layer outside of it, or use the torch.nn.Module that it was compiled from."
        )


def _has_spatial_axes(output: Any) -> bool:
    """Whether the output is one tensor with axes besides the batch and the channels."""
    return isinstance(output, torch.Tensor) and output.ndim > 2 and not output.is_nested


def _is_map(call: LayerCall) -> bool:
    return call.shape is not None and len(call.shape) > 1


def _has_images_second(output: Any, images: int) -> bool:
    """Whether the output may be (L, N, K); a batch of another size shows whether it is, see `check_image_axes`."""
    if not _has_spatial_axes(output) or output.ndim != 3 or output.shape[1] != images:
        return False
    return output.shape[0] != images or images > 1  # of N images and N tokens, either axis may be that of the images


def check_image_axes(
    calls: Sequence[LayerCall], images: int, run_with_one_more: Callable[[], Sequence[LayerCall]]
) -> tuple[LayerCall, ...]:
    """Return calls of a batch of N images, with their images along the second axis only where that axis has grown.

    Args:
        calls: The calls, as they were recorded.
        images: N.
        run_with_one_more: Returns the calls of a batch of N + 1 images.
    """
    if not any(call.images_second for call in calls):
        return tuple(calls)
    try:
        others = {(call.path, call.execution): call for call in run_with_one_more()}
    except ModelRunError:  # the model takes no other batch: its layers are those of an unknown layout
        others = {}

    def check(call: LayerCall) -> LayerCall:
        other = others.get((call.path, call.execution), call)
        is_confirmed = bool(others) and other.images_second and other.shape == call.shape
        if is_confirmed or not call.images_second or call.shape is None:
            return call
        return replace(call, images_second=False, shape=(images, call.shape[-1]))

    return tuple(map(check, calls))


def _shape(output: Any, channels_first: bool, images_second: bool) -> tuple[int | None, ...] | None:
    """Return (*space, K) for an output that is one floating-point tensor; None for any other."""
    if not isinstance(output, torch.Tensor) or not output.is_floating_point():
        return None
    if output.layout != torch.strided or output.is_nested:
        return None
    if images_second:
        return output.shape[0], output.shape[2]
    return (*output.shape[2:], output.shape[1]) if channels_first else tuple(output.shape[1:])


def _storage_key(tensor: NativeTensor) -> Any:
    """Return a tensor's place and layout in memory, and how often it was written to."""
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), version_of(tensor)
