"""Running PyTorch modules in inference mode without side effects: modes and buffers are restored."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.torch.checkpoints import without_checkpoints
from seewhy.frameworks.torch.modes import evaluation_mode
from seewhy.frameworks.torch.private_api import (
    buffers,
    exclude_autograd,
    has_compiled,
    is_autograd_excluded,
    modes,
    restore_modes,
    submodules,
    version_of,
)
from seewhy.threads import ForkSafeLock
from seewhy.types import NativeTensor

RUN_LOCK = ForkSafeLock()
"""Held while a model runs: two threads must not install and remove each other's hooks and modes."""


@contextmanager
def preserve_state(*models: torch.nn.Module) -> Iterator[None]:
    """Run models as in a prediction, whatever the caller's modes, and restore their state afterwards.

    Inside, every module is in evaluation mode, compiled code runs eagerly, checkpointed functions run plainly,
    transformer layers are not fused, and `torch.inference_mode` is off. Autocast keeps its state. Afterwards, and if
    the model fails too, every module's mode and every buffer's values are restored.

    Args:
        models: A model, and those of its parts that its `modules()` does not list.
    """
    modules = _modules(models)
    used_elsewhere: set[int] = set()
    with (
        RUN_LOCK.lock,
        _preserve_thread_state(),
        without_checkpoints(),
        torch.inference_mode(False),
        _uncompiled(),
        _without_fused_layers(),
        _without_inference_tensors(modules),
        _preserve_buffers(modules, used_elsewhere),
        evaluation_mode(modules, used_elsewhere),
    ):
        yield


@contextmanager
def _preserve_thread_state() -> Iterator[None]:
    """Restore the gradient mode and the stacks of modes, which PyTorch changes if it is interrupted."""
    is_recorded, is_excluded, open_modes = torch.is_grad_enabled(), is_autograd_excluded(), modes()

    def restore() -> None:
        restore_modes(*open_modes)
        if torch.is_grad_enabled() != is_recorded:
            torch.set_grad_enabled(is_recorded)
        if is_autograd_excluded() != is_excluded:
            exclude_autograd(is_excluded)

    with restoring(restore):
        yield


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Run compiled modules eagerly: compiled code ignores hooks."""
    if not has_compiled():
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def _without_fused_layers() -> Iterator[None]:
    """Run transformer layers as they are written: in inference PyTorch replaces them by other modules' operations.

    With gradients it does not, so layers would be called in some runs and not in others, with outputs of another kind.
    """
    is_enabled = torch.backends.mha.get_fastpath_enabled()
    if not is_enabled:
        yield
        return
    with restoring(lambda: torch.backends.mha.set_fastpath_enabled(True)):
        torch.backends.mha.set_fastpath_enabled(False)
        yield


@contextmanager
def _without_inference_tensors(modules: Iterable[Any]) -> Iterator[None]:
    """Replace what modules cached in `torch.inference_mode` by copies: autograd refuses such tensors.

    A YOLO keeps the places of its candidates from one run to the next with the same size of input, and so from its own
    `predict`, which runs in that mode.
    """
    owners: list[dict[str, Any]] = [vars(module) for module in modules]
    owners += [buffers(module) for module in modules]
    replaced = []
    for owner in owners:
        if torch.Tensor not in map(type, owner.values()):  # which is quick: nearly all modules have none
            continue
        for name, value in list(owner.items()):
            if type(value) is torch.Tensor and value.is_inference():
                copy = value.clone()
                owner[name] = copy
                replaced.append((owner, name, value, copy))

    def restore() -> None:
        for owner, name, value, copy in replaced:
            if owner.get(name) is copy:  # and not what the model computed anew
                owner[name] = value

    with restoring(restore):
        yield


def _modules(models: Iterable[torch.nn.Module]) -> list[torch.nn.Module]:
    """Return every module of these models once; calling `modules()` of each model would visit nested ones twice."""
    visited: dict[int, torch.nn.Module] = {}
    pending = list(models)
    while pending:
        module = pending.pop()
        if id(module) not in visited:
            visited[id(module)] = module
            pending.extend(submodules(module))
    return list(visited.values())


class _Buffer(NamedTuple):
    """A buffer of a module, given by id, and how often the buffer was written to."""

    module: int
    owner: dict[str, NativeTensor]
    name: str
    tensor: NativeTensor
    version: int | None


@contextmanager
def _preserve_buffers(modules: Iterable[Any], used_elsewhere: set[int]) -> Iterator[None]:
    """Restore every buffer's values on exit, but for the modules, by id, whose buffers another thread trains."""
    records = [
        _Buffer(id(module), buffers(module), name, buffer, version_of(buffer))
        for module in modules
        for name, buffer in buffers(module).items()
        if buffer is not None
    ]
    copies = [(group, _copy_group(group)) for group in _groups(record.tensor for record in records)]

    def restore() -> None:
        own = [record for record in records if record.module not in used_elsewhere]
        for record in own:
            record.owner[record.name] = record.tensor
        written = {id(record.tensor) for record in own if version_of(record.tensor) != record.version}
        if not written:
            return
        with torch.no_grad():
            for group, copy in copies:
                for buffer, values in zip(group, _split_group(copy, group), strict=True):
                    if id(buffer) in written:
                        buffer.copy_(values)

    with restoring(restore):
        yield


def _groups(tensors: Iterable[NativeTensor]) -> Iterable[list[NativeTensor]]:
    """Group tensors that one operation can copy: every batch normalisation has three small ones."""
    groups: dict[Any, list[NativeTensor]] = defaultdict(list)
    for tensor in tensors:
        is_small = tensor.ndim < 2 and tensor.layout == torch.strided and not tensor.is_quantized
        groups[(tensor.ndim, tensor.dtype, tensor.device) if is_small else id(tensor)].append(tensor)
    return groups.values()


def _copy_group(group: list[NativeTensor]) -> NativeTensor:
    """Copy a group of tensors into one."""
    with torch.no_grad():
        if len(group) == 1:
            return group[0].detach().clone()
        return torch.cat(group) if group[0].ndim else torch.stack(group)


def _split_group(copy: NativeTensor, group: list[NativeTensor]) -> Sequence[NativeTensor]:
    """Return the copy of each tensor of a group."""
    if len(group) == 1:
        return [copy]
    return torch.split(copy, [len(tensor) for tensor in group]) if group[0].ndim else torch.unbind(copy)
