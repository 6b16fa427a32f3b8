"""The parameters of a module's `forward`."""

import inspect
from collections.abc import Mapping
from typing import Any, final

import torch

from seewhy.frameworks.sample_arrangement import check_sample_names, wrong_count

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


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

    def names(self) -> tuple[str, ...]:
        """Return the names of the parameters that have to be given; all of those that may be, where none has to be."""
        return self.required() or self.all_names()

    def all_names(self) -> tuple[str, ...]:
        """Return the names of all parameters, in order."""
        return tuple(each.name for each in self.now().values() if each.kind not in VARIABLE)

    def required(self) -> tuple[str, ...]:
        """Return the names of the parameters that have to be given."""
        parameters = [each for each in self.now().values() if each.kind not in VARIABLE]
        return tuple(each.name for each in parameters if each.default is inspect.Parameter.empty)

    def arranged(self, sample: Any) -> Any:
        """Return values in the structure in which `forward` takes them: positional arguments, or keyword arguments.

        A dict whose keys are no parameters of a `forward` with one parameter is that argument itself.

        Raises:
            InputError: A name is unknown, a value is missing, or there are too many.
        """
        most, required = self.most_inputs(), self.required()
        if not isinstance(sample, Mapping):
            if most is not None and not (len(required) <= len(sample) <= most or self._takes_one()):
                raise wrong_count(self.names(), len(sample))
            return [sample] if self._takes_one() and len(sample) > 1 else sample
        if self._takes_one() and not set(sample) & set(self.now()):
            return [sample]
        kinds = {each.kind for each in self.now().values()}
        known = tuple(sample) if inspect.Parameter.VAR_KEYWORD in kinds else tuple(self.now())
        check_sample_names(sample, known, required)
        return sample

    def _takes_one(self) -> bool:
        """Whether `forward` has one parameter, which may be a list or a dict of arrays."""
        return self.most_inputs() == 1 == len(self.now())

    def most_inputs(self) -> int | None:
        """Return how many positional arguments `forward` takes; None for any number."""
        kinds = [parameter.kind for parameter in self.now().values()]
        return None if inspect.Parameter.VAR_POSITIONAL in kinds else sum(kind in POSITIONAL for kind in kinds)
