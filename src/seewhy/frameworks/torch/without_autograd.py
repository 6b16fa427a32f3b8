"""Running the trunk, the part of a model before the tap, without autograd."""

from contextlib import ExitStack
from typing import final

import torch

from seewhy.frameworks.torch.logits import FunctionRecorder
from seewhy.frameworks.torch.private_api import (
    below_function_modes,
    exclude_autograd,
    function_mode_count,
    preserve_dispatch_keys,
)


@final
class Trunk:
    """Runs a model without autograd and without recording functions, from `__enter__` until `end`.

    Recording a function costs as much as many functions of a model do themselves.

    The dispatcher skips autograd, and `torch.is_grad_enabled` keeps its value. So gradients are still recorded after a
    `no_grad` block of the model's own, such as one around a frozen part that contains the tap.

    Args:
        functions: Records the functions of the head.
    """

    def __init__(self, functions: FunctionRecorder) -> None:
        self._functions = functions
        self._exit_stack = ExitStack()
        self._mode_count = 0

    def __enter__(self) -> "Trunk":
        self._mode_count = function_mode_count()
        self._exit_stack.enter_context(preserve_dispatch_keys())
        exclude_autograd(True)
        return self

    def __exit__(self, *error: object) -> None:
        self._exit_stack.__exit__(*error)  # type: ignore[arg-type]  # keep the interrupt as the context of later errors

    def end(self, *, with_gradients: bool) -> None:
        """Record every function from here on, and gradients too if they are wanted."""
        # Below the modes that the model has opened and will close itself, such as that of a default device.
        with below_function_modes(function_mode_count() - self._mode_count):
            self._exit_stack.enter_context(self._functions)
        if with_gradients:
            self._functions.needs_gradients = True
            exclude_autograd(False)
            torch.set_grad_enabled(True)
