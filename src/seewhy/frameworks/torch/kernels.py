"""Kernels of PyTorch modules, and running a module with others."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.kernels import Kernels, is_kernel
from seewhy.frameworks.torch.restore import RUN_LOCK
from seewhy.frameworks.torch.tensors import to_array


def kernels_of(modules: Mapping[str, Any]) -> Kernels:
    """Return the kernels of modules by path; one that several modules share belongs to the first."""
    return {path: tuple(map(to_array, own.values())) for path, own in _parameters(modules).items()}


@contextmanager
def replaced_kernels(modules: Mapping[str, Any], kernels: Kernels) -> Iterator[None]:
    """Give modules other kernels while this is open.

    Their parameters are exchanged for new ones, and exchanged back: the values of the modules' own are never written.
    """
    new: dict[int, torch.nn.Parameter] = {}
    for path, own in _parameters(modules).items():
        for parameter, values in zip(own.values(), kernels.get(path, ()), strict=path in kernels):
            tensor = torch.as_tensor(values).to(parameter.device, parameter.dtype)
            new[id(parameter)] = torch.nn.Parameter(tensor, requires_grad=parameter.requires_grad)
    places = [
        (module, name, parameter)
        for module in modules.values()
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
        if id(parameter) in new
    ]

    def restore() -> None:
        for module, name, parameter in places:
            setattr(module, name, parameter)

    with RUN_LOCK.lock, restoring(restore):
        for module, name, parameter in places:
            setattr(module, name, new[id(parameter)])
        yield


def _parameters(modules: Mapping[str, Any]) -> dict[str, dict[str, torch.nn.Parameter]]:
    seen: set[int] = set()
    found: dict[str, dict[str, torch.nn.Parameter]] = {}
    for path, module in modules.items():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen and is_kernel(tuple(parameter.shape), str(parameter.dtype)):
                seen.add(id(parameter))
                found.setdefault(path, {})[name] = parameter
    return found
