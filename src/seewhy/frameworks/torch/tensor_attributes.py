"""Tensors that modules keep as plain attributes, from one run of a model to the next."""

from collections.abc import Sequence
from functools import cache
from typing import Any, final

import torch

LAYERS_OF_TORCH = "torch.nn.modules."
"""The package of PyTorch's own layers, which keep nothing but what they were made with."""

OF_EVERY_MODULE = frozenset(vars(torch.nn.Module()))
"""The attributes of every module: dictionaries of its parameters, buffers, children and hooks, and its mode."""

CONSTANTS = (bool, int, float, str, tuple, list)
"""The types of what a layer of PyTorch is made with."""


@final
class TensorAttributes:
    """Finds the attributes of a model's modules that may be tensors, without reading all of them in each run.

    Layers of PyTorch that have nothing but the constants that their classes declare are left out while they have as
    many attributes as they had. Code that has a layer keep a tensor, such as a hook, gives it one more. Where it has
    something else there before, whatever it is, all attributes of the layer are read in every run.
    """

    def __init__(self, modules: Sequence[torch.nn.Module]) -> None:
        self._modules = modules
        self._divide()

    def owners(self) -> list[dict[str, Any]]:
        """Return the attributes of each module that may keep tensors."""
        if self._counts != _attribute_counts(self._constant):
            self._divide()
        return [vars(module) for module in self._others]

    def _divide(self) -> None:
        self._constant = [module for module in self._modules if _has_constants(module)]
        constant = set(map(id, self._constant))
        self._others = [module for module in self._modules if id(module) not in constant]
        self._counts = _attribute_counts(self._constant)


def _attribute_counts(modules: Sequence[torch.nn.Module]) -> list[int]:
    return [len(vars(module)) for module in modules]


def _has_constants(module: torch.nn.Module) -> bool:
    """Whether this is a layer of PyTorch, and all that was given to it are the constants that it declares."""
    declared = _declared(type(module).__mro__)
    return type(module).__module__.startswith(LAYERS_OF_TORCH) and all(
        name in declared and type(value) in CONSTANTS
        for name, value in vars(module).items()
        if name not in OF_EVERY_MODULE
    )


@cache
def _declared(classes: tuple[type, ...]) -> frozenset[str]:
    """Return the attributes that a class of layers and its bases declare: for TorchScript, or for type checkers."""
    return frozenset(
        name for each in classes for key in ("__constants__", "__annotations__") for name in vars(each).get(key, ())
    )
