"""Running PyTorch modules in inference mode without side effects: modes and buffers are restored."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch

from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.torch.checkpoints import without_checkpoints
from seewhy.frameworks.torch.modes import evaluation_mode
from seewhy.frameworks.torch.private_api import (
    buffers_of,
    exclude_autograd,
    has_compiled,
    is_autograd_excluded,
    modes,
    restore_modes,
    submodules,
    versions_of,
)
from seewhy.threads import ForkSafeLock
from seewhy.types import NativeTensor

RUN_LOCK = ForkSafeLock()
"""Held while a model runs: two threads must not install and remove each other's hooks and modes."""


def preserve_state(*models: torch.nn.Module) -> AbstractContextManager[None]:
    """Run models as in a prediction, and restore their state afterwards, as `preserve_modules` does.

    Args:
        models: A model, and those of its parts that its `modules()` does not list.
    """
    return preserve_modules(partial(_modules, models))


@contextmanager
def preserve_modules(find: Callable[[], list[torch.nn.Module]]) -> Iterator[None]:
    """Run modules as in a prediction, whatever the caller's modes, and restore their state afterwards.

    Inside, every module is in evaluation mode, compiled code runs eagerly, checkpointed functions run plainly,
    transformer layers are not fused, and `torch.inference_mode` is off. Autocast keeps its state. Afterwards, and if
    the model fails too, every module's mode and every buffer's values are restored.

    Args:
        find: Finds the modules, all that run: a model's modules at every depth.
    """
    used_elsewhere: set[int] = set()
    with (
        RUN_LOCK.lock,
        _preserve_thread_state(),
        without_checkpoints(),
        torch.inference_mode(False),
        _uncompiled(),
        _preserve_buffers(modules := find(), used_elsewhere),
        evaluation_mode(modules, used_elsewhere),
    ):
        yield


@contextmanager
def _preserve_thread_state() -> Iterator[None]:
    """Restore the gradient mode and the stacks of modes, which PyTorch changes if it is interrupted.

    Inside, transformer layers run as they are written: in inference PyTorch replaces them by other modules' operations.
    With gradients it does not, so layers would be called in some runs and not in others, with outputs of another kind.
    """
    is_recorded, is_excluded, open_modes = torch.is_grad_enabled(), is_autograd_excluded(), modes()
    is_fused = torch.backends.mha.get_fastpath_enabled()

    def restore() -> None:
        restore_modes(*open_modes)
        if torch.is_grad_enabled() != is_recorded:
            torch.set_grad_enabled(is_recorded)
        if is_autograd_excluded() != is_excluded:
            exclude_autograd(is_excluded)
        if is_fused:
            torch.backends.mha.set_fastpath_enabled(True)

    with restoring(restore):
        if is_fused:
            torch.backends.mha.set_fastpath_enabled(False)
        yield


def _uncompiled() -> AbstractContextManager[Any]:
    """Return a context in which compiled modules run eagerly: compiled code ignores hooks."""
    return torch.compiler.set_stance("force_eager") if has_compiled() else nullcontext()


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


class _Buffers(NamedTuple):
    """The buffers of a module, which is given by id, and where the module keeps them."""

    module: int
    kept_in: dict[str, NativeTensor | None]
    by_name: dict[str, NativeTensor]


@contextmanager
def _preserve_buffers(modules: Sequence[Any], used_elsewhere: set[int]) -> Iterator[None]:
    """Restore every buffer's values on exit, but for the modules, by id, whose buffers another thread trains.

    All of them are copied, as any run may be the first that writes to one; PyTorch counts the writes. It runs before
    and after every capture.
    """
    kept = zip(modules, buffers_of(modules), strict=True)
    records = [
        _Buffers(id(module), own, {name: buffer for name, buffer in own.items() if buffer is not None})
        for module, own in kept
        if own
    ]
    tensors = [buffer for record in records for buffer in record.by_name.values()]
    versions = versions_of(tensors)
    copies = [(group, _copy_group(group)) for group in _groups(tensors)]

    def restore() -> None:
        own = [record for record in records if record.module not in used_elsewhere]
        for record in own:
            _assign(record.kept_in, record.by_name)
        now = versions_of(tensors)
        if now == versions:
            return
        own_ids = {id(buffer) for record in own for buffer in record.by_name.values()}
        changes = zip(tensors, versions, now, strict=True)
        written = {id(tensor) for tensor, before, after in changes if before != after} & own_ids
        with torch.no_grad():
            for group, copy in copies:
                for buffer, values in zip(group, _split_group(copy, group), strict=True):
                    if id(buffer) in written:
                        buffer.copy_(values)

    with restoring(restore):
        yield


def _assign(mapping: Any, values: dict[str, NativeTensor]) -> None:
    """Assign values to a dictionary, or to what TorchScript modules have instead, which has no `update`."""
    if type(mapping) is dict:
        mapping.update(values)
    else:
        for name, value in values.items():
            mapping[name] = value


def _groups(tensors: Iterable[NativeTensor]) -> list[list[NativeTensor]]:
    """Group tensors that one operation can copy: every batch normalisation has three small ones."""
    kinds: dict[Any, list[NativeTensor]] = defaultdict(list)
    for tensor in tensors:
        kinds[(tensor.ndim, tensor.dtype, tensor.device, tensor.layout)].append(tensor)
    groups: list[list[NativeTensor]] = []
    for group in kinds.values():
        is_small = group[0].ndim < 2 and group[0].layout == torch.strided and not group[0].is_quantized
        groups += [group] if is_small else [[tensor] for tensor in group]
    return groups


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
