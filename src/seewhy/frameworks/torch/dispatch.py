"""Every private name of PyTorch that SeeWhy uses, in this file alone.

They are the same in torch 2.6 to 2.14: `pyproject.toml` allows these versions (decision 0001).

| name | used for |
| --- | --- |
| `torch._C.DispatchKey`, `_dispatch_tls_*`, `_PreserveDispatchKeyGuard` | running the trunk without autograd |
| `torch._C._*_torch_function_stack` | recording functions from the tap on, below the model's own modes |
| `torch.utils._python_dispatch`, `torch.utils._pytree` | recording operations, and the tensors in their arguments |
| `OpOverload._schema` | the arguments that an operation writes to |
| `Tensor._version` | whether a tensor was written to |
| `Module._modules`, `Module._buffers` | restoring buffers, also those that a forward replaces |
| `OptimizedModule._orig_mod`, `torch._dynamo` | the module that `torch.compile` wraps |
| `Node._saved_*` | the bounds of a clamp, in `LOWER_BOUNDS` |
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode as TorchDispatchMode
from torch.utils._pytree import tree_leaves as tree_leaves
from torch.utils._pytree import tree_map as tree_map

AUTOGRAD = torch._C.DispatchKey.AutogradFunctionality
"""The key of PyTorch's dispatcher that records gradients."""

LOWER_BOUNDS = {
    "ClampBackward": "_saved_min",
    "ClampMinBackward": "_saved_min",
    "HardtanhBackward": "_saved_min_val",
    "ThresholdBackward": "_saved_threshold",
}
"""The attribute of an autograd node that holds the lower bound of its operation, by the node's name."""


def is_autograd_excluded() -> bool:
    """Whether this thread's dispatcher passes by autograd."""
    return bool(torch._C._dispatch_tls_is_dispatch_key_excluded(AUTOGRAD))


def exclude_autograd(excluded: bool) -> None:
    """Have this thread's dispatcher pass by autograd, or call it again."""
    torch._C._dispatch_tls_set_dispatch_key_excluded(AUTOGRAD, excluded)


def preserve_dispatch_keys() -> AbstractContextManager[Any]:
    """Restore which keys of the dispatcher are excluded."""
    guard: AbstractContextManager[Any] = torch._C._PreserveDispatchKeyGuard()
    return guard


def function_mode_count() -> int:
    """Return how many torch function modes are open in this thread."""
    return int(torch._C._len_torch_function_stack())


@contextmanager
def below_function_modes(count: int) -> Iterator[None]:
    """Close the innermost `count` torch function modes, and open them again on top of what is opened meanwhile."""
    modes: list[TorchFunctionMode] = [torch._C._pop_torch_function_stack() for _ in range(count)]
    try:
        yield
    finally:
        for mode in reversed(modes):
            torch._C._push_on_torch_function_stack(mode)


def version_of(tensor: torch.Tensor) -> int | None:
    """Return the number of writes to a tensor; None for an inference tensor, which has none."""
    return None if tensor.is_inference() else int(tensor._version)


def submodules(module: torch.nn.Module) -> Iterable[torch.nn.Module]:
    """Return the modules that a module holds directly. `children()` is slower: it skips duplicates."""
    return (child for child in module._modules.values() if child is not None)


def buffers(module: torch.nn.Module) -> dict[str, torch.Tensor | None]:
    """Return the dictionary that holds a module's own buffers; what is written to it replaces a buffer."""
    return module._buffers


def compiled_module(module: Any) -> torch.nn.Module | None:
    """Return the module that `torch.compile` wrapped; None for any other module."""
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is None or not isinstance(module, dynamo.OptimizedModule):
        return None
    inner: torch.nn.Module = module._orig_mod
    return inner


def has_compiled() -> bool:
    """Whether `torch.compile` was imported; importing it takes seconds."""
    return "torch._dynamo" in sys.modules


def written_arguments(operation: Any, args: Any, kwargs: Any) -> Iterator[Any]:
    """Yield the arguments that an operation writes to."""
    for position, argument in enumerate(operation._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[position] if position < len(args) else kwargs.get(argument.name)
            yield from tree_leaves(value)
