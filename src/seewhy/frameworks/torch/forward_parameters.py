"""The parameters of a module's `forward`."""

import inspect
from collections.abc import Mapping
from typing import final

import torch

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@final
class ForwardParameters:
    """Reads the parameters of a module's `forward`, again where a user has replaced it.

    Args:
        model: The module.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._known: tuple[object, Mapping[str, inspect.Parameter]] = None, {}

    def now(self) -> Mapping[str, inspect.Parameter]:
        """Return the parameters by name."""
        forward = self._model.forward
        function = getattr(forward, "__func__", forward)
        known, parameters = self._known
        if known is not function:
            parameters = inspect.signature(forward).parameters
            self._known = function, parameters
        return parameters

    def most_inputs(self) -> int | None:
        """Return how many positional arguments `forward` takes; None for any number."""
        kinds = [parameter.kind for parameter in self.now().values()]
        return None if inspect.Parameter.VAR_POSITIONAL in kinds else sum(kind in POSITIONAL for kind in kinds)
