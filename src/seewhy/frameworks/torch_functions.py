"""The torch functions that a network calls: whether they record gradients, and which was the final activation."""

import math
from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from seewhy.frameworks.base import Head
from seewhy.types import Tensor

HEADS: dict[str, Head] = {
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

NOTED = {*HEADS, *ORDER_KEEPING}

set_grad_enabled = torch._C._set_grad_enabled
"""What `torch.set_grad_enabled` calls, after as much work again as many a function of a network."""


@final
class TorchFunctions(TorchFunctionMode):
    """Hears every torch function that this thread's network calls, for as long as it is open.

    Args:
        is_recording: False keeps gradients from being recorded until it is set. The mode that PyTorch itself is in is
            left alone meanwhile, so that after a `no_grad` block of the network's own, such as one round a frozen
            part with the tap inside, recording goes on.
    """

    def __init__(self, *, is_recording: bool = True) -> None:
        super().__init__()
        self.is_recording = is_recording
        # Weak: a network with a softmax in every block must not be made to keep them all.
        self._logits: Any = WeakTensorKeyDictionary()

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        # All functions of the network come by here, thousands of a Keras one: hearing them must cost next to nothing.
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if self.is_recording or name == "_set_grad_enabled":
            return self._noted(name, func, args, kwargs) if name in NOTED else func(*args, **kwargs)
        is_grad_enabled = torch.is_grad_enabled()
        set_grad_enabled(False)
        try:
            return self._noted(name, func, args, kwargs) if name in NOTED else func(*args, **kwargs)
        finally:
            set_grad_enabled(is_grad_enabled)

    def see_through(self, raw: Tensor) -> tuple[Head, Tensor]:
        """Return the network's final activation, and the logits behind its outputs in the outputs' shape."""
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
        if name in HEADS:
            self._logits[result] = (HEADS[name], given, _classes(given, args, kwargs) if "softmax" in name else None)
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
