"""Running the trunk, what a model computes before the tap, without autograd."""

from contextlib import ExitStack
from typing import final

import torch

from seewhy.frameworks.torch.dispatch import (
    below_function_modes,
    exclude_autograd,
    function_mode_count,
    preserve_dispatch_keys,
)
from seewhy.frameworks.torch.logits import TorchFunctions


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
        self._modes = function_mode_count()
        self._closing.enter_context(preserve_dispatch_keys())
        exclude_autograd(True)
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def end(self, *, is_recorded: bool) -> None:
        """Hear every function from here on, and record it if that is wanted."""
        # Below the modes that the model itself has opened and will close, such as that of a default device.
        with below_function_modes(function_mode_count() - self._modes):
            self._closing.enter_context(self._functions)
        if is_recorded:
            self._functions.are_recorded = True
            exclude_autograd(False)
            torch.set_grad_enabled(True)
