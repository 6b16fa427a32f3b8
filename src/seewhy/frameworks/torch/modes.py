"""Evaluation mode while a model is explained, which other threads that train the model do not see."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, final

import torch

from seewhy.errors import ModelRunError
from seewhy.frameworks.cleanup import restoring
from seewhy.threads import this_thread


@final
class ThreadModes:
    """The modes of some modules as this thread sees them, all of them evaluation mode at first.

    As the attribute `training` of `torch.nn.Module`, it takes precedence over the attribute of each module. Other
    threads read and write the modules' own modes.

    Args:
        modules: The modules.
        used_elsewhere: The ids of modules whose modes other threads read are added to it: they run them meanwhile.
    """

    def __init__(self, modules: Iterable[Any], used_elsewhere: set[int]) -> None:
        self._used_elsewhere = used_elsewhere
        self._thread = this_thread()
        self._modes = {id(module): False for module in modules}
        self._outer: Any = vars(torch.nn.Module).get("training")  # of a run that this one is part of

    def __get__(self, module: Any, kind: Any = None) -> bool:
        if module is None:
            raise AttributeError("training")
        if this_thread() is not self._thread:
            self._used_elsewhere.add(id(module))
        elif id(module) in self._modes:
            return self._modes[id(module)]
        if self._outer is not None:
            return bool(self._outer.__get__(module))
        if "training" not in vars(module):
            raise AttributeError("training")  # then Python calls the `__getattr__` of a TorchScript module
        return bool(vars(module)["training"])

    def __set__(self, module: Any, training: bool) -> None:
        if this_thread() is self._thread and id(module) in self._modes:
            self._modes[id(module)] = training
        elif self._outer is not None:
            self._outer.__set__(module, training)
        else:
            vars(module)["training"] = training


@contextmanager
def evaluation_mode(modules: list[Any], used_elsewhere: set[int]) -> Iterator[None]:
    """Put modules into evaluation mode without calling `eval`, in which some modules merge or fuse their weights.

    Args:
        modules: The modules.
        used_elsewhere: The ids of modules that other threads train meanwhile are added to it.

    Raises:
        ModelRunError: Another thread puts a module into training mode that was not in it.
    """
    training = _in_training(modules)
    # Modes are kept apart only where they have to be: changing a class makes Python's caches of attributes void.
    if training and threading.active_count() > 1:
        with _modes_of_this_thread(modules, used_elsewhere):
            yield
        return
    known = {id(module) for module in training}
    with _changed_modes(training) if training else nullcontext():
        try:
            yield
        finally:
            now = _in_training(modules)
            if threading.active_count() > 1:
                used_elsewhere |= {id(module) for module in now}
            else:
                for module in now:  # the model itself has changed their modes; those it found in training follow
                    _set_training(module, False)
    if used_elsewhere - known:
        raise ModelRunError(
            "The model was put into training mode while it was explained, by a thread that trains it or by its own "
            "forward. Explain it while it is not trained, or explain a copy: copy.deepcopy(model)."
        )


def _in_training(modules: list[Any]) -> list[Any]:
    """Return those of the modules that are in training mode."""
    try:
        return [module for module in modules if module.training]
    except AttributeError:
        return [module for module in modules if _is_training(module)]


def _is_training(module: Any) -> bool:
    """Whether a module is in training mode; a frozen TorchScript module has no mode."""
    return bool(getattr(module, "training", False))


@contextmanager
def _modes_of_this_thread(modules: list[Any], used_elsewhere: set[int]) -> Iterator[None]:
    """Let this thread alone see these modules in evaluation mode."""
    modes = ThreadModes((module for module in modules if "training" in vars(module)), used_elsewhere)
    compiled = [module for module in modules if "training" not in vars(module) and _is_training(module)]
    outer = vars(torch.nn.Module).get("training")

    def restore() -> None:
        if outer is not None:
            torch.nn.Module.training = outer
        elif "training" in vars(torch.nn.Module):
            del torch.nn.Module.training

    with restoring(restore), _changed_modes(compiled):
        torch.nn.Module.training = modes  # type: ignore[assignment]
        yield


@contextmanager
def _changed_modes(training: list[Any]) -> Iterator[None]:
    """Put modules into evaluation mode, and restore them."""

    def restore() -> None:
        for module in training:
            _set_training(module, True)

    with restoring(restore):
        for module in training:
            _set_training(module, False)
        yield


def _set_training(module: Any, training: bool) -> None:
    """Set a module's mode without its `__setattr__`, which in Keras has side effects; TorchScript has no other way."""
    if "training" in vars(module):
        vars(module)["training"] = training
    else:
        module.training = training
