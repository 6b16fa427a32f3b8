"""A function of the user's own that returns a model: `package.module:callable`.

Importing the module runs it, with all the rights of whoever started SeeWhy.
"""

import importlib
import inspect
import re
import traceback
from functools import partial
from operator import attrgetter
from types import ModuleType
from typing import Any

from seewhy import timing
from seewhy.errors import ModelError, SeewhyError, did_you_mean
from seewhy.models.classifier import Classifier
from seewhy.timing import Phase

SPELLING = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_callable(source: str) -> bool:
    """Whether a source is spelt `package.module:callable`."""
    return SPELLING.fullmatch(source) is not None


def load(source: str) -> Classifier:
    """Import a module, call the function, and return its classifier, or its model as one.

    What is named may also be a model or a `Classifier` itself. The function is called without arguments.

    Raises:
        ModelError: The module or the name is not there, the user's code failed, or what it returned is no model.
    """
    module_name, _, name = source.partition(":")
    module = _import(source, module_name)
    try:
        found = attrgetter(name)(module)
    except AttributeError as error:
        near = did_you_mean(name, vars(module))
        raise ModelError(f"Cannot load {source!r}: the module {module_name!r} has no {name!r}.{near}") from error
    if inspect.isroutine(found) or inspect.isclass(found) or isinstance(found, partial):
        found = _call(source, found)
    if isinstance(found, Classifier):
        return found
    try:
        return Classifier(found, name=getattr(found, "name", None) or source)
    except ModelError as error:
        raise ModelError(f"{source!r} gave no model that SeeWhy can run. {error}") from error


def _import(source: str, name: str) -> ModuleType:
    try:
        with timing.phase(Phase.IMPORTING):
            return importlib.import_module(name)
    except Exception as error:
        # The user's module may raise anything. Only if the module itself, or a package it is in, is missing is it
        # unknown; a module that it imports in vain is another's name.
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise ModelError(
                f"Cannot load {source!r}: there is no module {error.name!r}. Python looks for it in the installed "
                "packages, in PYTHONPATH and, on the command line, in the current folder."
            ) from error
        raise _failure(f"Cannot load {source!r}: importing {name!r} failed", error) from error


def _call(source: str, function: Any) -> Any:
    try:
        return function()
    except SeewhyError:
        raise
    except Exception as error:
        # The user's function may raise anything.
        raise _failure(f"Cannot load {source!r}: calling it failed", error) from error


def _failure(what: str, error: Exception) -> ModelError:
    """Say what the user's code raised, and where."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return ModelError(f"{what} ({last.filename}, line {last.lineno}): {type(error).__name__}: {error}")
