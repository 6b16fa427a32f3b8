"""Running PyTorch modules in inference mode without side effects: modes and buffers are restored."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple, Self

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
    version_of,
)
from seewhy.threads import ForkSafeLock
from seewhy.types import NativeTensor

RUN_LOCK = ForkSafeLock()
"""Held while a model runs: two threads must not install and remove each other's hooks and modes."""

SHAPE = attrgetter("shape")

KIND = attrgetter("ndim", "dtype", "device", "layout")
"""What tensors that one operation copies have in common, besides their class."""


def preserve_state(*models: torch.nn.Module) -> AbstractContextManager[None]:
    """Run models as in a prediction, and restore their state afterwards, as `preserve_modules` does.

    Args:
        models: A model, and those of its parts that its `modules()` does not list.
    """
    return preserve_modules(partial(_modules, models))


@contextmanager
def preserve_modules(
    find: Callable[[], list[torch.nn.Module]], find_attributes: Callable[[], list[dict[str, Any]]] | None = None
) -> Iterator[None]:
    """Run modules as in a prediction, whatever the caller's modes, and restore their state afterwards.

    Inside, every module is in evaluation mode, compiled code runs eagerly, checkpointed functions run plainly,
    transformer layers are not fused, and `torch.inference_mode` is off. Autocast keeps its state. Afterwards, and if
    the model fails too, every module's mode and every buffer's values are restored.

    Args:
        find: Finds the modules, all that run: a model's modules at every depth.
        find_attributes: Finds the attributes of those of them that may keep tensors; None reads those of all.
    """
    used_elsewhere: set[int] = set()
    with (
        RUN_LOCK.lock,
        _preserve_thread_state(),
        without_checkpoints(),
        torch.inference_mode(False),
        _uncompiled(),
        _without_inference_tensors(modules := find(), buffers := _with_buffers(modules), find_attributes),
        _preserve_buffers(buffers, used_elsewhere),
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


@contextmanager
def _without_inference_tensors(
    modules: Sequence[Any],
    buffers: Sequence[tuple[int, dict[str, NativeTensor | None]]],
    find_attributes: Callable[[], list[dict[str, Any]]] | None,
) -> Iterator[None]:
    """Replace what modules cached in `torch.inference_mode` by copies: autograd refuses such tensors.

    A YOLO keeps the places of its candidates from one run to the next with the same size of input, and so from its own
    `predict`, which runs in that mode.
    """
    owners = [vars(module) for module in modules] if find_attributes is None else find_attributes()
    owners = [owner for owner in owners if torch.Tensor in map(type, owner.values())]  # hardly any
    owners += [own for _, own in buffers]
    tensors = [value for owner in owners for value in owner.values() if type(value) is torch.Tensor]
    replaced = []
    for owner in owners if any(map(torch.Tensor.is_inference, tensors)) else []:
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


class _Buffers(NamedTuple):
    """The buffers of a module, which is given by id, and where the module keeps them."""

    module: int
    kept_in: dict[str, NativeTensor | None]
    by_name: dict[str, NativeTensor]


def _with_buffers(modules: Sequence[Any]) -> list[tuple[int, dict[str, NativeTensor | None]]]:
    """Return the modules that have buffers, by id, and the dictionaries in which they keep these."""
    return [(id(module), own) for module, own in zip(modules, buffers_of(modules), strict=True) if own]


@contextmanager
def _preserve_buffers(
    buffers: Sequence[tuple[int, dict[str, NativeTensor | None]]], used_elsewhere: set[int]
) -> Iterator[None]:
    """Restore every buffer's values on exit, but for the modules, by id, whose buffers another thread trains.

    All of them are copied, as any run may be the first that writes to one. This happens in every capture.

    Args:
        buffers: Those of each module, as `_with_buffers` returns them.
        used_elsewhere: The modules.
    """
    records = [
        _Buffers(module, own, {name: buffer for name, buffer in own.items() if buffer is not None})
        for module, own in buffers
    ]
    groups = _groups(buffer for record in records for buffer in record.by_name.values())
    with torch.no_grad():
        copies = list(map(_Copy.of, groups))

    def restore() -> None:
        own = [record for record in records if record.module not in used_elsewhere]
        for record in own:
            _assign(record.kept_in, record.by_name)
        with torch.no_grad():
            changed = [copy for copy in copies if not copy.is_unchanged()]
            own_ids = {id(buffer) for record in own for buffer in record.by_name.values()} if changed else set()
            for copy in changed:
                copy.restore(own_ids)

    with restoring(restore):
        yield


class _Copy(NamedTuple):
    """The values of a group of buffers. Gradients must be off where they are copied, compared and restored.

    Attributes:
        group: The buffers.
        values: Of all of them.
        shapes: Of each.
        version: How often the first was written to. It does not tell everything: PyTorch does not count what batch
            normalisation writes to its averages, nor writes through `.data`.
        is_comparable: Whether values can be compared.
    """

    group: list[NativeTensor]
    values: NativeTensor
    shapes: list[torch.Size]
    version: int | None
    is_comparable: bool

    @classmethod
    def of(cls, group: list[NativeTensor]) -> Self:
        """Copy a group."""
        return cls(group, _copy_group(group), list(map(SHAPE, group)), version_of(group[0]), _is_comparable(group[0]))

    def is_unchanged(self) -> bool:
        """Whether the buffers have these values still, in these shapes."""
        if list(map(SHAPE, self.group)) != self.shapes:
            return False
        if not self.is_comparable:
            return version_of(self.group[0]) == self.version
        now = self.group[0] if len(self.group) == 1 else _copy_group(self.group)
        return now.dtype == self.values.dtype and torch.equal(now, self.values)

    def restore(self, ids: set[int]) -> None:
        """Restore the values of those of the buffers with these ids that have others."""
        for buffer, values in zip(self.group, _split_group(self.values, self.shapes), strict=True):
            if id(buffer) not in ids:
                continue
            with torch.inference_mode(buffer.is_inference()), torch.no_grad():  # inference_mode(False) turns them on
                if buffer.shape != values.shape or buffer.dtype != values.dtype:
                    buffer.data = values.clone()  # it was resized, or given other memory
                elif not (self.is_comparable and torch.equal(buffer, values)):
                    buffer.copy_(values)


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
        kinds[(type(tensor), KIND(tensor))].append(tensor)
    groups: list[list[NativeTensor]] = []
    for group in kinds.values():
        groups += [group] if _is_small(group[0]) else [[tensor] for tensor in group]
    return groups


def _is_small(tensor: NativeTensor) -> bool:
    """Whether buffers of this kind are joined."""
    return tensor.ndim < 2 and _is_comparable(tensor)


def _is_comparable(tensor: NativeTensor) -> bool:
    """Whether a tensor is plain values."""
    is_plain = type(tensor) is torch.Tensor and tensor.layout == torch.strided
    return is_plain and not tensor.is_quantized and not tensor.is_meta


def _copy_group(group: list[NativeTensor]) -> NativeTensor:
    """Copy a group of tensors into one."""
    if len(group) == 1:
        return group[0].detach().clone()
    return torch.cat(group) if group[0].ndim else torch.stack(group)


def _split_group(copy: NativeTensor, shapes: list[torch.Size]) -> Sequence[NativeTensor]:
    """Return the copy of each tensor of a group, of these shapes."""
    if len(shapes) == 1:
        return [copy]
    return torch.split(copy, [shape[0] for shape in shapes]) if shapes[0] else torch.unbind(copy)
