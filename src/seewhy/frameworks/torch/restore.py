"""Running PyTorch modules in evaluation mode without side effects: modes and buffers are restored."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from seewhy.frameworks.torch.dispatch import buffers, has_compiled, submodules, version_of
from seewhy.types import Tensor

RUN_LOCK = threading.RLock()
"""Held while a model runs: two threads must not install and remove each other's hooks and modes."""


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


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Run what torch.compile made as it was written: compiled code does not see that there is a hook."""
    if not has_compiled():
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
            waiting.extend(submodules(module))
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
        (buffers(module), name, buffer)
        for module in modules
        for name, buffer in buffers(module).items()
        if buffer is not None
    ]
    versions = [version_of(buffer) for _, _, buffer in held]
    copies = [(alike, _together(alike)) for alike in _alike(buffer for _, _, buffer in held)]
    try:
        yield
    finally:
        for owner, name, buffer in held:
            owner[name] = buffer
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
