"""Running the trunk, the part of a model before the tap, without autograd."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar, final

import torch

from seewhy.errors import LayerError, ModelRunError
from seewhy.frameworks.torch.logits import FunctionRecorder
from seewhy.frameworks.torch.private_api import (
    below_function_modes,
    exclude_autograd,
    function_mode_count,
    preserve_dispatch_keys,
    saved_tensor_hooks,
)

Result = TypeVar("Result")


@final
class AutogradUse:
    """Whether a model differentiates while it runs, as a model of forces does. Its first run tells.

    Attributes:
        is_needed: The model needs autograd, in its trunk and in predictions too.
    """

    is_needed = False

    def grad_mode(self) -> AbstractContextManager[None]:
        """Return a context manager for a run whose gradients are not wanted."""
        return torch.enable_grad() if self.is_needed else torch.no_grad()

    def run(self, function: Callable[[FunctionRecorder], Result]) -> Result:
        """Run the model without gradients, or with them if it needs them.

        Args:
            function: Runs the model within the recorder that it is given.
        """
        functions = FunctionRecorder()
        try:
            with self.grad_mode():
                result = function(functions)
        except ModelRunError:
            if self.is_needed or not functions.is_differentiating:
                raise
            self.is_needed = True
            return self.run(function)
        self.is_needed = self.is_needed or functions.is_differentiating
        return result


@final
class Trunk:
    """Runs a model without autograd and without recording functions, from `__enter__` until `end`.

    Recording a function costs as much as many functions of a model do themselves.

    The dispatcher skips autograd, and `torch.is_grad_enabled` keeps its value. So gradients are still recorded after a
    `no_grad` block of the model's own, such as one around a frozen part that contains the tap.

    Args:
        functions: Records the functions of the head.
        needs_autograd: The model differentiates while it runs; its trunk then runs with autograd.
    """

    def __init__(self, functions: FunctionRecorder, *, needs_autograd: bool = False) -> None:
        self._functions = functions
        self._needs_autograd = needs_autograd
        self._exit_stack = ExitStack()
        self._mode_count = 0
        self._tensor_hooks = None

    def __enter__(self) -> "Trunk":
        self._mode_count = function_mode_count()
        self._tensor_hooks = saved_tensor_hooks()
        self._exit_stack.enter_context(preserve_dispatch_keys())
        exclude_autograd(not self._needs_autograd)
        return self

    def __exit__(self, *error: object) -> None:
        self._exit_stack.__exit__(*error)  # type: ignore[arg-type]  # keep the interrupt as the context of later errors

    def end(self, path: str, *, with_gradients: bool) -> None:
        """Record every function from here on, and gradients too if they are wanted.

        Raises:
            LayerError: The layer, whose path is given, is called where gradients of it cannot be relied on.
        """
        if with_gradients and saved_tensor_hooks() != self._tensor_hooks:
            raise LayerError(
                f"The layer {path!r} is called inside torch.autograd.graph.saved_tensors_hooks, as of a checkpoint "
                "that is not PyTorch's own. Tensors may be computed again without the layer, so its gradients could be "
                "wrong. Give a layer outside of it, or turn checkpointing off."
            )
        # Below the modes that the model has opened and will close itself, such as that of a default device.
        with below_function_modes(function_mode_count() - self._mode_count):
            self._exit_stack.enter_context(self._functions)
        if with_gradients:
            self._functions.needs_gradients = True
            exclude_autograd(False)
            if not torch.is_grad_enabled():  # after a `no_grad` block of the model's own
                torch.set_grad_enabled(True)
