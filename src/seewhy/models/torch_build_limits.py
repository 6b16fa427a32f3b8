"""Limits on what PyTorch creates while it builds the model that a config describes: see `build_limits`.

Parameters are counted as they are registered, which is after torch has created them. So the caller builds the model
without memory for its weights, on torch's device "meta": `from_pretrained` of transformers does so itself, and a model
with random weights is built twice. Layers without parameters are counted, too, for each takes memory. What a model
creates and does not register, such as a list, is not counted: the limits on the numbers in a config bound it.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from seewhy.errors import ModelError
from seewhy.models.build_limits import BuildLimits

MAX_MODULES = 20_000
"""Modules, of which the largest image classifiers have about 5,000."""

RANDOM_BYTES = 2**30
"""The bytes of the weights that a model with random weights is taken to have; the limit is 4 times as much."""

_ACTIVE: ContextVar["TorchBuildLimits | None"] = ContextVar("torch_build_limits", default=None)


class TorchBuildLimits(BuildLimits):
    """Counts modules, parameters and buffers, and raises ModelError when they are too many."""

    def __init__(self, weight_bytes: int | None) -> None:
        if weight_bytes is None:
            super().__init__(RANDOM_BYTES, "a model with random weights may have 4.4 GB of them")
        else:
            super().__init__(weight_bytes)
        self._modules = 0

    def restart(self) -> None:
        """Count from zero, for another model."""
        self._modules = 0
        self.clear()

    def add_module(self) -> None:
        """Count a module."""
        self._modules += 1
        if self._modules > MAX_MODULES:
            self.problem = self.problem or f"it describes more than {MAX_MODULES:,} modules"
            raise ModelError(self.problem)


@contextlib.contextmanager
def limited(weight_bytes: int | None) -> Iterator[TorchBuildLimits]:
    """Limit what this thread registers with modules of PyTorch.

    Args:
        weight_bytes: The bytes of the weights in the files; None for random weights.
    """
    from torch.nn.modules import module

    limits = TorchBuildLimits(weight_bytes)
    with contextlib.ExitStack() as stack:
        for register, count in (
            (module.register_module_parameter_registration_hook, _count_array),
            (module.register_module_buffer_registration_hook, _count_array),
            (module.register_module_module_registration_hook, _count_module),
        ):
            stack.callback(register(count).remove)
        token = _ACTIVE.set(limits)
        try:
            yield limits
        finally:
            _ACTIVE.reset(token)


def _count_array(_: Any, __: str, tensor: Any) -> None:
    limits = _ACTIVE.get()
    if limits is not None and tensor is not None:
        limits.add_array(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


def _count_module(_: Any, __: str, submodule: Any) -> None:
    limits = _ACTIVE.get()
    if limits is not None and submodule is not None:
        limits.add_module()
