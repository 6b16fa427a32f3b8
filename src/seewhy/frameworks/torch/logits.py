"""The torch functions that a model calls: from where on they record gradients, and which was the final activation."""

import math
from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from seewhy.frameworks.outputs import FinalActivation, Outputs, SelectedOutputs, select_outputs
from seewhy.frameworks.torch.dispatch import exclude_autograd, is_autograd_excluded
from seewhy.targets import Objective
from seewhy.types import Namespace, Tensor

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
        if self.are_recorded and is_autograd_excluded():  # compiled code with the tap inside put back what was
            exclude_autograd(False)
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


def select_torch_outputs(whole: Any, objective: Objective, functions: TorchFunctions, xp: Namespace) -> SelectedOutputs:
    """Find what a question asks of all that a model returned, seeing through a final softmax or sigmoid."""

    def read(raw: Tensor, logits: Tensor, head: FinalActivation, whole: Any) -> Outputs:
        return Outputs.read(raw, logits.float(), head, xp, whole)

    return select_outputs(
        whole, objective, lambda each: isinstance(each, torch.Tensor), functions.bypass_final_activation, read
    )
