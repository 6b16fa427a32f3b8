"""The torch functions that a model calls: from where on they record gradients, and which was the final activation."""

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, final

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from seewhy.frameworks.base import FinalActivation
from seewhy.types import Tensor

FINAL_ACTIVATIONS: dict[str, FinalActivation] = {
    "softmax": "softmax",
    "log_softmax": "softmax",
    "special_softmax": "softmax",
    "special_log_softmax": "softmax",
    "sigmoid": "sigmoid",
    "sigmoid_": "sigmoid",
    "special_expit": "sigmoid",
}
"""Final activations by the name of their function, which is the same for the function, the method and the module."""

ORDER_KEEPING = {
    *("reshape", "reshape_as", "view", "view_as", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze"),
    *("to", "type", "float", "double", "half", "bfloat16", "cpu", "cuda", "contiguous", "clone", "detach"),
}
"""Functions that leave every value where it was in the order of values. At rest, dropout hands on the tensor itself."""

NOTED = {*FINAL_ACTIVATIONS, *ORDER_KEEPING}

AUTOGRAD = torch._C.DispatchKey.AutogradFunctionality
"""What records gradients, in PyTorch's dispatcher."""

_is_autograd_off = torch._C._dispatch_tls_is_dispatch_key_excluded
_set_autograd_off = torch._C._dispatch_tls_set_dispatch_key_excluded


@final
class TorchFunctions(TorchFunctionMode):
    """Hears every torch function that this thread's model calls, for as long as it is open.

    Attributes:
        are_recorded: Set to True where what is heard must be recorded, whatever the model did before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.are_recorded = False
        # Weak: a model with a softmax in every block must not be made to keep them all.
        self._logits: Any = WeakTensorKeyDictionary()

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if self.are_recorded and _is_autograd_off(AUTOGRAD):  # compiled code with the tap inside put back what was
            _set_autograd_off(AUTOGRAD, False)
        return self._noted(name, func, args, kwargs) if name in NOTED else func(*args, **kwargs)

    def bypass_final_activation(self, raw: Tensor) -> tuple[FinalActivation, Tensor]:
        """Return the model's final activation, and the logits behind its outputs in the outputs' shape."""
        head, logits, classes = self._logits.get(raw, ("linear", raw, None))
        # A softmax over another axis than the classes' has no logits for the classes.
        if head == "softmax" and raw.ndim == 2 and classes != raw.shape[1]:
            return "linear", raw
        return head, logits.reshape(raw.shape)

    def _noted(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given: Any = args[0] if args else kwargs.get("input")
        if name.endswith("_"):
            given = given.clone()  # in place: what is there now is about to be written over
        result = func(*args, **kwargs)
        if name in FINAL_ACTIVATIONS:
            self._logits[result] = (
                FINAL_ACTIVATIONS[name],
                given,
                _classes(given, args, kwargs) if "softmax" in name else None,
            )
        elif isinstance(given, torch.Tensor) and given is not result and given in self._logits:
            self._logits[result] = self._logits[given]
        return result


def _classes(given: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Return how many values each softmax is over; None where they are not side by side, in the order of values."""
    axis = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis"))
    if axis is None:
        axis = 0 if given.ndim in (0, 1, 3) else 1  # what PyTorch takes where it is not told
    here = given.shape[axis:]
    return here[0] if here and math.prod(here[1:]) == 1 else None


@final
class Trunk:
    """What a model runs before its tap, for as long as this is open and until `end`.

    Nothing of it is recorded, and no function heard: each costs as much again as many a function of a model.

    PyTorch's `is_grad_enabled` is left as it is meanwhile, and autograd is passed by. So after a `no_grad` block of the
    model's own, such as one round a frozen part with the tap inside, recording goes on.

    Args:
        functions: Hears what follows the tap.
    """

    def __init__(self, functions: TorchFunctions) -> None:
        self._functions = functions
        self._closing = ExitStack()
        self._modes = 0

    def __enter__(self) -> "Trunk":
        self._modes = torch._C._len_torch_function_stack()
        self._closing.enter_context(torch._C._PreserveDispatchKeyGuard())
        _set_autograd_off(AUTOGRAD, True)
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def end(self, *, is_recorded: bool) -> None:
        """Hear every function from here on, and record it if that is wanted."""
        # Below the modes that the model itself has opened and will close, such as that of a default device.
        inner = [
            torch._C._pop_torch_function_stack() for _ in range(torch._C._len_torch_function_stack() - self._modes)
        ]
        self._closing.enter_context(self._functions)
        for mode in reversed(inner):
            torch._C._push_on_torch_function_stack(mode)
        if is_recorded:
            self._functions.are_recorded = True
            _set_autograd_off(AUTOGRAD, False)
            torch.set_grad_enabled(True)
