"""Every private name of PyTorch that SeeWhy uses. No other file uses one (decision 0001; a test checks it).

They are the same in torch 2.6 to 2.14; `pyproject.toml` requires 2.6 or newer.

| name | used for |
| --- | --- |
| `torch._C.DispatchKey` | the key of the dispatcher for autograd |
| `torch._C._dispatch_tls_is_dispatch_key_excluded` | whether the trunk runs without autograd |
| `torch._C._dispatch_tls_set_dispatch_key_excluded` | running the trunk without autograd |
| `torch._C._PreserveDispatchKeyGuard` | restoring the dispatcher after a run |
| `torch._C._autograd._top_saved_tensors_default_hooks` | whether saved tensors are computed again; from 2.8 on |
| `torch._C._len_torch_function_stack` | recording functions from the tap on, below the model's own modes |
| `torch._C._pop_torch_function_stack`, `torch._C._push_on_torch_function_stack` | likewise |
| `torch.utils._python_dispatch.TorchDispatchMode` | recording operations |
| `torch.utils._pytree.tree_leaves`, `tree_map` | the tensors in the arguments of operations |
| `aten._scaled_dot_product_flash_attention_for_cpu` | replaying fused attention, in `FUSED_ATTENTION` |
| `aten._scaled_dot_product_attention_math` | the same in operations that can be batched |
| `aten._unsafe_view` | replaying views, in `VIEWS` |
| `OpOverload._schema` | the arguments that an operation writes to |
| `Tensor._version` | whether a tensor was written to |
| `torch.overrides._get_current_function_mode_stack` | restoring the modes after an interrupted run |
| `torch.utils._python_dispatch._get_current_dispatch_mode_stack` | likewise |
| `torch._C._pop_torch_dispatch_stack`, `torch._C._push_on_torch_dispatch_stack` | likewise |
| `Module._forward_hooks`, `Module._forward_pre_hooks` | removing the hooks of an interrupted run |
| `Module._backward_hooks`, `torch.nn.modules.module._global_backward_hooks` | whether gradients may be changed |
| `Tensor._backward_hooks` | likewise |
| `Module._parameters` | whether weights were changed, in every run |
| `Module._modules`, `Module._buffers` | restoring buffers, also those that a forward replaces |
| `torch.utils.checkpoint._checkpoint_hook` | running checkpointed functions plainly |
| `torch._make_dual` | whether a model differentiates while it runs, in `DIFFERENTIATING` |
| `OptimizedModule._orig_mod`, `torch._dynamo` | the module that `torch.compile` wraps |
| `Node._saved_self`, `_saved_other`, `_saved_dim` | the operands of an operation, and the axes of a mean |
| `Node._saved_min`, `_saved_min_val`, `_saved_threshold` | the lower bound of a clamp, in `LOWER_BOUNDS` |
| `torch._C._jit_onnx_log` | hiding the graph that the ONNX exporter prints when it fails |
| `Node._input_metadata` | the types of an operation's results, to find float16 |
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
import torch.utils.checkpoint
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils._python_dispatch import TorchDispatchMode as TorchDispatchMode
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack
from torch.utils._pytree import tree_leaves as tree_leaves
from torch.utils._pytree import tree_map as tree_map

AUTOGRAD = torch._C.DispatchKey.AutogradFunctionality
"""The key of PyTorch's dispatcher for recording gradients."""

FUSED_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
"""Attention as one operation, on a CPU."""

VIEWS = (torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default)
"""The operations that view a tensor in another shape, and fail where its strides do not allow it."""

DIFFERENTIATING = {"backward", "grad", "_make_dual"}
"""The functions with which a model differentiates while it runs, backward or forward, by name."""

CHECKPOINT_HOOK: Any = torch.utils.checkpoint._checkpoint_hook
"""The context manager in which a checkpointed function does not keep its tensors."""

LOWER_BOUNDS = {
    "ClampBackward": "_saved_min",
    "ClampMinBackward": "_saved_min",
    "HardtanhBackward": "_saved_min_val",
    "ThresholdBackward": "_saved_threshold",
}
"""The attribute of an autograd node that holds the lower bound of its operation, by the node's name."""


def has_result_of(node: Any, dtype: torch.dtype) -> bool:
    """Whether a result of an autograd node's operation is of a type. It is a loop, which takes the least time."""
    for result in getattr(node, "_input_metadata", ()):  # noqa: SIM110
        if result is not None and result.dtype is dtype:
            return True
    return False


@contextmanager
def without_exporter_log() -> Iterator[None]:
    """Let the ONNX exporter print nothing: it does, whatever its level, where it fails."""
    log = torch._C._jit_onnx_log
    torch._C._jit_onnx_log = lambda *_: None
    try:
        yield
    finally:
        torch._C._jit_onnx_log = log


def is_autograd_excluded() -> bool:
    """Whether this thread's dispatcher skips autograd."""
    return bool(torch._C._dispatch_tls_is_dispatch_key_excluded(AUTOGRAD))


def exclude_autograd(excluded: bool) -> None:
    """Make this thread's dispatcher skip autograd, or stop skipping it."""
    torch._C._dispatch_tls_set_dispatch_key_excluded(AUTOGRAD, excluded)


def preserve_dispatch_keys() -> AbstractContextManager[Any]:
    """Return a context manager that restores which keys of the dispatcher are excluded."""
    guard: AbstractContextManager[Any] = torch._C._PreserveDispatchKeyGuard()
    return guard


def saved_tensor_hooks() -> Any:
    """Return this thread's innermost hooks on tensors that autograd saves; None if there are none, or before 2.8."""
    innermost = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    return None if innermost is None else innermost(True)


def function_mode_count() -> int:
    """Return how many torch function modes are open in this thread."""
    return int(torch._C._len_torch_function_stack())


@contextmanager
def below_function_modes(count: int) -> Iterator[None]:
    """Close the innermost `count` torch function modes, and reopen them on top of the modes opened meanwhile."""
    modes: list[TorchFunctionMode] = [torch._C._pop_torch_function_stack() for _ in range(count)]
    try:
        yield
    finally:
        for mode in reversed(modes):
            torch._C._push_on_torch_function_stack(mode)


def modes() -> tuple[list[Any], list[Any]]:
    """Return the function modes and the dispatch modes that are open in this thread, the innermost last."""
    function_modes = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    return function_modes, _get_current_dispatch_mode_stack()


def restore_modes(function_modes: list[Any], dispatch_modes: list[Any]) -> None:
    """Make these the open modes of this thread, as `modes` returned them.

    PyTorch closes a mode while its handler runs. So an interrupt may leave too few modes as well as too many.
    """
    open_modes, open_dispatch_modes = modes()
    if open_modes != function_modes:
        for _ in open_modes:
            torch._C._pop_torch_function_stack()
        for mode in function_modes:
            torch._C._push_on_torch_function_stack(mode)
    if open_dispatch_modes != dispatch_modes:
        for _ in open_dispatch_modes:
            torch._C._pop_torch_dispatch_stack(None)
        for mode in dispatch_modes:
            torch._C._push_on_torch_dispatch_stack(mode)


def remove_hook(module: Any, hook: Any) -> None:
    """Remove a forward hook or forward pre-hook from a module, if it has it."""
    for hooks in (module._forward_hooks, module._forward_pre_hooks):
        for key in [key for key, registered in hooks.items() if registered is hook]:
            del hooks[key]


def versions_of(tensors: Sequence[torch.Tensor]) -> list[int | None]:
    """Return the number of writes to each tensor, as `version_of` does; of many tensors it takes less time."""
    try:
        return [tensor._version for tensor in tensors]
    except RuntimeError:  # one of them is an inference tensor
        return [version_of(tensor) for tensor in tensors]


def version_of(tensor: torch.Tensor) -> int | None:
    """Return the number of writes to a tensor; None for an inference tensor, which has none."""
    return None if tensor.is_inference() else int(tensor._version)


def has_tensor_hooks(tensor: torch.Tensor) -> bool:
    """Whether hooks were registered on a tensor, which see its gradients and may change them."""
    return bool(tensor._backward_hooks)


def has_backward_hooks(modules: Iterable[torch.nn.Module]) -> bool:
    """Whether a module, or all of them, has a hook that sees gradients in the backward pass."""
    return bool(torch.nn.modules.module._global_backward_hooks) or any(module._backward_hooks for module in modules)


def submodules(module: torch.nn.Module) -> Iterable[torch.nn.Module]:
    """Return a module's direct children. `Module.children` is slower: it skips duplicates."""
    return (child for child in module._modules.values() if child is not None)


def children_of(modules: Iterable[torch.nn.Module]) -> list[Any]:
    """Return the modules' own dictionaries of their direct children, by name.

    It is one expression, because it runs before every capture. TorchScript modules have another mapping there.
    """
    return [module._modules for module in modules]


def own_tensors(modules: Iterable[torch.nn.Module]) -> list[torch.Tensor]:
    """Return each module's own parameters and buffers. `Module.parameters` is slower: it walks all modules."""
    return [
        tensor
        for module in modules
        for tensors in (module._parameters, module._buffers)
        for tensor in tensors.values()
        if tensor is not None
    ]


def buffers_of(modules: Iterable[torch.nn.Module]) -> list[dict[str, torch.Tensor | None]]:
    """Return the modules' own dictionaries of buffers; assigning to one replaces a buffer."""
    return [module._buffers for module in modules]


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


def unfused_attention(query: Any, key: Any, value: Any, *options: Any, attn_mask: Any = None, scale: Any = None) -> Any:
    """Run what `FUSED_ATTENTION` computes as matrix products and a softmax."""
    return torch.ops.aten._scaled_dot_product_attention_math.default(
        query, key, value, attn_mask, *options, scale=scale
    )


def written_arguments(operation: Any, args: Any, kwargs: Any) -> Iterator[Any]:
    """Yield the arguments that an operation writes to."""
    for position, argument in enumerate(operation._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[position] if position < len(args) else kwargs.get(argument.name)
            yield from tree_leaves(value)


def saved_self(node: Any) -> Any:
    """Return the first operand that an autograd node saved for the backward pass; None if it saved none."""
    return getattr(node, "_saved_self", None)


def saved_other(node: Any) -> Any:
    """Return the second operand that an autograd node saved for the backward pass; None if it saved none."""
    return getattr(node, "_saved_other", None)


def mean_axes(node: Any, rank: int) -> set[int]:
    """Return the axes that a mean's autograd node saved, of a tensor of `rank` axes; none saved means all axes.

    PyTorch stores negative axes as unsigned 64-bit numbers.
    """
    return {(axis - 2**64 if axis >= 2**63 else axis) % rank for axis in node._saved_dim or range(rank)}
